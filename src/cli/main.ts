import { type Dataset, dataset, pixelStatistics } from '../data/dataset.ts';
import { decodeSafetensors, saveVariables } from '../data/safetensors.ts';
import { openDevice } from '../gpu/device.ts';
import { HypersphereError, InputError } from '../gpu/errors.ts';
import { mixed } from '../graph/mixed.ts';
import { scalar } from '../graph/tensor.ts';
import { freeVariables } from '../graph/variables.ts';
import { type CollapseKind, collapseAlarm, describe, type Look } from '../measures/alarm.ts';
import { evaluate } from '../measures/evaluate.ts';
import { methods } from '../methods/registry.ts';
import { aboutRun } from './about.ts';
import { runDensity } from './density.ts';
import {
  createRunFolder,
  lines,
  openRunFolder,
  parseLines,
  type RunData,
  type RunFolder,
  readData,
  reason,
  runChoices,
} from './files.ts';
import { alarmOptions, buildModel, type Model, represent, settleStatistics } from './model.ts';
import { type Command, help, list, parse, type RunOptions } from './options.ts';
import { pictures } from './pictures.ts';
import { createProgress } from './progress.ts';
import { type Report, type RunReport, renderReport } from './report_html.ts';
import { type GaugeSet, gaugeTable, verdict } from './table.ts';
import { checkStep, lookOnce, type Metrics, type Saved, stepsOf, train } from './train.ts';

const encoder = new TextEncoder();
const print = (text: string) => Deno.stdout.writeSync(encoder.encode(text));

/** What is needed to go on: a run folder, the options it was started with, and what it had reached. */
interface Start {
  options: RunOptions;
  folder: RunFolder;
  resume: { saved: Saved; metrics: Metrics[]; timing: Timing[] } | null;
}

/** A line of timing.jsonl: seconds of training until after `step`, in all legs of a run. */
interface Timing {
  step: number;
  seconds: number;
}

/** Runs a command line; returns the exit code. */
async function main(args: string[]): Promise<number> {
  const command = parse(args);
  if (command.help) print(help());
  else if (command.list) print(`${list()}\n`);
  else if (command.resume === null && methods[command.options.method].density)
    return runDensity(command.options, print);
  else return run(command);
  return 0;
}

