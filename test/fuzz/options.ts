// Command lines: an error in one line, or options that equal the requested ones and whose plan is bounded.
import fc from 'fast-check';
import { readArguments } from '../../src/cli/arguments.ts';
import { imageRunOf } from '../../src/cli/images.ts';
import { checkRun, stepsOf } from '../../src/cli/needs.ts';
import { type Command, help, type ImageOptions, parse } from '../../src/cli/options.ts';
import { dataset } from '../../src/data/dataset.ts';
import { allMethods } from '../../src/methods/index.ts';
import { elementsOf } from './arguments.ts';
import { attempt, type Outcome, type Property, Wrong } from './engine.ts';
import { checkGpu, gpu, openGpu } from './gpu.ts';

/** All options of `npm start`, as its help names them. */
const names = [
  ...new Set(
    help()
      .match(/--[a-z][a-z-]*/g)!
      .map((name) => name.slice(2)),
  ),
];
const hyperparameters = [
  ...new Set(Object.values(allMethods).flatMap((method) => Object.keys(method.hyperparameters))),
].map((name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));

const number = fc.oneof(
  fc.constantFrom(
    '0',
    '1',
    '2',
    '3',
    '64',
    '256',
    '0.5',
    '1e-3',
    '-1',
    '-0',
    '1e3',
    '0x10',
    '1_000',
    '٣',
    ' 5 ',
    '5px',
  ),
  fc.constantFrom(
    '1e6',
    '16777216',
    '4294967296',
    '99999999999',
    '1e15',
    '9007199254740993',
    '1e308',
    '1e999',
  ),
  fc.constantFrom('NaN', 'Infinity', '-Infinity', '', ' ', '5e-324', '.', '-', '+7', '1,000'),
  fc.double().map(String),
  fc.integer().map(String),
);
const word = fc.oneof(
  fc.constantFrom(
    ...Object.keys(allMethods),
    'cnn',
    'mlp-small',
    'f32',
    'mixed',
    'plain',
    'ring',
    'a,b',
    ',',
    'a,',
    'a,b,c',
  ),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'),
  fc.constantFrom(
    '--help',
    '--',
    '-',
    '\0',
    'a\nb',
    'é',
    '🙂',
    '\u202e',
    '../../etc',
    '/dev/zero',
    '%s',
    '$(id)',
    '*',
  ),
  fc.constantFrom('x'.repeat(5000), '-'.repeat(300)),
  fc.string({ maxLength: 8 }),
  fc.string({ unit: 'binary', maxLength: 5 }),
);
const oddName = fc.oneof(
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'no-help',
    'no-method',
    '',
    '=',
    'Method',
    'h',
  ),
  fc.string({ maxLength: 5 }),
);
const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...names) },
  { weight: 3, arbitrary: fc.constantFrom(...hyperparameters) },
  { weight: 1, arbitrary: oddName },
);
const value = fc.oneof({ weight: 3, arbitrary: number }, { weight: 2, arbitrary: word });
const piece = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(name, value).map(([name, value]) => [`--${name}`, value]) },
  { weight: 5, arbitrary: fc.tuple(name, value).map(([name, value]) => [`--${name}=${value}`]) },
  { weight: 1, arbitrary: name.map((name) => [`--${name}`]) },
  { weight: 1, arbitrary: value.map((word) => [word]) },
  { weight: 1, arbitrary: fc.constantFrom(['-h'], ['--'], ['-hx'], ['help'], ['list'], ['---'], ['-']) },
);
const hostileList = fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.flat());

