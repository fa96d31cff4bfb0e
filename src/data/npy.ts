import { oneLine } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { bytesFrom, nameText } from './bytes.ts';
import { type Label, numberTogether, plainLabel } from './labels.ts';

/** The contents of a NumPy .npy file, in C order and in the byte order of this machine. */
export interface Npy {
  /** NumPy's name of the type in the file: `<f4`, `|u1`, `>i8`, `<U12` ... */
  dtype: string;
  shape: number[];
  /** float16 as a Float32Array, booleans as bytes of 0 and 1, text as strings. */
  data: Float32Array | Float64Array | Integers | string[];
}

type Integers =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** The number types, by the part of a dtype after the sign of the byte order. */
const NUMBERS = new Map<string, NumberType>(
  Object.entries({
    ...{ f2: Uint16Array, f4: Float32Array, f8: Float64Array, b1: Uint8Array, i1: Int8Array, u1: Uint8Array },
    ...{ i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array },
    ...{ i8: BigInt64Array, u8: BigUint64Array },
  }),
);
type Numbers = Float32Array | Float64Array | Integers;
interface NumberType {
  new (buffer: ArrayBuffer): Numbers;
  BYTES_PER_ELEMENT: number;
}

/** Advice for types that cannot be read, by their letter. */
const HELP = new Map([
  ['O', 'Python objects; save numbers or text: astype("float32") or astype("str")'],
  ['c', 'complex numbers; save their real parts, or both side by side'],
  ['M', 'times; save astype("int64")'],
  ['m', 'durations; save astype("int64")'],
  ['V', 'raw records; save one field of numbers'],
  ['f', 'floats of another size; save astype("float32")'],
]);

/** The longest header that is read; numpy.save writes a few hundred bytes. */
const LONGEST_HEADER = 1_000_000;
/** The longest text of one element, in characters. */
const LONGEST_TEXT = 1_000_000;

