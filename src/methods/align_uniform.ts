import { checkNumber } from '../gpu/check.ts';
import { scalarsOf, WEIGHT } from '../graph/check.ts';
import { type Scalar, type Tensor, where } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { alignmentLoss } from './alignment.ts';
import { checkViews } from './parts/views.ts';
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
  options: { alignWeight?: Scalar; uniformWeight?: Scalar; t?: number } = {},
): Tensor {
  checkViews('alignUniform', zA, zB);
  const weights = { alignWeight: [1, WEIGHT], uniformWeight: [1, WEIGHT] } as const;
  const { alignWeight, uniformWeight } = scalarsOf('alignUniform', options, weights, 't');
  const { t = 2 } = options;
  checkNumber(where('alignUniform'), 't', t, { above: 0 });
  const uniform = mul(add(uniformityLoss(zA, { t }), uniformityLoss(zB, { t })), 0.5);
  return add(mul(alignmentLoss(zA, zB), alignWeight), mul(uniform, uniformWeight));
}
