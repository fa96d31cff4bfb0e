// A run on images: the baselines before training, the numbers and the report after it.
import { resolve } from 'node:path';
import { scaledTo } from '../data/augment.ts';
import type { Dataset } from '../data/dataset.ts';
import { saveVariables } from '../data/safetensors.ts';
import { HypersphereError, InputError } from '../gpu/errors.ts';
import { mixed } from '../graph/mixed.ts';
import { allMethods } from '../methods/index.ts';
import type { ImageMethod } from '../methods/method.ts';
import type { Panel } from '../methods/panel.ts';
import { describeCollapse } from '../metrics/alarm.ts';
import { evaluate } from '../metrics/evaluate.ts';
import { type LayerCurve, layerCurve } from '../metrics/layer_curve.ts';
import { freeVariables } from '../runtime/variables.ts';
import { encoders } from '../train/encoders.ts';
import {
  alarmOf,
  type ImageMetrics,
  type ImageModel,
  type ImageRun,
  imageTask,
  lookOnce,
  represent,
  untrainedModel,
} from '../train/images.ts';
import type { Finished, Logged, Moment } from '../train/run.ts';
import { aboutRun } from './about.ts';
import { createAlarmLines } from './alarm_lines.ts';
import { type EncoderRecord, encoderMetadata } from './encoder_file.ts';
import {
  classesIn,
  datasetsOf,
  digestOf,
  lines,
  type RunData,
  readData,
  reason,
  type Sets,
} from './files.ts';
import type { Job, Site } from './job.ts';
import { drawFollowed, drawPanels, numbersOf } from './method_panels.ts';
import { lineOf } from './moments.ts';
import { checkClasses, checkEvaluation, checkRun, stepsOf } from './needs.ts';
import { type ImageOptions, unusedOf } from './options.ts';
import { pictures } from './pictures.ts';
import { PREFIXES, prefixAccuracies, prefixPanel } from './prefixes.ts';
import type { Report, RunReport } from './report.ts';
import { renderReport } from './report_html.ts';
import { type MetricSet, metricTable, type ReportedMetrics } from './table.ts';
import { print } from './terminal.ts';
import { verdict, withPoint } from './verdict.ts';
import { pairingOf, viewsFor } from './views.ts';

type Done = Finished<ImageMetrics, ReturnType<typeof imageTask>>;

/** The metrics of an encoder that could not be measured. */
const UNMEASURED: ReportedMetrics = {};

/** The training run that options ask for. @throws InputError for views and pairs that the images cannot have */
export function imageRunOf(options: ImageOptions, data: Sets): ImageRun {
  const { method, precision, viewNoise, matryoshka, mine } = options;
  const { channels } = data.train;
  const { pairs, views } = pairingOf(options, data.train);
  if (pairs === 'drawings' && !data.train.partners)
    throw new InputError('--pairs: drawings is for images in pairs: give --data emoji');
  const others = Math.min(options.batch - 1, data.train.count - 2);
  if (mine !== undefined && mine > others)
    throw new InputError(`--mine: expected at most ${others} for batches of ${options.batch}, got ${mine}`);
  const { hyperparameters, epochs, batch, learningRate, seed } = options;
  // The defaults stand in where the method does not use them: every run is built with an encoder and a projector.
  const { encoder = 'cnn', embedding = 64 } = options;
  return {
    method: allMethods[method] as ImageMethod,
    ...{ hyperparameters, embedding, matryoshka, epochs, batch, learningRate, seed, viewNoise, pairs, mine },
    ...{ data: data.train, validation: data.test, encoder: encoders[encoder] },
    views: scaledTo(data.train, viewsFor(views, channels)),
    ...(precision === 'mixed' && { precision: mixed }),
  };
}

/** Options for options.json: pairs and views by name, files by absolute paths. */
function completed(options: ImageOptions, { train }: RunData): ImageOptions {
  const paths = (pair: [string, string]): [string, string] => [resolve(pair[0]), resolve(pair[1])];
  const { method, data, test } = options;
  const { pairs, views } = pairingOf(options, train);
  return {
    ...options,
    ...(!unusedOf(allMethods[method]).includes('views') && { views, ...(train.partners && { pairs }) }),
    ...{ data: Array.isArray(data) ? paths(data) : data, test: test && paths(test) },
  };
}

