// Files: what is valid is read as it was written, what is not is refused in one clear line, and nothing else happens.
import fc from 'fast-check';
import { parseEmoji } from '../../src/data/emoji.ts';
import { loadIdx, parseImages, parseLabels } from '../../src/data/idx.ts';
import { npyLabels, npyRows, parseNpy } from '../../src/data/npy.ts';
import { decodeSafetensors, encodeSafetensors, type FileTensor } from '../../src/data/safetensors.ts';
import { parseSynsets } from '../../src/data/synsets.ts';
import { readTokenizer } from '../../src/text/read_tokenizer.ts';
import { random } from '../harness.ts';
import { encodeBpe } from '../reference/bpe.ts';
import {
  type Bytes,
  type Change,
  changes,
  gzipBomb,
  gzipMember,
  hex,
  join,
  product,
  spoil,
  utf8,
} from './bytes.ts';
import { attempt, type Outcome, type Property, Wrong } from './engine.ts';
import {
  type BpeContents,
  bpeFile,
  byteCharacters,
  elements,
  emojiFile,
  emojiTable,
  idxFile,
  npyTypes,
  npyWith,
  readBpe,
  readIdx,
  readNpy,
  readSafetensors,
  readSynsets,
  type SynsetColumns,
  safetensorsFile,
  safetensorsWith,
  sizeOfType,
  synsetsFile,
  type TensorContents,
  tensorTypes,
  type Value,
} from './formats.ts';

const outcome = ({ refused }: { refused?: Error }): Outcome => (refused ? 'refused' : 'taken');

/** Fails where values differ; NaN is NaN. */
function same(what: string, actual: ArrayLike<Value>, expected: ArrayLike<Value>): void {
  if (actual.length !== expected.length)
    throw new Wrong(`${what}: wrong length`, `${actual.length} instead of ${expected.length}`);
  for (let i = 0; i < expected.length; i++)
    if (!Object.is(actual[i], expected[i]))
      throw new Wrong(`${what}: wrong values`, `[${i}] is ${actual[i]}, expected ${expected[i]}`);
}

/** Fails for a valid file that is refused. */
function taken<T>(result: { value: T } | { refused: Error; value?: undefined }): T {
  if ('refused' in result && result.refused)
    throw new Wrong('a valid file is refused', result.refused.message);
  return result.value as T;
}

/** A file somewhere in a larger buffer, as one cut out of an archive is. */
const shifted = (file: Bytes, by: number): Bytes =>
  join(new Uint8Array(by), file, [1, 2, 3]).subarray(by, by + file.length);

const bytesOf = (count: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: count, maxLength: count });

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** Bytes that often are one of few patterns, so that numbers recur, and are large, or not finite. */
const pattern = fc.oneof(
  fc.uint8Array({ minLength: 8, maxLength: 64 }),
  fc.constantFrom(
    [0, 0, 0, 0, 0, 0, 0, 0x20, 1, 0, 0, 0, 0, 0, 0, 0x20],
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    [0, 0, 0x80, 0x3f],
    [0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0x7f],
    [3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    [0],
  ),
);
const filled = (length: number, bytes: ArrayLike<number>) =>
  Uint8Array.from({ length }, (_, i) => bytes[i % bytes.length]);

// ---- IDX ----

const small = (most: number) => fc.integer({ min: 1, max: most });
const idxShape = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(small(40)) },
  { weight: 8, arbitrary: fc.tuple(small(6), small(6), small(6)) },
  { weight: 8, arbitrary: fc.tuple(small(4), small(4), small(4), small(4)) },
  // Larger than DEFLATE's window, and than what a reader may expand at a time.
  { weight: 1, arbitrary: fc.tuple(small(400), fc.constant(28), fc.constant(28)) },
) as fc.Arbitrary<number[]>;

/** Bytes with repetitions near and far, as what compresses has. */
function texture(size: number, seed: number): Uint8Array {
  const r = random(seed);
  const bytes = new Uint8Array(size);
  const alphabet = 1 + Math.floor(255 * r.next() ** 2);
  for (let at = 0; at < size; ) {
    const length = 1 + Math.floor(r.next() ** 3 * 400);
    const back = Math.floor(r.next() ** 2 * Math.min(at, 40_000));
    for (let i = 0; i < length && at < size; i++, at++)
      bytes[at] = back && r.next() > 0.01 ? bytes[at - back] : Math.floor(alphabet * r.next());
  }
  return bytes;
}

interface IdxInput {
  shape: number[];
  data: Uint8Array;
}
const idx: fc.Arbitrary<IdxInput> = fc
  .tuple(idxShape, fc.integer())
  .map(([shape, seed]) => ({ shape, data: texture(sizeOf(shape), seed) }));
const headers = {
  members: fc.array(fc.nat(100), { maxLength: 3 }),
  name: fc.constantFrom('', 'images-idx3-ubyte'),
  comment: fc.constantFrom('', 'c'),
  extra: fc.constantFrom(0, 0, 5),
  zeros: fc.constantFrom(0, 0, 0, 512),
  /** How it is compressed: null for blocks that are stored. */
  level: fc.constantFrom(null, 1, 6, 9),
  strategy: fc.constantFrom(0, 2, 3, 4),
};
const packing = fc.record({ ...headers, headerCrc: fc.boolean() });
/** Without the checksum of the header, which zlib checks and browsers do not. */
const spoiltPacking = fc.record({ ...headers, headerCrc: fc.constant(false) });
type Packing = typeof packing extends fc.Arbitrary<infer T> ? T : never;

