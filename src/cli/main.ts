import { resolve } from 'node:path';
import { type Dataset, dataset, pixelStatistics } from '../data/dataset.ts';
import { saveVariables } from '../data/safetensors.ts';
import { openDevice } from '../gpu/device.ts';
import { HypersphereError, InputError } from '../gpu/errors.ts';
import { mixed } from '../graph/mixed.ts';
import { scalar } from '../graph/tensor.ts';
import { freeVariables } from '../graph/variables.ts';
import { methods } from '../methods/registry.ts';
import { collapseAlarm, describe, type Look } from '../metrics/alarm.ts';
import { evaluate } from '../metrics/evaluate.ts';
import { aboutRun } from './about.ts';
import { createAlarmLines } from './alarm_lines.ts';
import { runDensity } from './density.ts';
import { type EncoderRecord, encoderMetadata } from './encoder_file.ts';
import {
  classesIn,
  createRunFolder,
  digestOf,
  lines,
  pointLatest,
  type RunData,
  type RunFolder,
  readData,
  reason,
  runChoices,
} from './files.ts';
import { alarmOptions, buildModel, type Model, represent, settleStatistics, viewsOf } from './model.ts';
import { checkClasses, checkEvaluation, checkRun, stepsOf } from './needs.ts';
import { type Command, help, list, parse, type RunOptions } from './options.ts';
import { pictures } from './pictures.ts';
import { createProgress } from './progress.ts';
import type { Report, RunReport } from './report.ts';
import { renderReport } from './report_html.ts';
import { checkCheckpoint, type Earlier, reopen } from './resume.ts';
import { type MetricSet, metricTable, type ReportedMetrics } from './table.ts';
import { columns, complain, print } from './terminal.ts';
import { lookOnce, type Metrics, train } from './train.ts';
import { verdict, withPoint } from './verdict.ts';
import { defaultViews } from './views.ts';

/** The signals that end a run with saving, and the exit codes that shells give to them. */
const SIGNALS: [signal: Deno.Signal, code: number][] =
  Deno.build.os === 'windows'
    ? [['SIGINT', 130]]
    : [
        ['SIGINT', 130],
        ['SIGTERM', 143],
        ['SIGHUP', 129],
      ];

/** The metrics of an encoder that could not be measured. */
const UNMEASURED: ReportedMetrics = {};

/** Runs a command line; returns the exit code. */
async function main(args: string[]): Promise<number> {
  const command = parse(args);
  if (command.help) print(help());
  else if (command.list) print(`${list()}\n`);
  else if (command.resume === null && methods[command.options.method].density)
    return runDensity(command.options);
  else return run(command);
  return 0;
}

