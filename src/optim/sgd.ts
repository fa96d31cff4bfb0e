import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import sgdWgsl from '../../shaders/sgd.wgsl' with { type: 'text' };
import { InputError } from '../gpu/errors.ts';
import { checkFlag } from '../graph/check.ts';
import { type Kernel, op } from '../graph/op.ts';
import type { Tensor, Variable } from '../graph/tensor.ts';
import {
  checkNumber,
  checkOptimizer,
  makeOptimizer,
  type Optimizer,
  type OptimizerOptions,
  type Rates,
} from './optimizer.ts';

/** Options of {@link sgd}. */
export interface SgdOptions extends OptimizerOptions {
  /** Default 0: no momentum, and no velocity is stored. */
  momentum?: number;
  /** Nesterov's momentum. Default false. */
  nesterov?: boolean;
}

type Inputs = [gradient: Tensor, header: Tensor, table: Tensor];

const kernel: Kernel<Rates, Inputs> = {
  source: [sgdWgsl, gridWgsl],
  entry: 'sgd_update',
  inputs: ['gradient', 'header', 'table'],
  state: ['weight', 'velocity'],
  workgroupSize: 256,
  uniform: ({ inputs, options }) => ({ count: inputs[0].size / 4, ...options }),
  invocations: ({ inputs }) => inputs[0].size / 4,
};

const shape = (_: Inputs, _options: Rates) => [];
const sgdOp = op({ name: 'sgd', shape, kernel });
const plainSgdOp = op({
  name: 'plainSgd',
  shape,
  kernel: { ...kernel, entry: 'sgd_plain', state: ['weight'] },
});

/**
 * Stochastic gradient descent as in PyTorch: v = momentum v + g + weightDecay w; w -= learningRate v.
 * An update whose gradient is not finite is skipped and counted. Three dispatches.
 */
export function sgd(parameters: readonly Variable[], options: SgdOptions): Optimizer {
  checkOptimizer('sgd', parameters, options, 'momentum nesterov');
  const { learningRate, weightDecay = 0, momentum = 0, nesterov = false } = options;
  checkNumber('sgd: momentum', momentum, 0, 1);
  checkFlag('sgd', 'nesterov', nesterov);
  if (nesterov && momentum === 0) throw new InputError('sgd: nesterov needs a momentum above 0');
  const rates = { learningRate, weightDecay, momentum, nesterov: Number(nesterov) };
  return makeOptimizer(parameters, options, {
    name: 'sgd',
    moments: momentum ? ['velocity'] : [],
    update: ({ gradient, header, table, parameters: flat, moments }) =>
      (momentum ? sgdOp : plainSgdOp)([gradient, header, table], rates, [flat, ...moments]),
  });
}
