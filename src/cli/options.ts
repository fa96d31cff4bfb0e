import {
  checkNumber,
  checkOptions,
  inRange,
  LARGEST_U32,
  type NumberRange,
  oneLine,
  rangeText,
  shown,
} from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { methods } from '../methods/registry.ts';
import { readArguments } from './arguments.ts';
import { densities } from './densities.ts';
import { defaultViews, VIEWS } from './views.ts';

/** What a run is asked to do. */
export interface RunOptions {
  method: string;
  encoder: 'cnn' | 'cnn-average' | 'mlp' | 'mlp-small';
  /** How many numbers an embedding z has. */
  embedding: number;
  epochs: number;
  batch: number;
  learningRate: number;
  seed: number;
  /** The training views, by their name in views.ts. Absent: as suits the data. */
  views?: string;
  /** Standard deviation of Gaussian noise on the pixels of the training views. Absent: that of the views. */
  viewNoise?: number;
  /** The method's own knobs, with their values. */
  knobs: Record<string, number>;
  /** An IDX pair, images and labels; null for the Fashion-MNIST that comes with the project. */
  data: [images: string, labels: string] | null;
  test: [images: string, labels: string] | null;
  out: string;
  /** What a density method fits, instead of images. */
  density?: string;
  /** `mixed`: what layers make is stored as f16. */
  precision: 'f32' | 'mixed';
  /** Milliseconds to choose kernels in; false: the shipped defaults. Absent: as suits the adapter. */
  tune?: number | false;
}

/** A command line: what to run, or which run to go on with. */
export interface Command {
  help: boolean;
  list: boolean;
  resume: string | null;
  options: RunOptions;
}

const DEFAULTS: Omit<RunOptions, 'knobs'> = {
  method: 'simclr',
  encoder: 'cnn',
  embedding: 64,
  epochs: 15,
  batch: 256,
  learningRate: 2e-3,
  seed: 0,
  precision: 'f32',
  data: null,
  test: null,
  out: 'runs',
};

/** Of a density method, which takes Adam's steps through few parameters. */
const DENSITY_RATE = 1e-2;
/** What it has no use for. */
const OF_IMAGES = [
  'encoder',
  'embedding',
  'epochs',
  'batch',
  'views',
  'view-noise',
  'precision',
  'data',
  'test',
];

const ENCODERS = ['cnn', 'cnn-average', 'mlp', 'mlp-small'];
const PRECISIONS = ['f32', 'mixed'];

/** Options with a value, besides knobs. */
const VALUES = [
  ...['method', 'encoder', 'embedding', 'epochs', 'batch', 'learning-rate', 'seed', 'views', 'view-noise'],
  ...['precision', 'data', 'test', 'density', 'out', 'tune', 'resume'],
];

/** Every knob of every method; `--help` and the parser know them from here. */
const KNOBS = [...new Set(Object.values(methods).flatMap((method) => Object.keys(method.knobs)))];
const dashed = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Knobs that are on or off. */
const SWITCHES = ['predictor', 'stopGradient', 'standardize', 'hard', 'centre'];

/** What fits into an f32, with room to spare. */
const LARGE = 1e38;
/** Rows of a queue or prototypes; what the GPU can hold is checked later, with their width. */
const MANY = 2 ** 24;
const REAL: NumberRange = { least: 0, most: LARGE };
const count = (least: number, most: number): NumberRange => ({ least, most, whole: true });

/** The values that knobs may have; those that are not here take any number of 0 or more. */
const KNOB_RANGES: ReadonlyMap<string, NumberRange> = new Map(
  Object.entries({
    ...Object.fromEntries(SWITCHES.map((name) => [name, count(0, 1)])),
    temperature: { least: 1e-3, most: LARGE },
    teacherTemperature: { least: 1e-3, most: LARGE },
    epsilon: { least: 1e-3, most: LARGE },
    momentum: { least: 0, most: 1 },
    // Each of these makes the graph larger.
    chunks: count(1, 1000),
    localViews: count(0, 100),
    iterations: count(0, 100),
    memory: count(0, MANY),
    queue: count(1, MANY),
    prototypes: count(1, MANY),
    outputs: count(1, MANY),
    directions: count(1, MANY),
    k: count(1, 10_000),
    steps: count(1, LARGEST_U32),
    noise: { least: 0.1, most: 1e6 },
  }),
);
const knobRange = (name: string): NumberRange => KNOB_RANGES.get(name) ?? REAL;

