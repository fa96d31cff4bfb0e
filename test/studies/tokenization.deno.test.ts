// The study of tokenizers: its page, its gate, and the functions its numbers rest on.
import * as assert from 'uvu/assert';
import { transformer } from '../../src/nn/transformer.ts';
import {
  blockParameters,
  DEPTH,
  HEADS,
  predictions,
  WIDTH,
  widthWithin,
} from '../../src/studies/tokenization_models.ts';
import { page, verdict } from '../../src/studies/tokenization_page.ts';
import { keyOf, plan, type TokenizationRow } from '../../src/studies/tokenization_runs.ts';
import {
  bitsPerByte,
  glossOf,
  keywordsOf,
  lengthsOf,
  MOST_BYTES,
  readTexts,
  unknownBits,
  withTypos,
} from '../../src/studies/tokenization_text.ts';
import { bytesOf, byteTokenizer, trainCharacters, trainWords } from '../../src/text/index.ts';
import { close, freshSeed, test } from '../harness.ts';

const docs = new URL('../../docs/', import.meta.url);
const read = (name: string) => Deno.readTextFileSync(new URL(name, docs));
const rows: TokenizationRow[] = JSON.parse(read('studies/tokenization.json'));

test('docs/tokenization.md is what its numbers give', () => {
  assert.is(page(rows), read('tokenization.md'), 'npm run studies -- --only tokenization --draw');
  assert.not.match(page(rows), /NaN|undefined|Infinity|null/);
});

test('every row is measured, once', () => {
  assert.equal(rows.map(keyOf).sort(), plan().map(keyOf).sort());
});

test('the gate: BPE needs fewer bits per byte than bytes, for every pair of seeds', () => {
  for (const name of ['BPE 512', 'BPE 1024', 'BPE 4096'])
    assert.equal(verdict(rows, name, 'blocks').result, 'below');
});

test('a tokenizer is below or above bytes only if all its seeds are', () => {
  const row = (tokenizer: string, seed: number, bitsPerByte: number): TokenizationRow => ({
    ...{ kind: 'language', tokenizer, learned: 'glosses', text: 'glosses', equal: 'blocks', seed },
    ...{ width: 1, table: 1, blocks: 1, bitsPerByte, unknownBits: 0 },
  });
  const result = (bytes: number[], bpe: number[]) =>
    verdict(
      [...bytes.map((v, i) => row('bytes', i, v)), ...bpe.map((v, i) => row('BPE 512', i, v))],
      'BPE 512',
      'blocks',
    );
  assert.equal(result([3, 4], [2, 2.5]).result, 'below');
  close([result([3, 4], [2, 2.5]).saved], [1 - 2.25 / 3.5], { rel: 1e-12 });
  assert.equal(result([3, 4], [5, 4.1]).result, 'above');
  assert.equal(result([3, 4], [2, 3.5]).result, 'no different');
  assert.equal(result([3, 4], []).result, null);
});

test('bits per byte by hand: UTF-8 bytes, one for each end, and what unknown words spell', () => {
  close([bitsPerByte(10 * Math.LN2, 0, ['abc', 'é'])], [10 / 7], { rel: 1e-12 });
  close([bitsPerByte(10 * Math.LN2, 4, ['abc', 'é'])], [2], { rel: 1e-12 });
  const words = trainWords(['a cat'], {});
  assert.is(unknownBits(words, 'a cat'), 0);
  assert.is(unknownBits(words, 'a dog, é'), 8 * (3 + 1) + 8 * (1 + 1) + 8 * (2 + 1));
  assert.is(unknownBits(trainCharacters(['a cat']), 'cañ😀'), 8 * (2 + 1) + 8 * (4 + 1));
  assert.is(unknownBits(byteTokenizer(), 'ñ😀'), 0);
  const { tokensPerByte, unknownShare } = lengthsOf(words, ['a dog', 'é']);
  close([tokensPerByte, unknownShare], [3 / 7, 2 / 3], { rel: 1e-12 });
});

test('what is predicted: the tokens and the end after each prefix, nothing in padding', () => {
  const bytes = byteTokenizer();
  const { begin, end, pad } = bytes.special;
  const { inputs, labels } = predictions(bytes, ['ab', 'cde'], 4);
  assert.equal([...inputs], [begin, 97, 98, end, begin, 99, 100, 101]);
  assert.equal([...labels], [97, 98, end, 2 ** 32 - 1, 99, 100, 101, end]);
  assert.is.not(pad, end);
});

test('typing errors: one swap of neighbours that differ in each word', () => {
  assert.is(withTypos('ab, a aaa 12 éa!', 1), 'ba, a aaa 12 aé!');
  const text = 'small fur-bearing mammals of the old world';
  const seed = freshSeed();
  const changed = withTypos(text, seed);
  assert.is(withTypos(text, seed), changed);
  const split = (of: string) => of.split(/[ -]/);
  for (const [i, word] of split(text).entries()) {
    const other = split(changed)[i];
    const places = [...word].flatMap((letter, at) => (letter === other[at] ? [] : [at]));
    assert.equal(places.length, 2, `${word}, ${other}`);
    assert.equal(places[1], places[0] + 1);
    assert.equal(word[places[0]] + word[places[1]], other[places[1]] + other[places[0]]);
  }
  assert.ok(
    new Set(Array.from({ length: 40 }, (_, i) => withTypos('swap', i))).size === 3,
    'all places occur',
  );
});

test('parameters: those of the blocks are counted, and a narrower model is the widest that fits', () => {
  for (const width of [8, WIDTH]) {
    const { parameters } = transformer({ name: 't', width, depth: DEPTH, heads: HEADS });
    assert.equal(
      parameters.reduce((sum, { size }) => sum + size, 0),
      blockParameters(width),
    );
  }
  const most = blockParameters(WIDTH) + 261 * WIDTH;
  assert.is(widthWithin(most, 261), WIDTH);
  for (const vocabulary of [512, 1024, 4096]) {
    const width = widthWithin(most, vocabulary);
    const size = (of: number) => blockParameters(of) + vocabulary * of;
    assert.ok(size(width) <= most && size(width + HEADS) > most && width % HEADS === 0, `${width}`);
  }
});

test('texts: whole glosses and keywords of at most so many bytes, none in both parts', async () => {
  const gloss = { lemmas: [], file: 3, hypernyms: [], instanceOf: [] };
  const long = 'x'.repeat(MOST_BYTES);
  assert.equal(
    glossOf({ ...gloss, definition: 'a trip', examples: [long, 'to France'] }),
    'a trip; "to France"',
  );
  const emoji = { emoji: '', group: 0, concept: '', names: { de: 'Affe' } };
  assert.equal(keywordsOf({ ...emoji, keywords: { de: ['tier', 'tiere'] } }, 'de'), 'Affe: tier, tiere');
  const { domains, pairs } = await readTexts();
  const entries = new Set(pairs.train.map(({ entry }) => entry));
  assert.ok(!pairs.test.some(({ entry }) => entries.has(entry)));
  assert.equal(new Set(pairs.test.map(({ entry }) => entry)).size, pairs.test.length);
  assert.ok(domains.glosses.train.concat(domains.glosses.test).every((text) => bytesOf(text) <= MOST_BYTES));
});
