// Readers and writers of IDX, npy, safetensors and tokenizer.json for the tests to judge by: plain, slow, and nothing of src/.
import { type Bytes, bigEndian, gunzip, join, littleEndian, product, utf8 } from './bytes.ts';

/** A number, a BigInt where the file has 64-bit integers, or text. */
export type Value = number | bigint | string;

// ---- IDX ----

export interface IdxContents {
  shape: number[];
  data: number[] | Uint8Array;
}

export const idxFile = (shape: readonly number[], data: ArrayLike<number>, type = 8): Bytes =>
  join([0, 0, type, shape.length], ...shape.map((n) => bigEndian(n, 4)), data);

/** What an IDX file of bytes holds, gzipped or not; null for any other. */
export function readIdx(file: Uint8Array): IdxContents | null {
  const bytes = file[0] === 0x1f && file[1] === 0x8b ? gunzip(file) : file;
  if (!bytes || bytes.length < 4 || bytes[0] || bytes[1] || bytes[2] !== 8 || !bytes[3]) return null;
  const start = 4 + 4 * bytes[3];
  if (bytes.length < start) return null;
  const shape = Array.from({ length: bytes[3] }, (_, i) =>
    [0, 1, 2, 3].reduce((n, k) => n * 256 + bytes[4 + 4 * i + k], 0),
  );
  if (product(shape) !== BigInt(bytes.length - start)) return null;
  return { shape, data: bytes.subarray(start) };
}

// ---- npy ----

export interface NpyContents {
  dtype: string;
  fortran: boolean;
  shape: number[];
  /** In C order. */
  values: Value[];
}

/** How an element is read and written, by NumPy's letter and size. */
const numbers: Record<string, [size: number, read: (v: DataView, at: number, little: boolean) => Value]> = {
  f4: [4, (v, at, le) => v.getFloat32(at, le)],
  f8: [8, (v, at, le) => v.getFloat64(at, le)],
  f2: [2, (v, at, le) => half(v.getUint16(at, le))],
  i1: [1, (v, at) => v.getInt8(at)],
  u1: [1, (v, at) => v.getUint8(at)],
  b1: [1, (v, at) => v.getUint8(at)],
  i2: [2, (v, at, le) => v.getInt16(at, le)],
  u2: [2, (v, at, le) => v.getUint16(at, le)],
  i4: [4, (v, at, le) => v.getInt32(at, le)],
  u4: [4, (v, at, le) => v.getUint32(at, le)],
  i8: [8, (v, at, le) => v.getBigInt64(at, le)],
  u8: [8, (v, at, le) => v.getBigUint64(at, le)],
};
export const npyTypes = Object.keys(numbers);

/** The value of a half-precision float (IEEE 754 binary16). */
export function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
}

/** The type of a descr: `<f4`, `|u1`, `>U3`; null for any other. */
function typeOf(dtype: string): { big: boolean; letter: string; size: number; text: boolean } | null {
  const [, sign, letter, digits] = /^([<>|=]?)([a-zA-Z])(\d+)$/.exec(dtype) ?? [];
  const text = letter === 'U' || letter === 'S';
  if (letter === undefined || !(text ? Number(digits) > 0 : letter + digits in numbers)) return null;
  const size = text ? Number(digits) * (letter === 'U' ? 4 : 1) : numbers[letter + digits][0];
  return { big: sign === '>', letter, size, text };
}
export const sizeOfType = (dtype: string): number => typeOf(dtype)!.size;

/** Elements of `dtype` in the byte order of a file; null for an unknown letter. */
export function elements(dtype: string, bytes: Uint8Array, count: number): Value[] | null {
  const { big, letter, size, text } = typeOf(dtype)!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!text) {
    const [, read] = numbers[letter + size];
    return Array.from({ length: count }, (_, i) => read(view, i * size, !big));
  }
  const width = letter === 'U' ? 4 : 1;
  const letters = (i: number) =>
    Array.from({ length: size / width }, (_, k) =>
      width === 4 ? view.getUint32(i * size + 4 * k, !big) : bytes[i * size + k],
    );
  const trimmed = Array.from({ length: count }, (_, i) => {
    const all = letters(i);
    while (all.length && all.at(-1) === 0) all.pop();
    return all;
  });
  if (width === 4)
    return trimmed.some((all) => all.some((code) => code > 0x10ffff))
      ? null
      : trimmed.map((all) => all.map((code) => String.fromCodePoint(code)).join(''));
  // UTF-8 where all of the file is, else Latin-1.
  try {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    return trimmed.map((all) => decoder.decode(Uint8Array.from(all)));
  } catch {
    return trimmed.map((all) => String.fromCharCode(...all));
  }
}

