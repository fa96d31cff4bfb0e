import pairsWgsl from '../../shaders/contrast_pairs.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { stopGradient } from '../graph/gradient.ts';
import { type Call, op } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';
import { mul, sub } from './binary.ts';
import { FEW, fill, gradientOf, partialOp, type Settings } from './contrast.ts';
import { mean } from './reduce.ts';

const source = [pairsWgsl, gridWgsl];

/** The uniforms of kernels that read partial states only. */
const statesUniform = ({ inputs: [partials] }: Call<Settings, [partials: Tensor, ...Tensor[]]>) => {
  const [chunks, m] = partials.shape;
  return { m, width: 0, chunks };
};

const mergeOp = op({
  name: 'contrastMerge',
  shape: ([{ shape }]: [partials: Tensor], _: Settings) => [1, ...shape.slice(1)],
  kernel: {
    source,
    entry: 'contrast_merge',
    inputs: ['partials'],
    outputs: ['merged'],
    uniform: statesUniform,
    rounds: ({ inputs: [partials] }) => partials.shape[0] + 1,
    invocations: ({ outputs: [{ shape }] }) => shape[1],
  },
});

/** Rows relative to a centre, as two operands whose inner products are -|x_i - x_j|^2 / 2. */
const apartOp = op({
  name: 'contrastApart',
  shape: ([{ shape }]: [x: Tensor, centre: Tensor]) => {
    const wide = [shape[0], shape[1] + 4];
    return [{ shape: wide }, { shape: wide }];
  },
  kernel: {
    source,
    entry: 'contrast_apart',
    inputs: ['x', 'centre'],
    outputs: ['apart_x', 'apart_y'],
    uniform: ({ inputs: [x] }) => ({ m: x.shape[0], width: x.shape[1] / 4, chunks: 0 }),
    rounds: ({ inputs: [x] }) => x.shape[1] / 4 + 1,
    invocations: ({ inputs: [x] }) => x.shape[0],
  },
});

// Only the gradient needs the rows.
const pairsOp = op({
  name: 'logMeanKernel',
  shape: ([, { shape }]: [partials: Tensor, x: Tensor, centre: Tensor], _: Settings) => [
    { shape: [] },
    { shape: [1, 3] },
    { shape: [shape[0], 1] },
  ],
  kernel: {
    source,
    entry: 'contrast_combine_pairs',
    inputs: ['partials', 'x', 'y'],
    unread: ['x', 'y'],
    outputs: ['loss', 'statistics', 'shares'],
    uniform: statesUniform,
    // A loop over chunks for each of its rows, one over the rows, one over the 63 other lanes.
    rounds: ({ inputs: [partials] }) => {
      const [chunks, m] = partials.shape;
      return Math.ceil(m / 64) * (chunks + 3) + 66;
    },
    invocations: () => 64,
  },
  vjp: (dy, { inputs: [, rows, centre], outputs: [, stats, shares], options }) => {
    const [x, y] = apartOp([rows, centre]);
    const both = { ...options, rowSide: true, columnSide: true };
    const from = sub(rows, centre);
    const pull = gradientOf(x, y, [null, null], stats, dy, both, from);
    // The weights of a row add up to its share twice: as first and as second row of a pair.
    return [null, sub(pull, mul(mul(shares, mul(dy, 2 * (options.scale as number))), from)), null];
  },
});

/** Up to this t, exp(-t |u_i - u_j|^2) of unit rows stays within f32. */
const FLAT = 20;

/**
 * `log mean exp(-t |x_i - x_j|^2)` over all pairs i != j of rows, streamed as `contrast` is. Distances are computed relative to the mean of the rows,
 * so value and gradient stay accurate however close the rows are.
 * @param x f32 [N, D], N of 2 at least, rows of length 1 at most
 * @returns a scalar, 0 when all rows coincide
 */
export function logMeanKernel(x: Tensor, { t }: { t: number }): Tensor {
  const rows = fill(x);
  const centre = stopGradient(mean(rows, { axes: 0, keepDims: true }));
  const [a, b] = apartOp([rows, centre]);
  const settings: Settings = {
    ...{ scale: 2 * t, temperature: 1, excludeSelf: true, pairOffset: null, byLabel: false },
    ...{ mean: false, apart: true, flat: t <= FLAT },
  };
  const partial = partialOp([a, b, null, null], settings);
  const few = x.shape[0] * partial.shape[0] <= FEW;
  const states = few ? partial : mergeOp([partial], settings);
  return pairsOp([stopGradient(states), rows, centre], settings)[0];
}
