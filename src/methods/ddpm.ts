import { checkTensor } from '../graph/check.ts';
import { sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { sub } from '../ops/binary.ts';
import { mean } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { type ImageMethod, SWITCH } from './method.ts';
import { imageDenoiser, MOMENTUM, UNET_WIDTH } from './parts/denoisers.ts';
import { ddim, diffused, type Moment, noiseOf, noiseSchedule, velocity } from './parts/diffusion.ts';
import { generatorPanels } from './parts/generator_panels.ts';

const hyperparameters = {
  timesteps: [1000, { least: 2, most: 10_000, whole: true }],
  cosine: [1, SWITCH],
  velocity: [1, SWITCH],
  width: UNET_WIDTH,
  momentum: MOMENTUM,
} as const;

/**
 * The simple loss of DDPM: Ho et al. 2020, arXiv 2006.11239, Equation 14: the mean squared error of the predicted noise. 1 where nothing is
 * predicted.
 *
 * @param predicted what the network predicts from noised samples, [N, ...]: eps, or their velocity
 * @param noise the eps that they were noised with, or the velocity, [N, ...]
 * @throws ShapeError unless the shapes are equal
 */
export function ddpmLoss(predicted: Tensor, noise: Tensor): Tensor {
  checkTensor('ddpmLoss', 'predicted', predicted, { dtype: 'f32' });
  checkTensor('ddpmLoss', 'noise', noise, { dtype: 'f32' });
  if (!sameShape(predicted.shape, noise.shape))
    throwShapeError('ddpmLoss', `expected one shape, got ${show(predicted.shape)} and ${show(noise.shape)}`);
  return mean(square(sub(predicted, noise)));
}

/**
 * DDPM: a U-Net predicts the noise in noised images. Samples are drawn by DDIM (Song et al. 2020, arXiv 2010.02502), whose inverse leads
 * from images to noise. `timesteps`: T; `cosine`: the schedule of Nichol and Dhariwal 2021 (arXiv 2102.09672), 0: the paper's linear one;
 * `velocity`: the U-Net predicts v, which implies the noise (Salimans and Ho 2022, arXiv 2202.00512), 0: the noise itself, as in the paper;
 * `width`: channels of the U-Net; `momentum` of the average of the weights that samples are drawn with (.9999 in the paper, for 800,000
 * steps). `cosine`, `velocity` and long training are what made samples better (docs/decisions.md, "Diffusion and flows").
 */
export const ddpm = {
  title: 'Denoising diffusion (DDPM)',
  paper: 'Ho et al., arXiv 2006.11239',
  year: 2020,
  summary: 'predict the noise in noised images; generate images from noise, and invert images to noise',
  data: 'images',
  views: 0,
  unused: ['encoder', 'embedding', 'views', 'viewNoise'],
  defaults: { epochs: 7, batch: 32, learningRate: 4e-3 },
  longer:
    'On Fashion-MNIST the Fréchet distance between 2,000 samples, by 50 steps, and the test images is 11.6 after 6 epochs, 9.05 after 8 and 8.19 after 9, in terms of h of SimCLR; that of 2,000 training images is .86, that of a Gaussian of pixels 16.7.',
  hyperparameters,
  build(setting) {
    const { seed, hyperparameters: own } = setting;
    const { network, average, units, recipe } = imageDenoiser(ddpm, setting, own);
    const alphaBar = noiseSchedule(own.cosine ? 'cosine' : 'linear', own.timesteps);
    const noiseIn = (x: Tensor, t: Tensor, at: Moment<Tensor>) =>
      own.velocity ? noiseOf(x, average(x, t), at) : average(x, t);
    const generator = { ...units, ...ddim(alphaBar, noiseIn, 1) };
    return {
      ...{ ...recipe, generator },
      loss({ x, step }) {
        const x0 = units.scaled(x);
        const { xt, eps, ...at } = diffused(alphaBar, x0, seed, step);
        return ddpmLoss(network(xt, at.t), own.velocity ? velocity(x0, eps, at) : eps);
      },
      panels: generatorPanels(generator, seed, 20),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