async function run(command: Command): Promise<number> {
  const earlier = command.resume === null ? null : reopen(command.resume);
  const asked = earlier?.options ?? command.options;
  const images = await readData(asked.data, asked.test);
  const options = completed(asked, images);
  const dataDigest = await digestOf(images);
  if (earlier) checkData(earlier, dataDigest);
  const data = { train: datasetOf(images, 'train'), test: datasetOf(images, 'test') };
  const steps = stepsOf(options, data.train);
  checkClasses(options, images.train);
  const given =
    options.tune === undefined || options.tune === false ? options.tune : { budgetMs: options.tune };
  // A resumed run measures nothing: it has the choices and the defaults that it began with.
  const tune = earlier && given !== false ? { budgetMs: 0 } : given;
  const choices = runChoices(() => folder, earlier !== null);
  let device = await openDevice({ tune, choices });
  if (options.precision === 'mixed') mixed.check(device.gpu.features);
  const { variables } = await checkRun(device, options, data);
  if (earlier) checkCheckpoint(earlier, variables, steps);
  const { folder, resume } = earlier ?? {
    folder: createRunFolder(options.out, options.method, new Date()),
    resume: null,
  };
  const pixels = { mean: data.train.mean, std: data.train.std };
  const recorded = { ...options, dataDigest, pixels };
  folder.write('options.json', `${JSON.stringify(recorded, null, 2)}\n`);

  const terminal = Deno.stdout.isTerminal();
  const progress = createProgress({ write: print, terminal, columns, imagesPerStep: 2 * options.batch });
  const { title, paper } = methods[options.method];
  const stored = options.precision === 'mixed' ? ', mixed precision' : '';
  progress.say(
    `${title}, ${paper}: ${steps} steps of ${options.batch} samples on ${device.adapter}${stored}`,
  );
  progress.say(
    resume ? `Going on from step ${resume.saved.step} in ${folder.path}` : `Writing to ${folder.path}`,
  );
  if (classesIn(images.train, images.test) < 2)
    progress.say('All labels are the same: the accuracies of this run mean nothing.');

  let stopped = 0;
  for (const [signal, code] of SIGNALS)
    Deno.addSignalListener(signal, () => {
      if (!stopped) progress.say('Stopping after this step. What there is will be saved.');
      stopped ||= code;
    });

  const found: MetricSet = { raw: UNMEASURED, untrained: UNMEASURED, trained: UNMEASURED };
  const spectra = { untrained: [] as number[], trained: [] as number[] };
  const similarities: RunReport['similarities'] = {};
  /** Measures an encoder; a failure is a line, and the run goes on. */
  const judge = async (name: keyof MetricSet, model: Model | null): Promise<void> => {
    const called = name === 'raw' ? 'raw pixels' : name;
    const { height, width, channels } = data.train;
    try {
      if (!model) await checkEvaluation(device, data, height * width * channels);
      const measured = await evaluate(device, data, model && ((x) => represent(model, x)), {
        onProgress: (stage, fraction) => progress.stage(`${called}: ${stage}`, fraction),
      });
      const { spectrumZ, similaritiesZ, ...rest } = measured;
      found[name] = rest;
      if (name === 'raw') return;
      spectra[name] = [...(spectrumZ ?? [])];
      similarities[name] = similaritiesZ;
    } catch (error) {
      if (name !== 'trained' && (device.lost || !(error instanceof HypersphereError))) throw error;
      progress.say(`Not measured, ${called}: ${reason(error)}`);
    }
  };

  const timing = resume?.timing ?? [];
  const earlierSeconds = timing.at(-1)?.seconds ?? 0;
  let started = 0;
  const trainedFor = () => earlierSeconds + (performance.now() - started) / 1000;
  const stoppedAt = (step?: number) => {
    progress.end();
    print(
      step === undefined
        ? 'Stopped before the first step: nothing was trained.\n'
        : `Stopped at step ${step} of ${steps}: ${folder.path} has the checkpoint and the metrics.\nGo on with: npm start -- --resume ${folder.path}\n`,
    );
    return stopped;
  };
  let latest: Metrics | undefined = resume?.metrics.at(-1);
  let pointed = resume !== null;
  try {
    await judge('raw', null);
    if (stopped) return stoppedAt(resume?.saved.step);
    const makeUntrained = async () => {
      const model = buildModel(options, data.train, scalar());
      await settleStatistics(device, options, data.train, model);
      return model;
    };
    const untrained = await makeUntrained();
    await judge('untrained', untrained);
    const before = await lookOnce(device, { watch: data.test, data: data.train }, untrained);
    freeVariables(device, untrained.variables);
    if (stopped) return stoppedAt(resume?.saved.step);
    const alarm = (looks: readonly Look[]) =>
      collapseAlarm(looks, { ...alarmOptions(options, images.train), untrained: before });
    const alarmLines = createAlarmLines();
    const trained = await train({
      options,
      data: data.train,
      watch: data.test,
      resume,
      metadata: { dataDigest },
      open: async () => {
        if (device.lost) device = await openDevice({ tune, choices });
        return device;
      },
      onReady: () => {
        started ||= performance.now();
      },
      onCompile: (done, total) => progress.stage(`compiling kernels`, done / total, `${done} of ${total}`),
      onStep: (step) =>
        progress.training({
          step,
          steps,
          loss: latest?.loss,
          alignment: latest?.alignment,
          uniformity: latest?.uniformity,
          rank: latest?.rank,
          knn: latest?.knn,
        }),
      onMetrics(metrics) {
        latest = metrics.at(-1)!;
        timing.push({ step: latest.step, seconds: trainedFor() });
        folder.write('metrics.jsonl', lines(metrics));
        folder.write('timing.jsonl', lines(timing));
        for (const line of alarmLines(alarm(metrics), latest.step)) progress.say(line);
      },
      onSave({ bytes }) {
        folder.write('checkpoint.safetensors', bytes);
        const left = pointed ? undefined : pointLatest(folder);
        pointed = true;
        if (left) progress.say(left);
      },
      stopped: () => stopped !== 0,
      say: (line) => progress.say(line),
    });
    const seconds = trainedFor();
    const { model, metrics, saved } = trained;
    const saveEncoder = async (measured?: ReportedMetrics) => {
      const record = recordOf(recorded, data.train, model, saved.step, metrics, measured);
      const bytes = await saveVariables(device, model.encoderVariables, encoderMetadata(record));
      folder.write('encoder.safetensors', bytes);
    };
    await saveEncoder();
    if (!trained.complete) return stoppedAt(saved.step);

    // The numbers first: nothing that comes later may take them with it.
    await judge('trained', model);
    const measured = found.trained !== UNMEASURED;
    if (measured) await saveEncoder(found.trained);
    const collapses = withPoint(alarm(metrics), found, steps);
    const about = aboutRun(options, data, [images.train.labels ?? [], images.test.labels ?? []], new Date());
    const report: Report = {
      ...about,
      method: options.method,
      seed: options.seed,
      steps,
      seconds: Number(seconds.toFixed(1)),
      adapter: device.adapter,
      loss: metrics.at(-1)?.loss ?? null,
      options: recorded,
      verdict: verdict(found, title, collapses, { classes: about.data.classes }),
      alarm: collapses,
      metrics: found,
    };
    folder.write('report.json', `${JSON.stringify(report, null, 2)}\n`);
    progress.end();
    print(
      `\n${metricTable(found)}\n\n${[report.verdict, ...collapses.map((c) => `Alarm: ${describe(c)}`)].join('\n\n')}\n\nTrained in ${seconds.toFixed(0)} s.\n`,
    );

    const drawn: Partial<RunReport> & { failures: readonly string[] } = await pictures(
      device,
      model,
      data,
      images,
      {
        untrained: makeUntrained,
        onProgress: (stage, fraction) => progress.stage(stage, fraction),
      },
    ).catch((error) => ({ failures: [`the pictures: ${reason(error)}`] }));
    progress.end();
    const failure = writePage(folder, {
      ...{ report, curves: metrics, spectrum: spectra, similarities },
      ...{ classNames: images.classNames, ...drawn },
    });
    print(failure ? `The numbers are in ${folder.path}\n` : `Look at ${folder.path}/report.html\n`);
    for (const line of [...drawn.failures, ...(failure ? [failure] : [])]) print(`Not drawn, ${line}\n`);
    return measured ? 0 : 1;
  } finally {
    progress.end();
    device.dispose();
  }
}

