import layerNormWgsl from '../../shaders/layer_norm.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkTensor } from '../graph/check.ts';
import { type Call, call, f32, type Op } from '../graph/op.ts';
import { fail, show, type Tensor, where } from '../graph/tensor.ts';
import { sum } from './reduce.ts';
import { checkRows, rowKernel, rowsOf } from './rows.ts';

interface Options {
  epsilon: number;
}

/** Rows that one invocation adds up for the gradients of gamma and beta. */
const SEGMENT = 64;

const uniformOf = (x: Tensor, { options: { epsilon } }: Call<Options>) => {
  const { rows, width } = rowsOf(x);
  return { rows, width, segment: SEGMENT, epsilon: f32(epsilon) };
};

const layerNormOp: Op<Options> = {
  name: 'layerNorm',
  shape: ([x]) => [{ shape: x.shape }, { shape: [rowsOf(x).rows, 2] }],
  kernel: ({ inputs: [x, gamma, beta] }, target) => ({
    ...rowKernel(layerNormWgsl, x!, target, 3),
    entry: 'layer_norm_forward',
    inputs: ['x', 'gamma', 'beta'],
    outputs: ['y', 'statistics'],
    uniform: (c) => uniformOf(x!, c),
    constants: () => ({ HAS_GAMMA: +!!gamma, HAS_BETA: +!!beta }),
  }),
  vjp: (dy, { inputs: [x, gamma, beta], outputs: [, statistics], options }) => {
    const dx = call(layerNormGradientOp, [dy, x, statistics, gamma], options).outputs[0];
    if (!gamma && !beta) return [dx, null, null];
    const [dgamma, dbeta] = call(parameterGradientOp, [dy, x, statistics], options).outputs;
    return [dx, gamma && sum(dgamma, { axes: 0 }), beta && sum(dbeta, { axes: 0 })];
  },
};

const layerNormGradientOp: Op<Options> = {
  name: 'layerNormGradient',
  shape: ([, x]) => x.shape,
  kernel: ({ inputs: [, x, , gamma] }, target) => ({
    ...rowKernel(layerNormWgsl, x!, target),
    entry: 'layer_norm_gradient',
    inputs: ['dy', 'x', 'statistics', 'gamma'],
    outputs: ['dx'],
    uniform: (c) => uniformOf(x!, c),
    constants: () => ({ HAS_GAMMA: +!!gamma }),
  }),
};

const segments = (x: Tensor) => Math.ceil(rowsOf(x).rows / SEGMENT);

const parameterGradientOp: Op<Options> = {
  name: 'layerNormParameterGradient',
  shape: ([, x]) => {
    const shape = [segments(x), rowsOf(x).columns];
    return [{ shape }, { shape }];
  },
  kernel: ({ inputs: [, x] }, target) => ({
    ...rowKernel(layerNormWgsl, x!, target),
    entry: 'layer_norm_parameter_gradient',
    inputs: ['dy', 'x', 'statistics'],
    outputs: ['dgamma', 'dbeta'],
    uniform: (c) => uniformOf(x!, c),
    rounds: () => SEGMENT,
    invocations: () => segments(x!) * rowsOf(x!).width,
  }),
};

/**
 * Normalises the last axis to mean 0 and variance 1, then scales and shifts it; Ba et al. 2016, arXiv 1607.06450.
 * @param x [..., C]; gamma and beta: [C] or null
 * @param epsilon added to the variance; 1e-5 unless told, as in PyTorch
 */
export function layerNorm(
  x: Tensor,
  gamma: Tensor | null = null,
  beta: Tensor | null = null,
  options: { epsilon?: number } = {},
): Tensor {
  checkRows('layerNorm', x);
  checkCall('layerNorm', {}, options, 'epsilon');
  const { epsilon = 1e-5 } = options;
  checkNumber(where('layerNorm'), 'epsilon', epsilon, { least: 0 });
  const columns = x.shape.at(-1);
  for (const [name, v] of Object.entries({ gamma, beta })) {
    if (v !== null) checkTensor('layerNorm', name, v);
    if (v && (v.dtype !== 'f32' || v.shape.length !== 1 || v.shape[0] !== columns))
      fail(
        'layerNorm',
        `expected ${name} [${columns}] for x ${show(x.shape)}, got ${v.dtype} ${show(v.shape)}`,
      );
  }
  return call(layerNormOp, [x, gamma, beta], { epsilon }).outputs[0];
}
