import { densities } from '../data/plane.ts';
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
import { allMethods } from '../methods/index.ts';
import { defaultsOf, type Hyperparameters, isPair, type Method, type Unused } from '../methods/method.ts';
import { encoders } from '../train/encoders.ts';
import { MOST_MINED } from '../train/hard_batches.ts';
import { readArguments } from './arguments.ts';
import { defaultViews, VIEWS } from './views.ts';

/** The options that every run has. */
export interface CommonOptions {
  method: string;
  learningRate: number;
  seed: number;
  /** The method's own hyperparameters, with their values. */
  hyperparameters: Record<string, number>;
  /** The folder in which run folders are made. */
  out: string;
  /** Milliseconds to choose kernels in; false: the default kernels. Absent: depends on the adapter. */
  tune?: number | false;
}

/** Images with known factors that a run draws itself: see `sprites`. */
export const DRAWN = ['sprites', 'color-sprites'] as const;
export type DrawnData = (typeof DRAWN)[number];
/** The values of `--data` that are no files. */
export const NAMED = [...DRAWN, 'emoji'] as const;
export type NamedData = (typeof NAMED)[number];

/** How pairs of views are made. */
const PAIRS = ['views', 'drawings'] as const;

/** The options of a run on images. */
export interface ImageOptions extends CommonOptions {
  /** A name of `encoders` in train/encoders.ts. Absent: the method trains a network of its own. */
  encoder?: string;
  /** Dimension of the embedding z. Absent: the method does not use it. */
  embedding?: number;
  /** The least of the nested prefixes of z that the loss is taken of. Absent: z alone. */
  matryoshka?: number;
  epochs: number;
  batch: number;
  /** The name of the training views in views.ts. Absent: depends on the images, or the method does not use them. */
  views?: string;
  /** Standard deviation of Gaussian noise on the pixels of the training views. Absent: that of the views. */
  viewNoise?: number;
  /** `mixed` stores activations as f16. */
  precision: 'f32' | 'mixed';
  /** How pairs of views are made: of one image, or of its two drawings. Absent: depends on the images, or the method does not use them. */
  pairs?: (typeof PAIRS)[number];
  /** Hardest negatives that may follow a sample in its batch. Absent: batches are random. */
  mine?: number;
  /** An IDX pair, images and labels, or images that are drawn or come with the project; null: its Fashion-MNIST. */
  data: [images: string, labels: string] | NamedData | null;
  test: [images: string, labels: string] | null;
}

/** The options of a run on points of the plane. */
export interface PlaneOptions extends CommonOptions {
  /** The density that the points are drawn from. */
  density: string;
  steps: number;
}

/** The options of a run on the h of a trained encoder. */
export interface RowsOptions extends CommonOptions {
  /** The folder of the run whose encoder is used. */
  on: string;
  /** The folder of another run of this kind, whose latents are compared with; null: none. */
  compare: string | null;
  epochs: number;
  batch: number;
}

/** How the two views of a text are made. */
const TEXT_PAIRS = ['dropout', 'examples'] as const;
/** What the tokens of texts are. */
const TOKENIZERS = ['bpe', 'words', 'characters', 'bytes'] as const;

/** The options of a run on texts. */
export interface TextOptions extends CommonOptions {
  /** The definitions of WordNet's nouns, or a file whose lines are texts. */
  data: string;
  /** What tokens are. */
  tokenizer: (typeof TOKENIZERS)[number];
  /** The most tokens of the vocabulary; bytes have their own. */
  vocabulary: number;
  /** The most tokens of a text. */
  length: number;
  /** Dropout of the encoder in training. */
  dropout: number;
  /** How the two views of a text are made. Absent: the method trains on texts as they are. */
  pairs?: (typeof TEXT_PAIRS)[number];
  /** Dimension of the embedding z. Absent: the method has none of that size. */
  embedding?: number;
  epochs: number;
  batch: number;
}

/** The languages of the emoji's names and keywords. */
export const LANGUAGES = ['en', 'de', 'es', 'fr', 'ja', 'zh'] as const;

/** The options of a run on images and captions. */
export interface ImageTextOptions extends CommonOptions {
  /** Languages of the captions, separated by commas: each has its part of a batch. */
  language: string;
  /** A name of `encoders` in train/encoders.ts, of the images. */
  encoder: string;
  /** What tokens are. */
  tokenizer: TextOptions['tokenizer'];
  /** The most tokens of the vocabulary; bytes have their own. */
  vocabulary: number;
  /** The most tokens of a caption. */
  length: number;
  /** Dropout of the encoder of captions, in training. */
  dropout: number;
  /** Dimension of the space of both. */
  embedding: number;
  epochs: number;
  batch: number;
  data: 'emoji';
}