async function run(command: Command): Promise<number> {
  const earlier = command.resume === null ? null : reopen(command.resume);
  const options = earlier?.options ?? command.options;
  const images = await readData(options.data, options.test);
  const data = { train: datasetOf(images, 'train'), test: datasetOf(images, 'test') };
  const steps = stepsOf(options, data.train);
  checkStep(options, data.train);
  const given =
    options.tune === undefined || options.tune === false ? options.tune : { budgetMs: options.tune };
  // A resumed run measures nothing: it has the choices and the defaults that it began with.
  const tune = earlier && given !== false ? { budgetMs: 0 } : given;
  const choices = runChoices(() => folder, earlier !== null);
  let device = await openDevice({ tune, choices });
  if (options.precision === 'mixed') mixed.check(device.gpu.features);
  const { folder, resume } = earlier ?? {
    folder: createRunFolder(options.out, options.method, new Date()),
    resume: null,
  };
  folder.write('options.json', `${JSON.stringify(options, null, 2)}\n`);

  const terminal = Deno.stdout.isTerminal();
  const columns = () => (terminal ? Deno.consoleSize().columns : 80);
  const progress = createProgress({ write: print, terminal, columns, imagesPerStep: 2 * options.batch });
  const { title, paper } = methods[options.method];
  const stored = options.precision === 'mixed' ? ', mixed precision' : '';
  progress.say(
    `${title}, ${paper}: ${steps} steps of ${options.batch} samples on ${device.adapter}${stored}`,
  );
  progress.say(
    resume ? `Going on from step ${resume.saved.step} in ${folder.path}` : `Writing to ${folder.path}`,
  );

  let stopped = false;
  const stop = () => {
    if (!stopped) progress.say('Stopping after this step. What there is will be saved.');
    stopped = true;
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  if (Deno.build.os !== 'windows') for (const signal of signals) Deno.addSignalListener(signal, stop);
  else Deno.addSignalListener('SIGINT', stop);

  const gauges: Partial<GaugeSet> = {};
  const spectra = { untrained: [] as number[], trained: [] as number[] };
  const similarities: RunReport['similarities'] = {};
  const judge = async (name: keyof GaugeSet, model: Model | null) => {
    const measured = await evaluate(device, data, model && ((x) => represent(model, x)), {
      onProgress: (stage, fraction) =>
        progress.stage(`${name === 'raw' ? 'raw pixels' : name}: ${stage}`, fraction),
    });
    const { spectrumZ, similaritiesZ, ...rest } = measured;
    gauges[name] = rest;
    if (name === 'raw') return;
    spectra[name] = [...(spectrumZ ?? [])];
    similarities[name] = similaritiesZ;
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
    return 130;
  };
  let latest: Metrics | undefined = resume?.metrics.at(-1);
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
    let heard: CollapseKind[] = [];
    const trained = await train({
      options,
      data: data.train,
      watch: data.test,
      resume,
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
        // A second look makes sure.
        const sure = alarm(metrics).filter(({ since }) => since < latest!.step);
        for (const collapse of sure)
          if (!heard.includes(collapse.kind)) progress.say(`Alarm: ${describe(collapse)}`);
        heard = sure.map(({ kind }) => kind);
      },
      onSave: ({ bytes }) => folder.write('checkpoint.safetensors', bytes),
      stopped: () => stopped,
      say: (line) => progress.say(line),
    });
    const seconds = trainedFor();
    const { model, metrics, saved } = trained;
    folder.write(
      'encoder.safetensors',
      await saveVariables(device, model.encoderVariables, {
        method: options.method,
        seed: String(options.seed),
      }),
    );
    if (!trained.complete) return stoppedAt(saved.step);
    await judge('trained', model);
    const all = gauges as GaugeSet;
    const collapses = alarm(metrics);
    const labels = [images.train.labels ?? [], images.test.labels ?? []];
    const about = aboutRun(options, data, labels, new Date());
    const report: Report = {
      ...about,
      method: options.method,
      seed: options.seed,
      steps,
      seconds: Number(seconds.toFixed(1)),
      adapter: device.adapter,
      loss: metrics.at(-1)?.loss ?? null,
      options: { ...options },
      verdict: verdict(all, title, collapses, { classes: about.data.classes }),
      alarm: collapses,
      gauges: all,
    };
    folder.write('report.json', `${JSON.stringify(report, null, 2)}\n`);
    const drawn = await pictures(device, model, data, images, {
      untrained: makeUntrained,
      onProgress: (stage, fraction) => progress.stage(stage, fraction),
    });
    for (const failure of drawn.failures) progress.say(`Left out of the report: ${failure}`);
    folder.write(
      'report.html',
      renderReport({
        ...{ report, metrics, spectrum: spectra, similarities },
        ...{ classNames: images.classNames, ...drawn },
      }),
    );
    progress.end();
    print(
      `\n${gaugeTable(all)}\n\n${[report.verdict, ...collapses.map((c) => `Alarm: ${describe(c)}`)].join('\n\n')}\n\nTrained in ${seconds.toFixed(0)} s. Look at ${folder.path}/report.html\n`,
    );
    return 0;
  } finally {
    progress.end();
    device.dispose();
  }
}

/** Mean and std of Fashion-MNIST are known; other images are measured. */
function datasetOf({ builtIn, ...images }: RunData, part: 'train' | 'test'): Dataset {
  return dataset(images[part], { ...(builtIn ? {} : pixelStatistics(images.train)), name: part });
}

/** Reads back where an interrupted run had got to. */
function reopen(path: string): Start {
  const folder = openRunFolder(path);
  const options = JSON.parse(new TextDecoder().decode(folder.read('options.json'))) as RunOptions;
  if (methods[options.method].density)
    throw new InputError(`${path} has no checkpoint: ${options.method} takes seconds, start it again`);
  const bytes = folder.read('checkpoint.safetensors');
  const step = Number(decodeSafetensors(bytes).metadata.step);
  if (!Number.isInteger(step)) throw new InputError(`${path}/checkpoint.safetensors does not say its step`);
  const until = <T extends { step: number }>(file: string): T[] => {
    try {
      return (parseLines(folder.read(file)) as T[]).filter((line) => line.step <= step);
    } catch {
      return []; // Stopped before the first line.
    }
  };
  const [metrics, timing] = [until<Metrics>('metrics.jsonl'), until<Timing>('timing.jsonl')];
  return { options, folder, resume: { saved: { step, bytes }, metrics, timing } };
}

/** One clear line for what is expected to go wrong; the whole story for what is not. */
function explain(error: unknown): string {
  if (error instanceof HypersphereError) return `${error.name}: ${error.message}`;
  return `internal: ${error instanceof Error ? (error.stack ?? error.message) : reason(error)}`;
}

try {
  Deno.exit(await main(Deno.args));
} catch (error) {
  console.error(explain(error));
  Deno.exit(1);
}