/** Options that mean something, so that more than the first gets looked at. */
const meaningful = fc
  .tuple(
    fc.constantFrom(...Object.keys(allMethods)),
    fc.array(
      fc.oneof(
        fc.tuple(fc.constantFrom('embedding', 'matryoshka', 'epochs', 'batch', 'seed', 'tune'), number),
        fc.tuple(fc.constantFrom('learning-rate', 'view-noise'), number),
        fc.tuple(
          fc.constantFrom('encoder'),
          fc.constantFrom('cnn', 'cnn-average', 'cnn-map', 'mlp', 'mlp-small', 'constructor'),
        ),
      ),
      { maxLength: 2 },
    ),
    fc.array(fc.tuple(fc.nat(9), number), { maxLength: 2 }),
  )
  .map(([method, options, own]) => {
    const names = Object.keys(allMethods[method].hyperparameters);
    const given = own.flatMap(([i, value]): [string, string][] =>
      names.length ? [[names[i % names.length].replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`), value]] : [],
    );
    return ['--method', method, ...[...options, ...given].map(([name, value]) => `--${name}=${value}`)];
  });

const show = (args: readonly string[]) => JSON.stringify(args).slice(0, 500);

/** Fails for options that are not sound. */
function checkCommand({ options, help, list, resume }: Command): void {
  const { method, hyperparameters, out } = options;
  const { data = null, test = null } = options as Partial<ImageOptions>;
  if (!Object.hasOwn(allMethods, method)) throw new Wrong('options of no method', method);
  const numbers = {
    ...hyperparameters,
    ...Object.fromEntries(Object.entries(options).filter(([, x]) => typeof x === 'number')),
  };
  const odd = Object.entries(numbers).find(([, x]) => typeof x !== 'number' || !Number.isFinite(x) || x < 0);
  if (odd) throw new Wrong(`a number of no use for ${odd[0]}`, String(odd[1]));
  const other = Object.keys(hyperparameters).find(
    (name) => !Object.hasOwn(allMethods[method].hyperparameters, name),
  );
  if (other !== undefined) throw new Wrong('a hyperparameter of another method', other);
  for (const pair of [data, test])
    if (
      pair !== null &&
      !(Array.isArray(pair) && pair.length === 2 && pair.every((x) => typeof x === 'string' && x))
    )
      throw new Wrong('files that are no pair', JSON.stringify(pair));
  if (typeof out !== 'string' || typeof help !== 'boolean' || typeof list !== 'boolean')
    throw new Wrong('odd options');
  if (resume !== null && typeof resume !== 'string')
    throw new Wrong('an odd run to go on with', String(resume));
}

const parsed: Property<string[]> = {
  name: 'options of npm start',
  share: 10,
  make: fc.oneof({ weight: 2, arbitrary: hostileList }, { weight: 1, arbitrary: meaningful }),
  show,
  async check(args): Promise<Outcome> {
    const { value, refused } = await attempt(() => parse(args));
    if (refused) return 'refused';
    checkCommand(value);
    return 'taken';
  },
};

/** Names, ways to write them, and values that are no options themselves. */
const plainValue = fc.oneof(
  fc.constantFrom('a', '-1', '0', 'x=y', '', ' ', 'é', 'a,b', '-.5', '__proto__'),
  fc.string({ maxLength: 6 }).filter((text) => !text.startsWith('-')),
);
const written = fc.array(
  fc.oneof(
    fc.record({
      name: fc.constantFrom('views', 'wrong', 'json', 'constructor'),
      value: plainValue,
      equals: fc.boolean(),
    }),
    fc.record({ flag: fc.constantFrom('help', 'toString') }),
    fc.record({
      word: fc.oneof(
        fc.constantFrom('x.npy', 'y.npy', 'help'),
        fc.string({ minLength: 1, maxLength: 5 }).filter((text) => !text.startsWith('-')),
      ),
    }),
  ),
  { maxLength: 5 },
);
type Written = typeof written extends fc.Arbitrary<infer T> ? T : never;
const argsOf = (pieces: Written): string[] =>
  pieces.flatMap((each) => {
    if ('word' in each) return [each.word];
    if ('flag' in each) return [`--${each.flag}`];
    return each.equals ? [`--${each.name}=${each.value}`] : [`--${each.name}`, each.value];
  });
const values = ['views', 'wrong', 'json', 'constructor'];

const exact: Property<Written> = {
  name: 'options as they were written',
  share: 5,
  make: written,
  show: (pieces) => show(argsOf(pieces)),
  async check(pieces): Promise<Outcome> {
    const args = argsOf(pieces);
    const grammar = { command: 'npm run fuzz', values, flags: ['help', 'toString'], positionals: true };
    const { value: given, refused } = await attempt(() => readArguments(args, grammar, {}));
    if (refused) throw new Wrong('a fair command line is refused', refused.message);
    for (const name of values) {
      const last = pieces.findLast((each) => 'name' in each && each.name === name) as
        | { value: string }
        | undefined;
      if (given.text(name) !== last?.value)
        throw new Wrong('an option has another value', `${name} is ${JSON.stringify(given.text(name))}`);
    }
    for (const name of ['help', 'toString'])
      if (given.flag(name) !== pieces.some((each) => 'flag' in each && each.flag === name))
        throw new Wrong('a flag is lost', name);
    const words = pieces.flatMap((each) => ('word' in each ? [each.word] : []));
    if (JSON.stringify(given.positionals) !== JSON.stringify(words))
      throw new Wrong('arguments are lost', show(given.positionals));
    return 'taken';
  },
};

/** 300 images of 8 x 8. */
function smallData() {
  const size = { count: 300, height: 8, width: 8, channels: 1, classes: 3 };
  const pixels = elementsOf([300, 8, 8], 'u8') as Uint8Array;
  const labels = Uint32Array.from({ length: 300 }, (_, i) => i % 3);
  const data = dataset({ pixels, labels, ...size } as never);
  return { train: data, test: data };
}
let data: ReturnType<typeof smallData> | undefined;

const planned: Property<string[]> = {
  name: 'the plan of what options ask for',
  share: 0.3,
  most: 400,
  make: meaningful.map((args) =>
    args.some((arg) => arg.startsWith('--batch=')) ? args : [...args, '--batch=32'],
  ),
  show,
  async check(args): Promise<Outcome> {
    await openGpu();
    data ??= smallData();
    const { refused } = await attempt(async () => {
      const { options } = parse(args);
      if (!('data' in options) || 'tokenizer' in options) return;
      stepsOf(options, data!.train);
      await checkRun(gpu.device, imageRunOf({ views: 'plain', ...options }, data!), data!);
    });
    checkGpu('plans');
    return refused ? 'refused' : 'taken';
  },
};

const root = new URL('../../', import.meta.url);
const programs: Property<{ program: string; args: string[] }> = {
  name: 'command lines, whole programs',
  share: 0.02,
  most: 8,
  make: fc.record({
    program: fc.constantFrom('main', 'measure'),
    // No zero byte can be an argument.
    args: hostileList
      .filter((args) => args.length > 0)
      .map((args) => [...args.map((arg) => arg.replaceAll('\0', '?')), '--odd-option']),
  }),
  show: ({ program, args }) => `${program} ${show(args)}`,
  async check({ program, args }): Promise<Outcome> {
    const flags = ['run', '-A', '--no-lock', '--node-modules-dir=manual'];
    const file = new URL(`src/cli/${program}.ts`, root).pathname;
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...flags, file, ...args],
      stdout: 'null',
      stderr: 'piped',
    }).output();
    const text = new TextDecoder().decode(stderr).trim();
    if (code !== 1) throw new Wrong(`exits with ${code}`, text.slice(0, 300));
    if (!/^InputError: .+$/.test(text) || text.includes('internal'))
      throw new Wrong('not one clear line', text.slice(0, 300));
    return 'refused';
  },
};

export const options: Property[] = [parsed, exact, planned, programs];