export type RunOptions = ImageOptions | PlaneOptions | RowsOptions | TextOptions | ImageTextOptions;

/** Whether `--data` names texts. */
export const isTextData = (data: unknown): data is string =>
  typeof data === 'string' && (data === 'glosses' || data.endsWith('.txt'));

/** A command line: what to run, or which run to resume. */
export interface Command {
  help: boolean;
  list: boolean;
  resume: string | null;
  options: RunOptions;
}

/** An option: its value in the command line and in options.json. */
interface Option {
  /** The placeholder for its value in the help. */
  argument: string;
  help: readonly string[];
  /** Without a default the option may be absent. */
  default?: unknown;
  /** Reads the text of a command line. @throws InputError */
  read: (text: string, name: string) => unknown;
  /** Null for a valid value in options.json, otherwise what is expected. */
  expects: (value: unknown) => string | null;
}

/** The largest number that is accepted, below the largest f32. */
const LARGE = 1e38;
/** The smallest number where one above 0 is needed: smaller ones are 0 in f32 or make exponentials overflow, in the first step. */
const SMALL = 1e-3;
const REAL: NumberRange = { least: 0, most: LARGE };
const count = (least: number, most: number = LARGEST_U32): NumberRange => ({ least, most, whole: true });

/** Reads a number. @throws InputError that names the limit it exceeds */
function readNumber(text: string, name: string, range: NumberRange): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (inRange(value, range)) return value;
  const { least, most, whole } = range;
  const isSwitch = whole && least === 0 && most === 1;
  const expected = isSwitch ? '0 or 1' : rangeText(value > most! ? { most, whole } : { least, whole });
  throw new InputError(`--${name}: expected ${expected}, got "${oneLine(text)}"`);
}

const number = (range: NumberRange, help: readonly string[], initial?: number): Option => ({
  ...{ argument: range.whole ? 'N' : 'X', help, default: initial },
  read: (text, name) => readNumber(text, name, range),
  expects: (value) => (inRange(value, range) ? null : rangeText(range)),
});

const choice = (names: readonly string[], help: readonly string[], initial?: string): Option => ({
  ...{ argument: 'NAME', help, default: initial },
  read: (text, name) => oneOf(name, text, names),
  expects: (value) => (names.includes(value as string) ? null : names.join(', ')),
});

const files = (help: readonly string[], names: readonly string[] = []): Option => ({
  ...{ argument: 'IMAGES,LABELS', help, default: null },
  read(text, name) {
    const parts = text.split(',');
    if (names.includes(text)) return text;
    if (parts.length === 2 && parts.every(Boolean)) return parts;
    const expected = ['IMAGES,LABELS', ...names].join(' or ');
    throw new InputError(`--${name}: expected ${expected}, got "${oneLine(text)}"`);
  },
  expects: (value) =>
    value === null ||
    names.includes(value as string) ||
    (Array.isArray(value) && value.length === 2 && value.every((path) => typeof path === 'string' && path))
      ? null
      : `${['two file names', ...names].join(', ')} or null`,
});

const texts = (help: readonly string[]): Option => ({
  ...{ argument: 'TEXTS', help, default: 'glosses' },
  read(text, name) {
    if (isTextData(text)) return text;
    throw new InputError(`--${name}: expected glosses or FILE.txt, got "${oneLine(text)}"`);
  },
  expects: (value) => (isTextData(value) ? null : 'glosses or a file name that ends in .txt'),
});

/** The languages that an option names. @returns null if one of them is unknown or named twice */
export function languagesIn(text: unknown): string[] | null {
  const all = typeof text === 'string' ? text.split(',') : [];
  const known = all.every((one) => (LANGUAGES as readonly string[]).includes(one));
  return all.length && known && new Set(all).size === all.length ? all : null;
}

const languages = (help: readonly string[]): Option => ({
  ...{ argument: 'NAMES', help, default: 'en' },
  read(text, name) {
    if (languagesIn(text)) return text;
    throw new InputError(
      `--${name}: expected different ones of ${LANGUAGES.join(', ')}, separated by commas, got "${oneLine(text)}"`,
    );
  },
  expects: (value) => (languagesIn(value) ? null : `different ones of ${LANGUAGES.join(', ')}`),
});

