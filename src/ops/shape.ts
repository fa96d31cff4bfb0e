import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import lanes1Wgsl from '../../shaders/lib/lanes1.wgsl' with { type: 'text' };
import lanes4Wgsl from '../../shaders/lib/lanes4.wgsl' with { type: 'text' };
import shapeWgsl from '../../shaders/shape.wgsl' with { type: 'text' };
import { shown } from '../gpu/check.ts';
import { checkCall, checkNumbers, checkTensor, checkTensors } from '../graph/check.ts';
import { type Call, type Kernel, op } from '../graph/op.ts';
import {
  checkShape,
  constant,
  constantValue,
  reshape,
  type Shape,
  sameShape,
  show,
  sizeOf,
  type Tensor,
  throwShapeError,
} from '../graph/tensor.ts';
import { normalizeAxes, repeat, sumTo } from './reduce.ts';

const source = [shapeWgsl, gridWgsl, lanes1Wgsl];
const ONES = [1, 1, 1, 1];
const NONE = [0, 0, 0, 0];

/** The uniform block of shape.wgsl; each entry point uses some of its fields. */
const block = (fields: Record<string, number | number[]>) => ({
  ...{ count: 0, offset: 0, value: 0, shape: ONES, strides: NONE, before: NONE, sizes: ONES },
  ...fields,
});

/** The distance between neighbours along each axis, in elements. */
export const stridesOf = (shape: Shape): number[] => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));

/** The strides with which a tensor of shape `from` is read as if it had shape `to`; 0 where it repeats. */
export function stridesTo(from: Shape, to: Shape): number[] {
  const lead = to.length - from.length;
  const own = stridesOf(from);
  return to.map((n, axis) => (axis < lead || (from[axis - lead] === 1 && n !== 1) ? 0 : own[axis - lead]));
}

/** Merges axes that every list of strides traverses as one. The result always has four axes; unused ones come first, with size 1. */
export function mergeAxes(shape: Shape, strides: readonly (readonly number[])[], op = 'broadcast') {
  const axes: { size: number; steps: number[] }[] = [];
  for (const [axis, size] of shape.entries()) {
    if (size === 1) continue;
    const steps = strides.map((list) => list[axis]);
    const last = axes.at(-1);
    if (last?.steps.every((step, k) => step === steps[k] * size)) {
      last.size *= size;
      last.steps = steps;
    } else axes.push({ size, steps });
  }
  if (axes.length > 4)
    throwShapeError(
      op,
      `expected at most 4 axes that cannot be joined, got ${axes.length} in ${show(shape)}`,
    );
  while (axes.length < 4) axes.unshift({ size: 1, steps: strides.map(() => 0) });
  return { shape: axes.map((a) => a.size), strides: strides.map((_, k) => axes.map((a) => a.steps[k])) };
}

function checkWords(op: string, x: Tensor): void {
  if (x.dtype === 'u8') throwShapeError(op, `expected an f32 or u32 tensor, got u8 ${show(x.shape)}`);
}

interface Strided {
  /** Merged: four sizes of y, and x's strides for them. */
  sizes: number[];
  strides: number[];
  offset: number;
  shape: Shape;
}

function stridedKernel({ options: { sizes, strides, offset } }: Call<Strided>): Kernel<Strided> {
  const quads =
    strides[3] === 1 &&
    sizes[3] % 4 === 0 &&
    offset % 4 === 0 &&
    strides.slice(0, 3).every((s) => s % 4 === 0);
  const count = sizeOf(sizes);
  const base = { source, inputs: ['x'], outputs: ['y'], workgroupSize: 256 };
  const [batch, n, m] = sizes.slice(1);
  const isTranspose =
    sizes[0] === 1 && strides[2] === 1 && strides[3] === n && (batch === 1 || strides[1] === m * n);
  if (isTranspose && offset === 0 && m % 4 === 0 && n % 4 === 0) {
    const blocks = count / 16;
    return {
      ...base,
      entry: 'transpose_blocks',
      workgroupSize: 64,
      uniform: () => block({ count: blocks, shape: [batch, n / 4, m / 4, 1] }),
      invocations: () => blocks,
    };
  }
  if (!quads) {
    return {
      ...base,
      entry: 'strided_copy',
      uniform: () => block({ count, offset, shape: sizes, strides }),
      invocations: () => Math.ceil(count / 4),
    };
  }
  const [a, b, c, d] = sizes;
  const [p, q, r] = strides.map((s) => s / 4);
  return {
    ...base,
    entry: 'strided_copy_quads',
    uniform: () =>
      block({ count: count / 4, offset: offset / 4, shape: [a, b, c, d / 4], strides: [p, q, r, 1] }),
    invocations: () => count / 4,
  };
}

