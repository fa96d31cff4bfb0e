import * as assert from 'uvu/assert';
import { readArguments } from '../../src/cli/arguments.ts';
import { checkRunOptions, dashed, help, type ImageOptions, parse, unusedOf } from '../../src/cli/options.ts';
import { allMethods } from '../../src/methods/index.ts';
import { defaultsOf } from '../../src/methods/method.ts';
import { test } from '../harness.ts';

const PROTOTYPE = Object.getOwnPropertyNames(Object.prototype);
const refused = (args: string[], message: RegExp) => {
  try {
    parse(args);
  } catch (error) {
    assert.is((error as Error).name, 'InputError', `${args}: ${error}`);
    assert.match((error as Error).message, message);
    assert.not.match((error as Error).message, /\n/);
    return;
  }
  throw new Error(`${args} was taken`);
};

test('names of Object.prototype are no methods, encoders, views, densities, hyperparameters or options', () => {
  for (const name of PROTOTYPE) {
    for (const option of ['method', 'encoder', 'views', 'precision'])
      refused([`--${option}`, name], new RegExp(`--${option}: "${name}" is unknown`));
    refused(['--method', 'nce', '--density', name], /--density: .* is unknown/);
    refused([`--${name}`, '1'], /Unknown option/);
    refused(['--method', name, '--momentun', '1'], /Unknown option '--momentun'; npm start/);
  }
});

test('a negative number is out of range, not ambiguous, however it is written', () => {
  const numbers = [
    'embedding',
    'matryoshka',
    'epochs',
    'batch',
    'learning-rate',
    'seed',
    'view-noise',
    'mine',
    'tune',
  ];
  for (const name of [...numbers, 'temperature', 'chunks'])
    for (const value of ['-1', '-.5', '-1e3', '-Infinity'])
      for (const args of [[`--${name}`, value], [`--${name}=${value}`]])
        refused(args, new RegExp(`^--${name}: expected a (whole )?number of at least .*, got "${value}"$`));
  refused(['--learning-rate', '-1'], /at least 0, got/);
});

test('numbers that nothing can hold are refused by name', () => {
  const huge: [method: string, option: string, value: string, most: RegExp][] = [
    ['simclr', 'seed', '99999999999', /at most 4294967295/],
    ['simclr', 'seed', '4294967296', /at most 4294967295/],
    ['simclr', 'embedding', '16777216', /at most 65536/],
    ['simclr', 'matryoshka', '65536', /at most 65535/],
    ['simclr', 'mine', '33', /at most 32/],
    ['simclr', 'epochs', '1e18', /at most 4294967295/],
    ['simclr', 'batch', '1e300', /at most 4294967295/],
    ['simclr', 'learning-rate', '1e400', /at most 1e\+38/],
    ['simclr', 'chunks', '1e6', /at most 1000/],
    ['moco', 'queue', '1e12', /at most 16777216/],
    ['supCon', 'memory', '1e12', /at most 16777216/],
    ['dino', 'outputs', '1e15', /at most 16777216/],
    ['dino', 'local-views', '1e6', /at most 100/],
    ['swav', 'prototypes', '1e9', /at most 16777216/],
    ['swav', 'iterations', '1e9', /at most 100/],
    ['leJepa', 'directions', '1e9', /at most 16777216/],
    ['nce', 'k', '1e9', /at most 10000/],
    ['nce', 'steps', '1e300', /at most 4294967295/],
  ];
  for (const [method, option, value, most] of huge) refused(['--method', method, `--${option}`, value], most);
  assert.is(parse(['--seed', '4294967295']).options.seed, 4294967295);
});

test('every default is a value that its own option takes', () => {
  for (const [name, { hyperparameters }] of Object.entries(allMethods))
    for (const [own, value] of Object.entries(defaultsOf(hyperparameters))) {
      const dashed = own.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      const { options } = parse(['--method', name, `--${dashed}`, String(value)]);
      assert.is(options.hyperparameters[own], value);
    }
});

test('prefixes of z are an option of every two-view loss, absent by default, and of no other method', () => {
  const losses = Object.entries(allMethods).filter(([, method]) => 'loss' in method);
  assert.ok(losses.length > 8);
  const whyNot = {
    images: /^--matryoshka: not an option of \w+, which trains more than a loss of two views$/,
    plane: /^--matryoshka: not an option of \w+, which learns from points/,
    rows: /^--matryoshka: not an option of \w+, which codes the h of a trained encoder/,
    text: /^--matryoshka: not an option of \w+, which trains on texts/,
    'image-text': /^--matryoshka: not an option of \w+, which trains on images with captions/,
  };
  for (const [name, method] of Object.entries(allMethods)) {
    assert.not('matryoshka' in parse(['--method', name]).options);
    const args = ['--method', name, '--matryoshka', '8'];
    if ('loss' in method) assert.is((parse(args).options as ImageOptions).matryoshka, 8);
    else refused(args, whyNot[method.data]);
  }
  refused(['--matryoshka', '0'], /^--matryoshka: expected a whole number of at least 1, got "0"$/);
  refused(['--matryoshka'], /matryoshka/);
});