/** In members that end at these percentages of the file. */
function zipped(file: Bytes, { members, zeros, ...header }: Packing): Bytes {
  const cuts = [
    0,
    ...members.map((p) => Math.floor((p * file.length) / 100)).sort((a, b) => a - b),
    file.length,
  ];
  const parts = cuts.slice(1).map((end, i) => gzipMember(file.subarray(cuts[i], end), header));
  return join(...parts, new Uint8Array(zeros));
}

/** Every reader of IDX against the reader of the tests; a valid file is taken by the one that suits its shape. */
async function checkIdx(file: Bytes, mayRefuse: boolean): Promise<Outcome> {
  const expected = readIdx(file);
  const plain = await attempt(() => loadIdx(file));
  const { shape } = expected ?? { shape: [] };
  const isImages = (shape.length === 3 || (shape.length === 4 && shape[3] <= 4)) && shape.every((n) => n > 0);
  const images = await attempt(() => parseImages(file, 'images'), /^images: /);
  const labels = await attempt(() => parseLabels(file, 'labels'), /^labels: /);
  if (!expected && !(plain.refused && images.refused && labels.refused))
    throw new Wrong(
      'a broken IDX file is taken',
      JSON.stringify(plain.value ?? images.value ?? labels.value).slice(0, 200),
    );
  if (!expected) return 'refused';
  if (!mayRefuse) {
    taken(plain);
    if (isImages) taken(images);
    if (shape.length === 1 && shape[0] > 0) taken(labels);
  }
  if (plain.value) {
    same('loadIdx: shape', plain.value.shape, shape);
    same('loadIdx', plain.value.data, expected.data);
  }
  if (images.value) {
    const { pixels, count, height, width, channels } = images.value;
    if (!isImages) throw new Wrong('parseImages takes what are no images', `[${shape}]`);
    same('parseImages: sizes', [count, height, width, channels], [...shape, 1].slice(0, 4));
    same('parseImages', pixels, expected.data);
  }
  if (labels.value) {
    if (shape.length !== 1) throw new Wrong('parseLabels takes what are no labels', `[${shape}]`);
    same('parseLabels', Array.from(labels.value, Number), Array.from(expected.data));
  }
  return outcome(plain);
}

const validIdx: Property<{
  idx: IdxInput;
  packing: Packing | null;
  shift: number;
}> = {
  name: 'IDX: valid, gzipped or not, of several members',
  share: 3,
  make: fc.record({ idx, packing: fc.option(packing), shift: fc.nat(3) }),
  check: ({ idx: { shape, data }, packing, shift }) => {
    const file = idxFile(shape, data);
    return checkIdx(shifted(packing ? zipped(file, packing) : file, shift), false);
  },
  show: ({ idx: { shape, data }, packing }) => `[${shape}] ${hex(data)} ${JSON.stringify(packing)}`,
};

const spoiltIdx: Property<{
  idx: IdxInput;
  packing: Packing | null;
  changes: Change[];
}> = {
  name: 'IDX: spoilt',
  share: 5,
  make: fc.record({ idx, packing: fc.option(spoiltPacking, { freq: 2 }), changes }),
  check: ({ idx: { shape, data }, packing, changes }) => {
    const file = idxFile(shape, data);
    return checkIdx(spoil(packing ? zipped(file, packing) : file, changes), true);
  },
  show: ({ idx: { shape, data }, packing, changes }) => {
    const file = idxFile(shape, data);
    return hex(spoil(packing ? zipped(file, packing) : file, changes));
  },
};

const anyBytes = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.uint8Array({ maxLength: 64 }).map((tail) => join([0, 0, 8], tail)),
  fc.uint8Array({ maxLength: 64 }).map((tail) => join([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], tail)),
  fc.uint8Array({ maxLength: 64 }).map((tail) => join([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0], tail)),
  fc.uint8Array({ maxLength: 64 }).map((tail) => join(utf8('synsets 1\t1\t9\n'), tail)),
  fc.uint8Array({ maxLength: 64 }).map((tail) => join([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d], tail)),
) as fc.Arbitrary<Bytes>;

const noise: Property<Bytes> = {
  name: 'any bytes, to every reader',
  share: 3,
  make: anyBytes,
  check: async (file) => {
    const all = [
      ...[await checkIdx(file, true), await checkNpy(file, true), await checkSafetensors(file, true)],
      ...[await checkSynsets(file, true), await checkEmoji(file, null)],
      await checkBpe(new TextDecoder().decode(file), ['a'], true),
    ];
    return all.includes('taken') ? 'taken' : 'refused';
  },
  show: hex,
};

