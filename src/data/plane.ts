// Densities on the plane, and points drawn from them.
import { normalArray, uniformArray } from '../ops/random.ts';

/** A density on the plane: equally likely Gaussians around `centres`, all with covariance L L^T, L = [[a, 0], [b, c]]. */
export interface Density {
  centres: readonly (readonly [x: number, y: number])[];
  factor: readonly [a: number, b: number, c: number];
}

const round = (sigma: number): Density['factor'] => [sigma, 0, sigma];
const polar = (radius: number, angle: number): [number, number] => [
  radius * Math.cos(angle),
  radius * Math.sin(angle),
];
const times = <T>(n: number, at: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => at(i));

/** The densities by the names that `--density` takes. */
export const densities: Record<string, Density> = {
  gaussian: { centres: [[1, -0.5]], factor: [1, 0.6, 0.8] },
  eightGaussians: { centres: times(8, (i) => polar(2, (i * Math.PI) / 4)), factor: round(0.25) },
  ring: { centres: times(8, (i) => polar(2, (i * Math.PI) / 4)), factor: round(0.15) },
  moons: {
    centres: times(120, (i) => {
      const [x, y] = polar(1.5, (Math.PI * (i % 60)) / 59);
      return i < 60 ? [x - 0.75, y - 0.4] : [0.75 - x, 0.4 - y];
    }),
    factor: round(0.15),
  },
  pinwheel: {
    centres: times(200, (i) => {
      const along = (i % 40) / 39;
      return polar(0.4 + 2 * along, (2 * Math.PI * Math.floor(i / 40)) / 5 + 1.2 * along);
    }),
    factor: round(0.12),
  },
};

/** Independent points of a density, [count, 2]. */
export function samplePoints(
  { centres, factor: [a, b, c] }: Density,
  count: number,
  seed: number,
): Float32Array {
  const which = uniformArray(count, { seed });
  const noise = normalArray(2 * count, { seed, stream: 1 });
  return Float32Array.from({ length: 2 * count }, (_, i) => {
    const [u, v] = noise.subarray(i & ~1);
    const [x, y] = centres[Math.floor(which[i >> 1] * centres.length)];
    return i % 2 ? y + b * u + c * v : x + a * u;
  });
}

/** The log density at a point. */
export function logDensity({ centres, factor: [a, b, c] }: Density, x: number, y: number): number {
  const logs = centres.map(([mx, my]) => {
    const u = (x - mx) / a;
    const v = (y - my - b * u) / c;
    return -(u * u + v * v) / 2;
  });
  const most = Math.max(...logs);
  const total = logs.reduce((sum, log) => sum + Math.exp(log - most), 0);
  return most + Math.log(total / (centres.length * 2 * Math.PI * a * c));
}
