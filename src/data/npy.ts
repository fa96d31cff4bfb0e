import { InputError } from '../gpu/errors.ts';

/** What a NumPy .npy file holds: little-endian numbers in C order. */
export interface Npy {
  /** NumPy's name of the type: `<f4`, `|u1` ... */
  dtype: string;
  shape: number[];
  data: Float32Array | Float64Array | Integers;
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

const arrays = {
  '<f4': Float32Array,
  '<f8': Float64Array,
  '|i1': Int8Array,
  '|u1': Uint8Array,
  '<i2': Int16Array,
  '<u2': Uint16Array,
  '<i4': Int32Array,
  '<u4': Uint32Array,
  '<i8': BigInt64Array,
  '<u8': BigUint64Array,
} as const;

/**
 * Reads a NumPy .npy file (numpy.lib.format, versions 1 to 3) of floats or integers.
 * @param name for messages
 * @throws InputError when it is no .npy file, is cut off or too long, is in Fortran order or of another type
 */
export function parseNpy(bytes: Uint8Array, name = 'npy'): Npy {
  const bad = (what: string) => new InputError(`${name}: ${what}`);
  if (String.fromCharCode(...bytes.subarray(0, 6)) !== '\x93NUMPY')
    throw bad('this is no .npy file: it does not start with "\\x93NUMPY"');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const wide = bytes[6] > 1;
  const from = wide ? 12 : 10;
  if (bytes.length < from) throw bad('the file is cut off within its header');
  const start = from + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  if (bytes.length < start) throw bad('the file is cut off within its header');
  // A Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
  const header = new TextDecoder().decode(bytes.subarray(from, start));
  const dtype = /'descr': *'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order': *(True|False)/.exec(header)?.[1];
  const sizes = /'shape': *\(([\d, ]*)\)/.exec(header)?.[1];
  if (order === undefined || sizes === undefined) throw bad(`its header cannot be read: ${header.trim()}`);
  if (dtype === undefined || !(dtype in arrays))
    throw bad(
      `expected numbers of type ${Object.keys(arrays).join(', ')}, got ${dtype ?? 'records'}; convert with astype`,
    );
  const shape = sizes
    .split(',')
    .filter((size) => size.trim())
    .map(Number);
  if (order === 'True' && shape.length > 1)
    throw bad('expected C order, got Fortran order; convert with numpy.ascontiguousarray');
  const make = arrays[dtype as keyof typeof arrays];
  const expected = shape.reduce((a, b) => a * b, 1) * make.BYTES_PER_ELEMENT;
  const held = bytes.length - start;
  if (held !== expected) {
    const what = held < expected ? 'cut off' : 'too long';
    throw bad(`the file is ${what}: [${shape.join(', ')}] needs ${expected} bytes, it holds ${held}`);
  }
  // A copy: what lies in the file need not be aligned.
  return { dtype, shape, data: new make(bytes.slice(start).buffer) };
}

/**
 * Embeddings of a .npy file, [N, D] of <f4 or <f8, as f32.
 * @throws InputError as {@link parseNpy}, for another shape or type, and for numbers that are not finite in f32
 */
export function npyRows(bytes: Uint8Array, name = 'npy'): { data: Float32Array; shape: [number, number] } {
  const { dtype, shape, data } = parseNpy(bytes, name);
  const [N, D] = shape;
  if (shape.length !== 2 || N < 1 || D < 1 || !dtype.startsWith('<f'))
    throw new InputError(
      `${name}: expected embeddings [N, D] of <f4 or <f8, got ${dtype} [${shape.join(', ')}]`,
    );
  const rows = Float32Array.from(data as Float64Array);
  const wrong = rows.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0)
    throw new InputError(`${name}: row ${Math.floor(wrong / D)} has ${data[wrong]}, which is no finite f32`);
  return { data: rows, shape: [N, D] };
}

/**
 * Labels of a .npy file, [N] of any integer type: whatever they are, numbered in their order from 0.
 * @throws InputError as {@link parseNpy}, and for another shape or type
 */
export function npyLabels(bytes: Uint8Array, name = 'npy'): { labels: Uint32Array; values: number[] } {
  const { dtype, shape, data } = parseNpy(bytes, name);
  if (shape.length !== 1 || dtype.startsWith('<f'))
    throw new InputError(
      `${name}: expected labels [N] of an integer type, got ${dtype} [${shape.join(', ')}]`,
    );
  const given = Array.from(data as Uint32Array, Number);
  const values = [...new Set(given)].sort((a, b) => a - b);
  const places = new Map(values.map((value, i) => [value, i]));
  return { labels: Uint32Array.from(given, (value) => places.get(value)!), values };
}
