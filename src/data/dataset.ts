import datasetWgsl from '../../shaders/dataset.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { InputError } from '../gpu/errors.ts';
import { type Call, call, f32, type Kernel, type Op } from '../graph/op.ts';
import {
  fail,
  type Scalar,
  type Shape,
  show,
  type Tensor,
  type Variable,
  variable,
} from '../graph/tensor.ts';
import { checkWhole, randomLib } from '../ops/random.ts';
import { checkLabels, type Images } from './idx.ts';

/** Images that lie on the GPU, in bytes; they are uploaded when a step first uses them. */
export interface Dataset {
  /** u8 [count, height, width, channels]. */
  readonly images: Variable;
  /** u32 [count], or null. */
  readonly labels: Variable | null;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly classes: number;
  /** Of each channel, with pixels in [0, 1]: what networks see is (pixel - mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * Puts images where steps can sample them.
 * @param options.mean one for each channel, or one for all. Default .286, that of Fashion-MNIST.
 * @param options.std as `mean`. Default .353. {@link pixelStatistics} measures both for other images.
 * @throws InputError when the sizes do not fit together
 */
export function dataset(
  images: Images,
  {
    mean = 0.286,
    std = 0.353,
    name = 'images',
  }: { mean?: number | readonly number[]; std?: number | readonly number[]; name?: string } = {},
): Dataset {
  const { pixels, count, height, width, channels } = images;
  if (pixels.length !== count * height * width * channels || channels < 1 || channels > 4) {
    throw new InputError(
      `dataset "${name}": expected pixels [N, H, W, C] with 1 to 4 channels, got ${pixels.length} for [${count}, ${height}, ${width}, ${channels}]`,
    );
  }
  const perChannel = (what: string, value: number | readonly number[]) => {
    const list = typeof value === 'number' ? new Array<number>(channels).fill(value) : value;
    if (list.length !== channels || !list.every((x) => Number.isFinite(x) && (what === 'mean' || x > 0)))
      throw new InputError(`dataset "${name}": expected ${channels} numbers for "${what}", got [${list}]`);
    return list;
  };
  const { labels, classes } = images.labels
    ? checkLabels(images, images.labels, `dataset "${name}"`)
    : { labels: undefined, classes: 0 };
  return {
    images: variable([count, height, width, channels], { name, initial: pixels, dtype: 'u8' }),
    labels: labels
      ? variable([count], { name: `${name}.labels`, initial: () => Uint32Array.from(labels), dtype: 'u32' })
      : null,
    count,
    height,
    width,
    channels,
    classes: Math.max(classes, images.classes),
    mean: perChannel('mean', mean),
    std: perChannel('std', std),
  };
}

/** Mean and standard deviation of each channel, with pixels in [0, 1]. */
export function pixelStatistics({ pixels, channels }: Images): { mean: number[]; std: number[] } {
  const sums = new Array<number>(channels).fill(0);
  const squares = new Array<number>(channels).fill(0);
  for (let i = 0; i < pixels.length; i += channels) {
    for (let c = 0; c < channels; c++) {
      sums[c] += pixels[i + c];
      squares[c] += pixels[i + c] ** 2;
    }
  }
  const n = pixels.length / channels;
  const mean = sums.map((s) => s / n / 255);
  // A constant channel has no scale of its own.
  return { mean, std: squares.map((s, c) => Math.sqrt(Math.max(s / n / 255 ** 2 - mean[c] ** 2, 0)) || 1) };
}

/** How many whole batches an epoch has; the rest of its permutation is left out. */
export const batchesPerEpoch = (data: Dataset, batch: number): number => Math.floor(data.count / batch);

/** Which samples rows show: exactly one of `start`, `indices`, or `seed` with `step`. */
export interface Sampling {
  /** Rows in order from this sample on; rows past the last sample show the last one again. */
  start?: Scalar;
  /** u32 [rows]. */
  indices?: Tensor;
  /** Random epochs without replacement: a u32; needs `step`. */
  seed?: Scalar;
  /** Counts batches, over the epochs: epoch = step / batches an epoch, rounded down. */
  step?: Scalar;
}

interface Options extends Sampling {
  mode: number;
  rows: number;
  batch: number;
  factors: readonly number[];
  offsets: readonly number[];
  count: number;
  size: number;
  channels: number;
}

/** The `mode` of dataset.wgsl and augment.wgsl. */
export const IN_ORDER = 0;
export const BY_INDEX = 1;
export const RANDOM_EPOCH = 2;

/** Checks a sampling and tells its mode. */
export function samplingMode(
  op: string,
  { count }: Dataset,
  rows: number,
  { start, indices, seed, step }: Sampling,
): number {
  if (!Number.isInteger(rows) || rows < 1) fail(op, `expected a positive whole number of rows, got ${rows}`);
  if (indices) {
    if (indices.dtype !== 'u32' || indices.shape.length !== 1 || indices.shape[0] !== rows)
      fail(op, `expected indices u32 [${rows}], got ${indices.dtype} ${show(indices.shape)}`);
    return BY_INDEX;
  }
  if (start !== undefined) {
    checkWhole(op, 'start', start);
    return IN_ORDER;
  }
  if (seed === undefined || step === undefined) fail(op, 'expected "start", "indices", or "seed" and "step"');
  checkWhole(op, 'seed', seed);
  checkWhole(op, 'step', step);
  if (rows > count) fail(op, `expected a batch of at most ${count} samples, got ${rows}`);
  return RANDOM_EPOCH;
}

const uniform = ({ options: o }: Call<Options>) => ({
  count: o.count,
  rows: o.rows,
  size: o.size,
  channels: o.channels,
  mode: o.mode,
  start: o.start ?? 0,
  seed: o.seed ?? 0,
  step: o.step ?? 0,
  batch: o.batch,
  ...Object.fromEntries([0, 1, 2, 3].map((c) => [`factor${c}`, f32(o.factors[c] ?? 0)])),
  ...Object.fromEntries([0, 1, 2, 3].map((c) => [`offset${c}`, f32(o.offsets[c] ?? 0)])),
});
const kernel = (entry: string, invocations: (options: Options) => number): Kernel<Options> => ({
  source: [datasetWgsl, gridWgsl, randomLib],
  entry,
  inputs: ['source', 'indices'],
  outputs: ['y'],
  uniform,
  // Eight elements, and the permutation that a random epoch takes.
  rounds: () => 500,
  invocations: ({ options }) => invocations(options),
});

const rowsOp: Op<Options & { shape: Shape }> = {
  name: 'cleanBatch',
  shape: (_, { shape }) => shape,
  kernel: kernel('rows_forward', ({ rows, size }) => rows * Math.ceil(size / 8)),
};
const indicesOp: Op<Options> = {
  name: 'batchIndices',
  shape: (_, { rows }) => [{ shape: [rows], dtype: 'u32' }],
  kernel: kernel('indices_forward', ({ rows }) => rows),
};
const labelsOp: Op<Options> = {
  ...indicesOp,
  name: 'batchLabels',
  kernel: kernel('labels_forward', ({ rows }) => rows),
};

function optionsOf(op: string, data: Dataset, batch: number, views: number, sampling: Sampling): Options {
  const { start, seed, step } = sampling;
  return {
    mode: samplingMode(op, data, batch, sampling),
    rows: batch * views,
    batch,
    start,
    seed,
    step,
    factors: [],
    offsets: [],
    count: data.count,
    size: data.height * data.width * data.channels,
    channels: data.channels,
  };
}

/** Of each channel: the numbers that make (byte / 255 - mean) / std one multiplication and one addition. */
export const normalization = ({ channels, mean, std }: Dataset, normalize: boolean) => ({
  factors: Array.from({ length: channels }, (_, c) => 1 / 255 / (normalize ? std[c] : 1)),
  offsets: Array.from({ length: channels }, (_, c) => (normalize ? -mean[c] / std[c] : 0)),
});

/**
 * Images as they are, f32 [rows, H, W, C]: `rows` of them from `start` on, or those of `indices`, or a random batch.
 * @param options.normalize (pixel - mean) / std; else pixels in [0, 1]. Default true.
 */
export function cleanBatch(
  data: Dataset,
  { rows, normalize = true, ...sampling }: Sampling & { rows: number; normalize?: boolean },
): Tensor {
  const shape = [rows, data.height, data.width, data.channels];
  const options = {
    ...optionsOf('cleanBatch', data, rows, 1, sampling),
    ...normalization(data, normalize),
    shape,
  };
  return call(rowsOp, [data.images, sampling.indices ?? null], options).outputs[0];
}

/** The images of `indices` (u32 [N]), f32 [N, H, W, C]; an index past the last image shows the last. */
export const rows = (
  data: Dataset,
  indices: Tensor,
  { normalize = true }: { normalize?: boolean } = {},
): Tensor => cleanBatch(data, { rows: indices.shape[0], indices, normalize });

/** Which samples a batch has: u32 [rows]. The same that `augment` and `cleanBatch` take for the same options. */
export function batchIndices(data: Dataset, { rows, ...sampling }: Sampling & { rows: number }): Tensor {
  const options = optionsOf('batchIndices', data, rows, 1, sampling);
  return call(indicesOp, [null, sampling.indices ?? null], options).outputs[0];
}

/**
 * The labels of a batch, u32 [rows * views]: those of view A, then the same again for view B.
 * @throws ShapeError when the data set has no labels
 */
export function batchLabels(
  data: Dataset,
  { rows, views = 1, ...sampling }: Sampling & { rows: number; views?: number },
): Tensor {
  if (!data.labels) fail('batchLabels', `data set "${data.images.name}" has no labels`);
  const options = optionsOf('batchLabels', data, rows, views, sampling);
  return call(labelsOp, [data.labels, sampling.indices ?? null], options).outputs[0];
}
