// Whatever the functions of src/data are given: an answer, or one typed error that names the function.
import * as assert from 'uvu/assert';
import { augment, plainViews, scaledTo } from '../../src/data/augment.ts';
import { fileChoices } from '../../src/data/choices.ts';
import {
  batchesPerEpoch,
  batchIndices,
  batchLabels,
  cleanBatch,
  dataset,
  pixelStatistics,
  rows,
} from '../../src/data/dataset.ts';
import { parseEmoji } from '../../src/data/emoji.ts';
import {
  checkLabels,
  fromArrays,
  fromImageData,
  loadIdx,
  parseImages,
  parseLabels,
  sameClasses,
} from '../../src/data/idx.ts';
import { npyLabels, npyRows, parseNpy } from '../../src/data/npy.ts';
import {
  checkFinite,
  decodeSafetensors,
  encodeSafetensors,
  loadVariables,
  saveVariables,
} from '../../src/data/safetensors.ts';
import { parseSynsets } from '../../src/data/synsets.ts';
import { quarterTurns } from '../../src/data/turns.ts';
import { HypersphereError } from '../../src/gpu/errors.ts';
import { input, scalar, variable } from '../../src/graph/tensor.ts';
import { device, test } from '../harness.ts';
import { npyFile } from '../npy.ts';

// biome-ignore lint/suspicious/noExplicitAny: arguments of any type are what is tried
type Any = any;

const utf8 = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
const dog = { emoji: '\u{1f415}', group: 0, concept: 'dog', names: { en: 'dog' }, keywords: { en: ['pet'] } };
const emojiTable = {
  ...{ groups: ['Animals'], languages: ['en'], train: [dog], test: [{ ...dog, concept: 'cat' }] },
};
const nameless = Object.create(null);
const HOSTILE: Any[] = [
  ...[undefined, null, true, 0, -1, 1.5, 2 ** 31, 2 ** 53, 1e15, -0, Number.NaN, Number.POSITIVE_INFINITY],
  ...['', 'abc', '__proto__', 3n, Symbol('s'), () => 1, /x/, new Date(0), new Map(), new Error('no')],
  ...[
    [],
    [null],
    [1, 2, 3],
    [[]],
    new Array(1),
    new Array(2),
    new Array(3),
    new Array(4),
    [-1, 5, 5],
    [5, 0, 5],
    [1e9, 1e9, 1e9],
    [1.5, 2, 2],
  ],
  ...[{}, { length: 3 }, { length: -1 }, { length: 1e15 }, { constructor: 1 }, nameless, Promise.resolve(1)],
  ...[new Float32Array(3), new Uint8Array(), new Uint8Array(9), new BigInt64Array(2), new ArrayBuffer(8)],
  ...[
    new DataView(new ArrayBuffer(4)),
    scalar(),
    scalar('u32'),
    input([2, 3]),
    input([2], 'u32'),
    variable([2]),
  ],
];

const images = () => fromArrays(new Uint8Array(4 * 9), [4, 3, 3], [0, 1, 0, 1]);
const data = dataset(images());
const idx = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 5, 6);
const npy = npyFile('<f4', [1, 2], Float32Array.of(1, 2));
const tensors = encodeSafetensors([['x', { dtype: 'f32', shape: [1], data: Float32Array.of(1) }]]);
const pixels = { width: 1, height: 1, data: new Uint8ClampedArray(4) };

