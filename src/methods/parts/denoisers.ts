// The networks of diffusion models and flows: a U-Net for images, with the average that samples are drawn with, and an MLP for points.
import { checkNumber, inRange, shown } from '../../gpu/check.ts';
import { checkNumbers } from '../../graph/check.ts';
import {
  constant,
  input,
  reshape,
  type Scalar,
  type Tensor,
  throwShapeError,
  where,
} from '../../graph/tensor.ts';
import { checkEncoder, type Encoder, mlp } from '../../nn/encoders.ts';
import { copyInitial } from '../../nn/init.ts';
import { makeLayer } from '../../nn/layers.ts';
import { patchify, unpatchify } from '../../nn/transformer.ts';
import { unet } from '../../nn/unet.ts';
import { add, mul, sub } from '../../ops/binary.ts';
import { averagePool2d } from '../../ops/pool.ts';
import { concatenate } from '../../ops/shape.ts';
import { timestepEmbedding } from '../../ops/timestep_embedding.ts';
import { ema } from '../../optim/ema.ts';
import { encoderOf, FIXED_SHARE, type ImageFacts, type ImageSetting, type Recipe } from '../method.ts';
import { pixelsOf, standardized } from './autoencoder.ts';
import type { Denoiser, Generator } from './diffusion.ts';

/** Hyperparameters of the U-Net: its channels, a multiple of 8, and the momentum of the average of its weights. */
export const UNET_WIDTH = [32, { least: 8, most: 1024, whole: true }] as const;
export const MOMENTUM = [0.995, FIXED_SHARE] as const;

/** A U-Net for the images of a setting, and the moving average of its weights. */
export interface ImageDenoiser {
  /** What is trained. */
  network: Denoiser;
  /** The average, which samples are drawn with (Ho et al. 2020, Appendix B). */
  average: Denoiser;
  /** Images of the data set to pixels in [-1, 1], and back; and the features of the trained network's middle block. */
  units: Pick<Generator, 'shape' | 'scaled' | 'unscaled' | 'features'>;
  /** What a recipe needs of it. */
  recipe: Pick<Recipe<unknown>, 'model' | 'state' | 'after'>;
}

/** Squares of so many pixels are one pixel of the U-Net, with more channels: a quarter of the work (Hoogeboom et al. 2023, arXiv 2301.11093). */
const PATCH = 2;

/** A U-Net as an encoder of images. */
export type UNetEncoder = Encoder & {
  /** Pixels in [-1, 1] and times 0 ... 1000 to what the U-Net predicts: images [N, H, W, C], t [N] -> [N, H, W, C] */
  readonly denoise: Denoiser;
  /** What the middle block makes of pixels in [-1, 1] at a time of 0 ... 1000: rows [N, outputs]. */
  readonly features: (x: Tensor, t: number) => Tensor;
};

/**
 * The encoder that {@link ddpm} and {@link rectifiedFlow} train: a U-Net of one level on squares of 2 x 2 pixels, 14 x 14 of them for
 * images of 28 x 28, and 7 x 7 in the middle. h is the middle block's features of clean images at the time `seen`, averaged over
 * 3 x 3 windows with stride 2: they keep their places, coarsely.
 * x: [N, height, width, channels] of a data set -> h: [N, outputs]
 * @param options.image The sizes of an image, and what its pixels in [0, 1] were normalised by: a data set has all of it.
 * @param options.width Channels of the U-Net, a multiple of 8: the hyperparameter of that name. Default 32.
 * @param options.seen The time, 0 ... 1000. Default 50.
 * @throws ShapeError for a height or a width that 4 does not divide
 * @example
 * const encoder = unetEncoder({ image: images });
 * loadVariables(device, file, encoder.parameters);
 * const { h } = await embed(device, images, (x) => ({ h: encoder(x) }));
 */