/** The values that the numbers among the options may have. */
const RANGES = {
  embedding: count(2, 65_536),
  epochs: count(1, LARGEST_U32),
  batch: count(2, LARGEST_U32),
  learningRate: REAL,
  seed: count(0, LARGEST_U32),
  viewNoise: { least: 0, most: 1e6 },
  // An hour.
  tune: { least: 0, most: 3.6e6 },
} satisfies Record<string, NumberRange>;

const methodNames = Object.keys(methods);
const densityNames = Object.keys(densities);

const knobsOf = (method: string): string =>
  Object.keys(methods[method].knobs)
    .map((knob) => `--${dashed(knob)}`)
    .join(', ') || 'none';

/** The text of `--help`. */
export function help(): string {
  const knobs = KNOBS.map((knob) => {
    const users = Object.entries(methods).filter(([, method]) => Object.hasOwn(method.knobs, knob));
    return (
      `  --${dashed(knob)} X`.padEnd(26) +
      users.map(([name, method]) => `${name} ${method.knobs[knob]}`).join(', ')
    );
  });
  return `Trains an encoder on images without labels, on the GPU, and measures how good it is.

  npm start -- [options]

  --method NAME           what to train with (default ${DEFAULTS.method}):
${wrapped(methodNames, 26)}
  --list                  describe the methods, with paper and year
  --encoder NAME          ${ENCODERS.join(', ')} (default ${DEFAULTS.encoder})
  --embedding N           dimensions of the embedding z (default ${DEFAULTS.embedding})
  --epochs N              passes over the training images (default ${DEFAULTS.epochs})
  --batch N               images in a step; each is seen in two views (default ${DEFAULTS.batch})
  --learning-rate X       of Adam; it falls to 0 along a cosine (default ${DEFAULTS.learningRate}; nce ${DENSITY_RATE})
  --seed N                of all random numbers, 0 to ${LARGEST_U32} (default ${DEFAULTS.seed})
  --views NAME            how the two views differ from their image: ${[...VIEWS.keys()].join(', ')}
                          (default: ${defaultViews(1)}; ${defaultViews(3)} for colour images)
  --view-noise X          standard deviation of noise on the pixels of the views
                          (default: that of --views)
  --precision NAME        ${PRECISIONS.join(', ')} (default ${DEFAULTS.precision}). mixed stores activations as f16;
                          the GPU needs the feature shader-f16
  --data IMAGES,LABELS    your own images: two IDX files, gzipped or not
                          (default: 10,000 images of Fashion-MNIST)
  --test IMAGES,LABELS    test images for --data (default: a random sixth of --data)
  --density NAME          with --method nce, the density to fit:
                          ${densityNames.join(', ')} (default ${densityNames[0]})
  --out FOLDER            folder for the run folders (default ${DEFAULTS.out})
  --tune MS               milliseconds that each compilation may spend on finding the
                          fastest kernels (default: 400 on a GPU, else none)
  --no-tune               use the default kernels
  --resume RUN            continue an interrupted run, given its folder; takes no other option
  -h, --help              show this text

Knobs: settings of single methods, with their defaults. ${SWITCHES.map((knob) => `--${dashed(knob)}`).join(', ')}
are switches: 0 or 1. --chunks passes a batch through the network in parts, to save memory. The gradient is that
of the whole batch, except that batch norm, which every encoder has, sees one part at a time.

${knobs.join('\n')}
`;
}

