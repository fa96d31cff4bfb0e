// A run on texts: the baselines before training, the numbers and the report after it.
import { saveVariables } from '../data/safetensors.ts';
import { LARGEST_U32 } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { HypersphereError, InputError } from '../gpu/errors.ts';
import { type Scalar, scalar, trace } from '../graph/tensor.ts';
import { allMethods } from '../methods/index.ts';
import { describeCollapse } from '../metrics/alarm.ts';
import { freeVariables } from '../runtime/variables.ts';
import type { Tokenizer } from '../text/index.ts';
import type { Finished, Logged } from '../train/run.ts';
import {
  lookOnceAtTexts,
  refusedOnTexts,
  type TextMetrics,
  type TextModel,
  type TextRun,
  textAlarmOf,
  textSteps,
  textTask,
  untrainedTextModel,
} from '../train/text.ts';
import { commandOf } from './about.ts';
import { createAlarmLines } from './alarm_lines.ts';
import { reason } from './files.ts';
import type { Job, Site } from './job.ts';
import { checkPlan } from './needs.ts';
import type { TextOptions } from './options.ts';
import type { Report } from './report.ts';
import { renderReport } from './report_html.ts';
import { counted } from './report_run.ts';
import { type Column, metricTable, type ReportedMetrics, type TextMetricSet } from './table.ts';
import { print } from './terminal.ts';
import {
  completedTexts,
  readTexts,
  type TextRunData,
  textDigestOf,
  textSetsOf,
  tokenizerOf,
} from './text_data.ts';
import { encoderRecordOf } from './text_encoder_file.ts';
import {
  bagsOf,
  evaluateTexts,
  type Represented,
  rarities,
  representedBy,
  type TextEvaluation,
} from './text_metrics.ts';
import { drawTextPanels } from './text_panels.ts';
import { textPictures } from './text_pictures.ts';
import { verdict, withPoint } from './verdict.ts';

type Task = ReturnType<typeof textTask>;
type Done = Finished<TextMetrics, Task>;

/** The metrics of a representation that could not be measured. */
const UNMEASURED: ReportedMetrics = {};

/** The training run that options ask for. @throws InputError that names the option */
export function textRunOf(options: TextOptions, texts: TextRunData, tokenizer: Tokenizer): TextRun {
  const { method, hyperparameters, length, pairs, dropout, epochs, batch, learningRate, seed } = options;
  const refused = refusedOnTexts(allMethods[method], hyperparameters);
  if (refused) throw new InputError(`--${refused.what}: ${method} cannot train on texts: ${refused.why}`);
  const { train, test } = textSetsOf(texts, tokenizer, length);
  if (pairs === 'examples' && !train.pairs)
    throw new InputError('--pairs: examples is for texts that have some: give --data glosses');
  const run: TextRun = {
    ...{ method: allMethods[method] as TextRun['method'], hyperparameters, data: train, validation: test },
    // The default stands in where a method has no z of that size.
    ...{ pairs, embedding: options.embedding ?? 64, dropout, epochs, batch, learningRate, seed },
  };
  const perEpoch = textSteps({ ...run, epochs: 1 });
  if (perEpoch < 1)
    throw new InputError(
      `--batch: ${batch} is larger than the data, which has ${counted(train.count, 'training text')}`,
    );
  const most = Math.floor(LARGEST_U32 / perEpoch);
  if (epochs > most)
    throw new InputError(
      `--epochs: expected at most ${most}, since steps are counted up to ${LARGEST_U32}; got ${epochs}`,
    );
  return run;
}

