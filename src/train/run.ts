// The loop of a training run, whatever it trains: steps, metrics, checkpoints, recovery from a lost device.
import type { Device } from '../gpu/device.ts';
import { DeviceLostError } from '../gpu/errors.ts';
import { type Scalar, scalar, type Tensor, type Variable } from '../graph/tensor.ts';
import type { Optimizer } from '../optim/index.ts';
import { cosineSchedule } from '../optim/schedule.ts';
import {
  NonFiniteError,
  openSession,
  type Saved,
  type Session,
  type StepOptions,
  type Watch,
} from './session.ts';

/** A model that is ready to be trained, as a kind of data builds it from a method. */
export interface Task<M> extends Pick<StepOptions, 'precision' | 'stepsInFlight'> {
  /** Updates in all. */
  steps: number;
  /** Updates from one look at the metrics to the next, and from one checkpoint to the next. */
  lookEvery: number;
  saveEvery: number;
  /** The learning rate of the first step after the warm-up; it falls to 0 along a cosine. */
  learningRate: number;
  /** Updates in which the learning rate rises to that. Default 0. */
  warmup?: number;
  /** The scalar input that the optimiser takes its learning rate from. */
  rate: Tensor;
  /** All optimisers of the update. */
  optimizers: readonly Optimizer[];
  /** Numbers that change with the share of the training that is done. */
  schedules: Record<string, (done: number) => number>;
  /** What a checkpoint holds: all that changes. */
  variables: readonly Variable[];
  /**
   * Builds one update. `at` is the number of the step, u32; `scalars` hold the current values of `schedules`.
   * @returns the loss, and other numbers to be logged
   */
  build: (at: Tensor, scalars: Record<string, Scalar>) => { loss: Tensor } & Record<string, Tensor>;
  /** Compiles what is measured between steps. */
  watch: (device: Device) => Promise<Watch<M>>;
  /** What is done before every so many steps, from the variables of the task alone: a run that resumes there does it again. */
  refresh?: { every: number; run: (device: Device, step: number) => Promise<void> };
}

/** The metrics after `step` updates. No times: same seed, same adapter, same bytes. */
export type Logged<M> = { step: number; loss: number } & M;

/** A moment of training: `step` updates are done. */
export interface Moment<T> {
  step: number;
  device: Device;
  task: T;
}

/** The shares of a run's steps that are done at its moments. The end is none: what was learned is there to be looked at. */
const MOMENTS = [0, 0.1, 0.3, 0.6];

/** What a run is given besides its task, and what it reports. */
export interface RunOptions<M, T extends Task<M>> {
  /** Builds the task. Called again after a lost device. */
  task: () => T;
  /** Opens the device to work on. Called again after it was lost. */
  open: () => Promise<Device>;
  /** What checkpoints say besides their step. */
  metadata?: Record<string, string>;
  /** The checkpoint to continue from, and the metrics up to there. */
  resume?: { saved: Saved; metrics: Logged<M>[] } | null;
  /** Called when kernels are about to be compiled, and again after a lost device. */
  onReady?: () => void;
  onCompile?: (done: number, total: number) => void;
  onStep?: (step: number, steps: number) => void;
  /** Called with all metrics so far each time one is added. */
  onMetrics?: (metrics: readonly Logged<M>[]) => void;
  /** Called before the first step and at a few moments of training, `MOMENTS`. The next step waits for it. */
  onMoment?: (moment: Moment<T>) => Promise<void>;
  /** Called before the first step, after each epoch, and at the end. */
  onSave?: (saved: Saved) => void;
  /** Asked after each step; true ends the run. */
  stopped?: () => boolean;
  /** Takes a line about what happens. */
  say?: (line: string) => void;
}

/** A run that ended. */
export interface Finished<M, T> {
  device: Device;
  task: T;
  metrics: Logged<M>[];
  saved: Saved;
  /** Whether all steps were done. */
  complete: boolean;
}

/** A device that is lost again and again is not worth another try. */
const MOST_LOSSES = 3;

/**
 * Trains. A lost device is replaced, and the run continues from its last checkpoint.
 * @throws NonFiniteError that names the first op with a non-finite value; earlier checkpoints stay as they are
 */
