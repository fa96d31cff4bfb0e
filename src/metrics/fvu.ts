import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { normalArray } from '../ops/random.ts';
import { checkOn } from '../runtime/check.ts';
import { checkRows, type Rows, readRows, sameShapes } from './compute.ts';
import { dot, principalAxes } from './principal_axes.ts';
import { isRounding } from './relative.ts';

/**
 * The fraction of variance unexplained by predictions of rows: sum |x - x^|^2 / sum |x - mean x|^2. 0 where all are exact, 1 for a
 * prediction by the mean of the rows; worse ones are above 1. On the CPU, in float64.
 * @param x, predicted f32 [N, D], the same samples
 * @returns NaN where all rows of x are equal (to f32's rounding)
 * @throws ShapeError, InputError
 */
export async function fvu(device: Device, x: Rows, predicted: Rows): Promise<number> {
  checkOn('fvu', device);
  sameShapes('fvu', x, predicted);
  const [, D] = checkRows('fvu', x);
  const [data, guessed] = await Promise.all([x, predicted].map((rows) => readRows('fvu', device, rows)));
  const error = data.reduce((sum, value, i) => sum + (value - guessed[i]) ** 2, 0);
  return error / spreadOf(data, D);
}

/** The mean of rows, in float64. */
function meanOf(data: Float32Array, D: number): Float64Array {
  const mean = new Float64Array(D);
  for (let i = 0; i < data.length; i++) mean[i % D] += data[i];
  return mean.map((sum) => (sum * D) / data.length);
}

/** sum |x - mean x|^2; NaN where that is rounding. */
function spreadOf(data: Float32Array, D: number): number {
  const mean = meanOf(data, D);
  let [spread, size] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    spread += (data[i] - mean[i % D]) ** 2;
    size += data[i] ** 2;
  }
  return isRounding(spread, size) ? Number.NaN : spread;
}

/**
 * The fraction of variance of held-out rows that principal components of other rows leave unexplained: each held-out row is predicted by
 * the mean of the others plus its parts along their `components` directions of largest variance. What a dense code of so many numbers
 * explains, beside a sparse one. On the CPU, in float64.
 * @param train f32 [N, D] @param test f32 [M, D]
 * @param options.components 0 to D
 * @returns NaN where all held-out rows are equal (to f32's rounding)
 * @throws ShapeError, InputError
 */
export async function principalFvu(
  device: Device,
  train: Rows,
  test: Rows,
  options: { components: number },
): Promise<number> {
  const where = 'principalFvu';
  checkOn(where, device);
  const [[N, D], [M, E]] = [checkRows(where, train), checkRows(where, test)];
  if (D !== E) throw new InputError(`${where}: expected rows of one width, got ${D} and ${E}`);
  checkOptions(where, options, ['components']);
  checkNumber(where, 'components', options.components, { least: 0, most: D, whole: true });
  const [known, asked] = await Promise.all([train, test].map((rows) => readRows(where, device, rows)));
  const mean = meanOf(known, D);
  const covariance = new Float64Array(D * D);
  const centred = new Float64Array(D);
  for (let n = 0; n < N; n++) {
    for (let d = 0; d < D; d++) centred[d] = known[n * D + d] - mean[d];
    for (let i = 0; i < D; i++)
      for (let j = 0; j <= i; j++) covariance[i * D + j] += (centred[i] * centred[j]) / N;
  }
  for (let i = 0; i < D; i++) for (let j = 0; j < i; j++) covariance[j * D + i] = covariance[i * D + j];
  const start = Array.from({ length: options.components }, (_, stream) =>
    normalArray(D, { seed: 0, stream }),
  );
  const axes = principalAxes(covariance, start);
  let error = 0;
  for (let m = 0; m < M; m++) {
    for (let d = 0; d < D; d++) centred[d] = asked[m * D + d] - mean[d];
    error += axes.reduce((rest, axis) => rest - dot(axis, centred) ** 2, dot(centred, centred));
  }
  return error / spreadOf(asked, D);
}
