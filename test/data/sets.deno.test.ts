// The data sets of demos/data that tools/data.mjs makes: their digests, facts, splits and licences.
import { createHash } from 'node:crypto';
import * as assert from 'uvu/assert';
import { type Emoji, parseEmoji } from '../../src/data/emoji.ts';
import { parseImages } from '../../src/data/idx.ts';
import { lexicographerFiles, parseSynsets } from '../../src/data/synsets.ts';
import { baseOf, conceptsOf, isHeldOut } from '../../tools/emoji.mjs';
import { test } from '../harness.ts';

const folder = (name: string) => new URL(`../../demos/data/${name}/`, import.meta.url);
const read = (set: string, file: string) => Deno.readFileSync(new URL(file, folder(set)));
const text = (set: string, file: string) => new TextDecoder().decode(read(set, file));
const emoji = () => parseEmoji(read('emoji', 'emoji.json.gz'), 'emoji.json.gz');
const drawings = (vendor: string, part: string) =>
  parseImages(read('emoji', `${vendor}-${part}-images-idx4-ubyte.gz`));
const nouns = () => parseSynsets(read('wordnet', 'nouns.tsv.gz'), 'nouns.tsv.gz');

for (const set of ['emoji', 'wordnet']) {
  test(`${set}: the files are those that the script wrote, and no others`, () => {
    const listed = text(set, 'SHA256SUMS').trim().split('\n');
    for (const line of listed) {
      const [digest, file] = line.split('  ');
      assert.is(createHash('sha256').update(read(set, file)).digest('hex'), digest, file);
    }
    const names = [...Deno.readDirSync(folder(set))].map(({ name }) => name);
    const made = names.filter((name) => /\.gz$/.test(name)).sort();
    assert.equal(made, listed.map((line) => line.split('  ')[1]).sort());
  });
}

test('both sets together have at most 8 MB', () => {
  const sizes = ['emoji', 'wordnet'].flatMap((set) =>
    [...Deno.readDirSync(folder(set))].map(({ name }) => Deno.statSync(new URL(name, folder(set))).size),
  );
  const size = sizes.reduce((a, b) => a + b);
  assert.ok(size <= 8e6, `${size} bytes`);
});

test('the licences are there, and the READMEs name whom they are from', () => {
  const licences: [set: string, file: string, words: RegExp][] = [
    ['emoji', 'LICENSE-noto.txt', /Apache License\s+Version 2\.0[\s\S]*END OF TERMS AND CONDITIONS/],
    ['emoji', 'LICENSE-twemoji.txt', /Creative Commons Attribution 4\.0 International Public License/],
    ['emoji', 'LICENSE-emoji-datasource.txt', /MIT License[\s\S]*Cal Henderson/],
    ['emoji', 'LICENSE-emojibase.txt', /MIT License[\s\S]*Miles Johnson/],
    ['emoji', 'LICENSE-emojilib.txt', /MIT License[\s\S]*Mu-An Chiou/],
    ['emoji', 'LICENSE-cldr.txt', /UNICODE LICENSE V3[\s\S]*Unicode, Inc\./],
    [
      'emoji',
      'README.md',
      /Twitter, Inc and other contributors[\s\S]*CC-BY 4\.0[\s\S]*graphics were changed/,
    ],
    ['wordnet', 'LICENSE.txt', /WordNet 3\.1 Copyright 2011 by Princeton University[\s\S]*"AS IS"/],
  ];
  for (const [set, file, words] of licences) assert.match(text(set, file), words, file);
});

test('emoji: 1,423 and 482 in nine groups and six languages, by two vendors in the same order', async () => {
  const { groups, languages, train, test } = await emoji();
  assert.equal([train.length, test.length, groups.length], [1423, 482, 9]);
  assert.equal(languages, ['en', 'de', 'es', 'fr', 'ja', 'zh']);
  for (const [part, list] of Object.entries({ train, test })) {
    assert.is(new Set(list.map(({ emoji }) => emoji)).size, list.length);
    assert.is(new Set(list.map(({ group }) => group)).size, groups.length);
    for (const vendor of ['noto', 'twemoji']) {
      const { count, height, width, channels } = await drawings(vendor, part);
      assert.equal([count, height, width, channels], [list.length, 32, 32, 3]);
    }
  }
  const dog = [...train, ...test].find(({ emoji }) => emoji === '🐕')!;
  assert.equal(dog.names, { en: 'dog', de: 'Hund', es: 'perro', fr: 'chien', ja: 'イヌ', zh: '狗' });
  assert.is(groups[dog.group], 'Animals & Nature');
});

test('emoji: two drawings of one emoji are nearer in mean colour than those of different emoji', async () => {
  const [noto, twemoji] = [await drawings('noto', 'test'), await drawings('twemoji', 'test')];
  const means = ({ pixels, count }: typeof noto) =>
    Array.from({ length: count }, (_, i) =>
      [0, 1, 2].map((c) => {
        let sum = 0;
        for (let p = 0; p < 1024; p++) sum += pixels[i * 3072 + 3 * p + c] / 1024;
        return sum;
      }),
    );
  const [a, b] = [means(noto), means(twemoji)];
  const far = (i: number, j: number) => Math.hypot(...a[i].map((v, c) => v - b[j][c]));
  let [own, others] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    own += far(i, i) / a.length;
    others += far(i, (i + 241) % a.length) / a.length;
  }
  assert.ok(own < 0.6 * others, `${own}, ${others}`);
});

