import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import skipGramsWgsl from '../../shaders/skip_grams.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { type Scalar, show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';
import { checkWhole, randomLib } from './random.ts';

/** Options of {@link skipGrams}. */
export interface SkipGramsOptions {
  /** u32; a number, or a scalar input. */
  seed: Scalar;
  /** u32, counts steps: each draws others. A number, or a scalar input. */
  step: Scalar;
  /** u32; streams of one seed are independent. Default 0. */
  stream?: Scalar;
  /** Pairs that each text gives. Default 1. */
  pairs?: number;
  /** The most words between which a pair is drawn: centre and context are at most so many apart. Default 5. */
  window?: number;
  /** Random words for each pair. Default 5. */
  negatives?: number;
}

type Settings = Required<SkipGramsOptions>;

const uniforms = (N: number, tokens: number, vocabulary: number, { pairs: each, ...options }: Settings) => {
  const { window, negatives, seed, stream, step } = options;
  return { pairs: N * each, each, tokens, vocabulary, window, negatives, seed, stream, step };
};
const source = [skipGramsWgsl, gridWgsl, randomLib];

const pairsOp = op({
  name: 'skipGrams',
  dtype: 'u32',
  shape: ([ids]: [ids: Tensor, kept: Tensor], { pairs }: Settings) => {
    const shape = [ids.shape[0], pairs];
    return [{ shape }, { shape }];
  },
  kernel: {
    ...{ source, entry: 'skip_grams', inputs: ['ids', 'kept'], outputs: ['centers', 'contexts'] },
    uniform: ({ inputs: [{ shape }, kept], options }) => uniforms(shape[0], shape[1], kept.size, options),
    rounds: ({ inputs: [ids] }) => ({
      ...{ size: ids.shape[1], rounds: (n) => 8 * (n + 1) + 5, expected: 'texts of at most N tokens' },
    }),
    invocations: ({ outputs: [{ size }] }) => Math.ceil(size / 4),
  },
  vjp: () => [null, null],
});

const negativesOp = op({
  name: 'skipGrams',
  dtype: 'u32',
  shape: ([, contexts]: [cumulative: Tensor, contexts: Tensor], { negatives }: Settings) => [
    ...[...contexts.shape, negatives],
  ],
  kernel: {
    ...{ source, entry: 'negative_words', inputs: ['cumulative', 'near'], outputs: ['drawn'] },
    uniform: ({ inputs: [{ size }, near], options }) => uniforms(near.shape[0], 1, size, options),
    rounds: () => 4 * 33 + 5,
    invocations: ({ outputs: [{ size }] }) => Math.ceil(size / 4),
  },
  vjp: () => [null, null],
});

/**
 * Pairs of nearby words for skip-grams with negative sampling (Mikolov et al. 2013, arXiv 1310.4546, Sections 2.2 and 2.3), as `word2vec` draws
 * them: words are dropped at random first; a centre is any word that is left, and its context another at most b places away among those that are
 * left, where b is uniform on 1 to `window`, so that near words count more. A negative that is the context itself is left out. The same
 * arguments give the same bits. Not differentiable.
 *
 * @param ids u32 [N, T]; an id of V or more is no word
 * @param kept the probability that a word is kept, f32 [V]; 0 for tokens that are no words
 * @param cumulative the sums of the probabilities of negatives, f32 [V]: not decreasing, the last one 1
 * @returns `centers` and `contexts` u32 [N, pairs], 0xffffffff where fewer than two words of a text are kept; `negatives` u32 [N, pairs, negatives], 0xffffffff for those left
 *   out
 * @throws ShapeError for tensors of other types or shapes, InputError for options outside their ranges
 */
export function skipGrams(
  ids: Tensor,
  kept: Tensor,
  cumulative: Tensor,
  options: SkipGramsOptions,
): { centers: Tensor; contexts: Tensor; negatives: Tensor } {
  checkCall('skipGrams', { ids, kept, cumulative }, options, 'seed step stream pairs window negatives');
  checkTensor('skipGrams', 'ids', ids, { dtype: 'u32', rank: 2 });
  for (const [name, x] of Object.entries({ kept, cumulative }))
    checkTensor('skipGrams', name, x, { dtype: 'f32', rank: 1 });
  if (kept.size !== cumulative.size)
    throwShapeError(
      'skipGrams',
      `expected "kept" and "cumulative" of one length, got ${show(kept.shape)} and ${show(cumulative.shape)}`,
    );
  const { seed, step, stream = 0, pairs = 1, window = 5, negatives = 5 } = options;
  for (const [name, value] of Object.entries({ seed, step, stream })) checkWhole('skipGrams', name, value);
  for (const [name, n] of Object.entries({ pairs, window, negatives }))
    checkNumber(where('skipGrams'), name, n, { least: 1, most: 2 ** 16, whole: true });
  const settings = { seed, step, stream, pairs, window, negatives };
  const [centers, contexts] = pairsOp([ids, kept], settings);
  const drawn = negativesOp([cumulative, contexts], settings);
  return { centers, contexts, negatives: drawn };
}
