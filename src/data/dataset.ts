import datasetWgsl from '../../shaders/dataset.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import fourPartsWgsl from '../../shaders/lib/images_four.wgsl' with { type: 'text' };
import onePartWgsl from '../../shaders/lib/images_one.wgsl' with { type: 'text' };
import {
  checkName,
  checkNumber,
  checkOptions,
  inRange,
  LARGEST_U32,
  rangeText,
  shown,
  shownList,
} from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { checkScalar, checkTensor, shownTensor } from '../graph/check.ts';
import { type Call, type Kernel, op } from '../graph/op.ts';
import {
  type Scalar,
  type Shape,
  sameShape,
  show,
  sizeOf,
  Tensor,
  throwShapeError,
  Variable,
  variable,
} from '../graph/tensor.ts';
import { randomLib } from '../ops/random.ts';
import { type FactorTables, factorTables } from './factors.ts';
import { checkImages, checkLabels, type Images } from './idx.ts';
import type { Label } from './labels.ts';
import { partnerTable } from './partners.ts';

/** Images on the GPU, stored as bytes. They are uploaded when a step first uses them. */
export interface Dataset {
  /** u8 [count, height, width, channels]. A data set above 128 MiB is split; these are the images of its first part. */
  readonly images: Variable;
  /** The other parts of a data set above 128 MiB, at most 3: many adapters limit a binding to that size. */
  readonly more: readonly Variable[];
  /** u32 [count], or null. */
  readonly labels: Variable | null;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly classes: number;
  /** The label of each class; absent where the labels are class numbers already. */
  readonly values?: readonly Label[];
  /** Mean of each channel, with pixels in [0, 1]. Networks get (pixel - mean) / std. */
  readonly mean: readonly number[];
  /** Standard deviation of each channel. */
  readonly std: readonly number[];
  /** What each image was made from, where that is known. */
  readonly factors?: FactorTables;
  /** For images in pairs: u32 [count], the index of the other one of each image's pair. */
  readonly partners?: Variable;
}

/** The largest number that a pixel of [0, 1] may be normalised to. */
export const MOST_NORMALIZED = 1e4;

/**
 * Makes a data set from which steps can sample.
 * @param options.mean from 0 to 1, one for each channel or one for all. Default: measured by {@link pixelStatistics}.
 * @param options.std biased standard deviation, above 0, one for each channel or one for all. Default: measured. Test images need
 * those of the training images: `dataset(testImages, { mean: train.mean, std: train.std })`.
 * @param options.name name of the variables. Default "images".
 * @param partBytes largest size of a part. Default 128 MiB
 * @throws InputError for inconsistent sizes, for more than 4 parts, and for a mean and std that normalise pixels to numbers above 10,000
 */
export function dataset(
  images: Images,
  options: { mean?: number | readonly number[]; std?: number | readonly number[]; name?: string } = {},
  partBytes: number = PART_BYTES,
): Dataset {
  checkOptions('dataset', options, ['mean', 'std', 'name']);
  const { name = 'images' } = options;
  checkName('dataset', name);
  checkNumber('dataset', 'partBytes', partBytes, { least: 4, most: PART_BYTES, whole: true });
  const where = `dataset "${name}"`;
  checkImages(where, images);
  const { count, height, width, channels } = images;
  const measured = options.mean === undefined || options.std === undefined ? pixelStatistics(images) : null;
  const { mean = measured!.mean, std = measured!.std } = options;
  const perChannel = (value: number | readonly number[]) =>
    typeof value === 'number' ? new Array<number>(channels).fill(value) : value;
  const statistics = { mean: perChannel(mean), std: perChannel(std) };
  checkStatistics(where, channels, statistics);
  const { labels, classes, values } = labelsOf(where, images);
  const [first, ...more] = partsOf(where, images, name, partBytes);
  return {
    images: first,
    more,
    labels: labels
      ? variable([count], { name: `${name}.labels`, initial: () => Uint32Array.from(labels), dtype: 'u32' })
      : null,
    count,
    height,
    width,
    channels,
    classes: Math.max(classes, images.classes ?? 0),
    ...(values && { values }),
    ...statistics,
    ...(images.factors && { factors: factorTables(where, images.factors, { name, count }) }),
    ...(images.partners && { partners: partnerTable(where, images.partners, { name, count }) }),
  };
}

