import { scalarsOf, WEIGHT } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { batchNorm } from '../ops/batch_norm.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews } from './parts/views.ts';

const hyperparameters = { lambda: [0.05, WEIGHT], chunks: CHUNKS } as const;

/**
 * Barlow Twins: Zbontar et al. 2021, arXiv 2103.03230, Equations 1 and 2. C is the correlation of the D features of one view
 * with those of the other over the batch; it is driven to the identity: `sum_i (C_ii - 1)^2 + lambda sum_{i != j} C_ij^2`.
 * The diagonal makes views agree, the other elements decorrelate features. The minimum is 0.
 *
 * @param zA embeddings of view A, [N, D], N >= 2; standardised over the batch here (biased variance, as in the paper's code)
 * @param zB embeddings of view B, [N, D]
 * @param lambda default 0.05: the paper's 0.0051 is for D = 8,192 and hardly decorrelates 64 features (docs/decisions.md,
 *   "Small choices in methods")
 * @throws ShapeError unless both views are [N, D], N >= 2
 */
export function barlowTwinsLoss(zA: Tensor, zB: Tensor, options: { lambda?: Scalar } = {}): Tensor {
  checkViews('barlowTwinsLoss', zA, zB);
  const { lambda } = scalarsOf('barlowTwinsLoss', options, { lambda: hyperparameters.lambda });
  const [N] = zA.shape;
  const [a, b] = [batchNorm(zA, null, null), batchNorm(zB, null, null)];
  const C = mul(matmul(a, b, { transposeA: true }), 1 / N); // [D, D]
  const diagonal = mean(mul(a, b), { axes: [0] }); // [D]
  const invariance = sum(square(sub(diagonal, 1)));
  const redundancy = sub(sum(square(C)), sum(square(diagonal)));
  return add(invariance, mul(redundancy, lambda));
}

/** Barlow Twins on two views of each image. */
export const barlowTwins = {
  title: 'Barlow Twins',
  paper: 'Zbontar et al., arXiv 2103.03230',
  year: 2021,
  summary: 'each feature correlates across the two views with itself only',
  data: 'images',
  hyperparameters,
  loss: barlowTwinsLoss,
} satisfies ImageMethod<typeof hyperparameters>;