/** From Fortran to C order. */
export function toCOrder(values: readonly Value[], shape: readonly number[]): Value[] {
  return values.map((_, at) => {
    let [left, from, stride] = [at, 0, 1];
    const index = shape.map(() => 0);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = left % shape[axis];
      left = Math.floor(left / shape[axis]);
    }
    for (const [axis, i] of index.entries()) {
      from += i * stride;
      stride *= shape[axis];
    }
    return values[from];
  });
}

/** A NumPy file with this header text. */
export function npyWith(header: string, data: Uint8Array, { version = 1, pad = true } = {}): Bytes {
  const before = version === 1 ? 10 : 12;
  const bytes = utf8(header);
  const length = pad ? Math.ceil((before + bytes.length + 1) / 64) * 64 - before : bytes.length;
  const padded = new Uint8Array(length).fill(0x20);
  padded.set(bytes);
  if (pad) padded[length - 1] = 0x0a;
  return join(
    [0x93, ...utf8('NUMPY'), version, 0],
    littleEndian(length, version === 1 ? 2 : 4),
    padded,
    data,
  );
}

/**
 * What a NumPy file holds; 'bad' for one that numpy.load would refuse or whose elements are no numbers; 'odd' for a header that
 * is not of the plain form that this reads.
 */
export function readNpy(file: Uint8Array): NpyContents | 'bad' | 'odd' {
  if (file.length < 10 || file[0] !== 0x93 || String.fromCharCode(...file.subarray(1, 6)) !== 'NUMPY')
    return 'bad';
  if (file[6] < 1 || file[6] > 3) return 'odd';
  const from = file[6] === 1 ? 10 : 12;
  if (file.length < from) return 'bad';
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = file[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (from + length > file.length) return 'bad';
  const header = dictionary(new TextDecoder('latin1').decode(file.subarray(from, from + length)));
  if (!header) return 'odd';
  const { descr, fortran_order: fortran, shape } = header;
  if (Object.keys(header).some((key) => !['descr', 'fortran_order', 'shape'].includes(key))) return 'odd';
  if (typeof descr !== 'string' || typeof fortran !== 'boolean') return 'bad';
  if (!Array.isArray(shape) || !shape.every(Number.isSafeInteger)) return 'bad';
  if (!typeOf(descr)) return 'bad';
  const data = file.subarray(from + length);
  if (product(shape) * BigInt(sizeOfType(descr)) !== BigInt(data.length)) return 'bad';
  const values = elements(descr, data, Number(product(shape)));
  if (!values) return 'bad';
  return { dtype: descr, fortran, shape, values: fortran ? toCOrder(values, shape) : values };
}

/** A Python dictionary of strings, True, False and tuples of whole numbers; null for anything else. */
function dictionary(text: string): Record<string, string | boolean | number[]> | null {
  const token = /\s*(?:'([^'\\]*)'|(True|False)|\(\s*((?:\d+\s*,\s*)*(?:\d+\s*)?)\)|([{}:,]))/y;
  const next = () => token.exec(text);
  const found = Object.create(null) as Record<string, string | boolean | number[]>;
  if (next()?.[4] !== '{') return null;
  for (;;) {
    const key = next();
    if (key?.[4] === '}') break;
    if (key?.[1] === undefined || next()?.[4] !== ':') return null;
    // NumPy writes no key twice, so it does not matter which of the two a reader takes.
    if (key[1] in found) return null;
    const value = next();
    if (!value || value[4] !== undefined) return null;
    const [, string, bool, tuple] = value;
    // (3) is a number in Python, (3,) a tuple.
    if (tuple !== undefined && /^\d+\s*$/.test(tuple)) return null;
    // Python allows no number that begins with 0, but 0 itself.
    if (tuple !== undefined && /(^|\D)0\d/.test(tuple)) return null;
    found[key[1]] = string ?? (bool ? bool === 'True' : (tuple!.match(/\d+/g) ?? []).map(Number));
    const after = next();
    if (after?.[4] === '}') break;
    if (after?.[4] !== ',') return null;
  }
  return /^\s*$/.test(text.slice(token.lastIndex)) ? found : null;
}

// ---- safetensors ----