test('help and list are words too', () => {
  for (const args of [['help'], ['-h'], ['--help']]) assert.ok(parse(args).help, args.join());
  for (const args of [['list'], ['--list']]) assert.ok(parse(args).list, args.join());
  refused(['list', 'help'], /Unexpected argument 'list'/);
  refused(['3'], /Unexpected argument '3'/);
  assert.ok(
    help()
      .split('\n')
      .every((line) => line.length <= 120),
    help(),
  );
});

test('options that npm kept for itself are named, with the command that works', () => {
  const grammar = { command: 'npm start', values: ['epochs', 'tune'], flags: ['list', 'no-tune'] };
  const read = (environment: Record<string, string>, args: string[] = [], more = {}) =>
    readArguments(args, { ...grammar, ...more }, { npm_lifecycle_event: 'start', ...environment });
  assert.throws(() => read({ npm_config_list: 'true' }), /npm took --list .*expected: npm start -- --list$/);
  assert.throws(
    () => read({ npm_config_epochs: 'true' }, ['3'], { positionals: true }),
    /npm took --epochs .*npm start -- --epochs \.\.\.$/,
  );
  assert.throws(() => read({ npm_config_epochs: '3' }), /-- --epochs=3$/);
  assert.throws(() => read({ npm_config_tune: '' }), /-- --no-tune$/);
  // Of another script, or npm's own.
  read({ npm_config_list: 'true', npm_lifecycle_event: 'test' });
  read({ npm_config_yes: '', npm_config_loglevel: 'silent', npm_config_json: 'true' });
});

test('options.json gives back what was written, and each field is checked', () => {
  for (const method of Object.keys(allMethods)) {
    const unused = unusedOf(allMethods[method]);
    const given = { views: 'plain', viewNoise: '0.1', embedding: '8', encoder: 'vit' };
    const ofImages = Object.entries(given).flatMap(([name, value]) => {
      if (allMethods[method].data !== 'images') return [];
      const words = [`--${dashed(name)}`, value];
      if (!unused.includes(name)) return words;
      assert.throws(
        () => parse(['--method', method, ...words]),
        new RegExp(`^--${dashed(name)}: not an option of ${method}, which (trains|has|does)`),
      );
      return [];
    });
    const { options } = parse(['--method', method, ...ofImages, '--tune', '20']);
    const read = (more: object) =>
      checkRunOptions(JSON.parse(JSON.stringify({ ...options, ...more })), 'options.json');
    assert.equal(read({}), options);
    assert.equal(read(Object.fromEntries(unused.map((name) => [name, 'x']))), options);
  }
  const { options } = parse([]);
  const wrong: [name: string, values: unknown[]][] = [
    ['method', [null, 3, 'simclear', 'constructor', '__proto__']],
    ['encoder', [null, 'resnet', 'toString', {}]],
    ['embedding', [1, 1.5, '64', null, 1e9, Number.NaN]],
    ['matryoshka', [0, 1.5, '8', null, 1e9]],
    ['epochs', [0, -1, [15], 1e18]],
    ['batch', [1, '256', true]],
    ['learningRate', [-1, '0', Number.POSITIVE_INFINITY]],
    ['seed', [-1, 2 ** 32, 0.5]],
    ['views', ['none', 1, null]],
    ['viewNoise', [-0.1, '0', null]],
    ['mine', [0, 33, '8', null]],
    ['precision', ['f16', 32, null]],
    [
      'hyperparameters',
      [null, [], 'x', { heat: 1 }, { temperature: 'x' }, { temperature: -1 }, { chunks: 1.5 }],
    ],
    ['data', ['a,b', ['a'], ['a', 2], ['a', ''], {}]],
    ['test', [0, ['a', 'b', 'c']]],
    ['out', [null, 3]],
    ['density', ['moons']],
    ['steps', [3]],
    ['tune', [true, -1, '400']],
    ['speed', [1]],
  ];
  for (const [name, values] of wrong)
    for (const value of values)
      assert.throws(
        () => checkRunOptions({ ...options, [name]: value }, 'here/options.json'),
        (error: Error) =>
          error.name === 'InputError' &&
          error.message.startsWith('here/options.json: ') &&
          !error.message.includes('\n'),
        `${name}: ${JSON.stringify(value)}`,
      );
  for (const value of [null, [], 'x', 3])
    assert.throws(() => checkRunOptions(value, 'options.json'), /expected an object of options/);
});