/** 300 MB of zeros: more than any file that is read here should become unless its header says so. */
const BOMB = 300e6;
/** The most bytes that this process has held since `resetPeak`, if the system reports it. */
function peak(): number {
  try {
    return 1024 * Number(/VmHWM:\s*(\d+)/.exec(Deno.readTextFileSync('/proc/self/status'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
function resetPeak(): number {
  try {
    Deno.writeTextFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not on this system: the most there ever was stays the peak.
  }
  return peak();
}

const bombs = new Map<string, Bytes>();
const bomb: Property<number[]> = {
  name: 'IDX: gzip bombs',
  share: 1,
  most: 20,
  make: fc.oneof(
    fc.constant([]),
    fc.tuple(fc.integer({ min: 1, max: 1000 })),
    fc.tuple(fc.integer({ min: 1, max: 9 }), fc.constantFrom(28), fc.constantFrom(28)),
  ) as fc.Arbitrary<number[]>,
  async check(shape): Promise<Outcome> {
    const file = bombs.get(String(shape)) ?? gzipBomb(shape.length ? idxFile(shape, []) : join([7]), BOMB);
    bombs.set(String(shape), file);
    if (bombs.size > 3) bombs.clear();
    const before = resetPeak();
    const { refused } = await attempt(() => parseImages(file, 'bomb'), /^bomb: /);
    if (!refused) throw new Wrong('a gzip bomb is taken');
    const grown = peak() - before;
    if (grown > BOMB / 2) throw new Wrong('a gzip bomb takes its memory', `${Math.round(grown / 1e6)} MB`);
    return 'refused';
  },
  show: (shape) => `an IDX header of [${shape}], then ${BOMB / 1e6} MB of zeros`,
};

// ---- npy ----

interface NpyInput {
  dtype: string;
  shape: number[];
  data: Uint8Array;
  fortran: boolean;
  version: number;
  order: string[];
  layout: number;
}

const npyDtype = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(...npyTypes.map((type) => `${/1$/.test(type) ? '|' : '<'}${type}`)),
  },
  { weight: 1, arbitrary: fc.constantFrom(...npyTypes.map((type) => `>${type}`), '=f4', '|f8') },
  { weight: 1, arbitrary: fc.constantFrom('<U3', '>U2', '|S4', '<U1', '|S1') },
);
const npyShape = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }),
  fc.tuple(fc.nat(6), fc.nat(6)),
  fc.tuple(fc.nat(12)),
) as fc.Arbitrary<number[]>;
const npy: fc.Arbitrary<NpyInput> = fc
  .record({
    dtype: npyDtype,
    shape: npyShape,
    pattern,
    fortran: fc.oneof(
      { weight: 5, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
    version: fc.constantFrom(1, 1, 1, 2, 3),
    order: fc.shuffledSubarray(['descr', 'fortran_order', 'shape'], { minLength: 3 }),
    layout: fc.nat(3),
  })
  .map(({ pattern, ...rest }) => ({
    ...rest,
    data: filled(Number(product(rest.shape)) * sizeOfType(rest.dtype), pattern),
  }));

/** As numpy writes it, or as other programs do: spaces, line breaks, no comma at the end. */
function npyHeader({ dtype, shape, fortran, order, layout }: NpyInput): string {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(layout % 2 ? ',' : ', ');
  const values: Record<string, string> = {
    descr: `'${dtype}'`,
    fortran_order: fortran ? 'True' : 'False',
    shape: `(${sizes})`,
  };
  const [colon, comma] = layout === 1 ? [':', ','] : layout === 2 ? [':  ', ' , '] : [': ', ', '];
  return `{${order.map((key) => `'${key}'${colon}${values[key]}`).join(comma)}${layout < 2 ? ', ' : ''}}`;
}
const npyOf = (input: NpyInput): Bytes => npyWith(npyHeader(input), input.data, { version: input.version });

async function checkNpy(file: Bytes, mayRefuse: boolean): Promise<Outcome> {
  const expected = readNpy(file);
  const read = await attempt(() => parseNpy(file, 'a.npy'), /^a\.npy: /);
  const rows = await attempt(() => npyRows(file, 'x.npy'), /^x\.npy: /);
  const labels = await attempt(() => npyLabels(file, 'y.npy'), /^y\.npy: /);
  if (expected === 'bad' && !(read.refused && rows.refused && labels.refused))
    throw new Wrong('a broken npy file is taken', hex(file));
  if (typeof expected === 'string') {
    // A header of another form may be read, if what is read fits.
    if (read.value && product(read.value.shape) !== BigInt(read.value.data.length))
      throw new Wrong('parseNpy: shape and data differ', `[${read.value.shape}]`);
    return outcome(read);
  }
  const { dtype, shape, values } = expected;
  if (!mayRefuse) taken(read);
  if (read.value) {
    same('parseNpy: shape', read.value.shape, shape);
    same('parseNpy', Array.from(read.value.data as ArrayLike<Value>), values);
  }
  const isRows = shape.length === 2 && shape.every((n) => n > 0) && !/[US]/.test(dtype);
  const f32 = isRows ? Float32Array.from(values, Number) : null;
  if (!mayRefuse && f32?.every(Number.isFinite)) taken(rows);
  if (rows.value) {
    if (!f32?.every(Number.isFinite))
      throw new Wrong('npyRows takes what are no finite rows', `${dtype} [${shape}]`);
    same('npyRows: shape', rows.value.shape, shape);
    same('npyRows', rows.value.data, f32);
  }
  const isList = shape.length === 1 || (shape.length === 2 && shape[1] === 1);
  const whole = values.every((value) => typeof value !== 'number' || Number.isInteger(value));
  const isLabels = isList && values.length > 0 && whole;
  if (!mayRefuse && isLabels) taken(labels);
  if (labels.value) {
    if (!isLabels) throw new Wrong('npyLabels takes what are no labels', `${dtype} [${shape}]`);
    // By value, exactly, in the order of the values.
    const sorted = [...new Set(values)].sort(inOrder);
    const places = new Map(sorted.map((value, i) => [value, i]));
    const numbered = values.map((value) => places.get(value)!);
    same('npyLabels', labels.value.labels, numbered);
    const named = (labels.value.values as Value[]).map((value, i) => String(value) === String(sorted[i]));
    if (named.length !== sorted.length || named.includes(false))
      throw new Wrong('npyLabels: wrong names of labels', String(labels.value.values).slice(0, 200));
  }
  return outcome(read);
}

/** Numbers by size, text by code points. */
function inOrder(a: Value, b: Value): number {
  if (typeof a !== 'string' || typeof b !== 'string') return a < b ? -1 : Number(a > b);
  const [p, q] = [a, b].map((text) => Array.from(text, (letter) => letter.codePointAt(0)!));
  const at = p.findIndex((code, i) => code !== q[i]);
  if (at < 0) return p.length - q.length;
  return at < q.length ? p[at] - q[at] : 1;
}

const validNpy: Property<NpyInput & { shift: number }> = {
  name: 'npy: valid, of every type, order and header',
  share: 6,
  make: fc.tuple(npy, fc.nat(7)).map(([input, shift]) => ({ ...input, shift })),
  check: (input) => checkNpy(shifted(npyOf(input), input.shift), false),
  show: (input) => `${npyHeader(input)} version ${input.version}, ${hex(input.data)}`,
};

const spoiltNpy: Property<{ npy: NpyInput; changes: Change[] }> = {
  name: 'npy: spoilt',
  share: 8,
  make: fc.record({ npy, changes }),
  check: ({ npy, changes }) => checkNpy(spoil(npyOf(npy), changes), true),
  show: ({ npy, changes }) => hex(spoil(npyOf(npy), changes)),
};

/** Words of headers: of Python, of JavaScript, and of neither. */
const headerValue = fc.oneof(
  fc.constantFrom(
    "'<f4'",
    "'__proto__'",
    "'constructor'",
    "'toString'",
    "'hasOwnProperty'",
    "'valueOf'",
    "''",
  ),
  fc.constantFrom(
    "'|O'",
    "'<U5'",
    "'|S3'",
    "'<c8'",
    "'<M8[ns]'",
    "[('a', '<f4')]",
    "'<f4\\n'",
    "'=f4'",
    "'f4'",
  ),
  fc.constantFrom(
    'True',
    'False',
    'None',
    'true',
    '0',
    '-1',
    '1e9',
    '{}',
    '()',
    '(,)',
    '(3)',
    '(3',
    '(0,)',
    '(0, 0)',
  ),
  fc.constantFrom(
    '(-1, 5)',
    '(5.5,)',
    '(1e3,)',
    '(9007199254740993,)',
    '(4294967296, 4294967296)',
    '(0, 99999999999)',
  ),
  fc.constantFrom(
    '(24L, 5L)',
    '(٣,)',
    '(1,,2)',
    '( , )',
    '(1 2,)',
    '(0x10,)',
    '(007,)',
    '(99999999999999999999999,)',
  ),
  fc.constantFrom(
    `(${'1,'.repeat(3000)})`,
    `'${'<'.repeat(5000)}'`,
    '('.repeat(3000),
    `(${'9'.repeat(400)},)`,
  ),
  fc.string({ maxLength: 8 }),
);
/** A plain header with some values replaced, some keys given twice, lost or added. */
const oddHeaderOfNpy = fc
  .record({
    start: fc.constantFrom<[string, string][]>(
      [
        ['descr', "'<f4'"],
        ['fortran_order', 'False'],
        ['shape', '(3,)'],
      ],
      [
        ['descr', "'<i8'"],
        ['fortran_order', 'False'],
        ['shape', '(1, 2)'],
      ],
      [
        ['descr', "'|u1'"],
        ['fortran_order', 'True'],
        ['shape', '(2, 3)'],
      ],
    ),
    odd: fc.array(
      fc.tuple(fc.nat(4), fc.constantFrom('descr', 'fortran_order', 'shape', '__proto__', ''), headerValue),
      { minLength: 1, maxLength: 2 },
    ),
    twice: fc.boolean(),
  })
  .map(({ start, odd, twice }) => {
    const header = [...start];
    for (const [at, key, value] of odd) {
      if (at < 3 && !twice) header[at] = [header[at][0], value];
      else header.splice(at, 0, [key, value]);
    }
    return header;
  });
const oddNpy: Property<{ header: [string, string][]; count: number; version: number; pad: boolean }> = {
  name: 'npy: odd headers',
  share: 6,
  make: fc.record({
    header: oddHeaderOfNpy,
    count: fc.constantFrom(12, 16, 6, 0, 7),
    version: fc.constantFrom(1, 1, 1, 2, 3, 0, 4, 255),
    pad: fc.boolean(),
  }),
  check: (input) => checkNpy(oddNpyFile(input), true),
  show: ({ header, count, version }) =>
    `${oddNpyHeader(header).slice(0, 300)} version ${version}, ${count} bytes`,
};
const oddNpyHeader = (header: [string, string][]) =>
  `{${header.map(([key, value]) => `'${key}': ${value}`).join(', ')}, }`;
const oddNpyFile = ({ header, count, version, pad }: typeof oddNpy extends Property<infer T> ? T : never) =>
  npyWith(oddNpyHeader(header), filled(count, [0, 0, 0x80, 0x3f, 1]), { version, pad });

// ---- safetensors ----

const name = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'encoder.0.weight', '0', '10', 'b', 'é', 'a"b\\', '') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length'),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 6 }) },
);
const tensorShape = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 3 }),
  fc.array(fc.nat(3), { maxLength: 3 }),
);
const tensorOf = (types: string[]) =>
  fc.record({ dtype: fc.constantFrom(...types), shape: tensorShape, pattern }).map(
    ({ dtype, shape, pattern }): TensorContents => ({
      ...{ dtype, shape },
      bytes: filled(Number(product(shape)) * tensorTypes[dtype], pattern),
    }),
  );
