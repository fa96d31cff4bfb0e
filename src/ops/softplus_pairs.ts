import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import softplusPairsWgsl from '../../shaders/softplus_pairs.wgsl' with { type: 'text' };
import { accumulate } from '../graph/basic.ts';
import { checkTensor } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { op } from '../graph/op.ts';
import { pack, reshape, type Shape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, mul } from './binary.ts';
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

// Only the gradient needs A, B and the bias. It makes the similarities again, by slabs of B: those by slabs of A would count as the same
// as the forward's, and be kept.
const pairsOp = op({
  name: 'softplusPairs',
  shape: (_: [value: Tensor, a: Tensor, b: Tensor, bias: Tensor]) => ({ shape: [], dtype: 'f32' as const }),
  kernel: {
    source: [softplusPairsWgsl, gridWgsl],
    entry: 'softplus_pairs',
    inputs: ['value', 'a', 'b', 'bias'],
    unread: ['a', 'b', 'bias'],
    outputs: ['total'],
    uniform: () => ({ count: 1 }),
    invocations: () => 64,
  },
  vjp: (dy, { inputs: [, a, b, bias] }) => {
    let [da, dbias]: (Tensor | null)[] = [null, null];
    const parts = slabsOf(b).map((slab) => {
      const weights = mul(sigmoid(logitsOf(slab, a, bias)), dy);
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
 * @returns a scalar
 * @throws ShapeError
 */
export function softplusPairs(a: Tensor, b: Tensor, bias: Tensor): Tensor {
  for (const [name, x] of Object.entries({ a, b }))
    checkTensor('softplusPairs', name, x, { dtype: 'f32', rank: 2 });
  checkTensor('softplusPairs', 'bias', bias, { dtype: 'f32', rank: 1 });
  if (a.shape[1] !== b.shape[1] || bias.size !== 1)
    throwShapeError(
      'softplusPairs',
      `expected [M, D], [N, D] and [1], got ${[a, b, bias].map(({ shape }) => show(shape)).join(', ')}`,
    );
  const sums = slabsOf(a).map((slab) => sum(softplus(logitsOf(slab, b, bias)), { axes: 1 }));
  return pairsOp([stopGradient(sum(joined(sums, [a.shape[0]]))), a, b, bias]);
}
