import { openDevice } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { mixed } from '../graph/mixed.ts';
import type { Logged, Task } from '../train/run.ts';
import { run as train } from '../train/run.ts';
import { createRunFolder, lines, pointLatest, type RunFolder, runChoices } from './files.ts';
import { imageJob } from './images.ts';
import type { Job, Site } from './job.ts';
import type { Command, ImageOptions, RunOptions, TextOptions } from './options.ts';
import { planeJob } from './plane.ts';
import { createProgress } from './progress.ts';
import { checkCheckpoint, type Earlier, reopen } from './resume.ts';
import { rowsJob } from './rows.ts';
import { columns, print } from './terminal.ts';
import { textJob } from './text.ts';

/** The signals at which a run saves and ends, and the exit codes that shells use for them. */
const SIGNALS: [signal: Deno.Signal, code: number][] =
  Deno.build.os === 'windows'
    ? [['SIGINT', 130]]
    : [
        ['SIGINT', 130],
        ['SIGTERM', 143],
        ['SIGHUP', 129],
      ];

/** Runs a command line: measures, trains, reports. @returns the exit code */
export async function run(command: Command): Promise<number> {
  const earlier = command.resume === null ? null : reopen(command.resume);
  const options = earlier?.options ?? command.options;
  if ('tokenizer' in options) return runJob(await textJob(options), options, earlier);
  if ('on' in options) return runJob(await rowsJob(options), options, earlier);
  return 'density' in options
    ? runJob(await planeJob(options), options, earlier)
    : runJob(await imageJob(options), options, earlier);
}

/** Returns a function that opens the device of a run, at first and after a device was lost. */
function opener({ tune: given }: RunOptions, folder: () => RunFolder, resumed: boolean) {
  const asked = given === undefined || given === false ? given : { budgetMs: given };
  // A resumed run tunes no kernels: it uses those with which it began.
  const tune = resumed && asked !== false ? { budgetMs: 0 } : asked;
  const choices = runChoices(folder, resumed);
  return () => openDevice({ tune, choices });
}

async function runJob<M extends object, T extends Task<M>>(
  job: Job<M, T>,
  options: RunOptions,
  earlier: Earlier | null,
): Promise<number> {
  const { steps } = job;
  if (earlier) checkData(earlier, job.dataDigest);
  const open = opener(options, () => folder, earlier !== null);
  let device = await open();
  const isMixed = 'precision' in options && options.precision === 'mixed';
  if (isMixed) mixed.check(device.gpu.features);
  const variables = await job.check(device);
  if (earlier) checkCheckpoint(earlier, variables, steps);
  const { folder, resume } = earlier ?? {
    folder: createRunFolder(options.out, options.method, new Date()),
    resume: null,
  };
  folder.write('options.json', `${JSON.stringify(job.recorded, null, 2)}\n`);

  const terminal = Deno.stdout.isTerminal();
  const progress = createProgress({ write: print, terminal, columns, imagesPerStep: job.samplesPerStep });
  progress.say(`${job.title} on ${device.adapter}${isMixed ? ', mixed precision' : ''}`);
  progress.say(startedText(folder, resume?.saved.step));
  const exitCode = watchSignals(progress);
  const stopped = () => exitCode() !== 0;
  const site: Site = { folder, progress, device: () => device, stopped, followed: resume?.followed ?? [] };
  const stoppedAt = (step?: number) => {
    progress.end();
    print(stoppedText(folder, steps, step));
    return exitCode();
  };

  const timing = resume?.timing ?? [];
  const earlierSeconds = timing.at(-1)?.seconds ?? 0;
  let started = 0;
  const trainedFor = () => earlierSeconds + (performance.now() - started) / 1000;
  let latest = resume?.metrics.at(-1) as Logged<M> | undefined;
  let pointed = resume !== null;
  try {
    await job.before?.(site);
    if (site.stopped()) return stoppedAt(resume?.saved.step);
    const finished = await train<M, T>({
      task: job.task,
      resume: resume && { saved: resume.saved, metrics: resume.metrics as Logged<M>[] },
      metadata: { dataDigest: job.dataDigest },
      async open() {
        if (device.lost) device = await open();
        return device;
      },
      onReady() {
        started ||= performance.now();
      },
      onCompile: (done, total) => progress.stage('compiling kernels', done / total, `${done} of ${total}`),
      onStep: (step) => progress.training({ step, steps, ...(latest && job.shown(latest)) }),
      onMetrics(metrics) {
        latest = metrics.at(-1)!;
        timing.push({ step: latest.step, seconds: trainedFor() });
        folder.write('metrics.jsonl', lines(metrics));
        folder.write('timing.jsonl', lines(timing));
        for (const line of job.lines?.(metrics) ?? []) progress.say(line);
      },
      onMoment: async (moment) => job.atMoment?.(site, moment),
      onSave({ bytes }) {
        folder.write('checkpoint.safetensors', bytes);
        const left = pointed ? undefined : pointLatest(folder);
        pointed = true;
        if (left) progress.say(left);
      },
      stopped: site.stopped,
      say: (line) => progress.say(line),
    });
    const seconds = trainedFor();
    await job.save(site, finished);
    if (!finished.complete) return stoppedAt(finished.saved.step);
    return await job.report(site, finished, seconds);
  } finally {
    progress.end();
    device.dispose();
  }
}

/** Where a run writes, and from which step it resumes. */
const startedText = ({ path }: RunFolder, step?: number): string =>
  step === undefined ? `Writing to ${path}` : `Resuming from step ${step} in ${path}`;

/** The last lines of a run that was stopped. */
const stoppedText = ({ path }: RunFolder, steps: number, step?: number): string =>
  step === undefined
    ? 'Stopped before the first step: nothing was trained.\n'
    : `Stopped at step ${step} of ${steps}: ${path} has the checkpoint and the metrics.\nResume with: npm start -- --resume ${path}\n`;

/** Listens for the signals that end a run after its current step. Returns the exit code, which is 0 until one arrives. */
function watchSignals(progress: Site['progress']): () => number {
  let exitCode = 0;
  for (const [signal, code] of SIGNALS)
    Deno.addSignalListener(signal, () => {
      if (!exitCode) progress.say('Stopping after this step; the checkpoint will be saved.');
      exitCode ||= code;
    });
  return () => exitCode;
}

/** Checks that a resumed run has the data with which it began. @throws InputError */
function checkData({ folder, dataDigest, options }: Earlier, now: string): void {
  if (dataDigest === undefined || dataDigest === now) return;
  const { data, test } = options as Partial<ImageOptions | TextOptions> & { test?: ImageOptions['test'] };
  const given = [data ?? [], test ?? []].flat();
  throw new InputError(
    `${folder.path}: the data are not those that the run was started with (${given.join(', ') || 'those of the project'}): their SHA-256 differs`,
  );
}
