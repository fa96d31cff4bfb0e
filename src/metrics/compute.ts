import { checkNumber, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant, sameShape, show, Tensor, throwShapeError, Variable } from '../graph/tensor.ts';
import { gather, slice } from '../ops/shape.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';

/** Rows [N, D] in several variables in sequence, because one binding of a device is too small for all. */
export interface Slabs {
  /** f32 [n, D] each; their n add up to N. */
  readonly slabs: readonly Variable[];
  readonly shape: readonly number[];
}

/** Rows to measure, [N, D]: a variable on the GPU, several of them, or an array with its shape. */
export type Rows = Variable | Slabs | { readonly data: Float32Array; readonly shape: readonly number[] };

/** The variables of rows on the GPU. */
const slabsOf = (rows: Variable | Slabs): readonly Variable[] => ('slabs' in rows ? rows.slabs : [rows]);

/**
 * Checks rows and returns their shape [N, D].
 * @throws ShapeError that names the function
 */
export function checkRows(where: string, rows: unknown): readonly [number, number] {
  const bad = (got: string): never => throwShapeError(where, `expected f32 rows [N, D], got ${got}`);
  if (rows instanceof Tensor) {
    if (!(rows instanceof Variable) || rows.shape.length !== 2 || rows.dtype !== 'f32')
      bad(
        `${rows instanceof Variable ? '' : 'a tensor that is no variable, '}${rows.dtype} ${show(rows.shape)}`,
      );
    return rows.shape as [number, number];
  }
  if (typeof rows !== 'object' || rows === null || !('data' in rows || 'slabs' in rows))
    return bad(shown(rows));
  const { shape } = rows as { shape?: unknown };
  const sizes = Array.isArray(shape) ? (shape as number[]) : [];
  if (sizes.length !== 2 || ![...sizes].every((n) => Number.isInteger(n) && n > 0))
    bad(`a "shape" of ${Array.isArray(shape) ? `[${shape.map(shown).join(', ')}]` : shown(shape)}`);
  const [N, D] = sizes;
  if ('slabs' in rows) {
    const slabs = Array.isArray(rows.slabs)
      ? (rows.slabs as unknown[])
      : bad(`"slabs" of ${shown(rows.slabs)}`);
    let count = 0;
    for (const slab of slabs) {
      if (!(slab instanceof Variable) || checkRows(where, slab)[1] !== D)
        bad(`slabs that are not all variables [n, ${D}]`);
      count += (slab as Variable).shape[0];
    }
    if (count !== N) bad(`slabs of ${count} rows for ${show(sizes)}`);
  } else {
    const { data } = rows as { data: unknown };
    if (!(data instanceof Float32Array)) bad(`${shown(data)}, which is no Float32Array`);
    const { length } = data as Float32Array;
    if (length !== N * D) bad(`${length} numbers for ${show(sizes)}`);
  }
  return [N, D];
}

/** Rows as a tensor of a graph. They must fit one binding: see {@link rowsThatFit}. */
export function tensorOf(where: string, rows: Rows): Tensor {
  const shape = checkRows(where, rows);
  if ('data' in rows) return constant(rows.data, shape);
  const slabs = slabsOf(rows);
  if (slabs.length > 1)
    throwShapeError(where, `expected rows in one variable, got ${show(shape)} in ${slabs.length} slabs`);
  return slabs[0];
}

/** Throws unless all are rows of the same shape. */
export function sameShapes(where: string, ...[first, ...others]: readonly Rows[]): void {
  for (const rows of [first, ...others]) checkRows(where, rows);
  const other = others.find(({ shape }) => !sameShape(shape, first.shape));
  if (other)
    throwShapeError(where, `expected rows of one shape, got ${show(first.shape)} and ${show(other.shape)}`);
}

/** `count` of N rows, evenly spaced. */
export const spacedRows = (N: number, count: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, i) => Math.floor((i * N) / count));

/** The bytes that one binding of a device holds at most. */
export function bindingLimit({ gpu }: Device): number {
  // Not destructured in the parameter: the shipped types would contain it, and without WebGPU's types a device has no limits.
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
  return Math.min(maxStorageBufferBindingSize, maxBufferSize);
}

/** The number of rows of `width` f32 that one binding holds. */
export const rowsInBinding = (device: Device, width: number): number =>
  Math.floor(bindingLimit(device) / (4 * width));

/**
 * Divides N rows into the fewest nearly equal ranges of at most `most` rows.
 * @throws InputError if not even one row fits
 */
export function ranges(where: string, N: number, most: number): [from: number, to: number][] {
  if (most < 1) throw new InputError(`${where}: one row is larger than what this device binds at once`);
  const count = Math.ceil(N / most);
  const at = (i: number) => Math.floor((i * N) / count);
  return Array.from({ length: count }, (_, i) => [at(i), at(i + 1)]);
}

/** The rows [from, to), as a tensor of the graph in which `tensor` is called. */
export interface Part {
  from: number;
  to: number;
  tensor(): Tensor;
}

