// A run on rows: a sparse code of the h of a trained encoder, its numbers and its report.
import { decodeSafetensors, encodeSafetensors, type FileTensor } from '../data/safetensors.ts';
import { inRange } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { type Scalar, scalar, trace, variable } from '../graph/tensor.ts';
import { allMethods } from '../methods/index.ts';
import type { RowsMethod, SparseRecipe } from '../methods/method.ts';
import { picked } from '../metrics/compute.ts';
import { mmcs } from '../metrics/mmcs.ts';
import { normalArray } from '../ops/random.ts';
import { readVariable } from '../runtime/variables.ts';
import { geometricMedian } from '../train/geometric_median.ts';
import { type RowsMetrics, type RowsRun, rowSteps, rowsTask } from '../train/rows.ts';
import { readRegular, reason } from './files.ts';
import type { Job, Site } from './job.ts';
import { checkPlan } from './needs.ts';
import type { RowsOptions } from './options.ts';
import {
  renderSparsePage,
  type Similarity,
  type SparseReport,
  sparseFindings,
  verdictOf,
} from './sparse_report.ts';
import { print } from './terminal.ts';
import { encodedImages, readTrainedRun } from './trained_run.ts';

/** Reads the run whose h is coded. @throws InputError */
export async function rowsJob(asked: RowsOptions): Promise<Job<RowsMetrics, ReturnType<typeof rowsTask>>> {
  const source = await readTrainedRun(asked.on, '--on');
  const { images, width, digest } = source;
  const compared = asked.compare === null ? null : readDecoder(asked.compare, width);
  const compare = asked.compare && Deno.realPathSync(asked.compare);
  const options: RowsOptions = { ...asked, on: source.path, compare };
  const { method, hyperparameters, epochs, batch, learningRate, seed } = options;
  const { title, paper } = allMethods[method];
  // Their values are there once the images are encoded.
  const rows = {
    ...scaled(new Float32Array(0), new Float32Array(0), 1),
    center: new Float32Array(0) as Float32Array,
  };
  const of = (name: 'train' | 'test') =>
    variable([images[name].count, width], { name: `h.${name}`, initial: () => rows[name] });
  const run: RowsRun = {
    ...{ method: allMethods[method] as RowsMethod, hyperparameters, epochs, batch, learningRate, seed },
    ...{ data: of('train'), validation: of('test'), center: () => rows.center },
  };
  if (batch > images.train.count)
    throw new InputError(`--batch: ${batch} is larger than the data, which has ${images.train.count} rows`);
  const steps = rowSteps(run);
  const save = async (device: Device, model: SparseRecipe, measured?: Record<string, unknown>) =>
    encodeSafetensors(await rescaled(device, model, rows.scale), {
      ...{ method, seed: String(seed), hyperparameters: JSON.stringify(hyperparameters) },
      ...{ on: options.on, dataDigest: digest, scale: String(rows.scale) },
      ...(measured && { evaluation: JSON.stringify(measured) }),
    });
  return {
    title: `${title}, ${paper}: ${steps} steps of ${batch} h of ${options.on}`,
    ...{ steps, samplesPerStep: batch, recorded: { ...options, dataDigest: digest }, dataDigest: digest },
    async check(device) {
      const { build, schedules, variables } = rowsTask(run);
      const scalars = Object.keys(schedules).map((key): [string, Scalar] => [key, scalar()]);
      await checkPlan(
        device,
        trace(() => build(scalar('u32'), Object.fromEntries(scalars))),
      );
      return variables;
    },
    task: () => rowsTask(run),
    async before({ device, progress }) {
      const h = await encodedImages(device(), source, (fraction) =>
        progress.stage('encoding images', fraction),
      );
      Object.assign(rows, scaled(h.train, h.test, width));
      rows.center = await geometricMedian(device(), {
        data: rows.train,
        shape: run.data.shape as [number, number],
      });
    },
    shown: ({ loss }) => ({ loss }),
    async save({ folder, device }, { task: { model } }) {
      folder.write('sae.safetensors', await save(device(), model));
    },
    async report(site, { task: { model }, metrics }, seconds) {
      const sources = { rows: run, values: rows, images };
      const findings = await sparseFindings(site.device(), model, sources, (stage, fraction) =>
        site.progress.stage(stage, fraction),
      );
      const { numbers, latents, uses } = findings;
      const similarity = compared && (await similarityOf(site.device(), model, uses, compared));
      const report: SparseReport = {
        ...{ method, on: options.on, seed, steps, seconds: Number(seconds.toFixed(1)) },
        ...{ adapter: site.device().adapter, loss: metrics.at(-1)!.loss, ...numbers },
        ...(similarity && { mmcs: similarity }),
        ...{ options: { ...options }, verdict: '' },
      };
      report.verdict = verdictOf(report);
      site.folder.write('sae.safetensors', await save(site.device(), model, { ...numbers }));
      writeReport(site, report, () => renderSparsePage(report, metrics, latents, images));
      return 0;
    },
  };
}

