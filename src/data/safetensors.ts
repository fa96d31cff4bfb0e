import { checkNumber, checkOptions, oneLine, shown, shownList } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { ARRAYS, type Data, readRange } from '../gpu/values.ts';
import { shownTensor } from '../graph/check.ts';
import { type DType, type Shape, sameShape, show, sizeOf, Variable } from '../graph/tensor.ts';
import { variableRange, writeVariable } from '../runtime/variables.ts';
import { bytesFrom } from './bytes.ts';
import { halfOf } from './npy.ts';

/** A tensor of a safetensors file. */
export interface FileTensor {
  dtype: DType;
  shape: Shape;
  data: Data;
}

/** The contents of a safetensors file. */
export interface FileContents {
  /** F32, U32 and U8 as they are; F16 and BF16 as f32. */
  tensors: Map<string, FileTensor>;
  metadata: Record<string, string>;
  /** Tensors of other types, which are not decoded: type as in the file (`I64`, `BOOL` ...) and shape. */
  others: Map<string, { type: string; shape: Shape }>;
}

const fileTypes = { f32: 'F32', u32: 'U32', u8: 'U8' } as const;
const bytesOf = (dtype: DType) => ARRAYS[dtype].BYTES_PER_ELEMENT;
/** The longest header that is read, as in the reference implementation. */
const LONGEST_HEADER = 100_000_000;
const METADATA = '__metadata__';

