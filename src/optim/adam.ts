import adamWgsl from '../../shaders/adam.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { InputError } from '../gpu/errors.ts';
import { op } from '../graph/op.ts';
import type { Tensor, Variable } from '../graph/tensor.ts';
import {
  checkNumber,
  checkOptimizer,
  makeOptimizer,
  type Optimizer,
  type OptimizerOptions,
  type Rates,
} from './optimizer.ts';

/** Options of {@link adam} and {@link adamW}. */
export interface AdamOptions extends OptimizerOptions {
  /** Decay of the mean of gradients. Default .9 (Kingma & Ba 2015). */
  beta1?: number;
  /** Decay of the mean of squared gradients. Default .999. */
  beta2?: number;
  /** Added to the square root of that mean. Default 1e-8. */
  epsilon?: number;
}

const adamOp = op({
  name: 'adam',
  shape: (_: [gradient: Tensor, header: Tensor, table: Tensor], _options: Rates) => [],
  kernel: {
    source: [adamWgsl, gridWgsl],
    entry: 'adam_update',
    inputs: ['gradient', 'header', 'table'],
    state: ['weight', 'first_moment', 'second_moment'],
    workgroupSize: 256,
    uniform: ({ inputs, options }) => ({ count: inputs[0].size / 4, ...options }),
    // Two vec4s each: 10 to 30 % faster than one on lavapipe.
    invocations: ({ inputs }) => inputs[0].size / 8,
  },
});

function make(
  name: string,
  parameters: readonly Variable[],
  options: AdamOptions,
  decoupled: boolean,
): Optimizer {
  checkOptimizer(name, parameters, options, 'beta1 beta2 epsilon');
  const { learningRate, weightDecay = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  for (const [key, beta] of Object.entries({ beta1, beta2 })) {
    checkNumber(`${name}: ${key}`, beta, 0, 1);
    if (beta === 1) throw new InputError(`${name}: ${key}: expected a number below 1, got 1`);
  }
  // In the padding of flat buffers 0 is divided by it.
  checkNumber(`${name}: epsilon`, epsilon, 1e-30);
  // From the exact betas: 1 - .999 in f32 has a relative error of 1e-5.
  const [first, second] = [1 - beta1, 1 - beta2];
  const rates = { learningRate, weightDecay, first, second, epsilon, decoupled: Number(decoupled) };
  return makeOptimizer(parameters, options, {
    name,
    moments: ['firstMoment', 'secondMoment'],
    betas: [beta1, beta2],
    update: ({ gradient, header, table, parameters: flat, moments }) =>
      adamOp([gradient, header, table], rates, [flat, ...moments]),
  });
}

/**
 * Adam, Kingma & Ba 2015, as in PyTorch: weight decay is added to the gradient.
 * An update whose gradient is not finite is skipped and counted. Three dispatches.
 */
export const adam = (parameters: readonly Variable[], options: AdamOptions): Optimizer =>
  make('adam', parameters, options, false);

/** AdamW, Loshchilov & Hutter 2019: weight decay (default .01) shrinks the weights themselves, by learningRate weightDecay. */
export const adamW = (parameters: readonly Variable[], options: AdamOptions): Optimizer =>
  make('adamW', parameters, options && { weightDecay: 0.01, ...options }, true);
