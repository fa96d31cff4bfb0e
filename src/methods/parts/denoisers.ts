// The networks of diffusion models and flows: a U-Net for images, with the average that samples are drawn with, and an MLP for points.
import { constant, reshape, type Scalar, type Tensor } from '../../graph/tensor.ts';
import { mlp } from '../../nn/encoders.ts';
import { copyInitial } from '../../nn/init.ts';
import { unet } from '../../nn/unet.ts';
import { add, div, mul, sub } from '../../ops/binary.ts';
import { averagePool2d } from '../../ops/pool.ts';
import { concatenate } from '../../ops/shape.ts';
import { timestepEmbedding } from '../../ops/timestep_embedding.ts';
import { ema } from '../../optim/ema.ts';
import { encoderOf, FIXED_SHARE, type ImageSetting, type Recipe } from '../method.ts';
import type { Denoiser, Generator } from './diffusion.ts';
import { pixelsOf, standardized } from './vae.ts';

/** Hyperparameters of the U-Net: channels at full size, and the momentum of the average of its weights. */
export const averagedUNet = {
  width: [16, { least: 8, most: 1024, whole: true }],
  momentum: [0.995, FIXED_SHARE],
} as const;

/** A U-Net for the images of a setting, and the moving average of its weights. */
export interface ImageDenoiser {
  /** What is trained. */
  network: Denoiser;
  /** The average, which samples are drawn with (Ho et al. 2020, Appendix B). */
  average: Denoiser;
  /** Images of the data set to pixels in [-1, 1], and back. */
  units: Pick<Generator, 'shape' | 'scaled' | 'unscaled'>;
  /** What a recipe needs of it. */
  recipe: Pick<Recipe<unknown>, 'model' | 'state' | 'after'>;
}

/**
 * Builds the U-Net of images: `width` channels at full size, twice as many at half of it and below. h is the middle block's features of
 * clean images at the time `seen`, averaged over 3 x 3 windows with stride 2: they keep their places, coarsely.
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
      ...{ name, seed: setting.seed, height, width, channels },
      widths: [options.width, 2 * options.width],
    });
  const [network, average] = [make('unet'), make('average')];
  copyInitial(average.parameters, network.parameters);
  const scaled = (x: Tensor) => sub(mul(pixelsOf(x, image), 2), 1);
  return {
    ...{ network, average },
    units: {
      shape: [height, width, channels],
      scaled,
      unscaled: (x) => standardized(mul(add(x, 1), 0.5), image),
    },
    recipe: {
      model: {
        layers: [network],
        represent: (x) => ({ h: pooled(network.middle(scaled(x), constant(options.seen, [x.shape[0]]))) }),
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

/** Points of the plane are divided by this, so that they lie in about [-1, 1]. */
const REACH = 2.5;
/** Width of the embedding of t, and of the three hidden layers. */
const [TIMES, HIDDEN] = [32, 128];

/** An MLP of three hidden layers for points of the plane, which sees t beside them. */
export function pointDenoiser(seed: number) {
  const layers = mlp([2 + TIMES, HIDDEN, HIDDEN, HIDDEN, 2], { name: 'denoiser', activation: 'silu', seed });
  const network: Denoiser = (x, t) =>
    layers(concatenate([x, timestepEmbedding(t, { width: TIMES })], { axis: 1 }));
  const units: Pick<Generator, 'shape' | 'scaled' | 'unscaled'> = {
    shape: [2],
    scaled: (x) => div(x, REACH),
    unscaled: (x) => mul(x, REACH),
  };
  return { network, units, parameters: layers.parameters };
}