/** Bits of an element of each type of the format; a file may also have unknown types. */
const BITS = new Map<string, number>(
  Object.entries({
    ...{ BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
    ...{ I16: 16, U16: 16, F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32, I64: 64, U64: 64, F64: 64, C64: 64 },
  }),
);

/** The f32 whose upper halves are these. */
const upperHalves = (words: Uint16Array) =>
  new Float32Array(Uint32Array.from(words, (word) => word << 16).buffer);

/** The types that can be read, and how they are converted. */
const READERS = new Map<unknown, { dtype: DType; read: (buffer: ArrayBuffer) => Data }>([
  ['F32', { dtype: 'f32', read: (buffer) => new Float32Array(buffer) }],
  ['U32', { dtype: 'u32', read: (buffer) => new Uint32Array(buffer) }],
  ['U8', { dtype: 'u8', read: (buffer) => new Uint8Array(buffer) }],
  ['F16', { dtype: 'f32', read: (buffer) => Float32Array.from(new Uint16Array(buffer), halfOf) }],
  ['BF16', { dtype: 'f32', read: (buffer) => upperHalves(new Uint16Array(buffer)) }],
]);

/**
 * Writes a safetensors file: the same contents give the same bytes, in any order.
 * @throws InputError for data that does not fit its shape and type, for two tensors of one name, and for the name
 * "__metadata__", which is reserved
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [name: string, tensor: FileTensor]>,
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  const bad = (what: string) => new InputError(`encodeSafetensors: ${what}`);
  if (typeof (tensors as Iterable<unknown> | null)?.[Symbol.iterator] !== 'function')
    throw bad(`expected a list of [name, tensor], got ${shown(tensors)}`);
  const list = [...tensors];
  const seen = new Set<string>();
  for (const entry of list) {
    const [name, tensor] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof name !== 'string' || !isRecord(tensor))
      throw bad(`expected a list of [name, { dtype, shape, data }], got ${shown(entry)} in it`);
    if (name === METADATA)
      throw bad(`"${METADATA}" is reserved for the metadata; give the tensor another name`);
    if (seen.has(name)) throw bad(`two tensors are called ${quoted(name)}`);
    seen.add(name);
    const { dtype, shape, data } = tensor;
    if (typeof dtype !== 'string' || !Object.hasOwn(ARRAYS, dtype))
      throw bad(`${quoted(name)}: expected a dtype of f32, u32 or u8, got ${shown(dtype)}`);
    if (!isSizes(shape)) throw bad(`${quoted(name)}: expected a shape, got ${shownList(shape)}`);
    const make = ARRAYS[dtype as DType];
    if (!(data instanceof make) || data.length !== sizeOf(shape))
      throw bad(`${quoted(name)}: expected a ${make.name} of ${sizeOf(shape)} elements, got ${shown(data)}`);
  }
  if (!isRecord(metadata)) throw bad(`expected an object of strings as metadata, got ${shown(metadata)}`);
  // 32-bit types before bytes, so that everything is aligned; then by name.
  list.sort(([a, x], [b, y]) => bytesOf(y.dtype) - bytesOf(x.dtype) || (a < b ? -1 : Number(a > b)));
  // Written by hand: an object would sort keys like "0" first, and lose "__proto__".
  const entries: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length) {
    const pairs = keys.map((key) => {
      const value: unknown = metadata[key];
      if (typeof value === 'object' || typeof value === 'symbol' || value === undefined)
        throw bad(`expected a string for "${key}" of the metadata, got ${shown(value)}`);
      return `${JSON.stringify(key)}:${JSON.stringify(String(value))}`;
    });
    entries.push(`"${METADATA}":{${pairs.join(',')}}`);
  }
  let at = 0;
  for (const [name, { dtype, shape, data }] of list) {
    const info = { dtype: fileTypes[dtype], shape, data_offsets: [at, at + data.byteLength] };
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(info)}`);
    at += data.byteLength;
  }
  const json = new TextEncoder().encode(`{${entries.join(',')}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + at);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, 8, 8 + headerBytes);
  file.set(json, 8);
  at = 8 + headerBytes;
  for (const [, { data }] of list) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/**
 * Reads a safetensors file: F32, U32 and U8 tensors, and F16 and BF16 ones as f32. Tensors of other types are listed in
 * `others`.
 * @throws InputError that says what is wrong with a file that is cut off or invalid
 */
export function decodeSafetensors(source: ArrayBuffer | Uint8Array): FileContents {
  const bad = (what: string) => new InputError(oneLine(`safetensors: ${what}`));
  const bytes = bytesFrom('decodeSafetensors', source);
  if (bytes.length < 8) throw bad(`the file is cut off: it has ${bytes.length} bytes, a header needs 8`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > LONGEST_HEADER) throw bad('not a safetensors file: its header would be too long');
  const start = 8 + Number(length);
  if (start > bytes.length)
    throw bad(`the file is cut off: its header ends at byte ${start}, the file at ${bytes.length}`);
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start));
    header = JSON.parse(text);
  } catch (error) {
    throw bad(`not a safetensors file: its header is not JSON (${(error as Error).message})`);
  }
  if (!isRecord(header)) throw bad('not a safetensors file: its header is not a JSON object');
  const twice = repeatedKey(text);
  if (twice !== undefined) throw bad(`its header has ${quoted(twice)} twice`);

  let metadata: Record<string, string> = {};
  const tensors: FileContents['tensors'] = new Map();
  const others: FileContents['others'] = new Map();
  const ranges: [from: number, to: number, name: string][] = [];
  for (const [key, info] of Object.entries(header)) {
    if (key === METADATA) {
      if (!isRecord(info) || !Object.values(info).every((value) => typeof value === 'string'))
        throw bad('the metadata must be strings');
      // An own property of that name, too: "__proto__" is lost by assignment.
      metadata = Object.fromEntries(Object.entries(info)) as Record<string, string>;
      continue;
    }
    const name = quoted(key);
    if (!isRecord(info)) throw bad(`${name} is not described by a JSON object`);
    const { dtype: type, shape, data_offsets: offsets } = info;
    if (typeof type !== 'string') throw bad(`${name} has a bad type: expected a string, got ${shown(type)}`);
    if (!isSizes(shape)) throw bad(`${name} has a bad shape: ${shownList(shape)}`);
    if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1])
      throw bad(`${name} has bad offsets: ${shownList(offsets)}`);
    const [from, to] = offsets;
    const bits = BITS.get(type);
    const expected = bits === undefined ? to - from : Math.ceil((sizeOf(shape) * bits) / 8);
    if (to - from !== expected)
      throw bad(`${name}: ${type} ${show(shape)} needs ${expected} bytes, its offsets hold ${to - from}`);
    if (start + to > bytes.length)
      throw bad(`the file is cut off: ${name} ends at byte ${start + to}, the file at ${bytes.length}`);
    ranges.push([from, to, name]);
    const reader = READERS.get(type);
    if (!reader) others.set(key, { type, shape });
    // A copy, since the data need not be aligned in the file.
    else
      tensors.set(key, {
        dtype: reader.dtype,
        shape,
        data: reader.read(bytes.slice(start + from, start + to).buffer),
      });
  }
  let end = 0;
  for (const [from, to, name] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (from !== end) throw bad(`${name} starts at ${from}, expected ${end}: tensors overlap or leave a gap`);
    end = to;
  }
  if (start + end !== bytes.length)
    throw bad(`the file has ${bytes.length - start - end} bytes after its last tensor`);
  return { tensors, metadata, others };
}

