import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import softplusPairsWgsl from '../../shaders/softplus_pairs.wgsl' with { type: 'text' };
import { accumulate } from '../graph/basic.ts';
import { checkCall, checkTensor } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { op } from '../graph/op.ts';
import {
  constant,
  pack,
  reshape,
  type Shape,
  show,
  sizeOf,
  type Tensor,
  throwShapeError,
} from '../graph/tensor.ts';
import { add, equal, mul, select } from './binary.ts';
import { matmul } from './matmul.ts';
import { sum } from './reduce.ts';
import { slice } from './shape.ts';
import { sigmoid, softplus } from './unary.ts';

/** Rows of a slab, whose similarities to all rows of the other side are held at once. */
const slabRows = (N: number) => (N <= 4096 ? 512 : 256);

/** The rows in slabs. */
function slabsOf(x: Tensor): Tensor[] {
  const [N, D] = x.shape;
  const rows = slabRows(N);
  if (N <= rows) return [x];
  return Array.from({ length: Math.ceil(N / rows) }, (_, i) =>
    slice(x, { starts: [i * rows, 0], sizes: [Math.min(rows, N - i * rows), D] }),
  );
}

/** What was made of slabs, in one piece: each writes its part of that. */
const joined = (parts: Tensor[], shape: Shape) => (parts.length === 1 ? parts[0] : pack(parts, shape));

/** <x_i, y_j> + bias of all rows of two sets. */
const logitsOf = (x: Tensor, y: Tensor, bias: Tensor) => add(matmul(x, y, { transposeB: true }), bias);

/** -1 for the pairs i = j, else 1: [rows, N], of the rows from `start`. */
function signsOf(start: number, rows: number, N: number): Tensor {
  const from = (first: number, shape: Shape) =>
    constant(
      Float32Array.from({ length: sizeOf(shape) }, (_, i) => first + i),
      shape,
    );
  return select(equal(from(start, [rows, 1]), from(0, [1, N])), -1, 1);
}

// Only the gradient needs A, B and the bias. It makes the similarities again, by slabs of B: those by slabs of A would count as the same
// as the forward's, and be kept.
const pairsOp = op({
  name: 'softplusPairs',
  shape: (_: [value: Tensor, a: Tensor, b: Tensor, bias: Tensor], _options: { paired: boolean }) => ({
    shape: [],
    dtype: 'f32' as const,
  }),
  kernel: {
    source: [softplusPairsWgsl, gridWgsl],
    entry: 'softplus_pairs',
    inputs: ['value', 'a', 'b', 'bias'],
    unread: ['a', 'b', 'bias'],
    outputs: ['total'],
    uniform: () => ({ count: 1 }),
    invocations: () => 64,
  },
  vjp: (dy, { inputs: [, a, b, bias], options: { paired } }) => {
    let [da, dbias]: (Tensor | null)[] = [null, null];
    const parts = slabsOf(b).map((slab, i) => {
      const logits = logitsOf(slab, a, bias);
      const signs = paired ? signsOf(i * slabRows(b.shape[0]), slab.shape[0], a.shape[0]) : 1;
      const weights = mul(mul(sigmoid(mul(logits, signs)), signs), dy);
      const [ofA, ofBias] = [matmul(weights, slab, { transposeA: true }), reshape(sum(weights), [1])];
      da = da ? accumulate(da, ofA) : ofA;
      dbias = dbias ? accumulate(dbias, ofBias) : ofBias;
      return matmul(weights, a);
    });
    return [null, da, joined(parts, b.shape), dbias];
  },
});

/**
 * The sum of softplus(<a_i, b_j> + bias) over all pairs of rows, which losses of a sigmoid for each pair are made of (SigLIP, Zhai et al. 2023).
 * Of the M N similarities at most 512 rows are held at a time, forward and backward.
 *
 * @param a f32 [M, D], rows as they are @param b f32 [N, D] @param bias f32 [1]
 * @param options.paired with M = N: softplus(-x) of the pairs i = j, which is softplus(x) - x without its rounding. Default false
 * @returns a scalar
 * @throws ShapeError
 */
export function softplusPairs(
  a: Tensor,
  b: Tensor,
  bias: Tensor,
  options: { paired?: boolean } = {},
): Tensor {
  for (const [name, x] of Object.entries({ a, b }))
    checkTensor('softplusPairs', name, x, { dtype: 'f32', rank: 2 });
  checkTensor('softplusPairs', 'bias', bias, { dtype: 'f32', rank: 1 });
  if (a.shape[1] !== b.shape[1] || bias.size !== 1)
    throwShapeError(
      'softplusPairs',
      `expected [M, D], [N, D] and [1], got ${[a, b, bias].map(({ shape }) => show(shape)).join(', ')}`,
    );
  checkCall('softplusPairs', {}, options, 'paired');
  const { paired = false } = options;
  const [M, N] = [a.shape[0], b.shape[0]];
  if (paired && M !== N)
    throwShapeError('softplusPairs', `expected as many rows of a as of b, got ${M} and ${N}`);
  const sums = slabsOf(a).map((slab, i) => {
    const signs = paired ? signsOf(i * slabRows(M), slab.shape[0], N) : 1;
    return sum(softplus(mul(logitsOf(slab, b, bias), signs)), { axes: 1 });
  });
  return pairsOp([stopGradient(sum(joined(sums, [M]))), a, b, bias], { paired });
}
