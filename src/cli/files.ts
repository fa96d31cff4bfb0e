import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { fileChoices } from '../data/choices.ts';
import { type Dataset, dataset, pixelStatistics } from '../data/dataset.ts';
import { checkLabels, type Images, parseImages, parseLabels, sameClasses } from '../data/idx.ts';
import { sprites } from '../data/sprites.ts';
import type { ChoiceStore } from '../gpu/choices.ts';
import { openDevice } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { picked } from '../metrics/compute.ts';
import { permutationArray } from '../ops/random.ts';
import { emojiData } from './emoji.ts';
import type { DrawnData, NamedData } from './options.ts';

/** The folder of the Fashion-MNIST that comes with the project. */
const DATA = new URL('../../demos/data/', import.meta.url);

/** The classes of Fashion-MNIST, in the order of its labels (Xiao et al. 2017, Table 2). */
export const FASHION_CLASSES = [
  'T-shirt/top',
  'Trouser',
  'Pullover',
  'Dress',
  'Coat',
  'Sandal',
  'Shirt',
  'Sneaker',
  'Bag',
  'Ankle boot',
];

/** Images and labels of a run: what to train on and what to test on. */
export interface RunData {
  train: Images;
  test: Images;
  classNames: string[];
  /** The data that comes with the project, for which mean and std are known. */
  builtIn: boolean;
}

/** Mean and standard deviation of the pixels of Fashion-MNIST. */
export const FASHION_STATISTICS = { mean: 0.286, std: 0.353 };

/**
 * Reads the data of a run.
 * @throws InputError in one line, naming the file
 */
export async function readData(
  data: readonly [string, string] | NamedData | null,
  test: readonly [string, string] | null,
): Promise<RunData> {
  if (typeof data === 'string') {
    if (test) throw new InputError(`--test: a part of ${data} is held out for testing; leave --test out`);
    return data === 'emoji' ? { ...(await emojiData()), builtIn: false } : drawnData(data);
  }
  if (!data) {
    if (test) throw new InputError('--test: give --data with it');
    const load = (part: string) =>
      readPair([
        new URL(`fashion-mnist-${part}-images-idx3-ubyte.gz`, DATA),
        new URL(`fashion-mnist-${part}-labels-idx1-ubyte.gz`, DATA),
      ]);
    const [train, testing] = await Promise.all([load('train-10k'), load('test-2k')]);
    return { train, test: testing, classNames: FASHION_CLASSES, builtIn: true };
  }
  const all = await readPair(data);
  const [train, testing] = test ? [all, shuffled(await readPair(test))] : split(all);
  if (testing.count < LEAST_TEST)
    throw new InputError(`--test: expected at least ${LEAST_TEST} images, got ${testing.count}`);
  for (const side of ['height', 'width', 'channels'] as const) {
    if (train[side] !== testing[side]) {
      throw new InputError(`--test: expected ${side} ${train[side]} as in --data, got ${testing[side]}`);
    }
  }
  const [known, asked] = sameClasses(train, testing);
  return {
    train: known,
    test: asked,
    classNames: Array.from({ length: known.classes }, (_, i) => String(known.values?.[i] ?? i)),
    builtIn: false,
  };
}

/** Sprites, drawn on the GPU. */
async function drawnData(name: DrawnData): Promise<RunData> {
  const device = await openDevice({ tune: false });
  try {
    const [train, test] = split(await sprites({ device, color: name === 'color-sprites' }));
    return { train, test, classNames: ['square', 'ellipse', 'heart'], builtIn: false };
  } finally {
    device.dispose();
  }
}

/** The data sets of a run. */
export interface Sets {
  train: Dataset;
  test: Dataset;
}

/** Makes the data sets of a run. Mean and std of Fashion-MNIST are known; those of other images are measured. */
export function datasetsOf({ train, test, builtIn }: RunData): Sets {
  const statistics = builtIn ? FASHION_STATISTICS : pixelStatistics(train);
  return {
    train: dataset(train, { ...statistics, name: 'train' }),
    test: dataset(test, { ...statistics, name: 'test' }),
  };
}

