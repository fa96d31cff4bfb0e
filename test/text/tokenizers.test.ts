// Characters, bytes and words; what all tokenizers have in common; batches.
import * as assert from 'uvu/assert';
import { encodeBatch } from '../../src/text/batch.ts';
import { bytesOf, byteTokenizer } from '../../src/text/bytes.ts';
import { trainCharacters } from '../../src/text/characters.ts';
import { readTokenizer } from '../../src/text/read_tokenizer.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { trainBpe } from '../../src/text/train_bpe.ts';
import { trainWords } from '../../src/text/words.ts';
import { freshSeed, random, test, throws } from '../harness.ts';
import { ODD, oddString } from './strings.ts';

const strings = () => {
  const r = random(freshSeed());
  return [...ODD, ...Array.from({ length: 1000 }, () => oddString(r))];
};
const all = (texts: string[]): Tokenizer[] => [
  byteTokenizer(),
  trainCharacters(texts),
  trainBpe(texts, { size: 600 }),
  trainWords(texts),
  trainWords(texts, { lowerCase: true, size: 500 }),
];

test('characters, bytes and BPE give every text back, and lone surrogates as U+FFFD', () => {
  const texts = strings();
  const own = all(texts);
  for (const tokenizer of own.slice(0, 3))
    for (const text of texts)
      assert.is(
        tokenizer.decode(tokenizer.encode(text)),
        text.toWellFormed(),
        JSON.stringify(text.slice(0, 200)),
      );
  for (const tokenizer of own) {
    assert.equal([...tokenizer.encode('a\ud800 \udc00b')], [...tokenizer.encode('a\ufffd \ufffdb')]);
    assert.equal([...tokenizer.encode('')], []);
    assert.is(tokenizer.decode([]), '');
  }
});

test('characters are code points, numbered by frequency and first occurrence', () => {
  const tokenizer = trainCharacters(['a😀ba', 'b😀e\u0301', '漢']);
  assert.is(tokenizer.name, 'characters');
  // a, 😀 and b twice, in this order; then e, the accent and 漢.
  assert.equal([...tokenizer.encode('a😀be\u0301漢')], [0, 1, 2, 3, 4, 5]);
  assert.equal(tokenizer.special, { pad: 6, unknown: 7, mask: 8, begin: 9, end: 10 });
  assert.is(tokenizer.size, 11);
  assert.equal([...tokenizer.encode('aéx')], [0, 7, 7]);
  assert.is(tokenizer.decode([0, 7, 1]), 'a\ufffd😀');
  const small = trainCharacters(['aab', 'bac'], { size: 7 });
  assert.equal([...small.encode('abc')], [0, 1, small.special.unknown]);
  assert.is(trainCharacters(['']).size, 5);
});

test('bytes are those of UTF-8', () => {
  const tokenizer = byteTokenizer();
  assert.equal([...tokenizer.encode('aé漢😀')], [97, 195, 169, 230, 188, 162, 240, 159, 152, 128]);
  assert.equal([tokenizer.size, ...Object.values(tokenizer.special)], [261, 256, 257, 258, 259, 260]);
  assert.is(tokenizer.decode([240, 159, 97]), '\ufffda');
  for (const text of strings()) {
    const bytes = new TextEncoder().encode(text);
    assert.equal([...tokenizer.encode(text)], [...bytes]);
    assert.is(bytesOf(text), bytes.length, JSON.stringify(text));
  }
});

test('words: letters with marks, digits and inner apostrophes, or one sign', () => {
  const text = "The dog's “3rd” toy, l’été e\u0301 x_y!\n'quoted'  don''t 😀😀 漢字。";
  const wanted = [
    ...['The', "dog's", '“', '3rd', '”', 'toy', ',', 'l’été', 'e\u0301', 'x', '_', 'y', '!'],
    ...["'", 'quoted', "'", 'don', "'", "'", 't', '😀', '😀', '漢字', '。'],
  ];
  const tokenizer = trainWords([text]);
  assert.equal(
    Array.from(tokenizer.encode(text), (id) => tokenizer.decode([id])),
    wanted,
  );
  assert.is(tokenizer.decode(tokenizer.encode(text)), wanted.join(' '));
});

test('words are numbered by frequency and first occurrence; others are unknown', () => {
  const tokenizer = trainWords(['the cat saw the dog', 'a dog saw'], { size: 8 });
  // Thrice none; twice the, saw, dog in the order of their first occurrence.
  assert.equal([...tokenizer.encode('the saw dog cat The')], [0, 1, 2, 4, 4]);
  assert.is(tokenizer.special.unknown, 4);
  assert.is(tokenizer.decode([0, 4, 2]), 'the \ufffd dog');
  assert.is(tokenizer.decode([6, 0, 4, 2, 7, 3, 3], { special: true }), '<s> the <unk> dog </s> <pad> <pad>');
  assert.is(tokenizer.decode([6, 0, 5, 2, 7, 3, 3]), 'the dog');
  const small = trainWords(['The THE the Öl öL'], { lowerCase: true });
  assert.equal([...small.encode('tHe ÖL')], [0, 1]);
  assert.is(small.size, 7);
});

