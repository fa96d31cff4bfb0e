// Methods of rows (the h of a trained encoder): the model, one update of it, and what is measured while it trains.
import type { Device } from '../gpu/device.ts';
import { constant, scalar, type Variable } from '../graph/tensor.ts';
import { buildMethod, type RowsMethod, type SparseRecipe } from '../methods/method.ts';
import { spacedRows } from '../metrics/compute.ts';
import { greater, sub } from '../ops/binary.ts';
import { permutation } from '../ops/random.ts';
import { max, mean, sum } from '../ops/reduce.ts';
import { gather, slice } from '../ops/shape.ts';
import { square } from '../ops/unary.ts';
import { adam } from '../optim/index.ts';
import { compile } from '../runtime/compile.ts';
import type { Task } from './run.ts';
import type { Watch } from './session.ts';

/** A training run on rows. */
export interface RowsRun {
  // biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
  method: RowsMethod<any>;
  hyperparameters: Record<string, number>;
  /** Rows to train on [N, d], of total variance 1. */
  data: Variable;
  /** Held-out rows, [M, d]. */
  validation: Variable;
  /** The geometric median of the rows to train on: see {@link geometricMedian}. */
  center: Float32Array | (() => Float32Array);
  epochs: number;
  batch: number;
  learningRate: number;
  seed: number;
}

/** The metrics of a run on rows, on held-out ones. */
export interface RowsMetrics {
  /** Latents of a row that are not 0, on average. */
  l0: number;
  /** The share of latents that are 0 in all rows. */
  dead: number;
  /** The fraction of the variance that is unexplained. NaN where all rows are equal. */
  fvu: number;
}

/** Held-out rows that the metrics are taken on. */
const WATCHED = 1024;
/** Looks at the metrics in a run. */
const LOOKS = 40;
/** Of Adam (Gao et al. 2024, arXiv 2406.04093, Appendix A.3). */
const EPSILON = 6.25e-10;

/** Updates of a run: an epoch has floor(N / batch). */
export const rowSteps = ({ data, batch, epochs }: Pick<RowsRun, 'data' | 'batch' | 'epochs'>): number =>
  Math.floor(data.shape[0] / batch) * epochs;

/**
 * A run on rows as a task, with its model. Each step draws different rows at random; those of different steps may be the same. The
 * gradient is clipped to norm 1 (`dictionary_learning`).
 */
export function rowsTask(run: RowsRun): Task<RowsMetrics> & { model: SparseRecipe } {
  const { method, hyperparameters, data, validation, center, batch, epochs, seed } = run;
  const [count, width] = data.shape;
  const rate = scalar();
  const model = buildMethod(method, { width, count, center, seed, hyperparameters });
  const optimizer = adam(model.parameters!, { learningRate: rate, clip: 1, epsilon: EPSILON });
  const steps = rowSteps(run);
  return {
    model,
    steps,
    lookEvery: Math.ceil(steps / LOOKS),
    saveEvery: Math.ceil(steps / Math.min(epochs, LOOKS)),
    learningRate: run.learningRate,
    rate,
    optimizers: [optimizer],
    schedules: model.schedules ?? {},
    variables: [optimizer.parameters, ...optimizer.state, ...(model.state ?? [])],
    build(step, scalars) {
      const order = permutation(count, { seed, epoch: step });
      const x = gather(data, slice(order, { starts: [0], sizes: [batch] }));
      const { loss, gradients } = model.gradients!({ x, step });
      optimizer.update(gradients);
      model.after?.(scalars);
      return { loss };
    },
    watch: (device) => watchRows(device, model, validation),
    // Steps are short, and Deno sees their end only every 10 ms.
    stepsInFlight: 50,
  };
}

async function watchRows(
  device: Device,
  { encode, decode }: SparseRecipe,
  rows: Variable,
): Promise<Watch<RowsMetrics>> {
  const [M] = rows.shape;
  const ids = spacedRows(M, Math.min(WATCHED, M));
  const step = await compile(device, () => {
    const x = gather(rows, constant(ids, [ids.length], 'u32'));
    const f = encode(x);
    const spread = sum(square(sub(x, mean(x, { axes: 0, keepDims: true }))));
    return {
      l0: mean(sum(greater(f, 0), { axes: 1 })),
      fired: mean(greater(max(f, { axes: 0 }), 0)),
      error: sum(square(sub(x, decode(f)))),
      spread,
    };
  });
  return {
    async look() {
      // All at once: the next update may be submitted meanwhile.
      const names = ['l0', 'fired', 'error', 'spread'] as const;
      const reading = [step.run(), ...names.map((name) => step.read(name))] as const;
      const [, ...found] = await Promise.all(reading);
      const [[l0], [fired], [error], [spread]] = found as Float32Array[];
      return { l0, dead: 1 - fired, fvu: error / spread };
    },
    dispose: step.dispose,
  };
}
