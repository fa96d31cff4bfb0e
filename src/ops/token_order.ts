import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import orderWgsl from '../../shaders/token_order.wgsl' with { type: 'text' };
import { checkCall } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { checkShape, type Scalar, sizeOf, type Tensor } from '../graph/tensor.ts';
import { checkWhole, randomLib } from './random.ts';

interface Options {
  /** N, the number of samples of the batch. */
  samples: number;
  /** T, the number of tokens of a sample. */
  tokens: number;
  /** u32; a number, or a scalar input. */
  seed: Scalar;
  /** u32, counts steps: each has other orders. A number, or a scalar input. */
  step: Scalar;
  /** u32; streams of one seed are independent. Default 0. */
  stream?: Scalar;
}

const orderOp = op({
  name: 'tokenOrder',
  dtype: 'u32',
  shape: (_: [], { samples, tokens }: Required<Options>) => [samples, tokens],
  kernel: {
    source: [orderWgsl, gridWgsl, randomLib],
    entry: 'token_order',
    outputs: ['order'],
    uniform: ({ outputs: [{ shape }], options: { tokens, seed, step, stream } }) => ({
      ...{ count: sizeOf(shape), tokens, seed, step, stream },
    }),
    // Eight permutations; cycle walking takes two steps on average, of five rounds each.
    rounds: () => 4000,
    invocations: ({ outputs: [y] }) => Math.ceil(y.size / 4),
  },
  vjp: () => [],
});

/**
 * A random order of the tokens of each sample, another one for each sample and step. For random masks as in MAE (He et al. 2021,
 * arXiv 2111.06377, section 3: a permutation whose first part is kept) the first K columns are the visible tokens:
 * `slice(order, { starts: [0, 0], sizes: [-1, K] })`, and the rest the masked ones, both as ids for `takeTokens`.
 *
 * Each row is the product of two permutations by Feistel networks of eight rounds, with keys of (seed, stream, step, sample): nothing is
 * sorted, and the same arguments give the same bits. Tokens are at all places, and pairs of tokens at all pairs of places,
 * equally often in 20,000 orders up to their noise (one network alone is off by 5 to 9 % for 5 to 8 tokens). Where T is a power of two from
 * 16 on, only even permutations occur, half of all.
 * @returns u32 [N, T]
 * @throws ShapeError for sizes that are no positive whole numbers, and for a seed, step or stream that is no u32
 */
export function tokenOrder(options: Options): Tensor {
  checkCall('tokenOrder', {}, options, 'samples tokens seed step stream');
  const { samples, tokens, seed, step, stream = 0 } = options;
  checkShape('tokenOrder', '', [samples, tokens]);
  checkWhole('tokenOrder', 'seed', seed);
  checkWhole('tokenOrder', 'step', step);
  checkWhole('tokenOrder', 'stream', stream);
  return orderOp([], { samples, tokens, seed, step, stream });
}
