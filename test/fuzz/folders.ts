// Run folders: what a run wrote is read back as it was; what is cut off, foreign or missing is one line that names the file.
import fc from 'fast-check';
import { readData, runChoices } from '../../src/cli/files.ts';
import { lineOf } from '../../src/cli/moments.ts';
import { type ImageOptions, parse } from '../../src/cli/options.ts';
import { sheetOf } from '../../src/cli/png.ts';
import { checkCheckpoint, type Earlier, reopen } from '../../src/cli/resume.ts';
import { variable } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import { type Bytes, type Change, changes, hex, join, littleEndian, spoil, utf8 } from './bytes.ts';
import { attempt, type Outcome, type Property, Wrong } from './engine.ts';
import { safetensorsFile } from './formats.ts';

const FILES = [
  'options.json',
  'metrics.jsonl',
  'timing.jsonl',
  'moments.jsonl',
  'checkpoint.safetensors',
  'tune.json',
] as const;
type Name = (typeof FILES)[number];
type Folder = Record<Name, Bytes>;

const METRICS = ['loss', 'alignment', 'uniformity', 'std', 'rank', 'participation', 'length', 'knn', 'probe'];
const finite = fc.double({ noNaN: true, noDefaultInfinity: true });

/** A run as it may have been left. */
const run = fc.record({
  args: fc.constantFrom<string[][]>(
    ['--method', 'simclr', '--encoder', 'mlp-small'],
    ['--method', 'byol', '--seed', '7', '--tune', '0'],
    ['--method', 'moco', '--queue', '50', '--no-tune', '--data', 'a,b'],
    ['--method', 'leJepa', '--batch', '48', '--precision', 'mixed'],
  ),
  step: fc.integer({ min: 0, max: 9 }),
  looks: fc.array(fc.array(finite, { minLength: METRICS.length, maxLength: METRICS.length }), {
    maxLength: 6,
  }),
  digest: fc.boolean(),
});
type Run = typeof run extends fc.Arbitrary<infer T> ? T : never;

const DIGEST = '0123456789abcdef'.repeat(4);
const looksOf = ({ looks }: Run) =>
  looks.map((numbers, i) => ({
    step: 2 * i,
    ...Object.fromEntries(METRICS.map((name, k) => [name, numbers[k]])),
  }));
const timesOf = ({ looks }: Run) => looks.map((_, i) => ({ step: 2 * i, seconds: i / 2 }));
const momentsOf = ({ looks }: Run) =>
  looks.map((_, i) => ({
    ...{ step: 2 * i, panel: 'Samples', height: 1, width: 1, channels: 3, pixels: 'AAEC' },
  }));
const jsonLines = (values: readonly unknown[]) =>
  values.map((value) => `${JSON.stringify(value)}\n`).join('');
const variables = () => [
  variable([2, 3], { name: 'encoder.0.weight' }),
  variable([3], { name: 'encoder.0.bias' }),
];

function filesOf(run: Run): Folder {
  const { options } = parse(run.args);
  const recorded = {
    ...options,
    ...(run.digest && { dataDigest: DIGEST, pixels: { mean: [0.3], std: [0.2] } }),
  };
  const tensor = (shape: number[], first: number) => ({
    ...{ dtype: 'F32', shape },
    bytes: new Uint8Array(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => first + i).buffer,
    ),
  });
  return {
    'options.json': utf8(`${JSON.stringify(recorded, null, 2)}\n`),
    'metrics.jsonl': utf8(jsonLines(looksOf(run))),
    'timing.jsonl': utf8(jsonLines(timesOf(run))),
    'moments.jsonl': utf8(jsonLines(momentsOf(run))),
    'checkpoint.safetensors': safetensorsFile(
      [
        ['encoder.0.weight', tensor([2, 3], 1)],
        ['encoder.0.bias', tensor([3], -1)],
      ],
      { step: String(run.step) },
    ),
    'tune.json': utf8('{"matmul [2,3]": "matmul_8x8"}\n'),
  };
}

