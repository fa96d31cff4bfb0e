import { checkFlag, scalarsOf, WEIGHT } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { reshape, type Scalar, type Tensor } from '../graph/tensor.ts';
import { add, div, greater, maximum, mul, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { concatenate } from '../ops/shape.ts';
import { triplets } from '../ops/triplets.ts';
import { sqrt, square } from '../ops/unary.ts';
import { CHUNKS, type ImageMethod, MEMORY, SWITCH, twice } from './method.ts';
import { candidatesOf, checkLabelled, type Memory } from './parts/cross_batch_memory.ts';

const hyperparameters = { margin: [0.2, WEIGHT], hard: [0, SWITCH], memory: MEMORY, chunks: CHUNKS } as const;

/**
 * Smaller squared distances are rounding errors, and get no gradient: that of a root at 0 is infinite. `OF_ROWS` is for unit rows
 * in f32, `OF_SUMS` for |a|^2 + |b|^2 - 2 a.b, relative to |a|^2 + |b|^2.
 */
const OF_ROWS = 1e-13;
const OF_SUMS = 5e-7;

/**
 * Distances [M, N] between rows a [M, D] and b [N, D]. Their mean is subtracted first, so that rows in a narrow cone keep their precision.
 */
function distancesOf(a: Tensor, b: Tensor): Tensor {
  const centre = stopGradient(mean(a, { axes: 0, keepDims: true }));
  const [p, q] = a === b ? [sub(a, centre)] : [a, b].map((x) => sub(x, centre));
  const [p2, q2] = [p, q ?? p].map((x) => sum(square(x), { axes: 1 }));
  const sums = add(reshape(p2, [-1, 1]), reshape(q2, [1, -1]));
  const squared = sub(sums, mul(matmul(p, q ?? p, { transposeB: true }), 2));
  const least = add(mul(stopGradient(sums), OF_SUMS), OF_ROWS);
  return sqrt(maximum(squared, least));
}

/**
 * The triplet loss with mining in the batch: an anchor is to be nearer to its positive than to a negative, by a margin.
 * Semi-hard: Schroff et al. 2015 (FaceNet), arXiv 1503.03832, Section 3.2: for every anchor and positive the nearest negative that
 * is farther than the positive; the mean over the triplets within the margin. Hard: Hermans et al. 2017, arXiv 1703.07737,
 * Equation 5: the farthest positive and the nearest negative of each anchor; the mean over all anchors. Distances are
 * Euclidean, between unit rows (FaceNet squares them); a row of zeros stays zero, at distance 1 from all others.
 *
 * @param z embeddings f32 [M, D], all views together; normalised here
 * @param labels u32 [M]
 * @param margin default 0.2 (FaceNet's)
 * @param hard default false; a loss that stays at the margin means that all embeddings coincide
 * @param memory additional candidates, from past batches. Default none
 * @returns a scalar; 0 where no anchor has a negative: with labels of one class it trains nothing
 * @throws ShapeError unless z is [M, D]; InputError
 */
export function tripletLoss(
  z: Tensor,
  labels: Tensor,
  options: { margin?: Scalar; hard?: boolean; memory?: Memory | null } = {},
): Tensor {
  const { margin } = scalarsOf('tripletLoss', options, { margin: hyperparameters.margin }, 'hard memory');
  const { hard = false, memory = null } = options;
  checkFlag('tripletLoss', 'hard', hard);
  checkLabelled('tripletLoss', z, labels, memory);
  const u = l2Normalize(z);
  const [all, allLabels] = candidatesOf(u, labels, memory);
  const terms = triplets(distancesOf(u, all), [labels, allLabels], { margin, hard });
  return div(sum(terms), hard ? z.shape[0] : maximum(sum(greater(terms, 0)), 1));
}

/** The triplet loss on two views of each labelled image. */
export const triplet = {
  title: 'Triplet loss with mining',
  paper: 'Schroff et al., arXiv 1503.03832',
  year: 2015,
  summary:
    'nearer to a positive than to a negative; semi-hard triplets, or the hardest (--hard 1), which may collapse',
  data: 'images',
  hyperparameters,
  supervised: true,
  // Where all embeddings coincide, no triplet is semi-hard, and the loss is 0.
  pointLoss: ({ margin, hard }) => (hard ? margin : undefined),
  loss: (zA, zB, { margin, hard }, { labels, memory }) =>
    tripletLoss(concatenate([zA, zB]), twice(labels!), { margin, hard: hard !== 0, memory }),
} satisfies ImageMethod<typeof hyperparameters>;
