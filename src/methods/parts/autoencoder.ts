import { checkTensor } from '../../graph/check.ts';
import { constant, reshape, sameShape, show, type Tensor, throwShapeError } from '../../graph/tensor.ts';
import { cnnDecoder, mlpDecoder } from '../../nn/decoders.ts';
import type { Encoder } from '../../nn/encoders.ts';
import { type Layer, linear, type Mode } from '../../nn/layers.ts';
import { add, div, mul, sub } from '../../ops/binary.ts';
import { matmul } from '../../ops/matmul.ts';
import { sum } from '../../ops/reduce.ts';
import { concatenate, slice } from '../../ops/shape.ts';
import { clamp, sigmoid, softplus } from '../../ops/unary.ts';
import { encoderOf, type ImageFacts, type ImageSetting, type Model } from '../method.ts';
import type { PicturePanel } from '../panel.ts';

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

/**
 * Minus the log likelihood of pixels in [0, 1] under independent Bernoulli variables, in nats, summed over an image: [N].
 * @param logits and `pixels` [N, ...]
 */
export function bernoulli(logits: Tensor, pixels: Tensor): Tensor {
  const [N] = logits.shape;
  return sum(reshape(sub(softplus(logits), mul(pixels, logits)), [N, -1]), { axes: 1 });
}

/**
 * Images as pixels in [0, 1], and back to what networks get. Views can be darker than black and brighter than white: they are clipped, since
 * the cross-entropy of such pixels has no least value.
 */
export function pixelsOf(x: Tensor, { mean: by, std }: Pick<ImageFacts, 'mean' | 'std'>): Tensor {
  return clamp(add(mul(x, vector(std)), vector(by)), 0, 1);
}
export function standardized(pixels: Tensor, { mean: by, std }: Pick<ImageFacts, 'mean' | 'std'>): Tensor {
  return div(sub(pixels, vector(by)), vector(std));
}
const vector = (numbers: readonly number[]) => constant(Float32Array.from(numbers), [numbers.length]);

/** An encoder with latents behind it, and a decoder. */
export interface Autoencoder extends Model {
  encoder: Encoder;
  /** h [N, encoder.outputs] to latents [N, D], of a VAE to their means. */
  toLatents: Layer;
  /** Images to latents: both of these. */
  encode: (x: Tensor, mode?: Mode) => Tensor;
  /** Latents [N, D] to logits of pixels, [N, H, W, C]. */
  decode: Layer;
  image: ImageFacts;
  latents: number;
}

/**
 * Builds the networks of an autoencoder: the encoder of the run, a linear layer behind it, and a decoder that mirrors the encoder: of
 * linear layers where that has no others, else `cnnDecoder`.
 */
export function autoencoderOf(
  method: { title: string },
  setting: ImageSetting<object>,
  latents: number,
): Autoencoder {
  const { encoder, image } = encoderOf(method, setting);
  const { seed } = setting;
  const { height, width, channels } = image;
  const toLatents = linear({ name: 'latents.mean', inputs: encoder.outputs, outputs: latents, seed });
  const sizes = { inputs: latents, height, width, channels, seed };
  const { linear: of } = encoder;
  const decode = of ? mlpDecoder({ ...sizes, ...of, widths: [...of.widths].reverse() }) : cnnDecoder(sizes);
  return {
    ...{ encoder, toLatents, decode, image, latents, layers: [encoder, toLatents, decode] },
    encode: (x, mode) => toLatents(encoder(x, mode), mode),
    embed: toLatents,
  };
}

/** Columns of a row of pictures. */
export const SHOWN = 10;
/** The names of three rows of samples, and of three rows that each show one thing. */
export const SAMPLES = ['samples 1–10', '11–20', '21–30'];
export const threeOf = (name: string) => [1, 2, 3].map((n) => `${name} ${n}`);

/** The first `count` images, or all if there are fewer. */
export const firstOf = (x: Tensor, count: number): Tensor =>
  slice(x, { starts: x.shape.map(() => 0), sizes: [Math.min(count, x.shape[0]), ...x.shape.slice(1)] });

/** Latents as pictures, in rows. z: [rows * columns, D] -> [rows, columns, H, W, C] */
export function drawnFrom({ decode, image }: Autoencoder, z: Tensor, rows: number): Tensor {
  const pictures = standardized(sigmoid(decode(z)), image);
  return reshape(pictures, [rows, z.shape[0] / rows, ...pictures.shape.slice(1)]);
}

/** Held-out images above their reconstructions. */
export const reconstructionPanel = (
  caption: string,
  /** Images to what is made of them, in the same units. */
  reconstruct: (x: Tensor) => Tensor,
): PicturePanel => ({
  ...{ kind: 'pictures', title: 'Reconstructions', rows: ['image', 'reconstruction'], caption },
  followed: 'reconstruction',
  pictures(x) {
    const shown = firstOf(x, SHOWN);
    return concatenate([shown, reconstruct(shown)].map((y) => reshape(y, [1, ...shown.shape])));
  },
});

/** The first row of pictures of latents, without the axis of rows. */
export const reconstructed = (model: Autoencoder, x: Tensor): Tensor =>
  reshape(drawnFrom(model, model.encode(x), 1), x.shape);

/** Pictures on the way from one image to another. */
export const interpolationPanel = (model: Autoencoder): PicturePanel => ({
  ...{ kind: 'pictures', title: 'Interpolations', rows: threeOf('pair') },
  caption: 'From one held-out image to another, in equal steps of their latents.',
  pictures(x) {
    const latents = firstOf(model.encode(x), 6);
    const shares = Float32Array.from({ length: 3 * SHOWN * 6 }, (_, at) => {
      const [row, column] = [Math.floor(at / 6), at % 6];
      const [pair, i] = [Math.floor(row / SHOWN), (row % SHOWN) / (SHOWN - 1)];
      return Math.floor(column / 2) === pair ? (column % 2 ? i : 1 - i) : 0;
    });
    return drawnFrom(model, matmul(constant(shares, [3 * SHOWN, 6]), latents), 3);
  },
});