/** Reads the texts of a run. @throws InputError */
export async function textJob(asked: TextOptions): Promise<Job<TextMetrics, Task>> {
  const options = completedTexts(asked);
  // Before the texts are read.
  const refused = refusedOnTexts(allMethods[options.method], options.hyperparameters);
  if (refused)
    throw new InputError(`--${refused.what}: ${options.method} cannot train on texts: ${refused.why}`);
  const texts = await readTexts(asked.data);
  const tokenizer = tokenizerOf(options, texts);
  const dataDigest = textDigestOf(texts);
  const run = textRunOf(options, texts, tokenizer);
  const steps = textSteps(run);
  const recorded = { ...options, dataDigest };
  const judge = createJudge(run);
  const alarmLines = createAlarmLines();
  const collapses = textAlarmOf(run);
  let untrained: TextMetrics;
  const save = async (site: Site, { task: { model }, saved, metrics }: Done, measured?: ReportedMetrics) => {
    const record = encoderRecordOf(recorded, run, model, saved.step, metrics.at(-1), measured);
    site.folder.write(
      'encoder.safetensors',
      await saveVariables(site.device(), model.encoderVariables, record),
    );
    site.folder.write('tokenizer.json', `${JSON.stringify(tokenizer)}\n`);
  };
  const { title, paper } = allMethods[options.method];
  return {
    title: `${title}, ${paper}: ${steps} steps of ${counted(options.batch, 'text')}`,
    // They are no images, which the progress line would call them.
    ...{ steps, samplesPerStep: 0, recorded, dataDigest },
    check: (device) => checkTextRun(device, run),
    task: () => textTask(run),
    async before(site) {
      await judge.measure(site, 'words', async () => bagsOf(judge.sets));
      await judge.measure(site, 'tfIdf', async () => bagsOf(judge.sets, rarities(run.data)));
      if (site.stopped()) return;
      const model = await untrainedTextModel(site.device(), run);
      await judge.measureModel(site, 'untrained', model);
      untrained = await lookOnceAtTexts(site.device(), run, model);
      freeVariables(site.device(), model.variables);
    },
    shown: ({ loss, alignment, uniformity, rank, knn }) => ({ loss, alignment, uniformity, rank, knn }),
    lines: (metrics) => alarmLines(collapses(metrics, untrained), metrics.at(-1)!.step),
    save: (site, finished) => save(site, finished),
    async report(site, finished, seconds) {
      const { folder, progress } = site;
      const { metrics, task } = finished;
      await judge.measureModel(site, 'trained', task.model);
      const { found } = judge;
      const measured = found.trained !== UNMEASURED;
      if (measured) await save(site, finished, found.trained);
      const seen = withPoint(collapses(metrics, untrained), found, steps, 'texts');
      const classes = texts.train.labels && texts.classNames.length;
      const report: Report = {
        title: `${title} on ${options.data.split(/[\\/]/).at(-1)}`,
        ...{ date: new Date().toISOString(), command: commandOf(options) },
        ...{ method: options.method, seed: options.seed, steps, seconds: Number(seconds.toFixed(1)) },
        ...{ adapter: site.device().adapter, loss: metrics.at(-1)?.loss ?? null, options: recorded },
        verdict: verdict(found, title, seen, { classes, embedded: task.model.embed !== undefined }),
        ...{ alarm: seen, metrics: found },
      };
      folder.write('report.json', `${JSON.stringify(report, null, 2)}\n`);
      progress.end();
      const alarms = seen.map((each) => `\n\nAlarm: ${describeCollapse(each)}`).join('');
      print(`\n${metricTable(found)}\n\n${report.verdict}${alarms}\n\nTrained in ${seconds.toFixed(0)} s.\n`);
      await draw(site, report, metrics, { run, texts, judge, model: task.model });
      return measured ? 0 : 1;
    },
  };
}

/** Throws unless the device can hold the step of a run. @returns the variables of its checkpoints */
async function checkTextRun(device: Device, run: TextRun): Promise<readonly Task['variables'][number][]> {
  const { build, schedules, variables } = textTask(run);
  const scalars = Object.keys(schedules).map((key): [string, Scalar] => [key, scalar()]);
  await checkPlan(
    device,
    trace(() => build(scalar('u32') as never, Object.fromEntries(scalars))),
  );
  return variables;
}