/** The header's Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } */
function headerOf(bytes: Uint8Array, bad: (what: string) => InputError) {
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (!magic.every((byte, i) => bytes[i] === byte)) {
    const zip = bytes[0] === 0x50 && bytes[1] === 0x4b ? ' (is it an .npz? Unzip it first)' : '';
    throw bad(`not a .npy file: it does not start with "\\x93NUMPY"${zip}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = bytes[6] > 1;
  const from = wide ? 12 : 10;
  if (bytes.length < from) throw bad('the file is cut off within its header');
  const start = from + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  if (start > LONGEST_HEADER) throw bad(`its header cannot be read: it has ${start - from} bytes`);
  if (bytes.length < start) throw bad('the file is cut off within its header');
  const header = new TextDecoder().decode(bytes.subarray(from, start));
  // Python 2 wrote long integers with an L.
  const sizes = /["']shape["']: {0,9}\(([\dL, ]*)\)/.exec(header)?.[1];
  const order = /["']fortran_order["']: {0,9}(True|False)/.exec(header)?.[1];
  if (order === undefined || sizes === undefined)
    throw bad(`its header cannot be read: ${oneLine(header.trim())}`);
  const shape = sizes
    .split(',')
    .map((size) => size.trim().replace(/L$/, ''))
    .filter((size) => size)
    .map(Number);
  if (shape.length > 64 || !shape.every(Number.isSafeInteger))
    throw bad(`its header cannot be read: it has the shape (${oneLine(sizes)})`);
  return {
    start,
    shape,
    dtype: /["']descr["']: {0,9}["']([^"']*)["']/.exec(header)?.[1],
    fortran: order === 'True' && shape.length > 1,
  };
}

/**
 * Reads a NumPy .npy file (numpy.lib.format, versions 1 to 3): floats of 16, 32 and 64 bits, integers of 8 to 64 bits,
 * booleans and text, in either byte order and in C or Fortran order.
 * @param name for messages
 * @throws InputError for a file that is not a .npy file, is cut off or too long, or has another type
 */
export function parseNpy(source: ArrayBuffer | Uint8Array, name = 'npy'): Npy {
  name = nameText(name);
  const bad = (what: string) => new InputError(`${name}: ${oneLine(what)}`);
  const bytes = bytesFrom(name, source);
  const { start, shape, dtype, fortran } = headerOf(bytes, bad);
  const [, sign, type = ''] = /^([<>|=]?)([a-zA-Z]\d+)$/.exec(dtype ?? '') ?? [];
  const make = NUMBERS.get(type);
  const text = /^[US]/.test(type) ? Number(type.slice(1)) : 0;
  if (!make && !(text > 0 && text <= LONGEST_TEXT)) {
    const help =
      dtype === undefined ? 'records; save one field of numbers' : HELP.get(dtype.replace(/^\W/, '')[0]);
    const got = dtype === undefined ? help : `"${oneLine(dtype.slice(0, 40))}"${help ? `, ${help}` : ''}`;
    throw bad(`expected floats, integers, booleans or text, got ${got}`);
  }
  const width = make?.BYTES_PER_ELEMENT ?? (type[0] === 'U' ? 4 * text : text);
  const expected = shape.reduce((a, b) => a * b, width);
  const held = bytes.length - start;
  if (held !== expected) {
    const what = held < expected ? 'cut off' : 'too long';
    throw bad(`the file is ${what}: [${shape.join(', ')}] needs ${expected} bytes, it holds ${held}`);
  }
  // A copy, since the data need not be aligned in the file.
  const copy = bytes.slice(start);
  if (sign === '>') swap(copy, make?.BYTES_PER_ELEMENT ?? (type[0] === 'U' ? 4 : 1));
  let data: Npy['data'];
  if (make) {
    const raw = new make(copy.buffer);
    data = type === 'f2' ? Float32Array.from(raw as Uint16Array, halfOf) : raw;
  } else data = type[0] === 'U' ? wideText(copy, text, bad) : narrowText(copy, text);
  if (fortran) moveToC(shape, data.slice(), data as unknown[]);
  return { dtype: dtype!, shape, data };
}

/** Reverses the bytes of each element. */
function swap(bytes: Uint8Array, width: number): void {
  for (let i = 0; i < bytes.length; i += width)
    for (let a = i, b = i + width - 1; a < b; a++, b--) [bytes[a], bytes[b]] = [bytes[b], bytes[a]];
}

/** Elements in Fortran order, first index fastest, moved to C order. */
function moveToC(shape: readonly number[], from: ArrayLike<unknown>, to: unknown[]): void {
  const strides: number[] = [];
  for (let axis = 0, stride = 1; axis < shape.length; stride *= shape[axis++]) strides.push(stride);
  const index = shape.map(() => 0);
  let at = 0;
  for (let i = 0; i < to.length; i++) {
    to[i] = from[at];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis];
      if (++index[axis] < shape[axis]) break;
      at -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
}

/** The number that 16 bits encode (IEEE 754 binary16). */
export function halfOf(word: number): number {
  const [exponent, fraction] = [(word >> 10) & 31, word & 1023];
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction
          ? Number.NaN
          : Number.POSITIVE_INFINITY
        : (1024 + fraction) * 2 ** (exponent - 25);
  return word & 0x8000 ? -size : size;
}

/** Decodes UTF-32 text: `length` code points for each element, padded with zeros. */
function wideText(
  bytes: Uint8Array<ArrayBuffer>,
  length: number,
  bad: (what: string) => InputError,
): string[] {
  const letters = new Uint32Array(bytes.buffer);
  return Array.from({ length: letters.length / length }, (_, i) => {
    const one = letters.subarray(i * length, (i + 1) * length);
    const wrong = one.find((letter) => letter > 0x10ffff);
    if (wrong !== undefined) throw bad(`element ${i} has ${wrong}, which is not a code point`);
    return textOf(one, (letter) => String.fromCodePoint(letter));
  });
}

/** Decodes text of bytes: as UTF-8 if all elements are valid, else as Latin-1, so that different texts stay different. */
function narrowText(bytes: Uint8Array<ArrayBuffer>, length: number): string[] {
  const texts = Array.from({ length: bytes.length / length }, (_, i) =>
    bytes.subarray(i * length, (i + 1) * length),
  );
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    return texts.map((one) => decoder.decode(one.subarray(0, endOf(one))));
  } catch {
    return texts.map((one) => textOf(one, (letter) => String.fromCharCode(letter)));
  }
}

/** The length of an element without its padding of zeros. */
function endOf(letters: ArrayLike<number>): number {
  let end = letters.length;
  while (end && !letters[end - 1]) end--;
  return end;
}

function textOf(letters: ArrayLike<number>, letterOf: (letter: number) => string): string {
  const parts = new Array<string>(endOf(letters));
  for (let i = 0; i < parts.length; i++) parts[i] = letterOf(letters[i]);
  return parts.join('');
}

/**
 * Embeddings of a .npy file, [N, D] of floats, integers or booleans, as f32.
 * @throws InputError as {@link parseNpy}, for another shape or type, and for numbers that are not finite in f32
 */
export function npyRows(
  source: ArrayBuffer | Uint8Array,
  name = 'npy',
): { data: Float32Array; shape: [number, number] } {
  name = nameText(name);
  const { dtype, shape, data } = parseNpy(source, name);
  const [N, D] = shape;
  if (shape.length !== 2 || N < 1 || D < 1 || Array.isArray(data))
    throw new InputError(
      `${name}: expected embeddings [N, D] of numbers, got ${dtype} [${shape.join(', ')}]`,
    );
  const rows = data instanceof Float32Array ? data : Float32Array.from(data as Float64Array, Number);
  const wrong = rows.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0)
    throw new InputError(
      `${name}: row ${Math.floor(wrong / D)} has ${data[wrong]}, which is not finite in f32`,
    );
  return { data: rows, shape: [N, D] };
}

/**
 * Labels of a .npy file, [N] or [N, 1] of integers, booleans, text or whole floats, numbered from 0 in sorted order.
 * @returns the class number of each row, and the label of each class: a BigInt where a number would not be exact
 * @throws InputError as {@link parseNpy}, for another shape, and for floats that are not whole
 */
export function npyLabels(
  source: ArrayBuffer | Uint8Array,
  name = 'npy',
): { labels: Uint32Array; values: Label[] } {
  name = nameText(name);
  const { dtype, shape, data } = parseNpy(source, name);
  const one = shape.length === 1 || (shape.length === 2 && shape[1] === 1);
  if (!one || !data.length)
    throw new InputError(
      `${name}: expected labels [N] or [N, 1] of integers or text, got ${dtype} [${shape.join(', ')}]`,
    );
  if (data instanceof Float32Array || data instanceof Float64Array) {
    const wrong = data.findIndex((label) => !Number.isInteger(label));
    if (wrong >= 0)
      throw new InputError(
        `${name}: expected labels of integers or text, got ${data[wrong]} in row ${wrong}`,
      );
  }
  const [[labels], values] = numberTogether<Label>(name, [{ name: 'labels', labels: data }]);
  return { labels, values: values.map(plainLabel) };
}
