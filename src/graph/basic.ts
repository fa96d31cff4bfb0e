import basicWgsl from '../../shaders/basic.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { checkTensor, checkVariables } from './check.ts';
import { type Kernel, type OpFunction, type Output, op } from './op.ts';
import {
  constant,
  constantValue,
  sameShape,
  show,
  type Tensor,
  throwShapeError,
  type Variable,
} from './tensor.ts';

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
    throwShapeError(
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
