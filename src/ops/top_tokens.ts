import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import topTokensWgsl from '../../shaders/top_tokens.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { type Tensor, where } from '../graph/tensor.ts';

const topTokensOp = op({
  name: 'topTokens',
  shape: ([keys]: [keys: Tensor], { count }: { count: number }) => [
    { shape: [keys.shape[0], count], dtype: 'u32' as const },
    { shape: [keys.shape[0]], dtype: 'u32' as const },
  ],
  kernel: {
    source: [topTokensWgsl, gridWgsl],
    entry: 'top_tokens',
    inputs: ['keys'],
    outputs: ['ids', 'lengths'],
    uniform: ({ inputs: [{ size, shape }], options: { count } }) => ({
      ...{ count: size, tokens: shape[1], taken: count, samples: shape[0] },
    }),
    rounds: ({ inputs: [{ shape }] }) => ({
      ...{ size: shape[1], rounds: (n) => n + 1, expected: 'at most N tokens a sample' },
    }),
    invocations: ({ inputs: [{ size }] }) => Math.max(4, size),
  },
  vjp: () => [null],
});

/**
 * The tokens of each sample with the largest positive keys, largest first and equal ones by their place, as ids for `takeTokens`: lists of
 * different lengths, such as the tokens of a mask, filled up to one. Random keys choose at random. Not differentiable.
 *
 * @param keys f32 [N, T], finite
 * @param options.count K, the most tokens of a sample, at most T
 * @returns ids u32 [N, K], those after the last token T; and `lengths` u32 [N], the numbers of tokens, which `attention` takes
 * @throws ShapeError for other tensors, InputError unless `count` is a whole number from 1 to T
 */
export function topTokens(keys: Tensor, options: { count: number }): { ids: Tensor; lengths: Tensor } {
  checkCall('topTokens', { keys }, options, 'count');
  checkTensor('topTokens', 'keys', keys, { dtype: 'f32', rank: 2 });
  const { count } = options;
  checkNumber(where('topTokens'), 'count', count, { least: 1, most: keys.shape[1], whole: true });
  const [ids, lengths] = topTokensOp([keys], { count });
  return { ids, lengths };
}