const folderOption = (help: readonly string[], initial: string | null): Option => ({
  ...{ argument: 'RUN', help, default: initial },
  read: (text) => text,
  expects: (value) => (typeof value === 'string' || value === initial ? null : 'a folder'),
});

/** The options that every run has. */
const COMMON: Record<string, Option> = {
  learningRate: number(REAL, ['of Adam; decays to 0 along a cosine (default 0.002; 0.01 on the plane)']),
  seed: number(count(0), [`of all random numbers, 0 to ${LARGEST_U32} (default 0)`], 0),
  out: {
    ...{ argument: 'FOLDER', help: ['folder for the run folders (default runs)'], default: 'runs' },
    read: (text) => text,
    expects: (value) => (typeof value === 'string' ? null : 'a folder'),
  },
  tune: {
    ...number({ least: 0, most: 3.6e6 }, [
      'milliseconds that each compilation may spend on finding the',
      'fastest kernels (default: 400 on a GPU, else none)',
    ]),
    argument: 'MS',
    expects: (value) =>
      value === false || inRange(value, { least: 0, most: 3.6e6 })
        ? null
        : 'false or a number of 0 to 3600000',
  },
};

/** The further options of runs on each kind of data. */
const ENCODERS = Object.keys(encoders);

const KINDS: Record<Method['data'], { what: string; learningRate: number; options: Record<string, Option> }> =
  {
    images: {
      what: 'trains on images: see --data',
      learningRate: 2e-3,
      options: {
        encoder: choice(
          ENCODERS,
          linesOf([...ENCODERS.slice(0, -1), `${ENCODERS.at(-1)} (default cnn)`], 26),
          'cnn',
        ),
        embedding: number(count(2, 65_536), ['dimension of the embedding z (default 64)'], 64),
        matryoshka: number(count(1, 65_535), [
          'trains nested prefixes of z too, each an embedding by itself:',
          'the first N numbers, 2 N and so on; the paper has 8 (default: none)',
        ]),
        epochs: number(count(1), ['passes over the training images (default 15)'], 15),
        batch: number(count(2), ['images in a step; each is seen in two views (default 256)'], 256),
        views: choice(
          [...VIEWS.keys()],
          [
            `how the two views of an image are drawn: ${[...VIEWS.keys()].join(', ')}`,
            `(default: ${defaultViews(1)}; ${defaultViews(3)} for colour images;`,
            `${defaultViews(3, 'drawings')} for --pairs drawings)`,
          ],
        ),
        viewNoise: number({ least: 0, most: 1e6 }, [
          'standard deviation of noise on the pixels of the views',
          '(default: that of --views)',
        ]),
        pairs: choice(PAIRS, [
          'views: of one image, or drawings: of the two drawings of an emoji',
          '(default: drawings for --data emoji, else views)',
        ]),
        mine: number(count(1, MOST_MINED), [
          'batches of neighbours: N of its hardest negatives may follow an',
          'image, found anew before each epoch (default: random batches)',
        ]),
        precision: choice(
          ['f32', 'mixed'],
          [
            'f32, mixed (default f32). mixed stores activations as f16;',
            'the GPU needs the feature shader-f16',
          ],
          'f32',
        ),
        data: files(
          [
            'your own images: two IDX files, gzipped or not; or sprites, 6,144',
            'drawn shapes whose factors are known, or color-sprites, 24,576;',
            'or emoji, 1,905 of them in the drawings of two vendors',
            '(default: 10,000 images of Fashion-MNIST)',
          ],
          NAMED,
        ),
        test: files(['test images for --data (default: a random sixth of --data)']),
      },
    },
    plane: {
      what: 'learns from points on the plane: see --density',
      learningRate: 1e-2,
      options: {
        density: choice(
          Object.keys(densities),
          [
            'the density that the points are drawn from:',
            `${Object.keys(densities).join(', ')} (default gaussian)`,
          ],
          'gaussian',
        ),
        steps: number(count(1), ['updates (default 3000; 6000 of those that generate points)'], 3000),
      },
    },
    rows: {
      what: 'codes the h of a trained encoder: see --on',
      learningRate: 2e-3,
      options: {
        on: folderOption(['the folder of a run on images (default runs/latest)'], 'runs/latest'),
        compare: folderOption(
          [
            'the folder of another such run, of another seed say, whose',
            'latents are compared with (default none)',
          ],
          null,
        ),
        epochs: number(count(1), ['passes over the rows (default 20)'], 20),
        batch: number(count(2), ['rows in a step (default 256)'], 256),
      },
    },
    'image-text': {
      what: 'trains on images with captions: see --language',
      learningRate: 2e-3,
      options: {
        language: languages([
          `of the captions: ${LANGUAGES.join(', ')}; with several, such as`,
          'en,de, each has its part of a batch (default en)',
        ]),
        encoder: choice(ENCODERS, ['of the images, as above (default cnn)'], 'cnn'),
        tokenizer: choice(TOKENIZERS, [`what tokens are: ${TOKENIZERS.join(', ')} (default bpe)`], 'bpe'),
        vocabulary: number(count(6, 65_536), ['the most tokens there are (default 1024)'], 1024),
        length: number(count(1, 1024), ['the most tokens of a caption (default 16)'], 16),
        dropout: number(
          { least: 0, most: 0.9 },
          ['of the encoder of captions, in training (default 0.1)'],
          0.1,
        ),
        embedding: number(count(2, 65_536), ['dimension of the space of both (default 64)'], 64),
        epochs: number(count(1), ['passes over the emoji (default 40)'], 40),
        batch: number(count(2), ['emoji in a step, each in one drawing (default 128)'], 128),
        data: choice(['emoji'], ['emoji, in the drawings of two vendors (default)'], 'emoji'),
      },
    },
    text: {
      what: 'trains on texts: see --data',
      learningRate: 2e-3,
      options: {
        data: texts([
          'glosses, 12,000 definitions of nouns from WordNet, or FILE.txt, whose',
          'lines are texts (default of methods of texts: glosses)',
        ]),
        tokenizer: choice(TOKENIZERS, [`what tokens are: ${TOKENIZERS.join(', ')} (default bpe)`], 'bpe'),
        vocabulary: number(count(6, 65_536), ['the most tokens there are (default 2048)'], 2048),
        length: number(count(1, 1024), ['the most tokens of a text (default 24)'], 24),
        dropout: number({ least: 0, most: 0.9 }, ['of the encoder, in training (default 0.1)'], 0.1),
        pairs: choice(
          TEXT_PAIRS,
          [
            'the two views: dropout, of one text by different dropout, or',
            'examples, a definition and an example of its use (default dropout)',
          ],
          'dropout',
        ),
        embedding: number(count(2, 65_536), ['dimension of the embedding z (default 64)'], 64),
        epochs: number(count(1), ['passes over the texts (default 8)'], 8),
        batch: number(count(2), ['texts in a step (default 256)'], 256),
      },
    },
  };