let folder = '';
let count = 0;

/** Writes files into a new folder, and removes it afterwards. */
async function withFolder<T>(files: Partial<Folder>, body: (path: string) => Promise<T>): Promise<T> {
  if (!folder) {
    folder = Deno.makeTempDirSync({ prefix: 'hypersphere-fuzz-' });
    globalThis.addEventListener('unload', () => Deno.removeSync(folder, { recursive: true }));
  }
  const path = `${folder}/${count++}`;
  Deno.mkdirSync(path);
  try {
    for (const [name, bytes] of Object.entries(files)) Deno.writeFileSync(`${path}/${name}`, bytes);
    return await body(path);
  } finally {
    Deno.removeSync(path, { recursive: true });
  }
}

/** The first thing that a program does to resume a run. */
async function goOn(path: string): Promise<Outcome> {
  const { value, refused } = await attempt(async () => {
    const earlier = reopen(path);
    await runChoices(() => earlier.folder, true).load('adapter');
    checkCheckpoint(earlier, variables(), 1000);
    return earlier;
  }, /hypersphere-fuzz-|\.jsonl?\b|\.safetensors/);
  if (refused) return 'refused';
  checkEarlier(value);
  return 'taken';
}

/** Fails for what no run can go on with. */
function checkEarlier({ options, resume: { saved, metrics, timing, followed } }: Earlier): void {
  if (!Object.hasOwn(allMethods, options.method))
    throw new Wrong('a method that there is not', String(options.method));
  const {
    embedding = 64,
    epochs,
    batch,
    seed,
    learningRate,
    viewNoise = 0,
    hyperparameters,
    precision,
  } = options as ImageOptions;
  for (const [name, x] of Object.entries({ embedding, epochs, batch, seed }))
    if (!Number.isSafeInteger(x) || x < 0) throw new Wrong(`an odd number for ${name}`, String(x));
  for (const [name, x] of Object.entries({ learningRate, viewNoise, ...hyperparameters }))
    if (typeof x !== 'number' || !Number.isFinite(x)) throw new Wrong(`an odd number for ${name}`, String(x));
  if (precision !== 'f32' && precision !== 'mixed') throw new Wrong('an odd precision', String(precision));
  if (!Number.isSafeInteger(saved.step) || saved.step < 0) throw new Wrong('an odd step', String(saved.step));
  for (const line of [...metrics, ...timing, ...followed])
    if (!Number.isSafeInteger(line.step) || line.step < 0 || line.step > saved.step)
      throw new Wrong('a line of another step', JSON.stringify(line));
  for (const look of metrics)
    for (const name of METRICS)
      if (!(typeof look[name as keyof typeof look] === 'number' || name === 'participation'))
        throw new Wrong('a metric that is no number', JSON.stringify(look));
  for (const { images, panel } of followed)
    if (typeof panel !== 'string' || !Number.isInteger(sheetOf(images).count))
      throw new Wrong('odd pictures', JSON.stringify(panel));
  if (timing.some(({ seconds }) => !(seconds >= 0))) throw new Wrong('odd seconds', JSON.stringify(timing));
}

const showRun = ({ args, step, looks }: Run) => `${args.join(' ')}, step ${step}, ${looks.length} looks`;

