// The facts about a run in its report: its title, its data, and the command that repeats it.
import { allMethods, unetEncoder } from '../methods/index.ts';
import type { Sets } from './files.ts';
import { dashed, type ImageOptions, parse, type RunOptions } from './options.ts';
import { pairingOf } from './views.ts';

/** The data of a run, as report.json has it. */
export interface DataFacts {
  /** Fashion-MNIST, or the file of the images. */
  name: string;
  /** Numbers of images for training and for testing. */
  train: number;
  test: number;
  height: number;
  width: number;
  channels: number;
  /** Number of labels that occur; absent without labels. */
  classes?: number;
  /** Mean and std of each channel, with pixels in [0, 1]: the encoder takes (pixel - mean) / std. */
  mean: readonly number[];
  std: readonly number[];
}

/** What identifies a run. */
export interface About {
  title: string;
  /** When the report was made, in ISO 8601. */
  date: string;
  /** The command that repeats the run. */
  command: string;
  data: DataFacts;
}

/**
 * The facts about a run for its report.
 * @param labels of all images, for the number of classes that occur
 */
export function aboutRun(
  options: ImageOptions,
  { train, test }: Sets,
  labels: readonly ArrayLike<number>[],
  date: Date,
): About {
  const { data } = options;
  const name = Array.isArray(data) ? data[0].split(/[\\/]/).at(-1)! : (data ?? 'Fashion-MNIST');
  const { height, width, channels, mean, std } = train;
  const occurring = new Set(labels.flatMap((list) => Array.from(list)));
  return {
    title: `${allMethods[options.method].title} on ${name}`,
    date: date.toISOString(),
    command: commandOf(options, train),
    data: {
      ...{ name, train: train.count, test: test.count, height, width, channels },
      ...(occurring.size > 0 && { classes: occurring.size }),
      ...{ mean, std },
    },
  };
}

/** An argument, in single quotes unless a shell reads it as one word. */
const quoted = (word: string) =>
  /^[\w./,:=+@%-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/**
 * The command line of a run: its method, and each option that is not the default.
 * @param images those of the run, on which the defaults of `--pairs` and `--views` depend; without them both are always named
 */
export function commandOf(options: RunOptions, images?: Parameters<typeof pairingOf>[1]): string {
  const texts = 'tokenizer' in options ? ['--data', options.data] : [];
  const { options: known } = parse(['--method', options.method, ...texts]);
  const { pairs } = options as Partial<ImageOptions>;
  // The default views depend on the pairs that were asked for.
  const defaults = {
    ...known,
    ...(texts.length && { data: undefined }),
    ...(images && { pairs: pairingOf({}, images).pairs, views: pairingOf({ pairs }, images).views }),
  };
  const words: string[] = [];
  const add = (name: string, value: unknown, usual: unknown) => {
    if (value === undefined || value === null || JSON.stringify(value) === JSON.stringify(usual)) return;
    if (value === false) words.push(`--no-${dashed(name)}`);
    else words.push(`--${dashed(name)}`, quoted(String(value)));
  };
  add('method', options.method, undefined);
  for (const [name, value] of Object.entries(options)) {
    if (name === 'hyperparameters')
      for (const [own, number] of Object.entries(options.hyperparameters))
        add(own, number, defaults.hyperparameters[own]);
    else if (name !== 'method') add(name, value, (defaults as unknown as Record<string, unknown>)[name]);
  }
  return `npm start -- ${words.join(' ')}`;
}

/** A program that loads the encoder of a run and embeds images with it. */
export function loadingCode(
  { encoder = 'unet', hyperparameters }: Pick<ImageOptions, 'encoder' | 'hyperparameters'>,
  data: DataFacts,
): string {
  if (encoder === 'unet') {
    const { width } = hyperparameters;
    const { outputs } = unetEncoder({ image: data, width });
    const made = `unetEncoder({ image: images, width: ${width} })`;
    return programOf("import { unetEncoder } from 'hypersphere/methods';", made, outputs, data);
  }
  const { height, width, channels } = data;
  const sizes = `height: ${height}, width: ${width}, channels: ${channels}`;
  const inputs = `inputs: ${height * width * channels}`;
  const coarse = 'mostPatches: 16';
  const kinds: Record<string, [made: string, outputs: number]> = {
    cnn: [`nn.cnnEncoder({ ${sizes} })`, 256],
    'cnn-average': [`nn.cnnEncoder({ ${sizes}, pool: 'average' })`, 256],
    'cnn-map': [
      `nn.cnnEncoder({ ${sizes}, widths: [32, 16], pool: 'none' })`,
      16 * Math.ceil(height / 4) * Math.ceil(width / 4),
    ],
    mlp: [`nn.mlpEncoder({ ${inputs}, widths: [512, 256] })`, 256],
    'mlp-small': [`nn.mlpEncoder({ ${inputs}, widths: [256, 128] })`, 128],
    vit: [`nn.vitEncoder({ ${sizes} })`, 64],
    'vit-causal': [`nn.vitEncoder({ ${sizes}, causal: true })`, 64],
    'vit-coarse': [`nn.vitEncoder({ ${sizes}, ${coarse} })`, 64],
    'vit-coarse-causal': [`nn.vitEncoder({ ${sizes}, ${coarse}, causal: true })`, 64],
  };
  return programOf("import * as nn from 'hypersphere/nn';", ...kinds[encoder], data);
}

/** A program that loads an encoder, by the import and the expression that make it, and turns images into rows of `outputs`. */
function programOf(imported: string, made: string, outputs: number, data: DataFacts): string {
  const { height, width, channels, mean, std } = data;
  const numbers = (list: readonly number[]) => `[${list.join(', ')}]`;
  return `import { openDevice, readVariable } from 'hypersphere';
import { dataset, fromArrays, loadVariables } from 'hypersphere/data';
import { embed } from 'hypersphere/metrics';
${imported}

const device = await openDevice();
const pixels = new Uint8Array(${height * width * channels}); // your images, one after the other
const images = dataset(fromArrays(pixels, [pixels.length / ${height * width * channels}, ${height}, ${width}, ${channels}]), {
  mean: ${numbers(mean)},
  std: ${numbers(std)},
});

const encoder = ${made};
const file = await Deno.readFile('encoder.safetensors');
loadVariables(device, file, [...encoder.parameters, ...encoder.statistics]);
const { h } = await embed(device, images, (x) => ({ h: encoder(x) }));
const rows = await readVariable(device, h); // [images, ${outputs}], to search, cluster or classify by
`;
}
