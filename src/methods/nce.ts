import { checkNumber } from '../gpu/check.ts';
import { checkCall } from '../graph/check.ts';
import { sameShape, show, type Tensor, throwShapeError, variable, where } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { normal } from '../ops/random.ts';
import { mean } from '../ops/reduce.ts';
import { neg, softplus } from '../ops/unary.ts';
import type { PlaneMethod } from './method.ts';
import { gaussianEnergy, logGaussian, networkEnergy } from './parts/energy.ts';

const hyperparameters = {
  k: [5, { least: 1, most: 10_000, whole: true }],
  noise: [2.5, { least: 0.1, most: 1e6, fixed: true }],
} as const;

/**
 * Noise-contrastive estimation: Gutmann and Hyvarinen 2010 (AISTATS), Equations 3 to 5, with k noise points for each data point (2012, JMLR 13,
 * Equation 8): distinguish data from noise by `G = log p - log q - log k`. The model need not be normalised: where its log density has a free
 * constant c, distinguishing data from noise drives c to the logarithm of 1 / Z, which maximum likelihood cannot do.
 * `-mean_data log sigmoid(G) - k mean_noise log(1 - sigmoid(G))`; (k + 1) log(k + 1) - k log k where model and noise agree.
 *
 * @param logModelOnData log density of the model, its constant included, at data points, [N]
 * @param logModelOnNoise at noise points, [M]
 * @param logNoiseOnData log density of the noise at data points, [N]
 * @param logNoiseOnNoise at noise points, [M]
 * @param k number of noise points for each data point; default M / N
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
      throwShapeError(
        'nceLoss',
        `expected log densities [N] and [N], got ${show(model.shape)} and ${show(noise.shape)}`,
      );
  // -log sigmoid(G) = softplus(-G), which is finite where sigmoid(G) is 0.
  const [onData, onNoise] = pairs.map(([model, noise]) => sub(sub(model, noise), Math.log(k)));
  return add(mean(softplus(neg(onData))), mul(mean(softplus(onNoise)), k));
}

/**
 * NCE of a density on the plane: the noise is a Gaussian of standard deviation `noise`, `k` points of it for each data point.
 * The energy is a Gaussian's where the data are known to be one Gaussian, else a small network.
 */
export const nce = {
  title: 'Noise-contrastive estimation (NCE)',
  paper: 'Gutmann & Hyvärinen, AISTATS',
  year: 2010,
  summary: 'fits a density on the plane, and its normaliser, by distinguishing data from noise',
  data: 'plane',
  hyperparameters,
  spread: ({ noise }) => noise,
  build({ gaussian, seed, hyperparameters: { k, noise } }) {
    const energy = gaussian ? gaussianEnergy() : networkEnergy(seed, noise);
    const c = variable([1], { name: 'c' });
    const logModel = (x: Tensor) => add(energy.log(x), c);
    const logNoise = (x: Tensor) => logGaussian(x, noise);
    return {
      ...energy,
      parameters: [...energy.parameters, c],
      c,
      loss({ x, step }) {
        const y = mul(normal([k * x.shape[0], 2], { seed: ~seed >>> 0, stream: step }), noise);
        return nceLoss(logModel(x), logModel(y), logNoise(x), logNoise(y), { k });
      },
    };
  },
} satisfies PlaneMethod<typeof hyperparameters>;