async function readPair([images, labels]: readonly [string | URL, string | URL]): Promise<Images> {
  const pixels = await parseImages(readRegular(images), nameOf(images));
  return checkLabels(pixels, await parseLabels(readRegular(labels), nameOf(labels)), nameOf(labels));
}

const nameOf = (path: string | URL): string => String(path).split('/').at(-1)!;

/** More than a WebGPU kernel can bind of one buffer. */
const LARGEST_FILE = 2 ** 32;

/**
 * Reads a regular file, not a pipe, a device or a folder.
 * @throws InputError in one line that names the path
 */
export function readRegular(path: string | URL): Uint8Array<ArrayBuffer> {
  try {
    const { isFile, isDirectory, size } = Deno.statSync(path);
    if (isDirectory) throw new InputError('it is a folder');
    if (!isFile) throw new InputError('it is a pipe or a device, expected a regular file');
    if (size > LARGEST_FILE) throw new InputError(`it has ${size} bytes, expected at most ${LARGEST_FILE}`);
    return Deno.readFileSync(path);
  } catch (error) {
    throw new InputError(`${path instanceof URL ? path.pathname : path} cannot be read: ${reason(error)}`);
  }
}

/** The metrics compare test images with each other. */
const LEAST_TEST = 2;
/** One in six images is for testing. */
const TEST_SHARE = 6;

/** Splits off random test images: files may be sorted by class. */
function split(all: Images): [train: Images, test: Images] {
  const testing = Math.floor(all.count / TEST_SHARE);
  if (testing < LEAST_TEST)
    throw new InputError(
      `--data: expected at least ${LEAST_TEST * TEST_SHARE} images, a sixth of them for testing, got ${all.count}; or give --test`,
    );
  const order = permutationArray(all.count, { seed: 0 });
  return [chosen(all, order.slice(testing)), chosen(all, order.slice(0, testing))];
}

/** In random order: the curves and the alarm use the first images of a test set. */
const shuffled = (all: Images): Images => chosen(all, permutationArray(all.count, { seed: 0 }));

function chosen(all: Images, which: Uint32Array): Images {
  const size = all.height * all.width * all.channels;
  const pixels = picked(all.pixels, size, which);
  const labels = Uint32Array.from(which, (i) => all.labels![i]);
  // Pairs would be torn apart.
  const { factors, partners: _, ...rest } = all;
  return {
    ...{ ...rest, count: which.length, pixels, labels },
    ...(factors && { factors: { ...factors, data: picked(factors.data, factors.values.length, which) } }),
  };
}

/** SHA-256 of a run's images and labels, in hexadecimal. It shows whether a resumed run has the same data. */
export function digestOf({ train, test }: Pick<RunData, 'train' | 'test'>): string {
  const parts = [train, test].map(({ pixels, labels, count, height, width, channels }) => {
    return [count, height, width, channels, sha256(pixels), sha256(Uint32Array.from(labels!))];
  });
  return sha256(JSON.stringify(parts));
}

/** SHA-256 of a text or of the bytes of an array, in hexadecimal. */
export const sha256 = (data: string | Uint8Array | Uint32Array | Float32Array): string =>
  createHash('sha256').update(data).digest('hex');

/** The number of different labels of images. */
export const classesIn = (...sets: Pick<Images, 'labels'>[]): number =>
  new Set(sets.flatMap(({ labels }) => [...new Set<number>(labels)])).size;

/** Why a file operation failed, in a few words. */
export function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return 'no such file';
  if (error instanceof Deno.errors.PermissionDenied) return 'permission denied';
  return error instanceof Error ? error.message.split('\n')[0] : String(error);
}

/** The folder of a run. Files are written to it whole or not at all. */
export interface RunFolder {
  path: string;
  write(name: string, content: string | Uint8Array): void;
  read(name: string): Uint8Array<ArrayBuffer>;
}

