import { checkNumber, checkOptions } from '../gpu/check.ts';
import { rowsOfFit } from './linear_probe.ts';

/** Images of a data set, by their sizes. */
export interface ImageSizes {
  count: number;
  height: number;
  width: number;
  channels: number;
}

/** The sizes of an evaluation: data sets, and the widths of the representation h and the embedding z (0: there is none). */
export interface EvaluationSizes {
  train: ImageSizes;
  test: ImageSizes;
  h: number;
  z: number;
  classes: number;
  /** The bytes that one binding of the device holds: see `bindingLimit`. */
  limit: number;
}

/** The memory that an evaluation needs. */
export interface MemoryNeed {
  /** About the most bytes in use at once: data sets, rows and the intermediates of metrics, without the network. */
  bytes: number;
  /** A sentence on something that the device cannot hold and that cannot be divided; null if it holds everything. */
  refusal: string | null;
  /** A sentence on each metric that will use fewer rows than there are, or will be left out. */
  notes: string[];
}

const sizeOf = ({ height, width, channels }: ImageSizes) => height * width * channels;
const inWords = (bytes: number) => `${bytes.toLocaleString('en')} bytes`;

/**
 * The memory that `evaluate` of raw pixels and of an encoder needs, from sizes alone: nothing is created.
 * @throws InputError for sizes that are no positive whole numbers
 */
export function memoryNeeded(sizes: EvaluationSizes): MemoryNeed {
  const where = 'memoryNeeded';
  checkOptions(where, sizes, ['train', 'test', 'h', 'z', 'classes', 'limit']);
  const { train, test, h, z, classes, limit } = sizes;
  const positive = { least: 1, whole: true };
  for (const [name, set] of Object.entries({ train, test })) {
    checkOptions(where, set, ['count', 'height', 'width', 'channels']);
    for (const [key, value] of Object.entries(set)) checkNumber(where, `${name}.${key}`, value, positive);
  }
  for (const [name, value] of Object.entries({ h, classes, limit }))
    checkNumber(where, name, value, positive);
  checkNumber(where, 'z', z, { least: 0, whole: true });

  const pixels = sizeOf(train);
  const images = [train, test].map((set) => 4 * Math.ceil((set.count * sizeOf(set)) / 4));
  const whose = ['training', 'test'];
  const large = images.findIndex((bytes) => bytes > limit);
  const fewest = 4 * 3 * pixels;
  const refusal =
    large >= 0
      ? `the ${whose[large]} images are ${inWords(images[large])}, and this device binds ${inWords(limit)} at once; give it fewer or smaller images`
      : fewest > limit
        ? `a few images of ${pixels} numbers are ${inWords(fewest)}, and this device binds ${inWords(limit)} at once`
        : null;

  const rows = (n: number, width: number) => 4 * n * width;
  const notes: string[] = [];
  const needs = [
    { name: 'raw pixels', D: pixels, all: pixels },
    { name: 'encoder', D: h, all: h + z },
  ].map(({ name, D, all }) => {
    const fit = rowsOfFit(limit, D, classes);
    if (fit < Math.min(train.count, classes))
      notes.push(`${name}: no linear probe, rows of ${D} are more than this device binds at once`);
    else if (fit < train.count)
      notes.push(`${name}: linear probe, all labels: about ${fit} of ${train.count} training samples`);
    const whole = Math.floor(limit / (4 * D));
    if (whole < test.count)
      notes.push(
        `${name}: invariance, anisotropy, spectra and the like: of ${whole} of ${test.count} test samples`,
      );
    // The gallery, the clean test rows and two views of them stay; besides, there is what is made for one metric.
    const held = rows(train.count, all) + 3 * rows(test.count, all);
    const neighbours = Math.min(limit, rows(train.count, D)) + 2 * rows(test.count, D);
    const probe = 2 * Math.min(limit, rows(train.count, D + 4));
    return held + Math.max(neighbours, probe);
  });
  return { bytes: images[0] + images[1] + Math.max(...needs), refusal, notes };
}
