import { dot, principalAxes } from '../metrics/principal_axes.ts';

/**
 * The two directions of largest variance: data [n, d] -> its coordinates on that plane. Deterministic: fixed start, and each axis
 * points where its largest component is positive.
 */
export function principalPlane(data: ArrayLike<number>, n: number, d: number): { x: number[]; y: number[] } {
  if (data.length !== n * d) throw new Error(`principalPlane: expected ${n * d} numbers, got ${data.length}`);
  const mean = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) mean[j] += data[i * d + j] / n;
  const centred = new Float64Array(n * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) centred[i * d + j] = data[i * d + j] - mean[j];
  const covariance = new Float64Array(d * d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++) {
      const a = centred[i * d + j];
      if (a !== 0) for (let k = j; k < d; k++) covariance[j * d + k] += (a * centred[i * d + k]) / n;
    }
  for (let j = 0; j < d; j++) for (let k = 0; k < j; k++) covariance[j * d + k] = covariance[k * d + j];

  const [u, v] = dominantPair(covariance, d);
  const along = (axis: Float64Array) => {
    const largest = axis.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    const sign = largest < 0 ? -1 : 1;
    return Array.from({ length: n }, (_, i) => sign * dot(axis, centred.subarray(i * d, (i + 1) * d)));
  };
  return { x: along(u), y: along(v) };
}

/** The two eigenvectors with the largest eigenvalues of a positive semidefinite matrix [d, d], from a fixed start. */
export const dominantPair = (matrix: Float64Array, d: number, rounds?: number): Float64Array[] =>
  principalAxes(matrix, [start(d, 1), start(d, 2)], rounds === undefined ? {} : { rounds });

/** An arbitrary vector, to which no data set is orthogonal by design. */
const start = (d: number, salt: number) =>
  Float64Array.from({ length: d }, (_, j) => Math.sin(salt * 12.9898 + (j + 1) * 78.233 * salt));
