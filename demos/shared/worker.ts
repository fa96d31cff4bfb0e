// The worker of every demo: owns the device, trains, and draws. The page only shows and asks.
import {
  AdapterMissingError,
  type Device,
  DeviceLostError,
  InputError,
  NonFiniteError,
  openDevice,
  type Saved,
  WebGPUMissingError,
} from 'hypersphere';
import { messageOf } from './encoder_file.ts';
import { type Data, loadData } from './images.ts';
import {
  type At,
  type Choice,
  type FromWorker,
  type Handlers,
  type Obstacle,
  type Picked,
  SIDE,
  type ToWorker,
} from './protocol.ts';
import { makeRun, type Run } from './run.ts';
import { makeStage, type Stage, type View } from './stage.ts';
import { type Model, makeTrainer, type Setup, type Trainer } from './trainer.ts';

/** Nearest neighbours that are shown. */
const NEIGHBOURS = 5;

const post = (message: FromWorker, transfer: Transferable[] = []) => postMessage(message, { transfer });

/** Runs a demo: `build` makes its model, in the words of the library. */
export function serve(build: (setup: Setup) => Model): void {
  let folder: string;
  /** What the page shows, and what the model was built of: they differ while a build waits. */
  let [asked, choice] = [{} as Choice, {} as Choice];
  const view = {} as View;
  let stage: Stage | null = null;
  let data: Data | null = null;
  let device: Device | null = null;
  let model: { trainer: Trainer; run: Run } | null = null;
  /** Where a run can go on after the device is gone. */
  let kept: (Saved & { choice: Choice }) | null = null;
  /** It trained when its device was lost. */
  let interrupted = false;

  async function openGpu(): Promise<void> {
    const opened = await openDevice();
    device = opened;
    opened.gpu.lost.then(({ reason, message }) => {
      if (device !== opened) return;
      interrupted = model?.run.running ?? false;
      model?.run.pause();
      stage?.clear();
      stopped(new DeviceLostError(reason, message).message);
    });
    stage ??= makeStage(view, {
      show: (picture) => post({ type: 'picture', picture }, [picture]),
      drawn: (step) => model?.run.seen(step),
      running: () => model?.run.running ?? false,
    });
    post({ type: 'opened', adapter: opened.adapter });
  }

  /** Opens a device in place of one that is gone, with all that lay on it. */
  async function reopen(): Promise<void> {
    device?.dispose();
    device = model = null;
    await openGpu();
  }

  /**
   * Makes the model anew; its first points are drawn before its training step is compiled. The metrics' kernels come last,
   * and where a start is waiting after the first step.
   */
  async function make(from: { checkpoint?: Saved | null; network?: Saved }, start = false): Promise<void> {
    stage!.clear();
    model?.trainer.dispose();
    model = null;
    post({ type: 'progress', text: 'Compiling kernels' });
    const [opened, images] = [device!, (data ??= await loadData(folder))];
    const trainer = await makeTrainer(opened, build, images, choice, (points) =>
      stage!.show(opened, images, points),
    ).catch((error) => {
      stage!.clear(); // What it draws from is gone.
      throw error;
    });
    if (from.network) await trainer.loadNetwork(from.network);
    if (from.checkpoint) await trainer.training.restore(from.checkpoint);
    const run = makeRun(trainer, stage!, { settings: () => choice.settings, post, keep, failed });
    model = { trainer, run };
    await keep();
    post({ type: 'built', step: trainer.training.step });
    if (start) run.start();
    else if (!waiting.includes('start')) run.changed();
  }

  async function keep(): Promise<void> {
    const of = choice;
    const state = await model!.trainer.training.save().catch((error) => {
      // The next look reports it.
      if (error instanceof NonFiniteError) return null;
      throw error;
    });
    if (state) kept = { ...state, choice: of };
  }

  let wanted: At | null = null;
  let picking = false;
  /** Only the latest counts: a pointer moves faster than points are read. */
  async function pick(at: At | null): Promise<void> {
    wanted = at;
    if (picking || !stage) return;
    picking = true;
    let now: At | null;
    do {
      now = wanted;
      const near = await stage.pick(now).catch(() => null);
      const picked = near && { ...pictured(near.rows.slice(0, 1 + NEIGHBOURS), data!), low: near.low };
      post({ type: 'picked', picked });
    } while (now !== wanted);
    picking = false;
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
    const words = error instanceof Error ? error.message : String(error);
    const message = error instanceof NonFiniteError ? `${words} Take back the last change.` : words;
    const kind = obstacleOf(error);
    // Who has a checkpoint may try again.
    if (kind && !kept) post({ type: 'obstacle', kind, message });
    else stopped(message);
  }

  const stopped = (message: string) => post({ type: 'failed', message, kept: kept?.step ?? null });

  function dress(now: Partial<View>): void {
    Object.assign(view, now);
    stage?.redraw();
  }

  /** For at once. */
  const immediate: Partial<Handlers<ToWorker>> = {
    live({ settings }) {
      asked = { ...asked, settings };
      if (!waiting.includes('build')) choice = asked;
    },
    style: ({ style }) => dress({ style }),
    size: ({ size }) => dress({ size }),
    turn: (by) => stage?.turn(by),
    pick: ({ at }) => pick(at),
    lose: () => device?.gpu.destroy(),
  };

  /** One after the other. */
  const inTurn: Partial<Handlers<ToWorker>> = {
    async open({ style, size, ...message }) {
      dress({ style, size });
      choice = asked;
      folder = message.data;
      post({ type: 'progress', text: 'Loading images' });
      const loading = loadData(folder);
      loading.catch(() => {});
      await openGpu();
      data = await loading;
      await make({});
    },
    async build({ carry }) {
      const goOn = model?.run.running;
      await model?.run.rest();
      if (!device || device.lost) await reopen();
      if (model) await keep();
      const network = carry && model ? await model.trainer.saveNetwork() : undefined;
      choice = asked;
      await make({ network }, goOn);
    },
    async recover() {
      await model?.run.rest();
      await reopen();
      choice = kept?.choice ?? asked;
      if (!waiting.includes('build')) post({ type: 'choice', choice: (asked = choice) });
      await make({ checkpoint: kept }, interrupted);
      interrupted = false;
    },
  };

  /** As well; after a failure, which the page has told of, there may be no model. */
  const ofModel: Partial<Handlers<ToWorker>> = {
    start: () => model!.run.start(),
    async pause() {
      await model!.run.rest();
      await model!.run.changed();
    },
    step: () => model!.run.step(),
    async reset() {
      const { trainer, run } = model!;
      await run.rest();
      await trainer.training.reset();
      await keep();
      await run.changed();
    },
    async save() {
      const { step, bytes } = await model!.trainer.saveNetwork();
      post({ type: 'saved', bytes, step }, [bytes.buffer]);
    },
    async load({ bytes }) {
      const { trainer, run } = model!;
      const goOn = run.running;
      try {
        trainer.checkFile(bytes);
        await run.rest();
        await trainer.loadFile(bytes);
        await keep();
        await run.changed();
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        post({ type: 'refused', message: `The encoder was not loaded. ${messageOf(error)}` });
        if (goOn) run.start();
      }
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
  /** What was asked for and waits in the queue. */
  const waiting: string[] = [];
  addEventListener('message', ({ data: message }: MessageEvent<ToWorker>) => {
    type Any = Partial<Record<string, (message: ToWorker) => unknown>>;
    const [now, next, later] = [immediate, inTurn, ofModel].map((some) => (some as Any)[message.type]);
    if (message.type === 'pause') model?.run.pause();
    if (message.type === 'open' || message.type === 'build') asked = message.choice;
    if (now) return now(message);
    waiting.push(message.type);
    queue = queue
      .then(() => {
        waiting.shift();
        return (next ?? (model && later))?.(message);
      })
      .catch(failed);
  });
}

/** Points with their labels and pictures. */
function pictured(
  near: { index: number; similarity: number }[],
  { pixels, labels }: Data,
): Omit<Picked, 'low'> {
  const size = SIDE * SIDE;
  const all = new Uint8Array(near.length * size);
  near.forEach(({ index }, k) => all.set(pixels.subarray(index * size, (index + 1) * size), k * size));
  return { items: near.map((item) => ({ ...item, label: labels.test[item.index] })), pixels: all };
}
