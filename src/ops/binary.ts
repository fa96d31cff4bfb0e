import binaryWgsl from '../../shaders/binary.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { checkOperand, checkTensor } from '../graph/check.ts';
import { type Call, type Kernel, op, type UniformValue } from '../graph/op.ts';
import {
  constant,
  constantValue,
  type Scalar,
  type Shape,
  show,
  sizeOf,
  type Tensor,
  throwShapeError,
} from '../graph/tensor.ts';
import { sumTo } from './reduce.ts';
import { broadcastTo, mergeAxes, stridesTo } from './shape.ts';
import { neg } from './unary.ts';

const source = [binaryWgsl, gridWgsl];
/** The operations of binary.wgsl, in the order of its cases. */
const OPERATIONS = [
  ...(['add', 'sub', 'mul', 'div', 'minimum', 'maximum'] as const),
  ...(['greater', 'greaterEqual', 'equal'] as const),
];
type Operation = (typeof OPERATIONS)[number];

/** How the kernel reads an operand, with the numbers that the shader uses. */
const FORMS = { whole: 0, number: 1, element: 2, row: 3, column: 4 } as const;
type Form = keyof typeof FORMS | 'strided';

/** The shape of y, and the operands that are numbers. */
interface Options {
  shape: Shape;
  a?: number;
  b?: number;
}

/** The shape that two shapes broadcast to, by NumPy's rule. */
export function broadcastShape(op: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [m, n] = [a, b].map((s) => s[axis - rank + s.length] ?? 1);
    if (m !== n && m !== 1 && n !== 1)
      throwShapeError(op, `expected shapes that broadcast, got ${show(a)} and ${show(b)}`);
    return Math.max(m, n);
  });
}

/** The shape of an operation on two operands, numbers or f32 tensors. */
function shapeOf(op: string, a: Tensor | number, b: Tensor | number): Shape {
  checkOperand(op, 'a', a);
  checkOperand(op, 'b', b);
  const [shapeA, shapeB] = [a, b].map((x) => (typeof x === 'number' ? [] : x.shape));
  return broadcastShape(op, shapeA, shapeB);
}

/** How an operand is broadcast to y, and the row length of y for that. */
function formOf(x: Tensor | null, y: Shape): { form: Form; columns: number } {
  if (!x || x.node.kind === 'scalar') return { form: 'number', columns: 0 };
  const total = sizeOf(y);
  if (x.size === total) return { form: 'whole', columns: 0 };
  if (x.size === 1) return { form: 'element', columns: 0 };
  const full = [...Array(y.length - x.shape.length).fill(1), ...x.shape];
  const repeats = full.map((n, axis) => n !== y[axis]);
  const columns = total / x.size;
  // Sizes of 1 do not matter.
  const axes = [...y.keys()].filter((axis) => y[axis] !== 1);
  const first = axes.findIndex((axis) => !repeats[axis]);
  const isRow = axes.slice(first).every((axis) => !repeats[axis]);
  if (isRow && x.size % 4 === 0) return { form: 'row', columns: x.size };
  const repeat = axes.findIndex((axis) => repeats[axis]);
  const isColumn = axes.slice(repeat).every((axis) => repeats[axis]);
  if (isColumn && columns % 4 === 0) return { form: 'column', columns };
  return { form: 'strided', columns: 0 };
}

const count = ({ outputs: [y] }: Call<Options>) => Math.ceil(y.size / 4);
const NONE = [0, 0, 0, 0];
/** The uniforms of binary.wgsl; each entry point uses some of them. */
const uniforms = (y: Tensor, { a = 0, b = 0, ...others }: Record<string, UniformValue | undefined>) => ({
  ...{ count: y.size, columns: 0, a, b },
  ...{ shape: NONE, aStrides: NONE, bStrides: NONE, cStrides: NONE },
  ...others,
});
const number = (x: Tensor | null, value = 0): Scalar => (x?.node.kind === 'scalar' ? x : value);

function strides(c: Call<Options>) {
  const { shape, strides: list } = mergeAxes(
    c.options.shape,
    c.inputs.map((x) => (x ? stridesTo(x.shape, c.options.shape) : c.options.shape.map(() => 0))),
  );
  return { shape, list };
}

