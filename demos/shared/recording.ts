// What a page shows that cannot compute: why, what to do, and a recorded run.
import { $ } from './dom.ts';
import { CLASSES, type Metrics, type Obstacle } from './protocol.ts';
import { colorOf, cssOf } from './theme.ts';

/** A run as it was drawn: `recording.json` of a demo, made by `npm run demos -- --record`. */
export interface Recording {
  labels: number[];
  /** After each look: base64 of signed bytes x, y, z of every point, 100 being the radius. */
  frames: { metrics: Metrics; points: string }[];
}

/** The parts of the page that show a recorded run. */
export interface Audience {
  notice: (text: string) => void;
  status: (text: string) => void;
  metrics: (metrics: Metrics) => void;
  /** Nothing should move that nobody started: the end of the run is shown. */
  still: () => boolean;
}

const WHAT_TO_DO: Record<Obstacle, string> = {
  insecure:
    'This page is not a secure context, and browsers give WebGPU to secure ones only. Open it over https, or on localhost.',
  noApi:
    'This browser has no WebGPU (in workers). Chrome and Edge have it from 123 on, Safari from 26 (on iOS any browser from iOS 26), Firefox from 141 on Windows and 145 on macOS; in other Firefox set dom.webgpu.enabled in about:config.',
  noAdapter:
    'This browser has WebGPU but offers no GPU. Switch hardware acceleration on in its settings, look at chrome://gpu for what it says, or update the graphics driver. Chrome on Linux may need chrome://flags/#enable-unsafe-webgpu.',
  blocked:
    'This browser refuses a WebGPU device. A policy, an extension or the list of blocked drivers may forbid it: look at chrome://gpu or about:support.',
};

/** What needs no GPU. */
const ALIVE = ['theme', 'start'];
/** From one frame of a recording to the next. */
const SECONDS = 0.25;

/** Says why nothing can be computed, and plays the demo's recording over and over, or as often as Start is pressed. */
export async function showRecording(why: Obstacle, page: Audience): Promise<void> {
  document.body.dataset.obstacle = why;
  for (const control of document.querySelectorAll<HTMLInputElement>('button, input, select'))
    control.disabled = !ALIVE.includes(control.id);
  for (const id of ['views-section', 'keep-section']) $(id).hidden = true;
  page.notice(WHAT_TO_DO[why]);
  const response = await fetch('recording.json').catch(() => null);
  if (!response?.ok) return;
  page.notice(`${WHAT_TO_DO[why]} Meanwhile you see a run that was recorded.`);
  const { labels, frames } = (await response.json()) as Recording;
  const places = frames.map(({ points }) => Int8Array.from(atob(points), (c) => c.charCodeAt(0)));
  const last = frames.length - 1;

  const old = $<HTMLCanvasElement>('canvas');
  const canvas = old.cloneNode() as HTMLCanvasElement; // The other one shows the worker's pictures.
  old.replaceWith(canvas);
  const box = $('canvas-box');
  box.removeAttribute('tabindex');
  box.setAttribute('role', 'img');
  box.setAttribute('aria-label', `Embeddings of ${labels.length} test images, a recorded run`);
  $('stage-text').textContent = `${labels.length} test images, drawn where the encoder put them.`;

  let playing = !page.still();
  let at = playing ? 0 : last;
  const told = () => {
    page.status(playing ? 'A recorded run.' : 'A recorded run, paused.');
    $('start').textContent = playing ? 'Pause' : 'Start';
  };
  $('start').addEventListener('click', () => {
    playing = !playing;
    told();
  });
  told();
  // The charts of a still page show the whole run.
  if (!playing) for (const { metrics } of frames) page.metrics(metrics);

  let [shown, before, ink] = [-1, performance.now(), ''];
  let colors: { ring: string; classes: string[] };
  requestAnimationFrame(function draw(now) {
    requestAnimationFrame(draw);
    if (playing) at = (at + Math.max(0, now - before) / 1000 / SECONDS) % frames.length;
    before = now;
    const [low, share] = [Math.floor(at), at % 1];
    if (low !== shown) {
      shown = low;
      page.metrics(frames[low].metrics);
    }
    const { color } = getComputedStyle(document.body);
    if (color !== ink) {
      ink = color;
      const named = (name: string) => cssOf(colorOf(name));
      colors = { ring: named('line'), classes: CLASSES.map((_, i) => named(`c${i}`)) };
    }
    const [from, to] = [places[low], places[Math.min(low + 1, last)]];
    const points = Float32Array.from(from, (x, i) => (x * (1 - share) + to[i] * share) / 100);
    paint(canvas, points, labels, colors);
  });
}

/** @param points [labels.length, 3], of which x and y are drawn */
function paint(
  canvas: HTMLCanvasElement,
  points: Float32Array,
  labels: readonly number[],
  { ring, classes }: { ring: string; classes: string[] },
): void {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = Math.min(2, devicePixelRatio);
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext('2d')!;
  const scale = (Math.min(width, height) * ratio) / 2.5;
  const circle = (x: number, y: number, radius: number) => {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
  };
  context.translate(canvas.width / 2, canvas.height / 2);
  context.strokeStyle = ring;
  circle(0, 0, scale);
  context.stroke();
  context.globalAlpha = 0.8;
  for (const [i, label] of labels.entries()) {
    context.fillStyle = classes[label];
    circle(points[3 * i] * scale, -points[3 * i + 1] * scale, 4 * ratio);
    context.fill();
  }
}
