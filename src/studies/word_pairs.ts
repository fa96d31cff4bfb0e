// Word vectors against WordNet: whether words that it places near each other are near.
import { sampleRankCorrelation } from 'simple-statistics';
import type { Synset } from '../data/synsets.ts';
import { permutationArray } from '../ops/random.ts';

/** Two words, and how near their synsets are. */
export interface WordPair {
  words: readonly [string, string];
  similarity: number;
}

/** The steps up to each synset above one, itself included at 0; classes of an instance count as above it. */
function above(synsets: readonly Synset[], start: number): Map<number, number> {
  const steps = new Map([[start, 0]]);
  for (const [at, distance] of steps)
    for (const next of [...synsets[at].hypernyms, ...synsets[at].instanceOf])
      if (!steps.has(next)) steps.set(next, distance + 1);
  return steps;
}

/**
 * WordNet's path similarity of two synsets (Pedersen et al. 2004): 1 / (1 + the length of the shortest path up to a synset above both and down);
 * 0 where nothing is above both.
 * @param a, b indices of the list
 */
export function pathSimilarity(synsets: readonly Synset[], a: number, b: number): number {
  const [fromA, fromB] = [above(synsets, a), above(synsets, b)];
  let shortest = Number.POSITIVE_INFINITY;
  for (const [at, distance] of fromA) shortest = Math.min(shortest, distance + (fromB.get(at) ?? Infinity));
  return 1 / (1 + shortest);
}

/**
 * Random pairs of different words of one meaning each: those that are in one synset alone, and in it with the similarity of the two synsets.
 * @param words those to choose from, such as the ones that are frequent in the texts
 * @param options.count default 2,000; fewer where there are fewer words: each word is in as many pairs as others, or one more
 */
export function nounPairs(
  synsets: readonly Synset[],
  words: Iterable<string>,
  options: { count?: number; seed?: number } = {},
): WordPair[] {
  const { count = 2000, seed = 0 } = options;
  const places = new Map<string, number[]>();
  for (const [i, { lemmas }] of synsets.entries())
    for (const lemma of lemmas) places.set(lemma, [...(places.get(lemma) ?? []), i]);
  const clear = [...new Set(words)].flatMap((word) => {
    const found = places.get(word) ?? [];
    return found.length === 1 ? [{ word, synset: found[0] }] : [];
  });
  const pairs: WordPair[] = [];
  const seen = new Set<string>();
  // Each round pairs all words, by another permutation.
  const rounds = clear.length < 2 ? 0 : Math.ceil((4 * count) / Math.floor(clear.length / 2));
  for (let epoch = 0; epoch < rounds; epoch++) {
    const order = permutationArray(clear.length, { seed, epoch });
    for (let i = 0; i + 1 < order.length && pairs.length < count; i += 2) {
      const [a, b] = [order[i], order[i + 1]].sort((x, y) => x - y);
      if (seen.has(`${a} ${b}`)) continue;
      seen.add(`${a} ${b}`);
      const similarity = pathSimilarity(synsets, clear[a].synset, clear[b].synset);
      pairs.push({ words: [clear[a].word, clear[b].word], similarity });
    }
  }
  return pairs;
}

/**
 * Spearman's rank correlation of the cosines of words' vectors with the similarities of pairs.
 * @param vectorOf the vector of a word
 */
export function pairCorrelation(
  pairs: readonly WordPair[],
  vectorOf: (word: string) => Float32Array,
): number {
  const cosines = pairs.map(({ words: [a, b] }) => cosine(vectorOf(a), vectorOf(b)));
  return sampleRankCorrelation(
    cosines,
    pairs.map(({ similarity }) => similarity),
  );
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, v, i) => sum + v * y[i], 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return lengths === 0 ? 0 : dot(a, b) / lengths;
}