const whole: Property<Run> = {
  name: 'run folders: whole',
  share: 2,
  make: run,
  show: showRun,
  check: (run) =>
    withFolder(filesOf(run), async (path): Promise<Outcome> => {
      const { value, refused } = await attempt(() => {
        const earlier = reopen(path);
        checkCheckpoint(earlier, variables(), 1000);
        return earlier;
      });
      if (refused) throw new Wrong('a whole run folder is refused', refused.message);
      checkEarlier(value);
      const same = (what: string, a: unknown, b: unknown) => {
        if (JSON.stringify(a) !== JSON.stringify(b))
          throw new Wrong(`${what} read back otherwise`, JSON.stringify(a).slice(0, 300));
      };
      const until = <T extends { step: number }>(lines: T[]) => lines.filter(({ step }) => step <= run.step);
      const { options } = parse(run.args);
      same(
        'options',
        sorted({ ...value.options, views: undefined }),
        sorted({ ...options, views: undefined }),
      );
      same('metrics', value.resume.metrics.map(sorted), until(looksOf(run)).map(sorted));
      same('timing', value.resume.timing.map(sorted), until(timesOf(run)).map(sorted));
      same('moments', value.resume.followed.map(lineOf).map(sorted), until(momentsOf(run)).map(sorted));
      same('the step', value.resume.saved.step, run.step);
      return 'taken';
    }),
};
const sorted = (x: object) => Object.fromEntries(Object.entries(x).sort(([a], [b]) => (a < b ? -1 : 1)));

interface Spoilt {
  run: Run;
  file: Name;
  how:
    | { bytes: Change[] }
    | { field: number; by: string }
    | { line: number; by: string }
    | { whole: string | null };
}

const odd = fc.oneof(
  fc.constantFrom(
    'null',
    'true',
    '-1',
    '0',
    '0.5',
    '1e999',
    '1e300',
    '""',
    '"__proto__"',
    '"constructor"',
    '[]',
    '{}',
  ),
  fc.constantFrom(
    '[1,2]',
    '["a","b"]',
    '["",""]',
    '{"length":2}',
    '[[]]',
    '{"__proto__":{"k":1}}',
    '"\\u0000"',
    '99999999999',
  ),
  fc.constantFrom(
    `${'['.repeat(3000)}${']'.repeat(3000)}`,
    `"${'x'.repeat(5000)}"`,
    'NaN',
    'undefined',
    '"two\\nlines"',
  ),
  fc.json({ maxDepth: 2 }),
);
const spoiltFolder: fc.Arbitrary<Spoilt> = fc.record({
  run,
  file: fc.constantFrom(...FILES),
  how: fc.oneof(
    { weight: 3, arbitrary: fc.record({ bytes: changes }) },
    { weight: 4, arbitrary: fc.record({ field: fc.nat(40), by: odd }) },
    { weight: 2, arbitrary: fc.record({ line: fc.nat(6), by: odd }) },
    {
      weight: 1,
      arbitrary: fc.record({
        whole: fc.oneof(
          fc.constantFrom(null, '', '\n', '{', 'PK\x03\x04', '<html>', '\ufeff{}', '\0\0\0\0'),
          odd,
        ),
      }),
    },
  ),
});

/** One value of a JSON text, counted from the first, replaced by another text. */
function withField(text: string, at: number, by: string): string {
  const places = [
    ...text.matchAll(/:\s*("(?:[^"\\]|\\.)*"|[-\d.e+]+|true|false|null|\[[^[\]{}]*\]|\{[^{}]*\})/g),
  ];
  if (!places.length) return by;
  const place = places[at % places.length];
  const start = place.index + place[0].length - place[1].length;
  return text.slice(0, start) + by + text.slice(start + place[1].length);
}

function spoiltBytes({ run, file, how }: Spoilt): Bytes | null {
  const bytes = filesOf(run)[file];
  if ('bytes' in how) return spoil(bytes, how.bytes);
  if ('whole' in how) return how.whole === null ? null : utf8(how.whole);
  if (file === 'checkpoint.safetensors') {
    const length = bytes[0] + 256 * bytes[1];
    const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
    const other = utf8('field' in how ? withField(header, how.field, how.by) : how.by);
    return join(littleEndian(other.length, 8), other, bytes.subarray(8 + length));
  }
  const text = new TextDecoder().decode(bytes);
  if ('field' in how) return utf8(withField(text, how.field, how.by));
  const lines = text.split('\n');
  lines.splice(how.line % lines.length, 1, how.by);
  return utf8(lines.join('\n'));
}

