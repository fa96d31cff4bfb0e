import l2NormalizeWgsl from '../../shaders/l2_normalize.wgsl' with { type: 'text' };
import gradientWgsl from '../../shaders/l2_normalize_gradient.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall } from '../graph/check.ts';
import { type Call, call, f32, type Kernel, type Op, type Target } from '../graph/op.ts';
import { type Tensor, where } from '../graph/tensor.ts';
import { type Result, resultIn, resultNames } from './operands.ts';
import { checkRows, rowKernel, rowsOf } from './rows.ts';

interface Options {
  epsilon: number;
}

const uniform = ({ outputs: [y], options: { epsilon } }: Call<Options>) => {
  const { rows, width } = rowsOf(y);
  return { rows, width, epsilon: f32(epsilon) };
};

/** Rows of whole vec4s may go to a texture, unless a buffer is wanted too. */
function kernel(x: Tensor, target: Target, wgsl: string, entry: string, inputs: string[]): Kernel<Options> {
  const rows = rowKernel(wgsl, x, target);
  const make = (result: Result): Kernel<Options> => ({
    ...rows,
    source: [...rows.source, ...resultIn(result, inputs.length + 1)],
    entry,
    inputs,
    ...resultNames(result, ['c']),
    uniform,
  });
  const whole = x.shape.length === 2 && x.shape.every((n) => n % 4 === 0);
  return {
    ...make('lanes'),
    ...(whole ? { toTexture: (where) => (where === 'texture' ? make('lanesTexture') : null) } : {}),
  };
}

const l2NormalizeOp: Op<Options> = {
  name: 'l2Normalize',
  shape: ([x]) => x.shape,
  kernel: ({ inputs: [x] }, target) => kernel(x!, target, l2NormalizeWgsl, 'l2_normalize_forward', ['x']),
  vjp: (dy, { inputs: [x], options }) => [call(l2NormalizeGradientOp, [dy, x], options).outputs[0]],
};

const l2NormalizeGradientOp: Op<Options> = {
  name: 'l2NormalizeGradient',
  shape: ([, x]) => x.shape,
  kernel: ({ inputs: [, x] }, target) =>
    kernel(x!, target, gradientWgsl, 'l2_normalize_gradient', ['dy', 'x']),
};

/**
 * x / max(|x|, epsilon) along the last axis: points on the unit sphere; a zero row stays zero. x: [..., D]
 * @param epsilon 1e-12 unless told, as in PyTorch's `normalize`
 */
export function l2Normalize(x: Tensor, options: { epsilon?: number } = {}): Tensor {
  checkRows('l2Normalize', x);
  checkCall('l2Normalize', {}, options, 'epsilon');
  const { epsilon = 1e-12 } = options;
  checkNumber(where('l2Normalize'), 'epsilon', epsilon, { least: 0 });
  return call(l2NormalizeOp, [x], { epsilon }).outputs[0];
}
