import type { Tensor } from '../graph/tensor.ts';
import { div, maximum, sub } from '../ops/binary.ts';
import { max } from '../ops/reduce.ts';
import { slice } from '../ops/shape.ts';
import { abs } from '../ops/unary.ts';

/** The largest |number| of tensors, a scalar: in this unit their squares stay within f32, whatever their scale. */
export const unitOf = (...xs: readonly Tensor[]): Tensor =>
  maximum(
    xs.map((x) => max(abs(x))).reduce((a, b) => maximum(a, b)),
    1e-37,
  );

/** Tensors in the unit of them all. */
export function inUnits(...xs: readonly Tensor[]): { unit: Tensor; in: Tensor[] } {
  const unit = unitOf(...xs);
  return { unit, in: xs.map((x) => div(x, unit)) };
}

/** Rows [N, D] less the first of `of`: exactly 0 where all are equal, and small where they are alike. */
export const fromFirst = (x: Tensor, of = x): Tensor =>
  sub(x, slice(of, { starts: [0, 0], sizes: [1, of.shape[1]] }));
