import l2NormalizeWgsl from '../../shaders/l2_normalize.wgsl' with { type: 'text' };
import { type Call, call, f32, type Op } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';
import { checkRows, rowInvocations, rowSource, rowsOf } from './rows.ts';

interface Options {
  epsilon: number;
}

const uniform = ({ outputs: [y], options: { epsilon } }: Call<Options>) => {
  const { rows, width } = rowsOf(y);
  return { rows, width, epsilon: f32(epsilon) };
};

const l2NormalizeOp: Op<Options> = {
  name: 'l2Normalize',
  shape: ([x]) => x.shape,
  kernel: ({ inputs: [x] }) => ({
    source: rowSource(l2NormalizeWgsl, x!),
    entry: 'l2_normalize_forward',
    inputs: ['x'],
    outputs: ['y'],
    uniform,
    invocations: () => rowInvocations(x!),
  }),
  vjp: (dy, { inputs: [x], options }) => [call(l2NormalizeGradientOp, [dy, x], options).outputs[0]],
};

const l2NormalizeGradientOp: Op<Options> = {
  name: 'l2NormalizeGradient',
  shape: ([, x]) => x.shape,
  kernel: ({ inputs: [, x] }) => ({
    source: rowSource(l2NormalizeWgsl, x!),
    entry: 'l2_normalize_gradient',
    inputs: ['dy', 'x'],
    outputs: ['dx'],
    uniform,
    invocations: () => rowInvocations(x!),
  }),
};

/**
 * x / max(|x|, epsilon) along the last axis: points on the unit sphere; a zero row stays zero. x: [..., D]
 * @param epsilon 1e-12 unless told, as in PyTorch's `normalize`
 */
export function l2Normalize(x: Tensor, { epsilon = 1e-12 }: { epsilon?: number } = {}): Tensor {
  checkRows('l2Normalize', x);
  return call(l2NormalizeOp, [x], { epsilon }).outputs[0];
}
