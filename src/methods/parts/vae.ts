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
import { cnnDecoder } from '../../nn/decoders.ts';
import { type Layer, linear, type Mode } from '../../nn/layers.ts';
import { add, div, maximum, mul, select, sub } from '../../ops/binary.ts';
import { matmul } from '../../ops/matmul.ts';
import { normal } from '../../ops/random.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { concatenate, slice } from '../../ops/shape.ts';
import { exp, sigmoid, softplus, square } from '../../ops/unary.ts';
import { variance } from '../../ops/variance.ts';
import { encoderOf, type ImageFacts, type ImageSetting, type Model } from '../method.ts';
import type { CollapseRule, MethodCurve, Panel } from '../panel.ts';

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

/** @throws ShapeError unless both are f32 of one shape, with samples in the first axis */
export function checkBernoulli(where: string, logits: unknown, pixels: unknown): void {
  checkTensor(where, 'logits', logits, { dtype: 'f32' });
  checkTensor(where, 'pixels', pixels, { dtype: 'f32' });
  if (logits.shape.length < 2 || !sameShape(logits.shape, pixels.shape))
    throwShapeError(
      where,
      `expected logits and pixels [N, ...], got ${show(logits.shape)} and ${show(pixels.shape)}`,
    );
}

/** KL(posterior || N(0, 1)) of each latent, in nats, [N, D]: Kingma and Welling 2013, arXiv 1312.6114, Appendix B. */
export function klOf({ mean: mu, logVariance }: Posterior): Tensor {
  return mul(sub(add(square(mu), exp(logVariance)), add(logVariance, 1)), 0.5);
}

/** A sample of a posterior: mean + deviation times normal noise, which the seed and the step choose. [N, D] */
export function sampleOf({ mean: mu, logVariance }: Posterior, seed: number, step: Scalar): Tensor {
  const noise = normal(mu.shape, { seed: ~seed >>> 0, stream: step });
  return add(mu, mul(exp(mul(logVariance, 0.5)), noise));
}

/**
 * Minus the log likelihood of pixels in [0, 1] under independent Bernoulli variables, in nats, summed over an image: [N].
 * @param logits and `pixels` [N, ...]
 */
export function bernoulli(logits: Tensor, pixels: Tensor): Tensor {
  const [N] = logits.shape;
  return sum(reshape(sub(softplus(logits), mul(pixels, logits)), [N, -1]), { axes: 1 });
}

/** Images as pixels in [0, 1], and back to what networks get. */
export function pixelsOf(x: Tensor, { mean: by, std }: ImageFacts): Tensor {
  return add(mul(x, vector(std)), vector(by));
}
export function standardized(pixels: Tensor, { mean: by, std }: ImageFacts): Tensor {
  return div(sub(pixels, vector(by)), vector(std));
}
const vector = (numbers: readonly number[]) => constant(Float32Array.from(numbers), [numbers.length]);

/** How many latents are in use: whose means differ between samples, with a variance above .01 (Burda et al. 2015, arXiv 1509.00519). */
export function activeUnits(means: Tensor): Tensor {
  return sum(select(maximum(sub(variance(means, { axes: 0 }), 0.01), 0), 1, 0));
}

/** An encoder with a posterior of latents behind it, and a decoder. */
export interface Vae extends Model {
  /** Images to their posterior. */
  posterior: (x: Tensor, mode?: Mode) => Posterior;
  /** Latents [N, D] to logits of pixels, [N, H, W, C]. */
  decode: Layer;
  image: ImageFacts;
  latents: number;
}

/** Builds the networks of an autoencoder: the encoder of the run, two linear layers behind it, a decoder that mirrors the CNN. */
export function vaeOf(method: { title: string }, setting: ImageSetting<object>, latents: number): Vae {
  const { encoder, image } = encoderOf(method, setting);
  const { seed } = setting;
  const { height, width, channels } = image;
  const [toMean, toLogVariance] = ['mean', 'logVariance'].map((name) =>
    linear({ name: `latents.${name}`, inputs: encoder.outputs, outputs: latents, seed }),
  );
  const decode = cnnDecoder({ inputs: latents, height, width, channels, seed });
  const posteriorOf = (h: Tensor, mode?: Mode) => ({
    mean: toMean(h, mode),
    logVariance: toLogVariance(h, mode),
  });
  return {
    ...{ image, latents, decode, layers: [encoder, toMean, toLogVariance, decode] },
    posterior: (x, mode) => posteriorOf(encoder(x, mode), mode),
    represent(x, mode) {
      const h = encoder(x, mode);
      return { h, z: toMean(h, mode) };
    },
  };
}

