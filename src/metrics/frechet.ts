import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { checkOn } from '../runtime/check.ts';
import { checkRows, type Rows, readRows } from './compute.ts';
import { pivotedCholesky, symmetricEigenvalues } from './eigen.ts';

/** Pivots of a covariance below this share of the largest are rounding. */
const ROUNDING = 1e-14;

/**
 * The Fréchet distance of two sets of embeddings, squared, as FID has it (Heusel et al. 2017, arXiv 1706.08500, Equation 6): that of the
 * Gaussians with their means and covariances, |m_x - m_y|^2 + tr(C_x + C_y - 2 (C_x C_y)^1/2). 0 where these agree. On the CPU, in float64.
 *
 * It depends on the number of rows: compare it with that of other data of the same size.
 * @param x, y f32 [N, D], [M, D], each of more than D rows: covariances of fewer are singular, and the distance far too large
 * @returns NaN if a number is not finite
 * @throws ShapeError, InputError
 */
export async function frechetDistance(device: Device, x: Rows, y: Rows): Promise<number> {
  const where = 'frechetDistance';
  checkOn(where, device);
  const [[, D], [, E]] = [checkRows(where, x), checkRows(where, y)];
  if (D !== E) throw new InputError(`${where}: expected rows of one width, got ${D} and ${E}`);
  for (const { shape } of [x, y])
    if (shape[0] <= D)
      throw new InputError(`${where}: expected more than ${D} rows of width ${D}, got ${shape[0]}`);
  const [a, b] = await Promise.all(
    [x, y].map(async (rows) => momentsOf(await readRows(where, device, rows), D)),
  );
  let total = 0;
  for (let d = 0; d < D; d++)
    total += (a.mean[d] - b.mean[d]) ** 2 + a.covariance[d * D + d] + b.covariance[d * D + d];
  // The eigenvalues of C_x C_y are those of L' C_y L, which is symmetric, for C_x = L L'.
  const values = symmetricEigenvalues(sandwiched(b.covariance, a.covariance, D), D);
  const rest = values.reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
  // The roots of a covariance that is its own partner add up to its trace, but for rounding.
  return total - 2 * rest > 0 || Number.isNaN(total - 2 * rest) ? total - 2 * rest : 0;
}

/** Mean and unbiased covariance [D, D] of rows. */
function momentsOf(data: Float32Array, D: number): { mean: Float64Array; covariance: Float64Array } {
  const N = data.length / D;
  const mean = new Float64Array(D);
  for (let i = 0; i < data.length; i++) mean[i % D] += data[i] / N;
  const covariance = new Float64Array(D * D);
  const row = new Float64Array(D);
  for (let n = 0; n < N; n++) {
    for (let d = 0; d < D; d++) row[d] = data[n * D + d] - mean[d];
    for (let i = 0; i < D; i++) {
      const into = covariance.subarray(i * D, (i + 1) * D);
      const by = row[i] / (N - 1);
      for (let j = 0; j <= i; j++) into[j] += by * row[j];
    }
  }
  for (let i = 0; i < D; i++) for (let j = 0; j < i; j++) covariance[j * D + i] = covariance[i * D + j];
  return { mean, covariance };
}

/** L' B L for A = L L', up to the order of rows and columns of A, which its eigenvalues do not depend on. */
function sandwiched(b: Float64Array, a: Float64Array, D: number): Float64Array {
  const { factor, order } = pivotedCholesky(a, D, ROUNDING);
  // B L: row i is that of the variable order[i].
  const half = new Float64Array(D * D);
  for (let i = 0; i < D; i++)
    for (let k = 0; k < D; k++) {
      const by = b[order[i] * D + order[k]];
      for (let j = 0; j <= k; j++) half[i * D + j] += by * factor[k * D + j];
    }
  const result = new Float64Array(D * D);
  for (let k = 0; k < D; k++)
    for (let i = 0; i <= k; i++) {
      const by = factor[k * D + i];
      for (let j = 0; j < D; j++) result[i * D + j] += by * half[k * D + j];
    }
  return result;
}