/** Reads the images of a run. @throws InputError */
export async function imageJob(
  asked: ImageOptions,
): Promise<Job<ImageMetrics, ReturnType<typeof imageTask>>> {
  const images = await readData(asked.data, asked.test);
  const options = completed(asked, images);
  const dataDigest = digestOf(images);
  const data = datasetsOf(images);
  const steps = stepsOf(options, data.train);
  checkClasses(options, images.train);
  const imageRun = imageRunOf(options, data);
  const { mean, std } = data.train;
  const recorded = { ...options, dataDigest, pixels: { mean, std } };
  const judge = createJudge(data);
  const alarmLines = createAlarmLines();
  let untrained: ImageMetrics;
  const collapses = alarmOf(imageRun, images.train.labels ?? null);
  const alarm = (looks: readonly Logged<ImageMetrics>[]) => collapses(looks, untrained);
  const save = async (site: Site, { task: { model }, saved, metrics }: Done, measured?: ReportedMetrics) => {
    const record = recordOf(options, { ...imageRun, dataDigest }, model, saved.step, metrics, measured);
    const bytes = await saveVariables(site.device(), model.encoderVariables, encoderMetadata(record));
    site.folder.write('encoder.safetensors', bytes);
  };
  const { title, paper } = allMethods[options.method];
  return {
    title: `${title}, ${paper}: ${steps} steps of ${options.batch} samples`,
    ...{ steps, samplesPerStep: 2 * options.batch, recorded, dataDigest },
    check: async (device) => (await checkRun(device, imageRun, data)).variables,
    task: () => imageTask(imageRun),
    async before(site) {
      if (classesIn(images.train, images.test) < 2)
        site.progress.say('All labels are the same: the accuracies of this run mean nothing.');
      await judge.measure(site, 'raw', null);
      if (site.stopped()) return;
      const model = await untrainedModel(site.device(), imageRun);
      await judge.measure(site, 'untrained', model);
      untrained = await lookOnce(site.device(), imageRun, model);
      freeVariables(site.device(), model.variables);
    },
    atMoment: (site, moment) => keepMoment(site, moment, data.test),
    shown: ({ loss, alignment, uniformity, rank, knn }) => ({ loss, alignment, uniformity, rank, knn }),
    lines: (metrics) => alarmLines(alarm(metrics), metrics.at(-1)!.step),
    save: (site, finished) => save(site, finished),
    async report(site, finished, seconds) {
      const { folder, progress } = site;
      const { metrics } = finished;
      const { model } = finished.task;
      const embedded = model.widths.z !== undefined;
      const { found, spectra, similarities } = judge;
      // The numbers first, so that no later failure loses them.
      await judge.measure(site, 'trained', model);
      const measured = found.trained !== UNMEASURED;
      if (measured) await save(site, finished, found.trained);
      const layers = await layersOf(site, data, model);
      const tables = await tablesOf(site, data, model, options);
      const seen = withPoint(alarm(metrics), found, steps);
      const labels = [images.train.labels ?? [], images.test.labels ?? []];
      const about = aboutRun(options, data, labels, new Date());
      const report: Report = {
        ...about,
        ...{ method: options.method, seed: options.seed, steps, seconds: Number(seconds.toFixed(1)) },
        ...{ adapter: site.device().adapter, loss: metrics.at(-1)?.loss ?? null, options: recorded },
        verdict: verdict(found, title, seen, { classes: about.data.classes, embedded }),
        ...{ alarm: seen, metrics: found, layers },
        ...(tables.panels.length && { tables: numbersOf(tables.panels) }),
      };
      folder.write('report.json', `${JSON.stringify(report, null, 2)}\n`);
      progress.end();
      print(`\n${metricTable(found)}\n\n${conclusion(report)}\n\nTrained in ${seconds.toFixed(0)} s.\n`);
      const { curves: methodCurves } = imageRun.method;
      const page = { report, curves: metrics, methodCurves, spectrum: spectra, similarities, ...tables };
      await draw(site, { ...page, classNames: images.classNames }, [model, data.test], (onProgress) =>
        pictures(site.device(), model, data, images, {
          untrained: () => untrainedModel(site.device(), imageRun),
          onProgress,
        }),
      );
      return measured ? 0 : 1;
    },
  };
}

/** The verdict and the alarms of a report. */
const conclusion = ({ verdict, alarm }: Report): string =>
  [verdict, ...alarm.map((each) => `Alarm: ${describeCollapse(each)}`)].join('\n\n');

const isTable = ({ kind }: Panel) => kind === 'table';

/** Draws the rows that panels follow, and writes them to the run's folder. */
async function keepMoment(
  site: Site,
  { step, device, task }: Moment<Done['task']>,
  test: Dataset,
): Promise<void> {
  const { followed, failures } = await drawFollowed(device, task.model.recipe.panels ?? [], test, step);
  for (const line of failures) site.progress.say(`Not drawn at step ${step}, ${line}`);
  if (!followed.length) return;
  // After a lost device a moment may come again.
  site.followed = [...site.followed.filter((one) => one.step < step), ...followed];
  site.folder.write('moments.jsonl', lines(site.followed.map(lineOf)));
}

