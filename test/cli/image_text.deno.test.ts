// Runs on emoji and captions as the terminal program makes them: what they write, resuming, bad input.
import * as assert from 'uvu/assert';
import { captionedEmoji } from '../../src/cli/emoji.ts';
import { main } from '../../src/cli/main.ts';
import { LANGUAGES, parse } from '../../src/cli/options.ts';
import { decodeSafetensors } from '../../src/data/safetensors.ts';
import { readTokenizer } from '../../src/text/index.ts';
import { test } from '../harness.ts';
import { refused } from './refused.ts';

const program = new URL('../../src/cli/main.ts', import.meta.url).pathname;
const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-image-text-' });
addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));

async function run(...args: string[]) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ['run', '-A', '--no-lock', '--node-modules-dir=manual', program, ...args],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}
const file = (path: string) => Deno.readTextFileSync(`${folder}/${path}`);
const small = ['--encoder', 'mlp-small', '--length', '6', '--vocabulary', '400', '--embedding', '16'];

test(
  'a run in two languages: what it writes; the same bytes when it is resumed from its first checkpoint',
  async () => {
    const args = ['--method', 'clip', '--language', 'en,de', '--batch', '256', '--epochs', '1', ...small];
    const { code, out, err } = await run(...args, '--no-tune', '--out', `${folder}/a`);
    assert.is(code, 0, err);
    assert.match(out, /5 steps of 256 emoji with captions \(en,de\)/);
    assert.match(out, /Of 412 held-out concepts a drawing finds its caption first with/);
    const { numbers, options } = JSON.parse(file('a/latest/report.json'));
    assert.is(numbers.concepts, 412);
    assert.is(options.language, 'en,de');
    assert.equal(
      numbers.languages.map(({ language }: { language: string }) => language),
      ['en', 'de'],
    );
    for (const { captions, drawings, gap, mutualKnn } of numbers.languages) {
      // A caption may find both of its drawings: two of 824 are right.
      for (const [list, right] of [
        [captions, (k: number) => k / 412],
        [drawings, (k: number) => 1 - ((824 - k) * (823 - k)) / (824 * 823)],
      ])
        for (const { k, recall, chance } of list) {
          assert.ok(Math.abs(chance - right(k)) < 1e-9, `chance ${chance} of recall@${k}`);
          assert.ok(recall >= 0 && recall <= 1);
        }
      assert.ok(gap > 0 && gap < 2 && mutualKnn > 0 && mutualKnn < 1);
    }
    assert.is(numbers.translations.length, 2);
    assert.ok(Math.abs(numbers.groups.chance - 1 / 9) < 1e-9);
    const page = file('a/latest/report.html');
    assert.match(page, /<img alt="the drawings nearest to “[^”]+”"/);
    assert.match(page, /modality gap/);
    assert.not.match(page.replaceAll(/base64,[^"]*/g, ''), /NaN|undefined|http:|https:/);
    const tokenizer = readTokenizer(file('a/latest/tokenizer.json'));
    assert.is(tokenizer.size, 400);
    assert.is(tokenizer.decode(tokenizer.encode('cat face')), 'cat face');
    const { tensors } = decodeSafetensors(Deno.readFileSync(`${folder}/a/latest/text.safetensors`));
    assert.ok(tensors.has('text.tokens') && tensors.has('textProjection.weight'), [...tensors.keys()].join());
    const lines = file('a/latest/metrics.jsonl');
    assert.match(lines, /"temperature":.*"gap":.*"mutualKnn":/);
    const path = Deno.realPathSync(`${folder}/a/latest`);
    const again = await run('--resume', path);
    assert.is(again.code, 0, again.err);
    assert.match(again.out, /Resuming from step 5/);
    assert.is(file('a/latest/metrics.jsonl'), lines);
  },
  { timeout: 240_000 },
);

test('the emoji: captions by language, one emoji of each held-out concept, no concept in both parts', async () => {
  const { train, test: held, words, groups } = await captionedEmoji(['en', 'de']);
  assert.is(train.images.count, 2 * 1423);
  assert.is(held.images.count, 2 * 412);
  assert.is(groups.length, 9);
  assert.equal([train.texts.length, held.texts.length], [2, 2]);
  for (const texts of train.texts) {
    assert.is(texts.length, 1423);
    for (const captions of texts) {
      assert.is(captions.length, 24);
      assert.ok(captions.every(Boolean));
    }
  }
  const known = new Set(words);
  const heart = train.texts[0].find(([name]) => name === 'black heart')!;
  assert.ok(heart.includes('evil') || heart.includes('wicked') || heart.includes('dark'), heart.join('|'));
  assert.ok(
    heart.some((caption) => /^black heart, \w+, \w+$/.test(caption)),
    heart.join('|'),
  );
  // Held-out names are not among the words that a tokenizer learns from, but for equal words of other emoji.
  const leaked = held.texts[0].filter(([caption]) => known.has(caption));
  assert.ok(leaked.length < 60, `${leaked.length} names: ${leaked.slice(0, 5)}`);
});

test('bad input', async () => {
  const say = (...args: string[]) => refused(main, ['--method', 'clip', ...args, '--out', `${folder}/bad`]);
  const lines: [RegExp, string[]][] = [
    [/--language: expected different ones of en, de, es, fr, ja, zh.*got "xx"/, ['--language', 'xx']],
    [/--language: .*got "en,en"/, ['--language', 'en,en']],
    [/--language: .*got ""/, ['--language', '']],
    [/--batch: 2000 is larger than the data, which has 1423 emoji/, ['--batch', '2000']],
    [/--batch: expected at least 3/, ['--batch', '2', '--language', 'en,de,fr']],
    [/--vocabulary: expected at least 261/, ['--vocabulary', '100']],
    [/--temperature: .*0\.001/, ['--temperature', '0']],
    [/--learn-temperature: expected 0 or 1/, ['--learn-temperature', '2']],
    [/--bias: clip has no such hyperparameter; it has --temperature, --learn-temperature/, ['--bias', '1']],
    [
      /--views: not an option of clip, which trains on images with captions: see --language/,
      ['--views', 'plain'],
    ],
    [/--data: "sprites" is unknown; expected emoji/, ['--data', 'sprites']],
  ];
  for (const [message, args] of lines) {
    const err = await say(...args);
    assert.match(err, message);
    assert.not.match(err.trim(), /\n/);
  }
  const other = await refused(main, ['--method', 'simclr', '--language', 'de']);
  assert.match(other, /--language: not an option of simclr, which trains on images: see --data/);
});

test('the languages are those of the table', async () => {
  for (const language of LANGUAGES) {
    const { test: held } = await captionedEmoji([language]);
    assert.is(new Set(held.texts[0].flat()).size, 412, language);
  }
  assert.is((parse(['--method', 'sigLip']).options as { language?: string }).language, 'en');
});