/** The size of a binding that every adapter supports, and the number of parts that kernels can read. */
const PART_BYTES = 2 ** 27;
const MOST_PARTS = 4;

/** The images in variables of at most `bytes` bytes, each with whole images and whole 32-bit words. */
function partsOf(
  where: string,
  { pixels, count, height, width, channels }: Images,
  name: string,
  bytes: number,
): Variable[] {
  const size = height * width * channels;
  const each = pixels.length <= bytes ? count : 4 * Math.floor(bytes / (4 * size));
  const parts = Math.ceil(count / Math.max(1, each));
  if (each < 1 || parts > MOST_PARTS)
    throw new InputError(
      `${where}: expected at most ${MOST_PARTS * bytes} bytes of pixels, got ${pixels.length}`,
    );
  return Array.from({ length: parts }, (_, i) => {
    const [from, to] = [i * each, Math.min(count, (i + 1) * each)];
    return variable([to - from, height, width, channels], {
      name: i ? `${name}.part${i}` : name,
      initial: pixels.subarray(from * size, to * size),
      dtype: 'u8',
    });
  });
}

/** The WGSL, bindings and constants that kernels need to read images, for a data set of one part or of up to four. */
export const imageSource = ({
  inputs: [images, , ...more],
}: Call): { lib: string; inputs: string[]; constants: Record<string, number> } =>
  more.length
    ? {
        lib: fourPartsWgsl,
        inputs: ['images', 'indices', 'images_1', 'images_2', 'images_3'],
        constants: { WORDS: images!.size / 4 },
      }
    : { lib: onePartWgsl, inputs: ['images', 'indices'], constants: {} };

/** The inputs of such a kernel. */
export const imageInputs = ({ images, more }: Dataset, indices?: Tensor): (Tensor | null)[] =>
  more.length ? [images, indices ?? null, ...more, ...EMPTY.slice(more.length)] : [images, indices ?? null];
const EMPTY = [null, null, null];

/** The labels of images as classes. Labels that are numbered already are kept. */
function labelsOf(where: string, images: Images): Pick<Images, 'labels' | 'classes' | 'values'> {
  const { labels, values } = images;
  if (!labels) return { classes: 0 };
  if (!values) return checkLabels(images, labels, where);
  const numbered =
    labels instanceof Uint32Array && labels.length === images.count && labels.every((c) => c < values.length);
  if (!numbered)
    throw new InputError(
      `${where}: expected ${images.count} labels below ${values.length}, by "values", got ${shown(labels)}`,
    );
  return { labels, classes: values.length, values };
}

/**
 * Checks that mean and standard deviation normalise the pixels of each channel to numbers that can be trained on.
 * @throws InputError: `dataset "images": expected a normalised pixel of at most 10000, got 8.1e+7 in channel 2 ...`
 */
export function checkStatistics(
  where: string,
  channels: number,
  { mean, std }: { mean: unknown; std: unknown },
): void {
  for (const [name, list, range] of [
    ['mean', mean, { least: 0, most: 1 }],
    ['std', std, { above: 0 }],
  ] as const) {
    if (
      !Array.isArray(list) ||
      list.length !== channels ||
      !Array.from(list).every((x) => inRange(x, range))
    ) {
      const scale = name === 'mean' ? ', since pixels are in [0, 1]' : '';
      throw new InputError(
        `${where}: expected ${rangeText(range)}${scale}, for each of ${channels} channels for "${name}", got ${shownList(list)}`,
      );
    }
  }
  const [means, stds] = [mean, std] as [number[], number[]];
  for (let c = 0; c < channels; c++) {
    const most = Math.max(means[c], 1 - means[c]) / stds[c];
    if (most > MOST_NORMALIZED)
      throw new InputError(
        `${where}: expected normalised pixels of at most ${MOST_NORMALIZED}, got ${most.toPrecision(2)} in channel ${c}: its std of ${stds[c].toPrecision(2)} is too small`,
      );
  }
}