/** Rows in parts that a binding holds, of at most `most` rows each; one part if possible. */
export function partsOf(where: string, device: Device, rows: Rows, most = Number.POSITIVE_INFINITY): Part[] {
  const [N, D] = checkRows(where, rows);
  const fit = Math.min(most, rowsInBinding(device, D));
  if ('data' in rows)
    return ranges(where, N, fit).map(([from, to]) => ({
      from,
      to,
      tensor: () => constant(rows.data.subarray(from * D, to * D), [to - from, D]),
    }));
  let before = 0;
  return slabsOf(rows).flatMap((slab) => {
    const [n] = slab.shape;
    const start = before;
    before += n;
    return ranges(where, n, fit).map(([from, to]) => ({
      from: start + from,
      to: start + to,
      tensor: () => (to - from === n ? slab : slice(slab, { starts: [from, 0], sizes: [to - from, D] })),
    }));
  });
}

/** The rows [from, to) of an array. */
export const partOf = (
  { data, shape: [, D] }: { data: Float32Array; shape: readonly number[] },
  from: number,
  to: number,
) => ({ data: data.subarray(from * D, to * D), shape: [to - from, D] as [number, number] });

/** The rows of an array at some indices. */
export function picked<T extends Float32Array | Uint8Array | Uint32Array>(
  data: T,
  width: number,
  ids: ArrayLike<number>,
): T {
  const rows = new (data.constructor as new (length: number) => T)(ids.length * width);
  for (let i = 0; i < ids.length; i++)
    rows.set(data.subarray(ids[i] * width, (ids[i] + 1) * width), i * width);
  return rows;
}

/** All rows, read back. */
export async function readRows(where: string, device: Device, rows: Rows): Promise<Float32Array> {
  const [N, D] = checkRows(where, rows);
  if ('data' in rows) return rows.data;
  const slabs = slabsOf(rows);
  if (slabs.length === 1) return (await readVariable(device, slabs[0])) as Float32Array;
  const data = new Float32Array(N * D);
  let at = 0;
  for (const slab of slabs) {
    data.set((await readVariable(device, slab)) as Float32Array, at);
    at += slab.size;
  }
  return data;
}

/** Some of the rows, in the order of their `ids`, read back. */
export async function rowsAt(
  where: string,
  device: Device,
  rows: Rows,
  ids: Uint32Array,
): Promise<{ data: Float32Array; shape: [number, number] }> {
  const [, D] = checkRows(where, rows);
  if ('data' in rows) return { data: picked(rows.data, D, ids), shape: [ids.length, D] };
  const data = new Float32Array(ids.length * D);
  for (const { from, to, tensor } of partsOf(where, device, rows)) {
    const places = Uint32Array.from(ids.keys()).filter((at) => ids[at] >= from && ids[at] < to);
    for (const [first, last] of ranges(where, places.length, rowsInBinding(device, D))) {
      const some = places.subarray(first, last);
      const { found } = await compute(device, () => {
        const wanted = constant(
          some.map((at) => ids[at] - from),
          [some.length],
          'u32',
        );
        return { found: gather(tensor(), wanted) };
      });
      for (const [row, at] of some.entries()) data.set(found.subarray(row * D, (row + 1) * D), at * D);
    }
  }
  return { data, shape: [ids.length, D] };
}

/**
 * Rows that one binding holds: all of them if they fit, else as many as do, evenly spaced, and the same rows of all
 * arguments. For metrics that need their rows in one piece.
 * @returns the rows, and how many they are
 */
export async function rowsThatFit(
  where: string,
  device: Device,
  ...all: readonly Rows[]
): Promise<{ rows: Rows[]; count: number }> {
  const shapes = all.map((rows) => checkRows(where, rows));
  const N = shapes[0][0];
  const most = Math.min(...shapes.map(([, D]) => rowsInBinding(device, D)));
  if (N <= most) return { rows: [...all], count: N };
  const ids = spacedRows(N, Math.max(1, most));
  const rows: Rows[] = [];
  for (const each of all) rows.push(await rowsAt(where, device, each, ids));
  return { rows, count: ids.length };
}

/** Frees rows that are on the GPU. */
export const freeRows = (device: Device, rows: readonly Rows[]): void =>
  freeVariables(
    device,
    rows.flatMap((each) => ('data' in each ? [] : slabsOf(each))),
  );

/** Checks k of the nearest among so many rows. */
export function checkNeighbours(where: string, k: unknown, most: number): void {
  checkNumber(where, 'k', k, { least: 1, most: Math.min(MOST_NEIGHBOURS, most), whole: true });
}

/** The most neighbours that `topKSimilar` finds. */
const MOST_NEIGHBOURS = 32;

/** Runs a graph once and reads its outputs. */
export async function compute<K extends string>(
  device: Device,
  build: () => Record<K, Tensor>,
): Promise<Record<K, Float32Array>> {
  let names: K[] = [];
  const step = await compile(
    device,
    () => {
      const outputs = build();
      names = Object.keys(outputs) as K[];
      return outputs;
    },
    { warmUp: false },
  );
  try {
    await step.run();
    const values = await Promise.all(names.map((name) => step.read(name)));
    return Object.fromEntries(names.map((name, i) => [name, values[i]])) as Record<K, Float32Array>;
  } finally {
    step.dispose();
  }
}
