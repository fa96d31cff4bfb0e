import { checkNumber } from '../gpu/check.ts';
import { checkCall } from '../graph/check.ts';
import { fail, sameShape, show, type Tensor, where } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { mean } from '../ops/reduce.ts';
import { neg, softplus } from '../ops/unary.ts';

/**
 * Noise-contrastive estimation: Gutmann and Hyvarinen 2010 (AISTATS), Equations 3 to 5, with k noise points for each data point (2012, JMLR 13,
 * Equation 8): tell data from noise by `G = log p - log q - log k`. The model need not be normalised: where its log density has a free
 * constant c, telling them apart is what makes c the logarithm of 1 / Z, which likelihood alone could not.
 * `-mean_data log sigmoid(G) - k mean_noise log(1 - sigmoid(G))`; (k + 1) log(k + 1) - k log k where model and noise agree.
 *
 * @param logModelOnData log density of the model, its constant included, at data points, [N]
 * @param logModelOnNoise at noise points, [M]
 * @param logNoiseOnData log density of the noise at data points, [N]
 * @param logNoiseOnNoise at noise points, [M]
 * @param k how many times as much noise as data there is; default M / N
 * @throws ShapeError unless the shapes are those
 */
export function nceLoss(
  logModelOnData: Tensor,
  logModelOnNoise: Tensor,
  logNoiseOnData: Tensor,
  logNoiseOnNoise: Tensor,
  options: { k?: number } = {},
): Tensor {
  checkCall('nceLoss', { logModelOnData, logModelOnNoise, logNoiseOnData, logNoiseOnNoise }, options, 'k');
  const { k = logModelOnNoise.size / logModelOnData.size } = options;
  checkNumber(where('nceLoss'), 'k', k, { above: 0 });
  const pairs = [
    [logModelOnData, logNoiseOnData],
    [logModelOnNoise, logNoiseOnNoise],
  ] as const;
  for (const [model, noise] of pairs)
    if (model.shape.length !== 1 || !sameShape(model.shape, noise.shape))
      fail(
        'nceLoss',
        `expected log densities [N] and [N], got ${show(model.shape)} and ${show(noise.shape)}`,
      );
  // -log sigmoid(G) = softplus(-G), which is finite where sigmoid(G) is 0.
  const [onData, onNoise] = pairs.map(([model, noise]) => sub(sub(model, noise), Math.log(k)));
  return add(mean(softplus(neg(onData))), mul(mean(softplus(onNoise)), k));
}
