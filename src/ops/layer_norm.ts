import layerNormWgsl from '../../shaders/layer_norm.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';
import { sum } from './reduce.ts';
import { checkRows, rowKernel, rowsOf } from './rows.ts';

interface Options {
  epsilon: number;
}

/** Rows that one invocation adds up for the gradients of gamma and beta. */
const SEGMENT = 64;

const kernel = (x: Tensor, { epsilon }: Options, loops?: number) =>
  rowKernel(layerNormWgsl, x, loops, { segment: SEGMENT, epsilon });

const layerNormOp = op({
  name: 'layerNorm',
  half: true,
  shape: ([x]: [x: Tensor, gamma: Tensor | null, beta: Tensor | null], _: Options) => [
    { shape: x.shape },
    { shape: [rowsOf(x).rows, 2] },
  ],
  kernel: ({ inputs: [x, gamma, beta], options }) => ({
    ...kernel(x, options, 3),
    entry: 'layer_norm_forward',
    inputs: ['x', 'gamma', 'beta'],
    outputs: ['y', 'statistics'],
    constants: () => ({ HAS_GAMMA: +!!gamma, HAS_BETA: +!!beta }),
  }),
  vjp: (dy, { inputs: [x, gamma, beta], outputs: [, statistics], options }) => {
    const dx = layerNormGradientOp([dy, x, statistics, gamma], options);
    if (!gamma && !beta) return [dx, null, null];
    const [dgamma, dbeta] = parameterGradientOp([dy, x, statistics], options);
    return [dx, gamma && sum(dgamma, { axes: 0 }), beta && sum(dbeta, { axes: 0 })];
  },
});

const layerNormGradientOp = op({
  name: 'layerNormGradient',
  shape: ([, x]: [dy: Tensor, x: Tensor, statistics: Tensor, gamma: Tensor | null], _: Options) => x.shape,
  kernel: ({ inputs: [, x, , gamma], options }) => ({
    ...kernel(x, options),
    entry: 'layer_norm_gradient',
    inputs: ['dy', 'x', 'statistics', 'gamma'],
    outputs: ['dx'],
    constants: () => ({ HAS_GAMMA: +!!gamma }),
  }),
});

const segments = (x: Tensor) => Math.ceil(rowsOf(x).rows / SEGMENT);

const parameterGradientOp = op({
  name: 'layerNormParameterGradient',
  shape: ([, x]: [dy: Tensor, x: Tensor, statistics: Tensor], _: Options) => {
    const shape = [segments(x), rowsOf(x).columns];
    return [{ shape }, { shape }];
  },
  kernel: ({ inputs: [, x], options }) => ({
    ...kernel(x, options),
    entry: 'layer_norm_parameter_gradient',
    inputs: ['dy', 'x', 'statistics'],
    outputs: ['dgamma', 'dbeta'],
    rounds: () => SEGMENT,
    invocations: () => segments(x) * rowsOf(x).width,
  }),
});

/**
 * Normalises the last axis to mean 0 and variance 1, then scales and shifts it; Ba et al. 2016, arXiv 1607.06450.
 * @param x [..., C]; gamma and beta: [C] or null
 * @param epsilon added to the variance; default 1e-5 (PyTorch)
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
      throwShapeError(
        'layerNorm',
        `expected ${name} [${columns}] for x ${show(x.shape)}, got ${v.dtype} ${show(v.shape)}`,
      );
  }
  return layerNormOp([x, gamma, beta], { epsilon })[0];
}
