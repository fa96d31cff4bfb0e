import type { Scalar, Tensor } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { alignmentLoss } from './alignment.ts';
import { uniformityLoss } from './uniformity.ts';

/**
 * Alignment and uniformity as the objective: Wang & Isola 2020, arXiv 2005.10242, Section 5 and Figure 6.
 *
 * @param zA embeddings of view A, [N, D]; normalised here
 * @param zB embeddings of view B, [N, D]
 * @param alignWeight default 1, uniformWeight default 1, t default 2: the paper's STL-10 settings
 */
export function alignUniform(
  zA: Tensor,
  zB: Tensor,
  { alignWeight = 1 as Scalar, uniformWeight = 1 as Scalar, t = 2 } = {},
): Tensor {
  const uniform = mul(add(uniformityLoss(zA, { t }), uniformityLoss(zB, { t })), 0.5);
  return add(mul(alignmentLoss(zA, zB), alignWeight), mul(uniform, uniformWeight));
}
