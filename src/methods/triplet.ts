import { checkFlag, scalarsOf, WEIGHT } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { div, greater, maximum, mul, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { sum } from '../ops/reduce.ts';
import { triplets } from '../ops/triplets.ts';
import { sqrt } from '../ops/unary.ts';
import { candidatesOf, checkLabelled, type Memory } from './parts/cross_batch_memory.ts';

/** Squared distances below are rounding of 2 - 2 u.v, and have no gradient: that of a root at 0 is infinite. */
const EPSILON = 1e-6;

/**
 * The triplet loss with mining in the batch: an anchor is to be nearer to its positive than to a negative, by a margin.
 * Semi-hard: Schroff et al. 2015 (FaceNet), arXiv 1503.03832, Section 3.2: for every anchor and positive the nearest negative that
 * is farther than the positive; the mean over the triplets within the margin. Hard: Hermans et al. 2017, arXiv 1703.07737,
 * Equation 5: the farthest positive and the nearest negative of each anchor; the mean over all anchors. Distances are
 * Euclidean, of unit rows (FaceNet squares them); a zero row counts as orthogonal to all others.
 *
 * @param z embeddings [M, D], all views together; normalised here
 * @param labels u32 [M]
 * @param margin default 0.2 (FaceNet's)
 * @param hard default false; a loss that stays at the margin means that all embeddings coincide
 * @param memory more candidates, of past batches; none unless told
 * @returns 0 too where no anchor has a negative: with labels of one class it trains nothing
 * @throws ShapeError unless z is [M, D]
 */
export function triplet(
  z: Tensor,
  labels: Tensor,
  options: { margin?: Scalar; hard?: boolean; memory?: Memory | null } = {},
): Tensor {
  const { margin } = scalarsOf('triplet', options, { margin: [0.2, WEIGHT] }, 'hard memory');
  const { hard = false, memory = null } = options;
  checkFlag('triplet', 'hard', hard);
  checkLabelled('triplet', z, labels, memory);
  const u = l2Normalize(z);
  const [all, allLabels] = candidatesOf(u, labels, memory);
  const squared = sub(2, mul(matmul(u, all, { transposeB: true }), 2)); // [M, M + K]
  const terms = triplets(sqrt(maximum(squared, EPSILON)), [labels, allLabels], { margin, hard });
  return div(sum(terms), hard ? z.shape[0] : maximum(sum(greater(terms, 0)), 1));
}