const namesAnd = (types: string[]) =>
  fc.uniqueArray(fc.tuple(name, tensorOf(types)), { maxLength: 5, selector: ([name]) => name });
const metadata = fc.option(fc.dictionary(name, fc.string({ maxLength: 8 }), { maxKeys: 3 }), {
  nil: undefined,
});

type Named = [name: string, tensor: TensorContents][];
const isOurs = ({ dtype }: TensorContents) => /^(F32|U32|U8)$/.test(dtype);

/** What a decoded tensor must hold: the bits of F32, U32 and U8; of other types their values as far as f32 has them. */
function checkTensor(label: string, found: FileTensor, expected: TensorContents): void {
  const { dtype, shape, bytes } = expected;
  same(`${label}: shape`, found.shape, shape);
  const { data } = found;
  if (isOurs(expected)) {
    if (found.dtype !== dtype.toLowerCase()) throw new Wrong(`${label}: ${found.dtype} instead of ${dtype}`);
    same(label, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), bytes);
  } else if (dtype === 'F16' || dtype === 'BF16') {
    const wide = dtype === 'F16' ? elements('<f2', bytes, bytes.length / 2)! : bfloats(bytes);
    same(label, Array.from(data as ArrayLike<number>), wide);
  }
}
const bfloats = (bytes: Uint8Array): number[] => {
  const wide = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i += 2) wide.set(bytes.subarray(i, i + 2), 2 * i + 2);
  return elements('<f4', wide, bytes.length / 2) as number[];
};

