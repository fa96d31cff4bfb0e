import { augment, EVAL, scaledTo } from '../data/augment.ts';
import { batchesPerEpoch, type Dataset, rows } from '../data/dataset.ts';
import { decodeSafetensors, loadVariables, saveVariables } from '../data/safetensors.ts';
import type { Device } from '../gpu/device.ts';
import { DeviceLostError, HypersphereError } from '../gpu/errors.ts';
import { compile, type Step } from '../graph/compile.ts';
import { mixed } from '../graph/mixed.ts';
import { constant, scalar } from '../graph/tensor.ts';
import { readVariable } from '../graph/variables.ts';
import { spacedRows } from '../metrics/compute.ts';
import type { Watched } from '../metrics/curves.ts';
import { compileWatch, type Watch } from '../metrics/watch.ts';
import { concatenate } from '../ops/shape.ts';
import { optimizerStatus } from '../optim/index.ts';
import { cosineSchedule } from '../optim/schedule.ts';
import { buildModel, type Model, represent, trainingStep } from './model.ts';
import { stepsOf } from './needs.ts';
import type { RunOptions } from './options.ts';

/** A line of metrics.jsonl: after `step` updates. No times: same seed, same adapter, same bytes. */
export type Metrics = { step: number; loss: number } & Watched;

