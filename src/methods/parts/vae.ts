import { checkTensor } from '../../graph/check.ts';
import {
  constant,
  reshape,
  type Scalar,
  sameShape,
  show,
  type Tensor,
  throwShapeError,
} from '../../graph/tensor.ts';
import { linear, type Mode } from '../../nn/layers.ts';
import { add, maximum, mul, select, sub } from '../../ops/binary.ts';
import { normal } from '../../ops/random.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { concatenate, slice } from '../../ops/shape.ts';
import { exp, square } from '../../ops/unary.ts';
import { variance } from '../../ops/variance.ts';
import type { ImageBatch, ImageSetting, Recipe } from '../method.ts';
import type { CollapseRule, MethodCurve, Panel, TablePanel } from '../panel.ts';
import {
  type Autoencoder,
  autoencoderOf,
  bernoulli,
  checkBernoulli,
  drawnFrom,
  firstOf,
  interpolationPanel,
  pixelsOf,
  reconstructed,
  reconstructionPanel,
  SAMPLES,
  SHOWN,
} from './autoencoder.ts';

/** A Gaussian for each sample, with a diagonal covariance: mean and logarithm of the variance, [N, D] each. */
export interface Posterior {
  mean: Tensor;
  logVariance: Tensor;
}

/** @throws ShapeError unless both are [N, D], for N samples */
export function checkPosterior(where: string, posterior: unknown, samples: number): void {
  const { mean: mu, logVariance } = (posterior ?? {}) as Partial<Posterior>;
  checkTensor(where, 'posterior.mean', mu, { dtype: 'f32', rank: 2 });
  checkTensor(where, 'posterior.logVariance', logVariance, { dtype: 'f32', rank: 2 });
  if (!sameShape(mu.shape, logVariance.shape) || mu.shape[0] !== samples)
    throwShapeError(
      where,
      `expected a mean and a log variance [${samples}, D], got ${show(mu.shape)} and ${show(logVariance.shape)}`,
    );
}

/** KL(posterior || N(0, 1)) of each latent, in nats, [N, D]: Kingma and Welling 2013, arXiv 1312.6114, Appendix B. */
export function klOf({ mean: mu, logVariance }: Posterior): Tensor {
  return mul(sub(add(square(mu), exp(logVariance)), add(logVariance, 1)), 0.5);
}

/** A sample of a posterior: mean + deviation times normal noise, which the seed and the step choose. [N, D] */
export function sampleOf({ mean: mu, logVariance }: Posterior, seed: number, step: Scalar): Tensor {
  // Of its own: by ~seed the batch draws its views and partners.
  const noise = normal(mu.shape, { seed: (seed ^ 0x9e3779b9) >>> 0, stream: step });
  return add(mu, mul(exp(mul(logVariance, 0.5)), noise));
}

/**
 * Minus the evidence lower bound (Kingma and Welling 2013, arXiv 1312.6114, Equation 10) with a weight of the rate: distortion plus `beta`
 * times the rate, means over the batch, in nats. It checks its arguments for the loss `where`.
 * @param logits and `pixels` [N, H, W, C]
 * @throws ShapeError unless the posterior is one of N samples
 */
export function negativeElbo(
  where: string,
  { logits, pixels, posterior }: Pick<Encoded, 'logits' | 'pixels' | 'posterior'>,
  beta: Scalar = 1,
): Tensor {
  checkBernoulli(where, logits, pixels);
  checkPosterior(where, posterior, logits.shape[0]);
  const rate = mean(sum(klOf(posterior), { axes: 1 }));
  return add(mean(bernoulli(logits, pixels)), mul(rate, beta));
}

/** How many latents are in use: whose means differ between samples, with a variance above .01 (Burda et al. 2015, arXiv 1509.00519). */
export function activeUnits(means: Tensor): Tensor {
  return sum(select(maximum(sub(variance(means, { axes: 0 }), 0.01), 0), 1, 0));
}

/** An autoencoder with a posterior of latents. */
export interface Vae extends Autoencoder {
  /** Images to their posterior. */
  posterior: (x: Tensor, mode?: Mode) => Posterior;
}

/** Builds the networks of a VAE: those of an autoencoder, and a linear layer for the log variance. */
export function vaeOf(method: { title: string }, setting: ImageSetting<object>, latents: number): Vae {
  const base = autoencoderOf(method, setting, latents);
  const { encoder, toLatents, decode } = base;
  const toLogVariance = linear({
    ...{ name: 'latents.logVariance', inputs: encoder.outputs, outputs: latents, seed: setting.seed },
  });
  return {
    ...base,
    layers: [encoder, toLatents, toLogVariance, decode],
    posterior(x, mode) {
      const h = encoder(x, mode);
      return { mean: toLatents(h, mode), logVariance: toLogVariance(h, mode) };
    },
  };
}

/** A batch of a VAE: pixels, their posterior, a sample of it, and the logits of pixels that the decoder makes of the sample. */
export interface Encoded {
  pixels: Tensor;
  posterior: Posterior;
  z: Tensor;
  logits: Tensor;
}