/** The curves of {@link vaeNumbers}. */
export const vaeCurves = [
  { key: 'distortion', name: 'distortion', digits: 1, hint: 'of the reconstruction, nats an image' },
  { key: 'rate', name: 'rate', digits: 2, hint: 'KL of posterior and prior, nats an image' },
  { key: 'active', name: 'active latents', digits: 0, hint: 'latents whose means differ between images' },
] as const satisfies readonly MethodCurve[];

/** Distortion and rate of a batch, and its active latents. */
export const vaeNumbers = (distortion: Tensor, posterior: Posterior): Record<string, Tensor> => ({
  distortion,
  rate: mean(sum(klOf(posterior), { axes: 1 })),
  active: activeUnits(posterior.mean),
});

/** Posterior collapse: no latent says anything about the image. */
export const posteriorCollapse: CollapseRule = {
  kind: 'posterior',
  shows: ({ active, rate }) => active === 0 || rate < 0.05,
  evidence: ({ active, rate }) => [`${active} latents are active`, `the rate is ${rate.toFixed(2)} nats`],
  remedy:
    'sum the reconstruction over the pixels instead of taking their mean, lower beta, or raise it slowly from 0',
};

/** Rows and columns of pictures. */
const [SHOWN, ROWS] = [10, 10];

/** Reconstructions, traversals, interpolations, samples, and the KL of each latent. */
export function vaePanels({ posterior, decode, image, latents }: Vae, seed: number): Panel[] {
  const size = [image.height, image.width, image.channels];
  const drawn = (z: Tensor, rows: number) =>
    reshape(standardized(sigmoid(decode(z)), image), [rows, z.shape[0] / rows, ...size]);
  const some = (x: Tensor, count: number) =>
    slice(x, { starts: x.shape.map(() => 0), sizes: [Math.min(count, x.shape[0]), ...x.shape.slice(1)] });
  const traversed = Math.min(latents, ROWS);
  return [
    {
      ...{ kind: 'pictures', title: 'Reconstructions', rows: ['image', 'reconstruction'] },
      caption: 'Held-out images, and what the decoder makes of the means of their latents.',
      pictures(x) {
        const shown = some(x, SHOWN);
        const again = drawn(posterior(shown).mean, 1);
        return concatenate([reshape(shown, [1, ...shown.shape]), again]);
      },
    },
    {
      ...{ kind: 'pictures', title: 'Latent traversals' },
      rows: Array.from({ length: traversed }, (_, d) => `latent ${d + 1}`),
      caption:
        'The first held-out image, with one latent at a time moved from −2.5 to 2.5. A row that does not change is a latent that is not used.',
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
        return drawn(add(mul(posterior(some(x, 1)).mean, a), b), traversed);
      },
    },
    {
      ...{ kind: 'pictures', title: 'Interpolations', rows: ['first', 'second', 'third'] },
      caption: 'From one held-out image to another, in equal steps of the means of their latents.',
      pictures(x) {
        const means = some(posterior(x).mean, 6);
        const shares = Float32Array.from({ length: 3 * SHOWN * 6 }, (_, at) => {
          const [row, column] = [Math.floor(at / 6), at % 6];
          const [pair, i] = [Math.floor(row / SHOWN), (row % SHOWN) / (SHOWN - 1)];
          return Math.floor(column / 2) === pair ? (column % 2 ? i : 1 - i) : 0;
        });
        return drawn(matmul(constant(shares, [3 * SHOWN, 6]), means), 3);
      },
    },
    {
      ...{ kind: 'pictures', title: 'Samples', rows: ['first', 'second', 'third'] },
      caption: 'What the decoder makes of latents drawn from the prior.',
      pictures: () => drawn(normal([3 * SHOWN, latents], { seed, stream: 1 }), 3),
    },
    {
      ...{ kind: 'table', title: 'KL per latent', corner: '', rows: ['nats'], digits: 2 },
      columns: Array.from({ length: latents }, (_, d) => `${d + 1}`),
      caption:
        'The mean over held-out images. A latent of 0 is the prior whatever the image: it is not used.',
      cells: (x) => mean(klOf(posterior(x)), { axes: 0, keepDims: true }),
    },
  ];
}
