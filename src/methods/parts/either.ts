import type { Scalar, Tensor } from '../../graph/tensor.ts';
import { add, mul, sub } from '../../ops/binary.ts';

/**
 * `a` where `on` is 1, `b` where it is 0, and a blend of both in between. A number selects when the graph is built; a scalar
 * input can change during training.
 */
export function either(on: Scalar, a: () => Tensor, b: () => Tensor): Tensor {
  if (on === 1) return a();
  if (on === 0) return b();
  return add(mul(a(), on), mul(b(), sub(1, on)));
}
