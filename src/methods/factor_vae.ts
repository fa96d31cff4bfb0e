import { checkTensor, scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { reshape, type Scalar, sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, greater, mul, sub } from '../ops/binary.ts';
import { mean } from '../ops/reduce.ts';
import { slice } from '../ops/shape.ts';
import { dataNoiseLoss } from './data_noise.ts';
import { COUNT, type ImageBatch, type ImageMethod, type Recipe } from './method.ts';
import { discriminator } from './parts/discriminator.ts';
import { shuffledParts } from './parts/shuffled_patches.ts';
import { negativeElbo, type Posterior, posteriorCollapse, vaeCurvesAnd, vaeRecipe } from './parts/vae.ts';

const hyperparameters = {
  latents: [16, COUNT],
  gamma: [20, { least: 0 }],
  discriminatorWidth: [256, COUNT],
  discriminatorRate: [1e-4, { least: 0 }],
} as const;

/**
 * FactorVAE's loss of encoder and decoder: Kim and Mnih 2018, arXiv 1802.05983, Equation 2 and Algorithm 1: distortion + rate + gamma
 * times the total correlation, which is the mean logit of a discriminator that tells latents from those whose parts are shuffled.
 *
 * @param logits of pixels, [N, H, W, C]
 * @param pixels [N, H, W, C], 0 to 1
 * @param posterior mean and log variance, [N, D]
 * @param told the discriminator's logits of the sample of the posterior, [N, 1]: log q(z) - log prod_d q(z_d) where it is the best one
 * @param options.gamma default 20 (the paper's Section 5 has 10 to 100)
 * @throws ShapeError unless the shapes are those
 */
export function factorVaeLoss(
  logits: Tensor,
  pixels: Tensor,
  posterior: Posterior,
  told: Tensor,
  options: { gamma?: Scalar } = {},
): Tensor {
  const { gamma } = scalarsOf('factorVaeLoss', options, { gamma: hyperparameters.gamma });
  const elbo = negativeElbo('factorVaeLoss', { logits, pixels, posterior });
  checkTensor('factorVaeLoss', 'told', told, { dtype: 'f32' });
  if (!sameShape(told.shape, [pixels.shape[0], 1]))
    throwShapeError('factorVaeLoss', `expected logits [${pixels.shape[0]}, 1], got ${show(told.shape)}`);
  return add(elbo, mul(mean(told), gamma));
}

/**
 * FactorVAE. `latents`: their number; `gamma`: weight of the total correlation. The discriminator has three hidden layers of
 * `discriminatorWidth` (the paper: six of 1,000), and Adam with `discriminatorRate`, .5 and .9 (its Appendix A); it learns in the same step, from
 * one half of the batch as it is and the other, the paper's second batch, with shuffled latents. No gradient flows from its loss into the
 * encoder.
 */
export const factorVae = {
  title: 'FactorVAE',
  paper: 'Kim & Mnih, arXiv 1802.05983',
  year: 2018,
  summary: 'a VAE that is punished for dependent latents: a discriminator tells them from shuffled ones',
  data: 'images',
  views: 0,
  unused: ['embedding', 'views', 'viewNoise'],
  defaults: { learningRate: 4e-3 },
  hyperparameters,
  curves: /* @__PURE__ */ vaeCurvesAnd({
    key: 'told',
    name: 'told apart',
    digits: 3,
    hint: 'the discriminator’s accuracy, 0.5 by chance',
  }),
  collapses: [posteriorCollapse],
  build(setting): Recipe<ImageBatch> {
    const { seed, hyperparameters: own } = setting;
    const tell = discriminator({ inputs: own.latents, width: own.discriminatorWidth, depth: 3, seed });
    let latest: [joint: Tensor, shuffled: Tensor];
    const recipe = vaeRecipe(factorVae, setting, {
      loss({ logits, pixels, posterior, z }, { step }) {
        const half = Math.floor(z.shape[0] / 2);
        const codes = reshape(stopGradient(z), [...z.shape, 1]);
        const part = (from: number) => slice(codes, { starts: [from, 0, 0], sizes: [half, own.latents, 1] });
        latest = [tell(part(0)), tell(shuffledParts(part(half), seed, step))];
        return factorVaeLoss(logits, pixels, posterior, tell(z), { gamma: own.gamma });
      },
    });
    const adam = { learningRate: own.discriminatorRate, beta1: 0.5, beta2: 0.9 };
    const { parameters } = tell;
    return {
      ...recipe,
      further: [{ name: 'discriminator', parameters, ...adam, loss: () => dataNoiseLoss(...latest) }],
      curves() {
        const [right, wrong] = latest.map((l) => mean(greater(l, 0)));
        return { ...recipe.curves!(), told: mul(add(right, sub(1, wrong)), 0.5) };
      },
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
