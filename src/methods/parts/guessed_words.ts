// Held-out texts whose words are hidden, and what a masked language model guesses.
import { constant, reshape, type Tensor } from '../../graph/tensor.ts';
import type { TextEncoder } from '../../nn/text_encoder.ts';
import { greater, select } from '../../ops/binary.ts';
import { type MaskTokensOptions, maskTokens } from '../../ops/mask_tokens.ts';
import { concatenate, gather } from '../../ops/shape.ts';
import { putTokens, takeTokens } from '../../ops/tokens.ts';
import { topKSimilar } from '../../ops/top_k.ts';
import type { TextPanel } from '../panel.ts';

/** Ids as numbers of f32, in which they are exact: there are fewer than 2^24. */
function numbersOf(ids: Tensor, vocabulary: number): Tensor {
  const table = constant(
    Float32Array.from({ length: vocabulary }, (_, id) => id),
    [vocabulary, 1],
  );
  return reshape(gather(table, ids), ids.shape);
}

/**
 * The panel of guesses: the same texts and places each time.
 * @param head of the logits: `features` of outputs of the encoder, [M, D] -> [M, D], whose products with the encoder's table, and the `bias` [V],
 *   they are
 */
export const guessedWords = (
  encoder: TextEncoder,
  options: MaskTokensOptions,
  { features, bias }: { features: (tokens: Tensor) => Tensor; bias: Tensor },
): TextPanel => ({
  title: 'Hidden words and guesses',
  caption:
    'Held-out texts, of which the marked tokens are hidden from the model; and with the token in their places that the model thinks most likely.',
  rows: ['text', 'guessed'],
  tokens(ids) {
    const [N, T] = ids.shape;
    const { hidden, places } = maskTokens(ids, options);
    const K = places.shape[1];
    const tokens = reshape(takeTokens(encoder.tokens(hidden), places), [N * K, encoder.outputs]);
    const ones = constant(new Float32Array(N * K).fill(1), [N * K, 1]);
    const queries = concatenate([features(tokens), ones], { axis: 1 });
    const gallery = concatenate([encoder.table, reshape(bias, [bias.size, 1])], { axis: 1 });
    const { indices } = topKSimilar(queries, gallery, { k: 1 });
    const found = reshape(numbersOf(indices, options.vocabulary), [N, K, 1]);
    const put = (x: Tensor) => reshape(putTokens(x, places, { tokens: T }), [N, T]);
    const marked = put(reshape(ones, [N, K, 1]));
    const own = numbersOf(ids, options.vocabulary);
    const guessed = select(greater(marked, 0), put(found), own);
    return { ids: reshape(concatenate([own, guessed]), [2, N, T]), marked };
  },
});
