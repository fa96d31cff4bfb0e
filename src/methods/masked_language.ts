import { checkTensor } from '../graph/check.ts';
import { layer, reshape, show, type Tensor, throwShapeError, variable } from '../graph/tensor.ts';
import { layerNorm, linear } from '../nn/layers.ts';
import { add } from '../ops/binary.ts';
import { crossEntropy } from '../ops/cross_entropy.ts';
import { maskTokens } from '../ops/mask_tokens.ts';
import { matmul } from '../ops/matmul.ts';
import { takeTokens } from '../ops/tokens.ts';
import { FIXED_SHARE, SHARE, type TextMethod } from './method.ts';
import { guessedWords } from './parts/guessed_words.ts';
import { guessed, meanOfLabelled, perToken, unigramLoss } from './parts/predicted_tokens.ts';

const hyperparameters = { rate: [0.15, FIXED_SHARE], masked: [0.8, SHARE], random: [0.1, SHARE] } as const;

/**
 * The loss of a masked language model: Devlin et al. 2018, arXiv 1810.04805, Section 3.1, Task 1: the mean of `-log softmax(logits)[label]` over
 * the tokens that are to be predicted; 0 where there are none.
 *
 * @param logits [M, V]
 * @param labels u32 [M]: the tokens; V or more, such as 0xffffffff, for rows that are left out
 * @throws ShapeError for other types or shapes
 */
export function maskedLanguageLoss(logits: Tensor, labels: Tensor): Tensor {
  checkTensor('maskedLanguageLoss', 'logits', logits, { dtype: 'f32', rank: 2 });
  checkTensor('maskedLanguageLoss', 'labels', labels, { dtype: 'u32', rank: 1 });
  if (labels.size !== logits.shape[0])
    throwShapeError(
      'maskedLanguageLoss',
      `expected logits [M, V] and labels [M], got ${show(logits.shape)} and ${show(labels.shape)}`,
    );
  return meanOfLabelled(crossEntropy(logits, labels), labels, logits.shape[1]);
}

/**
 * A masked language model. What predicts the tokens is, as in BERT's code, a linear layer with GELU and a norm, then the product with the table of
 * the tokens' embeddings, and a bias; it sees only the places that are to be predicted. Texts are represented by the encoder alone. `rate`: the
 * share of a text's tokens that is chosen; `masked` and `random`: what share of these becomes the mask, or another token.
 */
export const maskedLanguage = {
  title: 'Masked language model',
  paper: 'Devlin et al., arXiv 1810.04805',
  year: 2018,
  summary: 'predict tokens that are hidden from those around them',
  data: 'text',
  defaults: { epochs: 15, batch: 128, learningRate: 2e-3 },
  hyperparameters,
  curves: [
    {
      key: 'accuracy',
      name: 'accuracy',
      digits: 3,
      hint: 'share of the hidden tokens of the batch that are guessed',
    },
    {
      key: 'unigram',
      name: 'unigram loss',
      digits: 3,
      hint: 'the loss of the same tokens by their frequencies alone: what the model must beat',
    },
  ],
  build({ encoder, vocabulary: V, special, counts, seed, hyperparameters: { rate, masked, random } }) {
    const D = encoder.outputs;
    const dense = linear({ name: 'prediction', inputs: D, outputs: D, activation: 'gelu', seed });
    const norm = layerNorm({ name: 'predictionNorm', features: D });
    const bias = variable([V], { name: 'prediction.tokenBias' });
    const choice = { vocabulary: V, special: Object.values(special), mask: special.mask, seed, rate };
    const features = (tokens: Tensor) => norm(dense(tokens));
    /** Tokens to logits. [M, D] -> [M, V] */
    const predict = (tokens: Tensor) =>
      layer('prediction', () => add(matmul(features(tokens), encoder.table, { transposeB: true }), bias));
    let latest: { logits: Tensor; labels: Tensor };
    return {
      parameters: [...dense.parameters, ...norm.parameters, bias],
      loss({ ids, step }) {
        const { hidden, places, labels } = maskTokens(ids, { ...choice, step, masked, random });
        const tokens = takeTokens(encoder.tokens(hidden, { training: true, step }), places);
        latest = {
          logits: predict(reshape(tokens, [places.size, D])),
          labels: reshape(labels, [places.size]),
        };
        return maskedLanguageLoss(latest.logits, latest.labels);
      },
      curves: () => ({
        accuracy: meanOfLabelled(guessed(latest.logits, latest.labels), latest.labels, V),
        unigram: meanOfLabelled(perToken(unigramLoss(counts), latest.labels), latest.labels, V),
      }),
      textPanels: [guessedWords(encoder, { ...choice, step: 0, masked: 1, random: 0 }, { features, bias })],
    };
  },
} satisfies TextMethod<typeof hyperparameters>;
