import basicWgsl from '../../shaders/basic.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import texturesWgsl from '../../shaders/textures.wgsl' with { type: 'text' };
import { checkTensor, checkVariables } from './check.ts';
import { type Kernel, type OpFunction, type Output, op } from './op.ts';
import { constant, constantValue, fail, sameShape, show, type Tensor, type Variable } from './tensor.ts';
import { sideOf } from './texels.ts';

const source = [basicWgsl, gridWgsl];
/** The number of 4-byte words of a tensor of any type. */
const words = (x: Tensor) => (x.dtype === 'u8' ? x.bytes / 4 : x.size);

const copyKernel: Kernel<unknown, [x: Tensor]> = {
  source,
  entry: 'copy_forward',
  inputs: ['x'],
  outputs: ['y'],
  workgroupSize: 256,
  uniform: ({ inputs: [x] }) => ({ count: words(x) }),
  invocations: ({ inputs: [x] }) => Math.ceil(words(x) / 4),
};

/** y = x: moves a tensor to a place that the op which made it could not write to. */
export const copy: OpFunction<unknown, [x: Tensor], Output> = op({
  name: 'copy',
  shape: ([{ shape, dtype }]: [x: Tensor]) => ({ shape, dtype }),
  kernel: copyKernel,
  vjp: (dy) => [dy],
});

/** The most tensors of one {@link toTextures}. */
export const TEXTURES = 2;

/** Whether the rows of a tensor are whole vec4s; others are copied to textures one at a time. */
export const wholeRows = ({ shape: [rows], size }: Tensor): boolean => (size / rows) % 4 === 0;

/** Copies in textures: see `Kernel.textures`. */
export const toTextures: OpFunction<unknown, readonly Tensor[], Output[]> = op({
  name: 'toTextures',
  shape: (xs: readonly Tensor[]) => xs.map(({ shape, dtype }) => ({ shape, dtype })),
  kernel: ({ inputs: xs }, target) => {
    const widthOf = (x: Tensor) => Math.ceil(x.size / x.shape[0] / 4);
    const whole = wholeRows(xs[0]);
    const names = ['x', 'b'].slice(0, xs.length);
    const textures = names.map((name) => `${name}_of_${xs.length}`);
    const two = (of: (x: Tensor) => number) => [0, 1].map((i) => (xs[i] ? of(xs[i]) : 0));
    return {
      source: [texturesWgsl, gridWgsl],
      entry: whole ? (xs[1] ? 'copy_to_textures' : 'copy_to_texture') : 'copy_numbers_to_texture',
      inputs: whole ? names : ['numbers'],
      outputs: textures,
      textures,
      workgroupSize: 256,
      uniform: () => ({
        side: sideOf(target),
        rows: two(({ shape }) => shape[0]),
        columns: two((x) => (whole ? widthOf(x) : x.size / x.shape[0])),
      }),
      invocations: () => Math.max(...xs.map((x) => widthOf(x) * Math.ceil(x.shape[0] / 4) * 4)),
    };
  },
});

const assignOp = op({
  name: 'assign',
  shape: (_: [x: Tensor]) => [],
  kernel: { ...copyKernel, state: ['y'], outputs: [] },
});

/** Sets a variable to a value, each time the step runs. Ops built later in the step read the new value. */
export function assign(target: Variable, value: Tensor): void {
  checkVariables('assign', 'target', [target]);
  checkTensor('assign', 'value', value);
  if (!sameShape(target.shape, value.shape) || target.dtype !== value.dtype) {
    fail(
      'assign',
      `expected ${target.dtype} ${show(target.shape)} for "${target.name}", got ${value.dtype} ${show(value.shape)}`,
    );
  }
  assignOp([value], {}, [target]);
}

const add = op({
  name: 'accumulate',
  shape: ([a]: [a: Tensor, b: Tensor]) => a.shape,
  kernel: {
    source,
    entry: 'accumulate_forward',
    inPlace: 'accumulate_in_place',
    inputs: ['x', 'b'],
    outputs: ['sum'],
    workgroupSize: 256,
    uniform: ({ outputs }) => ({ count: words(outputs[0]) }),
    invocations: ({ outputs }) => Math.ceil(words(outputs[0]) / 4),
  },
  vjp: (dy) => [dy, dy],
});

/** The sum of two cotangents of one shape. */
export function accumulate(a: Tensor, b: Tensor): Tensor {
  const [x, y] = [constantValue(a), constantValue(b)];
  if (x === 0) return b;
  if (y === 0) return a;
  if (x !== null && y !== null) return constant(x + y, a.shape);
  return add([a, b]);
}
