// The worker of every demo: owns the device, trains, and draws. The page only shows and asks.
import {
  AdapterMissingError,
  type Device,
  DeviceLostError,
  InputError,
  openDevice,
  WebGPUMissingError,
} from 'hypersphere';
import { type Data, loadData } from './images.ts';
import {
  type At,
  type Choice,
  type FromWorker,
  type Handlers,
  type Obstacle,
  type Picked,
  REST_EVERY,
  SIDE,
  type ToWorker,
} from './protocol.ts';
import { makeStage, type Stage, type View } from './stage.ts';
import { type Checkpoint, type Model, makeTrainer, type Setup, type Trainer } from './trainer.ts';

/** Steps from one look at the gauges to the next, and from one checkpoint to the next. */
const LOOK_EVERY = 10;
const KEEP_EVERY = 100;
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
  let choice: Choice;
  const view = {} as View;
  let stage: Stage | null = null;
  let data: Data | null = null;
  let device: Device | null = null;
  let trainer: Trainer | null = null;
  /** Where a run can go on after the device is gone. */
  let kept: (Checkpoint & { choice: Choice }) | null = null;

  let running = false;
  let ended: Promise<unknown> = Promise.resolve();
  let looking: Promise<void> | null = null;
  let speed = 0;
  let drawn = 0;

  const state = () =>
    post({
      ...{ type: 'state', step: trainer?.step ?? 0, drawn, running },
      stepsPerSecond: running ? speed : 0,
    });

  async function openGpu(): Promise<void> {
    const opened = await openDevice();
    device = opened;
    opened.gpu.lost.then(({ reason, message }) => {
      if (device !== opened) return;
      running = false;
      stage!.clear();
      state();
      const said = new DeviceLostError(reason, message).message;
      post({ type: 'failed', message: said, step: kept?.step ?? 0 });
    });
    post({ type: 'opened', adapter: opened.adapter });
  }

  /** Builds the model anew; its first points are drawn before its training step is compiled. */
  async function rebuild(from: { checkpoint?: Checkpoint | null; network?: Uint8Array }): Promise<void> {
    stage!.clear();
    trainer?.dispose();
    trainer = null;
    drawn = 0;
    post({ type: 'progress', text: 'Compiling kernels' });
    const images = (data ??= await loadData(folder));
    const opened = device!;
    trainer = await makeTrainer(opened, build, images, choice, (points) =>
      stage!.show(opened, images, points),
    );
    if (from.network) trainer.loadNetwork(from.network);
    if (from.checkpoint) trainer.restore(from.checkpoint);
    await keep();
    stage!.move(trainer.step);
    post({ type: 'built', step: trainer.step });
    await look();
    state();
  }

  async function keep(): Promise<void> {
    const of = choice;
    kept = { ...(await trainer!.checkpoint()), choice: of };
  }

  /** Reads the gauges; while the last reading is on its way, it is that one. */
  function look(): Promise<void> {
    looking ??= read()
      .catch(failed)
      .finally(() => (looking = null));
    return looking;
  }

  async function read(): Promise<void> {
    const { points } = trainer!;
    const [{ gauges, covariance, pictures }, rows] = await Promise.all([
      trainer!.look(),
      points.embed().then(points.read),
    ]);
    stage!.observe(rows, covariance);
    post({ type: 'gauges', gauges });
    if (pictures) post({ type: 'views', pixels: pictures }, [pictures.buffer]);
    if (gauges.loss !== undefined && !Number.isFinite(gauges.loss)) {
      running = false;
      throw new Error('The loss is no longer a number. Take back the last change.');
    }
  }

  async function train(): Promise<void> {
    let [since, from] = [performance.now(), trainer!.step];
    while (running) {
      await advance();
      const { step } = trainer!;
      const now = performance.now();
      if (now - since > 500) {
        speed = (1000 * (step - from)) / (now - since);
        [since, from] = [now, step];
        state();
      }
      if (step % LOOK_EVERY === 0) {
        await looking; // The last one, in case that it is still being read.
        look();
      }
      if (step % KEEP_EVERY === 0) await keep();
      if (step % REST_EVERY === 0) running = false;
      await turnOfOthers();
    }
  }

  async function advance(): Promise<void> {
    await trainer!.advance(choice.settings);
    stage!.move(trainer!.step);
  }

  /** Shows that the encoder is another, without a step. */
  async function changed(): Promise<void> {
    stage!.move(trainer!.step);
    await look();
    state();
  }

  async function rest(): Promise<void> {
    running = false;
    await ended;
    await looking;
  }

  function start(): void {
    if (running) return;
    running = true;
    state();
    ended = train()
      .catch(failed)
      .finally(() => {
        running = false;
        state();
      });
  }

  let wanted: At | null = null;
  let picking = false;
  /** Only the latest counts: a pointer moves faster than points are read. */
  async function pick(at: At | null): Promise<void> {
    wanted = at;
    if (picking) return;
    picking = true;
    let now: At | null;
    do {
      now = wanted;
      const near = await stage!.pick(now).catch(() => null);
      post({ type: 'picked', picked: near && pictured(near.slice(0, 1 + NEIGHBOURS)) });
    } while (now !== wanted);
    picking = false;
  }

  function pictured(near: { index: number; similarity: number }[]): Picked {
    const { pixels, labels } = data!;
    const size = SIDE * SIDE;
    const all = new Uint8Array(near.length * size);
    near.forEach(({ index }, k) => all.set(pixels.subarray(index * size, (index + 1) * size), k * size));
    return { items: near.map((item) => ({ ...item, label: labels.test[item.index] })), pixels: all };
  }

  /** Why there is no device. */
  function obstacleOf(error: unknown): Obstacle | null {
    if (error instanceof WebGPUMissingError) return isSecureContext ? 'noApi' : 'insecure';
    if (error instanceof AdapterMissingError) return 'noAdapter';
    return device ? null : 'blocked';
  }

  function failed(error: unknown): void {
    // It is told where the device says so itself.
    if (error instanceof DeviceLostError || device?.lost) return;
    const message = error instanceof Error ? error.message : String(error);
    const kind = obstacleOf(error);
    post(kind ? { type: 'obstacle', kind, message } : { type: 'failed', message, step: kept?.step ?? 0 });
  }

  function dress(now: Partial<View>): void {
    Object.assign(view, now);
    stage?.redraw();
  }

  /** For at once. */
  const immediate: Partial<Handlers<ToWorker>> = {
    live: ({ settings }) => (choice = { ...choice, settings }),
    style: ({ style }) => dress({ style }),
    size: ({ size }) => dress({ size }),
    turn: (by) => stage?.turn(by),
    pick: ({ at }) => (stage ? pick(at) : null),
    lose: () => device?.gpu.destroy(),
  };

  /** One after the other. */
  const inTurn: Partial<Handlers<ToWorker>> = {
    async open({ canvas, style, size, ...message }) {
      dress({ style, size });
      ({ choice, data: folder } = message);
      post({ type: 'progress', text: 'Loading images' });
      const loading = loadData(folder);
      loading.catch(() => {});
      await openGpu();
      // Once: Firefox gives it to the first who asks.
      const context = canvas.getContext('webgpu');
      if (!context) throw new WebGPUMissingError();
      stage = makeStage(context, view, (step) => {
        if (drawn === 0 && step > 0) {
          drawn = step;
          state();
        }
        drawn = step;
      });
      data = await loading;
      await rebuild({});
    },
    async build(message) {
      const goOn = running;
      await rest();
      if (trainer) await keep();
      const network = message.carry ? await trainer?.saveNetwork() : undefined;
      ({ choice } = message);
      await rebuild({ network });
      if (goOn) start();
    },
    async recover() {
      await rest();
      device?.dispose();
      device = trainer = null;
      await openGpu();
      if (kept) post({ type: 'choice', choice: ({ choice } = kept).choice });
      await rebuild({ checkpoint: kept });
    },
  };

  /** As well; after a failure, which the page has told of, there may be no model. */
  const ofModel: Partial<Handlers<ToWorker>> = {
    start,
    pause: rest,
    async step() {
      await rest();
      await advance();
      await changed();
    },
    async reset() {
      await rest();
      trainer!.reset();
      await keep();
      await changed();
    },
    async save() {
      const { step } = trainer!;
      const bytes = await trainer!.saveNetwork();
      post({ type: 'saved', bytes, step }, [bytes.buffer]);
    },
    async load({ bytes }) {
      await rest();
      try {
        trainer!.loadNetwork(bytes);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        post({ type: 'failed', message: error.message, step: null });
      }
      await changed();
    },
    async image() {
      post({ type: 'image', blob: await stage!.image() });
    },
    async positions() {
      const positions = await stage!.positions();
      post({ type: 'positions', positions, labels: data!.labels.test.slice(0, positions.length / 3) });
    },
  };

  let queue: Promise<unknown> = Promise.resolve();
  addEventListener('message', ({ data: message }: MessageEvent<ToWorker>) => {
    type Any = Partial<Record<string, (message: ToWorker) => unknown>>;
    const [now, next, later] = [immediate, inTurn, ofModel].map((some) => (some as Any)[message.type]);
    if (message.type === 'pause') running = false;
    if (now) now(message);
    else queue = queue.then(() => (next ?? (trainer && later))?.(message)).catch(failed);
  });
}