/** Names in lines of at most 80 columns, behind `indent` spaces. */
function wrapped(names: readonly string[], indent: number): string {
  const lines = [''];
  for (const [i, name] of names.entries()) {
    const word = i < names.length - 1 ? `${name},` : name;
    const line = lines[lines.length - 1];
    if (line && indent + line.length + 1 + word.length > 80) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines.map((line) => ' '.repeat(indent) + line).join('\n');
}

/** The text of `--list`. */
export function list(): string {
  return Object.entries(methods)
    .map(
      ([name, { title, paper, year, summary }]) =>
        `${name.padEnd(14)} ${title} (${paper}, ${year})\n${' '.repeat(15)}${summary}`,
    )
    .join('\n');
}

/**
 * Reads a command line.
 * @throws InputError in one line for an unknown option, method or knob, or a value that is out of range
 */
export function parse(args: string[]): Command {
  const asked = args[args.indexOf('--method') + 1];
  const knows = args.includes('--method') && Object.hasOwn(methods, asked);
  const { text, flag, count } = readArguments(args, {
    command: 'npm start',
    flags: ['help', 'list', 'no-tune'],
    values: [...VALUES, ...KNOBS.map(dashed)],
    words: ['help', 'list'],
    hint: knows ? `; the knobs of ${asked}: ${knobsOf(asked)}` : '',
  });
  const resume = text('resume') ?? null;
  if (resume !== null && count > 1) {
    throw new InputError('--resume goes on with the options of its run: give no other option with it');
  }
  const number = (name: string, range: NumberRange): number | undefined => {
    const given = text(name);
    if (given === undefined) return undefined;
    const value = given.trim() === '' ? Number.NaN : Number(given);
    if (inRange(value, range)) return value;
    const { least, most, whole } = range;
    // Only the limit that the value is beyond.
    const expected = rangeText(value > most! ? { most, whole } : { least, whole });
    throw new InputError(`--${name}: expected ${expected}, got "${oneLine(given)}"`);
  };
  const method = oneOf('method', text('method') ?? DEFAULTS.method, methodNames);
  const own = methods[method].knobs;
  const wrong = KNOBS.find((knob) => text(dashed(knob)) !== undefined && !Object.hasOwn(own, knob));
  if (wrong)
    throw new InputError(`--${dashed(wrong)}: ${method} has no such knob; its knobs: ${knobsOf(method)}`);
  const { density = false } = methods[method];
  if (text('density') !== undefined && !density)
    throw new InputError(`--density: ${method} trains on images, see --data`);
  const ofImages = OF_IMAGES.find((name) => text(name) !== undefined);
  if (density && ofImages)
    throw new InputError(
      `--${ofImages}: ${method} has no images, it fits a density on the plane: see --density`,
    );
  if (flag('no-tune') && text('tune') !== undefined)
    throw new InputError('--tune: --no-tune says the opposite');
  const tune = flag('no-tune') ? false : number('tune', RANGES.tune);
  const viewNoise = number('view-noise', RANGES.viewNoise);
  const views = text('views');
  return {
    help: flag('help'),
    list: flag('list'),
    resume,
    options: {
      method,
      encoder: oneOf('encoder', text('encoder') ?? DEFAULTS.encoder, ENCODERS) as RunOptions['encoder'],
      embedding: number('embedding', RANGES.embedding) ?? DEFAULTS.embedding,
      epochs: number('epochs', RANGES.epochs) ?? DEFAULTS.epochs,
      batch: number('batch', RANGES.batch) ?? DEFAULTS.batch,
      learningRate:
        number('learning-rate', RANGES.learningRate) ?? (density ? DENSITY_RATE : DEFAULTS.learningRate),
      seed: number('seed', RANGES.seed) ?? DEFAULTS.seed,
      ...(views !== undefined && { views: oneOf('views', views, [...VIEWS.keys()]) }),
      ...(viewNoise !== undefined && { viewNoise }),
      precision: oneOf(
        'precision',
        text('precision') ?? DEFAULTS.precision,
        PRECISIONS,
      ) as RunOptions['precision'],
      knobs: Object.fromEntries(
        Object.entries(own).map(([knob, value]) => [
          knob,
          SWITCHES.includes(knob)
            ? Number(oneOf(dashed(knob), text(dashed(knob)) ?? String(value), ['0', '1']))
            : (number(dashed(knob), knobRange(knob)) ?? value),
        ]),
      ),
      data: pair('data', text('data')),
      test: pair('test', text('test')),
      out: text('out') ?? DEFAULTS.out,
      ...(density && {
        density: oneOf('density', text('density') ?? densityNames[0], densityNames),
      }),
      ...(tune !== undefined && { tune }),
    },
  };
}

function oneOf(name: string, value: string, allowed: string[]): string {
  if (!allowed.includes(value))
    throw new InputError(`--${name}: "${oneLine(value)}" is unknown; expected ${allowed.join(', ')}`);
  return value;
}

function pair(name: string, value: string | undefined): [string, string] | null {
  if (value === undefined) return null;
  const parts = value.split(',');
  if (parts.length !== 2 || parts.some((part) => !part))
    throw new InputError(`--${name}: expected IMAGES,LABELS, got "${oneLine(value)}"`);
  return [parts[0], parts[1]];
}

/** The names of a run's options in its options.json. */
const NAMES = [
  ...['method', 'encoder', 'embedding', 'epochs', 'batch', 'learningRate', 'seed', 'views', 'viewNoise'],
  ...['knobs', 'data', 'test', 'out', 'density', 'precision', 'tune'],
];

/**
 * The options of a run as its options.json has them, each checked: its type, its range.
 * @param value what JSON.parse gave; other names than those of options must be in `others`
 * @param file for messages
 * @throws InputError in one line
 */
export function checkRunOptions(value: unknown, file: string, others: readonly string[] = []): RunOptions {
  checkOptions(file, value, [...NAMES, ...others]);
  const given = value as Record<string, unknown>;
  const bad = (name: string, expected: string, got: unknown = given[name]) =>
    new InputError(`${file}: expected ${expected} for "${name}", got ${shown(got)}`);
  const named = (name: string, allowed: readonly string[]) => {
    const found = allowed.find((one) => one === given[name]);
    if (found === undefined) throw bad(name, allowed.join(', '));
    return found;
  };
  const number = (name: keyof typeof RANGES) => {
    checkNumber(file, name, given[name], RANGES[name]);
    return given[name] as number;
  };
  const files = (name: string): [string, string] | null => {
    const pair = given[name];
    if (pair === null) return null;
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every((path) => typeof path === 'string' && path))
      throw bad(name, 'two file names or null');
    return [pair[0], pair[1]];
  };
  const method = named('method', methodNames);
  const { knobs: defaults, density } = methods[method];
  // Its folder has nothing else that is read back.
  if (density) return { method } as RunOptions;
  const { knobs: own } = given;
  checkOptions(`${file}: "knobs"`, own, Object.keys(defaults));
  for (const [name, knob] of Object.entries(own as object)) checkNumber(file, name, knob, knobRange(name));
  if (typeof given.out !== 'string') throw bad('out', 'a folder');
  if (given.density !== undefined) throw bad('density', 'nothing');
  return {
    method,
    encoder: named('encoder', ENCODERS) as RunOptions['encoder'],
    embedding: number('embedding'),
    epochs: number('epochs'),
    batch: number('batch'),
    learningRate: number('learningRate'),
    seed: number('seed'),
    ...(given.views !== undefined && { views: named('views', [...VIEWS.keys()]) }),
    ...(given.viewNoise !== undefined && { viewNoise: number('viewNoise') }),
    precision: (given.precision === undefined
      ? DEFAULTS.precision
      : named('precision', PRECISIONS)) as RunOptions['precision'],
    knobs: { ...defaults, ...(own as Record<string, number>) },
    data: files('data'),
    test: files('test'),
    out: given.out,
    ...(given.tune !== undefined && { tune: given.tune === false ? false : number('tune') }),
  };
}
