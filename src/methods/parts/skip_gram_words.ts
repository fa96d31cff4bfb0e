// The two tables of skip-grams with negative sampling, what is drawn from texts, and how it is scored.
import { constant, reshape, type Scalar, type Tensor, type Variable, variable } from '../../graph/tensor.ts';
import type { Encoder } from '../../nn/encoders.ts';
import { streamOf } from '../../nn/init.ts';
import { makeLayer } from '../../nn/layers.ts';
import { add, div, greater, greaterEqual, maximum, mul } from '../../ops/binary.ts';
import { embedding } from '../../ops/embedding.ts';
import { uniformArray } from '../../ops/random.ts';
import { sum } from '../../ops/reduce.ts';
import { gather } from '../../ops/shape.ts';
import { skipGrams } from '../../ops/skip_grams.ts';
import type { SpecialTokens } from '../../text/special.ts';
import type { TextSetting } from '../method.ts';

/** The scores of contexts [M, 1] and of negatives [M, K]. */
export function scores(centers: Tensor, contexts: Tensor, negatives: Tensor): [near: Tensor, far: Tensor] {
  const [M, , D] = negatives.shape;
  const far = sum(mul(reshape(centers, [M, 1, D]), negatives), { axes: 2 });
  return [sum(mul(centers, contexts), { axes: 1, keepDims: true }), far];
}

/** How often a context has a higher score than a negative of its pair; equal ones count half. */
export function nearAboveRandom(
  centers: Tensor,
  contexts: Tensor,
  negatives: Tensor,
  counted: { pairs: Tensor; negatives: Tensor },
): Tensor {
  const [near, far] = scores(centers, contexts, negatives);
  const above = mul(add(greater(near, far), greaterEqual(near, far)), 0.5);
  const both = mul(counted.negatives, reshape(counted.pairs, near.shape));
  return div(sum(mul(above, both)), maximum(sum(both), 1));
}

/** How often each word occurs: special tokens are no words. */
function plainCounts(counts: Uint32Array, special: Readonly<SpecialTokens>): Float32Array {
  const plain = Float32Array.from(counts);
  for (const id of Object.values(special)) plain[id] = 0;
  return plain;
}

/** The probabilities by which words are kept, and the sums of those by which negatives are drawn. */
function chances(counts: Float32Array, subsampling: number, power: number) {
  const total = counts.reduce((a, b) => a + b, 0);
  const weights = Float64Array.from(counts, (n) => (n ? n ** power : 0));
  const all = weights.reduce((a, b) => a + b, 0);
  let sum = 0;
  const cumulative = Float32Array.from(weights, (weight) => {
    sum += weight;
    return sum / all;
  });
  // 1 - (the probability of Section 2.3, by which a word is discarded).
  return { kept: counts.map((n) => (n ? Math.min(1, Math.sqrt((subsampling * total) / n)) : 0)), cumulative };
}

/** The hyperparameters of `wordVectors`, and what it is built from. */
type Setting = Pick<TextSetting, 'vocabulary' | 'special' | 'counts' | 'seed'> &
  Record<'dimensions' | 'window' | 'negatives' | 'pairsPerText' | 'subsampling' | 'power', number>;

/** The pairs of a batch: centres, contexts and negatives as vectors, and which of them count. */
type Drawn = [Tensor, Tensor, Tensor, { pairs: Tensor; negatives: Tensor }];

/**
 * The vectors of words as centres, whose mean is the h of a text, and those as contexts.
 * @returns `drawn`: the pairs of texts, ids u32 [N, T], in a step
 */
export function skipGramModel(setting: Setting): {
  encoder: Encoder;
  contexts: Variable;
  drawn: (ids: Tensor, step: Scalar) => Drawn;
} {
  const { vocabulary: V, dimensions: D, seed, pairsPerText: pairs, window, negatives } = setting;
  // As `word2vec`: uniform on +-1 / (2 D); contexts begin at 0.
  const initial = () => uniformArray(V * D, { seed, stream: streamOf('words') }).map((x) => (x - 0.5) / D);
  const words = variable([V, D], { name: 'words', initial });
  const contexts = variable([V, D], { name: 'contexts' });
  const plain = plainCounts(setting.counts, setting.special);
  const { kept, cumulative } = chances(plain, setting.subsampling, setting.power);
  const known = (ids: Tensor) => gather(constant(plain.map(Math.sign), [V, 1]), ids);
  const meanWord = (ids: Tensor) => {
    const there = known(ids);
    const total = sum(mul(embedding(words, ids), there), { axes: 1 });
    return div(total, maximum(sum(there, { axes: 1 }), 1));
  };
  return {
    encoder: Object.assign(makeLayer('encoder', meanWord, [words]), { outputs: D }),
    contexts,
    drawn(ids, step) {
      const options = { seed, step, pairs, window, negatives };
      const [M, K] = [ids.shape[0] * pairs, negatives];
      const chosen = skipGrams(ids, constant(kept, [V]), constant(cumulative, [V]), options);
      return [
        reshape(embedding(words, chosen.centers), [M, D]),
        reshape(embedding(contexts, chosen.contexts), [M, D]),
        reshape(embedding(contexts, chosen.negatives), [M, K, D]),
        { pairs: reshape(known(chosen.centers), [M]), negatives: reshape(known(chosen.negatives), [M, K]) },
      ];
    },
  };
}