type StridedVjp = (dy: Tensor, x: Tensor) => Tensor;
/** y[i, ...] = x[offset + (i, ...) . strides]; each use has its own gradient. */
/* @__NO_SIDE_EFFECTS__ */
function stridedCopy(name: string, gradient: (options: never) => StridedVjp) {
  const apply = op({
    name,
    shape: ([x]: [x: Tensor], { shape }: Strided & { own: unknown }) => ({ shape, dtype: x.dtype }),
    kernel: stridedKernel,
    vjp: (dy, { inputs: [x], options }) => [gradient(options.own as never)(dy, x)],
  });
  return (x: Tensor, shape: Shape, strides: readonly number[], offset: number, own: unknown): Tensor => {
    checkWords(name, x);
    const value = constantValue(x);
    if (value !== null) return constant(value, shape, x.dtype);
    const merged = mergeAxes(shape, [strides], name);
    const options = { sizes: merged.shape, strides: merged.strides[0], offset, shape, own };
    return apply([x], options);
  };
}

const transposeCopy = stridedCopy('transpose', (permutation: number[]) => (dy) => {
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return transpose(dy, { permutation: inverse });
});

/**
 * Axes in another order. x: f32 or u32
 * @param permutation axis i of the result is axis permutation[i] of x; default: all reversed.
 */
export function transpose(x: Tensor, options: { permutation?: readonly number[] } = {}): Tensor {
  checkCall('transpose', { x }, options, 'permutation');
  const { permutation } = options;
  if (permutation) checkNumbers('transpose', 'permutation', permutation, { whole: true });
  const rank = x.shape.length;
  const order = permutation
    ? permutation.map((axis) => (axis < 0 ? axis + rank : axis))
    : x.shape.map((_, axis) => rank - 1 - axis);
  if (order.length !== rank)
    throwShapeError(
      'transpose',
      `expected a permutation of ${rank} axes for ${show(x.shape)}, got ${show(order)}`,
    );
  normalizeAxes('transpose', rank, order);
  const strides = stridesOf(x.shape);
  const shape = order.map((axis) => x.shape[axis]);
  // All axes of size above 1 keep their order: no element moves.
  const moved = order.filter((axis) => x.shape[axis] !== 1);
  if (moved.every((axis, i) => i === 0 || axis > moved[i - 1])) return reshape(x, shape);
  const moves = order.map((axis) => strides[axis]);
  return transposeCopy(x, shape, moves, 0, order);
}

const sliceCopy = stridedCopy('slice', (starts: number[]) => (dy, x) => {
  const after = x.shape.map((n, axis) => n - starts[axis] - dy.shape[axis]);
  return pad(dy, { before: starts, after });
});