test('a tokenizer is the same after JSON.stringify and readTokenizer', () => {
  const texts = strings();
  for (const tokenizer of all(texts)) {
    const json = JSON.stringify(tokenizer);
    const again = readTokenizer(json);
    const { name, size, special } = tokenizer;
    assert.equal({ name: again.name, size: again.size, special: again.special }, { name, size, special });
    assert.is(JSON.stringify(again), json);
    assert.is(JSON.stringify(readTokenizer(JSON.parse(json))), json);
    for (const text of texts) {
      const ids = tokenizer.encode(text);
      assert.equal([...again.encode(text)], [...ids]);
      assert.is(again.decode(ids), tokenizer.decode(ids));
    }
  }
});

test('a batch is padded, and cut where it is too long', () => {
  const tokenizer = byteTokenizer();
  const [a, b, c] = [97, 98, 99];
  const { pad, begin, end } = tokenizer.special;
  const batch = (texts: string[], options = {}) => {
    const { ids, shape, lengths } = encodeBatch(tokenizer, texts, options);
    assert.is(ids.length, shape[0] * shape[1]);
    return {
      rows: texts.map((_, i) => [...ids.subarray(i * shape[1], (i + 1) * shape[1])]),
      lengths: [...lengths],
    };
  };
  assert.equal(batch(['abc', '', 'a']), {
    rows: [
      [a, b, c],
      [pad, pad, pad],
      [a, pad, pad],
    ],
    lengths: [3, 0, 1],
  });
  assert.equal(batch(['abc', ''], { length: 2 }), {
    rows: [
      [a, b],
      [pad, pad],
    ],
    lengths: [2, 0],
  });
  assert.equal(batch(['abc', '', 'a'], { length: 4, begin: true, end: true }), {
    rows: [
      [begin, a, b, end],
      [begin, end, pad, pad],
      [begin, a, end, pad],
    ],
    lengths: [4, 2, 3],
  });
  assert.equal(batch(['abc', 'a'], { length: 2, end: true }), {
    rows: [
      [a, end],
      [a, end],
    ],
    lengths: [2, 2],
  });
  assert.equal(batch([''], { begin: true }), { rows: [[begin, pad]], lengths: [1] });
  assert.equal(batch(['']), { rows: [[pad]], lengths: [0] });
  assert.equal(batch(['ab', 'ab']), {
    rows: [
      [a, b],
      [a, b],
    ],
    lengths: [2, 2],
  });
});

test('bad arguments are refused, by the name of the function', () => {
  const tokenizer = trainWords(['a b'], { size: 6 });
  throws(() => tokenizer.encode(null as never), /words\.encode: expected a string for "text", got null/);
  throws(() => tokenizer.decode([6]), /words\.decode: expected token ids of 0 to 5, got 6 at place 0/);
  throws(() => tokenizer.decode([0, 0.5]), /words\.decode: .*got 0.5 at place 1/);
  throws(
    () => tokenizer.decode('ab' as never),
    /words\.decode: expected an array of token ids for "ids", got "ab"/,
  );
  throws(
    () => tokenizer.decode([0], { special: 1 } as never),
    /words\.decode: expected true or false for "special"/,
  );
  throws(
    () => tokenizer.decode([0], { specials: true } as never),
    /words\.decode: unknown option "specials"/,
  );
  throws(() => trainWords(['a'], { size: 5 }), /trainWords: .*6 to 1048576 for "size", got 5/);
  throws(() => trainWords(['a'], { lowerCase: 'yes' } as never), /trainWords: .*"lowerCase", got "yes"/);
  throws(() => trainCharacters([]), /trainCharacters: .*at least one string for "texts", got an array of 0/);
  throws(
    () => trainCharacters(['a'], { lowerCase: true } as never),
    /trainCharacters: unknown option "lowerCase"/,
  );
  throws(() => bytesOf(3 as never), /bytesOf: expected a string for "text", got 3/);
  throws(
    () => encodeBatch({} as never, ['a']),
    /encodeBatch: expected a tokenizer for "tokenizer", got an object/,
  );
  throws(() => encodeBatch(tokenizer, []), /encodeBatch: .*"texts"/);
  throws(
    () => encodeBatch(tokenizer, ['a'], { length: 0 }),
    /encodeBatch: .*1 to 1048576 for "length", got 0/,
  );
  throws(
    () => encodeBatch(tokenizer, ['a'], { length: 2, begin: true, end: true }),
    /encodeBatch: .*3 to 1048576 for "length", got 2/,
  );
});