/** Writes report.html. @returns why there is none, if so */
function writePage(folder: RunFolder, run: RunReport): string | undefined {
  try {
    folder.write('report.html', renderReport(run));
  } catch (error) {
    return `report.html: ${reason(error)}`;
  }
}

/** Options as options.json has them: views by name, files by paths that hold from any folder. */
function completed(options: RunOptions, { train }: RunData): RunOptions {
  const paths = (pair: RunOptions['data']): RunOptions['data'] =>
    pair && [resolve(pair[0]), resolve(pair[1])];
  return {
    ...options,
    views: options.views ?? defaultViews(train.channels),
    data: paths(options.data),
    test: paths(options.test),
  };
}

/** @throws InputError where a resumed run would see other data than it began with */
function checkData({ folder, dataDigest, options }: Earlier, now: string): void {
  if (dataDigest === undefined || dataDigest === now) return;
  const files = [...(options.data ?? []), ...(options.test ?? [])].join(', ') || 'those of the project';
  throw new InputError(
    `${folder.path}: the data are not those that the run was started with (${files}): their SHA-256 differs`,
  );
}

/** What encoder.safetensors says of its encoder. */
function recordOf(
  { dataDigest, pixels, ...options }: RunOptions & Pick<EncoderRecord, 'dataDigest'> & { pixels: Pixels },
  data: Dataset,
  { encoder: { outputs } }: Model,
  step: number,
  metrics: readonly Metrics[],
  evaluation?: ReportedMetrics,
): EncoderRecord {
  const { height, width, channels } = data;
  const { method, seed, encoder, learningRate, batch, epochs, embedding, precision, knobs } = options;
  return {
    architecture: { encoder, height, width, channels, outputs },
    pixelMean: pixels.mean,
    pixelStd: pixels.std,
    views: { name: options.views!, ...viewsOf(options, data) },
    method,
    seed,
    hyperparameters: { learningRate, batch, epochs, steps: step, embedding, precision, ...knobs },
    dataDigest,
    metrics: metrics.length ? { ...metrics.at(-1)! } : null,
    ...(evaluation && { evaluation: { ...evaluation } }),
  };
}

type Pixels = Pick<Dataset, 'mean' | 'std'>;

/** Mean and std of Fashion-MNIST are known; other images are measured. */
function datasetOf({ builtIn, ...images }: RunData, part: 'train' | 'test'): Dataset {
  return dataset(images[part], { ...(builtIn ? {} : pixelStatistics(images.train)), name: part });
}

/** One clear line for what is expected to go wrong; the whole story for what is not. */
function explain(error: unknown): string {
  if (error instanceof HypersphereError) return `${error.name}: ${error.message}`;
  return `internal: ${error instanceof Error ? (error.stack ?? error.message) : reason(error)}`;
}

try {
  Deno.exit(await main(Deno.args));
} catch (error) {
  complain(`${explain(error)}\n`);
  Deno.exit(1);
}