function kernelFor(operation: Operation, c: Call<Options>): Kernel<Options> {
  const [a, b] = c.inputs.map((x) => formOf(x, c.options.shape));
  // The fast kernel supports one row length.
  const strided =
    a.form === 'strided' ||
    b.form === 'strided' ||
    (a.columns > 0 && b.columns > 0 && a.columns !== b.columns);
  const OPERATION = OPERATIONS.indexOf(operation);
  const kernel: Kernel<Options> = {
    source,
    entry: strided ? 'binary_strided' : 'binary_forward',
    inPlace: !strided && a.form === 'whole' ? 'binary_in_place' : undefined,
    inputs: ['a', 'b'],
    outputs: ['y'],
    workgroupSize: 256,
    invocations: count,
  };
  if (!strided) {
    return {
      ...kernel,
      constants: () => ({
        OPERATION,
        A_FORM: FORMS[a.form as keyof typeof FORMS],
        B_FORM: FORMS[b.form as keyof typeof FORMS],
      }),
      uniform: ({ inputs: [x, z], outputs: [y], options }) =>
        uniforms(y, {
          columns: a.columns || b.columns,
          a: number(x, options.a),
          b: number(z, options.b),
        }),
    };
  }
  const { shape, list } = strides(c);
  return {
    ...kernel,
    constants: () => ({ OPERATION }),
    uniform: ({ outputs: [y] }) => uniforms(y, { shape, aStrides: list[0], bStrides: list[1] }),
  };
}

/** An operation: its value for numbers, its trivial cases, its gradient. */
interface Spec {
  fold: (a: number, b: number) => number;
  /** The result for one operand that is a known number, if no kernel is needed; else null. Operands have y's shape. */
  known?: (a: Tensor | number, b: Tensor | number) => Tensor | number | null;
  vjp: (dy: Tensor, a: Tensor | number, b: Tensor | number, y: Tensor) => (Tensor | null)[];
}

/* @__NO_SIDE_EFFECTS__ */
function binary(operation: Operation, { fold, known, vjp }: Spec) {
  const apply = op({
    name: operation,
    shape: (_: [a: Tensor | null, b: Tensor | null], { shape }: Options) => shape,
    kernel: (c) => kernelFor(operation, c),
    vjp: (dy, { inputs, outputs: [y], options }) => {
      const [a, b] = [inputs[0] ?? options.a!, inputs[1] ?? options.b!];
      return vjp(dy, a, b, y).map((dx, i) => {
        const x = inputs[i];
        return x && dx ? sumTo(dx, x.shape) : null;
      });
    },
  });
  return (a: Tensor | number, b: Tensor | number): Tensor => {
    const shape = shapeOf(operation, a, b);
    const [va, vb] = [a, b].map((x) => (typeof x === 'number' ? x : constantValue(x)));
    if (va !== null && vb !== null) return constant(fold(va, vb), shape);
    if (va === null && vb === null) return apply([a as Tensor, b as Tensor], { shape });
    // A known number needs no buffer.
    const x = broadcastTo((va === null ? a : b) as Tensor, shape);
    const done = known?.(va ?? x, vb ?? x) ?? null;
    if (done !== null) return typeof done === 'number' ? constant(done, shape) : done;
    return va === null ? apply([x, null], { shape, b: vb! }) : apply([null, x], { shape, a: va });
  };
}

type Binary = (a: Tensor | number, b: Tensor | number) => Tensor;

/** a + b. Shapes broadcast as in NumPy; either operand may be a number. */
export const add: Binary = binary('add', {
  fold: (a, b) => a + b,
  known: (a, b) => (a === 0 ? b : b === 0 ? a : null),
  vjp: (dy) => [dy, dy],
});

/** a - b. Shapes broadcast as in NumPy; either operand may be a number. */
export const sub: Binary = binary('sub', {
  fold: (a, b) => a - b,
  known: (a, b) => (b === 0 ? a : a === 0 ? neg(b as Tensor) : null),
  vjp: (dy) => [dy, neg(dy)],
});

/** a b, element by element. Shapes broadcast as in NumPy; either operand may be a number. */
export const mul: Binary = binary('mul', {
  fold: (a, b) => a * b,
  known: (a, b) => (a === 1 ? b : b === 1 ? a : a === 0 || b === 0 ? 0 : null),
  vjp: (dy, a, b) => [mul(dy, b), mul(dy, a)],
});