async function checkSafetensors(file: Bytes, mayRefuse: boolean): Promise<Outcome> {
  const expected = readSafetensors(file);
  const { value, refused } = await attempt(() => decodeSafetensors(file), /^safetensors: /);
  if (refused) {
    if (!mayRefuse) taken({ refused });
    return 'refused';
  }
  if (!expected) throw new Wrong('a broken safetensors file is taken', [...value.tensors.keys()].join());
  for (const [name, found] of value.tensors) {
    const tensor = expected.get(name);
    if (!tensor) throw new Wrong('a tensor that is not in the file', name);
    checkTensor('decodeSafetensors', found, tensor);
  }
  const lost = [...expected].find(([name, tensor]) => isOurs(tensor) && !value.tensors.has(name));
  if (lost) throw new Wrong('a tensor is lost', JSON.stringify(lost[0]));
  return 'taken';
}

const validSafetensors: Property<{
  tensors: Named;
  metadata?: Record<string, string>;
  spaces: number;
  shift: number;
}> = {
  name: 'safetensors: valid',
  share: 5,
  make: fc.record({ tensors: namesAnd(['F32', 'U32', 'U8']), metadata, spaces: fc.nat(9), shift: fc.nat(3) }),
  async check({ tensors, metadata, spaces, shift }): Promise<Outcome> {
    const file = safetensorsFile(tensors, metadata, { spaces });
    await checkSafetensors(shifted(file, shift), false);
    const read = decodeSafetensors(file);
    const pairs = (of: Record<string, string>) => JSON.stringify(Object.entries(of).sort());
    if (pairs(read.metadata) !== pairs(metadata ?? {}))
      throw new Wrong(
        'decodeSafetensors: wrong metadata',
        `${pairs(read.metadata)}, expected ${pairs(metadata ?? {})}`,
      );
    // And once around.
    const again = encodeSafetensors(read.tensors, read.metadata);
    await checkSafetensors(again, false);
    const held = readSafetensors(again);
    for (const [name, { bytes, shape }] of tensors) {
      same('encodeSafetensors: shape', held?.get(name)?.shape ?? [], shape);
      same('encodeSafetensors', held!.get(name)!.bytes, bytes);
    }
    return 'taken';
  },
  show: ({ tensors, metadata }) =>
    JSON.stringify([tensors.map(([name, { dtype, shape }]) => [name, dtype, shape]), metadata]),
};

const otherTypes: Property<{ tensors: Named }> = {
  name: 'safetensors: of every type',
  share: 3,
  make: fc.record({ tensors: namesAnd(Object.keys(tensorTypes)) }),
  check: ({ tensors }) => checkSafetensors(safetensorsFile(tensors), true),
  show: ({ tensors }) => JSON.stringify(tensors.map(([name, { dtype, shape }]) => [name, dtype, shape])),
};

const spoiltSafetensors: Property<{ tensors: Named; changes: Change[] }> = {
  name: 'safetensors: spoilt',
  share: 6,
  make: fc.record({ tensors: namesAnd(['F32', 'U32', 'U8', 'F16']), changes }),
  check: ({ tensors, changes }) => checkSafetensors(spoil(safetensorsFile(tensors), changes), true),
  show: ({ tensors, changes }) => hex(spoil(safetensorsFile(tensors), changes)),
};

const deep = (levels: number, open = '[', close = ']') => open.repeat(levels) + close.repeat(levels);
/** Any JSON value in place of a type, a shape or offsets. */
const json = fc.oneof(
  fc.constantFrom(
    '"F32"',
    '"U8"',
    '"F16"',
    '"__proto__"',
    '"constructor"',
    '""',
    'null',
    'true',
    '0',
    '-1',
    '1.5',
  ),
  fc.constantFrom(
    '[]',
    '[0]',
    '[0,0]',
    '[0,4]',
    '[4,0]',
    '[1]',
    '[4]',
    '[-1,5]',
    '[5,0]',
    '[1.5]',
    '["4"]',
    '[null]',
  ),
  fc.constantFrom(
    '{}',
    '{"toString":1}',
    '{"valueOf":{}}',
    '{"toJSON":1}',
    '{"length":2}',
    '[[4]]',
    '[{}]',
    '[[],[]]',
  ),
  fc.constantFrom(
    '[9007199254740993,1]',
    '[1e300,1e300]',
    '[4294967296,4294967296]',
    '[0,9007199254740991]',
    '1e999',
  ),
  fc.constantFrom(
    deep(100),
    deep(3000),
    deep(20_000),
    deep(3000, '{"a":', '}').replace(':}', ':1}'),
    `[${'0,'.repeat(999)}1]`,
  ),
  fc.json({ maxDepth: 3 }),
);
const field = fc.constantFrom('dtype', 'shape', 'data_offsets', 'extra', '__proto__');
/** Descriptions of one or two tensors of four bytes each, with some fields replaced. */
const described = (at: number) =>
  fc.array(fc.tuple(field, json), { maxLength: 2 }).map((odd) => {
    const info = { dtype: '"F32"', shape: '[1]', data_offsets: `[${at},${at + 4}]` };
    const fields = Object.entries({ ...info, ...Object.fromEntries(odd) });
    return `{${fields.map(([key, value]) => `"${key}":${value}`).join(',')}}`;
  });
