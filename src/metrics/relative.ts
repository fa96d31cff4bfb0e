import type { Tensor } from '../graph/tensor.ts';
import { div, maximum, sub } from '../ops/binary.ts';
import { max } from '../ops/reduce.ts';
import { slice } from '../ops/shape.ts';
import { abs } from '../ops/unary.ts';

/** The largest absolute value in tensors, a scalar: divided by it, their squares stay within f32. */
export const unitOf = (...xs: readonly Tensor[]): Tensor =>
  maximum(
    xs.map((x) => max(abs(x))).reduce((a, b) => maximum(a, b)),
    1e-37,
  );

/** Tensors divided by the largest absolute value in all of them. */
export function inUnits(...xs: readonly Tensor[]): { unit: Tensor; in: Tensor[] } {
  const unit = unitOf(...xs);
  return { unit, in: xs.map((x) => div(x, unit)) };
}

/** Rows [N, D] minus the first row of `of`: exactly 0 if all are equal, and small if they are similar. */
export const fromFirst = (x: Tensor, of = x): Tensor =>
  sub(x, slice(of, { starts: [0, 0], sizes: [1, of.shape[1]] }));

/**
 * Whether a spread of rows is 0 to f32's rounding: they differ only in the last digits of their largest elements. A metric that divides by such a
 * spread is undefined, and NaN.
 * @param spread a sum of squared distances from the mean of the rows, @param size that of the squares of all their numbers
 */
export const isRounding = (spread: number, size: number): boolean => !(spread > 2 ** -42 * size);
