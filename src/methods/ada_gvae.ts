import { InputError } from '../gpu/errors.ts';
import { scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { add, div, less, mul, select, sub } from '../ops/binary.ts';
import { max, min } from '../ops/reduce.ts';
import { concatenate } from '../ops/shape.ts';
import { exp, log, square } from '../ops/unary.ts';
import { COUNT, type ImageBatch, type ImageMethod, type Recipe } from './method.ts';
import {
  checkPosterior,
  negativeElbo,
  type Posterior,
  posteriorCollapse,
  vaeCurves,
  vaeRecipe,
} from './parts/vae.ts';
import { halves } from './parts/views.ts';

const hyperparameters = { latents: [16, COUNT], beta: [1, { least: 0 }] } as const;

/**
 * The posteriors of pairs of images with the latents averaged that both share: Locatello et al. 2020, arXiv 2002.02886, Section 4. A
 * latent is shared where `delta_d = KL(q(z_d | a) || q(z_d | b))` is less than halfway between the least and the largest of the pair;
 * the average is that of the means and of the variances, the paper's for Ada-GVAE.
 * @param posterior of 2N images, [2N, D]: image n and image N + n are a pair
 * @returns those of the same images
 * @throws ShapeError for an odd number
 */
export function shareLatents(posterior: Posterior): Posterior {
  checkPosterior('shareLatents', posterior, posterior?.mean?.shape?.[0]);
  const [a, b] = halves(posterior.mean);
  const [logA, logB] = halves(posterior.logVariance);
  const [varianceA, varianceB] = [exp(logA), exp(logB)];
  const ratio = div(add(varianceA, square(sub(a, b))), varianceB);
  const delta = stopGradient(mul(sub(add(ratio, sub(logB, logA)), 1), 0.5)); // [N, D]
  const along = { axes: 1, keepDims: true };
  const shared = less(delta, mul(add(max(delta, along), min(delta, along)), 0.5));
  const average = (x: Tensor, y: Tensor) => mul(add(x, y), 0.5);
  const logVariance = log(average(varianceA, varianceB));
  const both = (own: Tensor[], one: Tensor) => concatenate(own.map((x) => select(shared, one, x)));
  return { mean: both([a, b], average(a, b)), logVariance: both([logA, logB], logVariance) };
}

/**
 * Ada-GVAE's loss: Locatello et al. 2020, arXiv 2002.02886, Equation 5: minus the evidence lower bound of both images of each pair, whose
 * posteriors come from {@link shareLatents}; the mean over all images.
 *
 * @param logits of pixels, from a sample of the posterior, [2N, H, W, C]
 * @param pixels [2N, H, W, C], 0 to 1
 * @param posterior that of {@link shareLatents}, [2N, D]
 * @param options.beta weight of the rate. Default 1
 * @throws ShapeError unless the shapes are those
 */
export function adaGvaeLoss(
  logits: Tensor,
  pixels: Tensor,
  posterior: Posterior,
  options: { beta?: Scalar } = {},
): Tensor {
  const { beta } = scalarsOf('adaGvaeLoss', options, { beta: hyperparameters.beta });
  return negativeElbo('adaGvaeLoss', { logits, pixels, posterior }, beta);
}

/**
 * Ada-GVAE: a VAE of pairs of images that differ in few factors (`partners` of the batch); nobody says in which. `latents`: their number;
 * `beta`: weight of the rate.
 */
export const adaGvae = {
  title: 'Ada-GVAE',
  paper: 'Locatello et al., arXiv 2002.02886',
  year: 2020,
  summary: 'a VAE of pairs of images with most factors in common: latents that hardly differ are shared',
  data: 'images',
  views: 0,
  unused: ['embedding'],
  defaults: { learningRate: 4e-3 },
  hyperparameters,
  curves: vaeCurves,
  collapses: [posteriorCollapse],
  build(setting): Recipe<ImageBatch> {
    const { beta } = setting.hyperparameters;
    return vaeRecipe(adaGvae, setting, {
      images({ x, partners }) {
        if (!partners) throw new InputError(`${adaGvae.title}: expected a batch with "partners", got none`);
        return concatenate([x, partners()]);
      },
      posterior: shareLatents,
      loss: ({ logits, pixels, posterior }) => adaGvaeLoss(logits, pixels, posterior, { beta }),
    });
  },
} satisfies ImageMethod<typeof hyperparameters>;