/** Writes the report and its page, and prints what it says. */
function writeReport({ folder, progress }: Site, report: SparseReport, page: () => string): void {
  folder.write('report.json', `${JSON.stringify(report, null, 2)}\n`);
  progress.end();
  print(`\n${report.verdict}\n\nTrained in ${report.seconds.toFixed(0)} s.`);
  try {
    folder.write('report.html', page());
    print(` Look at ${folder.path}/report.html\n`);
  } catch (error) {
    print(` The numbers are in ${folder.path}; report.html could not be written: ${reason(error)}\n`);
  }
}

/** W_d among the parameters. */
const DECODER = 2;

/** Latents that fire for fewer held-out images are rare: their directions may be little more than where they began. */
const FREQUENT = 0.05;

/** How alike the latents are to those of another run: all of them, the frequent ones, and random directions in their place. */
async function similarityOf(
  device: Device,
  { parameters }: SparseRecipe,
  uses: Float64Array,
  to: Decoder,
): Promise<Similarity> {
  const data = (await readVariable(device, parameters![DECODER])) as Float32Array;
  const [, width] = to.shape;
  const frequent = Array.from(uses.keys()).filter((j) => uses[j] >= FREQUENT);
  const rows = (of: Float32Array) => ({ data: of, shape: [of.length / width, width] as [number, number] });
  return {
    all: await mmcs(device, rows(data), to),
    frequent: frequent.length ? await mmcs(device, rows(picked(data, width, frequent)), to) : null,
    chance: await mmcs(device, rows(normalArray(data.length, { seed: 0 })), to),
  };
}

/** Rows divided by one number, so that those to train on have total variance 1. @throws InputError where they are all equal */
function scaled(train: Float32Array, test: Float32Array, width: number) {
  if (!train.length) return { train, test, scale: 1 };
  const N = train.length / width;
  const mean = new Float64Array(width);
  for (let i = 0; i < train.length; i++) mean[i % width] += train[i] / N;
  let [spread, size] = [0, 0];
  for (let i = 0; i < train.length; i++) {
    spread += (train[i] - mean[i % width]) ** 2 / N;
    size += train[i] ** 2 / N;
  }
  if (!(spread > 2 ** -42 * size))
    throw new InputError(
      '--on: the h of all training images are equal: the encoder has collapsed, there is nothing to code',
    );
  const scale = Math.sqrt(spread);
  return { train: train.map((value) => value / scale), test: test.map((value) => value / scale), scale };
}

/** The tensors of sae.safetensors, for h as it is: of rows that were divided by `scale`, biases and threshold are multiplied by it. */
async function rescaled(
  device: Device,
  { parameters = [], state = [] }: SparseRecipe,
  scale: number,
): Promise<[string, FileTensor][]> {
  const kept = [...parameters, ...state.filter(({ name }) => name === 'sae.threshold')];
  return Promise.all(
    kept.map(async (v): Promise<[string, FileTensor]> => {
      const data = (await readVariable(device, v)) as Float32Array;
      const factor = v.shape.length === 1 ? scale : 1;
      return [v.name, { dtype: 'f32', shape: v.shape, data: data.map((value) => factor * value) }];
    }),
  );
}

interface Decoder {
  data: Float32Array;
  shape: [latents: number, width: number];
}

/** The decoder of another run, to compare with. @throws InputError that names the file */
function readDecoder(folder: string, width: number): Decoder {
  const file = `${folder}/sae.safetensors`;
  const found = decodeSafetensors(readRegular(file)).tensors.get('sae.decoder');
  if (found?.dtype !== 'f32' || found.shape.length !== 2 || !inRange(found.shape[0], { least: 1 }))
    throw new InputError(`--compare: ${file} has no decoder`);
  if (found.shape[1] !== width)
    throw new InputError(
      `--compare: ${file} codes rows of ${found.shape[1]} numbers, those of --on have ${width}`,
    );
  return { data: found.data as Float32Array, shape: found.shape as [number, number] };
}