/**
 * Mean and biased standard deviation (divided by n) of each channel, with pixels in [0, 1], exact up to the rounding of float64.
 * A channel that is constant or nearly so (a std below 1e-4, 1/40 of the step of a byte) gets a std of 1.
 * @throws InputError unless `images` are images
 */
export function pixelStatistics(images: Images): { mean: number[]; std: number[] } {
  checkImages('pixelStatistics', images);
  const { pixels, channels } = images;
  const n = pixels.length / channels;
  // A histogram of the bytes: sums of it are exact, and deviations are taken from the mean.
  const counts = Array.from({ length: channels }, () => new Float64Array(256));
  for (let i = 0; i < pixels.length; i += channels)
    for (let c = 0; c < channels; c++) counts[c][pixels[i + c]]++;
  const sum = (of: Float64Array, value: (byte: number) => number) =>
    of.reduce((total, count, byte) => total + count * value(byte), 0);
  const means = counts.map((of) => sum(of, (byte) => byte) / n);
  const stds = counts.map((of, c) => Math.sqrt(sum(of, (byte) => (byte - means[c]) ** 2) / n) / 255);
  return {
    mean: means.map((mean) => mean / 255),
    std: stds.map((std) => (std < 1 / MOST_NORMALIZED ? 1 : std)),
  };
}

/**
 * Checks that two data sets number their classes alike.
 * @throws InputError that says how to make them agree
 */
export function checkSameClasses(where: string, a: Dataset, b: Dataset): void {
  const [x, y] = [a.values, b.values];
  if (x === y || (x?.length === y?.length && x?.every((value, c) => value === y?.[c]))) return;
  throw new InputError(
    `${where}: the data sets number their classes differently; make them agree with sameClasses before dataset`,
  );
}

/**
 * Checks that two data sets are normalised alike, as an encoder needs it.
 * @throws InputError that says how to make them agree
 */
export function checkSameStatistics(where: string, a: Dataset, b: Dataset): void {
  const same = (x: readonly number[], y: readonly number[]) =>
    x.length === y.length && x.every((value, c) => value === y[c]);
  if (same(a.mean, b.mean) && same(a.std, b.std)) return;
  throw new InputError(
    `${where}: expected data sets of the same mean and std, got ${shownList(a.mean)}, ${shownList(a.std)} and ${shownList(b.mean)}, ${shownList(b.std)}; make the second by dataset(images, { mean, std }) with those of the first`,
  );
}

/** The range of a u32 in the uniform block. */
export const U32 = { least: 0, most: LARGEST_U32, whole: true };

/**
 * Checks that an argument is a data set.
 * @throws ShapeError: `augment: expected a data set made by dataset(), got null`
 */
export function checkDataset(op: string, data: unknown, name?: string): asserts data is Dataset {
  const { images, more, labels, count, height, width, channels } = (data ?? {}) as Partial<Dataset>;
  const isPart = (x: unknown) => x instanceof Variable && x.dtype === 'u8' && x.shape.length === 4;
  const parts = Array.isArray(more) && [...more].every(isPart) ? (more as Variable[]) : null;
  const first = parts?.reduce((n, { shape }) => n - shape[0], count!) ?? -1;
  const whole =
    images instanceof Variable &&
    images.dtype === 'u8' &&
    sameShape(images.shape, [first, height, width, channels] as Shape) &&
    (labels === null || labels === undefined || labels instanceof Variable);
  const which = name === undefined ? '' : ` for "${name}"`;
  if (!whole) throwShapeError(op, `expected a data set made by dataset()${which}, got ${shownTensor(data)}`);
}

/** The shape of `rows` images. Kernels count elements in 32 bits. */
export function batchShape(op: string, { height, width, channels }: Dataset, rows: number): Shape {
  const shape = [rows, height, width, channels];
  if (sizeOf(shape) > LARGEST_U32)
    throwShapeError(op, `expected a batch of at most ${LARGEST_U32} numbers, got ${show(shape)}`);
  return shape;
}

/**
 * The number of whole batches in an epoch; the samples that remain are left out.
 * @throws ShapeError unless `data` is a data set and `batch` a positive whole number
 */