export interface TensorContents {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

export const tensorTypes: Record<string, number> = {
  F32: 4,
  U32: 4,
  U8: 1,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  BOOL: 1,
  F64: 8,
};

/** A safetensors file with this header text. */
export const safetensorsWith = (header: string, data: ArrayLike<number> = [], length?: number): Bytes =>
  join(littleEndian(length ?? utf8(header).length, 8), utf8(header), data);

/** A safetensors file of these tensors, in their order. */
export function safetensorsFile(
  tensors: readonly (readonly [name: string, tensor: TensorContents])[],
  metadata?: Record<string, string>,
  { spaces = 0 } = {},
): Bytes {
  let at = 0;
  const entries = tensors.map(([name, { dtype, shape, bytes }]) => {
    const offsets = [at, at + bytes.length];
    at += bytes.length;
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: offsets })}`;
  });
  if (metadata) {
    const pairs = Object.entries(metadata).map((pair) => pair.map((text) => JSON.stringify(text)).join(':'));
    entries.unshift(`"__metadata__":{${pairs.join(',')}}`);
  }
  const header = `{${entries.join(',')}}${' '.repeat(spaces)}`;
  return safetensorsWith(header, join(...tensors.map(([, { bytes }]) => bytes)));
}

/** What a safetensors file holds; null for one that breaks the rules of the format. */
export function readSafetensors(file: Uint8Array): Map<string, TensorContents> | null {
  if (file.length < 8) return null;
  const length = [...file.subarray(0, 8)].reduceRight((n, byte) => n * 256n + BigInt(byte), 0n);
  if (length > 100_000_000n || 8n + length > BigInt(file.length)) return null;
  const start = 8 + Number(length);
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(file.slice(8, start));
    header = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(header) || hasTwins(text)) return null;
  const data = file.subarray(start);
  const tensors = new Map<string, TensorContents>();
  const ranges: [number, number][] = [];
  for (const name of Object.keys(header)) {
    const info = header[name];
    if (!isObject(info)) return null;
    if (name === '__metadata__') {
      if (!Object.values(info).every((value) => typeof value === 'string')) return null;
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = info;
    if (typeof dtype !== 'string' || !isSizes(shape) || !isSizes(offsets)) return null;
    const [from, to] = offsets;
    if (offsets.length !== 2 || from > to || to > data.length) return null;
    // Nothing more can be checked for an unknown type.
    const known = Object.hasOwn(tensorTypes, dtype);
    if (known && product(shape) * BigInt(tensorTypes[dtype]) !== BigInt(to - from)) return null;
    ranges.push([from, to]);
    tensors.set(name, { dtype, shape, bytes: data.subarray(from, to) });
  }
  let end = 0;
  for (const [from, to] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (from !== end) return null;
    end = to;
  }
  return end === data.length ? tensors : null;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

/** Whether a name occurs twice in one object of a valid JSON text. */
function hasTwins(text: string): boolean {
  const open: (Set<string> | null)[] = [];
  const token = /"(?:[^"\\]|\\.)*"|[{}[\]]/g;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [found] = match;
    if (found === '{') open.push(new Set());
    else if (found === '[') open.push(null);
    else if (found === '}' || found === ']') open.pop();
    else if (/^\s*:/.test(text.slice(token.lastIndex, token.lastIndex + 40))) {
      const names = open.at(-1);
      const name = JSON.parse(found) as string;
      if (names?.has(name)) return true;
      names?.add(name);
    }
  }
  return false;
}

// ---- synsets ----

/** Columns of text: lexicographer file, lemmas, hypernyms, definition, examples. */
export type SynsetColumns = readonly string[];

/** A file of synsets, with the given first line or the right one. */
export function synsetsFile(rows: readonly SynsetColumns[], header?: string): Bytes {
  const body = utf8(rows.map((row) => `${row.join('\t')}\n`).join(''));
  return join(utf8(header ?? `synsets 1\t${rows.length}\t${body.length}\n`), body);
}

/** The columns of a file of synsets, gzipped or not; null for any other file. */
export function readSynsets(file: Uint8Array): string[][] | null {
  const bytes = file[0] === 0x1f && file[1] === 0x8b ? gunzip(file) : file;
  const end = bytes ? bytes.indexOf(10) + 1 : 0;
  if (!bytes || !end) return null;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
  const [first, ...lines] = text.split('\n');
  const [, count, size] = /^synsets 1\t([0-9]{1,9})\t([0-9]{1,12})$/.exec(first) ?? [];
  if (count === undefined || Number(size) !== bytes.length - end) return null;
  if (lines.pop() !== '' || lines.length !== Number(count)) return null;
  const rows = lines.map((line) => line.split('\t'));
  const parents = (row: string[]) => (row[2] ? row[2].split(' ') : []);
  const number = (one: string) => Number(one[0] === 'i' ? one.slice(1) : one);
  const good = (row: string[]) =>
    row.length >= 4 &&
    /^[0-9]{1,2}$/.test(row[0]) &&
    Number(row[0]) < 45 &&
    row[1].split(' ').every((word) => word !== '') &&
    row.slice(3).every((part) => part !== '') &&
    parents(row).every((one) => /^i?[0-9]{1,9}$/.test(one) && number(one) < rows.length);
  if (!rows.every(good)) return null;
  // Nothing may be reached from itself.
  const above = rows.map((row) => parents(row).map(number));
  const reaches = (from: number) => {
    const [seen, next] = [new Set<number>(), [...above[from]]];
    for (let one = next.pop(); one !== undefined; one = next.pop())
      if (!seen.has(one)) {
        seen.add(one);
        next.push(...above[one]);
      }
    return seen.has(from);
  };
  return rows.some((_, i) => reaches(i)) ? null : rows;
}

// ---- emoji ----

const inWords = { names: { en: 'dog', de: 'Hund' }, keywords: { en: ['pet'], de: [] } };
/** A valid table of emoji. */
export const emojiTable = {
  groups: ['Animals', 'Flags'],
  languages: ['en', 'de'],
  train: [{ emoji: '\u{1f415}', group: 0, concept: 'dog', ...inWords }],
  test: [{ emoji: '\u{1f3c1}', group: 1, concept: 'flag', ...inWords }],
};
export const emojiFile = (table: unknown): Bytes =>
  utf8(typeof table === 'string' ? table : JSON.stringify(table));

// ---- tokenizer.json ----

/** The character of each byte in GPT-2's vocabulary, written out. */
export const byteCharacters: readonly string[] = (() => {
  const range = (from: string, to: string) =>
    Array.from({ length: to.charCodeAt(0) - from.charCodeAt(0) + 1 }, (_, i) => from.charCodeAt(0) + i);
  const visible = [...range('!', '~'), ...range('\u00a1', '\u00ac'), ...range('\u00ae', '\u00ff')];
  const others = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !visible.includes(byte));
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(visible.includes(byte) ? byte : 256 + others.indexOf(byte)),
  );
})();

export interface BpeContents {
  /** As characters of bytes. */
  merges: [string, string][];
  /** What is added to each id, modulo their number. */
  turn: number;
  /** Whether merges are written as "a b", as older files do. */
  old: boolean;
  special: string[];
}

/** The text of a tokenizer.json file of byte-level BPE. */
export function bpeFile({ merges, turn, old, special }: BpeContents): string {
  const names = [...new Set([...byteCharacters, ...merges.map(([left, right]) => left + right), ...special])];
  const idOf = (name: string) => (names.indexOf(name) + turn) % names.length;
  return JSON.stringify({
    version: '1.0',
    added_tokens: special.map((content) => ({ id: idOf(content), content, special: true })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      ...(!old && { type: 'BPE' }),
      vocab: Object.fromEntries(names.map((name) => [name, idOf(name)])),
      merges: old ? merges.map((pair) => pair.join(' ')) : merges,
    },
  });
}

/** What a tokenizer.json file of byte-level BPE says, as ids; null where it is of another kind, or damaged. */
export function readBpe(text: string) {
  const pairOf = (merge: unknown): unknown => (typeof merge === 'string' ? merge.split(' ') : merge);
  try {
    const { model, added_tokens: added } = JSON.parse(text);
    if ((model.type ?? 'BPE') !== 'BPE') return null;
    const ids = new Map<string, number>(Object.entries(model.vocab));
    for (const { content, id } of added ?? []) ids.set(content, id);
    const merges = (model.merges as unknown[]).map((merge) => pairOf(merge) as [string, string]);
    const found = (name: string) => {
      const id = ids.get(name);
      if (!Number.isInteger(id)) throw new Error(name);
      return id!;
    };
    return {
      bytes: byteCharacters.map(found),
      merges: merges.map(([left, right]): [number, number] => [found(left), found(right)]),
      results: merges.map(([left, right]) => found(left + right)),
    };
  } catch {
    return null;
  }
}