const oddEntries = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.tuple(name, described(0)), fc.tuple(name, described(4))) },
  { weight: 1, arbitrary: fc.array(fc.tuple(name, fc.oneof(described(0), json)), { maxLength: 3 }) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.tuple(fc.constant('__metadata__'), json), fc.tuple(name, described(0))),
  },
) as fc.Arbitrary<[string, string][]>;
const oddSafetensors: Property<{
  entries: [string, string][];
  data: Uint8Array;
  tail: string;
  length: number | null;
}> = {
  name: 'safetensors: odd headers',
  share: 8,
  make: fc.record({
    entries: oddEntries,
    data: bytesOf(8),
    tail: fc.constantFrom('', '', '', '', '', '', ' ', ',', '}', '\0', '\ufeff', '{}'),
    length: fc.oneof(
      { weight: 9, arbitrary: fc.constant(null) },
      fc.constantFrom(0, 1, 2 ** 31, 2 ** 32, 2 ** 53, 100_000_001),
    ),
  }),
  check: (input) => checkSafetensors(oddFile(input), true),
  show: (input) => oddHeader(input).slice(0, 400),
};
type Odd = typeof oddSafetensors extends Property<infer T> ? T : never;
const oddHeader = ({ entries, tail }: Odd) =>
  `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}${tail}`;
const oddFile = (input: Odd) => safetensorsWith(oddHeader(input), input.data, input.length ?? undefined);

// ---- synsets ----