/** The kind of data of a run: a loss of two views trains on images, or on texts where `--data` names some. */
const kindOf = (method: Method, data: unknown): Method['data'] =>
  method.data === 'images' && isTextData(data) ? 'text' : method.data;

/** The options that make no difference to the runs of a method. */
export function unusedOf(method: Method): readonly string[] {
  if (method.data === 'text') return ['pairs', 'embedding'];
  if (method.data !== 'images') return [];
  const { unused = [] } = method;
  const pairs = (unused as readonly string[]).includes('views') ? ['pairs', 'mine'] : [];
  return [...unused, ...pairs, ...(isPair(method) ? [] : ['matryoshka'])];
}

/** Why a method does not use an option of images. */
const UNUSED: Record<Unused | 'matryoshka' | 'pairs' | 'mine', string> = {
  encoder: 'trains a network of its own',
  embedding: 'has no embedding of that size',
  views: 'does not train on such views',
  viewNoise: 'does not train on such views',
  matryoshka: 'trains more than a loss of two views',
  pairs: 'does not train on such views',
  mine: 'does not train on such views',
};

/** The options of the runs of a method on a kind of data, with its defaults; those of images are not for texts. */
function optionsOf(method: Method, kind: Method['data']): Record<string, Option> {
  const { learningRate, options } = KINDS[kind];
  const own = 'defaults' in method && kind === method.data ? method.defaults : {};
  const defaults: Record<string, unknown> = { learningRate, ...own };
  const unused = kind === method.data ? unusedOf(method) : [];
  const used = Object.entries({ ...options, ...COMMON }).filter(([name]) => !unused.includes(name));
  return Object.fromEntries(
    used.map(([name, option]) => [
      name,
      Object.hasOwn(defaults, name) ? { ...option, default: defaults[name] } : option,
    ]),
  );
}

