import type { Gauges } from './protocol.ts';

/** A run as it was drawn: `recording.json` of a demo, made by `npm run demos -- --record`. */
export interface Recording {
  labels: number[];
  /** After each look: base64 of signed bytes x, y, z of every point, 100 being the radius. */
  frames: { gauges: Gauges; points: string }[];
}

/** Plays a demo's recording on a canvas, over and over; with `still` only its last moment. */
export async function play(
  canvas: HTMLCanvasElement,
  {
    colors,
    still,
    say,
    gauges,
  }: {
    colors: () => { ring: string; classes: string[] };
    still: boolean;
    say: (text: string) => void;
    gauges: (gauges: Gauges) => void;
  },
): Promise<void> {
  const response = await fetch('recording.json');
  if (!response.ok) throw new Error(`The recording could not be loaded: HTTP ${response.status}`);
  const { labels, frames } = (await response.json()) as Recording;
  const places = frames.map(({ points }) => Int8Array.from(atob(points), (c) => c.charCodeAt(0)));
  const SECONDS = 0.25; // from one frame to the next
  let shown = -1;

  const begun = performance.now();
  function draw(now: number): void {
    const at = still ? frames.length - 1 : (Math.max(0, now - begun) / 1000 / SECONDS) % frames.length;
    const [low, share] = [Math.floor(at), at % 1];
    const [from, to] = [places[low], places[Math.min(low + 1, places.length - 1)]];
    if (low !== shown) {
      shown = low;
      gauges(frames[low].gauges);
      say(`A recorded run, step ${frames[low].gauges.step}.`);
    }
    const { width, height } = canvas.getBoundingClientRect();
    const ratio = Math.min(2, devicePixelRatio);
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext('2d')!;
    const scale = (Math.min(width, height) * ratio) / 2.5;
    const { ring, classes } = colors();
    context.translate(canvas.width / 2, canvas.height / 2);
    context.strokeStyle = ring;
    context.beginPath();
    context.arc(0, 0, scale, 0, 2 * Math.PI);
    context.stroke();
    context.globalAlpha = 0.8;
    for (let i = 0; i < labels.length; i++) {
      const [x, y] = [0, 1].map((a) => (from[3 * i + a] * (1 - share) + to[3 * i + a] * share) / 100);
      context.fillStyle = classes[labels[i]];
      context.beginPath();
      context.arc(x * scale, -y * scale, 4 * ratio, 0, 2 * Math.PI);
      context.fill();
    }
    if (!still) requestAnimationFrame(draw);
  }
  draw(begun);
}