const word = fc.oneof(
  fc.constantFrom('dog', 'domestic_dog', 'Paris', 'a', '犬', 'é', '\u{1f415}', '_', '0'),
  fc.string({ minLength: 1, maxLength: 6 }).map((text) => text.replace(/[ \t\n]/g, '.')),
);
const sentence = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join(' '));
/** Synsets whose hypernyms come before them, and then all of them in another order. */
const synsetRows: fc.Arbitrary<string[][]> = fc
  .tuple(
    fc.array(
      fc.record({
        file: fc.nat(44),
        lemmas: fc.array(word, { minLength: 1, maxLength: 3 }),
        parents: fc.array(fc.tuple(fc.nat(1000), fc.boolean()), { maxLength: 2 }),
        texts: fc.array(sentence, { minLength: 1, maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 12 },
    ),
    fc.integer(),
  )
  .map(([list, seed]) => {
    const r = random(seed);
    const order = list.map((_, i) => i);
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(r.next() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    const rows: string[][] = [];
    for (const [i, { file, lemmas, parents, texts }] of list.entries()) {
      const above = i ? parents.map(([n, instance]) => `${instance ? 'i' : ''}${order[n % i]}`) : [];
      rows[order[i]] = [String(file), lemmas.join(' '), above.join(' '), ...texts];
    }
    return rows;
  });

async function checkSynsets(file: Bytes, mayRefuse: boolean): Promise<Outcome> {
  const expected = readSynsets(file);
  const read = await attempt(() => parseSynsets(file, 's.tsv'), /^s\.tsv: /);
  if (!expected) {
    if (!read.refused) throw new Wrong('a broken file of synsets is taken', hex(file));
    return 'refused';
  }
  if (!mayRefuse) taken(read);
  if (!read.value) return 'refused';
  const written = read.value.map(({ file, lemmas, hypernyms, instanceOf, definition, examples }) => [
    ...[String(file), lemmas.join('|'), hypernyms.join(' '), instanceOf.join(' '), definition, ...examples],
  ]);
  const wanted = expected.map(([file, lemmas, parents, ...texts]) => {
    const of = (instance: boolean) =>
      parents
        .split(' ')
        .filter((one) => one && one.startsWith('i') === instance)
        .map((one) => Number(one.replace('i', '')));
    const words = lemmas.split(' ').map((one) => one.split('_').join(' '));
    return [String(Number(file)), words.join('|'), of(false).join(' '), of(true).join(' '), ...texts];
  });
  same(
    'parseSynsets',
    written.map((row) => JSON.stringify(row)),
    wanted.map((row) => JSON.stringify(row)),
  );
  return 'taken';
}

const validSynsets: Property<{ rows: string[][]; packing: Packing | null; shift: number }> = {
  name: 'synsets: valid, gzipped or not',
  share: 3,
  make: fc.record({ rows: synsetRows, packing: fc.option(packing), shift: fc.nat(3) }),
  check: ({ rows, packing, shift }) => {
    const file = synsetsFile(rows);
    return checkSynsets(shifted(packing ? zipped(file, packing) : file, shift), false);
  },
  show: ({ rows, packing }) => `${JSON.stringify(rows)} ${JSON.stringify(packing)}`,
};

const spoiltSynsets: Property<{ rows: string[][]; packing: Packing | null; changes: Change[] }> = {
  name: 'synsets: spoilt',
  share: 5,
  make: fc.record({ rows: synsetRows, packing: fc.option(spoiltPacking, { freq: 2 }), changes }),
  check: ({ rows, packing, changes }) => {
    const file = synsetsFile(rows);
    return checkSynsets(spoil(packing ? zipped(file, packing) : file, changes), true);
  },
  show: ({ rows, changes }) => `${JSON.stringify(rows)} ${JSON.stringify(changes)}`,
};

/** Columns with some replaced, or a first line that lies about them. */
const oddSynsets: Property<{ rows: SynsetColumns[]; at: [number, number, string][]; header?: string }> = {
  name: 'synsets: odd columns',
  share: 5,
  make: fc.record({
    rows: synsetRows,
    at: fc.array(
      fc.tuple(
        fc.nat(11),
        fc.nat(4),
        fc.constantFrom(
          ...['', ' ', '-1', '45', '44', '007', '1e1', '0', 'i0', 'i', '0 0', '0  1', '1 2', 'i1 0'],
          ...['999999999', '9999999999', '0x1', '\t', '\n', '\r', 'a\tb', '\u0000', '\ufeff', '__proto__'],
        ),
      ),
      { minLength: 1, maxLength: 3 },
    ),
    header: fc.option(
      fc.constantFrom(
        ...['', '\n', 'synsets 1\t0\t0\n', 'synsets 2\t1\t9\n', 'synsets 1\t999999999\t999999999999\n'],
        ...['synsets 1\t1\t-1\n', 'synsets 1\t1e1\t10\n', 'synsets 1 1 9\n', '\ufeffsynsets 1\t1\t9\n'],
      ),
      { nil: undefined, freq: 6 },
    ),
  }),
  check: ({ rows, at, header }) => {
    const odd = rows.map((row) => [...row]);
    for (const [row, column, text] of at) odd[row % odd.length][column] = text;
    return checkSynsets(
      synsetsFile(
        odd.map((row) => Array.from(row, (text) => text ?? '')),
        header,
      ),
      true,
    );
  },
  show: (input) => JSON.stringify(input),
};

// ---- emoji ----

/** @param table what the file says; null where that is not known */
async function checkEmoji(file: Bytes, table: unknown): Promise<Outcome> {
  const read = await attempt(() => parseEmoji(file, 'e.json'), /^e\.json: /);
  if (!read.value) {
    if (table !== null && isEmojiTable(table))
      throw new Wrong('a valid table is refused', read.refused.message);
    return 'refused';
  }
  if (!isEmojiTable(read.value)) throw new Wrong('a broken table of emoji is taken', hex(file));
  return 'taken';
}

// biome-ignore lint/suspicious/noExplicitAny: anything may be in a file
function isEmojiTable(table: any): boolean {
  const text = (value: unknown) => typeof value === 'string' && value.length > 0;
  const texts = (value: unknown) => Array.isArray(value) && value.every(text);
  const good = (one: typeof table) =>
    text(one?.emoji) &&
    text(one.concept) &&
    Number.isInteger(one.group) &&
    one.group >= 0 &&
    one.group < table.groups.length &&
    table.languages.every((tag: string) => text(one.names?.[tag]) && texts(one.keywords?.[tag]));
  const list = (value: unknown) => Array.isArray(value) && value.length > 0;
  return (
    [table?.groups, table?.languages].every((value) => texts(value) && value.length > 0) &&
    table.languages.every((tag: string) => /^[a-z]{2}(-[a-z]+)?$/.test(tag)) &&
    [table.train, table.test].every((part) => list(part) && part.every(good)) &&
    !table.test.some((one: typeof table) =>
      table.train.some(({ concept }: { concept: string }) => concept === one.concept),
    )
  );
}

/** A table of which one value, at a path of keys, is another one. */
const oddEmoji: Property<{ path: (string | number)[]; value: string; packing: Packing | null }> = {
  name: 'emoji: odd values',
  share: 4,
  make: fc.record({
    path: fc.oneof(
      fc.tuple(fc.constantFrom('groups', 'languages', 'train', 'test', 'further')),
      fc.tuple(fc.constantFrom('groups', 'languages'), fc.nat(2)),
      fc.tuple(
        fc.constantFrom('train', 'test'),
        fc.nat(1),
        fc.constantFrom('emoji', 'group', 'concept', 'names', 'keywords'),
      ),
      fc.tuple(
        ...[fc.constantFrom('train', 'test'), fc.constant(0), fc.constantFrom('names', 'keywords')],
        fc.constantFrom('en', 'de', 'xx'),
      ),
    ) as fc.Arbitrary<(string | number)[]>,
    value: fc.oneof(json, fc.constantFrom('"dog"', '"flag"', '["en"]', '["a",""]', '1', '"a"')),
    packing: fc.option(packing),
  }),
  check: ({ path, value, packing }) => {
    const marked = structuredClone(emojiTable) as unknown as Record<string | number, unknown>;
    let at = marked;
    for (const key of path.slice(0, -1)) at = (at[key] ??= {}) as typeof at;
    at[path.at(-1)!] = 'HERE';
    const text = JSON.stringify(marked).replace('"HERE"', () => value);
    let table: unknown = null;
    try {
      table = JSON.parse(text);
    } catch {
      // Too deep for the parser, perhaps.
    }
    const file = emojiFile(text);
    return checkEmoji(packing ? zipped(file, packing) : file, table);
  },
  show: ({ path, value }) => `${path.join('.')} = ${value.slice(0, 200)}`,
};

const spoiltEmoji: Property<{ packing: Packing | null; changes: Change[] }> = {
  name: 'emoji: spoilt',
  share: 3,
  make: fc.record({ packing: fc.option(spoiltPacking, { freq: 2 }), changes }),
  check: ({ packing, changes }) => {
    const file = emojiFile(emojiTable);
    return checkEmoji(spoil(packing ? zipped(file, packing) : file, changes), null);
  },
  show: ({ packing, changes }) => `${JSON.stringify(packing)} ${JSON.stringify(changes)}`,
};
// ---- tokenizer.json ----

/** Merges of bytes, and of what earlier ones made: twice the same pair is left out. */
const merges = fc.array(fc.tuple(fc.nat(60), fc.nat(60)), { maxLength: 12 }).map((places) => {
  const tokens = Array.from(utf8("ab 1'sé😀\n"), (byte) => byteCharacters[byte]);
  const made = new Map<string, [string, string]>();
  for (const [i, j] of places) {
    const pair: [string, string] = [tokens[i % tokens.length], tokens[j % tokens.length]];
    if (made.has(pair.join(' '))) continue;
    made.set(pair.join(' '), pair);
    tokens.push(pair.join(''));
  }
  return [...made.values()];
});
const bpe: fc.Arbitrary<BpeContents> = fc
  .record({
    merges,
    turn: fc.nat(300),
    old: fc.boolean(),
    special: fc.subarray(['<pad>', '[MASK]', '<|endoftext|>', '<|im_start|>', '\u{1f600}']),
    shuffle: fc.boolean(),
  })
  .map(({ shuffle, ...rest }) => ({ ...rest, merges: shuffle ? rest.merges.reverse() : rest.merges }));
const texts = fc.array(
  fc.oneof(
    fc.array(fc.constantFrom(...'ab 1é😀\n', "'s", '\ud800'), { maxLength: 24 }).map((list) => list.join('')),
    fc.string({ unit: 'binary', maxLength: 12 }),
  ),
  { maxLength: 4 },
);

/** A tokenizer that is read gives the tokens that the file says, and the text back. */
async function checkBpe(file: string, texts: readonly string[], mayRefuse: boolean): Promise<Outcome> {
  const expected = readBpe(file);
  const { value: tokenizer, refused } = await attempt(() => readTokenizer(file), /^readTokenizer: /);
  if (refused) {
    if (!mayRefuse) taken({ refused });
    return 'refused';
  }
  if (!expected) throw new Wrong('a broken tokenizer.json file is taken', file.slice(0, 200));
  for (const text of texts) {
    const ids = tokenizer.encode(text);
    const { bytes, merges, results } = expected;
    same('readTokenizer: encode', ids, encodeBpe(text, merges, { byteIds: (byte) => bytes[byte], results }));
    const back = tokenizer.decode(ids);
    if (back !== text.toWellFormed()) throw new Wrong('readTokenizer: decode', JSON.stringify([text, back]));
  }
  const { special, size } = tokenizer;
  tokenizer.decode(Object.values(special), { special: true });
  const again = readTokenizer(JSON.stringify(tokenizer));
  same('readTokenizer: special', Object.values(again.special), Object.values(special));
  same('readTokenizer: size', [again.size], [size]);
  for (const text of texts) same('readTokenizer: again', again.encode(text), tokenizer.encode(text));
  return 'taken';
}

const validBpe: Property<{ contents: BpeContents; texts: string[] }> = {
  name: 'tokenizer.json: valid',
  share: 3,
  make: fc.record({ contents: bpe, texts }),
  check: ({ contents, texts }) => checkBpe(bpeFile(contents), texts, false),
  show: (input) => JSON.stringify(input),
};

const spoiltBpe: Property<{ contents: BpeContents; texts: string[]; changes: Change[]; at: number }> = {
  name: 'tokenizer.json: spoilt',
  share: 4,
  make: fc.record({ contents: bpe, texts, changes, at: fc.nat(1e6) }),
  check: (input) => checkBpe(spoiltFile(input), input.texts, true),
  show: (input) => `${JSON.stringify(input.contents)}: ${JSON.stringify(spoiltFile(input)).slice(-400)}`,
};
/** Changed somewhere from a place on, since most of a file is its vocabulary. */
function spoiltFile({
  contents,
  changes,
  at,
}: {
  contents: BpeContents;
  changes: Change[];
  at: number;
}): string {
  const file = utf8(bpeFile(contents));
  const from = at % file.length;
  return new TextDecoder().decode(join(file.subarray(0, from), spoil(file.slice(from), changes)));
}

/** Fields of the file, and any JSON value in their place. */
const oddBpe: Property<{ contents: BpeContents; texts: string[]; field: string; value: string }> = {
  name: 'tokenizer.json: odd fields',
  share: 4,
  make: fc.record({
    contents: bpe,
    texts,
    field: fc.constantFrom(
      ...['model', 'added_tokens', 'normalizer', 'pre_tokenizer', 'decoder', 'post_processor', 'truncation'],
      ...['model.type', 'model.vocab', 'model.merges', 'model.dropout', 'model.unk_token', 'model.fuse_unk'],
      ...['model.vocab.a', 'model.vocab.zz', 'model.vocab.__proto__', 'model.merges.0', 'model.merges.0.1'],
      ...['added_tokens.0', 'added_tokens.0.id', 'added_tokens.0.content', 'added_tokens.0.special'],
      ...['pre_tokenizer.type', 'pre_tokenizer.use_regex', 'pre_tokenizer.add_prefix_space', 'decoder.type'],
    ),
    value: json,
  }),
  check: (input) => checkBpe(oddBpeFile(input), input.texts, true),
  show: ({ contents, field, value }) => `${field}: ${value.slice(0, 200)} in ${JSON.stringify(contents)}`,
};
function oddBpeFile({
  contents,
  field,
  value,
}: {
  contents: BpeContents;
  field: string;
  value: string;
}): string {
  const file = JSON.parse(bpeFile(contents));
  const path = field.split('.');
  const last = path.pop()!;
  const owner = path.reduce((at, key) => at?.[key], file);
  if (typeof owner === 'object' && owner)
    Object.defineProperty(owner, last, { value: '@odd@', enumerable: true });
  return JSON.stringify(file).replace('"@odd@"', () => value);
}

export const loaders: Property[] = [
  ...[validIdx, spoiltIdx, bomb, noise, validNpy, spoiltNpy, oddNpy],
  ...[validSafetensors, otherTypes, spoiltSafetensors, oddSafetensors],
  ...[validSynsets, spoiltSynsets, oddSynsets, oddEmoji, spoiltEmoji],
  ...[validBpe, spoiltBpe, oddBpe],
];
