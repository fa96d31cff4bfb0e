import dropoutWgsl from '../../shaders/dropout.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { checkCall, checkFloat, checkScalar } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { checkWhole, randomLib } from './random.ts';

export interface DropoutOptions {
  /** The probability that an element is dropped, 0 to .999. */
  rate: Scalar;
  /** u32 */
  seed: Scalar;
  /** u32: each step drops others. */
  step: Scalar;
  /** u32: streams of one seed are independent, for layers and views. Default 0. */
  stream?: Scalar;
}

const dropoutOp = op({
  name: 'dropout',
  shape: ([x]: [x: Tensor], _: Required<DropoutOptions>) => x.shape,
  kernel: {
    source: [dropoutWgsl, gridWgsl, randomLib],
    ...{ entry: 'dropout_forward', inputs: ['x'], outputs: ['y'], workgroupSize: 256 },
    uniform: ({ outputs: [y], options: { rate, seed, step, stream } }) => ({
      ...{ count: y.size, seed, stream, step, rate },
    }),
    invocations: ({ outputs: [y] }) => Math.ceil(y.size / 4),
  },
  // The same numbers are drawn again: no mask is stored.
  vjp: (dy, { options }): Tensor[] => [dropoutOp([dy], options)],
});

/**
 * Dropout (Srivastava et al. 2014): drops each element with probability `rate`, and divides the others by 1 - rate. There is no state:
 * the same seed, stream and step drop the same elements of a shape, in the gradient and wherever the result is computed again.
 * @param x f32, any shape
 * @param options `rate`, `seed`, `step` and `stream` (default 0): numbers, or scalar inputs of the step
 * @returns the shape of x; x itself for a rate of 0
 */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  checkCall('dropout', { x }, options, 'rate seed step stream');
  checkFloat('dropout', x);
  const { rate, seed, step, stream = 0 } = options;
  checkScalar('dropout', 'rate', rate, { least: 0, most: 0.999 });
  for (const [name, value] of Object.entries({ seed, step, stream })) checkWhole('dropout', name, value);
  return rate === 0 ? x : dropoutOp([x], { rate, seed, step, stream });
}