export function batchesPerEpoch(data: Dataset, batch: number): number {
  checkDataset('batchesPerEpoch', data);
  if (!inRange(batch, { least: 1, whole: true }))
    throwShapeError('batchesPerEpoch', `expected a positive whole number of samples, got ${shown(batch)}`);
  return Math.floor(data.count / batch);
}

/** The samples of a batch: exactly one of `start`, `indices`, or `seed` with `step`. */
export interface Sampling {
  /** Samples in order from this one on; rows past the last sample repeat it. */
  start?: Scalar;
  /** u32 [rows]. */
  indices?: Tensor;
  /** Seed of random epochs without replacement, a u32; needs `step`. */
  seed?: Scalar;
  /** Counts batches over all epochs: epoch = floor(step / batches per epoch). */
  step?: Scalar;
}

/** The uniform block of dataset.wgsl, and the shape of images. */
interface Options extends Required<Omit<Sampling, 'indices'>> {
  mode: number;
  rows: number;
  batch: number;
  factors: readonly number[];
  offsets: readonly number[];
  count: number;
  size: number;
  channels: number;
  shape?: Shape;
}

/** The `mode` of dataset.wgsl and augment.wgsl. */
export const IN_ORDER = 0;
export const BY_INDEX = 1;
export const RANDOM_EPOCH = 2;

/** Checks a sampling. @returns its mode */
export function samplingMode(
  op: string,
  { count }: Dataset,
  rows: number,
  { start, indices, seed, step }: Sampling,
): number {
  if (!inRange(rows, { least: 1, whole: true }))
    throwShapeError(op, `expected a positive whole number of rows, got ${shown(rows)}`);
  if (indices !== undefined) {
    const fits = indices instanceof Tensor && indices.dtype === 'u32' && sameShape(indices.shape, [rows]);
    if (!fits) throwShapeError(op, `expected indices u32 [${rows}], got ${shownTensor(indices)}`);
    return BY_INDEX;
  }
  if (start !== undefined) {
    checkScalar(op, 'start', start, U32, 'u32');
    return IN_ORDER;
  }
  if (seed === undefined || step === undefined)
    throwShapeError(op, 'expected "start", "indices", or "seed" and "step"');
  checkScalar(op, 'seed', seed, U32, 'u32');
  checkScalar(op, 'step', step, U32, 'u32');
  if (rows > count) throwShapeError(op, `expected a batch of at most ${count} samples, got ${rows}`);
  return RANDOM_EPOCH;
}

const kernel = (entry: string, invocations: (options: Options) => number): Kernel<Options> => ({
  source: [datasetWgsl, onePartWgsl, gridWgsl, randomLib],
  entry,
  inputs: ['source', 'indices'],
  outputs: ['y'],
  uniform: ({ options: { shape: _, ...fields } }) => fields,
  // Eight elements, and the permutation of a random epoch.
  rounds: () => 500,
  invocations: ({ options }) => invocations(options),
});

type Sources = [images: Tensor | null, indices: Tensor | null];

const rowsOp = op({
  name: 'cleanBatch',
  half: true,
  shape: (_: (Tensor | null)[], { shape }: Options & { shape: Shape }) => shape,
  kernel(c): Kernel<Options> {
    const { lib, inputs, constants } = imageSource(c as Call);
    return {
      ...kernel('rows_forward', ({ rows, size }) => rows * Math.ceil(size / 8)),
      source: [datasetWgsl, lib, gridWgsl, randomLib],
      inputs,
      constants: () => constants,
    };
  },
});
const indicesOp = op({
  name: 'batchIndices',
  dtype: 'u32',
  shape: (_: Sources, { rows }: Options) => [rows],
  kernel: kernel('indices_forward', ({ rows }) => rows),
});
const labelsOp = op({
  ...indicesOp.op,
  name: 'batchLabels',
  kernel: kernel('labels_forward', ({ rows }) => rows),
});

function optionsOf(op: string, data: Dataset, batch: number, views: number, sampling: Sampling): Options {
  const { start = 0, seed = 0, step = 0 } = sampling;
  const mode = samplingMode(op, data, batch, sampling);
  if (batch * views > LARGEST_U32)
    throwShapeError(op, `expected at most ${LARGEST_U32} rows, got ${batch * views}`);
  const { count, height, width, channels } = data;
  return {
    ...{ mode, rows: batch * views, batch, start, seed, step, factors: UNUSED, offsets: UNUSED },
    ...{ count, size: height * width * channels, channels },
  };
}

