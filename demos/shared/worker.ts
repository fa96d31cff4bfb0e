// The worker of every demo: owns the device, trains, and draws. The page only shows and asks.
import {
  AdapterMissingError,
  type Device,
  DeviceLostError,
  dataset,
  type Images,
  openDevice,
  parseImages,
  parseLabels,
  WebGPUMissingError,
} from 'hypersphere';
import { dot, plainAxes, principalAxes, projected, turned } from './axes.ts';
import { densityAround, makePainter, reachOf } from './painter.ts';
import {
  type Choice,
  type FromWorker,
  type Handlers,
  type Obstacle,
  type Picked,
  SIDE,
  type Size,
  type Style,
  type ToWorker,
} from './protocol.ts';
import {
  type Checkpoint,
  type Data,
  type Model,
  makeTrainer,
  POINTS,
  type Points,
  type Setup,
  type Trainer,
} from './trainer.ts';

/** Steps from one look at the gauges to the next, and from one checkpoint to the next. */
const LOOK_EVERY = 10;
const KEEP_EVERY = 100;
/** After so many steps a run rests: nobody may be watching, and it costs power. */
const REST_EVERY = 3000;
/** Nearest neighbours that are shown. */
const NEIGHBOURS = 5;

const post = (message: FromWorker, transfer: Transferable[] = []) => postMessage(message, { transfer });

/** Lets messages and frames in between two steps; a timer would wait for 4 ms. */
const turnOfOthers = (() => {
  const { port1, port2 } = new MessageChannel();
  const waiting: (() => void)[] = [];
  port1.onmessage = () => waiting.shift()?.();
  return () =>
    new Promise<void>((resolve) => {
      waiting.push(resolve);
      port2.postMessage(null);
    });
})();

