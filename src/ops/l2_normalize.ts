import l2NormalizeWgsl from '../../shaders/l2_normalize.wgsl' with { type: 'text' };
import gradientWgsl from '../../shaders/l2_normalize_gradient.wgsl' with { type: 'text' };
import unitWgsl from '../../shaders/lib/unit.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall } from '../graph/check.ts';
import { type Kernel, op } from '../graph/op.ts';
import { type Tensor, where } from '../graph/tensor.ts';
import { resultIn } from './operands.ts';
import { checkRows, rowKernel } from './rows.ts';

interface Options {
  epsilon: number;
}

function kernel(x: Tensor, { epsilon }: Options, wgsl: string, entry: string, inputs: string[]): Kernel {
  // The squares once more where they leave f32, then the quotients.
  const rows = rowKernel(wgsl, x, 3, { epsilon });
  const source = [...rows.source, unitWgsl, ...resultIn('lanes', inputs.length + 1)];
  return { ...rows, source, entry, inputs, outputs: ['c'] };
}

const l2NormalizeOp = op({
  name: 'l2Normalize',
  shape: ([x]: [x: Tensor], _: Options) => x.shape,
  kernel: ({ inputs: [x], options }) => kernel(x, options, l2NormalizeWgsl, 'l2_normalize_forward', ['x']),
  vjp: (dy, { inputs: [x], options }) => [l2NormalizeGradientOp([dy, x], options)],
});

const l2NormalizeGradientOp = op({
  name: 'l2NormalizeGradient',
  shape: ([, x]: [dy: Tensor, x: Tensor], _: Options) => x.shape,
  kernel: ({ inputs: [, x], options }) =>
    kernel(x, options, gradientWgsl, 'l2_normalize_gradient', ['dy', 'x']),
});

/**
 * x / |x| along the last axis: points on the unit sphere, whatever the scale of x (numbers under 1.2e-38 count as 0). A row of
 * zeros has no direction: it stays zero, and has no gradient. x: f32 [..., D]
 * @param epsilon rows shorter than this are divided by it instead. Default 0: none (PyTorch's `normalize` has 1e-12, which
 *   takes rows of 1e-18 for nearly zero)
 * @throws ShapeError, InputError
 */
export function l2Normalize(x: Tensor, options: { epsilon?: number } = {}): Tensor {
  checkRows('l2Normalize', x);
  checkCall('l2Normalize', {}, options, 'epsilon');
  const { epsilon = 0 } = options;
  checkNumber(where('l2Normalize'), 'epsilon', epsilon, { least: 0, most: 1e12 });
  return l2NormalizeOp([x], { epsilon });
}
