// What is on the canvas: the points of a model, turned and projected, one of them perhaps picked.
import { type Device, WebGPUMissingError } from 'hypersphere';
import { dot, mainAxes, plainAxes, projected, turned } from './axes.ts';
import type { Data } from './images.ts';
import { densityAround, makePainter, type Painter, reachOf } from './painter.ts';
import { type At, POINTS, type Size, type Style } from './protocol.ts';
import type { Points } from './trainer.ts';

/** How far from a point it is still pointed at, in pixels. */
const NEAR = 24;

/** What was just drawn. Firefox 153 has no canvas to draw on once its picture is taken; elsewhere a copy costs more. */
const takePicture: (canvas: OffscreenCanvas) => Promise<ImageBitmap> = /Firefox/.test(navigator.userAgent)
  ? createImageBitmap
  : async (canvas) => canvas.transferToImageBitmap();

export type Stage = ReturnType<typeof makeStage>;

/** How the page wants it; may change at any time. */
export interface View {
  style: Style;
  size: Size;
}

/** Who is told of pictures. */
export interface Audience {
  /** A new picture, for the page's canvas. */
  show: (picture: ImageBitmap) => void;
  /** The GPU has drawn points that had moved; they are of this step. */
  drawn: (step: number) => void;
  /** Whether a run goes on; a picture turns by itself only then. */
  running: () => boolean;
}

/**
 * Draws on every animation frame in which something changed, straight from the buffer that the points' step writes. The page
 * gets pictures instead of giving its canvas away: with that, Firefox 153 crashes (docs/decisions.md).
 */
export function makeStage(view: View, audience: Audience) {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext('webgpu');
  if (!context) throw new WebGPUMissingError();
  let configured: Device | null = null;
  let shown: { device: Device; data: Data; points: Points; painter: Painter } | null = null;
  let axes = plainAxes(2);
  let density: Float32Array | null = null;
  let [yaw, pitch, picked] = [0.5, 0.35, -1];
  let step = 0;
  let moved = false; // the points, since they were last embedded
  let changed = false; // anything else in the picture
  let drawing = false;

  const flat = () => shown!.points.width === 2;
  const shownAxes = () => (flat() ? axes : turned(axes, yaw, pitch));
  // More than three dimensions overlap in the middle.
  const zoom = () => (shown!.points.width > 3 ? 1.25 : 1);
  const paint = () => {
    fit();
    shown!.painter.draw({ ...view, axes: shownAxes(), zoom: zoom(), picked, density });
  };

  /** Gives the canvas the size that it has on the page. */
  function fit(): void {
    const { width, height, ratio } = view.size;
    const [wide, high] = [width, height].map((side) => Math.max(1, Math.round(side * ratio)));
    if (canvas.width !== wide) canvas.width = wide;
    if (canvas.height !== high) canvas.height = high;
  }

  let lastFrame = 0;
  function frame(now: number): void {
    requestAnimationFrame(frame);
    const turning = shown !== null && view.style.turning && !flat() && picked < 0 && audience.running();
    if (turning) yaw += Math.min(100, now - lastFrame) * 1e-4;
    lastFrame = now;
    if (!shown || drawing || shown.device.lost || !(moved || changed || turning)) return;
    // While it is hidden or laid out anew; nothing can be drawn to scale then.
    if (!(view.size.width && view.size.height)) return;
    drawing = true;
    const [drawn, of, on] = [moved, step, shown];
    if (moved) shown.points.embed().catch(() => {}); // A lost device tells of itself.
    moved = changed = false;
    paint();
    const showing = takePicture(canvas).then(audience.show);
    const done = () => {
      drawing = false;
      if (drawn && on === shown) audience.drawn(of);
    };
    Promise.all([showing, shown.device.gpu.queue.onSubmittedWorkDone()]).then(done, done);
  }
  requestAnimationFrame(frame);

  return {
    /** Shows the points of a model; the last one's go. */
    async show(device: Device, data: Data, points: Points): Promise<void> {
      this.clear();
      const images = { pixels: data.pixels, labels: data.labels.test };
      if (configured !== device) {
        const format = navigator.gpu.getPreferredCanvasFormat();
        context.configure({ device: device.gpu, format, alphaMode: 'opaque' });
        configured = device;
      }
      const painter = await makePainter(device.gpu, context, { ...points, count: POINTS }, images);
      axes = plainAxes(points.width);
      density = points.width === 2 ? densityAround(new Float32Array(), images.labels) : null;
      shown = { device, data, points, painter };
      this.move(0);
    },
    clear() {
      shown?.painter.dispose();
      shown = null;
      picked = -1;
    },
    /** The encoder is another than a moment ago: that of `now`. */
    move(now: number) {
      step = now;
      moved = true;
    },
    /** Takes what a look at the metrics tells of the points: where they are dense, and along which directions they vary. */
    observe(rows: Float32Array, covariance: Float32Array): void {
      if (!shown) return;
      if (flat()) density = densityAround(rows, shown.data.labels.test);
      if (shown.points.width > 3) axes = mainAxes(covariance, axes);
      changed = true;
    },
    redraw() {
      changed = true;
    },
    turn(by: { yaw: number; pitch: number }) {
      yaw += by.yaw;
      pitch = Math.max(-1.5, Math.min(1.5, pitch + by.pitch));
      changed = true;
    },
    /** Picks the point at a place of the canvas, or of a number, and gives what lies nearest to it, itself first. */
    async pick(
      at: At | null,
    ): Promise<{ rows: { index: number; similarity: number }[]; low: boolean } | null> {
      const rows = at && shown && (await shown.points.read());
      const index = !rows || !shown ? -1 : 'index' in at ? modulo(at.index, POINTS) : nearest(rows, at);
      changed ||= index !== picked;
      picked = index;
      if (!rows || index < 0) return null;
      const low = projected(rows, shownAxes(), zoom())[3 * index + 1] < 0;
      return { rows: bySimilarity(rows, index), low };
    },
    /** Where the points are in the picture, [POINTS, 3]. */
    async positions(): Promise<Float32Array> {
      await shown!.points.embed();
      return projected(await shown!.points.read(), shownAxes(), zoom());
    },
    image(): Promise<Blob> {
      paint();
      return canvas.convertToBlob();
    },
  };

  /** @param at in pixels from the middle */
  function nearest(rows: Float32Array, at: { x: number; y: number }): number {
    const places = projected(rows, shownAxes(), zoom());
    const unit = (2 * reachOf(density !== null)) / Math.min(view.size.width, view.size.height);
    let [index, least] = [-1, NEAR * unit];
    for (let i = 0; i < POINTS; i++) {
      const away = Math.hypot(places[3 * i] - at.x * unit, places[3 * i + 1] - at.y * unit);
      // Of points that lie over each other the one in front.
      if (away - 1e-3 * places[3 * i + 2] < least) [least, index] = [away, i];
    }
    return index;
  }
}

const modulo = (a: number, n: number) => ((a % n) + n) % n;

/** All rows by their cosine with one of them, which comes first. */
function bySimilarity(rows: Float32Array, index: number): { index: number; similarity: number }[] {
  const width = rows.length / POINTS;
  const row = (i: number) => rows.subarray(i * width, (i + 1) * width);
  const similarity = (i: number) => (i === index ? Infinity : dot(row(i), row(index)));
  return Array.from({ length: POINTS }, (_, i) => ({ index: i, similarity: similarity(i) })).sort(
    (a, b) => b.similarity - a.similarity,
  );
}