/** Measures bags of words and the encoder before and after training. A failure is reported in a line, and the run continues. */
function createJudge(run: TextRun) {
  const sets = { train: run.data, test: run.validation };
  const found: TextMetricSet = {
    ...{ words: UNMEASURED, tfIdf: UNMEASURED },
    ...{ untrained: UNMEASURED, trained: UNMEASURED },
  };
  const represented: Partial<Record<Column, Represented>> = {};
  const drawn: Partial<Record<Column, Omit<TextEvaluation, 'metrics'>>> = {};
  const measure = async (site: Site, name: keyof TextMetricSet, of: () => Promise<Represented>) => {
    const device = site.device();
    try {
      const rows = await of();
      represented[name] = rows;
      const { metrics, ...others } = await evaluateTexts(device, sets, rows, (stage, fraction) =>
        site.progress.stage(`${CALLED[name]}: ${stage}`, fraction),
      );
      found[name] = metrics;
      drawn[name] = others;
    } catch (error) {
      if (name !== 'trained' && (device.lost || !(error instanceof HypersphereError))) throw error;
      site.progress.say(`Not measured, ${CALLED[name]}: ${reason(error)}`);
    }
  };
  const measureModel = (site: Site, name: 'untrained' | 'trained', model: TextModel) =>
    measure(site, name, () =>
      representedBy(site.device(), run, model, (fraction) =>
        site.progress.stage(`${name}: encoding`, fraction),
      ),
    );
  return { sets, found, represented, drawn, measure, measureModel };
}

const CALLED = { words: 'bag of words', tfIdf: 'TF-IDF', untrained: 'untrained', trained: 'trained' };

/** Draws the pictures of a report and writes the page. A failure becomes a line, and the rest is written. */
async function draw(
  { folder, progress, device }: Site,
  report: Report,
  curves: readonly Logged<TextMetrics>[],
  {
    run,
    texts,
    judge,
    model,
  }: { run: TextRun; texts: TextRunData; judge: ReturnType<typeof createJudge>; model: TextModel },
): Promise<void> {
  const { drawn, represented } = judge;
  const { failures, ...pictures } = await textPictures(device(), texts, represented, (stage, fraction) =>
    progress.stage(stage, fraction),
  );
  const panels = model.recipe.textPanels ?? [];
  const { textPanels, failures: undrawn } = await drawTextPanels(device(), panels, run.validation);
  failures.push(...undrawn);
  progress.end();
  const spectrumOf = (name: Column) => drawn[name]?.spectrum ?? [];
  const similarities = Object.fromEntries(
    (['untrained', 'trained'] as const).flatMap((name) =>
      drawn[name]?.similarities ? [[name, drawn[name].similarities]] : [],
    ),
  );
  const { train, test, classNames } = texts;
  const parts = [
    `${counted(train.texts.length, 'training text')} and ${counted(test.texts.length, 'test text')}`,
    `${counted(run.data.tokenizer.size, 'token')} (${run.data.tokenizer.name})`,
    ...(train.labels ? [counted(classNames.length, 'class').replace(/classs$/, 'classes')] : []),
  ];
  try {
    const page = renderReport({
      ...{ report, curves: [...curves], methodCurves: run.method.curves, classNames, similarities, failures },
      spectrum: { untrained: spectrumOf('untrained'), trained: spectrumOf('trained') },
      ...{ ...pictures, textPanels, about: { parts, next: NEXT } },
    });
    folder.write('report.html', page);
    print(`Look at ${folder.path}/report.html\n`);
  } catch (error) {
    print(`The numbers are in ${folder.path}\n`);
    failures.push(`report.html: ${reason(error)}`);
  }
  for (const line of failures) print(`Not drawn, ${line}\n`);
}

const NEXT =
  'encoder.safetensors in the folder of this report holds the encoder, and tokenizer.json its tokenizer; the metadata of the first say how it is built (nn.textEncoder). npm run measure -- --text FILE.txt --run FOLDER embeds the lines of a file and measures them.';
