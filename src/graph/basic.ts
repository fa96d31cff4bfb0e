import basicWgsl from '../../shaders/basic.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { call, type Kernel, type Op, op } from './op.ts';
import { constant, constantValue, fail, sameShape, show, type Tensor, type Variable } from './tensor.ts';

const source = [basicWgsl, gridWgsl];
const words = (x: Tensor) => x.bytes / 4;

/** y = x: puts a tensor where its maker could not write it. */
export const copy: Op = {
  name: 'copy',
  shape: ([x]) => [{ shape: x.shape, dtype: x.dtype }],
  kernel: {
    source,
    entry: 'copy_forward',
    inputs: ['x'],
    outputs: ['y'],
    workgroupSize: 256,
    uniform: ({ inputs }) => ({ count: words(inputs[0]!) }),
    invocations: ({ inputs }) => Math.ceil(words(inputs[0]!) / 4),
  },
  vjp: (dy) => [dy],
};

const texelsOf = (x: Tensor) => ({ count: words(x), width: x.size / x.shape[0] / 4 });

/** A copy in a texture of one tensor or of two: see `Kernel.textures`. */
export const toTextures: Op = {
  name: 'toTextures',
  shape: (xs) => xs.map(({ shape, dtype }) => ({ shape, dtype })),
  kernel: ({ inputs: [x, b] }) => ({
    source,
    ...(b
      ? { entry: 'copy_to_textures', inputs: ['x', 'b'], outputs: ['texels_x', 'texels_b'] }
      : { entry: 'copy_to_texture', inputs: ['x'], outputs: ['texels'] }),
    textures: b ? ['texels_x', 'texels_b'] : ['texels'],
    workgroupSize: 256,
    uniform: () => {
      const { count, width } = b ? texelsOf(b) : { count: 0, width: 1 };
      return { ...texelsOf(x!), countB: count, widthB: width };
    },
    invocations: () => Math.max(words(x!), b ? words(b) : 0) / 4,
  }),
};

const assignOp: Op = {
  ...copy,
  name: 'assign',
  shape: () => [],
  kernel: { ...(copy.kernel as Kernel), state: ['y'], outputs: [] },
};

/** Sets a variable to a value, each time the step runs. Ops built later in the step read the new value. */
export function assign(target: Variable, value: Tensor): void {
  if (!sameShape(target.shape, value.shape) || target.dtype !== value.dtype) {
    fail(
      'assign',
      `expected ${target.dtype} ${show(target.shape)} for "${target.name}", got ${value.dtype} ${show(value.shape)}`,
    );
  }
  call(assignOp, [value], {}, [target]);
}

const add = op<[a: Tensor, b: Tensor]>({
  name: 'accumulate',
  shape: ([a]) => a.shape,
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
  return add(a, b);
}