/** Draws the pictures of a report, its tables being there, and writes the page. A failure becomes a line, and the rest is written. */
async function draw(
  site: Site,
  page: RunReport,
  [{ recipe }, test]: [ImageModel, Dataset],
  makePictures: (onProgress: (stage: string, fraction: number) => void) => ReturnType<typeof pictures>,
): Promise<void> {
  const { folder, progress } = site;
  const pictured = recipe.panels?.filter((panel) => !isTable(panel)) ?? [];
  const { panels, failures } = await drawPanels(site.device(), pictured, test, site.followed);
  const drawn: Partial<RunReport> & { failures: readonly string[] } = await makePictures((stage, fraction) =>
    progress.stage(stage, fraction),
  ).catch((error) => ({ failures: [`the pictures: ${reason(error)}`] }));
  progress.end();
  failures.push(...(page.failures ?? []), ...drawn.failures);
  const { panels: tables = [] } = page;
  try {
    folder.write(
      'report.html',
      renderReport({ ...page, panels: [...panels, ...tables], ...drawn, failures: [...failures] }),
    );
    print(`Look at ${folder.path}/report.html\n`);
  } catch (error) {
    print(`The numbers are in ${folder.path}\n`);
    failures.push(`report.html: ${reason(error)}`);
  }
  for (const line of failures) print(`Not drawn, ${line}\n`);
}

/** Measures raw pixels and the encoder before and after training. A failure is reported in a line, and the run continues. */
function createJudge(data: Sets) {
  const found: MetricSet = { raw: UNMEASURED, untrained: UNMEASURED, trained: UNMEASURED };
  const spectra = { untrained: [] as number[], trained: [] as number[] };
  const similarities: RunReport['similarities'] = {};
  const measure = async (site: Site, name: keyof MetricSet, model: ImageModel | null): Promise<void> => {
    const called = name === 'raw' ? 'raw pixels' : name;
    const { height, width, channels } = data.train;
    const device = site.device();
    try {
      if (!model) await checkEvaluation(device, data, height * width * channels);
      const measured = await evaluate(device, data, model && ((x) => represent(model, x)), {
        onProgress: (stage, fraction) => site.progress.stage(`${called}: ${stage}`, fraction),
      });
      const { spectrumZ, similaritiesZ, ...rest } = measured;
      found[name] = rest;
      if (name === 'raw') return;
      spectra[name] = [...(spectrumZ ?? [])];
      similarities[name] = similaritiesZ;
    } catch (error) {
      if (name !== 'trained' && (device.lost || !(error instanceof HypersphereError))) throw error;
      site.progress.say(`Not measured, ${called}: ${reason(error)}`);
    }
  };
  return { found, spectra, similarities, measure };
}

/** Measures the layers of the trained network. A failure is reported in a line. */
async function layersOf(site: Site, data: Sets, model: ImageModel): Promise<LayerCurve | undefined> {
  try {
    return await layerCurve(site.device(), data, (x) => represent(model, x), {
      onProgress: (layer, fraction) => site.progress.stage(`layers: ${layer}`, fraction),
    });
  } catch (error) {
    site.progress.say(`Not measured, layers: ${reason(error)}`);
    return undefined;
  }
}

/** The tables of the method, and that of prefixes of z where labelled images trained them. */
async function tablesOf(site: Site, { train, test }: Sets, model: ImageModel, { matryoshka }: ImageOptions) {
  const device = site.device();
  const tables = await drawPanels(device, model.recipe.panels?.filter(isTable) ?? [], test);
  if (!matryoshka || !train.labels || !test.labels) return tables;
  try {
    tables.panels.push(prefixPanel(await prefixAccuracies(device, { train, test }, model, matryoshka)));
  } catch (error) {
    tables.failures.push(`${PREFIXES}: ${reason(error)}`);
  }
  return tables;
}

/** The record of an encoder for encoder.safetensors. */
function recordOf(
  options: ImageOptions,
  run: ImageRun & { dataDigest: string },
  { widths: { h: outputs }, encoder: { name } }: ImageModel,
  step: number,
  metrics: readonly Logged<ImageMetrics>[],
  evaluation?: ReportedMetrics,
): EncoderRecord {
  const { height, width, channels, mean, std } = run.data;
  // A method that trains a network of its own names that.
  const { method, seed, encoder = name, learningRate, batch, epochs, precision } = options;
  const { embedding, matryoshka } = options;
  const noise = run.viewNoise;
  return {
    architecture: { encoder, height, width, channels, outputs },
    ...{ pixelMean: mean, pixelStd: std, method, seed, dataDigest: run.dataDigest },
    views: options.views
      ? { name: options.views, ...run.views, ...(noise !== undefined && { noise }) }
      : null,
    hyperparameters: {
      ...{ learningRate, batch, epochs, steps: step },
      ...{ ...(embedding && { embedding }), ...(matryoshka && { matryoshka }), precision },
      ...options.hyperparameters,
    },
    metrics: metrics.length ? { ...metrics.at(-1)! } : null,
    ...(evaluation && { evaluation: { ...evaluation } }),
  };
}