/** The code points of an emoji, as `unified` of the source. */
const unified = ({ emoji }: Emoji) =>
  Array.from(emoji, (letter) => letter.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')).join('-');

test('emoji: no concept is on both sides, nor a variant of one, nor the same drawing', async () => {
  const { train, test } = await emoji();
  const concepts = (list: Emoji[]) => new Set(list.map(({ concept }) => concept));
  assert.equal([concepts(train).size, concepts(test).size], [1172, 412]);
  assert.equal(
    [...concepts(test)].filter((concept) => concepts(train).has(concept)),
    [],
  );
  assert.ok([...concepts(test)].every(isHeldOut));
  assert.not.ok([...concepts(train)].some(isHeldOut));
  const bases = new Set(train.map((one) => baseOf(unified(one))));
  assert.equal(
    test.filter((one) => bases.has(baseOf(unified(one)))).map(({ emoji }) => emoji),
    [],
  );
  // The same bytes in either vendor.
  for (const vendor of ['noto', 'twemoji']) {
    const [known, asked] = [await drawings(vendor, 'train'), await drawings(vendor, 'test')];
    const tile = ({ pixels }: typeof known, i: number) => String(pixels.subarray(i * 3072, (i + 1) * 3072));
    const seen = new Set(Array.from({ length: known.count }, (_, i) => tile(known, i)));
    for (let i = 0; i < asked.count; i++) assert.not.ok(seen.has(tile(asked, i)), test[i].emoji);
  }
});

test('emoji: variants of skin, gender, hair and direction have one base, others have their own', () => {
  const base = (emoji: string) => baseOf(unified({ emoji } as Emoji));
  const variants = [
    ['👋', '👋🏻', '👋🏿'],
    ['🏃', '🏃‍♂️', '🏃‍♀️', '🏃‍➡️', '🏃🏽‍♀️‍➡️'],
    ['🧑‍🚀', '👨‍🚀', '👩🏾‍🚀'],
    ['🧑', '👩', '👨', '👨‍🦰', '🧑‍🦲', '👱‍♀️', '🧔‍♂️'],
    ['👪', '👨‍👩‍👦', '👩‍👧', '🧑‍🧑‍🧒'],
    ['💏', '👩‍❤️‍💋‍👨', '👨🏻‍❤️‍💋‍👨🏿'],
    ['💑', '👩‍❤️‍👩'],
    ['👫', '👬', '👭', '🧑‍🤝‍🧑', '🧑🏻‍🤝‍🧑🏿'],
    ['👈', '👉', '👆', '👇', '☝️'],
    ['🎅', '🤶', '🧑‍🎄'],
    ['🤱', '👩‍🍼', '🧑🏿‍🍼'],
  ];
  for (const list of variants) assert.is(new Set(list.map(base)).size, 1, `${list.map(base)}`);
  const others = ['🧑‍🚀', '🧑‍🍳', '🧑', '🧒', '♂️', '♀️', '➡️', '↔️', '🏃', '🚶', '❤️', '❤️‍🔥', '💏', '💑', '🤝'];
  assert.is(new Set(others.map(base)).size, others.length, `${others.map(base)}`);
});

test('emoji: drawings that are the same up to mirrors and quarter turns are one concept', () => {
  const side = 32;
  const arrow = (at: (i: number, j: number) => boolean) => {
    const pixels = new Uint8Array(side * side * 3);
    for (let p = 0; p < side * side; p++)
      if (at(Math.floor(p / side), p % side)) pixels.fill(255, 3 * p, 3 * p + 3);
    return pixels;
  };
  const shapes = [
    arrow((i, j) => j < 16 - Math.abs(16 - i) && i > 3),
    arrow((i, j) => i < 16 - Math.abs(16 - j) && j > 3),
    arrow((i, j) => (i + j) % 5 === 0),
    arrow((i, j) => 31 - j < 16 - Math.abs(16 - i) && i > 3),
  ];
  const list = ['2B05', '2B06', '1F4A0', '27A1'].map((code) => ({ unified: code }));
  assert.equal(conceptsOf(list, []), [0, 1, 2, 3]);
  assert.equal(conceptsOf(list, [shapes]), [0, 0, 2, 0]);
});

test('WordNet: 82,192 nouns in 26 lexicographer files, 8,765 of them with examples', async () => {
  const synsets = await nouns();
  assert.is(synsets.length, 82_192);
  assert.is(synsets.filter(({ examples }) => examples.length).length, 8765);
  assert.is(
    synsets.reduce((sum, { examples }) => sum + examples.length, 0),
    11_538,
  );
  const files = new Set(synsets.map(({ file }) => lexicographerFiles[file]));
  assert.is(files.size, 26);
  assert.ok([...files].every((name) => name.startsWith('noun.')));
  const dog = synsets.find(({ lemmas }) => lemmas.includes('domestic dog'))!;
  assert.equal(dog.lemmas, ['dog', 'domestic dog', 'Canis familiaris']);
  assert.is(lexicographerFiles[dog.file], 'noun.animal');
  assert.equal(dog.examples, ['the dog barked all night']);
  assert.match(dog.definition, /^a member of the genus Canis .* occurs in many breeds$/);
  assert.equal(
    dog.hypernyms.map((row) => synsets[row].lemmas[0]),
    ['canine', 'domestic animal'],
  );
});

test('WordNet: every noun is below "entity"', async () => {
  const synsets = await nouns();
  const tops = synsets.filter(({ hypernyms, instanceOf }) => !hypernyms.length && !instanceOf.length);
  assert.equal(
    tops.map(({ lemmas }) => lemmas[0]),
    ['entity'],
  );
  assert.is(synsets.filter(({ instanceOf }) => instanceOf.length).length, 7742);
  const paris = synsets.find(({ lemmas }) => lemmas.includes('City of Light'))!;
  assert.equal(
    [...paris.hypernyms, ...paris.instanceOf].map((row) => synsets[row].lemmas[0]),
    ['national capital'],
  );
});