/** A key that occurs twice in a header: the name of a tensor, or a field of its description. JSON.parse keeps the last. */
function repeatedKey(json: string): string | undefined {
  const open: (Set<string> | null)[] = [];
  let text = '';
  for (let i = 0; i < json.length; i++) {
    const letter = json[i];
    if (letter === '"') {
      const from = i++;
      while (json[i] !== '"') i += json[i] === '\\' ? 2 : 1;
      text = json.slice(from, i + 1);
    } else if (letter === '{') open.push(open.length < 2 ? new Set() : null);
    else if (letter === '[') open.push(null);
    else if (letter === '}' || letter === ']') open.pop();
    else if (letter === ':' && open.at(-1)) {
      const key = JSON.parse(text) as string;
      if (open.at(-1)!.has(key)) return key;
      open.at(-1)!.add(key);
    }
  }
  return undefined;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
/** Whether a value is a shape or offsets; no library has more than 64 dimensions. */
const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) &&
  value.length <= 64 &&
  Array.from(value).every((n) => Number.isSafeInteger(n) && n >= 0);
const quoted = (name: string): string =>
  JSON.stringify(name.length > 200 ? `${name.slice(0, 200)} ...` : name);

/**
 * Checks the values of a file before it is used.
 * @param file its bytes, or the result of {@link decodeSafetensors}
 * @param options.most the largest magnitude allowed. Default 1e12: products of two such values are finite in f32.
 * @returns the contents of the file
 * @throws InputError that names the first f32 tensor with a value that is NaN, infinite or larger, or that says that
 * all weights (f32 tensors of two dimensions or more, else all f32 tensors) are 0
 */
export function checkFinite(
  file: ArrayBuffer | Uint8Array | FileContents,
  options: { most?: number } = {},
): FileContents {
  checkOptions('checkFinite', options, ['most']);
  const { most = 1e12 } = options;
  checkNumber('checkFinite', 'most', most, { above: 0 });
  const contents = (file as FileContents | null)?.tensors instanceof Map ? (file as FileContents) : null;
  const read = contents ?? decodeSafetensors(bytesFrom('checkFinite', file));
  const numbers = [...read.tensors].filter(([, { dtype }]) => dtype === 'f32');
  const zero = new Set<string>();
  for (const [name, { data }] of numbers) {
    if (!(data instanceof Float32Array))
      throw new InputError(`checkFinite: ${quoted(name)}: expected a Float32Array, got ${shown(data)}`);
    const wrong = data.findIndex((value) => !(Math.abs(value) <= most));
    if (wrong >= 0)
      throw new InputError(
        `safetensors: ${quoted(name)} has ${data[wrong]} at element ${wrong}; expected finite numbers of at most ${most}`,
      );
    if (data.every((value) => value === 0)) zero.add(name);
  }
  // Biases are 0 before training; weights are not.
  const weights = numbers.filter(([, { shape }]) => shape.length > 1);
  const telling = weights.length ? weights : numbers;
  if (telling.length && telling.every(([name]) => zero.has(name)))
    throw new InputError('safetensors: all weights of the file are 0');
  return read;
}

