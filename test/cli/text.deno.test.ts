// Runs on texts by the command line: one small run on the lines of a file, and what is measured of it.
import * as assert from 'uvu/assert';
import { main } from '../../src/cli/main.ts';
import { main as measure } from '../../src/cli/measure.ts';
import { parse, type TextOptions } from '../../src/cli/options.ts';
import { linesOfFile, readTexts, tokenizerOf } from '../../src/cli/text_data.ts';
import { bagsOf, rarities } from '../../src/cli/text_metrics.ts';
import { decodeSafetensors } from '../../src/data/safetensors.ts';
import { textSet } from '../../src/data/texts.ts';
import { readTokenizer } from '../../src/text/index.ts';
import { close, test } from '../harness.ts';
import { refused } from './refused.ts';

const folder = Deno.makeTempDirSync({ prefix: 'hypersphere-text-' });
addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));

async function run(program: string, ...args: string[]) {
  const path = new URL(`../../src/cli/${program}.ts`, import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ['run', '-A', '--no-lock', '--node-modules-dir=manual', path, ...args],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

/** Sentences of two subjects; the first words of a line say which. */
const lines = Array.from({ length: 72 }, (_, i) => {
  const words = i % 2 ? ['ship', 'sea', 'wave', 'sail', 'port'] : ['bread', 'oven', 'flour', 'salt', 'dough'];
  return [1, 3, 7, 11].map((step) => words[(i * step + (i >> 2)) % 5]).join(' ');
});
const file = `${folder}/lines.txt`;
Deno.writeTextFileSync(file, `${lines.join('\r\n')}\n\n`);
Deno.writeTextFileSync(
  `${folder}/labels.txt`,
  `${lines.map((_, i) => (i % 2 ? 'ship' : 'bread')).join('\n')}\n`,
);
Deno.writeTextFileSync(`${folder}/only-lines.txt`, `${lines.join('\n')}\n`);

const small = [
  '--tokenizer',
  'words',
  '--vocabulary',
  '20',
  '--length',
  '6',
  '--batch',
  '20',
  '--epochs',
  '4',
];

test('a run on a file of lines, its folder and its report; measure --text embeds lines by its encoder', async () => {
  const made = await run('main', '--data', file, ...small, '--no-tune', '--out', `${folder}/runs`);
  assert.is(made.code, 0, made.err);
  const latest = `${folder}/runs/latest`;
  const read = (name: string) => Deno.readTextFileSync(`${latest}/${name}`);
  const report = JSON.parse(read('report.json'));
  assert.is(report.steps, 12);
  assert.equal(Object.keys(report.metrics), ['words', 'tfIdf', 'untrained', 'trained']);
  const { uniformity, alignment, effectiveRankH } = report.metrics.trained;
  assert.ok([uniformity, alignment, effectiveRankH].every(Number.isFinite));
  assert.match(
    report.command,
    /npm start -- --method simclr --data \S+lines\.txt --tokenizer words --vocabulary 20/,
  );
  assert.match(made.out, /bag of words\s+TF-IDF\s+untrained\s+trained/);
  const page = read('report.html');
  for (const part of ['Map of the test texts', 'Nearest texts', 'SimCLR', 'id="curve-loss"'])
    assert.ok(page.includes(part), part);
  // All of the held-out texts are on the map.
  assert.ok(lines.filter((line) => page.includes(line)).length >= 12);
  assert.ok(!page.includes('Not in this report'));
  const { metadata, tensors } = decodeSafetensors(Deno.readFileSync(`${latest}/encoder.safetensors`));
  const architecture = JSON.parse(metadata.architecture);
  assert.equal([architecture.encoder, architecture.length, architecture.outputs], ['text', 6, 64]);
  assert.is(readTokenizer(read('tokenizer.json')).size, architecture.vocabulary);
  assert.equal(tensors.get('encoder.tokens')!.shape, [architecture.vocabulary, 64]);
  const json = `${folder}/measured.json`;
  const args = ['--text', `${folder}/only-lines.txt`, '--run', latest, '--labels', `${folder}/labels.txt`];
  const measured = await run('measure', ...args, '--json', json);
  assert.is(measured.code, 0, measured.err);
  assert.match(measured.out, /72 rows of 64, 2 classes/);
  const found = JSON.parse(Deno.readTextFileSync(json));
  // Texts of the two subjects share no word.
  assert.ok(found.knn >= 0.9, `k-NN ${found.knn}`);
  assert.match(
    await refused(measure, ['--text', file, '--run', latest, '--labels', `${folder}/labels.txt`]),
    /--labels: expected 73 lines in .*labels\.txt, one for each of .*lines\.txt, got 72/,
  );
  assert.match(
    await refused(main, ['--method', 'sae', '--on', latest]),
    /--on: expected a run on images, .* is one of simclr on texts/,
  );
});

test('options of texts, their defaults, and what is refused', async () => {
  const { options } = parse(['--data', 'glosses']);
  const { hyperparameters: _, ...others } = options as TextOptions;
  assert.equal(others, {
    ...{ method: 'simclr', data: 'glosses', tokenizer: 'bpe', vocabulary: 2048, length: 24, dropout: 0.1 },
    ...{ pairs: 'dropout', embedding: 64, epochs: 8, batch: 256, learningRate: 2e-3, seed: 0, out: 'runs' },
  });
  const says = async (args: string[], pattern: RegExp) => assert.match(await refused(main, args), pattern);
  const glosses = ['--data', 'glosses'];
  await says(
    [...glosses, '--method', 'rotation'],
    /--data: rotation cannot train on texts: .*loss of two views/,
  );
  await says([...glosses, '--method', 'byol'], /--data: byol cannot train on texts/);
  await says([...glosses, '--method', 'supCon'], /--data: supCon cannot train on texts: it needs labels/);
  await says([...glosses, '--chunks', '2'], /--chunks: simclr cannot train on texts: expected 1/);
  await says([...glosses, '--encoder', 'cnn'], /--encoder: not an option of simclr, which trains on texts/);
  await says([...glosses, '--views', 'plain'], /--views: not an option of simclr, which trains on texts/);
  await says(['--tokenizer', 'bpe'], /--tokenizer: not an option of simclr, which trains on images/);
  await says(
    [...glosses, '--tokenizer', 'letters'],
    /--tokenizer: "letters" is unknown; expected bpe, words/,
  );
  await says(
    [...glosses, '--vocabulary', '100'],
    /--vocabulary: expected at least 261 with --tokenizer bpe, got 100/,
  );
  await says([...glosses, '--pairs', 'views'], /--pairs: "views" is unknown; expected dropout, examples/);
  await says(
    ['--data', file, '--pairs', 'examples', ...small],
    /--pairs: examples is for texts that have some: give --data glosses/,
  );
  await says(
    ['--data', file, '--batch', '500', '--tokenizer', 'words'],
    /--batch: 500 is larger than the data, which has 60 training texts/,
  );
  await says(['--data', `${folder}/none.txt`], /none\.txt cannot be read: no such file/);
  Deno.writeTextFileSync(`${folder}/few.txt`, 'one\ntwo\n');
  await says(
    ['--data', `${folder}/few.txt`],
    /--data: expected at least 12 lines of text, .* got 2 in .*few\.txt/,
  );
  Deno.writeFileSync(`${folder}/binary.txt`, Uint8Array.of(255, 254, 10));
  await says(['--data', `${folder}/binary.txt`], /binary\.txt: expected text in UTF-8/);
  const measured = async (args: string[], pattern: RegExp) =>
    assert.match(await refused(measure, args), pattern);
  await measured(['--text', file], /--text: expected --run RUN with it/);
  await measured(['--run', folder], /--run: expected --text FILE\.txt with it/);
  await measured(['--text', file, '--run', folder, 'x.npy'], /--text: leave x\.npy out/);
  await measured(['--text', file, '--run', folder, '--views', 'x.npy'], /--text: leave --views out/);
});

test('lines, the split, the tokenizers, bags of words and their weights', async () => {
  assert.is(linesOfFile(file).length, 73);
  const { train, test: held, classNames } = await readTexts(file);
  assert.equal([train.texts.length, held.texts.length, classNames], [60, 12, []]);
  assert.equal([...train.texts, ...held.texts].sort(), [...lines].sort());
  for (const [tokenizer, size] of [
    ['bpe', 280],
    ['words', 15],
    ['characters', 30],
    ['bytes', 261],
  ] as const)
    assert.ok(tokenizerOf({ tokenizer, vocabulary: 280 }, { train }).size <= size, tokenizer);
  const tokenizer = tokenizerOf(
    { tokenizer: 'words', vocabulary: 280 },
    { train: { texts: ['a b', 'a c a', 'a'] } },
  );
  const set = textSet({ texts: ['a b', 'a c a', 'a', ''] }, { tokenizer, length: 5 });
  const [a, b, c] = ['a', 'b', 'c'].map((word) => tokenizer.encode(word)[0]);
  const weights = rarities(set);
  close(
    [weights[a], weights[b], weights[c]],
    [1 + Math.log(5 / 4), 1 + Math.log(5 / 2), 1 + Math.log(5 / 2)],
    { rel: 1e-12 },
  );
  const { data, shape } = bagsOf({ train: set, test: set }).train;
  assert.equal(shape, [4, tokenizer.size]);
  close([data[a], data[b]], [Math.SQRT1_2, Math.SQRT1_2], { rel: 1e-6 });
  close([data[shape[1] + a], data[shape[1] + c]], [2 / Math.sqrt(5), 1 / Math.sqrt(5)], { rel: 1e-6 });
  assert.ok(data.subarray(3 * shape[1]).every((x) => x === 0));
});
