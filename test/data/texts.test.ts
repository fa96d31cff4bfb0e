import * as assert from 'uvu/assert';
import type { Synset } from '../../src/data/synsets.ts';
import {
  glossTexts,
  idsOf,
  samplesOf,
  spacedTexts,
  type TextSet,
  textBatch,
  textSet,
  textViews,
  tokenCounts,
} from '../../src/data/texts.ts';
import { initialOf, scalar } from '../../src/graph/tensor.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { trainWords } from '../../src/text/index.ts';
import { device, test, throws } from '../harness.ts';

const texts = ['a b c', 'b', '', 'c c a b a', 'unknown words'];
const tokenizer = trainWords(texts.slice(0, 4));
const [a, b, c] = ['a', 'b', 'c'].map((word) => tokenizer.encode(word)[0]);
const { pad, unknown } = tokenizer.special;
const partners = [['c b', 'a a'], [], [], ['b b'], []];
const setOf = (name = 'texts') => textSet({ texts, partners }, { tokenizer, length: 4, name });

test('rows of ids: texts, then those that belong to them; long ones lose their end', () => {
  const set = setOf();
  assert.equal([set.count, set.length, set.ids.shape], [5, 4, [8, 4]]);
  assert.equal(Array.from(initialOf(set.ids) as Uint32Array), [
    ...[a, b, c, pad, b, pad, pad, pad, pad, pad, pad, pad, c, c, a, b],
    ...[unknown, unknown, pad, pad, c, b, pad, pad, a, a, pad, pad, b, b, pad, pad],
  ]);
  assert.is(idsOf(set).ids.length, 20);
  const counts = tokenCounts(set);
  assert.equal([counts[a], counts[b], counts[c], counts[unknown], counts[pad]], [2, 3, 3, 2, 0]);
  assert.equal([samplesOf(set), samplesOf(set, 'examples')], [5, 6]);
  assert.equal(Array.from(spacedTexts(set, 6, 'examples')), [0, 0, 1, 2, 3, 4]);
});

/** What a step draws, at some steps. */
async function drawn(
  set: TextSet,
  steps: number,
  build: (step: ReturnType<typeof scalar>) => { y: ReturnType<typeof textBatch> },
) {
  const gpu = await device();
  const compiled = await compile(gpu, ({ step }) => build(step as never), {
    inputs: { step: scalar('u32') },
  });
  const found: number[][] = [];
  for (let step = 0; step < steps; step++) {
    await compiled.run({ step });
    found.push(Array.from(await compiled.read('y')));
  }
  compiled.dispose();
  freeVariables(gpu, [set.ids, ...(set.pairs ? [set.pairs.first, set.pairs.second] : [])]);
  return found;
}

const rowOf = (row: number[]) => row.join();

test('batches: each text once an epoch; a view of a text is the text, or an example where it has some', async () => {
  const one = setOf('one');
  const epoch = await drawn(one, 5, (step) => ({
    y: textBatch(one, { rows: 1, seed: 3, step: step as never }),
  }));
  const all = Array.from({ length: 5 }, (_, i) =>
    rowOf(Array.from(idsOf(one).ids.subarray(4 * i, 4 * i + 4))),
  );
  assert.equal(epoch.map(rowOf).sort(), [...all].sort());
  const two = setOf('two');
  const same = await drawn(two, 2, (step) => ({
    y: textViews(two, { rows: 2, seed: 3, step: step as never }),
  }));
  for (const rows of same) assert.equal(rows.slice(0, 8), rows.slice(8));
  const three = setOf('three');
  const pairs = await drawn(three, 6, (step) => ({
    y: textViews(three, { rows: 1, views: 'examples', seed: 3, step: step as never }),
  }));
  const long = Array.from(initialOf(three.ids) as Uint32Array);
  const row = (i: number) => long.slice(4 * i, 4 * i + 4);
  const expected = [
    [0, 5],
    [0, 6],
    [1, 1],
    [2, 2],
    [3, 7],
    [4, 4],
  ].map(([i, j]) => rowOf([...row(i), ...row(j)]));
  assert.equal(pairs.map(rowOf).sort(), expected.sort());
});

test('glosses: a definition and its examples are on one side, those with examples come first, labels are numbered', () => {
  const synsets = Array.from(
    { length: 60 },
    (_, i): Synset => ({
      ...{
        lemmas: [`w${i}`],
        file: 5 + (i % 3) * 2,
        definition: `definition ${i}`,
        hypernyms: [],
        instanceOf: [],
      },
      examples: i % 4 ? [] : [`example ${i}`],
    }),
  );
  const { train, test: held, classNames } = glossTexts(synsets, { count: 30, held: 8 });
  assert.equal([train.texts.length, held.texts.length], [22, 8]);
  assert.equal(classNames, ['animal', 'attribute', 'cognition']);
  const all = [...train.texts, ...held.texts];
  assert.is(new Set(all).size, 30);
  assert.is(all.filter((text) => Number(text.split(' ')[1]) % 4 === 0).length, 15);
  for (const part of [train, held])
    for (const [i, text] of part.texts.entries()) {
      const n = Number(text.split(' ')[1]);
      assert.is(part.labels![i], n % 3);
      assert.equal(part.partners![i], n % 4 ? [] : [`example ${n}`]);
    }
  assert.equal(glossTexts(synsets, { count: 30, held: 8 }), { train, test: held, classNames });
  assert.not.equal(glossTexts(synsets, { count: 30, held: 8, seed: 1 }).train.texts, train.texts);
});

test('errors', () => {
  throws(() => textSet({ texts: [] }, { tokenizer }), /textSet: expected an array of at least one string/);
  throws(() => textSet({ texts, labels: new Uint32Array(2) }, { tokenizer }), /expected 5 labels/);
  throws(() => textSet({ texts }, { tokenizer: {} as never }), /textSet: .*tokenizer.encode/);
  const plain = textSet({ texts }, { tokenizer, name: 'plain' });
  throws(
    () => samplesOf(plain, 'examples'),
    /expected texts that others belong to, such as glosses, got "plain"/,
  );
  throws(() => textViews(plain, { rows: 6 }), /textViews: .*1 to 5.*"rows", got 6/);
  throws(() => glossTexts([], { count: 5 }), /glossTexts: .*"count"/);
});
