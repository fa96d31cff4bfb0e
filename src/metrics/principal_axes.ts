import { checkNumber, checkOptions, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { checkSquare, checkValues } from './numbers.ts';

/**
 * The directions of largest variance, by orthogonal iteration: unit vectors, orthogonal to each other, largest variance first. An axis
 * along which nothing varies is zero.
 * @param covariance symmetric positive semidefinite [D, D]
 * @param start the axes [D] at which the iteration starts, as many as are wanted: with those of a similar covariance few rounds are enough
 * @param options.rounds the most rounds; it ends early when the axes no longer change. Default 1000
 * @throws InputError
 */
export function principalAxes(
  covariance: ArrayLike<number>,
  start: readonly ArrayLike<number>[],
  options: { rounds?: number } = {},
): Float64Array[] {
  const where = 'principalAxes';
  const D = checkSquare(where, 'covariance', covariance);
  if (!Array.isArray(start))
    throw new InputError(`${where}: expected an array of axes for "start", got ${shown(start)}`);
  for (const axis of start) {
    const length = checkValues(where, 'start', axis);
    if (length !== D) throw new InputError(`${where}: expected axes [${D}] for "start", got [${length}]`);
  }
  checkOptions(where, options, ['rounds']);
  const { rounds = 1000 } = options;
  checkNumber(where, 'rounds', rounds, { least: 0, most: 1e6, whole: true });
  const matrix = covariance instanceof Float64Array ? covariance : Float64Array.from(covariance);
  let axes = orthonormal(start.map((axis) => Float64Array.from(axis)));
  for (let round = 0; round < rounds; round++) {
    const next = orthonormal(axes.map((axis) => multiply(matrix, axis)));
    const moved = axes.reduce((rest, axis, i) => rest - Math.abs(dot(axis, next[i])), axes.length);
    axes = next;
    if (moved < 1e-12) break;
  }
  return axes;
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j] * b[j];
  return sum;
}

/** A square matrix times a vector. */
export function multiply(matrix: Float64Array, vector: Float64Array): Float64Array {
  const d = vector.length;
  return Float64Array.from({ length: d }, (_, j) => dot(matrix.subarray(j * d, (j + 1) * d), vector));
}

/** Gram-Schmidt in place. */
function orthonormal(axes: Float64Array[]): Float64Array[] {
  for (const [i, axis] of axes.entries()) {
    const before = Math.sqrt(dot(axis, axis));
    for (const other of axes.slice(0, i)) {
      const overlap = dot(other, axis);
      for (let j = 0; j < axis.length; j++) axis[j] -= overlap * other[j];
    }
    const length = Math.sqrt(dot(axis, axis));
    const factor = length > before * 1e-12 ? 1 / length : 0;
    for (let j = 0; j < axis.length; j++) axis[j] *= factor;
  }
  return axes;
}
