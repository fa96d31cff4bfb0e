import softmaxWgsl from '../../shaders/softmax.wgsl' with { type: 'text' };
import { checkCall, checkFlag } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { reshape, type Tensor } from '../graph/tensor.ts';
import { checkRows, laneInvocations, rowKernel, rowsOf } from './rows.ts';

/** The op of softmax (`log` false) or logSoftmax. */
/* @__NO_SIDE_EFFECTS__ */
const forwardOp = (name: string, log: boolean) => {
  const constants = () => ({ LOG: +log });
  const gradient = op({
    name: `${name}Gradient`,
    shape: ([, y]: [dy: Tensor, y: Tensor]) => y.shape,
    kernel: ({ inputs: [, y] }) => ({
      ...rowKernel(softmaxWgsl, y),
      ...{ entry: 'softmax_gradient', inputs: ['dy', 'y'], outputs: ['dx'], constants },
    }),
  });
  return op({
    name,
    shape: ([x]: [x: Tensor]) => x.shape,
    kernel: ({ inputs: [x] }) => ({
      ...rowKernel(softmaxWgsl, x, 3),
      ...{ entry: 'softmax_forward', inputs: ['x'], outputs: ['y'], constants },
    }),
    vjp: (dy, { outputs: [y] }) => [gradient([dy, y])],
  });
};
const softmaxOp = forwardOp('softmax', false);
const logSoftmaxOp = forwardOp('logSoftmax', true);

/** exp(x) over its sum, along the last axis; stable for large x. x: [..., C] -> the same shape */
export function softmax(x: Tensor): Tensor {
  checkRows('softmax', x);
  return softmaxOp([x]);
}

/** x - logSumExp(x), along the last axis. x: [..., C] -> the same shape */
export function logSoftmax(x: Tensor): Tensor {
  checkRows('logSoftmax', x);
  return logSoftmaxOp([x]);
}

const logSumExpOp = op({
  name: 'logSumExp',
  shape: ([x]: [x: Tensor]) => [{ shape: x.shape.slice(0, -1) }, { shape: [rowsOf(x).rows, 2] }],
  kernel: ({ inputs: [x] }) => ({
    ...rowKernel(softmaxWgsl, x),
    entry: 'log_sum_exp_forward',
    inputs: ['x'],
    outputs: ['y', 'statistics'],
  }),
  vjp: (dy, { inputs: [x], outputs: [, statistics] }) => [logSumExpGradientOp([dy, statistics, x])],
});

const logSumExpGradientOp = op({
  name: 'logSumExpGradient',
  shape: ([, , x]: [dy: Tensor, statistics: Tensor, x: Tensor]) => x.shape,
  kernel: ({ inputs: [, , x] }) => ({
    ...rowKernel(softmaxWgsl, x, 0),
    entry: 'log_sum_exp_gradient',
    inputs: ['dy', 'statistics', 'x'],
    outputs: ['dx'],
    invocations: () => laneInvocations(x),
  }),
});

/** log(sum(exp(x))) along the last axis; stable for large x, and -Infinity for a row of -Infinity. x: [..., C] -> [...] */
export function logSumExp(x: Tensor, options: { keepDims?: boolean } = {}): Tensor {
  checkRows('logSumExp', x);
  checkCall('logSumExp', {}, options, 'keepDims');
  const { keepDims = false } = options;
  checkFlag('logSumExp', 'keepDims', keepDims);
  const { rows, columns } = rowsOf(x);
  const outer = x.shape.slice(0, -1);
  // Few long rows would leave a GPU idle: sums of parts first, where the length divides.
  const part = rows < 128 && columns >= 4096 ? divisor(columns) : columns;
  const parts = part < columns ? logSumExp(reshape(x, [...outer, columns / part, part])) : x;
  const [y] = logSumExpOp([parts]);
  return keepDims ? reshape(y, [...outer, 1]) : y;
}

/** The largest divisor of n from 64 to its square root, if parts of that many rows are not too long; else n. */
function divisor(n: number): number {
  for (let d = Math.floor(Math.sqrt(n)); d >= 64; d--) if (n % d === 0) return n / d <= 4096 ? d : n;
  return n;
}
