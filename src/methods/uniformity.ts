import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkTensor } from '../graph/check.ts';
import { type Tensor, where } from '../graph/tensor.ts';
import { add } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { logSumExp } from '../ops/softmax.ts';

/**
 * Uniformity: Wang & Isola 2020, arXiv 2005.10242, Equation 2: `log mean_{i<j} exp(-t |u_i - u_j|^2)` within one view.
 * 0 when all embeddings coincide; at best `-2t + log 0F1(; D/2; t^2)`, near -2t in many dimensions.
 * With |u_i - u_j|^2 = 2 - 2 u_i.u_j it is one log-sum-exp over pairs: InfoNCE without its positives.
 * A zero row counts as orthogonal to all others.
 *
 * @param z embeddings [N, D], N >= 2; normalised here
 * @param t default 2 (the paper's)
 */
export function uniformityLoss(z: Tensor, options: { t?: number } = {}): Tensor {
  checkCall('uniformityLoss', { z }, options, 't');
  const { t = 2 } = options;
  checkNumber(where('uniformityLoss'), 't', t, { above: 0 });
  checkTensor('uniformityLoss', 'z', z, { dtype: 'f32', rank: 2 });
  const [N] = z.shape;
  const u = l2Normalize(z);
  const rows = contrast(u, u, { scale: 2 * t, excludeSelf: true }).loss; // [N]
  return add(logSumExp(rows), -2 * t - Math.log(N * (N - 1)));
}