const ALL: Record<string, Option> = {
  ...COMMON,
  ...Object.assign({}, ...Object.values(KINDS).map(({ options }) => options)),
};

const METHODS = Object.keys(allMethods);
/** The hyperparameters of all methods. */
const HYPERPARAMETERS = [
  ...new Set(Object.values(allMethods).flatMap((one) => Object.keys(one.hyperparameters))),
];
/** The name of an option in a command line: learning-rate for learningRate. */
export const dashed = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The range of a hyperparameter of a method, with the limits of the command line. */
function rangeOf(method: string, name: string): NumberRange {
  const range = allMethods[method].hyperparameters[name][1] as NumberRange;
  const { above, least = 0, most = LARGE, whole = 'live' in range } = range;
  return { least: above === undefined ? least : Math.max(least, SMALL), most, whole };
}

const hyperparametersOf = (method: string): string =>
  Object.keys(allMethods[method].hyperparameters)
    .map((name) => `--${dashed(name)}`)
    .join(', ') || 'none';

const column = (left: string, right: readonly string[]): string =>
  `  ${left}`.padEnd(26) + right.join(`\n${' '.repeat(26)}`);

/** The text of `--help`. */
export function help(): string {
  const rows = (options: Record<string, Option>) =>
    Object.entries(options).map(([name, { argument, help }]) =>
      column(`--${dashed(name)} ${argument}`, help),
    );
  const hyperparameters = HYPERPARAMETERS.map((name) => {
    const users = Object.entries(allMethods).filter(([, method]) =>
      Object.hasOwn(method.hyperparameters, name),
    );
    const defaults = users.map(([user, { hyperparameters }]) => `${user} ${hyperparameters[name][0]}`);
    return column(`--${dashed(name)} X`, [wrapped(defaults, 26).trimStart()]);
  });
  return `Trains an encoder on images without labels, on the GPU, and measures how good it is.

  npm start -- [options]

  --method NAME           what to train with (default simclr):
${wrapped(METHODS, 26)}
  --list                  describe the methods, with paper and year
${rows(COMMON).join('\n')}
  --no-tune               use the default kernels
  --resume RUN            continue an interrupted run, given its folder; takes no other option
  -h, --help              show this text

Methods of images:

${rows(KINDS.images.options).join('\n')}

Methods of points on the plane (${METHODS.filter((name) => allMethods[name].data === 'plane').join(', ')}):

${rows(KINDS.plane.options).join('\n')}

Methods of the h of a trained encoder (${METHODS.filter((name) => allMethods[name].data === 'rows').join(', ')}):

${rows(KINDS.rows.options).join('\n')}

Texts, for the methods of images that are a loss of two views, such as simclr:

${rows(KINDS.text.options).join('\n')}

Methods of images with captions (${METHODS.filter((name) => allMethods[name].data === 'image-text').join(', ')}):

${rows(KINDS['image-text'].options).join('\n')}

Hyperparameters of single methods, with their defaults. --chunks passes a batch through the network in
parts, to save memory: the gradient is that of the whole batch, except that batch norm, which every
encoder has, normalises each part by itself.

${hyperparameters.join('\n')}
`;
}

