import { scalarsOf, WEIGHT } from '../graph/check.ts';
import { type Scalar, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, maximum, mul, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { sum } from '../ops/reduce.ts';
import { transpose } from '../ops/shape.ts';
import { log, square } from '../ops/unary.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews } from './parts/views.ts';

const weights = { invarianceWeight: [16, WEIGHT] } as const;
const hyperparameters = { ...weights, chunks: CHUNKS } as const;

/** log |Z'Z / tr Z'Z|_F^2 of a view: 0 where all features are one, -log D where they are orthogonal. u: Z', [D, N], unit rows or 0 */
function concentration(u: Tensor): Tensor {
  const [D, N] = u.shape;
  // Z'Z and ZZ' have one norm: the smaller one.
  const gram = D < N ? matmul(u, u, { transposeB: true }) : matmul(u, u, { transposeA: true });
  // At least 1 where any feature is not 0.
  const [norm2, trace] = [gram, u].map((x) => maximum(sum(square(x)), 1));
  return sub(log(norm2), mul(log(trace), 2));
}

/**
 * FroSSL: Skean et al. 2023, arXiv 2310.02903, Equations 3 and 6, as in the authors' code: per view
 * `2 log |Z'Z / tr Z'Z|_F + weight V D MSE(Z, mean view)`, summed over the V = 2 views. Columns of Z are features, divided by their norm over the
 * batch, and not centred. The smallest Frobenius norm makes the spectrum of Z'Z flat, which no collapse has. For two views
 * the invariance terms add up to `weight / N sum_d |a_d - b_d|^2` of columns a_d and b_d.
 *
 * @param zA embeddings of view A, [N, D], N >= 2
 * @param zB embeddings of view B, [N, D]
 * @param invarianceWeight default 16: the term is proportional to D / N, and the authors' 1 is for D = 1,024 and N = 256
 *   (docs/decisions.md, "Small choices in methods")
 * @returns a scalar: 0 where all embeddings coincide, at least -2 log min(N, D)
 * @throws ShapeError unless both views are [N, D], N >= 2
 */
export function frosslLoss(zA: Tensor, zB: Tensor, options: { invarianceWeight?: Scalar } = {}): Tensor {
  checkViews('frosslLoss', zA, zB);
  const { invarianceWeight } = scalarsOf('frosslLoss', options, weights);
  const [N] = zA.shape;
  if (N < 2) throwShapeError('frosslLoss', `expected 2 rows at least, got ${show(zA.shape)}`);
  const [a, b] = [zA, zB].map((z) => l2Normalize(transpose(z))); // [D, N]
  const invariance = mul(sum(square(sub(a, b))), 1 / N);
  return add(add(concentration(a), concentration(b)), mul(invariance, invarianceWeight));
}

/** FroSSL on two views of each image. */
export const frossl = {
  title: 'FroSSL',
  paper: 'Skean et al., arXiv 2310.02903',
  year: 2023,
  summary: 'views agree, and the Frobenius norm of each covariance falls until its spectrum is flat',
  data: 'images',
  hyperparameters,
  loss: frosslLoss,
} satisfies ImageMethod<typeof hyperparameters>;
