import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkTensor } from '../graph/check.ts';
import { show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { logMeanKernel } from '../ops/log_mean_kernel.ts';
import type { ImageMethod } from './method.ts';

/**
 * Uniformity: Wang & Isola 2020, arXiv 2005.10242, Equation 2: `log mean_{i<j} exp(-t |u_i - u_j|^2)` within one view.
 * 0 when all embeddings coincide; the minimum is `-2t + log 0F1(; D/2; t^2)`, near -2t in many dimensions.
 * The mean of the rows is subtracted before distances are taken, so that embeddings in a narrow cone, where a collapse begins,
 * keep their precision. A row of zeros stays zero: it coincides with other zero rows, at distance 1 from all unit rows.
 *
 * @param z embeddings f32 [N, D], N >= 2; normalised here
 * @param t default 2 (the paper's)
 * @returns a scalar
 * @throws ShapeError, InputError
 */
export function uniformityLoss(z: Tensor, options: { t?: number } = {}): Tensor {
  checkCall('uniformityLoss', {}, options, 't');
  const { t = 2 } = options;
  checkNumber(where('uniformityLoss'), 't', t, { above: 0, most: 1e6 });
  checkTensor('uniformityLoss', 'z', z, { dtype: 'f32', rank: 2 });
  if (z.shape[0] < 2) throwShapeError('uniformityLoss', `expected 2 rows at least, got ${show(z.shape)}`);
  return logMeanKernel(l2Normalize(z), { t });
}

/** Uniformity alone, which ignores the pairs. */
export const uniformity = {
  title: 'Uniformity only',
  paper: 'Wang & Isola, arXiv 2005.10242',
  year: 2020,
  summary: 'spreads over the hypersphere and ignores which views belong together',
  data: 'images',
  hyperparameters: {},
  loss: (zA, zB) => mul(add(uniformityLoss(zA), uniformityLoss(zB)), 0.5),
} satisfies ImageMethod;
