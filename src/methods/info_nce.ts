import { checkFlag, POSITIVE, scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { checkViews } from './parts/views.ts';

/**
 * InfoNCE: van den Oord et al. 2018, arXiv 1807.03748, Equation 4; symmetric as in CLIP (Radford et al. 2021, Figure 3).
 * Row i of A and row i of B are a pair; the other rows of B are the negatives of A's, and the other way round.
 *
 * @param zA embeddings [N, D]; normalised here
 * @param zB embeddings [N, D] of the pairs
 * @param temperature default 0.07 (MoCo and CLIP start there)
 * @param symmetric mean of A to B and B to A; else A to B only. Default true
 * @throws ShapeError unless both views are [N, D]
 */
export function infoNce(
  zA: Tensor,
  zB: Tensor,
  options: { temperature?: Scalar; symmetric?: boolean } = {},
): Tensor {
  checkViews('infoNce', zA, zB);
  const { temperature } = scalarsOf('infoNce', options, { temperature: [0.07, POSITIVE] }, 'symmetric');
  const { symmetric = true } = options;
  checkFlag('infoNce', 'symmetric', symmetric);
  const [uA, uB] = [l2Normalize(zA), l2Normalize(zB)];
  const lossA = contrast(uA, uB, { temperature, pairOffset: 0, mean: true }).loss;
  if (!symmetric) return lossA;
  return mul(add(lossA, contrast(uB, uA, { temperature, pairOffset: 0, mean: true }).loss), 0.5);
}
