// The loop of a training run, whatever it trains: steps, metrics, checkpoints, recovery from a lost device.
import { decodeSafetensors, loadVariables, saveVariables } from '../data/safetensors.ts';
import type { Device } from '../gpu/device.ts';
import { DeviceLostError, HypersphereError } from '../gpu/errors.ts';
import type { Precision } from '../graph/mixed.ts';
import { type Scalar, scalar, type Tensor, type Variable } from '../graph/tensor.ts';
import { type Optimizer, optimizerStatus } from '../optim/index.ts';
import { cosineSchedule } from '../optim/schedule.ts';
import { compile } from '../runtime/compile.ts';

/** A model that is ready to be trained, as a kind of data builds it from a method. */
export interface Task<M> {
  /** Updates in all. */
  steps: number;
  /** Updates from one look at the metrics to the next, and from one checkpoint to the next. */
  lookEvery: number;
  saveEvery: number;
  /** The learning rate of the first step; it falls to 0 along a cosine. */
  learningRate: number;
  /** The scalar input that the optimiser takes its learning rate from. */
  rate: Tensor;
  optimizer: Optimizer;
  /** Numbers that change with the share of the training that is done. */
  schedules: Record<string, (done: number) => number>;
  /** What a checkpoint holds: all that changes. */
  variables: readonly Variable[];
  /** Builds one update. `at` is the number of the step, u32; `scalars` hold the current values of `schedules`. */
  build: (at: Tensor, scalars: Record<string, Scalar>) => { loss: Tensor };
  /** Compiles what is measured between steps. */
  watch: (device: Device) => Promise<Watch<M>>;
  precision?: Precision;
  /** As in `compile`. */
  stepsInFlight?: number;
}

/** Metrics of the current state of a model. */
export interface Watch<M> {
  /** @throws NonFiniteError where a metric that must be finite is not */
  look(): Promise<M>;
  dispose(): void;
}

/** The metrics after `step` updates. No times: same seed, same adapter, same bytes. */
export type Logged<M> = { step: number; loss: number } & M;

/** A checkpoint on the CPU, which survives a lost device. */
export interface Saved {
  step: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** The loss or a gradient was not finite; the run was stopped. */
export class NonFiniteError extends HypersphereError {
  override name = 'NonFiniteError';
}

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
  if (from) loadVariables(device, from.bytes, task.variables);
  const started = performance.now();
  const { step, values, culprit } = await compileTask(device, task, options.onCompile);
  const watch = await task.watch(device).catch((error) => {
    step.dispose();
    throw error;
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const { pipelines, dispatches } = step.stats;
  options.say?.(`${pipelines} kernels compiled in ${seconds} s: ${dispatches} dispatches a step`);
  const save = async (at: number): Promise<Saved> => {
    const metadata = { ...options.metadata, step: String(at) };
    const saved = { step: at, bytes: await saveVariables(device, task.variables, metadata) };
    if (at > 0 && !allFinite(saved))
      throw new NonFiniteError(
        `A parameter is not finite at step ${at}. The state of step ${good.step} is kept; try a smaller learning rate.`,
      );
    keep(saved);
    return saved;
  };
  let good: Saved = from ?? { step: 0, bytes: new Uint8Array() };
  let done = good.step;
  let checked = done;
  const refuse = async (at: number): Promise<never> => {
    throw new NonFiniteError(
      `The loss or its gradient is not finite at step ${at}: first ${await culprit(checked, at)}. ` +
        `The state of step ${good.step} is kept; try a smaller learning rate.`,
    );
  };
  const skipped = async () => (await optimizerStatus(device, task.optimizer)).skipped > 0;
  const look = async (at: number) => {
    const [[loss], bad, seen] = await Promise.all([step.read('loss'), skipped(), watch.look()]);
    if (!Number.isFinite(loss) || bad) await refuse(at);
    checked = at;
    metrics.push({ step: at, loss, ...seen });
    options.onMetrics?.(metrics);
  };
  const checkpoint = async () => {
    // An update that was left out since the last look: a state that no run could continue from.
    if (await skipped()) await refuse(done);
    good = await save(done);
  };
  try {
    if (!from) good = await save(0);
    let looking = Promise.resolve();
    while (done < steps && !options.stopped?.()) {
      await step.run(values(done));
      done++;
      options.onStep?.(done, steps);
      if (done % lookEvery === 0 || done === steps) {
        await looking;
        looking = look(done);
        // Awaited before the next look; until then a failure must not count as unhandled.
        looking.catch(() => {});
      }
      if (done % saveEvery === 0) {
        await looking;
        await checkpoint();
      }
    }
    await looking;
    if (good.step !== done) await checkpoint();
    return { device, task, metrics, saved: good, complete: done === steps };
  } finally {
    step.dispose();
    watch.dispose();
  }
}

/** Whether all numbers of a checkpoint are finite. */
const allFinite = ({ bytes }: Saved): boolean =>
  [...decodeSafetensors(bytes).tensors.values()].every(({ data }) => data.every(Number.isFinite));

/** Compiles the update of a task, with the values of its inputs at a step, and the search for a non-finite value. */
async function compileTask<M>(
  device: Device,
  task: Task<M>,
  onProgress?: (done: number, total: number) => void,
) {
  const { schedules, precision, stepsInFlight } = task;
  const scalars = Object.fromEntries(Object.keys(schedules).map((name) => [name, scalar()]));
  const inputs: Record<string, Tensor> = { ...scalars, step: scalar('u32'), learningRate: task.rate };
  const build = ({ step }: typeof inputs) => task.build(step, scalars);
  const step = await compile(device, build, { inputs, precision, stepsInFlight, onProgress });
  const rate = cosineSchedule({ steps: task.steps, base: task.learningRate });
  const values = (at: number): Record<string, number> => ({
    ...Object.fromEntries(
      Object.entries(schedules).map(([name, valueAt]) => [name, valueAt(at / task.steps)]),
    ),
    ...{ step: at, learningRate: rate(at) },
  });
  /** Repeats the steps since the last good look, on the current state, in a plan that keeps every tensor; names the first bad one. */
  const culprit = async (since: number, until: number): Promise<string> => {
    const check = await compile(device, build, { inputs, precision, check: true, warmUp: false });
    try {
      for (let at = until - 1; at >= since; at--) {
        const found = await check.firstNonFinite(values(at));
        if (found) return found;
      }
      return 'in an update whose inputs are gone';
    } finally {
      check.dispose();
    }
  };
  return { step, values, culprit };
}
