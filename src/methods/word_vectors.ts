import { checkTensor } from '../graph/check.ts';
import { constant, reshape, sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, div, maximum, mul } from '../ops/binary.ts';
import { sum } from '../ops/reduce.ts';
import { neg, softplus } from '../ops/unary.ts';
import { COUNT, type TextMethod } from './method.ts';
import { nearAboveRandom, scores, skipGramModel } from './parts/skip_gram_words.ts';

const hyperparameters = {
  dimensions: [64, COUNT],
  window: [5, { least: 1, most: 1000, whole: true }],
  negatives: [5, { least: 1, most: 1000, whole: true }],
  pairsPerText: [8, { least: 1, most: 1000, whole: true }],
  subsampling: [1e-3, { least: 1e-9, most: 1, fixed: true }],
  power: [0.75, { least: 0, most: 1, fixed: true }],
} as const;

/**
 * Skip-grams with negative sampling: Mikolov et al. 2013, arXiv 1310.4546, Equation 4, as a loss: the mean over pairs of
 * `-log s(u.v) - sum_k log s(-n_k.v)` with s the logistic function.
 *
 * @param centers v, [M, D]
 * @param contexts u, the output vectors of the words that were near, [M, D]
 * @param negatives n, output vectors of random words, [M, K, D]
 * @param counted 1 for what counts, 0 for what is left out: of `pairs` [M], of `negatives` [M, K]. Default: all. The loss of no pair is 0.
 * @throws ShapeError for other types or shapes
 */
export function wordVectorsLoss(
  centers: Tensor,
  contexts: Tensor,
  negatives: Tensor,
  counted: { pairs?: Tensor; negatives?: Tensor } = {},
): Tensor {
  checkTensor('wordVectorsLoss', 'negatives', negatives, { dtype: 'f32', rank: 3 });
  const [M, K, D] = negatives.shape;
  const ones = (...shape: number[]) =>
    constant(new Float32Array(shape.reduce((a, b) => a * b)).fill(1), shape);
  const { pairs = ones(M), negatives: some = ones(M, K) } = counted;
  for (const [name, x, shape] of [
    ['centers', centers, [M, D]],
    ['contexts', contexts, [M, D]],
    ['counted.pairs', pairs, [M]],
    ['counted.negatives', some, [M, K]],
  ] as const) {
    checkTensor('wordVectorsLoss', name, x, { dtype: 'f32' });
    if (!sameShape(x.shape, shape))
      throwShapeError('wordVectorsLoss', `expected ${show(shape)} for "${name}", got ${show(x.shape)}`);
  }
  const [near, far] = scores(centers, contexts, negatives);
  const each = add(reshape(softplus(neg(near)), [M]), sum(mul(softplus(far), some), { axes: 1 }));
  return div(sum(mul(each, pairs)), maximum(sum(pairs), 1));
}

/**
 * Word vectors by negative sampling (`word2vec`): the vector of a word tells which words are near it in texts. Words have vectors as centres, which
 * represent them, and others as contexts; a text is the mean of the vectors of its words. Each text of a batch gives `pairsPerText` pairs of a centre
 * and a context at most `window` words apart, with `negatives` random words each, drawn by frequency to the `power`; one that is the context
 * itself is left out. Frequent words are dropped: a word of frequency f is kept with probability sqrt(`subsampling` / f); 1 keeps all.
 */
export const wordVectors = {
  title: 'Word vectors (skip-gram)',
  paper: 'Mikolov et al., arXiv 1310.4546',
  year: 2013,
  summary: 'tell the words that are near a word from random ones; a text is the mean of its words',
  data: 'text',
  defaults: { epochs: 15, batch: 256, learningRate: 1e-2, tokenizer: 'words' },
  hyperparameters,
  curves: [
    {
      key: 'near',
      name: 'near and random',
      digits: 3,
      hint: 'how often a word that is near scores higher than a random one: 0.5 by chance',
    },
  ],
  build({ hyperparameters, ...setting }) {
    const { encoder, contexts, drawn } = skipGramModel({ ...setting, ...hyperparameters });
    let latest: ReturnType<typeof drawn>;
    return {
      model: { layers: [encoder], encoder },
      parameters: [contexts],
      loss({ ids, step }) {
        latest = drawn(ids, step);
        return wordVectorsLoss(...latest);
      },
      curves: () => ({ near: nearAboveRandom(...latest) }),
    };
  },
} satisfies TextMethod<typeof hyperparameters>;