/** The block of x from `starts` on. x: f32 or u32. @param sizes -1: to the end */
export function slice(x: Tensor, options: { starts: readonly number[]; sizes: readonly number[] }): Tensor {
  checkCall('slice', { x }, options, 'starts sizes');
  const { starts, sizes } = options;
  checkNumbers('slice', 'starts', starts);
  checkNumbers('slice', 'sizes', sizes);
  const rank = x.shape.length;
  if (starts.length !== rank || sizes.length !== rank)
    throwShapeError(
      'slice',
      `expected ${rank} starts and sizes for ${show(x.shape)}, got ${show(starts)} and ${show(sizes)}`,
    );
  const shape = sizes.map((n, axis) => (n === -1 ? x.shape[axis] - starts[axis] : n));
  const inside = (n: number, axis: number) =>
    Number.isInteger(n) &&
    Number.isInteger(starts[axis]) &&
    n > 0 &&
    starts[axis] >= 0 &&
    starts[axis] + n <= x.shape[axis];
  if (!shape.every(inside))
    throwShapeError(
      'slice',
      `expected a block inside ${show(x.shape)}, got ${show(shape)} from ${show(starts)}`,
    );
  if (sameShape(shape, x.shape)) return x;
  const strides = stridesOf(x.shape);
  const offset = starts.reduce((total, start, axis) => total + start * strides[axis], 0);
  return sliceCopy(x, shape, strides, offset, [...starts]);
}

const broadcastCopy = stridedCopy('broadcast', () => (dy, x) => sumTo(dy, x.shape));

/** x repeated along axes of size 1, and along new ones in front, as in NumPy. x: f32 or u32 */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  checkTensor('broadcastTo', 'x', x);
  checkShape('broadcastTo', '', shape);
  if (sameShape(x.shape, shape)) return x;
  const lead = shape.length - x.shape.length;
  if (lead < 0 || !x.shape.every((n, axis) => n === 1 || n === shape[lead + axis]))
    throwShapeError(
      'broadcastTo',
      `expected a shape that broadcasts to ${show(shape)}, got ${show(x.shape)}`,
    );
  const value = constantValue(x);
  if (value !== null) return constant(value, shape, x.dtype);
  if (x.size === sizeOf(shape)) return reshape(x, shape);
  const strides = stridesTo(x.shape, shape);
  const repeats = (axis: number) => strides[axis] === 0 && shape[axis] !== 1;
  const axes = shape.map((_, axis) => axis).filter(repeats);
  const [first, last] = [axes[0], axes.at(-1)!];
  const together = shape.every((n, axis) => axis < first || axis > last || n === 1 || repeats(axis));
  if (together && x.dtype === 'f32') {
    const parts = [shape.slice(0, first), shape.slice(first, last + 1), shape.slice(last + 1)];
    const [outer, count, inner] = parts.map(sizeOf);
    return reshape(repeat(x, outer, count, inner), shape);
  }
  return broadcastCopy(x, shape, strides, 0, 0);
}

interface Pad {
  shape: number[];
  sizes: number[];
  before: number[];
  bits: number;
  /** The values that the caller gave. */
  outer: Shape;
  starts: readonly number[];
}

const padOp = op({
  name: 'pad',
  shape: ([x]: [x: Tensor], { outer }: Pad) => ({ shape: outer, dtype: x.dtype }),
  kernel: {
    source,
    entry: 'pad_forward',
    inputs: ['x'],
    outputs: ['y'],
    workgroupSize: 256,
    uniform: ({ options: { shape, sizes, before, bits } }) =>
      block({ count: sizeOf(shape), value: bits, shape, strides: stridesOf(sizes), before, sizes }),
    invocations: ({ outputs: [y] }) => Math.ceil(y.size / 4),
  },
  vjp: (dy, { inputs: [x], options: { starts } }) => [slice(dy, { starts, sizes: x.shape })],
});