export async function run<M, T extends Task<M>>(options: RunOptions<M, T>): Promise<Finished<M, T>> {
  let { saved = null, metrics = [] } = options.resume ?? {};
  const keep = (next: Saved) => {
    saved = next;
    options.onSave?.(next);
  };
  for (let losses = 0; ; losses++) {
    try {
      return await runOn(await options.open(), options, saved, metrics, keep);
    } catch (error) {
      if (error instanceof NonFiniteError)
        throw new NonFiniteError(`${error.message} Try a smaller learning rate.`, { cause: error });
      if (!(error instanceof DeviceLostError) || losses === MOST_LOSSES) throw error;
      const from: number = (saved as Saved | null)?.step ?? 0;
      options.say?.(`The GPU device was lost. Resuming from step ${from} on a new one.`);
      metrics = metrics.filter(({ step }) => step <= from);
    }
  }
}

/** Trains on one device, from a checkpoint or from the start. */
async function runOn<M, T extends Task<M>>(
  device: Device,
  options: RunOptions<M, T>,
  from: Saved | null,
  metrics: Logged<M>[],
  keep: (saved: Saved) => void,
): Promise<Finished<M, T>> {
  const task = options.task();
  const { steps, lookEvery, saveEvery } = task;
  options.onReady?.();
  const started = performance.now();
  const session = await openTask(device, task, from, options.onCompile);
  const values = valuesOf(task);
  const save = async (): Promise<Saved> => {
    const saved = await session.save(options.metadata);
    keep(saved);
    return saved;
  };
  const moments = new Set(MOMENTS.map((share) => Math.round(share * steps)).filter((step) => step < steps));
  const pause = async () => {
    const { step } = session;
    if (moments.has(step)) await session.between(() => options.onMoment?.({ step, device, task }));
  };
  const refresh = async () => {
    const { step } = session;
    if (task.refresh && step % task.refresh.every === 0)
      await session.between(() => task.refresh!.run(device, step));
  };
  const look = async () => {
    const { step, outputs, metrics: seen } = await session.look();
    const numbers = Object.entries(outputs).map(([name, [value]]) => [name, value]);
    metrics.push({ step, ...(Object.fromEntries(numbers) as { loss: number }), ...seen });
    options.onMetrics?.(metrics);
  };
  try {
    await session.compileWatch();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const { pipelines, dispatches } = session.stats;
    options.say?.(`${pipelines} kernels compiled in ${seconds} s: ${dispatches} dispatches a step`);
    // A moment is over before the checkpoint of its step: a run that resumes there has had it.
    if (!from) await pause();
    let saved = from ?? (await save());
    let looking = Promise.resolve();
    while (session.step < steps && !options.stopped?.()) {
      await refresh();
      await session.advance(values(session.step));
      const done = session.step;
      options.onStep?.(done, steps);
      await pause();
      if (done % lookEvery === 0 || done === steps) {
        await looking;
        looking = look();
        // Awaited before the next look; until then a failure must not count as unhandled.
        looking.catch(() => {});
      }
      if (done % saveEvery === 0) {
        await looking;
        saved = await save();
      }
    }
    await looking;
    if (saved.step !== session.step) saved = await save();
    return { device, task, metrics, saved, complete: session.step === steps };
  } finally {
    session.dispose();
  }
}

/** A task as a session, whose inputs are the task's schedules and its learning rate. */
function openTask<M>(
  device: Device,
  task: Task<M>,
  from: Saved | null,
  onProgress?: (done: number, total: number) => void,
): Promise<Session<M>> {
  const { optimizers, variables, precision, stepsInFlight } = task;
  const scalars = Object.fromEntries(Object.keys(task.schedules).map((name) => [name, scalar()]));
  return openSession(device, {
    inputs: { ...scalars, learningRate: task.rate },
    build: ({ step }) => task.build(step, scalars),
    watch: () => task.watch(device),
    ...{ optimizers, variables, from, precision, stepsInFlight, onProgress },
  });
}

/** The values of a task's inputs at a step. */
function valuesOf<M>({ steps, learningRate: base, warmup, schedules }: Task<M>) {
  const rate = cosineSchedule({ steps, base, ...(warmup && { warmup }) });
  return (at: number): Record<string, number> => ({
    ...Object.fromEntries(Object.entries(schedules).map(([name, valueAt]) => [name, valueAt(at / steps)])),
    learningRate: rate(at),
  });
}