/** The state of a run on the CPU: what survives a lost device. */
export interface Saved {
  step: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** The loss or a gradient was not finite; the run was stopped. */
export class NonFiniteError extends HypersphereError {
  override name = 'NonFiniteError';
}

export interface Training {
  options: RunOptions;
  data: Dataset;
  /** Test images for the metrics of the curves. */
  watch: Dataset;
  /** Opens the device to work on; called again after it was lost. */
  open: () => Promise<Device>;
  /** Called when kernels are to be compiled, and again after a lost device. */
  onReady?: () => void;
  /** What checkpoints say besides their step. */
  metadata?: Record<string, string>;
  /** Where to go on from, and the metrics up to there. */
  resume?: { saved: Saved; metrics: Metrics[] } | null;
  onCompile?: (done: number, total: number) => void;
  onStep?: (step: number, steps: number) => void;
  /** All metrics so far, each time one is added. */
  onMetrics?: (metrics: readonly Metrics[]) => void;
  /** Before the first step, each epoch, and at the end. */
  onSave?: (saved: Saved) => void;
  /** Asked after every step; true ends the run after it. */
  stopped?: () => boolean;
  say?: (line: string) => void;
}

export interface Trained {
  device: Device;
  model: Model;
  metrics: Metrics[];
  saved: Saved;
  /** All steps were done. */
  complete: boolean;
}

/** How often the metrics of the curves are taken in an epoch. */
const LOGS_PER_EPOCH = 2;
/** Rows of the batch of test images that they are taken on. */
const WATCHED = 256;
/** Labelled training images that they are classified by, and how many of these go through the encoder at a time. */
const GALLERY = 1024;
const GALLERY_BATCH = 512;
/** A device that is lost over and over is not worth another try. */
const MOST_LOSSES = 3;

/**
 * Trains, taking metrics on the way. A lost device is replaced, and the run goes on from its last saved state.
 * @throws NonFiniteError that names the first op with a non-finite value; what was saved before stays
 */
export async function train(job: Training): Promise<Trained> {
  let { saved = null, metrics = [] } = job.resume ?? {};
  for (let losses = 0; ; losses++) {
    try {
      return await trainOn(await job.open(), job, saved, metrics, (next) => {
        saved = next;
        job.onSave?.(next);
      });
    } catch (error) {
      if (!(error instanceof DeviceLostError) || losses === MOST_LOSSES) throw error;
      const from: number = (saved as Saved | null)?.step ?? 0;
      job.say?.(`The GPU device was lost; going on from step ${from} on a new one.`);
      metrics = metrics.filter(({ step }) => step <= from);
    }
  }
}

async function trainOn(
  device: Device,
  job: Training,
  from: Saved | null,
  metrics: Metrics[],
  save: (saved: Saved) => void,
): Promise<Trained> {
  const { options, data, metadata } = job;
  const steps = stepsOf(options, data);
  const perEpoch = batchesPerEpoch(data, options.batch);
  const every = Math.max(1, Math.round(perEpoch / LOGS_PER_EPOCH));
  const learningRate = scalar();
  const model = buildModel(options, data, learningRate);
  const { schedules = {} } = model.recipe;
  const scalars = Object.fromEntries(Object.keys(schedules).map((name) => [name, scalar()]));
  const inputs = { ...scalars, step: scalar('u32'), learningRate };
  job.onReady?.();
  if (from) loadVariables(device, from.bytes, model.variables);

  const build = ({ step }: typeof inputs) => trainingStep(options, data, model, step, scalars);
  const precision = options.precision === 'mixed' ? mixed : undefined;
  const started = performance.now();
  const step = await compile(device, build, { inputs, precision, onProgress: job.onCompile });
  const watch = await watchModel(device, job, model);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  job.say?.(
    `${step.stats.pipelines} kernels compiled in ${seconds} s: ${step.stats.dispatches} dispatches a step`,
  );
  const rate = cosineSchedule({ steps, base: options.learningRate });
  const values = (at: number) => ({
    ...Object.fromEntries(Object.entries(schedules).map(([name, of]) => [name, of(at / steps)])),
    ...{ step: at, learningRate: rate(at) },
  });
  const run = (s: Step<typeof inputs>, at: number) => s.run(values(at));

  const beginning = async () => {
    const saved = {
      step: 0,
      bytes: await saveVariables(device, model.variables, { ...metadata, step: '0' }),
    };
    save(saved);
    return saved;
  };
  let good: Saved = from ?? (await beginning());
  let checked = good.step;
  let done = good.step;
  const look = async (at: number) => {
    const reading = [step.read('loss'), optimizerStatus(device, model.optimizer), watch.look()] as const;
    const [[loss], status, { metrics: now }] = await Promise.all(reading);
    if (!Number.isFinite(loss) || status.skipped > 0) await refuse(at);
    checked = at;
    metrics.push({ step: at, loss, ...now });
    job.onMetrics?.(metrics);
  };
  const refuse = async (at: number): Promise<never> => {
    throw new NonFiniteError(
      `The loss or its gradient is not finite at step ${at}: first ${await culprit(checked, at)}. ` +
        `The state of step ${good.step} is kept; try a smaller learning rate.`,
    );
  };
  /** Repeats the steps since the last good look, on the state of now, in a plan that keeps every tensor; names the first bad one. */
  const culprit = async (since: number, until: number): Promise<string> => {
    const check = await compile(device, build, { inputs, precision, check: true, warmUp: false });
    try {
      for (let at = until - 1; at >= since; at--) {
        const found = await check.firstNonFinite(values(at));
        if (found) return found;
      }
      return 'in an update that can no longer be repeated';
    } finally {
      check.dispose();
    }
  };
  const keep = async () => {
    const at = done;
    // An update that was left out since the last look: a state that no run could go on from.
    if ((await optimizerStatus(device, model.optimizer)).skipped > 0) await refuse(at);
    const bytes = await saveVariables(device, model.variables, { ...metadata, step: String(at) });
    const finite = [...decodeSafetensors(bytes).tensors.values()].every(({ data }) =>
      data.every(Number.isFinite),
    );
    if (!finite)
      throw new NonFiniteError(
        `A parameter is not finite at step ${at}. The state of step ${good.step} is kept; try a smaller learning rate.`,
      );
    good = { step: at, bytes };
    save(good);
  };

  try {
    let looking = Promise.resolve();
    while (done < steps && !job.stopped?.()) {
      await run(step as Step<typeof inputs>, done);
      done++;
      job.onStep?.(done, steps);
      if (done % every === 0 || done === steps) {
        await looking;
        looking = look(done);
        // Awaited before the next look; until then a failure must not count as unhandled.
        looking.catch(() => {});
      }
      if (done % perEpoch === 0) {
        await looking;
        await keep();
      }
    }
    await looking;
    if (good.step !== done) await keep();
    return { device, model, metrics, saved: good, complete: done === steps };
  } finally {
    step.dispose();
    watch.dispose();
  }
}

/**
 * The metrics of the curves, in inference mode: of z, on two EVAL views of fixed test images; of h, on view A of these and clean
 * training images, evenly spaced.
 */
async function watchModel(device: Device, { watch: queries, data }: Sets, model: Model): Promise<Watch> {
  const batch = Math.min(WATCHED, queries.count);
  const ids = spacedRows(data.count, Math.min(GALLERY, data.count));
  const gallery = () =>
    concatenate(
      Array.from({ length: Math.ceil(ids.length / GALLERY_BATCH) }, (_, i) => {
        const some = ids.subarray(i * GALLERY_BATCH, (i + 1) * GALLERY_BATCH);
        return represent(model, rows(data, constant(some, [some.length], 'u32'))).h;
      }),
    );
  const labelsOf = async () => {
    const [known, asked] = await Promise.all([data, queries].map((set) => readVariable(device, set.labels!)));
    return { gallery: Uint32Array.from(ids, (i) => known[i]), queries: asked.subarray(0, batch) };
  };
  return compileWatch(device, {
    views: () => represent(model, augment(queries, { ...scaledTo(queries, EVAL), batch, start: 0, seed: 5 })),
    ...(data.labels && queries.labels && { labelled: { gallery, labels: await labelsOf() } }),
  });
}

/** The watched test images, and the training images. */
type Sets = Pick<Training, 'watch' | 'data'>;

/** The metrics of the curves once: of the untrained model, which the alarm compares with. */
export async function lookOnce(device: Device, sets: Sets, model: Model): Promise<Watched> {
  const watch = await watchModel(device, sets, model);
  try {
    return (await watch.look()).metrics;
  } finally {
    watch.dispose();
  }
}
