import { parseArgs } from 'node:util';
import { InputError } from '../gpu/errors.ts';
import { methods } from '../methods/registry.ts';
import { densities } from './densities.ts';

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
  /** Standard deviation of Gaussian noise on the pixels of the training views, beside what `S1` does. */
  viewNoise: number;
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
  viewNoise: 0,
  precision: 'f32',
  data: null,
  test: null,
  out: 'runs',
};

/** Of a density method, which takes Adam's steps through few parameters. */
const DENSITY_RATE = 1e-2;
/** What it has no use for. */
const OF_IMAGES = ['encoder', 'embedding', 'epochs', 'batch', 'view-noise', 'precision', 'data', 'test'];

const ENCODERS = ['cnn', 'cnn-average', 'mlp', 'mlp-small'];
const PRECISIONS = ['f32', 'mixed'];

/** Every knob of every method; `--help` and the parser know them from here. */
const KNOBS = [...new Set(Object.values(methods).flatMap((method) => Object.keys(method.knobs)))];
const dashed = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Knobs that are on or off. */
const SWITCHES = ['predictor', 'stopGradient', 'standardize', 'hard', 'centre'];

const knobsOf = (method: string): string =>
  Object.keys(methods[method].knobs)
    .map((knob) => `--${dashed(knob)}`)
    .join(', ') || 'none';

