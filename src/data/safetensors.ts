import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { type Data, readRange } from '../gpu/values.ts';
import { type DType, type Shape, sameShape, show, sizeOf, type Variable } from '../graph/tensor.ts';
import { variableRange, writeVariable } from '../graph/variables.ts';

/** A tensor of a safetensors file. */
export interface FileTensor {
  dtype: DType;
  shape: Shape;
  data: Data;
}

/** What a safetensors file holds. */
export interface FileContents {
  tensors: Map<string, FileTensor>;
  metadata: Record<string, string>;
}

const fileTypes = { f32: 'F32', u32: 'U32', u8: 'U8' } as const;
const arrays = { f32: Float32Array, u32: Uint32Array, u8: Uint8Array } as const;
const bytesOf = (dtype: DType) => arrays[dtype].BYTES_PER_ELEMENT;
/** More than the reference implementation reads. */
const LONGEST_HEADER = 100_000_000;

/**
 * Writes a safetensors file: the same contents give the same bytes, in whatever order they come.
 * @throws InputError for data that does not fit its shape and type
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [name: string, tensor: FileTensor]>,
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  // Words before bytes, so that everything is aligned; then by name.
  const list = [...tensors].sort(
    ([a, x], [b, y]) => bytesOf(y.dtype) - bytesOf(x.dtype) || (a < b ? -1 : Number(a > b)),
  );
  // Written by hand: an object would sort keys like "0" first, and lose "__proto__".
  const entries: string[] = [];
  const keys = Object.keys(metadata).sort();
  if (keys.length) {
    const pairs = keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(String(metadata[key]))}`);
    entries.push(`"__metadata__":{${pairs.join(',')}}`);
  }
  const seen = new Set(['__metadata__']);
  let at = 0;
  for (const [name, { dtype, shape, data }] of list) {
    if (seen.has(name)) throw new InputError(`safetensors: two tensors are called "${name}"`);
    seen.add(name);
    if (!(data instanceof arrays[dtype]) || data.length !== sizeOf(shape)) {
      throw new InputError(
        `safetensors: "${name}": expected a ${arrays[dtype].name} of ${sizeOf(shape)} elements, got a ${data.constructor.name} of ${data.length}`,
      );
    }
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
 * Reads a safetensors file with F32, U32 and U8 tensors.
 * @throws InputError that says what is wrong with a file that is cut off or is none
 */
export function decodeSafetensors(bytes: Uint8Array): FileContents {
  const bad = (what: string) => new InputError(`safetensors: ${what}`);
  if (bytes.length < 8) throw bad(`the file is cut off: it has ${bytes.length} bytes, a header needs 8`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > LONGEST_HEADER) throw bad('this is no safetensors file: its header would be too long');
  const start = 8 + Number(length);
  if (start > bytes.length)
    throw bad(`the file is cut off: its header ends at byte ${start}, the file at ${bytes.length}`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.slice(8, start)));
  } catch (error) {
    throw bad(`this is no safetensors file: its header is not JSON (${(error as Error).message})`);
  }
  if (!isRecord(header)) throw bad('this is no safetensors file: its header is not a JSON object');

  const metadata: Record<string, string> = {};
  const tensors = new Map<string, FileTensor>();
  const ranges: [from: number, to: number, name: string][] = [];
  for (const [name, info] of Object.entries(header)) {
    if (name === '__metadata__') {
      if (!isRecord(info) || !Object.values(info).every((value) => typeof value === 'string'))
        throw bad('the metadata must be strings');
      Object.assign(metadata, info);
      continue;
    }
    if (!isRecord(info)) throw bad(`"${name}" is not described by a JSON object`);
    const { dtype: type, shape, data_offsets: offsets } = info;
    const dtype = (Object.keys(fileTypes) as DType[]).find((key) => fileTypes[key] === type);
    if (!dtype) throw bad(`"${name}" has type ${String(type)}; F32, U32 and U8 can be read`);
    if (!isSizes(shape)) throw bad(`"${name}" has a bad shape: ${JSON.stringify(shape)}`);
    if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1])
      throw bad(`"${name}" has bad offsets: ${JSON.stringify(offsets)}`);
    const [from, to] = offsets;
    const expected = sizeOf(shape) * bytesOf(dtype);
    if (to - from !== expected)
      throw bad(`"${name}": ${type} ${show(shape)} needs ${expected} bytes, its offsets hold ${to - from}`);
    if (start + to > bytes.length)
      throw bad(`the file is cut off: "${name}" ends at byte ${start + to}, the file at ${bytes.length}`);
    // A copy: what lies in the file need not be aligned.
    const data = new arrays[dtype](bytes.slice(start + from, start + to).buffer);
    tensors.set(name, { dtype, shape, data });
    ranges.push([from, to, name]);
  }
  let end = 0;
  for (const [from, to, name] of ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (from !== end)
      throw bad(`"${name}" starts at ${from}, expected ${end}: tensors overlap or leave a hole`);
    end = to;
  }
  if (start + end !== bytes.length)
    throw bad(`the file has ${bytes.length - start - end} bytes after its last tensor`);
  return { tensors, metadata };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);

/** The variables that are saved for a list: the parts of a flat one, under their own names. */
function saved(variables: readonly Variable[]): Map<string, Variable> {
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
 * The values of variables as a safetensors file, by their names. A flat variable stands for its parts; one readback for
 * each flat buffer. All are of one moment: steps submitted later do not show.
 */
export async function saveVariables(
  device: Device,
  variables: readonly Variable[],
  metadata: Record<string, string> = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const groups = new Map<Variable, Variable[]>();
  for (const v of saved(variables).values()) {
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
 * Sets variables from a safetensors file, by their names; what else is in the file is left alone.
 * @returns the metadata of the file
 * @throws InputError, before anything is changed, that lists what is missing or of another shape
 */
export function loadVariables(
  device: Device,
  bytes: Uint8Array,
  variables: readonly Variable[],
): Record<string, string> {
  const { tensors, metadata } = decodeSafetensors(bytes);
  const byName = saved(variables);
  const problems: string[] = [];
  for (const [name, v] of byName) {
    const found = tensors.get(name);
    if (!found) problems.push(`"${name}" ${show(v.shape)} is missing`);
    else if (found.dtype !== v.dtype || !sameShape(found.shape, v.shape))
      problems.push(`"${name}" is ${found.dtype} ${show(found.shape)}, expected ${v.dtype} ${show(v.shape)}`);
  }
  if (problems.length) {
    const shown = problems.slice(0, 20).join('; ');
    const more = problems.length > 20 ? `; and ${problems.length - 20} more` : '';
    const names = [...tensors.keys()].slice(0, 20).join(', ');
    throw new InputError(
      `safetensors: the file does not fit: ${shown}${more}. It holds ${names || 'nothing'}`,
    );
  }
  for (const [name, v] of byName) writeVariable(device, v, tensors.get(name)!.data);
  return metadata;
}