/** The variables of a list by name, with the members of flat variables in place of these. */
function saved(where: string, device: Device, variables: readonly Variable[]): Map<string, Variable> {
  if (!isRecord(device) || !device.gpu)
    throw new InputError(`${where}: expected a device of openDevice or adoptDevice, got ${shown(device)}`);
  if (!Array.isArray(variables))
    throw new InputError(`${where}: expected an array of variables, got ${shown(variables)}`);
  const wrong = variables.find((v) => !(v instanceof Variable));
  if (wrong !== undefined || variables.includes(undefined as never))
    throw new InputError(`${where}: expected an array of variables, got one with ${shownTensor(wrong)}`);
  const byName = new Map<string, Variable>();
  for (const v of variables.flatMap((each) => (each.members.length ? each.members : [each]))) {
    const other = byName.get(v.name);
    if (other && other !== v)
      throw new InputError(`safetensors: two variables are called "${v.name}"; give their layers names`);
    byName.set(v.name, v);
  }
  return byName;
}

/**
 * The values of variables as a safetensors file, by their names. A flat variable is saved as its members, with one
 * readback for each flat buffer. All values are from one moment: steps submitted later do not change them.
 */
export async function saveVariables(
  device: Device,
  variables: readonly Variable[],
  metadata: Record<string, string> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const groups = new Map<Variable, Variable[]>();
  for (const v of saved('saveVariables', device, variables).values()) {
    const owner = v.home?.flat ?? v;
    groups.set(owner, [...(groups.get(owner) ?? []), v]);
  }
  const tensors = await Promise.all(
    [...groups.values()].map(async (members): Promise<[string, FileTensor][]> => {
      const ranges = members.map((v) => variableRange(device, v));
      const from = Math.min(...ranges.map(({ offset }) => offset));
      const to = Math.max(...ranges.map(({ offset, size }) => offset + size));
      const { dtype } = members[0];
      const all = await readRange(device, { buffer: ranges[0].buffer, offset: from, size: to - from }, dtype);
      return members.map((v, i) => {
        const start = (ranges[i].offset - from) / bytesOf(dtype);
        return [v.name, { dtype, shape: v.shape, data: all.slice(start, start + v.size) }];
      });
    }),
  );
  return encodeSafetensors(tensors.flat(), metadata);
}

/**
 * Sets variables from a safetensors file, by their names. Other tensors in the file are ignored, whatever their type.
 * F16 and BF16 become f32.
 * @param options.finite whether the values of the whole file are checked first, see {@link checkFinite}. Default false.
 * @returns the metadata of the file
 * @throws InputError, before anything is changed, that lists what is missing or of another shape
 */
export function loadVariables(
  device: Device,
  source: ArrayBuffer | Uint8Array,
  variables: readonly Variable[],
  options: { finite?: boolean } = {},
): Record<string, string> {
  const byName = saved('loadVariables', device, variables);
  checkOptions('loadVariables', options, ['finite']);
  const { tensors, metadata, others } = options.finite ? checkFinite(source) : decodeSafetensors(source);
  const problems: string[] = [];
  for (const [name, v] of byName) {
    const found = tensors.get(name);
    const other = others.get(name);
    if (other)
      problems.push(
        `"${name}" is ${shown(other.type)} ${show(other.shape)}, expected ${v.dtype} ${show(v.shape)}; save it as F32, F16 or BF16`,
      );
    else if (!found) problems.push(`"${name}" ${show(v.shape)} is missing`);
    else if (found.dtype !== v.dtype || !sameShape(found.shape, v.shape))
      problems.push(`"${name}" is ${found.dtype} ${show(found.shape)}, expected ${v.dtype} ${show(v.shape)}`);
  }
  if (problems.length) {
    const first = problems.slice(0, 20).join('; ');
    const more = problems.length > 20 ? `; and ${problems.length - 20} more` : '';
    const names = [...tensors.keys(), ...others.keys()].slice(0, 20).join(', ');
    throw new InputError(
      `safetensors: the file does not fit: ${first}${more}. It holds ${names || 'nothing'}`,
    );
  }
  for (const [name, v] of byName) writeVariable(device, v, tensors.get(name)!.data);
  return metadata;
}
