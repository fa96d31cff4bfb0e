import { checkTensor, scalarsOf, WEIGHT } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { constant, reshape, type Scalar, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, greater, mul, select, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean, sum } from '../ops/reduce.ts';
import { concatenate, gather, slice } from '../ops/shape.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { log, neg, sqrt, square } from '../ops/unary.ts';
import { alignmentLoss } from './alignment.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews } from './parts/views.ts';

const weights = { alignWeight: [1, WEIGHT], koleoWeight: [1, WEIGHT] } as const;
const hyperparameters = { ...weights, chunks: CHUNKS } as const;

/** Added to distances (DINOv2's). */
const EPSILON = 1e-8;
/** Smaller squared distances of unit rows in f32 are rounding errors, and get no gradient: that of a root at 0 is infinite. */
const OF_ROWS = 1e-13;

/** |u_i - u_j|^2 for the nearest j != i, [N]; the choice of j carries no gradient, both rows do. u: [N, D] */
function nearestOf(u: Tensor): Tensor {
  // About their mean, so that rows in a narrow cone keep their precision. <[x_i, 1], [x_j, -|x_j|^2 / 2]> is largest for the nearest.
  const x = stopGradient(sub(u, mean(u, { axes: 0, keepDims: true })));
  const height = mul(sum(square(x), { axes: 1, keepDims: true }), -0.5);
  const axis = 1;
  const queries = concatenate([x, constant(1, height.shape)], { axis });
  const { indices } = topKSimilar(queries, concatenate([x, height], { axis }), { k: 2 }); // [N, 2]
  const [first, second] = [0, 1].map((place) => {
    const ids = reshape(slice(indices, { starts: [0, place], sizes: [-1, 1] }), [-1]);
    return sum(square(sub(u, gather(u, ids))), { axes: 1 });
  });
  // A row is its own nearest, at a distance of exactly 0.
  return select(greater(first, 0), first, second);
}

/**
 * KoLeo, the Kozachenko-Leonenko estimate of the differential entropy: Sablayrolles et al. 2019, arXiv 1806.03198, Equation 3, as
 * in DINOv2 (Oquab et al. 2023, arXiv 2304.07193): `-1/N sum_i log(|u_i - u_nn(i)| + 1e-8)`, nn(i) the nearest other row.
 *
 * Nearest rows are found by a streamed top-2. A row of zeros stays zero, at distance 1 from all unit rows.
 *
 * @param z embeddings f32 [N, D], N >= 2; normalised here
 * @returns a scalar: 18.4 where each row coincides with another, which has no gradient
 * @throws ShapeError
 */
export function koleoLoss(z: Tensor): Tensor {
  checkTensor('koleoLoss', 'z', z, { dtype: 'f32', rank: 2 });
  if (z.shape[0] < 2) throwShapeError('koleoLoss', `expected 2 rows at least, got ${show(z.shape)}`);
  const squared = nearestOf(l2Normalize(z));
  const distance = sqrt(select(greater(squared, OF_ROWS), squared, stopGradient(add(squared, 1e-30))));
  return neg(mean(log(add(distance, EPSILON))));
}

/**
 * Alignment with KoLeo as the regulariser in the place of uniformity, on each view by itself, as DINOv2 has it; their mean.
 *
 * @param zA embeddings of view A, [N, D], N >= 2; normalised here
 * @param zB embeddings of view B, [N, D]
 * @param alignWeight default 1
 * @param koleoWeight default 1: DINOv2's 0.1 is beside other losses, and too little beside alignment (docs/decisions.md, "Small choices in
 *   methods")
 * @throws ShapeError unless both views are [N, D], N >= 2
 */
export function alignKoleoLoss(
  zA: Tensor,
  zB: Tensor,
  options: { alignWeight?: Scalar; koleoWeight?: Scalar } = {},
): Tensor {
  checkViews('alignKoleoLoss', zA, zB);
  const { alignWeight, koleoWeight } = scalarsOf('alignKoleoLoss', options, weights);
  const spread = mul(add(koleoLoss(zA), koleoLoss(zB)), 0.5);
  return add(mul(alignmentLoss(zA, zB), alignWeight), mul(spread, koleoWeight));
}

/** Alignment and KoLeo of two views of each image. */
export const koleo = {
  title: 'Alignment + KoLeo',
  paper: 'Sablayrolles et al., arXiv 1806.03198',
  year: 2018,
  summary: 'views agree, and each row moves away from its nearest neighbour',
  data: 'images',
  hyperparameters,
  loss: alignKoleoLoss,
} satisfies ImageMethod<typeof hyperparameters>;
