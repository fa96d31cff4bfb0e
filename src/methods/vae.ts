import { scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { mean, sum } from '../ops/reduce.ts';
import { COUNT, type ImageMethod } from './method.ts';
import {
  bernoulli,
  checkBernoulli,
  checkPosterior,
  klOf,
  type Posterior,
  pixelsOf,
  posteriorCollapse,
  sampleOf,
  vaeCurves,
  vaeNumbers,
  vaeOf,
  vaePanels,
} from './parts/vae.ts';

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
  checkBernoulli('vaeLoss', logits, pixels);
  checkPosterior('vaeLoss', posterior, logits.shape[0]);
  const { beta } = scalarsOf('vaeLoss', options, { beta: hyperparameters.beta });
  const rate = mean(sum(klOf(posterior), { axes: 1 }));
  return add(mean(bernoulli(logits, pixels)), mul(rate, beta));
}

/** VAE. `latents`: their number; `beta`: weight of the rate (above 1: beta-VAE; 0: an autoencoder with noise). */
export const vae = {
  title: 'Variational autoencoder (VAE)',
  paper: 'Kingma & Welling, arXiv 1312.6114',
  year: 2013,
  summary: 'reconstruct an image from a few latents, whose posterior stays near a normal distribution',
  data: 'images',
  views: 0,
  defaults: { learningRate: 4e-3 },
  hyperparameters,
  curves: vaeCurves,
  collapses: [posteriorCollapse],
  build(setting) {
    const { seed, hyperparameters: own } = setting;
    const model = vaeOf(vae, setting, own.latents);
    let latest: { distortion: Tensor; posterior: Posterior };
    return {
      model,
      loss({ x, step }) {
        const posterior = model.posterior(x, { training: true });
        const logits = model.decode(sampleOf(posterior, seed, step), { training: true });
        const pixels = pixelsOf(x, model.image);
        latest = { distortion: mean(bernoulli(logits, pixels)), posterior };
        return vaeLoss(logits, pixels, posterior, { beta: own.beta });
      },
      curves: () => vaeNumbers(latest.distortion, latest.posterior),
      panels: vaePanels(model, seed),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
