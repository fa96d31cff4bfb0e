import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import lanes1Wgsl from '../../shaders/lib/lanes1.wgsl' with { type: 'text' };
import lanes4Wgsl from '../../shaders/lib/lanes4.wgsl' with { type: 'text' };
import reduceWgsl from '../../shaders/reduce.wgsl' with { type: 'text' };
import { checkOptions, shownList } from '../gpu/check.ts';
import { checkFlag, checkFloat } from '../graph/check.ts';
import { type Call, type Kernel, type Op, op } from '../graph/op.ts';
import {
  constant,
  constantValue,
  reshape,
  type Shape,
  sizeOf,
  type Tensor,
  throwShapeError,
  where,
} from '../graph/tensor.ts';

/** Which axes to reduce: one, several (negative ones count from the end), or all. */
export interface ReduceOptions {
  axes?: number | readonly number[];
  /** Keeps the reduced axes with size 1. */
  keepDims?: boolean;
}

/** x: [outer, reduce, inner] -> [outer, segments, inner] */
interface Block {
  outer: number;
  reduce: number;
  inner: number;
  segment: number;
  scale: number;
}
type Form = 'rows' | 'rowsGroup' | 'columns' | 'columnsGroup';
const OPERATIONS = { sum: 0, max: 1, min: 2 };
const IDENTITIES = { sum: 0, max: -Infinity, min: Infinity };
type Kind = keyof typeof OPERATIONS;
type Pass = Block & { form: Form };

const segments = ({ reduce, segment }: Block) => Math.ceil(reduce / segment);
const uniforms = ({ outer, reduce, inner, segment, scale }: Block, identity = 0) => ({
  ...{ outer, reduce, inner, segment, scale, identity },
  segments: Math.ceil(reduce / segment),
});

/** Enough to keep a GPU busy; a longer loop than this loses precision. */
const LONGEST = 4096;

function passKernel(kind: Kind, { options }: Call<Pass>): Kernel<Pass> {
  const { form, outer, inner } = options;
  const width = inner % 4 ? 1 : 4;
  const outputs = outer * segments(options);
  const base = {
    source: [reduceWgsl, gridWgsl, form === 'columns' && width === 4 ? lanes4Wgsl : lanes1Wgsl],
    inputs: ['x'],
    outputs: ['y'],
    uniform: ({ options }: Call<Pass>) => uniforms(options, IDENTITIES[kind]),
    constants: () => ({ OPERATION: OPERATIONS[kind] }),
    // The longest is that of columns, and a workgroup adds up 64 sums.
    rounds: () => Math.min(options.segment, options.reduce) + 64,
  };
  if (form === 'rows') return { ...base, entry: 'reduce_rows', invocations: () => outputs };
  if (form === 'rowsGroup') return { ...base, entry: 'reduce_rows_group', invocations: () => outputs * 64 };
  if (form === 'columns')
    return { ...base, entry: 'reduce_columns', invocations: () => (outputs * inner) / width };
  return { ...base, entry: 'reduce_columns_group', invocations: () => outer * Math.ceil(inner / 8) * 64 };
}

const passShape = (b: Block): Shape => [b.outer, segments(b), b.inner];
const wholeShape = (b: Block): Shape => [b.outer, b.reduce, b.inner];

/* @__NO_SIDE_EFFECTS__ */
const passOp = (name: string, kind: Kind, vjp: Op<Pass, [x: Tensor]>['vjp']) =>
  op({
    name,
    shape: (_: [x: Tensor], options: Pass) => passShape(options),
    kernel: (c) => passKernel(kind, c),
    vjp,
  });

const sumVjp: Op<Pass, [x: Tensor]>['vjp'] = (dy, { options }) => {
  // The cotangent of partial sums is itself an expansion: one expansion is enough for both.
  const { node } = dy;
  const from = node.op === expandOp.op && node.options.reduce === node.options.segment ? node : null;
  if (from && from.options.inner === options.inner && from.options.outer === options.outer) {
    const scale = options.scale * from.options.scale;
    return [expand(from.inputs[0]!, { ...options, segment: options.reduce, scale })];
  }
  return [expand(dy, options)];
};

const extremeVjp: Op<Pass, [x: Tensor]>['vjp'] = (dy, { inputs: [x], outputs: [y], options }) => [
  extremeGradientOp([dy, y, x], options),
];

const extremeGradientOp = op({
  name: 'extremeGradient',
  shape: (_: [dy: Tensor, y: Tensor, x: Tensor], options: Block) => wholeShape(options),
  kernel: {
    source: [reduceWgsl, gridWgsl, lanes1Wgsl],
    entry: 'extreme_gradient',
    inputs: ['dy', 'y', 'x'],
    outputs: ['dx'],
    uniform: ({ options }) => uniforms(options),
    rounds: ({ options }) => Math.min(options.segment, options.reduce),
    invocations: ({ options }) => sizeOf(passShape(options)),
  },
});

type Reduction = ReturnType<typeof passOp>;
const sumOp: Reduction = passOp('sum', 'sum', sumVjp);
const meanOp = passOp('mean', 'sum', sumVjp);
const maxOp = passOp('max', 'max', extremeVjp);
const minOp = passOp('min', 'min', extremeVjp);

/** Multiples of four need fewer divisions: one load or four for four elements. */
function expandEntry({ reduce, inner, segment }: Block): string {
  if (inner % 4 === 0) return 'expand_columns';
  return inner === 1 && reduce % 4 === 0 && segment >= reduce ? 'expand_rows' : 'expand_forward';
}

