import { constant, fail, reshape, show, type Tensor } from '../graph/tensor.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { concatenate } from '../ops/shape.ts';
import { sqrt, square } from '../ops/unary.ts';
import { alignmentLoss } from './alignment.ts';
import { checkViews, halves } from './views.ts';

/** Added to the covariance, relative to its size: what bounds the factor of a direction without variance. */
const RIDGE = 1e-5;

const identity = (D: number, value: number) =>
  constant(
    Float32Array.from({ length: D * D }, (_, i) => (i % (D + 1) ? 0 : value)),
    [D, D],
  );

/**
 * Rows of mean 0 whose covariance is the identity: z Sigma^(-1/2) (ZCA). The inverse square root is Newton's iteration of
 * IterNorm (Huang et al. 2019, arXiv 1904.03441, Equation 5), which needs products only, in its coupled form, which rounding
 * does not drive apart (Higham 2008, Section 6.3); the covariance is first divided by its Frobenius norm. A direction whose variance is
 * below 1.5^(-2 iterations) of that is whitened in part.
 *
 * @param z [B, N, D]: batches, each whitened by itself
 * @param iterations default 12
 */
export function whiten(z: Tensor, { iterations = 12 } = {}): Tensor {
  const [, N, D] = z.shape;
  const centred = sub(z, mean(z, { axes: [1], keepDims: true }));
  const covariance = mul(matmul(centred, centred, { transposeA: true }), 1 / (N - 1)); // [B, D, D]
  const size = sqrt(add(sum(square(covariance), { axes: [1, 2], keepDims: true }), 1e-30));
  const next = (x: Tensor) => sub(identity(D, 1.5), mul(x, 0.5));
  const A = add(div(covariance, size), identity(D, RIDGE));
  // root -> A^(1/2), inverse -> A^(-1/2)
  let inverse = next(A);
  let root = matmul(A, inverse);
  for (let i = 1; i < iterations; i++) {
    const factor = next(matmul(inverse, root));
    [root, inverse] = [matmul(root, factor), matmul(factor, inverse)];
  }
  return div(matmul(centred, inverse), sqrt(size));
}

/**
 * W-MSE: Ermolov et al. 2021, arXiv 2007.06346, Equations 3 to 7: each view is whitened over the batch, which makes collapse impossible,
 * then views agree: `mean 2 - 2 cos`. No negatives, no target network. 0 to 4. The batch is one slice (the paper's batch slicing is left out).
 *
 * @param zA embeddings of view A, [N, D], N > D: fewer rows are always whitened to the corners of a simplex
 * @param zB embeddings of view B, [N, D]
 * @param iterations of {@link whiten}
 * @throws ShapeError unless both views are [N, D], N > D
 */
export function wMse(zA: Tensor, zB: Tensor, options: { iterations?: number } = {}): Tensor {
  checkViews('wMse', zA, zB);
  const [N, D] = zA.shape;
  if (N <= D) fail('wMse', `expected more rows than features, to whiten them, got ${show(zA.shape)}`);
  const white = whiten(reshape(concatenate([zA, zB], 0), [2, N, D]), options);
  const [wA, wB] = halves(reshape(white, [2 * N, D]));
  return alignmentLoss(wA, wB);
}