/** x with `before` and `after` more elements of one value along each axis. x: f32 or u32. Default value 0. */
export function pad(
  x: Tensor,
  options: { before: readonly number[]; after: readonly number[]; value?: number },
): Tensor {
  checkCall('pad', { x }, options, 'before after value');
  const { before, after, value = 0 } = options;
  checkNumbers('pad', 'before', before);
  checkNumbers('pad', 'after', after);
  if (typeof value !== 'number') throwShapeError('pad', `expected a number for "value", got ${shown(value)}`);
  checkWords('pad', x);
  const rank = x.shape.length;
  const valid = (list: readonly number[]) =>
    list.length === rank && [...list].every((n) => Number.isInteger(n) && n >= 0);
  if (!valid(before) || !valid(after))
    throwShapeError(
      'pad',
      `expected ${rank} counts before and after ${show(x.shape)}, got ${show(before)} and ${show(after)}`,
    );
  const outer = x.shape.map((n, axis) => before[axis] + n + after[axis]);
  if (sameShape(outer, x.shape)) return x;
  if (constantValue(x) === value) return constant(value, outer, x.dtype);
  // Axes that are not padded are merged with the one before.
  const axes: { size: number; before: number; shape: number }[] = [];
  for (const [axis, size] of x.shape.entries()) {
    const last = axes.at(-1);
    if (last && outer[axis] === size) {
      last.size *= size;
      last.before *= size;
      last.shape *= size;
    } else axes.push({ size, before: before[axis], shape: outer[axis] });
  }
  if (axes.length > 4)
    throwShapeError('pad', `expected at most 4 padded axes, got ${show(before)} and ${show(after)}`);
  while (axes.length < 4) axes.unshift({ size: 1, before: 0, shape: 1 });
  const bits = x.dtype === 'f32' ? new Uint32Array(new Float32Array([value]).buffer)[0] : value;
  const settings = {
    shape: axes.map((a) => a.shape),
    sizes: axes.map((a) => a.size),
    before: axes.map((a) => a.before),
    bits,
    outer,
    starts: [...before],
  };
  return padOp([x], settings);
}

interface Concatenate {
  axis: number;
  widths: number[];
}

const concatenateOp = op({
  name: 'concatenate',
  shape: ([first, ...others]: [first: Tensor, ...others: (Tensor | null)[]], { axis }: Concatenate) => {
    const total = others.reduce((n, x) => n + (x ? x.shape[axis] : 0), first.shape[axis]);
    return { shape: first.shape.map((n, k) => (k === axis ? total : n)), dtype: first.dtype };
  },
  kernel: ({ options: { widths } }) => {
    const unit = widths.every((w) => w % 4 === 0) ? 4 : 1;
    return {
      source,
      entry: unit === 4 ? 'concatenate_quads' : 'concatenate_forward',
      inputs: ['x', 'second', 'third', 'fourth'],
      outputs: ['y'],
      workgroupSize: 256,
      uniform: ({ outputs: [y] }) => block({ count: y.size / unit, strides: widths.map((w) => w / unit) }),
      invocations: ({ outputs: [y] }) => Math.ceil(y.size / 4),
    };
  },
  vjp: (dy, { inputs, options: { axis } }) => {
    let start = 0;
    return inputs.map((x) => {
      if (!x) return null;
      const starts = x.shape.map((_, k) => (k === axis ? start : 0));
      start += x.shape[axis];
      return slice(dy, { starts, sizes: x.shape });
    });
  },
});

/** The tensor of which `xs` are the slices, if concatenating them gives it back: for example the two views of a batch. */
function slicedFrom(xs: readonly Tensor[], axis: number): Tensor | null {
  const source = xs[0].node.inputs[0];
  let start = 0;
  for (const { node, shape } of xs) {
    const starts: number[] | undefined = node.op?.name === 'slice' ? node.options.own : undefined;
    const next = starts?.every((n, k) => n === (k === axis ? start : 0));
    if (!next || node.inputs[0] !== source || source === null) return null;
    if (!shape.every((n, k) => k === axis || n === source.shape[k])) return null;
    start += shape[axis];
  }
  return start === source?.shape[axis] ? source : null;
}