/** a / b. Shapes broadcast as in NumPy; either operand may be a number. */
export const div: Binary = binary('div', {
  fold: (a, b) => a / b,
  known: (a, b) => (b === 1 ? a : a === 0 ? 0 : null),
  vjp: (dy, _a, b, y) => {
    const da = div(dy, b);
    return [da, neg(mul(da, y))];
  },
});

/** The smaller of a and b. Where they are equal, a gets the gradient. */
export const minimum: Binary = binary('minimum', {
  fold: Math.min,
  vjp: (dy, a, b) => [mul(dy, greaterEqual(b, a)), mul(dy, greater(a, b))],
});

/** The larger of a and b. Where they are equal, a gets the gradient. */
export const maximum: Binary = binary('maximum', {
  fold: Math.max,
  vjp: (dy, a, b) => [mul(dy, greaterEqual(a, b)), mul(dy, greater(b, a))],
});

/* @__NO_SIDE_EFFECTS__ */
const comparison = (operation: Operation, fold: (a: number, b: number) => boolean): Binary =>
  binary(operation, { fold: (a, b) => +fold(a, b), vjp: () => [null, null] });

/** 1 where a > b, else 0. No gradient flows through it. */
export const greater: Binary = comparison('greater', (a, b) => a > b);
/** 1 where a >= b, else 0. No gradient flows through it. */
export const greaterEqual: Binary = comparison('greaterEqual', (a, b) => a >= b);
/** 1 where a < b, else 0. No gradient flows through it. */
export const less: Binary = (a, b) => {
  shapeOf('less', a, b);
  return greater(b, a);
};
/** 1 where a <= b, else 0. No gradient flows through it. */
export const lessEqual: Binary = (a, b) => {
  shapeOf('lessEqual', a, b);
  return greaterEqual(b, a);
};
/** 1 where a = b, else 0. No gradient flows through it. */
export const equal: Binary = comparison('equal', (a, b) => a === b);

const selectOp = op({
  name: 'select',
  shape: (_: [a: Tensor | null, b: Tensor | null, condition: Tensor], { shape }: Options) => shape,
  kernel: (c) => {
    const isWhole = (x: Tensor | null) => !x || x.size === sizeOf(c.options.shape);
    const strided = !c.inputs.every(isWhole);
    const [A_FORM, B_FORM] = c.inputs.map((x) => (x ? FORMS.whole : FORMS.number));
    const { shape, list } = strides(c);
    const [aStrides, bStrides, cStrides] = list;
    return {
      source,
      entry: strided ? 'select_strided' : 'select_forward',
      inputs: ['a', 'b', 'condition'],
      outputs: ['y'],
      workgroupSize: 256,
      constants: () => ({ A_FORM, B_FORM }),
      uniform: ({ outputs: [y], options: { a, b } }) =>
        uniforms(y, { a, b, shape, aStrides, bStrides, cStrides }),
      invocations: count,
    };
  },
  vjp: (dy, { inputs: [a, b, condition] }) => [
    a && sumTo(select(condition, dy, 0), a.shape),
    b && sumTo(select(condition, 0, dy), b.shape),
    null,
  ],
});

/** a where the condition is not 0, else b. Shapes broadcast as in NumPy. @param condition f32 or u32 */
export function select(condition: Tensor, a: Tensor | number, b: Tensor | number): Tensor {
  checkTensor('select', 'condition', condition);
  checkOperand('select', 'a', a);
  checkOperand('select', 'b', b);
  if (condition.dtype === 'u8') throwShapeError('select', 'expected an f32 or u32 condition, got u8');
  const values = [a, b].map((x) => (typeof x === 'number' ? x : constantValue(x)));
  let { shape } = condition;
  for (const x of [a, b]) {
    if (typeof x === 'number') continue;
    shape = broadcastShape('select', shape, x.shape);
  }
  const test = constantValue(condition);
  if (test !== null) {
    const kept = test ? a : b;
    return typeof kept === 'number' ? constant(kept, shape) : broadcastTo(kept, shape);
  }
  if (values[0] !== null && values[0] === values[1]) return constant(values[0], shape);
  const [p, q] = [a, b].map((x, i) => (values[i] === null ? (x as Tensor) : null));
  const options = { shape, a: values[0] ?? 0, b: values[1] ?? 0 };
  return selectOp([p, q, condition], options);
}