const expandOp = op({
  name: 'broadcast',
  shape: (_: [x: Tensor], options: Block) => wholeShape(options),
  kernel: ({ options }) => ({
    source: [reduceWgsl, gridWgsl, lanes1Wgsl],
    entry: expandEntry(options),
    inputs: ['x'],
    outputs: ['y'],
    workgroupSize: 256,
    uniform: () => uniforms(options),
    invocations: ({ outputs: [y] }) => Math.ceil(y.size / 4),
  }),
  vjp: (dy, { options }) => [reduceBlock(sumOp, dy, options)],
});

function expand(x: Tensor, { outer, reduce, inner, segment, scale }: Block): Tensor {
  const block = { outer, reduce, inner, segment, scale };
  const value = constantValue(x);
  if (value !== null) return constant(value * scale, wholeShape(block));
  return expandOp([reshape(x, passShape(block))], block);
}

/** y[o, r, i] = x[o, i] with the middle axis repeated `count` times. x: any shape of outer * inner elements */
export const repeat = (x: Tensor, outer: number, count: number, inner: number): Tensor =>
  expand(x, { outer, reduce: count, inner, segment: count, scale: 1 });

/** One or two passes: two if one would leave the GPU idle or add too many numbers in sequence. */
function reduceBlock(apply: Reduction, x: Tensor, block: Block): Tensor {
  const { outer, reduce, inner, scale } = block;
  const pass = (form: Form, segment: number): Tensor => {
    const last = segment >= reduce;
    const options = { outer, reduce, inner, segment, scale: last ? scale : 1, form };
    const y = apply([reshape(x, [outer, reduce, inner])], options);
    return last ? y : reduceBlock(apply, y, { ...block, reduce: segments(options), segment: 0 });
  };
  if (inner === 1) {
    const form = reduce <= 64 || outer >= 256 ? 'rows' : 'rowsGroup';
    return pass(form, Math.min(reduce, LONGEST));
  }
  const threads = (outer * inner) / (inner % 4 ? 1 : 4);
  if (reduce <= 64 || threads >= 4096) return pass('columns', Math.min(reduce, LONGEST));
  if (reduce <= 1024) return pass('columnsGroup', reduce);
  const parts = Math.min(Math.ceil(reduce / 32), Math.max(2, Math.ceil(16384 / threads)), 1024);
  return pass('columns', Math.min(Math.ceil(reduce / parts), LONGEST));
}

/** The axes as sorted whole numbers from 0 on. */
export function normalizeAxes(op: string, rank: number, axes?: number | readonly number[]): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = [axes].flat().map((axis) => (typeof axis === 'number' && axis < 0 ? axis + rank : axis));
  const valid = [...list].every((axis) => Number.isInteger(axis) && axis >= 0 && axis < rank);
  if (!valid || new Set(list).size !== list.length)
    throwShapeError(
      op,
      `expected different axes of a tensor of rank ${rank}, got ${shownList([axes].flat())}`,
    );
  return list.sort((a, b) => a - b);
}

function reduction(name: string, apply: Reduction, x: Tensor, options: ReduceOptions): Tensor {
  checkFloat(name, x);
  checkOptions(where(name), options, ['axes', 'keepDims']);
  checkFlag(name, 'keepDims', options.keepDims ?? false);
  const axes = normalizeAxes(name, x.shape.length, options.axes);
  const kept = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
  const shape = options.keepDims ? kept : x.shape.filter((_, axis) => !axes.includes(axis));
  const count = x.size / sizeOf(kept);
  const value = constantValue(x);
  if (value !== null) return constant(name === 'sum' ? value * count : value, shape);
  let y = x;
  let sizes = [...x.shape];
  let scale = name === 'mean' ? 1 / count : 1;
  // Neighbouring axes are reduced together, the last ones first; axes of size 1 need no work.
  for (let end = sizes.length; end > 0; end--) {
    if (!axes.includes(end - 1) || sizes[end - 1] === 1) continue;
    let start = end - 1;
    while (start > 0 && (axes.includes(start - 1) || sizes[start - 1] === 1)) start--;
    const [outer, reduce, inner] = [[0, start], [start, end], [end]].map(([from, to]) =>
      sizeOf(sizes.slice(from, to)),
    );
    y = reduceBlock(apply, y, { outer, reduce, inner, segment: 0, scale });
    scale = 1;
    sizes = sizes.map((n, axis) => (axis >= start && axis < end ? 1 : n));
    end = start + 1;
  }
  return reshape(y, shape);
}

/** The sum over some axes, or all. x: [...] -> without those axes */
export const sum = (x: Tensor, options: ReduceOptions = {}): Tensor => reduction('sum', sumOp, x, options);

/** The mean over some axes, or all. x: [...] -> without those axes */
export const mean = (x: Tensor, options: ReduceOptions = {}): Tensor => reduction('mean', meanOp, x, options);

/** The largest element over some axes, or all. Among equal elements the first gets the gradient. */
export const max = (x: Tensor, options: ReduceOptions = {}): Tensor => reduction('max', maxOp, x, options);

/** The smallest element over some axes, or all. Among equal elements the first gets the gradient. */
export const min = (x: Tensor, options: ReduceOptions = {}): Tensor => reduction('min', minOp, x, options);

/** Sums over the axes that NumPy broadcasting would repeat, so that the result has `shape`: the transpose of broadcasting. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((n, axis) =>
    axis < lead || (shape[axis - lead] === 1 && n !== 1) ? [axis] : [],
  );
  return axes.length ? reshape(sum(x, { axes }), shape) : x;
}