/** Tensors one after the other along an axis, 0 by default; their other sizes are equal. f32 or u32; one dispatch for each four. */
export function concatenate(xs: readonly Tensor[], options: { axis?: number } = {}): Tensor {
  checkTensors('concatenate', 'xs', xs);
  checkCall('concatenate', {}, options, 'axis');
  const { axis = 0 } = options;
  if (xs.length === 0) throwShapeError('concatenate', 'expected at least one tensor, got none');
  const [first] = xs;
  const [at] = normalizeAxes('concatenate', first.shape.length, axis);
  for (const x of xs) {
    checkWords('concatenate', x);
    const fits =
      x.shape.length === first.shape.length && x.shape.every((n, k) => k === at || n === first.shape[k]);
    if (!fits || x.dtype !== first.dtype)
      throwShapeError(
        'concatenate',
        `expected ${first.dtype} ${show(first.shape)} but for axis ${at}, got ${x.dtype} ${show(x.shape)}`,
      );
  }
  if (xs.length === 1) return first;
  const whole = slicedFrom(xs, at);
  if (whole) return whole;
  if (xs.length > 4) {
    const groups = Array.from({ length: Math.ceil(xs.length / 4) }, (_, i) => xs.slice(4 * i, 4 * i + 4));
    return concatenate(
      groups.map((group) => concatenate(group, { axis: at })),
      { axis: at },
    );
  }
  const others = [...xs.slice(1), ...Array<null>(4 - xs.length).fill(null)];
  const widths = [first, ...others].map((x) => (x ? sizeOf(x.shape.slice(at)) : 0));
  return concatenateOp([first, ...others], { axis: at, widths });
}

const rowLength = (table: Tensor) => table.size / table.shape[0];

const gatherOp = op({
  name: 'gather',
  shape: ([table, ids]: [table: Tensor, ids: Tensor]) => ({
    shape: [...ids.shape, ...table.shape.slice(1)],
    dtype: table.dtype,
  }),
  kernel: ({ inputs: [table] }) => {
    const unit = rowLength(table) % 4 ? 1 : 4;
    return {
      source,
      entry: unit === 4 ? 'gather_quads' : 'gather_forward',
      inputs: ['table', 'ids'],
      outputs: ['y'],
      workgroupSize: 256,
      uniform: ({ outputs: [y] }) =>
        block({ count: y.size / unit, shape: [table.shape[0], 1, 1, rowLength(table) / unit] }),
      invocations: ({ outputs: [y] }) => Math.ceil(y.size / 4),
    };
  },
  vjp: (dy, { inputs: [table, ids] }) => [gatherGradientOp([dy, ids], { shape: table.shape }), null],
});

const gatherGradientOp = op({
  name: 'gatherGradient',
  shape: (_: [dy: Tensor, ids: Tensor], { shape }: { shape: Shape }) => shape,
  kernel: ({ inputs: [, ids], outputs: [dtable] }) => {
    const unit = rowLength(dtable) % 4 ? 1 : 4;
    return {
      source: [shapeWgsl, gridWgsl, unit === 4 ? lanes4Wgsl : lanes1Wgsl],
      entry: 'gather_gradient',
      inputs: ['dy', 'ids'],
      outputs: ['dtable'],
      uniform: () =>
        block({ count: dtable.size / unit, offset: ids.size, shape: [1, 1, 1, rowLength(dtable) / unit] }),
      rounds: () => ({
        size: ids.size,
        rounds: (n) => n + 1,
        expected: 'at most N ids where a gradient is taken',
      }),
      invocations: () => dtable.size / unit,
    };
  },
});

/**
 * Rows of a table by index. table: [V, ...] f32 or u32, ids: u32 of any shape -> [...ids, ...]
 *
 * An id of V or more gives a row of zeros. The gradient adds in the order of the ids, so it is reproducible. Each of
 * the V rows reads all ids, which costs V N: use it with small tables or few ids.
 */
export function gather(table: Tensor, ids: Tensor): Tensor {
  checkTensor('gather', 'table', table);
  checkTensor('gather', 'ids', ids);
  checkWords('gather', table);
  if (ids.dtype !== 'u32') throwShapeError('gather', `expected u32 ids, got ${ids.dtype} ${show(ids.shape)}`);
  if (table.shape.length < 1) throwShapeError('gather', 'expected a table of rows, got a scalar');
  return gatherOp([table, ids]);
}
