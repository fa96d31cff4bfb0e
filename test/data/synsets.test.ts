import { lexicographerFiles, parseSynsets } from '../../src/data/synsets.ts';
import { test, throws } from '../harness.ts';

const same = (actual: unknown, expected: unknown) => {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) throw new Error(`expected ${e}, got ${a}`);
};

/** A file of these lines, with the right first line or another. */
function file(lines: readonly string[], header?: string): Uint8Array {
  const body = lines.map((line) => `${line}\n`).join('');
  const { length } = new TextEncoder().encode(body);
  return new TextEncoder().encode((header ?? `synsets 1\t${lines.length}\t${length}\n`) + body);
}

const lines = [
  '3\tentity\t\twhat exists',
  '5\tdog domestic_dog\t0\tit barks\tthe dog barked\ta dog’s life',
  '18\tLaika\ti1 0\tthe first dog in orbit',
];

test('synsets: lemmas, file, hypernyms, classes, definition and examples', async () => {
  const [entity, dog, laika] = await parseSynsets(file(lines));
  same(entity, {
    ...{ lemmas: ['entity'], file: 3, definition: 'what exists', examples: [] },
    ...{ hypernyms: [], instanceOf: [] },
  });
  same(dog.lemmas, ['dog', 'domestic dog']);
  same(dog.examples, ['the dog barked', 'a dog’s life']);
  same([dog.hypernyms, laika.hypernyms, laika.instanceOf], [[0], [0], [1]]);
  same(
    [dog, laika].map((one) => lexicographerFiles[one.file]),
    ['noun.animal', 'noun.person'],
  );
  same(lexicographerFiles.length, 45);
});

test('the numbers of lexicographer files are those of lexnames(5WN)', () => {
  same(lexicographerFiles.indexOf('noun.Tops'), 3);
  same(lexicographerFiles.indexOf('noun.time'), 28);
  same(lexicographerFiles.indexOf('verb.body'), 29);
  same(lexicographerFiles.indexOf('adj.ppl'), 44);
});

test('other files are refused in one line that says where', async () => {
  const cases: [what: Uint8Array, message: RegExp][] = [
    [new TextEncoder().encode('a,b\n1,2\n'), /^s\.tsv: expected "synsets 1", .* got "a,b 1,2 "$/],
    [file(lines).subarray(0, -3), /^s\.tsv: truncated: expected \d+ bytes behind its first line, got \d+$/],
    [file(lines, 'synsets 1\t3\t5\n'), /too long: expected 5 bytes/],
    [file(lines.slice(1), 'synsets 1\t3\t96\n'), /expected 3 lines behind the first|too long|truncated/],
    [file(['3\ta\t']), /^s\.tsv: line 2: expected 4 columns or more between tabs, got "3 a "$/],
    [file(['45\ta\t\tb']), /line 2: expected the number of a lexicographer file, 0 to 44, got "45"/],
    [file(['3\ta  b\t\tc']), /line 2: expected lemmas between single spaces, got "a b"/],
    [file(['3\ta\t\t']), /line 2: expected a definition and examples that are not empty/],
    [file(['3\ta\t\tb\t']), /line 2: expected a definition and examples that are not empty/],
    [file(['3\ta\t1\tb']), /line 2: expected hypernyms of 0 to 0, .* got "1"/],
    [file(['3\ta\t0\tb']), /line 2: expected hypernyms that lead to the top/],
    [file(['3\tt\t\tt', '3\ta\ti2\tb', '3\tc\t1\td']), /line 3: expected hypernyms that lead to the top/],
    [Uint8Array.from([...file(['3\ta\t\tb']).slice(0, -2), 0xff, 10]), /expected text in UTF-8/],
  ];
  for (const [bytes, message] of cases) await throws(() => parseSynsets(bytes, 's.tsv'), message);
});
