// The networks of diffusion models and flows: a U-Net for images, with the average that samples are drawn with, and an MLP for points.
import { constant, reshape, type Scalar, type Tensor } from '../../graph/tensor.ts';
import { mlp } from '../../nn/encoders.ts';
import { copyInitial } from '../../nn/init.ts';
import { patchify, unpatchify } from '../../nn/transformer.ts';
import { unet } from '../../nn/unet.ts';
import { add, mul, sub } from '../../ops/binary.ts';
import { averagePool2d } from '../../ops/pool.ts';
import { concatenate } from '../../ops/shape.ts';
import { timestepEmbedding } from '../../ops/timestep_embedding.ts';
import { ema } from '../../optim/ema.ts';
import { encoderOf, FIXED_SHARE, type ImageSetting, type Recipe } from '../method.ts';
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

/**
 * Builds the U-Net of images, of one level: 14 x 14 squares of images of 28 x 28, and 7 x 7 in the middle. h is the middle block's features
 * of clean images at the time `seen`, averaged over 3 x 3 windows with stride 2: they keep their places, coarsely.
 * @param options.momentum of the average
 */
export function imageDenoiser(
  method: { title: string },
  setting: ImageSetting<object>,
  options: { width: number; momentum: Scalar; seen: number },
): ImageDenoiser {
  const { image } = encoderOf(method, setting);
  const { height, width, channels } = image;
  const make = (name: string) =>
    unet({
      ...{ name, seed: setting.seed, widths: [options.width] },
      ...{ height: height / PATCH, width: width / PATCH, channels: PATCH * PATCH * channels },
    });
  const cut = (x: Tensor) =>
    reshape(patchify(x, PATCH), [x.shape[0], height / PATCH, width / PATCH, PATCH * PATCH * channels]);
  const joined = (net: Denoiser) => (x: Tensor, t: Tensor) => {
    const y = net(cut(x), t);
    return unpatchify(reshape(y, [x.shape[0], -1, y.shape[3]]), PATCH, height, width);
  };
  const [network, average] = [make('unet'), make('average')];
  copyInitial(average.parameters, network.parameters);
  const scaled = (x: Tensor) => sub(mul(pixelsOf(x, image), 2), 1);
  const features = (x: Tensor, t: number) => pooled(network.middle(cut(x), constant(t, [x.shape[0]])));
  return {
    ...{ network: joined(network), average: joined(average) },
    units: {
      shape: [height, width, channels],
      scaled,
      unscaled: (x) => standardized(mul(add(x, 1), 0.5), image),
      features,
    },
    recipe: {
      model: {
        layers: [network],
        represent: (x) => ({ h: features(scaled(x), options.seen) }),
      },
      state: average.parameters,
      after: () => ema(average.parameters, network.parameters, options.momentum),
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
