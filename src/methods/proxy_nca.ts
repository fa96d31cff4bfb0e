import { checkTensor, POSITIVE, scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { mul } from '../ops/binary.ts';
import { crossEntropy } from '../ops/cross_entropy.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { mean } from '../ops/reduce.ts';
import type { ImageMethod } from './method.ts';
import { checkLabelled } from './parts/cross_batch_memory.ts';
import { aroundProxies, PROXY_RATE } from './parts/proxies.ts';

const hyperparameters = { scale: [9, POSITIVE], proxyRate: PROXY_RATE } as const;

/**
 * Proxy-NCA: Movshovitz-Attias et al. 2017, arXiv 1703.07464, in the form of Proxy-NCA++, Teh et al. 2020, arXiv 2004.01113,
 * Equation 6: the probability of the proxy of the row's class among all, `softmax_c(-scale |u - p_c|^2)`. No mining: there are few proxies.
 *
 * @param z embeddings [M, D]; normalised here
 * @param labels u32 [M], each below C
 * @param proxies [C, D]; normalised here
 * @param scale default 9, the paper's temperature of 1/9; 1 is too soft, since |u - p|^2 is at most 4
 * @throws ShapeError
 */
export function proxyNcaLoss(
  z: Tensor,
  labels: Tensor,
  proxies: Tensor,
  options: { scale?: Scalar } = {},
): Tensor {
  const { scale } = scalarsOf('proxyNcaLoss', options, { scale: hyperparameters.scale });
  checkLabelled('proxyNcaLoss', z, labels);
  checkTensor('proxyNcaLoss', 'proxies', proxies, { dtype: 'f32', rank: 2 });
  // |u - p|^2 = 2 - 2 u.p, and a softmax does not see the 2.
  const similarities = matmul(l2Normalize(z), l2Normalize(proxies), { transposeB: true }); // [M, C]
  return mean(crossEntropy(mul(mul(similarities, 2), scale), labels));
}

/** Proxy-NCA++ with its proxies. */
export const proxyNca = {
  title: 'Proxy-NCA++',
  paper: 'Teh et al., arXiv 2004.01113',
  year: 2020,
  summary: 'a learned proxy of each class attracts its rows and repels the others: no mining',
  data: 'images',
  hyperparameters,
  supervised: true,
  // The proxies can then only encode how often each class occurs.
  pointLoss: (_, { shares }) => shares.reduce((sum, p) => sum - p * Math.log(p), 0),
  build: (setting) => aroundProxies(setting, proxyNcaLoss),
} satisfies ImageMethod<typeof hyperparameters>;