/** Functions with arguments that they accept, each of which is then another thing: also each field of an object. */
const calls: Record<string, [call: (...args: Any[]) => unknown, args: Any[]]> = {
  augment: [
    augment,
    [
      data,
      {
        ...{
          ...plainViews,
          batch: 2,
          views: 2,
          seed: 1,
          step: 0,
          normalize: true,
          noise: 0.1,
          flip: 0.5,
          gamma: 1.1,
        },
        ...{
          crop: { area: [0.5, 1], aspect: [1, 1] },
          blur: { probability: 1, sigma: [1, 2] },
          brightness: 0.1,
        },
      },
    ],
  ],
  'augment in order': [augment, [data, { batch: 2, start: 0, indices: undefined }]],
  scaledTo: [
    scaledTo,
    [
      { height: 3, width: 3 },
      { ...plainViews, blur: { probability: 1, sigma: [1, 2] } },
    ],
  ],
  dataset: [dataset, [images(), { mean: 0.5, std: [0.5], name: 'x' }]],
  pixelStatistics: [pixelStatistics, [images()]],
  batchesPerEpoch: [batchesPerEpoch, [data, 2]],
  cleanBatch: [cleanBatch, [data, { rows: 2, start: 0, normalize: true }]],
  rows: [rows, [data, input([2], 'u32'), { normalize: true }]],
  batchIndices: [batchIndices, [data, { rows: 2, seed: 1, step: 1 }]],
  batchLabels: [batchLabels, [data, { rows: 2, views: 2, indices: input([2], 'u32') }]],
  checkLabels: [checkLabels, [images(), [1, 2, 3, 4], 'labels']],
  sameClasses: [sameClasses, [images(), images()]],
  fromArrays: [fromArrays, [new Uint8Array(4), [1, 2, 2], [1], 'name']],
  fromImageData: [fromImageData, [[pixels, pixels], { gray: true, labels: [1, 2] }]],
  loadIdx: [loadIdx, [idx]],
  parseImages: [parseImages, [Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7), 'name']],
  parseLabels: [parseLabels, [idx, 'name']],
  parseNpy: [parseNpy, [npy, 'name']],
  parseEmoji: [parseEmoji, [utf8(emojiTable), 'name']],
  parseSynsets: [parseSynsets, [utf8('synsets 1\t1\t16\n3\tdog\t\tit barks\n'), 'name']],
  npyRows: [npyRows, [npy, 'name']],
  npyLabels: [npyLabels, [npyFile('<i4', [2], Int32Array.of(1, 2)), 'name']],
  decodeSafetensors: [decodeSafetensors, [tensors]],
  encodeSafetensors: [
    encodeSafetensors,
    [[['x', { dtype: 'f32', shape: [1], data: Float32Array.of(1) }]], { key: 'value' }],
  ],
  checkFinite: [checkFinite, [decodeSafetensors(tensors), { most: 10 }]],
  quarterTurns: [quarterTurns, [input([2, 3, 3, 1])]],
};

/** The arguments with one of them, or one field of one, replaced; fields two levels deep. */
function* variants(args: Any[]): Generator<[where: string, args: Any[]]> {
  const replaced = function* (value: Any, path: string, depth: number): Generator<[string, Any]> {
    for (const hostile of HOSTILE) yield [path, hostile];
    const plain = Array.isArray(value) || (value && Object.getPrototypeOf(value) === Object.prototype);
    if (!plain || depth === 3) return;
    for (const key of Object.keys(value))
      for (const [where, inner] of replaced(value[key], `${path}.${key}`, depth + 1)) {
        const copy = Array.isArray(value) ? [...value] : { ...value };
        copy[key as Any] = inner;
        yield [where, copy];
      }
  };
  for (const [where, all] of replaced(args, 'arguments', 0)) if (Array.isArray(all)) yield [where, all];
}

async function attempt(name: string, where: string, body: () => unknown): Promise<void> {
  const start = performance.now();
  try {
    await body();
  } catch (error) {
    const { message, stack } = error as Error;
    assert.ok(error instanceof HypersphereError, `${name}, ${where}: ${stack ?? message}`);
    assert.ok(message.length < 600, `${name}, ${where}: a message of ${message.length}`);
  }
  assert.ok(performance.now() - start < 10_000, `${name}, ${where}: it hangs`);
}

for (const [name, [call, args]] of Object.entries(calls)) {
  test(`${name}: a typed error for anything else`, async () => {
    await call(...args);
    // Arguments of the wrong type that would be an address to fetch.
    const skip = (all: Any[]) => name === 'loadIdx' && typeof all[0] === 'string';
    for (const [where, all] of variants(args)) if (!skip(all)) await attempt(name, where, () => call(...all));
  });
}

test('saveVariables, loadVariables: a typed error for anything else', async () => {
  const gpu = await device();
  const v = variable([1], { name: 'x' });
  for (const hostile of HOSTILE) {
    await attempt('saveVariables', 'device', () => saveVariables(hostile, [v]));
    await attempt('saveVariables', 'variables', () => saveVariables(gpu, hostile));
    await attempt('saveVariables', 'a variable', () => saveVariables(gpu, [hostile]));
    await attempt('saveVariables', 'metadata', () => saveVariables(gpu, [v], hostile));
    await attempt('saveVariables', 'a value', () => saveVariables(gpu, [v], { key: hostile }));
    await attempt('loadVariables', 'device', () => loadVariables(hostile, tensors, [v]));
    await attempt('loadVariables', 'bytes', () => loadVariables(gpu, hostile, [v]));
    await attempt('loadVariables', 'variables', () => loadVariables(gpu, tensors, hostile));
    await attempt('loadVariables', 'options', () => loadVariables(gpu, tensors, [v], hostile));
  }
});

test('fileChoices: an adapter is a name', async () => {
  for (const hostile of HOSTILE) {
    if (typeof hostile === 'string' && hostile) continue;
    await attempt('fileChoices.load', 'adapter', () => fileChoices.load(hostile));
    await attempt('fileChoices.save', 'adapter', () => fileChoices.save(hostile, {} as Any));
  }
});
