import { checkTensor } from '../graph/check.ts';
import { sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { sub } from '../ops/binary.ts';
import { mean } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import type { ImageMethod } from './method.ts';
import { imageDenoiser, inUnitTime, MOMENTUM, UNET_WIDTH } from './parts/denoisers.ts';
import { heunFlow, onLines } from './parts/diffusion.ts';
import { generatorPanels } from './parts/generator_panels.ts';

const hyperparameters = { width: UNET_WIDTH, momentum: MOMENTUM } as const;

/**
 * The loss of rectified flow: Liu et al. 2022, arXiv 2209.03003, Equation 1: the mean squared error of the velocity `eps - x` along the
 * straight line `(1 - t) x + t eps`.
 *
 * @param velocity the network's, at points of the lines, [N, ...]
 * @param x data, [N, ...]
 * @param eps the noise at the other ends of the lines, [N, ...]
 * @throws ShapeError unless the shapes are equal
 */
export function rectifiedFlowLoss(velocity: Tensor, x: Tensor, eps: Tensor): Tensor {
  const given = Object.entries({ velocity, x, eps });
  for (const [name, value] of given) checkTensor('rectifiedFlowLoss', name, value, { dtype: 'f32' });
  for (const [, value] of given)
    if (!sameShape(value.shape, x.shape))
      throwShapeError(
        'rectifiedFlowLoss',
        `expected one shape, got ${show(x.shape)} and ${show(value.shape)}`,
      );
  return mean(square(sub(velocity, sub(eps, x))));
}

/**
 * Rectified flow: the U-Net of DDPM predicts the velocity from images to noise. Samples and inverted noise follow that velocity by Heun's
 * method, with the average of the weights. Times of training are the logistic function of N(-.4, 1) (arXiv 2505.13447).
 */
export const rectifiedFlow = {
  title: 'Rectified flow',
  paper: 'Liu et al., arXiv 2209.03003',
  year: 2022,
  summary:
    'predict the velocity along straight lines from images to noise; generate and invert along the flow',
  data: 'images',
  views: 0,
  unused: ['encoder', 'embedding', 'views', 'viewNoise'],
  defaults: { epochs: 7, batch: 32, learningRate: 4e-3 },
  hyperparameters,
  build(setting) {
    const { seed, hyperparameters: own } = setting;
    const { network, average, units, recipe } = imageDenoiser(rectifiedFlow, setting, own);
    const generator = { ...units, ...heunFlow(inUnitTime(average)) };
    return {
      ...{ ...recipe, generator },
      loss({ x, step }) {
        const x0 = units.scaled(x);
        const { xt, eps, t } = onLines(x0, seed, step);
        return rectifiedFlowLoss(inUnitTime(network)(xt, t), x0, eps);
      },
      panels: generatorPanels(generator, seed, 10),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
