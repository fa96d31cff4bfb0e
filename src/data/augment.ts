import augmentWgsl from '../../shaders/augment.wgsl' with { type: 'text' };
import blurWgsl from '../../shaders/blur.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { checkNumber, checkOptions, inRange, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { checkScalar } from '../graph/check.ts';
import { type Call, type Kernel, op } from '../graph/op.ts';
import { type Scalar, type Shape, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { randomLib } from '../ops/random.ts';
import {
  batchShape,
  checkDataset,
  type Dataset,
  IN_ORDER,
  imageInputs,
  imageSource,
  normalization,
  type Sampling,
  samplingMode,
  U32,
} from './dataset.ts';

/**
 * The random changes that make a view of an image, drawn for each sample and view. Numbers may be scalar inputs, which
 * can change from step to step. Changes that are left out are not applied. Their order: geometry (one bilinear
 * sample, black outside), gamma, brightness, contrast, hue and saturation, clamp, grayscale, gain, noise, erase, blur.
 */
export interface Augmentation {
  /** Degrees, uniform on plus or minus this. */
  rotation?: Scalar;
  /** Magnification, log-uniform on 1 / scale to scale. */
  scale?: Scalar;
  /** Pixels along each axis, uniform on plus or minus this. */
  shift?: Scalar;
  /** A random part of the image, resized to the image's size: uniform share of the area, log-uniform width / height in pixels. */
  crop?: { area: readonly [Scalar, Scalar]; aspect?: readonly [Scalar, Scalar] };
  /** Probability of a mirrored view. */
  flip?: Scalar;
  /** Factor on all pixels, uniform, not clipped. */
  gain?: readonly [Scalar, Scalar];
  /** Probability that the next five options apply to a view (it is then clamped to [0, 1]). Default 1. */
  jitter?: Scalar;
  /** Factor on all pixels, uniform on 1 - b to 1 + b. */
  brightness?: Scalar;
  /** Factor on the distance from .5, uniform on 1 - c to 1 + c. */
  contrast?: Scalar;
  /** Exponent, log-uniform on 1 / gamma to gamma. */
  gamma?: Scalar;
  /** RGB: factor on the distance from gray, uniform on 1 - s to 1 + s. */
  saturation?: Scalar;
  /** RGB: turns about the gray axis, uniform on plus or minus this; .5 reaches every hue. */
  hue?: Scalar;
  /** RGB: probability of a gray view. */
  grayscale?: Scalar;
  /**
   * Standard deviation of Gaussian noise on each pixel and channel: one for all views, or a range from which each view
   * draws its own, uniformly.
   */
  noise?: Scalar | readonly [low: Scalar, high: Scalar];
  /** Sets one rectangle to 0: height and width are whole and uniform, its centre is uniform over the image. */
  erase?: { probability: Scalar; size: readonly [Scalar, Scalar] };
  /** Gaussian blur, sigma uniform in pixels, cut at 8 pixels; edges repeated. Costs two more dispatches. */
  blur?: { probability: Scalar; sigma: readonly [Scalar, Scalar] };
}

/** Every name of {@link Augmentation}. */
const AUGMENTATION: readonly (keyof Augmentation)[] = [
  ...(['rotation', 'scale', 'shift', 'crop', 'flip', 'gain', 'jitter', 'brightness', 'contrast'] as const),
  ...(['gamma', 'saturation', 'hue', 'grayscale', 'noise', 'erase', 'blur'] as const),
];

/** Training views of small gray images, without noise; {@link noisyViews} adds it. */
export const plainViews = {
  rotation: 8,
  scale: 1.1,
  shift: 1.5,
  gain: [0.5, 1.5],
  erase: { probability: 0.5, size: [4, 12] },
} as const satisfies Augmentation;

/**
 * The training views of the terminal program's default job: {@link plainViews} with noise whose strength differs from view to
 * view. An encoder trained without noise loses most of its accuracy on noisy images; one strength for all views costs
 * clean accuracy, a range does not (docs/decisions.md, "Default views are noisy").
 */
export const noisyViews = { ...plainViews, noise: [0, 0.2] } as const satisfies Augmentation;

/** Zoomed-in views, used together with {@link plainViews}: the local crops of multi-crop. */
export const localCropViews = {
  crop: { area: [0.3, 0.6] },
  rotation: 8,
  gain: [0.5, 1.5],
} as const satisfies Augmentation;

/** Stronger than {@link plainViews}: for a pretext task without pairs of views, which learns its invariances from the augmentation alone. */
export const wideViews = {
  rotation: 15,
  scale: 1.2,
  shift: 3,
  gain: [0.5, 1.5],
  noise: 0.1,
  erase: { probability: 0.5, size: [4, 12] },
} as const satisfies Augmentation;

/** The fixed distribution that queries of AUG-kNN are drawn from, whatever the training views were. */
export const evaluationViews = {
  rotation: 15,
  scale: 1.15,
  shift: 2,
  gain: [0.7, 1.3],
  noise: 0.03,
} as const satisfies Augmentation;

/**
 * Scales the lengths of views that are given for 28 x 28 pixels ({@link plainViews}, {@link shiftedViews}, {@link evaluationViews}) to images of another size.
 * @throws InputError for invalid sizes, and for lengths that are scalar inputs, whose values are not known yet
 */
export function scaledTo(images: { height: number; width: number }, views: Augmentation): Augmentation {
  if (typeof images !== 'object' || images === null)
    throw new InputError(`scaledTo: expected { height, width }, got ${shown(images)}`);
  const { height, width } = images;
  checkNumber('scaledTo', 'height', height, { least: 1, whole: true });
  checkNumber('scaledTo', 'width', width, { least: 1, whole: true });
  checkOptions('scaledTo', views, AUGMENTATION);
  const ratio = Math.min(height, width) / 28;
  if (ratio === 1) return views;
  const { shift, erase, blur } = views;
  const length = (name: string, n: unknown) => {
    checkNumber('scaledTo', name, n, { least: 0 });
    return (n as number) * ratio;
  };
  const pair = (name: string, values: unknown) => {
    if (Array.isArray(values) && values.length === 2) return values.map((n) => length(name, n));
    throw new InputError(`scaledTo: expected [low, high] for "${name}", got ${shown(values)}`);
  };
  const pixels = (n: number) => Math.max(1, Math.round(n));
  const [low, high] = erase ? pair('erase.size', erase.size).map(pixels) : [];
  const [least, most] = blur ? pair('blur.sigma', blur.sigma) : [];
  return {
    ...views,
    ...(shift !== undefined && { shift: length('shift', shift) }),
    ...(erase && { erase: { ...erase, size: [low, high] } }),
    ...(blur && { blur: { ...blur, sigma: [least, most] } }),
  };
}

/**
 * SimCLR's views of colour images (Chen et al. 2020, appendix A; jitter strength .5 as on CIFAR-10, no blur). Contrast
 * is scaled about .5 instead of the image's mean, and hue is rotated about the gray axis instead of in HSV.
 */
export const colorViews = {
  crop: { area: [0.08, 1], aspect: [3 / 4, 4 / 3] },
  flip: 0.5,
  jitter: 0.8,
  brightness: 0.4,
  contrast: 0.4,
  saturation: 0.4,
  hue: 0.1,
  grayscale: 0.2,
} as const satisfies Augmentation;

/**
 * The default views of images in pairs, such as two drawings of one thing: the pairs themselves show what to ignore, and colour and layout,
 * which both drawings share, tell things apart (docs/decisions.md, "Pairs of drawings").
 */
export const shiftedViews = { shift: 1.3 } as const satisfies Augmentation;

export interface AugmentOptions extends Augmentation, Sampling {
  /** Samples in a view. */
  batch: number;
  /** Number of views of each sample. Default 2. */
  views?: number;
  /** Whether pixels become (pixel - mean) / std of the data set; otherwise they keep the scale of [0, 1]. Default true. */
  normalize?: boolean;
}

interface Options {
  shape: Shape;
  mode: number;
  count: number;
  batch: number;
  start: Scalar;
  seed: Scalar;
  step: Scalar;
  factors: readonly number[];
  offsets: readonly number[];
  a: Augmentation;
}

const isOn = (x: Scalar | undefined, neutral = 0): number => Number(x !== undefined && x !== neutral);
/** Invocations that share a view. Each of them draws the parameters of the view again, so more would cost time. */
const threadsFor = (area: number): number => 2 ** Math.min(8, Math.max(3, Math.ceil(Math.log2(area / 64))));

/** The range that the noise of a view is drawn from. */
const noiseOf = ({ noise = 0 }: Augmentation): readonly [Scalar, Scalar] =>
  Array.isArray(noise) ? (noise as [Scalar, Scalar]) : [noise as Scalar, noise as Scalar];

const JITTERS = ['brightness', 'contrast', 'saturation', 'hue', 'grayscale'] as const;
const channelsOf = ({ outputs }: Call) => outputs[0].shape[3];

const kernel = (call: Call<Options>): Kernel<Options> => ({
  source: [augmentWgsl, imageSource(call as Call).lib, gridWgsl, randomLib],
  entry: 'augment_forward',
  inputs: imageSource(call as Call).inputs,
  outputs: ['y'],
  constants: (c) => {
    const { a, mode, shape } = c.options;
    return {
      ...imageSource(c as Call).constants,
      CHANNELS: channelsOf(c),
      THREADS: threadsFor(shape[1] * shape[2]),
      MODE: mode,
      CROP: Number(a.crop !== undefined),
      JITTER: Number(JITTERS.some((name) => isOn(a[name])) || isOn(a.gamma, 1)),
      GAMMA: isOn(a.gamma, 1),
      NOISE: Array.isArray(a.noise) ? 2 : isOn(noiseOf(a)[0]),
      ERASE: isOn(a.erase?.probability),
    };
  },
  uniform: ({ options: { shape, mode: _, a, ...drawn } }) => ({
    ...{ ...drawn, rows: shape[0], height: shape[1], width: shape[2] },
    rotation: a.rotation ?? 0,
    scale: a.scale ?? 1,
    shift: a.shift ?? 0,
    flip: a.flip ?? 0,
    areaLow: a.crop?.area[0] ?? 1,
    areaHigh: a.crop?.area[1] ?? 1,
    aspectLow: a.crop?.aspect?.[0] ?? 3 / 4,
    aspectHigh: a.crop?.aspect?.[1] ?? 4 / 3,
    gainLow: a.gain?.[0] ?? 1,
    gainHigh: a.gain?.[1] ?? 1,
    jitter: a.jitter ?? 1,
    brightness: a.brightness ?? 0,
    contrast: a.contrast ?? 0,
    gamma: a.gamma ?? 1,
    saturation: a.saturation ?? 0,
    hue: a.hue ?? 0,
    grayscale: a.grayscale ?? 0,
    noiseLow: noiseOf(a)[0],
    noiseHigh: noiseOf(a)[1],
    erase: a.erase?.probability ?? 0,
    eraseLow: a.erase?.size[0] ?? 1,
    eraseHigh: a.erase?.size[1] ?? 1,
  }),
  rounds: ({ options: { shape } }) => ({
    size: shape[1] * shape[2],
    // 500 for the permutation of a random epoch.
    rounds: (n) => Math.ceil(n / threadsFor(n)) + 500,
    expected: 'images of at most N pixels',
  }),
  invocations: ({ options: { shape } }) => shape[0] * threadsFor(shape[1] * shape[2]),
});

const augmentOp = op({
  name: 'augment',
  half: true,
  shape: (_: (Tensor | null)[], { shape }: Options) => shape,
  kernel,
});

interface Blur {
  /** Rows of a view. */
  batch: number;
  /** Position of the first row. */
  start: Scalar;
  seed: Scalar;
  step: Scalar;
  probability: Scalar;
  sigma: readonly [Scalar, Scalar];
}

const blurOp = op({
  name: 'blur',
  half: true,
  shape: ([x]: [x: Tensor], _: Blur & { vertical: number }) => x.shape,
  kernel: {
    source: [blurWgsl, gridWgsl, randomLib],
    entry: 'blur_forward',
    inputs: ['x'],
    outputs: ['y'],
    constants: ({ inputs }) => ({ CHANNELS: inputs[0].shape[3] }),
    uniform: ({ inputs: [x], options: { sigma, ...drawn } }) => ({
      ...{ ...drawn, rows: x.shape[0], height: x.shape[1], width: x.shape[2] },
      ...{ sigmaLow: sigma[0], sigmaHigh: sigma[1] },
    }),
    rounds: () => 17,
    invocations: ({ inputs }) => inputs[0].size / inputs[0].shape[3],
  },
});

/** Blurs some of the views [views * batch, H, W, C]: horizontally, then vertically. Random numbers are drawn as in `augment`. */
const blur = (x: Tensor, options: Blur): Tensor =>
  [0, 1].reduce((y, vertical) => blurOp([y], { ...options, vertical }), x);

/**
 * Random views of a batch, f32 [views * batch, H, W, C], view A first: samples are gathered, changed and normalised in
 * one dispatch. `seed` and `step` select a batch of a random epoch; `start` or `indices` select fixed samples, and `seed`
 * and `step` (default 0) then only determine their views. With `start` the view of a sample does not depend on the batch.
 *
 * @throws ShapeError for options that do not apply to the images, or are out of range
 */
export function augment(data: Dataset, options: AugmentOptions): Tensor {
  checkDataset('augment', data);
  checkOptions('augment', options, [
    ...['batch', 'views', 'normalize', 'start', 'indices', 'seed', 'step'],
    ...AUGMENTATION,
  ]);
  const { batch, views = 2, normalize = true, start, indices, seed = 0, step = 0, ...a } = options;
  if (!inRange(views, { least: 1, whole: true }))
    throwShapeError('augment', `expected a positive whole number of views, got ${shown(views)}`);
  const mode = samplingMode('augment', data, batch, options);
  checkScalar('augment', 'seed', seed, U32, 'u32');
  checkScalar('augment', 'step', step, U32, 'u32');
  check(data, a);
  const call1: Options = {
    shape: batchShape('augment', data, views * batch),
    mode,
    count: data.count,
    batch,
    start: start ?? 0,
    seed,
    step,
    ...normalization(data, normalize),
    a,
  };
  const y = augmentOp(imageInputs(data, indices), call1);
  if (!a.blur || !isOn(a.blur.probability)) return y;
  return blur(y, { batch, start: mode === IN_ORDER ? call1.start : 0, seed, step, ...a.blur });
}

/** Checks that the options are in their ranges. @throws ShapeError */
function check(data: Dataset, a: Augmentation): void {
  const within = (name: string, value: unknown, least: number, most: number) => {
    if (value !== undefined) checkScalar('augment', name, value, { least, most });
  };
  const range = (name: string, values: unknown, least: number, most: number, dtype?: 'u32') => {
    if (values === undefined) return;
    if (!Array.isArray(values) || values.length !== 2)
      throwShapeError('augment', `expected [low, high] for "${name}", got ${shown(values)}`);
    for (const value of values) checkScalar('augment', name, value, { least, most, whole: !!dtype }, dtype);
    const [from, to] = values;
    if (typeof from === 'number' && typeof to === 'number' && from > to)
      throwShapeError('augment', `expected "${name}" from low to high, got ${from} to ${to}`);
  };
  const group = <T extends object>(name: string, value: T | undefined, needed: (keyof T & string)[]) => {
    if (value === undefined) return;
    checkOptions(`augment: ${name}`, value, name === 'crop' ? ['area', 'aspect'] : needed);
    for (const key of needed)
      if (value[key] === undefined) throwShapeError('augment', `expected "${name}.${key}", got none`);
  };
  group('crop', a.crop, ['area']);
  group('erase', a.erase, ['probability', 'size']);
  group('blur', a.blur, ['probability', 'sigma']);
  const tiny = 1e-3;
  const huge = 1e4;
  within('rotation', a.rotation, 0, 360);
  within('scale', a.scale, 1, huge);
  within('shift', a.shift, 0, 65535);
  range('crop.area', a.crop?.area, tiny, 1);
  range('crop.aspect', a.crop?.aspect, tiny, 1 / tiny);
  range('gain', a.gain, 0, huge);
  within('gamma', a.gamma, 1, huge);
  if (Array.isArray(a.noise)) range('noise', a.noise, 0, huge);
  else within('noise', a.noise, 0, huge);
  range('blur.sigma', a.blur?.sigma, tiny, huge);
  for (const name of ['flip', 'jitter', 'grayscale', 'brightness', 'contrast', 'saturation'] as const)
    within(name, a[name], 0, 1);
  within('hue', a.hue, 0, 0.5);
  within('erase.probability', a.erase?.probability, 0, 1);
  within('blur.probability', a.blur?.probability, 0, 1);
  range('erase.size', a.erase?.size, 1, 65535, 'u32');
  for (const name of ['saturation', 'hue', 'grayscale'] as const) {
    if (isOn(a[name]) && data.channels !== 3)
      throwShapeError('augment', `expected RGB images for "${name}", got ${data.channels} channels`);
  }
}
