// Methods of points on the plane: the model, one update of it, and what is measured while it trains.
import { constant, scalar } from '../graph/tensor.ts';
import { buildMethod, type PlaneMethod, type PlaneRecipe } from '../methods/method.ts';
import { permutation } from '../ops/random.ts';
import { gather, slice } from '../ops/shape.ts';
import { adam } from '../optim/index.ts';
import { type DensityMetrics, gridOf, watchDensity } from './density.ts';
import type { Task } from './run.ts';

/** A training run on points of the plane. */
export interface PlaneRun {
  method: PlaneMethod;
  hyperparameters: Record<string, number>;
  /** The points, [N, 2]. */
  points: Float32Array;
  /** Whether they are known to come from one Gaussian. */
  gaussian: boolean;
  steps: number;
  learningRate: number;
  seed: number;
}

/** Points of a step, unless there are fewer. */
const BATCH = 500;
/** Looks at the metrics in a run. */
const LOOKS = 60;

/** The metrics of a run on points: those of a density, or none besides the loss. */
export type PlaneMetrics = Partial<DensityMetrics>;

/** A run on points as a task, with its model. */
export function planeTask(run: PlaneRun): Task<PlaneMetrics> & { model: PlaneRecipe } {
  const { method, hyperparameters, points, gaussian, steps, seed } = run;
  const rate = scalar();
  const model = buildMethod(method, { gaussian, seed, hyperparameters });
  const parameters = model.parameters ?? [];
  const optimizer = adam(parameters, { learningRate: rate, learningRateFactor: model.learningRateFactor });
  const count = points.length / 2;
  return {
    model,
    steps,
    lookEvery: Math.ceil(steps / LOOKS),
    saveEvery: steps,
    learningRate: run.learningRate,
    rate,
    optimizers: [optimizer],
    schedules: model.schedules ?? {},
    variables: [optimizer.parameters, ...optimizer.state, ...(model.state ?? [])],
    build(step, scalars) {
      const order = permutation(count, { seed, epoch: step });
      const chosen = slice(order, { starts: [0], sizes: [Math.min(BATCH, count)] });
      const loss = model.loss({ x: gather(constant(points, [count, 2]), chosen), step });
      optimizer.minimize(loss);
      model.after?.(scalars);
      return { loss };
    },
    watch: async (device) =>
      'log' in model
        ? watchDensity(device, model, gridOf(points, method.spread?.(hyperparameters) ?? 0))
        : { look: async () => ({}), dispose: () => {} },
    // Steps are short, and Deno sees their end only every 10 ms.
    stepsInFlight: 50,
  };
}