const spoilt: Property<Spoilt> = {
  name: 'run folders: spoilt',
  share: 10,
  make: spoiltFolder,
  show: (input) => {
    const bytes = spoiltBytes(input);
    const text = bytes && new TextDecoder().decode(bytes).slice(0, 300);
    return `${input.file} of ${showRun(input.run)}: ${bytes ? (input.file.endsWith('safetensors') ? hex(bytes) : JSON.stringify(text)) : 'missing'}`;
  },
  check(input) {
    const bytes = spoiltBytes(input);
    const { [input.file]: _, ...others } = filesOf(input.run);
    return withFolder(bytes ? { ...others, [input.file]: bytes } : others, goOn);
  },
};

/** What is found in place of a file or a folder. */
const KINDS = ['nothing', 'folder', 'fifo', 'loop', 'zero', 'null', 'empty', 'no access'] as const;
function putInPlace(path: string, kind: (typeof KINDS)[number]): void {
  if (kind === 'folder') Deno.mkdirSync(path);
  if (kind === 'fifo') new Deno.Command('mkfifo', { args: [path] }).outputSync();
  if (kind === 'loop') Deno.symlinkSync(path, path);
  if (kind === 'zero' || kind === 'null') Deno.symlinkSync(`/dev/${kind}`, path);
  if (kind === 'empty' || kind === 'no access') Deno.writeFileSync(path, new Uint8Array());
  if (kind === 'no access') Deno.chmodSync(path, 0);
}

const noFiles: Property<{ where: string; kind: (typeof KINDS)[number] }> = {
  name: 'files that are none',
  share: 0.2,
  most: 150,
  make: fc.record({
    where: fc.constantFrom('folder', 'images', 'labels', ...FILES),
    kind: fc.constantFrom(...KINDS),
  }),
  show: ({ where, kind }) => `${kind} for ${where}`,
  key: ({ where, kind }) => `${kind} for ${where}`,
  check: ({ where, kind }) =>
    withFolder(
      filesOf({ args: ['--method', 'simclr'], step: 1, looks: [], digest: false }),
      async (path): Promise<Outcome> => {
        if (where === 'folder') {
          putInPlace(`${path}/run`, kind);
          return goOn(`${path}/run`);
        }
        if (where === 'images' || where === 'labels') {
          putInPlace(`${path}/odd`, kind);
          Deno.writeFileSync(
            `${path}/images`,
            Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9),
          );
          const pair: [string, string] =
            where === 'images' ? [`${path}/odd`, `${path}/odd`] : [`${path}/images`, `${path}/odd`];
          const { refused } = await attempt(() => readData(pair, null), /odd/);
          if (!refused) throw new Wrong('what is no file is read as data', kind);
          return 'refused';
        }
        Deno.removeSync(`${path}/${where}`);
        putInPlace(`${path}/${where}`, kind);
        return goOn(path);
      },
    ),
};

const programs: Property<Spoilt> = {
  name: 'run folders: whole programs',
  share: 0.02,
  most: 6,
  make: spoiltFolder.filter(({ file, how }) => file === 'options.json' && 'whole' in how),
  show: spoilt.show,
  check(input) {
    const bytes = spoiltBytes(input);
    const { [input.file]: _, ...others } = filesOf(input.run);
    return withFolder(bytes ? { ...others, [input.file]: bytes } : others, async (path): Promise<Outcome> => {
      const file = new URL('../../src/cli/main.ts', import.meta.url).pathname;
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ['run', '-A', '--no-lock', '--node-modules-dir=manual', file, '--resume', path],
        stdout: 'null',
        stderr: 'piped',
      }).output();
      const text = new TextDecoder().decode(stderr).trim();
      if (code !== 1) throw new Wrong(`exits with ${code}`, text.slice(0, 300));
      if (!/^InputError: .+$/.test(text) || text.includes('internal'))
        throw new Wrong('not one clear line', text.slice(0, 300));
      return 'refused';
    });
  },
};

export const folders: Property[] = [whole, spoilt, noFiles, programs];
