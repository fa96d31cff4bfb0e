import { scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { COUNT, type ImageBatch, type ImageMethod, type Recipe } from './method.ts';
import { negativeElbo, type Posterior, posteriorCollapse, vaeCurves, vaeRecipe } from './parts/vae.ts';

const hyperparameters = { latents: [16, COUNT], beta: [1, { least: 0 }] } as const;

/**
 * Minus the evidence lower bound: Kingma and Welling 2013, arXiv 1312.6114, Equation 10, with the factor beta of Higgins et al. 2017 (ICLR,
 * Equation 4): the distortion, summed over pixels, plus beta times the rate, summed over latents; means over the batch. In nats.
 *
 * @param logits of pixels, from a sample of the posterior, [N, H, W, C]
 * @param pixels [N, H, W, C], 0 to 1
 * @param posterior mean and log variance, [N, D]
 * @param options.beta default 1
 * @throws ShapeError unless the shapes are those
 */
export function vaeLoss(
  logits: Tensor,
  pixels: Tensor,
  posterior: Posterior,
  options: { beta?: Scalar } = {},
): Tensor {
  const { beta } = scalarsOf('vaeLoss', options, { beta: hyperparameters.beta });
  return negativeElbo('vaeLoss', { logits, pixels, posterior }, beta);
}

/** VAE. `latents`: their number; `beta`: weight of the rate (above 1: beta-VAE; 0: an autoencoder with noise). */
export const vae = {
  title: 'Variational autoencoder (VAE)',
  paper: 'Kingma & Welling, arXiv 1312.6114',
  year: 2013,
  summary: 'reconstruct an image from a few latents, whose posterior stays near a normal distribution',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  defaults: { learningRate: 4e-3 },
  hyperparameters,
  curves: vaeCurves,
  collapses: [posteriorCollapse],
  build(setting): Recipe<ImageBatch> {
    const { beta } = setting.hyperparameters;
    return vaeRecipe(vae, setting, {
      loss: ({ logits, pixels, posterior }) => vaeLoss(logits, pixels, posterior, { beta }),
    });
  },
} satisfies ImageMethod<typeof hyperparameters>;