export function unetEncoder(options: {
  name?: string;
  seed?: number;
  image: Pick<ImageFacts, 'height' | 'width' | 'channels' | 'mean' | 'std'>;
  width?: number;
  seen?: number;
}): UNetEncoder {
  checkEncoder('unetEncoder', options, 'width', 'image seen');
  const { name = 'unet', seed, image, width = 32, seen = 50 } = options;
  checkImage('unetEncoder', image);
  checkNumber('unetEncoder', 'seen', seen, { least: 0, most: 1000 });
  const { height: H, width: W, channels: C } = image;
  const sizes = { height: H / PATCH, width: W / PATCH, channels: PATCH * PATCH * C };
  const net = unet({ name, seed, widths: [width], ...sizes });
  const cut = (x: Tensor) =>
    reshape(patchify(x, PATCH), [x.shape[0], sizes.height, sizes.width, sizes.channels]);
  const denoise: Denoiser = (x, t) => {
    const y = net(cut(x), t);
    return unpatchify(reshape(y, [x.shape[0], -1, sizes.channels]), PATCH, H, W);
  };
  const features = (x: Tensor, t: number) => pooled(net.middle(cut(x), constant(t, [x.shape[0]])));
  const encode = makeLayer(name, (x) => features(scaled(x, image), seen), net.parameters);
  const { shape } = encode(input([1, H, W, C]));
  return Object.assign(encode, { outputs: shape[1], denoise, features });
}

/** @throws ShapeError or InputError for an image that the U-Net cannot take */
function checkImage(kind: string, image: unknown): asserts image is Omit<ImageFacts, 'count'> {
  if (typeof image !== 'object' || image === null)
    throwShapeError(kind, `expected the sizes, mean and std of an image for "image", got ${shown(image)}`);
  const { height, width, channels, mean, std } = image as ImageFacts;
  checkNumber(where(kind), 'channels', channels, { least: 1, whole: true });
  for (const [name, size] of Object.entries({ height, width }))
    if (!inRange(size, { least: 2 * PATCH, whole: true }) || size % (2 * PATCH))
      throwShapeError(kind, `expected a multiple of ${2 * PATCH} for "${name}", got ${shown(size)}`);
  checkNumbers(kind, 'mean', mean);
  checkNumbers(kind, 'std', std, { above: 0 });
  for (const list of [mean, std])
    if (list.length !== channels)
      throwShapeError(kind, `expected a mean and a std of each channel, got ${shown(list)} of ${channels}`);
}

/** Images of a data set to pixels in [-1, 1]. */
const scaled = (x: Tensor, image: Pick<ImageFacts, 'mean' | 'std'>) => sub(mul(pixelsOf(x, image), 2), 1);

/**
 * Builds the U-Net of images and its average.
 * @param options.width channels of the U-Net
 * @param options.momentum of the average
 */
export function imageDenoiser(
  method: { title: string },
  setting: ImageSetting<object>,
  options: { width: number; momentum: Scalar },
): ImageDenoiser {
  const { image } = encoderOf(method, setting);
  const { height, width, channels } = image;
  const [encoder, average] = ['unet', 'average'].map((name) =>
    unetEncoder({ name, seed: setting.seed, image, width: options.width }),
  );
  copyInitial(average.parameters, encoder.parameters);
  return {
    ...{ network: encoder.denoise, average: average.denoise },
    units: {
      shape: [height, width, channels],
      scaled: (x) => scaled(x, image),
      unscaled: (x) => standardized(mul(add(x, 1), 0.5), image),
      features: encoder.features,
    },
    recipe: {
      model: { layers: [encoder], encoder },
      state: average.parameters,
      after: () => ema(average.parameters, encoder.parameters, options.momentum),
    },
  };
}

/** The means of 3 x 3 windows with stride 2, as rows: [N, H, W, C] -> [N, D]. */
function pooled(x: Tensor): Tensor {
  const [N, H, W] = x.shape;
  return reshape(averagePool2d(x, { kernel: [Math.min(3, H), Math.min(3, W)], stride: 2 }), [N, -1]);
}

/** A network whose times are in 0 ... 1000, as one of times in 0 ... 1. */
export const inUnitTime =
  (network: Denoiser): Denoiser =>
  (x, t) =>
    network(x, mul(t, 1000));

/** Width of the embedding of t, and of the three hidden layers. */
const [TIMES, HIDDEN] = [32, 128];

/** An MLP of three hidden layers for points of the plane, which sees t beside them. */
export function pointDenoiser(seed: number) {
  const layers = mlp([2 + TIMES, HIDDEN, HIDDEN, HIDDEN, 2], { name: 'denoiser', activation: 'silu', seed });
  const network: Denoiser = (x, t) =>
    layers(concatenate([x, timestepEmbedding(t, { width: TIMES })], { axis: 1 }));
  const as = (x: Tensor) => x;
  const units = { shape: [2], scaled: as, unscaled: as };
  return { network, units, parameters: layers.parameters };
}