/** The text of `--help`. */
export function help(): string {
  const knobs = KNOBS.map((knob) => {
    const users = Object.entries(methods).filter(([, method]) => knob in method.knobs);
    return (
      `  --${dashed(knob)} X`.padEnd(26) +
      users.map(([name, method]) => `${name} ${method.knobs[knob]}`).join(', ')
    );
  });
  return `Trains an encoder without labels on the GPU and judges it.

  npm start -- [options]

  --method NAME           ${Object.keys(methods).join(', ')} (default ${DEFAULTS.method})
  --list                  the methods, with paper, year and one line
  --encoder NAME          ${ENCODERS.join(', ')} (default ${DEFAULTS.encoder})
  --embedding N           numbers in an embedding z (default ${DEFAULTS.embedding})
  --epochs N              default ${DEFAULTS.epochs}
  --batch N               samples in a step, two views of each (default ${DEFAULTS.batch})
  --learning-rate X       of Adam, cosine to 0 (default ${DEFAULTS.learningRate}; nce ${DENSITY_RATE})
  --seed N                default ${DEFAULTS.seed}
  --view-noise X          standard deviation of noise on the views' pixels (default ${DEFAULTS.viewNoise}; npm run methods: .1)
  --precision NAME        ${PRECISIONS.join(', ')} (default ${DEFAULTS.precision}); mixed stores what layers make as f16 and needs shader-f16
  --data IMAGES,LABELS    an IDX pair of your own, gzipped or not (default: Fashion-MNIST, 10,000 images)
  --test IMAGES,LABELS    its test pair (default with --data: a sixth of the images, drawn)
  --density NAME          of nce, instead of images: ${Object.keys(densities).join(', ')} (default ${Object.keys(densities)[0]})
  --out FOLDER            where run folders go (default ${DEFAULTS.out})
  --tune MS               choose kernels by measuring, for so long in each compilation (default 400 on a GPU, else none)
  --no-tune               take the kernels that suit most adapters
  --resume RUN            go on with an interrupted run folder, with the options it was started with
  --help

knobs (defaults by method; ${SWITCHES.map((knob) => `--${dashed(knob)}`).join(', ')}: 0 or 1). A step in --chunks has the gradient of
the whole batch but for batch norm, which every encoder here has: its statistics are those of a chunk.
${knobs.join('\n')}
`;
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
  const flags = ['help', 'list', 'no-tune'];
  const values = [
    'method',
    'encoder',
    'embedding',
    'epochs',
    'batch',
    'learning-rate',
    'seed',
    'view-noise',
    'precision',
    'data',
    'test',
    'density',
    'out',
    'tune',
    'resume',
  ];
  const options = Object.fromEntries([
    ...flags.map((name) => [name, { type: 'boolean' as const }]),
    ...[...values, ...KNOBS.map(dashed)].map((name) => [name, { type: 'string' as const }]),
  ]);
  let given: Record<string, string | boolean | undefined>;
  try {
    given = parseArgs({ args, options, strict: true, allowPositionals: false }).values as typeof given;
  } catch (error) {
    const [first] = (error as Error).message.split(/\.\s/);
    const method = args[args.indexOf('--method') + 1];
    const own =
      args.includes('--method') && methods[method] ? `; the knobs of ${method}: ${knobsOf(method)}` : '';
    throw new InputError(`${first}${own}; npm start -- --help lists the options`);
  }
  const text = (name: string) => given[name] as string | undefined;
  const resume = text('resume') ?? null;
  if (resume !== null && Object.keys(given).length > 1) {
    throw new InputError('--resume goes on with the options of its run: give no other option with it');
  }
  const number = (
    name: string,
    fallback: number,
    { least, whole = false }: { least: number; whole?: boolean },
  ) => {
    const given = text(name);
    if (given === undefined) return fallback;
    const value = Number(given);
    if (
      given.trim() === '' ||
      !Number.isFinite(value) ||
      value < least ||
      (whole && !Number.isInteger(value))
    ) {
      throw new InputError(
        `--${name}: expected a ${whole ? 'whole ' : ''}number of at least ${least}, got "${given}"`,
      );
    }
    return value;
  };
  const method = oneOf('method', text('method') ?? DEFAULTS.method, Object.keys(methods));
  const own = methods[method].knobs;
  const wrong = KNOBS.find((knob) => text(dashed(knob)) !== undefined && !(knob in own));
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
  if (given['no-tune'] && text('tune') !== undefined)
    throw new InputError('--tune: --no-tune says the opposite');
  const tune = given['no-tune']
    ? false
    : text('tune') === undefined
      ? undefined
      : number('tune', 0, { least: 0 });
  return {
    help: given.help === true,
    list: given.list === true,
    resume,
    options: {
      method,
      encoder: oneOf('encoder', text('encoder') ?? DEFAULTS.encoder, ENCODERS) as RunOptions['encoder'],
      embedding: number('embedding', DEFAULTS.embedding, { least: 2, whole: true }),
      epochs: number('epochs', DEFAULTS.epochs, { least: 1, whole: true }),
      batch: number('batch', DEFAULTS.batch, { least: 2, whole: true }),
      learningRate: number('learning-rate', density ? DENSITY_RATE : DEFAULTS.learningRate, { least: 0 }),
      seed: number('seed', DEFAULTS.seed, { least: 0, whole: true }),
      viewNoise: number('view-noise', DEFAULTS.viewNoise, { least: 0 }),
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
            : number(dashed(knob), value, { least: /temperature|epsilon/i.test(knob) ? 1e-3 : 0 }),
        ]),
      ),
      data: pair('data', text('data')),
      test: pair('test', text('test')),
      out: text('out') ?? DEFAULTS.out,
      ...(density && {
        density: oneOf('density', text('density') ?? Object.keys(densities)[0], Object.keys(densities)),
      }),
      ...(tune !== undefined && { tune }),
    },
  };
}

function oneOf(name: string, value: string, allowed: string[]): string {
  if (!allowed.includes(value))
    throw new InputError(`--${name}: "${value}" is unknown; expected ${allowed.join(', ')}`);
  return value;
}

function pair(name: string, value: string | undefined): [string, string] | null {
  if (value === undefined) return null;
  const parts = value.split(',');
  if (parts.length !== 2 || parts.some((part) => !part))
    throw new InputError(`--${name}: expected IMAGES,LABELS, got "${value}"`);
  return [parts[0], parts[1]];
}
