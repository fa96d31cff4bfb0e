import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import studentWgsl from '../../shaders/student_contrast.wgsl' with { type: 'text' };
import { shown } from '../gpu/check.ts';
import { checkCall, checkScalar, checkTensor, POSITIVE } from '../graph/check.ts';
import { type Call, op } from '../graph/op.ts';
import { type Scalar, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { fill } from './contrast.ts';

interface Options {
  nu: Scalar;
  pairOffset: number;
}

const source = [studentWgsl, gridWgsl];

const uniform = ({ inputs: [x], options: { nu, pairOffset } }: Call<Options, [x: Tensor, ...Tensor[]]>) => ({
  ...{ n: x.shape[0], width: x.shape[1] / 4, offset: pairOffset % x.shape[0], nu },
});

/** Rounds of so many loops over all rows, with one over the numbers of a row in each. */
const roundsOf = (loops: number, { shape: [n, d] }: Tensor) => ({
  size: n,
  rounds: (rows: number) => loops * (rows * (d / 4 + 1) + 1) + d / 4 + 1,
  expected: 'at most N rows',
});

const studentOp = op({
  name: 'studentContrast',
  shape: ([{ shape }]: [x: Tensor], _: Options) => [{ shape: [shape[0]] }, { shape: [shape[0], 2] }],
  kernel: {
    source,
    entry: 'student_contrast',
    inputs: ['x'],
    outputs: ['loss', 'statistics'],
    uniform,
    rounds: ({ inputs: [x] }) => roundsOf(2, x),
    invocations: ({ inputs: [x] }) => x.shape[0],
  },
  vjp: (dy, { inputs: [x], outputs: [, statistics], options }) => [gradientOp([x, statistics, dy], options)],
});

const gradientOp = op({
  name: 'studentContrastGradient',
  shape: ([{ shape }]: [x: Tensor, statistics: Tensor, dy: Tensor], _: Options) => shape,
  kernel: {
    source,
    entry: 'student_contrast_gradient',
    inputs: ['x', 'stats', 'dy'],
    outputs: ['dx'],
    uniform,
    rounds: ({ inputs: [x] }) => roundsOf(1, x),
    invocations: ({ inputs: [x] }) => x.size / 4,
  },
});

/**
 * Per row i, against all other rows, with the Student-t similarities `s_ij = -(nu + 1) / 2 log(1 + |x_i - x_j|^2 / nu)`:
 * `log sum_{j != i} exp(s_ij) - s_i,pair`. The contrast of t-SNE's kernel (nu 1, Cauchy). Streamed: memory O(N D), never N x N. Distances
 * come from differences, so that value and gradient keep their digits where rows are close. For rows of few numbers: the
 * gradient computes each distance once for every four of them.
 *
 * @param x [N, D], N >= 2; used as it is
 * @param options.nu degrees of freedom, a number or a scalar input above 0. Default 1
 * @param options.pairOffset the pair of row i is row (i + pairOffset) mod N, another one than i
 * @returns [N]: log(N - 1), without a gradient, where all rows coincide
 * @throws ShapeError
 */
export function studentContrast(x: Tensor, options: { nu?: Scalar; pairOffset: number }): Tensor {
  checkCall('studentContrast', { x }, options, 'nu pairOffset');
  checkTensor('studentContrast', 'x', x, { dtype: 'f32', rank: 2 });
  const { nu = 1, pairOffset } = options;
  checkScalar('studentContrast', 'nu', nu, POSITIVE);
  const [N] = x.shape;
  if (N < 2) throwShapeError('studentContrast', `expected 2 rows or more, got ${show(x.shape)}`);
  if (!Number.isInteger(pairOffset) || pairOffset < 1 || pairOffset % N === 0)
    throwShapeError(
      'studentContrast',
      `expected a whole pairOffset that is no multiple of ${N} rows, got ${shown(pairOffset)}`,
    );
  return studentOp([fill(x)], { nu, pairOffset })[0];
}
