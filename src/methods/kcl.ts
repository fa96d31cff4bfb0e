import { checkNumber } from '../gpu/check.ts';
import { scalarsOf, WEIGHT } from '../graph/check.ts';
import { type Scalar, show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { logMeanKernel } from '../ops/log_mean_kernel.ts';
import { mean, sum } from '../ops/reduce.ts';
import { exp, square } from '../ops/unary.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews } from './parts/views.ts';

const hyperparameters = {
  t: [2, { above: 0, most: 1e6, fixed: true }],
  gamma: [16, WEIGHT],
  chunks: CHUNKS,
} as const;

/**
 * Kernel contrastive loss: Koromilas et al. 2024, arXiv 2405.18045, with the Gaussian kernel `k(x, y) = exp(-t |x - y|^2)`: kernels take
 * the place of InfoNCE's logarithms, so that the expected loss does not depend on the number of rows.
 * `-2 mean_i k(u_i, v_i) + gamma [mean_{i != j} k(u_i, u_j) + mean_{i != j} k(v_i, v_j)]`
 *
 * The means over pairs are streamed: no N x N buffer. A row of zeros stays zero, at distance 1 from all unit rows.
 *
 * @param zA embeddings of view A, [N, D], N >= 2; normalised here (u)
 * @param zB embeddings of view B, [N, D]; normalised here (v)
 * @param t default 2, gamma default 16: those of the authors' code
 * @returns a scalar: 2 gamma - 2 where all embeddings coincide
 * @throws ShapeError unless both views are [N, D], N >= 2; InputError
 */
export function kclLoss(zA: Tensor, zB: Tensor, options: { t?: number; gamma?: Scalar } = {}): Tensor {
  checkViews('kclLoss', zA, zB);
  const { gamma } = scalarsOf('kclLoss', options, { gamma: hyperparameters.gamma }, 't');
  const [defaultT, range] = hyperparameters.t;
  const { t = defaultT } = options;
  checkNumber(where('kclLoss'), 't', t, range);
  if (zA.shape[0] < 2) throwShapeError('kclLoss', `expected 2 rows at least, got ${show(zA.shape)}`);
  const [u, v] = [l2Normalize(zA), l2Normalize(zB)];
  const energy = (x: Tensor) => exp(logMeanKernel(x, { t }));
  const apart = sum(square(sub(u, v)), { axes: [1] }); // [N]
  const aligned = mean(exp(mul(apart, -t)));
  return sub(mul(add(energy(u), energy(v)), gamma), mul(aligned, 2));
}

/** KCL on two views of each image. */
export const kcl = {
  title: 'Kernel contrastive learning (KCL)',
  paper: 'Koromilas et al., arXiv 2405.18045',
  year: 2024,
  summary: 'Gaussian kernels instead of InfoNCE: views agree, rows of a view spread',
  data: 'images',
  hyperparameters,
  loss: kclLoss,
} satisfies ImageMethod<typeof hyperparameters>;