/** Runs a demo: `build` makes its model, in the words of the library. */
export function serve(build: (setup: Setup) => Model): void {
  let folder: string;
  let canvas: OffscreenCanvas;
  let context: GPUCanvasContext;
  let choice: Choice;
  let style: Style;
  let size: Size;
  let sets: { data: Data; points: Images } | null = null;

  let device: Device | null = null;
  let trainer: Trainer | null = null;
  let painter: Awaited<ReturnType<typeof makePainter>> | null = null;
  let drawn: Points;
  let kept: Checkpoint | null = null;

  let running = false;
  let ended: Promise<void> = Promise.resolve();
  let speed = 0;

  // What is drawn.
  let axes = plainAxes(2);
  let density: Float32Array | null = null;
  const view = { yaw: 0.5, pitch: 0.35, picked: -1 };
  let moved = true; // the points, since they were last embedded
  let changed = true; // anything else in the picture
  let drawing = false;

  const zoom = () => (drawn.width > 3 ? 1.25 : 1);
  const shownAxes = () => (drawn.width === 2 ? axes : turned(axes, view.yaw, view.pitch));
  const paint = () =>
    painter!.draw({ style, size, axes: shownAxes(), zoom: zoom(), picked: view.picked, density });

  let lastFrame = 0;
  function frame(now: number) {
    requestAnimationFrame(frame);
    const still = !style.turning || !drawn || drawn.width === 2;
    if (!still) view.yaw += Math.min(100, now - lastFrame) * 1e-4;
    lastFrame = now;
    if (!painter || drawing || device?.lost || !(moved || changed || !still)) return;
    drawing = true;
    if (moved) drawn.embed().catch(() => {});
    moved = changed = false;
    paint();
    device!.gpu.queue.onSubmittedWorkDone().then(
      () => (drawing = false),
      () => (drawing = false),
    );
  }

  const state = () =>
    post({ type: 'state', step: trainer?.step ?? 0, running, stepsPerSecond: running ? speed : 0 });

  async function load(): Promise<void> {
    const name = (part: string, kind: string) => `${folder}fashion-mnist-${part}-${kind}-ubyte.gz`;
    const bytes = async (url: string) => {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`The images could not be loaded: HTTP ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    };
    const part = async (which: string): Promise<Images & { labels: Uint8Array }> => {
      const [images, labels] = await Promise.all(
        ['images-idx3', 'labels-idx1'].map((kind) => bytes(name(which, kind))),
      );
      return { ...(await parseImages(images)), labels: await parseLabels(labels), classes: 10 };
    };
    const [train, test] = await Promise.all(['train-10k', 'test-2k'].map(part));
    const labels = { train: train.labels, test: test.labels };
    sets = {
      data: { train: dataset(train), test: dataset(test, { name: 'test' }), labels },
      points: test,
    };
  }

  async function openGpu(): Promise<void> {
    device = await openDevice();
    const opened = device;
    opened.gpu.lost.then(({ reason, message }) => {
      if (device === opened) lost(new DeviceLostError(reason, message));
    });
    post({ type: 'opened', adapter: opened.adapter });
  }

  function lost(error: DeviceLostError): void {
    running = false;
    painter = null;
    state();
    post({ type: 'lost', message: error.message, step: kept?.step ?? 0 });
  }

  /** Builds the model anew; its first points are drawn before its training step is compiled. */
  async function rebuild(from: { checkpoint?: Checkpoint; network?: Uint8Array } = {}): Promise<void> {
    trainer?.dispose();
    painter?.dispose();
    trainer = painter = null;
    view.picked = -1;
    post({ type: 'progress', text: 'Compiling kernels' });
    const first = async (points: Points) => {
      drawn = points;
      axes = plainAxes(points.width);
      density = points.width === 2 ? new Float32Array(1800) : null;
      const { buffer, width } = points;
      painter = await makePainter(
        device!.gpu,
        context,
        { points: buffer, width, count: POINTS },
        {
          pixels: sets!.points.pixels,
          labels: sets!.points.labels!,
        },
      );
      moved = true;
    };
    const made = await makeTrainer(device!, build, sets!.data, choice, first);
    trainer = made;
    if (from.network) made.loadNetwork(from.network);
    if (from.checkpoint) made.restore(from.checkpoint);
    kept = await made.checkpoint();
    moved = true;
    post({ type: 'built', step: made.step, width: drawn.width });
    await look();
    state();
  }

  let looking: Promise<void> = Promise.resolve();
  async function look(): Promise<void> {
    const now = trainer!;
    const [{ gauges, covariance, pictures }, rows] = await Promise.all([
      now.look(),
      drawn.embed().then(drawn.read),
    ]);
    if (now !== trainer) return;
    if (drawn.width === 2) density = densityAround(rows, sets!.points.labels!);
    if (drawn.width > 3) axes = principalAxes(covariance, axes);
    changed = true;
    post({ type: 'gauges', gauges });
    if (pictures) post({ type: 'views', pixels: pictures }, [pictures.buffer]);
    if (gauges.loss !== undefined && !Number.isFinite(gauges.loss)) {
      running = false;
      throw new Error('The loss is no longer a number. Reset, or take back the last change.');
    }
  }

  async function train(): Promise<void> {
    let [since, from] = [performance.now(), trainer!.step];
    while (running && trainer) {
      await trainer.advance(choice.settings);
      moved = true;
      const { step } = trainer;
      const now = performance.now();
      if (now - since > 500) {
        speed = (1000 * (step - from)) / (now - since);
        [since, from] = [now, step];
        state();
      }
      if (step % LOOK_EVERY === 0) {
        // The last look, in case that it is still being read.
        await looking;
        looking = look();
        looking.catch(() => {});
      }
      if (step % KEEP_EVERY === 0) {
        await looking;
        kept = await trainer.checkpoint();
      }
      if (step % REST_EVERY === 0) running = false;
      await turnOfOthers();
    }
    await looking;
  }

  async function rest(): Promise<void> {
    running = false;
    await ended;
  }

  function start(): void {
    if (running || !trainer) return;
    running = true;
    state();
    ended = train()
      .catch(failed)
      .finally(() => {
        running = false;
        state();
      });
  }

  async function pick(at: Extract<ToWorker, { type: 'pick' }>['at']): Promise<Picked | null> {
    if (!at) return null;
    const rows = await drawn.read();
    const { width } = drawn;
    const row = (i: number) => rows.subarray(i * width, (i + 1) * width);
    let index = -1;
    if ('index' in at) index = ((at.index % POINTS) + POINTS) % POINTS;
    else {
      const reach = reachOf(density !== null);
      const places = projected(rows, shownAxes(), zoom());
      const unit = (2 * reach) / Math.min(size.width, size.height);
      let nearest = 24 * unit;
      for (let i = 0; i < POINTS; i++) {
        const away = Math.hypot(places[3 * i] - at.x * unit, places[3 * i + 1] - at.y * unit);
        // Of points that lie over each other the one in front.
        if (away - 1e-3 * places[3 * i + 2] < nearest) [nearest, index] = [away, i];
      }
    }
    if (index < 0) return null;
    const labels = sets!.points.labels!;
    const items = Array.from({ length: POINTS }, (_, i) => ({
      ...{ index: i, label: labels[i], similarity: dot(row(i), row(index)) },
    })).sort((a, b) => Number(b.index === index) - Number(a.index === index) || b.similarity - a.similarity);
    const shown = items.slice(0, 1 + NEIGHBOURS);
    const pixels = new Uint8Array(shown.length * SIDE * SIDE);
    shown.forEach(({ index: i }, k) =>
      pixels.set(sets!.points.pixels.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE), k * SIDE * SIDE),
    );
    return { items: shown, pixels };
  }

  /** Why there is no device. */
  function obstacleOf(error: unknown): Obstacle | null {
    if (error instanceof WebGPUMissingError) return isSecureContext ? 'noApi' : 'insecure';
    if (error instanceof AdapterMissingError) return 'noAdapter';
    return device ? null : 'blocked';
  }

  function failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    // It is told where the device says so itself.
    if (error instanceof DeviceLostError || device?.lost) return;
    const kind = obstacleOf(error);
    post(kind ? { type: 'obstacle', kind, message } : { type: 'failed', message });
  }

  const handlers: Handlers<ToWorker> = {
    async open(message) {
      ({ canvas, choice, style, size, data: folder } = message);
      requestAnimationFrame(frame);
      post({ type: 'progress', text: 'Loading images' });
      const loading = load();
      loading.catch(() => {});
      await openGpu();
      // Once: Firefox gives it to the first who asks.
      const drawing = canvas.getContext('webgpu');
      if (!drawing) throw new WebGPUMissingError();
      context = drawing;
      await loading;
      await rebuild();
    },
    start,
    async pause() {
      await rest();
    },
    async step() {
      await rest();
      await trainer!.advance(choice.settings);
      moved = true;
      await look();
      state();
    },
    async reset() {
      await rest();
      trainer!.reset();
      kept = await trainer!.checkpoint();
      moved = true;
      await look();
      state();
    },
    live({ settings }) {
      choice = { ...choice, settings };
    },
    async build(message) {
      const goOn = running;
      await rest();
      const network = message.carry ? await trainer?.saveNetwork() : undefined;
      choice = message.choice;
      await rebuild({ network });
      if (goOn) start();
    },
    async save() {
      const { step } = trainer!;
      const bytes = await trainer!.saveNetwork();
      post({ type: 'saved', bytes, step }, [bytes.buffer]);
    },
    async load({ bytes }) {
      await rest();
      trainer!.loadNetwork(bytes);
      moved = true;
      await look();
      state();
    },
    async image() {
      paint();
      post({ type: 'image', blob: await canvas.convertToBlob() });
    },
    async positions() {
      await drawn.embed();
      const positions = projected(await drawn.read(), shownAxes(), zoom());
      post({ type: 'positions', positions, labels: sets!.points.labels!.slice(0, POINTS) }, [
        positions.buffer,
      ]);
    },
    style(message) {
      style = message.style;
      changed = true;
    },
    size(message) {
      size = message.size;
      changed = true;
    },
    turn({ yaw, pitch }) {
      view.yaw += yaw;
      view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + pitch));
      changed = true;
    },
    async pick({ at }) {
      const picked = await pick(at);
      view.picked = picked?.items[0].index ?? -1;
      changed = true;
      post({ type: 'picked', picked });
    },
    async recover() {
      running = false;
      await ended;
      device?.dispose();
      device = trainer = painter = null;
      await openGpu();
      if (!sets) await load();
      await rebuild({ checkpoint: kept ?? undefined });
    },
    lose() {
      device?.gpu.destroy();
    },
  };

  /** What asks for a model; after a failure, which the page has told of, there may be none. */
  const ofModel = ['start', 'step', 'reset', 'save', 'load', 'image', 'positions', 'pick'];
  // One after the other; a pause, a knob and the view are for at once.
  let queue: Promise<unknown> = Promise.resolve();
  addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
    const run = () => (handlers[data.type] as (message: ToWorker) => unknown)(data);
    if (data.type === 'pause') running = false;
    if (['live', 'style', 'size', 'turn', 'lose'].includes(data.type)) run();
    else queue = queue.then(() => (trainer || !ofModel.includes(data.type) ? run() : null)).catch(failed);
  });
}
