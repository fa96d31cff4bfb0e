import { checkNumber } from '../../gpu/check.ts';
import { checkCall, checkTensor } from '../../graph/check.ts';
import { constant, show, type Tensor, throwShapeError, where } from '../../graph/tensor.ts';
import { add, div, mul, sub } from '../../ops/binary.ts';
import { matmul } from '../../ops/matmul.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { sqrt, square } from '../../ops/unary.ts';

/** Added to the correlations, relative to their size: it bounds the factor of a direction without variance. */
const RIDGE = 1e-5;
/** Added to the variance of a feature, relative to the mean variance: it bounds the factor of a constant feature. */
const LEAST = 1e-7;

const identity = (D: number, value: number) =>
  constant(
    Float32Array.from({ length: D * D }, (_, i) => (i % (D + 1) ? 0 : value)),
    [D, D],
  );

/**
 * Rows of mean 0 whose covariance is the identity: features are scaled to variance 1 and multiplied by the inverse square root
 * of their correlations (ZCA-cor: Kessy et al. 2018, arXiv 1512.00809, Table 1), so that the scale of a feature does not matter.
 * The root is by the Newton iteration of IterNorm (Huang et al. 2019, arXiv 1904.03441, Equation 5), which needs only products,
 * in its coupled form, which is stable under rounding (Higham 2008, Section 6.3); the correlations are first divided by their
 * Frobenius norm. A direction whose variance is below 1.5^(-2 iterations) of that is whitened only in part.
 *
 * @param z [B, N, D]: batches, each whitened by itself
 * @param iterations default 12
 */
export function whiten(z: Tensor, options: { iterations?: number } = {}): Tensor {
  checkCall('whiten', { z }, options, 'iterations');
  checkTensor('whiten', 'z', z, { dtype: 'f32', rank: 3 });
  const { iterations = 12 } = options;
  checkNumber(where('whiten'), 'iterations', iterations, { least: 1, most: 1000, whole: true });
  if (z.shape[1] < 2) throwShapeError('whiten', `expected 2 rows or more, got ${show(z.shape)}`);
  const [, N, D] = z.shape;
  const centred = sub(z, mean(z, { axes: [1], keepDims: true }));
  const variance = mul(sum(square(centred), { axes: [1], keepDims: true }), 1 / (N - 1)); // [B, 1, D]
  const least = add(mul(mean(variance, { axes: [2], keepDims: true }), LEAST), 1e-30);
  const standard = div(centred, sqrt(add(variance, least)));
  const correlations = mul(matmul(standard, standard, { transposeA: true }), 1 / (N - 1)); // [B, D, D]
  const size = sqrt(add(sum(square(correlations), { axes: [1, 2], keepDims: true }), 1e-30));
  const next = (x: Tensor) => sub(identity(D, 1.5), mul(x, 0.5));
  const A = add(div(correlations, size), identity(D, RIDGE));
  // root -> A^(1/2), inverse -> A^(-1/2)
  let inverse = next(A);
  let root = matmul(A, inverse);
  for (let i = 1; i < iterations; i++) {
    const factor = next(matmul(inverse, root));
    [root, inverse] = [matmul(root, factor), matmul(factor, inverse)];
  }
  return div(matmul(standard, inverse), sqrt(size));
}
