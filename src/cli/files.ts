import { fileChoices } from '../data/choices.ts';
import { checkLabels, type Images, parseImages, parseLabels, sameClasses } from '../data/idx.ts';
import type { ChoiceStore } from '../gpu/choices.ts';
import { InputError } from '../gpu/errors.ts';
import { permutationArray } from '../ops/random.ts';

/** Where the Fashion-MNIST that comes with the project lies. */
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

/**
 * Reads the data of a run.
 * @throws InputError in one line, naming the file
 */
export async function readData(
  data: readonly [string, string] | null,
  test: readonly [string, string] | null,
): Promise<RunData> {
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

async function readPair([images, labels]: readonly [string | URL, string | URL]): Promise<Images> {
  const pixels = await parseImages(await read(images), nameOf(images));
  return checkLabels(pixels, await parseLabels(await read(labels), nameOf(labels)), nameOf(labels));
}

const nameOf = (path: string | URL): string => String(path).split('/').at(-1)!;

async function read(path: string | URL): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new InputError(`${String(path)} cannot be read: ${reason(error)}`);
  }
}

/** A sixth is for testing, as 10,000 of Fashion-MNIST's 60,000 are: drawn, since files may be sorted by class. */
function split(all: Images): [train: Images, test: Images] {
  const testing = Math.floor(all.count / 6);
  if (!testing) throw new InputError(`--data: expected at least 6 images, got ${all.count}; or give --test`);
  const order = permutationArray(all.count, { seed: 0 });
  return [chosen(all, order.slice(testing)), chosen(all, order.slice(0, testing))];
}

/** In an order of its own: the curves, and the alarm, look at the first images of a test set. */
const shuffled = (all: Images): Images => chosen(all, permutationArray(all.count, { seed: 0 }));

function chosen(all: Images, which: Uint32Array): Images {
  const size = all.height * all.width * all.channels;
  const pixels = new Uint8Array(which.length * size);
  for (const [i, image] of which.entries())
    pixels.set(all.pixels.subarray(image * size, (image + 1) * size), i * size);
  return { ...all, count: which.length, pixels, labels: Uint32Array.from(which, (i) => all.labels![i]) };
}

/** What the system says of a failed file operation, in a few words. */
export function reason(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return 'no such file';
  if (error instanceof Deno.errors.PermissionDenied) return 'permission denied';
  return error instanceof Error ? error.message.split('\n')[0] : String(error);
}

/** A run's own folder. Files appear in it whole or not at all. */
export interface RunFolder {
  path: string;
  write(name: string, content: string | Uint8Array): void;
  read(name: string): Uint8Array<ArrayBuffer>;
}

/** Makes `<out>/<time>-<method>/` and points `<out>/latest` to it. @throws InputError when the place is not writable */
export function createRunFolder(out: string, method: string, time: Date): RunFolder {
  const stamp = time.toISOString().slice(0, 19).replaceAll(':', '-');
  try {
    Deno.mkdirSync(out, { recursive: true });
    // Two runs in one second get folders of their own.
    for (let copy = 1; ; copy++) {
      const name = `${stamp}-${method}${copy > 1 ? `-${copy}` : ''}`;
      try {
        Deno.mkdirSync(`${out}/${name}`);
      } catch (error) {
        if (error instanceof Deno.errors.AlreadyExists) continue;
        throw error;
      }
      const folder = openRunFolder(`${out}/${name}`);
      pointLatest(out, name);
      return folder;
    }
  } catch (error) {
    throw new InputError(`--out: ${out} cannot be written: ${reason(error)}`);
  }
}

function pointLatest(out: string, name: string): void {
  const temporary = `${out}/.latest-${crypto.randomUUID()}`;
  Deno.symlinkSync(name, temporary);
  Deno.renameSync(temporary, `${out}/latest`);
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
    write(name, content) {
      const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
      const temporary = `${path}/.${name}.part`;
      try {
        Deno.writeFileSync(temporary, bytes);
        Deno.renameSync(temporary, `${path}/${name}`);
      } catch (error) {
        throw new InputError(`${path}/${name} cannot be written: ${reason(error)}`);
      }
    },
    read(name) {
      try {
        return Deno.readFileSync(`${path}/${name}`);
      } catch (error) {
        throw new InputError(`${path}/${name} cannot be read: ${reason(error)}`);
      }
    },
  };
}

/**
 * Where a run finds and keeps the kernels that measuring chose: its folder records them beside the user's cache, and a
 * resumed run takes them from there alone.
 */
export function runChoices(folder: () => RunFolder, resumed: boolean): ChoiceStore {
  let latest: unknown;
  const record = (choices: unknown) => {
    latest = choices;
    folder().write('tune.json', `${JSON.stringify(choices, null, 2)}\n`);
  };
  return {
    async load(adapter) {
      // Asked again after a lost device.
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

/** The values of a file of {@link lines}. */
export const parseLines = (bytes: Uint8Array): unknown[] =>
  new TextDecoder()
    .decode(bytes)
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