/** Makes `<out>/<time>-<method>/`. @throws InputError when the place is not writable */
export function createRunFolder(out: string, method: string, time: Date): RunFolder {
  const stamp = time.toISOString().slice(0, 19).replaceAll(':', '-');
  try {
    Deno.mkdirSync(out, { recursive: true });
    // Two runs in the same second get different folders.
    for (let copy = 1; ; copy++) {
      const name = `${stamp}-${method}${copy > 1 ? `-${copy}` : ''}`;
      try {
        Deno.mkdirSync(`${out}/${name}`);
      } catch (error) {
        if (error instanceof Deno.errors.AlreadyExists) continue;
        throw error;
      }
      return openRunFolder(`${out}/${name}`);
    }
  } catch (error) {
    throw new InputError(`--out: ${out} cannot be written: ${reason(error)}`);
  }
}

/** The names of run folders. */
const STAMP = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-[^/]+$/;

/**
 * Links `latest`, next to a run's folder, to that folder; called when the folder has a checkpoint. Only a link to a run is
 * replaced: the user's own file, folder or link of this name is kept.
 * @returns a message when there is no new link, else nothing
 */
export function pointLatest({ path }: RunFolder): string | undefined {
  const link = join(dirname(path), 'latest');
  const temporary = join(dirname(path), `.latest-${crypto.randomUUID()}`);
  try {
    if (!isOurs(link)) return `${link} is not a link to a run folder, so it is kept.`;
    Deno.symlinkSync(basename(path), temporary);
    Deno.renameSync(temporary, link);
  } catch (error) {
    remove(temporary);
    return `${link} cannot be made: ${reason(error)}`;
  }
}

/** Whether a path is free, or a link that an earlier run made. */
function isOurs(link: string): boolean {
  try {
    return Deno.lstatSync(link).isSymlink && STAMP.test(Deno.readLinkSync(link));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It does not exist.
  }
}

/**
 * Writes a file whole or not at all: after a failure no part of it remains.
 * @throws InputError
 */
export function writeWhole(path: string, content: string | Uint8Array): void {
  const temporary = join(dirname(path), `.${basename(path)}.part`);
  try {
    Deno.writeFileSync(temporary, typeof content === 'string' ? new TextEncoder().encode(content) : content);
    Deno.renameSync(temporary, path);
  } catch (error) {
    remove(temporary);
    throw new InputError(`${path} cannot be written: ${reason(error)}`);
  }
}

/** An existing run folder. @throws InputError */
export function openRunFolder(path: string): RunFolder {
  try {
    if (!Deno.statSync(path).isDirectory) throw new Error('not a folder');
  } catch (error) {
    throw new InputError(`${path} is not a run folder: ${reason(error)}`);
  }
  return {
    path,
    write: (name, content) => writeWhole(`${path}/${name}`, content),
    read: (name) => readRegular(`${path}/${name}`),
  };
}

/**
 * Stores the kernels that tuning chose, both in the run's folder and in the user's cache. A resumed run reads them only from
 * its folder.
 */
export function runChoices(folder: () => RunFolder, resumed: boolean): ChoiceStore {
  let latest: unknown;
  const record = (choices: unknown) => {
    latest = choices;
    folder().write('tune.json', `${JSON.stringify(choices, null, 2)}\n`);
  };
  return {
    async load(adapter) {
      // Called again after a device was lost.
      if (latest) return latest;
      if (resumed) return JSON.parse(new TextDecoder().decode(folder().read('tune.json')));
      record((await fileChoices.load(adapter).catch(() => null)) ?? {});
      return latest;
    },
    async save(adapter, choices) {
      record(choices);
      await fileChoices.save(adapter, choices);
    },
  };
}

/** One JSON value a line. */
export const lines = (values: readonly unknown[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join('');

/**
 * The values in a file of {@link lines}. A last line that was cut off is left out.
 * @param file for messages
 * @throws InputError for any other line that is not JSON
 */
export function parseLines(bytes: Uint8Array, file: string): unknown[] {
  const all = new TextDecoder().decode(bytes).split('\n');
  const cutOff = all.at(-1) !== '';
  const whole = all.filter(Boolean);
  return whole.flatMap((line, i) => {
    try {
      return [JSON.parse(line)];
    } catch {
      if (cutOff && i === whole.length - 1) return [];
      throw new InputError(`${file}: line ${i + 1} is not JSON`);
    }
  });
}