/** Names in lines that with `indent` more have at most 80 columns. */
function linesOf(names: readonly string[], indent: number): string[] {
  const lines = [''];
  for (const [i, name] of names.entries()) {
    const word = i < names.length - 1 ? `${name},` : name;
    const line = lines[lines.length - 1];
    if (line && indent + line.length + 1 + word.length > 80) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines;
}

/** The same as text, behind `indent` spaces. */
const wrapped = (names: readonly string[], indent: number): string =>
  linesOf(names, indent)
    .map((line) => ' '.repeat(indent) + line)
    .join('\n');

/** The text of `--list`. */
export function list(): string {
  return Object.entries(allMethods)
    .map(
      ([name, { title, paper, year, summary }]) =>
        `${name.padEnd(14)} ${title} (${paper}, ${year})\n${' '.repeat(15)}${summary}`,
    )
    .join('\n');
}

/**
 * Reads a command line.
 * @throws InputError in one line for an unknown option, method or hyperparameter, or a value that is out of range
 */
export function parse(args: string[]): Command {
  const asked = args[args.indexOf('--method') + 1];
  const knows = args.includes('--method') && Object.hasOwn(allMethods, asked);
  const { text, flag, count } = readArguments(args, {
    command: 'npm start',
    flags: ['help', 'list', 'no-tune'],
    values: ['method', 'resume', ...[...Object.keys(ALL), ...HYPERPARAMETERS].map(dashed)],
    words: ['help', 'list'],
    hint: knows ? `; the hyperparameters of ${asked}: ${hyperparametersOf(asked)}` : '',
  });
  const given = (name: string) => text(dashed(name));
  const resume = text('resume') ?? null;
  if (resume !== null && count > 1)
    throw new InputError("--resume uses the run's saved options: give no other option with it");
  const method = oneOf('method', text('method') ?? 'simclr', METHODS);
  const { hyperparameters } = allMethods[method];
  const kind = kindOf(allMethods[method], given('data'));
  const own = optionsOf(allMethods[method], kind);
  const strange = Object.keys(ALL).find((name) => !Object.hasOwn(own, name) && given(name) !== undefined);
  if (strange !== undefined) {
    const why = Object.hasOwn(KINDS[kind].options, strange)
      ? UNUSED[strange as keyof typeof UNUSED]
      : KINDS[kind].what;
    throw new InputError(`--${dashed(strange)}: not an option of ${method}, which ${why}`);
  }
  const wrong = HYPERPARAMETERS.find(
    (name) => given(name) !== undefined && !Object.hasOwn(hyperparameters, name) && !Object.hasOwn(own, name),
  );
  if (wrong)
    throw new InputError(
      `--${dashed(wrong)}: ${method} has no such hyperparameter; it has ${hyperparametersOf(method)}`,
    );
  if (flag('no-tune') && text('tune') !== undefined) throw new InputError('--tune conflicts with --no-tune');
  const values = Object.entries(own).flatMap(([name, option]) => {
    const asked = given(name);
    const value = asked === undefined ? option.default : option.read(asked, dashed(name));
    return value === undefined ? [] : [[name, value]];
  });
  const numbers = Object.entries(hyperparameters as Hyperparameters).map(([name, [initial]]) => {
    const asked = given(name);
    return [name, asked === undefined ? initial : readNumber(asked, dashed(name), rangeOf(method, name))];
  });
  const options = {
    method,
    ...Object.fromEntries(values),
    hyperparameters: Object.fromEntries(numbers),
    ...(flag('no-tune') && { tune: false }),
  } as RunOptions;
  return { help: flag('help'), list: flag('list'), resume, options };
}

function oneOf(name: string, value: string, allowed: readonly string[]): string {
  if (!allowed.includes(value))
    throw new InputError(`--${name}: "${oneLine(value)}" is unknown; expected ${allowed.join(', ')}`);
  return value;
}

/**
 * Checks the types and ranges of the options in an options.json.
 * @param value the parsed JSON; names that are not options must be in `others`
 * @param file for messages
 * @throws InputError in one line
 */
export function checkRunOptions(value: unknown, file: string, others: readonly string[] = []): RunOptions {
  checkOptions(file, value, ['method', 'hyperparameters', ...Object.keys(ALL), ...others]);
  const given = value as Record<string, unknown>;
  const bad = (name: string, expected: string) =>
    new InputError(`${file}: expected ${expected} for "${name}", got ${shown(given[name])}`);
  const method = METHODS.find((name) => name === given.method);
  if (method === undefined) throw bad('method', METHODS.join(', '));
  const kind = kindOf(allMethods[method], given.data);
  const own = optionsOf(allMethods[method], kind);
  // Runs of earlier versions have unused options too.
  const unused = unusedOf(allMethods[method]);
  const strange = Object.keys(ALL).find(
    (name) => !Object.hasOwn(own, name) && !unused.includes(name) && given[name] !== undefined,
  );
  if (strange !== undefined) throw bad(strange, 'nothing');
  const values = Object.entries(own).flatMap(([name, option]) => {
    if (given[name] === undefined && option.default === undefined) return [];
    const expected = option.expects(given[name]);
    if (expected !== null) throw bad(name, expected);
    return [[name, given[name]]];
  });
  const { hyperparameters } = given;
  const defaults = defaultsOf(allMethods[method].hyperparameters);
  checkOptions(`${file}: "hyperparameters"`, hyperparameters, Object.keys(defaults));
  for (const [name, number] of Object.entries(hyperparameters as object))
    checkNumber(file, name, number, rangeOf(method, name));
  return {
    method,
    ...Object.fromEntries(values),
    hyperparameters: { ...defaults, ...(hyperparameters as Record<string, number>) },
  } as RunOptions;
}
