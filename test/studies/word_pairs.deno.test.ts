import * as assert from 'uvu/assert';
import type { Synset } from '../../src/data/synsets.ts';
import { nounPairs, pairCorrelation, pathSimilarity } from '../../src/studies/word_pairs.ts';
import { close, test } from '../harness.ts';

const synset = (lemmas: string, hypernyms: number[] = [], instanceOf: number[] = []): Synset => ({
  ...{ lemmas: lemmas.split(','), file: 3, definition: 'x', examples: [], hypernyms, instanceOf },
});
// entity <- animal <- dog, cat; animal <- pet <- dog; entity <- city <- Paris; an island of its own.
const synsets = [
  synset('entity'),
  synset('animal', [0]),
  synset('pet', [1]),
  synset('dog,hound', [1, 2]),
  synset('cat', [1]),
  synset('city', [0]),
  synset('Paris', [], [5]),
  synset('island'),
  synset('poodle', [3]),
  synset('bank', [0]),
  synset('bank', [5]),
];

test('pathSimilarity: the shortest of several ways up and down', () => {
  const expected: [number, number, number][] = [
    [3, 3, 1],
    [3, 1, 1 / 2],
    [3, 4, 1 / 3],
    [8, 4, 1 / 4],
    [8, 2, 1 / 3],
    [3, 6, 1 / 5],
    [6, 5, 1 / 2],
    [3, 7, 0],
  ];
  for (const [a, b, similarity] of expected) {
    close([pathSimilarity(synsets, a, b)], [similarity], { abs: 1e-12, what: `${a}, ${b}` });
    close([pathSimilarity(synsets, b, a)], [similarity], { abs: 1e-12, what: `${b}, ${a}` });
  }
});

test('nounPairs: words of one synset, no pair twice, by the seed', () => {
  const words = ['dog', 'hound', 'cat', 'bank', 'Paris', 'pet', 'unheard'];
  const pairs = nounPairs(synsets, words, { count: 8, seed: 1 });
  assert.is(pairs.length, 8);
  assert.is(new Set(pairs.map((pair) => [...pair.words].sort().join())).size, 8);
  for (const { words: both, similarity } of pairs) {
    assert.ok(both[0] !== both[1] && both.every((word) => !['bank', 'unheard'].includes(word)), `${both}`);
    const [a, b] = both.map((word) => synsets.findIndex(({ lemmas }) => lemmas.includes(word)));
    assert.is(similarity, pathSimilarity(synsets, a, b));
  }
  assert.equal(nounPairs(synsets, words, { count: 8, seed: 1 }), pairs);
  assert.not.equal(nounPairs(synsets, words, { count: 8, seed: 2 }), pairs);
  assert.is(nounPairs(synsets, ['dog', 'bank']).length, 0);
});

test('pairCorrelation: 1 for cosines in the order of the similarities, -1 against it, by hand between', () => {
  const angles: Record<string, number> = { a: 0, b: 0.2, c: 0.5, d: 1.2 };
  const vectorOf = (word: string) => Float32Array.of(3 * Math.cos(angles[word]), 3 * Math.sin(angles[word]));
  const pairs = (similarities: number[]) =>
    ['b', 'c', 'd'].map((word, i) => ({ words: ['a', word] as const, similarity: similarities[i] }));
  close([pairCorrelation(pairs([0.9, 0.5, 0.1]), vectorOf)], [1], { abs: 1e-9 });
  close([pairCorrelation(pairs([0.1, 0.5, 0.9]), vectorOf)], [-1], { abs: 1e-9 });
  // Ranks 3 2 1 against 2 3 1: 1 - 6 (1 + 1) / (3 * 8).
  close([pairCorrelation(pairs([0.5, 0.9, 0.1]), vectorOf)], [0.5], { abs: 1e-9 });
});