/** The recipe of a VAE. */
export function vaeRecipe(
  method: { title: string },
  setting: ImageSetting<{ latents: number }>,
  own: {
    loss: (encoded: Encoded, batch: ImageBatch) => Tensor;
    /** The images that are encoded. Default: those of the batch. */
    images?: (batch: ImageBatch) => Tensor;
    /** Changes posteriors before the sample is drawn. */
    posterior?: (posterior: Posterior) => Posterior;
  },
): Recipe<ImageBatch> {
  const { seed, hyperparameters } = setting;
  const model = vaeOf(method, setting, hyperparameters.latents);
  let latest: Encoded;
  return {
    model,
    loss(batch) {
      const x = own.images?.(batch) ?? batch.x;
      const training = { training: true };
      const encoded = model.posterior(x, training);
      const posterior = own.posterior?.(encoded) ?? encoded;
      const z = sampleOf(posterior, seed, batch.step);
      latest = { pixels: pixelsOf(x, model.image), posterior, z, logits: model.decode(z, training) };
      return own.loss(latest, batch);
    },
    curves: () => ({
      distortion: mean(bernoulli(latest.logits, latest.pixels)),
      rate: mean(sum(klOf(latest.posterior), { axes: 1 })),
      active: activeUnits(latest.posterior.mean),
    }),
    panels: vaePanels(model, seed),
  };
}

/** The curves of {@link vaeRecipe}. */
export const vaeCurves = [
  { key: 'distortion', name: 'distortion', digits: 1, hint: 'the reconstruction error in nats per image' },
  {
    key: 'rate',
    name: 'rate',
    digits: 2,
    hint: 'the KL divergence of the posterior from the prior in nats per image',
  },
  {
    key: 'active',
    name: 'active latents',
    digits: 0,
    hint: 'the number of latents whose means differ between images',
  },
] as const satisfies readonly MethodCurve[];

/** These and another one, in a record that bundlers may leave out: they keep one with a spread. */
export const vaeCurvesAnd = (own: MethodCurve): readonly MethodCurve[] => [...vaeCurves, own];

/** Posterior collapse: no latent says anything about the image. */
export const posteriorCollapse: CollapseRule = {
  kind: 'posterior',
  shows: ({ active, rate }) => active === 0 || rate < 0.05,
  evidence: ({ active, rate }) => [`${active} latents are active`, `the rate is ${rate.toFixed(2)} nats`],
  remedy:
    'sum the reconstruction over the pixels instead of taking their mean, lower beta, or raise it slowly from 0',
};

/** The most rows of traversals: all latents by default. */
const ROWS = 16;

/** Reconstructions, traversals, interpolations, samples, rate and distortion, and the KL of each latent. */
function vaePanels(model: Vae, seed: number): Panel[] {
  const { latents } = model;
  const traversed = Math.min(latents, ROWS);
  return [
    reconstructionPanel('Held-out images, and what the decoder makes of the means of their latents.', (x) =>
      reconstructed(model, x),
    ),
    {
      ...{ kind: 'pictures', title: 'Latent traversals' },
      rows: Array.from({ length: traversed }, (_, d) => `latent ${d + 1}`),
      caption: `The first held-out image, with one ${traversed < latents ? `of the first ${ROWS} latents` : 'latent'} at a time moved from −2.5 to 2.5. A row that does not change is a latent that is not used.`,
      pictures(x) {
        const steps = new Float32Array(traversed * SHOWN * latents);
        const keep = new Float32Array(traversed * SHOWN * latents).fill(1);
        for (let d = 0; d < traversed; d++)
          for (let i = 0; i < SHOWN; i++) {
            const at = (d * SHOWN + i) * latents + d;
            steps[at] = (5 * i) / (SHOWN - 1) - 2.5;
            keep[at] = 0;
          }
        const [a, b] = [keep, steps].map((data) => constant(data, [traversed * SHOWN, latents]));
        return drawnFrom(model, add(mul(model.encode(firstOf(x, 1)), a), b), traversed);
      },
    },
    interpolationPanel(model),
    {
      ...{ kind: 'pictures', title: 'Samples', rows: SAMPLES },
      caption: 'What the decoder makes of latents drawn from the prior.',
      pictures: () => drawnFrom(model, normal([3 * SHOWN, latents], { seed, stream: 1 }), 3),
    },
    rateAndDistortion(model, seed),
    {
      ...{ kind: 'table', title: 'KL per latent', corner: '', rows: ['nats'], digits: 2 },
      columns: Array.from({ length: latents }, (_, d) => `${d + 1}`),
      caption:
        'The mean over held-out images. A latent of 0 is the prior whatever the image: it is not used.',
      perImage: (x) => klOf(model.posterior(x)),
      cells: (kl) => mean(kl, { axes: 0, keepDims: true }),
    },
  ];
}

/** What {@link vaeCurves} say of training batches, of held-out images. */
const rateAndDistortion = (model: Vae, seed: number): TablePanel => ({
  ...{ kind: 'table', title: 'Rate and distortion', corner: '', rows: ['held-out images'], digits: 2 },
  columns: vaeCurves.map(({ name }) => name),
  caption:
    'The distortion of reconstructions from samples of the posterior and the rate, the KL of posterior and prior, in nats an image; and how many latents have means that differ between images.',
  perImage(x) {
    const posterior = model.posterior(x);
    const logits = model.decode(sampleOf(posterior, seed, 0));
    const distortion = reshape(bernoulli(logits, pixelsOf(x, model.image)), [-1, 1]);
    const rate = sum(klOf(posterior), { axes: 1, keepDims: true });
    return concatenate([distortion, rate, posterior.mean], { axis: 1 });
  },
  cells(all) {
    const some = (from: number, size: number) => slice(all, { starts: [0, from], sizes: [-1, size] });
    const sums = mean(some(0, 2), { axes: 0, keepDims: true });
    return concatenate([sums, reshape(activeUnits(some(2, model.latents)), [1, 1])], { axis: 1 });
  },
});
