import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkFlag, checkFloat } from '../graph/check.ts';
import { show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';
import { add, mul, sub } from './binary.ts';
import { mean, type ReduceOptions } from './reduce.ts';
import { sqrt, square } from './unary.ts';

/** Options of {@link variance} and {@link std}; `unbiased` divides by n - 1. */
export interface VarianceOptions extends ReduceOptions {
  unbiased?: boolean;
}

/** The mean squared distance from the mean over some axes, or all. Two passes, so that a large mean costs no precision. */
export function variance(x: Tensor, options: VarianceOptions = {}): Tensor {
  checkFloat('variance', x);
  checkCall('variance', {}, options, 'axes keepDims unbiased');
  const { axes, keepDims, unbiased = false } = options;
  checkFlag('variance', 'unbiased', unbiased);
  const centred = sub(x, mean(x, { axes, keepDims: true }));
  const y = mean(square(centred), { axes, keepDims });
  const count = x.size / y.size;
  if (!unbiased) return y;
  if (count < 2) throwShapeError('variance', `expected at least 2 elements, got ${show(x.shape)}`);
  return mul(y, count / (count - 1));
}

/** The square root of {@link variance}. Its gradient is infinite where all elements are equal; see `epsilon`. */
export function std(x: Tensor, options: VarianceOptions & { epsilon?: number } = {}): Tensor {
  checkFloat('std', x);
  checkCall('std', {}, options, 'axes keepDims unbiased epsilon');
  const { epsilon = 0, ...rest } = options;
  checkNumber(where('std'), 'epsilon', epsilon, { least: 0 });
  return sqrt(add(variance(x, rest), epsilon));
}