const UNUSED = [0, 0, 0, 0];

/** The factor and offset of each of four channels: (byte / 255 - mean) / std = factor byte + offset. */
export function normalization({ images, channels, mean, std }: Dataset, normalize: boolean) {
  if (normalize) checkStatistics(`data set "${images.name}"`, channels, { mean, std });
  return {
    factors: UNUSED.map((none, c) => (c < channels ? 1 / 255 / (normalize ? std[c] : 1) : none)),
    offsets: UNUSED.map((none, c) => (c < channels && normalize ? -mean[c] / std[c] : none)),
  };
}

const SAMPLING = ['start', 'indices', 'seed', 'step'] as const;

/**
 * Images without augmentation, f32 [rows, H, W, C]: `rows` of them from `start` on, or those of `indices`, or a random batch.
 * @param options.normalize whether pixels become (pixel - mean) / std; otherwise they are in [0, 1]. Default true.
 * @throws ShapeError for rows or a sampling that do not fit the data set
 */
export function cleanBatch(data: Dataset, options: Sampling & { rows: number; normalize?: boolean }): Tensor {
  checkDataset('cleanBatch', data);
  checkOptions('cleanBatch', options, ['rows', 'normalize', ...SAMPLING]);
  const { rows, normalize = true, ...sampling } = options;
  const drawn = optionsOf('cleanBatch', data, rows, 1, sampling);
  const shape = batchShape('cleanBatch', data, rows);
  const all = { ...drawn, ...normalization(data, normalize), shape };
  return rowsOp(imageInputs(data, sampling.indices), all);
}

/**
 * The images of `indices` (u32 [N]), f32 [N, H, W, C]; an index past the last image selects the last.
 * @throws ShapeError for other indices
 */
export function rows(data: Dataset, indices: Tensor, options: { normalize?: boolean } = {}): Tensor {
  checkTensor('rows', 'indices', indices, { dtype: 'u32', rank: 1 });
  checkOptions('rows', options, ['normalize']);
  return cleanBatch(data, { rows: indices.shape[0], indices, ...options });
}

/**
 * The indices of the samples in a batch, u32 [rows]: those that `augment` and `cleanBatch` use with the same options.
 * @throws ShapeError for rows or a sampling that do not fit the data set
 */
export function batchIndices(data: Dataset, options: Sampling & { rows: number }): Tensor {
  checkDataset('batchIndices', data);
  checkOptions('batchIndices', options, ['rows', ...SAMPLING]);
  const { rows, ...sampling } = options;
  const drawn = optionsOf('batchIndices', data, rows, 1, sampling);
  return indicesOp([null, sampling.indices ?? null], drawn);
}

/** As {@link batchIndices} at a step, of any `count` samples: each once an epoch of floor(count / rows) steps. */
export const epochIndices = (
  count: number,
  { rows, seed, step }: { rows: number; seed: Scalar; step: Scalar },
): Tensor =>
  indicesOp([null, null], {
    ...{ mode: RANDOM_EPOCH, rows, batch: rows, start: 0, seed, step, count },
    ...{ size: 1, channels: 1, factors: UNUSED, offsets: UNUSED },
  });

/**
 * The labels of a batch, u32 [rows * views]: those of view A, then the same again for view B.
 * @throws ShapeError when the data set has no labels, and for rows or a sampling that do not fit it
 */
export function batchLabels(data: Dataset, options: Sampling & { rows: number; views?: number }): Tensor {
  checkDataset('batchLabels', data);
  checkOptions('batchLabels', options, ['rows', 'views', ...SAMPLING]);
  const { rows, views = 1, ...sampling } = options;
  if (!data.labels) throwShapeError('batchLabels', `data set "${data.images.name}" has no labels`);
  if (!inRange(views, { least: 1, whole: true }))
    throwShapeError('batchLabels', `expected a positive whole number of views, got ${shown(views)}`);
  const drawn = optionsOf('batchLabels', data, rows, views, sampling);
  return labelsOp([data.labels, sampling.indices ?? null], drawn);
}
