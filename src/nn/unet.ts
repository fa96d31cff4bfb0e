import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkNumbers, checkTensor } from '../graph/check.ts';
import { reshape, layer as scope, show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';
import { add } from '../ops/binary.ts';
import { concatenate } from '../ops/shape.ts';
import { timestepEmbedding } from '../ops/timestep_embedding.ts';
import { checkEncoder } from './encoders.ts';
import { dropout, groupNorm, upsample } from './image_layers.ts';
import type { Initializer } from './init.ts';
import {
  type Activation,
  conv2d,
  joinLayers,
  type Layer,
  linear,
  type Mode,
  makeLayer,
  sequential,
} from './layers.ts';

const zeros: Initializer = ({ size }) => new Float32Array(size);

/**
 * Encodes times: {@link timestepEmbedding}, linear, SiLU, linear, as in DDPM. t: [N] -> [N, outputs]
 * @param options.width Width of the embedding. Default 64.
 * @param options.outputs Of both linear layers. Default 4 width (DDPM).
 * @param options.activation Applied to the result. Default 'none'.
 * @param options.maxPeriod Default 10000.
 */
export function timeEncoder(
  options: {
    name?: string;
    seed?: number;
    width?: number;
    outputs?: number;
    activation?: Activation;
    maxPeriod?: number;
  } = {},
): Layer {
  checkEncoder('timeEncoder', options, 'width outputs', 'activation maxPeriod');
  const { name = 'time', seed = 0, width = 64, outputs = 4 * width, activation = 'none' } = options;
  const { maxPeriod = 10_000 } = options;
  checkNumber(where('timeEncoder'), 'width', width, { least: 2, most: 65_536, whole: true });
  checkNumber(where('timeEncoder'), 'maxPeriod', maxPeriod, { above: 0 });
  return sequential(name, [
    makeLayer('', (t) => timestepEmbedding(t, { width, maxPeriod })),
    linear({ inputs: width, outputs, activation: 'silu', seed }),
    linear({ inputs: outputs, outputs, activation, seed }),
  ]);
}

/** A function of images [N, H, W, inputs] and of an activated time embedding [N, time], or null without one: see {@link residualBlock}. */
export type ResidualBlock = ((x: Tensor, time?: Tensor | null, mode?: Mode) => Tensor) &
  Pick<Layer, 'name' | 'parameters' | 'statistics'>;

/**
 * The residual block of DDPM (Ho et al. 2020, arXiv 2006.11239): x + conv(drop(silu(norm(conv(silu(norm(x))) + linear(time))))), with
 * group norms and 3x3 convolutions, the second of which starts at 0; x goes through a 1x1 convolution if the channels change.
 * x: [N, H, W, inputs], time: [N, time] -> [N, H, W, outputs]
 * @param options.time Width of the time embedding, which the caller has passed through SiLU once for all blocks. Default: none.
 * @param options.groups Of the norms; they divide inputs and outputs. Default 8.
 * @param options.dropout Rate. Default 0.
 */
export function residualBlock(options: {
  name?: string;
  seed?: number;
  inputs: number;
  outputs: number;
  time?: number;
  groups?: number;
  dropout?: number;
}): ResidualBlock {
  checkEncoder(
    'residualBlock',
    options && { ...{ inputs: 0, outputs: 0 }, ...options },
    'inputs outputs time groups',
    'dropout',
  );
  const { name = '', seed = 0, inputs, outputs, time, groups = 8, dropout: rate = 0 } = options;
  const norm1 = groupNorm({ features: inputs, groups, activation: 'silu', name: 'norm1' });
  const conv1 = conv2d({ inputs, outputs, seed, name: 'conv1' });
  const shift = time === undefined ? null : linear({ inputs: time, outputs, seed, name: 'time' });
  const norm2 = groupNorm({ features: outputs, groups, activation: 'silu', name: 'norm2' });
  const drop = dropout({ rate, seed, name: 'dropout' });
  const conv2 = conv2d({ inputs: outputs, outputs, seed, init: zeros, name: 'conv2' });
  const skip =
    inputs === outputs ? null : conv2d({ inputs, outputs, kernel: 1, padding: 0, seed, name: 'skip' });
  const parts = [norm1, conv1, shift, norm2, conv2, skip].filter((part) => part !== null);
  const forward = (x: Tensor, time: Tensor | null, mode: Mode): Tensor => {
    let h = conv1(norm1(x));
    if (shift && time) h = add(h, reshape(shift(time), [x.shape[0], 1, 1, outputs]));
    return add(skip ? skip(x) : x, conv2(drop(norm2(h), mode)));
  };
  const apply = (x: Tensor, time: Tensor | null = null, mode: Mode = {}): Tensor => {
    const kind = 'residualBlock';
    checkCall(kind, { x, ...(time !== null && { time }) }, mode, 'training momentum step');
    if (x.shape.length !== 4) throwShapeError(kind, `expected images [N, H, W, C], got ${show(x.shape)}`);
    if (!shift !== !time)
      throwShapeError(
        kind,
        shift ? 'expected a time embedding, got none' : 'expected no time embedding, got one',
      );
    return name ? scope(name, () => forward(x, time, mode)) : forward(x, time, mode);
  };
  Object.defineProperty(apply, 'name', { value: name });
  return Object.assign(apply, joinLayers(name, parts)) as ResidualBlock;
}

/** A function of images [N, H, W, C] and times [N]: see {@link unet}. */
export type UNet = ((x: Tensor, t: Tensor, mode?: Mode) => Tensor) &
  Pick<Layer, 'name' | 'parameters' | 'statistics'> & {
    /** The features between the way down and the way up, [N, H / 2^levels, W / 2^levels, last width]: a representation of x at time t. */
    readonly middle: (x: Tensor, t: Tensor, mode?: Mode) => Tensor;
  };

interface UNetOptions {
  name?: string;
  seed?: number;
  height?: number;
  width?: number;
  channels?: number;
  widths?: readonly number[];
  time?: number;
  groups?: number;
  outputs?: number;
  dropout?: number;
  maxPeriod?: number;
}

/** Checks the options of a U-Net, with defaults. */
function checkUNet(options: UNetOptions): Required<UNetOptions> {
  checkEncoder('unet', options, 'height width channels time groups outputs', 'widths dropout maxPeriod');
  const { name = 'unet', seed = 0, height = 28, width = 28, channels = 1, outputs = channels } = options;
  const { widths = [32, 64], groups = 8, dropout = 0, maxPeriod = 10_000 } = options;
  checkNumbers('unet', 'widths', widths, { least: 2, whole: true });
  if (!widths.length) throwShapeError('unet', 'expected at least one width, got none');
  const unit = 2 ** widths.length;
  if (height % unit || width % unit)
    throwShapeError(
      'unet',
      `expected a height and a width divisible by ${unit}, got ${show([height, width])}`,
    );
  const odd = widths.find((n) => n % groups);
  if (odd) throwShapeError('unet', `expected widths that ${groups} groups divide, got ${odd}`);
  const { time = 4 * widths[0] } = options;
  return { name, seed, height, width, channels, outputs, widths, groups, dropout, maxPeriod, time };
}

/** The layers of a U-Net; `down` and `up` by level, the largest images first. */
function partsOf({
  seed,
  channels,
  outputs,
  widths,
  groups,
  dropout,
  maxPeriod,
  time,
}: Required<UNetOptions>) {
  const shared = { seed, time, groups, dropout };
  const last = widths[widths.length - 1];
  const first = conv2d({ inputs: channels, outputs: widths[0], seed, name: 'first' });
  const times = timeEncoder({ width: widths[0], outputs: time, activation: 'silu', maxPeriod, seed });
  const down = widths.map((n, i) => ({
    block: residualBlock({ inputs: widths[Math.max(i - 1, 0)], outputs: n, ...shared, name: `down.${i}` }),
    smaller: conv2d({ inputs: n, outputs: n, stride: 2, seed, name: `smaller.${i}` }),
  }));
  const middle = [0, 1].map((i) =>
    residualBlock({ inputs: last, outputs: last, ...shared, name: `middle.${i}` }),
  );
  const up = widths.map((n, i) => ({
    larger: sequential(`larger.${i}`, [
      upsample(),
      conv2d({ inputs: widths[Math.min(i + 1, widths.length - 1)], outputs: n, seed }),
    ]),
    block: residualBlock({ inputs: 2 * n, outputs: n, ...shared, name: `up.${i}` }),
  }));
  const output = sequential('output', [
    groupNorm({ features: widths[0], groups, activation: 'silu' }),
    conv2d({ inputs: widths[0], outputs, init: zeros, seed }),
  ]);
  return { first, times, down, middle, up, output };
}

/**
 * A small U-Net of residual blocks, for denoising and flows: on the way down, for each of `widths`, a {@link residualBlock} and a 3x3
 * convolution with stride 2; two blocks in the middle; on the way up, nearest upsampling with a 3x3 convolution, the features of the way
 * down beside it, and a block; group norm, SiLU and a convolution that starts at 0. 28x28: 28 -> 14 -> 7 -> 14 -> 28. After DDPM
 * (Ho et al. 2020), without attention. He initialisation.
 * x: [N, height, width, channels], t: [N] -> [N, height, width, outputs]. Times that run from 0 to 1 are multiplied by 1000 first.
 * @param options.widths Channels by level, the largest images first. Default [32, 64].
 * @param options.time Width of the time embedding. Default 4 times the first width (DDPM).
 * @param options.groups Of the group norms. Default 8.
 * @param options.outputs Default: channels.
 * @param options.dropout Rate in the blocks; above 0 it needs the mode's `step` in training. Default 0.
 * @param options.maxPeriod Of the embedding of times. Default 10000.
 * @throws ShapeError unless 2^levels divides height and width, and groups the widths
 */
export function unet(options: UNetOptions = {}): UNet {
  const settings = checkUNet(options);
  const { name, height, width, channels } = settings;
  const { first, times, down, middle, up, output } = partsOf(settings);
  const inside = (x: Tensor, t: Tensor, mode: Mode) => {
    const time = times(t);
    const skips: Tensor[] = [];
    let h = first(x);
    for (const { block, smaller } of down) {
      h = block(h, time, mode);
      skips.push(h);
      h = smaller(h);
    }
    for (const block of middle) h = block(h, time, mode);
    return { h, skips, time };
  };
  const checked =
    (forward: (x: Tensor, t: Tensor, mode: Mode) => Tensor) =>
    (x: Tensor, t: Tensor, mode: Mode = {}): Tensor => {
      checkCall('unet', { x }, mode, 'training momentum step');
      checkTensor('unet', 't', t, { dtype: 'f32', rank: 1 });
      const size = height * width * channels;
      if (x.shape.length < 2 || x.size !== x.shape[0] * size)
        throwShapeError(
          'unet',
          `expected images [N, ${height}, ${width}, ${channels}], got ${show(x.shape)}`,
        );
      if (t.size !== x.shape[0])
        throwShapeError('unet', `expected times [${x.shape[0]}] for ${show(x.shape)}, got ${show(t.shape)}`);
      const images = reshape(x, [x.shape[0], height, width, channels]);
      return name ? scope(name, () => forward(images, t, mode)) : forward(images, t, mode);
    };
  const apply = (x: Tensor, t: Tensor, mode: Mode): Tensor => {
    const { h, skips, time } = inside(x, t, mode);
    const top = up.reduceRight(
      (h, { larger, block }, i) => block(concatenate([larger(h), skips[i]], { axis: 3 }), time, mode),
      h,
    );
    return output(top);
  };
  const network = checked(apply);
  const parts = [
    ...[first, times, ...down.flatMap(({ block, smaller }) => [block, smaller]), ...middle],
    ...[...up.flatMap(({ larger, block }) => [larger, block]), output],
  ];
  Object.defineProperty(network, 'name', { value: name });
  return Object.assign(network, joinLayers(name, parts), {
    middle: checked((x, t, mode) => inside(x, t, mode).h),
  }) as UNet;
}
