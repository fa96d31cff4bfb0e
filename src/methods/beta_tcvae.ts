import { checkNumber } from '../gpu/check.ts';
import { checkTensor, scalarsOf } from '../graph/check.ts';
import {
  reshape,
  type Scalar,
  sameShape,
  show,
  type Tensor,
  throwShapeError,
  where,
} from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { mean, sum } from '../ops/reduce.ts';
import { transpose } from '../ops/shape.ts';
import { logSumExp } from '../ops/softmax.ts';
import { exp, neg, square } from '../ops/unary.ts';
import { COUNT, type ImageBatch, type ImageMethod, type Recipe } from './method.ts';
import { negativeElbo, type Posterior, posteriorCollapse, vaeCurves, vaeRecipe } from './parts/vae.ts';

const hyperparameters = { latents: [16, COUNT], beta: [6, { least: 0 }] } as const;

/**
 * The total correlation of the latents, `KL(q(z) || prod_d q(z_d))`, as a batch estimates it by minibatch-weighted sampling: Chen et al.
 * 2018, arXiv 1802.04942, Equation 4 and Appendix C.1. With i, j in the batch of M and N images in the data,
 * `log q(z_i) = log sum_j q(z_i | x_j) - log(N M)`, and the same for each latent. The value is biased by some (D - 1) log N nats, which
 * have no gradient: a signal to train with, not a metric.
 * @param z samples of the posterior, [M, D]
 * @param count N
 */
function totalCorrelation(z: Tensor, posterior: Posterior, count: number): Tensor {
  const [M, D] = z.shape;
  const mu = transpose(posterior.mean); // [D, M]
  const logVariance = transpose(posterior.logVariance);
  const apart = square(sub(reshape(z, [M, D, 1]), mu)); // [M, D, M]: z_i from the mean of x_j
  const normalizer = add(logVariance, Math.log(2 * Math.PI));
  const densities = mul(add(mul(apart, exp(neg(logVariance))), normalizer), -0.5);
  const perBatch = Math.log(count * M);
  const joint = sub(logSumExp(sum(densities, { axes: 1 })), perBatch); // [M]
  const marginals = sum(sub(logSumExp(densities), perBatch), { axes: 1 });
  return mean(sub(joint, marginals));
}

/**
 * beta-TCVAE's loss: Chen et al. 2018, arXiv 1802.04942, Equation 4: distortion + mutual information + beta total correlation + the
 * dimension-wise KL. The three parts of the rate add up to it; so this is distortion + rate + (beta - 1) total correlation, where only
 * the last is an estimate. Memory: M D M numbers.
 *
 * @param logits of pixels, [M, H, W, C]
 * @param pixels [M, H, W, C], 0 to 1
 * @param posterior mean and log variance, [M, D]
 * @param z the sample of the posterior from which the logits come, [M, D]
 * @param options.beta default 6 (the paper's Section 5, on dSprites)
 * @param options.count N, the number of images in the data; it changes the value, not the gradient. Default M
 * @throws ShapeError unless the shapes are those
 */
export function betaTcvaeLoss(
  logits: Tensor,
  pixels: Tensor,
  posterior: Posterior,
  z: Tensor,
  options: { beta?: Scalar; count?: number } = {},
): Tensor {
  const { beta } = scalarsOf('betaTcvaeLoss', options, { beta: hyperparameters.beta }, 'count');
  const elbo = negativeElbo('betaTcvaeLoss', { logits, pixels, posterior });
  checkTensor('betaTcvaeLoss', 'z', z, { dtype: 'f32', rank: 2 });
  if (!sameShape(z.shape, posterior.mean.shape))
    throwShapeError('betaTcvaeLoss', `expected a sample ${show(posterior.mean.shape)}, got ${show(z.shape)}`);
  const { count = z.shape[0] } = options;
  checkNumber(where('betaTcvaeLoss'), 'count', count, { least: 1, most: 2 ** 32, whole: true });
  const weight = typeof beta === 'number' ? beta - 1 : sub(beta, 1);
  return add(elbo, mul(totalCorrelation(z, posterior, count), weight));
}

/** beta-TCVAE. `latents`: their number; `beta`: weight of the total correlation alone, not of the whole rate as in beta-VAE. */
export const betaTcvae = {
  title: 'beta-TCVAE',
  paper: 'Chen et al., arXiv 1802.04942',
  year: 2018,
  summary: 'a VAE that is punished for dependent latents: each batch estimates their total correlation',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  defaults: { learningRate: 4e-3 },
  hyperparameters,
  curves: vaeCurves,
  collapses: [posteriorCollapse],
  build(setting): Recipe<ImageBatch> {
    const { beta } = setting.hyperparameters;
    return vaeRecipe(betaTcvae, setting, {
      loss: ({ logits, pixels, posterior, z }) =>
        betaTcvaeLoss(logits, pixels, posterior, z, { beta, count: setting.image!.count }),
    });
  },
} satisfies ImageMethod<typeof hyperparameters>;
