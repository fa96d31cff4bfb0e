// A model in training: its steps, looks at its metrics, a checkpoint now and then.
import { type FromWorker, REST_EVERY, type Settings } from './protocol.ts';
import type { Stage } from './stage.ts';
import type { Trainer } from './trainer.ts';

/** Steps from one look at the metrics to the next, and from one checkpoint to the next. */
const LOOK_EVERY = 10;
const KEEP_EVERY = 100;

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

export type Run = ReturnType<typeof makeRun>;

/** What a run asks of its worker. */
export interface Around {
  /** As they are now. */
  settings: () => Settings;
  post: (message: FromWorker, transfer?: Transferable[]) => void;
  /** Copies the state of this moment to where it survives. */
  keep: () => Promise<void>;
  failed: (error: unknown) => void;
}

export function makeRun(trainer: Trainer, stage: Stage, { settings, post, keep, failed }: Around) {
  const { training, points } = trainer;
  let running = false;
  let ended: Promise<unknown> = Promise.resolve();
  let looking: Promise<void> | null = null;
  let stepsPerSecond = 0;
  let drawn = 0;

  const state = () =>
    post({
      ...{ type: 'state', step: training.step, drawn, running },
      stepsPerSecond: running ? stepsPerSecond : 0,
    });

  /** Reads the metrics; while the last reading is on its way, it is that one. */
  function look(): Promise<void> {
    looking ??= read()
      .catch((error) => {
        pause();
        failed(error);
      })
      .finally(() => (looking = null));
    return looking;
  }

  async function read(): Promise<void> {
    const [{ metrics, covariance, pictures }, rows] = await Promise.all([
      trainer.look(),
      points.embed().then(points.read),
    ]);
    stage.observe(rows, covariance);
    post({ type: 'metrics', metrics });
    if (pictures) post({ type: 'views', pixels: pictures }, [pictures.buffer]);
  }

  async function advance(): Promise<void> {
    await trainer.advance(settings());
    stage.move(training.step);
  }

  async function train(): Promise<void> {
    let [since, from] = [performance.now(), training.step];
    while (running) {
      await advance();
      const { step } = training;
      const now = performance.now();
      if (now - since > 500) {
        stepsPerSecond = (1000 * (step - from)) / (now - since);
        [since, from] = [now, step];
        state();
      }
      if (step % LOOK_EVERY === 0) look();
      if (step % KEEP_EVERY === 0) await keep();
      if (step % REST_EVERY === 0) running = false;
      await turnOfOthers();
    }
  }

  /** Shows that the encoder is another than a moment ago. */
  async function changed(): Promise<void> {
    stage.move(training.step);
    state();
    await look();
  }

  /** Stops after the step that is under way. */
  function pause(): void {
    running = false;
  }

  async function rest(): Promise<void> {
    pause();
    await ended;
    await looking;
  }

  return {
    ...{ changed, pause, rest },
    get running() {
      return running;
    },
    start(): void {
      if (running) return;
      running = true;
      state();
      ended = train()
        .catch(failed)
        .finally(() => {
          pause();
          state();
        });
    },
    async step(): Promise<void> {
      await rest();
      await advance();
      await changed();
    },
    /** The points of `step` are on the canvas. */
    seen(step: number): void {
      const first = drawn === 0 && step > 0;
      drawn = step;
      if (!first) return;
      state();
      look();
    },
  };
}
