// A log density on the plane that is learned: what is measured of it, during training and after it.
import { type Density, logDensity } from '../data/plane.ts';
import type { Device } from '../gpu/device.ts';
import { constant } from '../graph/tensor.ts';
import type { DensityRecipe } from '../methods/method.ts';
import { logSumExp } from '../ops/softmax.ts';
import { compile } from '../runtime/compile.ts';
import { readVariable } from '../runtime/variables.ts';
import { NonFiniteError, type Watch } from './session.ts';

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
export function gridOf(points: Float32Array, spread: number): Grid {
  const farthest = points.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const half = Math.max(3 * spread, 1.15 * farthest);
  const cell = (2 * half) / CELLS;
  const place = (i: number) => cell * (i + 0.5) - half;
  const places = Float32Array.from({ length: 2 * CELLS * CELLS }, (_, i) =>
    place(i % 2 ? Math.floor(i / 2 / CELLS) : (i >> 1) % CELLS),
  );
  return { half, cells: CELLS, places, area: cell ** 2 };
}

/** The metrics of a density: the learned constant, and minus the log of the integral of the energy, which it should be. */
export interface DensityMetrics {
  c: number;
  minusLogZ: number;
}

/** Compiles what is measured between steps. */
export async function watchDensity(
  device: Device,
  model: DensityRecipe,
  { places, area }: Grid,
): Promise<Watch<DensityMetrics>> {
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
export async function densityOn(
  device: Device,
  model: DensityRecipe,
  { places }: Grid,
): Promise<Float64Array> {
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
  { c, minusLogZ }: DensityMetrics,
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
