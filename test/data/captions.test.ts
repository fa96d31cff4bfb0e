import * as assert from 'uvu/assert';
import { captionedImages, pairedDraws } from '../../src/data/captions.ts';
import { dataset } from '../../src/data/dataset.ts';
import { scalar } from '../../src/graph/tensor.ts';
import { permute, threefry } from '../../src/ops/random.ts';
import { compile } from '../../src/runtime/compile.ts';
import { readVariable } from '../../src/runtime/variables.ts';
import { trainWords } from '../../src/text/index.ts';
import { device, test, throws } from '../harness.ts';

const whole = (bits16: number, n: number) => Math.floor((bits16 * n) / 65_536);
const PAIRED = 0x70616972;

for (const [rows, things, drawings, captions, languages] of [
  [1, 1, 1, 1, 1],
  [5, 9, 2, 3, 1],
  [64, 64, 2, 24, 1],
  [65, 200, 3, 7, 2],
  [101, 1423, 2, 24, 3],
])
  test(`${rows} of ${things} things, ${drawings} drawings, ${captions} captions in ${languages} languages`, async () => {
    const seed = 7;
    const step = await compile(
      await device(),
      ({ step }) => pairedDraws({ things, drawings, captions, languages }, { rows, seed, step }),
      { inputs: { step: scalar('u32') } },
    );
    const seen = new Set<string>();
    for (const at of [0, 1, 1000]) {
      await step.run({ step: at });
      const images = await step.read<Uint32Array>('images');
      const texts = await step.read<Uint32Array>('captions');
      const key = threefry(seed, PAIRED, at, 0);
      const chosen = Array.from({ length: rows }, (_, i) => permute(i, things, key));
      assert.is(new Set(chosen).size, rows);
      for (const [i, thing] of chosen.entries()) {
        const [a, b] = threefry(key[0], key[1], i, 1);
        const language = Math.floor((i * languages) / rows);
        assert.is(images[i], drawings * thing + whole(a & 0xffff, drawings), `image of row ${i}`);
        const first = captions * (things * language + thing);
        assert.is(texts[i], first + whole(b & 0xffff, captions), `caption of row ${i}`);
      }
      seen.add(`${images}|${texts}`);
    }
    if (things > 1 && drawings > 1) assert.is(seen.size, 3, 'each step draws others');
    step.dispose();
  });

test('every drawing and every caption has its turn', async () => {
  const [things, drawings, captions] = [4, 2, 5];
  const step = await compile(
    await device(),
    ({ step }) => pairedDraws({ things, drawings, captions, languages: 2 }, { rows: 4, seed: 3, step }),
    { inputs: { step: scalar('u32') } },
  );
  const [images, texts] = [new Set<number>(), new Set<number>()];
  for (let at = 0; at < 100; at++) {
    await step.run({ step: at });
    for (const image of await step.read('images')) images.add(image);
    for (const text of await step.read('captions')) texts.add(text);
  }
  assert.is(images.size, things * drawings);
  assert.is(texts.size, 2 * things * captions);
  step.dispose();
});

const images = (count: number) =>
  dataset(
    {
      pixels: new Uint8Array(count * 12).map((_, i) => i),
      count,
      height: 2,
      width: 2,
      channels: 3,
      classes: 0,
    },
    { mean: 0.5, std: 0.3, name: 'i' },
  );
const tokenizer = trainWords(['a cat', 'a dog', 'eine Katze']);

test('captions are rows of ids, language by language and thing by thing', async () => {
  const texts = [
    [
      ['a cat', 'cat'],
      ['a dog', 'dog'],
    ],
    [
      ['eine Katze', 'Katze'],
      ['ein Hund', 'Hund'],
    ],
  ];
  const data = captionedImages(images(4), texts, { tokenizer, length: 3 });
  const { things, drawings, captions, languages } = data;
  assert.equal([things, drawings, captions, languages], [2, 2, 2, 2]);
  assert.equal(data.ids.shape, [8, 3]);
  const ids = [...((await readVariable(await device(), data.ids)) as Uint32Array)];
  const { pad } = tokenizer.special;
  const expected = texts.flat(2).flatMap((text) => {
    const row = [...tokenizer.encode(text)];
    return [...row, pad, pad, pad].slice(0, 3);
  });
  assert.equal(ids, expected);
});

test('errors', () => {
  const options = { tokenizer, length: 3 };
  throws(
    () => captionedImages(images(4), [[['a'], ['b', 'c']]], options),
    /captionedImages: expected as many/,
  );
  throws(() => captionedImages(images(4), [[['a'], ['b'], ['c']]], options), /captionedImages: .*4 images/);
  throws(() => captionedImages(images(4), [], options), /captionedImages/);
  const paired = { things: 4, drawings: 2, captions: 1, languages: 1 };
  throws(
    () => pairedDraws(paired, { rows: 5, seed: 1, step: 0 }),
    /pairedDraws: expected 1 to 4 rows.*got 5/,
  );
  throws(() => pairedDraws(paired, { rows: 2, seed: -1, step: 0 }), /pairedDraws: .*"seed", got -1/);
});
