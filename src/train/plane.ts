// Methods that fit a density to points on the plane: the model, one update of it, and what is measured while it trains.
import { type Density, logDensity } from '../data/plane.ts';
import type { Device } from '../gpu/device.ts';
import { constant, scalar } from '../graph/tensor.ts';
import { buildMethod, type PlaneMethod, type PlaneRecipe } from '../methods/method.ts';
import { permutation } from '../ops/random.ts';
import { gather, slice } from '../ops/shape.ts';
import { logSumExp } from '../ops/softmax.ts';
import { adam } from '../optim/index.ts';
import { compile } from '../runtime/compile.ts';
import { readVariable } from '../runtime/variables.ts';
import type { Task } from './run.ts';
import { NonFiniteError, type Watch } from './session.ts';

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

/** Cells of {@link gridOf} along each axis. */
const CELLS = 256;

/** A grid of square cells around the origin. */
export interface Grid {
  /** Half the width of the whole. */
  half: number;
  /** Cells along each axis. */
  cells: number;
  /** The centres of the cells, row by row from below, [cells * cells, 2]. */
  places: Float32Array;
  /** The area of a cell. */
  area: number;
}

/** The grid that densities are measured and drawn on: it covers 3 standard deviations of the model's region, and all points. */
export function gridOf({ method, hyperparameters, points }: PlaneRun): Grid {
  const farthest = points.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const half = Math.max(3 * method.spread(hyperparameters), 1.15 * farthest);
  const cell = (2 * half) / CELLS;
  const place = (i: number) => cell * (i + 0.5) - half;
  const places = Float32Array.from({ length: 2 * CELLS * CELLS }, (_, i) =>
    place(i % 2 ? Math.floor(i / 2 / CELLS) : (i >> 1) % CELLS),
  );
  return { half, cells: CELLS, places, area: cell ** 2 };
}

/** The metrics of a run on points: the learned constant, and minus the log of the integral of the energy, which it should be. */
export interface PlaneMetrics {
  c: number;
  minusLogZ: number;
}

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
    watch: (device) => watchPlane(device, model, gridOf(run)),
    // Steps are short, and Deno sees their end only every 10 ms.
    stepsInFlight: 50,
  };
}

async function watchPlane(
  device: Device,
  model: PlaneRecipe,
  { places, area }: Grid,
): Promise<Watch<PlaneMetrics>> {
  const step = await compile(device, () => ({
    total: logSumExp(model.log(constant(places, [places.length / 2, 2]))),
  }));
  return {
    async look() {
      // All at once: the next update may be submitted meanwhile.
      const reading = [step.run(), readVariable(device, model.c), step.read('total')] as const;
      const [, [c], [total]] = await Promise.all(reading);
      if (!Number.isFinite(c) || !Number.isFinite(total))
        throw new NonFiniteError('The learned density is not finite.');
      return { c, minusLogZ: -(total + Math.log(area)) };
    },
    dispose: step.dispose,
  };
}

/** The learned density at the cells of a grid, row by row from below. */
export async function densityOn(device: Device, model: PlaneRecipe, { places }: Grid): Promise<Float64Array> {
  const step = await compile(device, () => ({ log: model.log(constant(places, [places.length / 2, 2])) }));
  try {
    await step.run();
    const [log, [c]] = await Promise.all([step.read('log'), readVariable(device, model.c)]);
    return Float64Array.from(log, (value) => Math.exp(value + c));
  } finally {
    step.dispose();
  }
}

/** What counts as no density at all. */
const LEAST = 1e-12;

/** KL(truth || model) on a grid, in nats. The model's mass, exp(c - minusLogZ), is divided out. */
export function divergenceOf(
  truth: Float64Array,
  learned: Float64Array,
  { area }: Grid,
  { c, minusLogZ }: PlaneMetrics,
): number {
  return truth.reduce(
    (total, p, i) => total + (p > LEAST ? p * Math.log(p / learned[i]) * area : 0),
    c - minusLogZ,
  );
}

/** A density at the cells of a grid. */
export const densityAt = (density: Density, { places, cells }: Grid): Float64Array =>
  Float64Array.from({ length: cells * cells }, (_, i) =>
    Math.exp(logDensity(density, places[2 * i], places[2 * i + 1])),
  );
