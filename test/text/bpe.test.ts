// Byte-level BPE against minbpe's published result, a reference that counts everything again, and Hugging Face's own code.
import { Tokenizer as HuggingFace } from '@huggingface/tokenizers';
import * as assert from 'uvu/assert';
import { readTokenizer } from '../../src/text/read_tokenizer.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { trainBpe } from '../../src/text/train_bpe.ts';
import { freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference/bpe.ts';
import { ODD, oddString } from './strings.ts';

/** 256 bytes and 5 special tokens. */
const BASE = 261;

/** The merges of a tokenizer, as ids. */
function mergesOf(tokenizer: Tokenizer): [number, number][] {
  const { model } = tokenizer.toJSON();
  if (model.type !== 'BPE') throw new Error(`expected BPE, got ${model.type}`);
  return model.merges.map(([left, right]) => [model.vocab[left], model.vocab[right]]);
}

test('the example of minbpe and of Wikipedia', () => {
  const tokenizer = trainBpe(['aaabdaaabac'], { size: BASE + 3 });
  assert.equal([...tokenizer.encode('aaabdaaabac')], [258, 100, 258, 97, 99]);
  assert.equal(mergesOf(tokenizer), [
    [97, 97],
    [256, 97],
    [257, 98],
  ]);
  assert.is(tokenizer.decode([258, 100, 258, 97, 99]), 'aaabdaaabac');
  assert.is(tokenizer.size, 264);
  assert.equal(tokenizer.special, { pad: 259, unknown: 260, mask: 261, begin: 262, end: 263 });
});

test('the merges are those of a trainer that counts everything again', () => {
  const r = random(freshSeed());
  for (let i = 0; i < 100; i++) {
    // Few letters: many ties and overlapping pairs.
    const letters = ['a', 'ab', 'ab ', 'abc ', "aé😀's ", 'a1 \n'][i % 6];
    const list = [...letters];
    const text = () =>
      Array.from({ length: Math.floor(r.next() * 120) }, () => list[Math.floor(r.next() * list.length)]).join(
        '',
      );
    const texts = Array.from({ length: 1 + Math.floor(r.next() * 5) }, i % 7 ? text : () => oddString(r));
    const most = Math.floor(r.next() * 60);
    const least = [1, 2, 2, 3][i % 4];
    const expected = reference.trainBpe(texts, most, least);
    const tokenizer = trainBpe(texts, { size: BASE + most, least });
    assert.equal(mergesOf(tokenizer), expected, JSON.stringify({ texts, most, least }));
    assert.is(tokenizer.size, BASE + expected.length);
    // No two merges make the same token.
    assert.is(Object.keys(tokenizer.toJSON().model.vocab).length, tokenizer.size);
    for (const each of [...texts, text()])
      assert.equal(
        [...tokenizer.encode(each)],
        reference.encodeBpe(each, expected),
        JSON.stringify({ texts, each }),
      );
  }
});

/** Trained on some of the odd strings and on sentences, so that merges of all kinds of text apply. */
function trained(seed: number): { tokenizer: Tokenizer; strings: string[] } {
  const r = random(seed);
  const strings = [...ODD, ...Array.from({ length: 1000 }, () => oddString(r))];
  const english =
    "It's the cat's 2nd toy; they'd seen 1,000 cats. The dog's toys aren't there, we've lost them all!\n";
  const texts = [english.repeat(3), ...strings.filter((_, i) => i % 3)];
  return { tokenizer: trainBpe(texts, { size: 2500 }), strings };
}

test('a thousand odd strings get the tokens of @huggingface/tokenizers, and decode to the same text', () => {
  const { tokenizer, strings } = trained(freshSeed());
  const json = JSON.stringify(tokenizer);
  const theirs = new HuggingFace(JSON.parse(json), {});
  const again = readTokenizer(json);
  assert.ok(tokenizer.size > 1000, `${tokenizer.size} tokens`);
  let merged = 0;
  for (const text of strings) {
    const ids = [...tokenizer.encode(text)];
    const shown = JSON.stringify(text.slice(0, 200));
    assert.equal(ids, theirs.encode(text, { add_special_tokens: false }).ids, shown);
    assert.equal([...again.encode(text)], ids, shown);
    assert.is(tokenizer.decode(ids), text.toWellFormed(), shown);
    const options = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
    if (ids.length) assert.is(theirs.decode(ids, options), text.toWellFormed(), shown);
    merged += ids.filter((id) => id > 255).length;
  }
  assert.ok(merged > 2 * strings.length, `${merged} merged tokens in ${strings.length} strings`);
});

test('any ids decode as by @huggingface/tokenizers, special tokens and broken characters included', () => {
  const { tokenizer } = trained(freshSeed());
  const theirs = new HuggingFace(JSON.parse(JSON.stringify(tokenizer)), {});
  const r = random(freshSeed());
  for (let i = 0; i < 300; i++) {
    const length = 1 + Math.floor(r.next() * 30);
    const ids = Array.from({ length }, () =>
      r.next() < 0.2 ? tokenizer.size - 1 - Math.floor(r.next() * 5) : Math.floor(r.next() * tokenizer.size),
    );
    const options = { clean_up_tokenization_spaces: false };
    assert.is(
      tokenizer.decode(ids, { special: true }),
      theirs.decode(ids, { ...options, skip_special_tokens: false }),
      ids.join(),
    );
    // Where the unknown token stands, ours says that something is missing.
    const known = ids.filter((id) => id !== tokenizer.special.unknown);
    if (known.length)
      assert.is(
        tokenizer.decode(Uint32Array.from(known)),
        theirs.decode(known, { ...options, skip_special_tokens: true }),
        known.join(),
      );
  }
});

test("merges that nobody trained apply as in Hugging Face's code: in any order, by any ids", () => {
  const r = random(freshSeed());
  const { tokenizer } = trained(freshSeed());
  for (let i = 0; i < 4; i++) {
    const file = JSON.parse(JSON.stringify(tokenizer));
    const shuffled = (n: number) => {
      const keys = Array.from({ length: n }, () => r.next());
      return Array.from({ length: n }, (_, k) => k).sort((a, b) => keys[a] - keys[b]);
    };
    const order = shuffled(file.model.merges.length);
    file.model.merges = order.map((k) => file.model.merges[k]);
    // Merges as older files have them.
    if (i % 2) file.model.merges = file.model.merges.map((pair: string[]) => pair.join(' '));
    const ids = shuffled(tokenizer.size);
    for (const token of file.added_tokens) token.id = ids[token.id];
    file.model.vocab = Object.fromEntries(
      Object.entries(file.model.vocab as Record<string, number>).map(([name, id]) => [name, ids[id]]),
    );
    const [ours, theirs] = [readTokenizer(file), new HuggingFace(file, {})];
    assert.equal(
      JSON.parse(JSON.stringify(readTokenizer(JSON.stringify(ours)))),
      JSON.parse(JSON.stringify(ours)),
    );
    for (const text of [...ODD, ...Array.from({ length: 100 }, () => oddString(r))]) {
      const found = [...ours.encode(text)];
      assert.equal(found, theirs.encode(text, { add_special_tokens: false }).ids, JSON.stringify(text));
      assert.is(ours.decode(found), text.toWellFormed());
    }
  }
});

test('names of special tokens in a text are text', () => {
  const tokenizer = trainBpe(['<mask> '.repeat(50), '<pad> '.repeat(50)], { size: 400 });
  const { special } = tokenizer;
  for (const text of ['<mask>', 'a <pad> b</s><s>']) {
    const ids = tokenizer.encode(text);
    assert.ok(!ids.some((id) => Object.values(special).includes(id)));
    assert.is(tokenizer.decode(ids), text);
    assert.equal([...readTokenizer(JSON.stringify(tokenizer)).encode(text)], [...ids]);
  }
});

test('a word of 220,000 bytes', () => {
  const tokenizer = trainBpe(['abracadabra '.repeat(20)], { size: 280 });
  const short = 'abracadabra'.repeat(100);
  assert.equal([...tokenizer.encode(short)], reference.encodeBpe(short, mergesOf(tokenizer)));
  const long = 'abracadabra'.repeat(20_000);
  const ids = tokenizer.encode(long);
  assert.is(tokenizer.decode(ids), long);
  assert.is(ids.length, 200 * tokenizer.encode(short).length);
});

test('what trainBpe cannot learn from is refused', () => {
  throws(() => trainBpe([], { size: 300 }), /trainBpe: expected an array of at least one string for "texts"/);
  throws(() => trainBpe('abc' as never, { size: 300 }), /trainBpe: .*"texts", got "abc"/);
  throws(
    () => trainBpe(['a', 3 as never], { size: 300 }),
    /trainBpe: expected a string for "texts\[1\]", got 3/,
  );
  throws(() => trainBpe(['a'], { size: 260 }), /trainBpe: .*261 to 1048576 for "size", got 260/);
  throws(() => trainBpe(['a'], {} as never), /trainBpe: .*"size", got undefined/);
  throws(() => trainBpe(['a'], { size: 300, least: 0 }), /trainBpe: .*at least 1 for "least", got 0/);
  throws(() => trainBpe(['a'], { size: 300, most: 1 } as never), /trainBpe: unknown option "most"/);
  assert.is(trainBpe([''], { size: 300 }).size, BASE);
});
