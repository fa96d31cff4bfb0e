// Points that a generator makes of noise, and what is measured of them.
import type { Density } from '../data/plane.ts';
import type { Device } from '../gpu/device.ts';
import { constant, reshape } from '../graph/tensor.ts';
import { compileTrajectory, type Direction, type Generator, trajectory } from '../methods/parts/diffusion.ts';
import { compute } from '../metrics/compute.ts';
import { normalArray } from '../ops/random.ts';
import { concatenate } from '../ops/shape.ts';

/** How near a sample must be to a centre of the density to count as one of its mode. */
export const NEAR = 0.4;
/** The share of its fair share of samples that a mode needs to count as covered. */
const COVERED = 0.25;

/** Samples at the modes of a density of Gaussians. */
export interface ModeCounts {
  /** Modes with at least a quarter of their fair share of the samples. */
  covered: number;
  /** The share of samples within .4 of a mode. */
  near: number;
}

/** Counts points [N, 2] by the mode that they are near. */
export function modesOf(points: Float32Array, { centres }: Density): ModeCounts {
  const N = points.length / 2;
  const counts = new Array<number>(centres.length).fill(0);
  for (let i = 0; i < N; i++) {
    const distances = centres.map(([x, y]) => Math.hypot(points[2 * i] - x, points[2 * i + 1] - y));
    const nearest = distances.indexOf(Math.min(...distances));
    if (distances[nearest] < NEAR) counts[nearest]++;
  }
  return {
    covered: counts.filter((count) => count >= (COVERED * N) / centres.length).length,
    near: counts.reduce((a, b) => a + b) / N,
  };
}

/** The way of points from one end to the other: its states, [N, 2] each, in units of the data. */
export async function statesOf(
  device: Device,
  generator: Generator,
  points: Float32Array,
  { steps, towards }: { steps: number; towards: Direction },
): Promise<Float32Array[]> {
  const shape = [points.length / 2, 2];
  const { all } = await compute(device, () => {
    const start = constant(points, shape);
    const states = trajectory(
      generator,
      towards === 'noise' ? generator.scaled(start) : start,
      steps,
      towards,
    );
    return { all: concatenate(states.map((x) => reshape(generator.unscaled(x), [1, ...shape]))) };
  });
  return Array.from({ length: steps + 1 }, (_, i) => all.slice(i * points.length, (i + 1) * points.length));
}

/** How well the inversion of points [N, 2] is undone. */
export interface RoundTrip {
  steps: number;
  /** Root of the mean squared error of a coordinate, in units of the data. */
  error: number;
  /** Standard deviation of a coordinate of the inverted noise. */
  noiseStd: number;
}

/** Inverts points to noise and generates them again, in so many steps each way. */
export async function roundTrips(
  device: Device,
  generator: Generator,
  points: Float32Array,
  numbers: readonly number[],
): Promise<RoundTrip[]> {
  const count = points.length / 2;
  const { x } = await compute(device, () => ({ x: generator.scaled(constant(points, [count, 2])) }));
  const [there, back] = await Promise.all(
    (['noise', 'data'] as const).map((towards) => compileTrajectory(device, generator, { count, towards })),
  );
  const found: RoundTrip[] = [];
  try {
    for (const steps of numbers) {
      const noise = await there.run(x, steps);
      const again = await back.run(noise, steps);
      const { y } = await compute(device, () => ({ y: generator.unscaled(constant(again, [count, 2])) }));
      const mean = (of: (i: number) => number) => y.reduce((sum, _, i) => sum + of(i), 0) / y.length;
      const error = Math.sqrt(mean((i) => (y[i] - points[i]) ** 2));
      found.push({
        steps,
        error,
        noiseStd: Math.sqrt(mean((i) => noise[i] ** 2) - mean((i) => noise[i]) ** 2),
      });
    }
  } finally {
    for (const each of [there, back]) each.dispose();
  }
  return found;
}

/** Normal noise [count, 2] to generate points of. */
export const planeNoise = (count: number, seed: number): Float32Array =>
  normalArray(2 * count, { seed, stream: 7 });
