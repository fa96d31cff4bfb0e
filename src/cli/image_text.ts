// A run on emoji and their captions: the data, the numbers of held-out concepts, and the report.
import { saveVariables } from '../data/safetensors.ts';
import { type Scalar, scalar, trace } from '../graph/tensor.ts';
import { describeCollapse } from '../metrics/alarm.ts';
import {
  type ImageTextMetrics,
  imageTextCollapses,
  imageTextSteps,
  imageTextTask,
  untrainedLook,
} from '../train/image_text.ts';
import { createAlarmLines } from './alarm_lines.ts';
import type { CaptionedEmoji } from './emoji.ts';
import { reason, sha256 } from './files.ts';
import { imageTextData, imageTextRunOf } from './image_text_data.ts';
import { imageTextFindings } from './image_text_findings.ts';
import { type ImageTextReport, imageTextVerdict, renderImageTextPage } from './image_text_report.ts';
import type { Job } from './job.ts';
import { checkPlan } from './needs.ts';
import type { ImageTextOptions } from './options.ts';
import { print } from './terminal.ts';

/** SHA-256 of the drawings and the captions. */
function digestOf({ train, test }: CaptionedEmoji): string {
  const parts = [train, test].map(({ images, texts }) => [
    sha256(images.pixels),
    sha256(JSON.stringify(texts)),
  ]);
  return sha256(JSON.stringify(parts));
}

/** Reads the emoji and builds the run. @throws InputError */
export async function imageTextJob(
  options: ImageTextOptions,
): Promise<Job<ImageTextMetrics, ReturnType<typeof imageTextTask>>> {
  const data = await imageTextData(options);
  const run = imageTextRunOf(options, data);
  const { title, paper, curves } = run.method;
  const steps = imageTextSteps(run);
  const dataDigest = digestOf(data.emoji);
  const alarmLines = createAlarmLines();
  let untrained: ImageTextMetrics;
  type Looks = Parameters<typeof imageTextCollapses>[0];
  const alarm = (looks: Looks) => imageTextCollapses(looks, untrained, run);
  return {
    title: `${title}, ${paper}: ${steps} steps of ${options.batch} emoji with captions (${options.language})`,
    ...{ steps, samplesPerStep: options.batch, recorded: { ...options, dataDigest }, dataDigest },
    async check(device) {
      const { build, schedules, variables } = imageTextTask(run);
      const scalars = Object.keys(schedules).map((key): [string, Scalar] => [key, scalar()]);
      const step = scalar('u32');
      await checkPlan(
        device,
        trace(() => build(step, Object.fromEntries(scalars))),
      );
      return variables;
    },
    task: () => imageTextTask(run),
    async before({ device, folder, progress }) {
      folder.write('tokenizer.json', `${JSON.stringify(data.tokenizer.toJSON())}\n`);
      progress.stage('measuring the untrained encoders', 0);
      untrained = await untrainedLook(device(), run);
    },
    shown: ({ loss, alignment, uniformity, rank }) => ({ loss, alignment, uniformity, rank }),
    lines: (metrics) => alarmLines(alarm(metrics), metrics.at(-1)!.step),
    async save({ folder, device }, { task: { model } }) {
      const of = ({ parameters, statistics }: typeof model.image) => [...parameters, ...statistics];
      const { mean, std } = data.train.images;
      const metadata = {
        method: options.method,
        pixelMean: JSON.stringify(mean),
        pixelStd: JSON.stringify(std),
      };
      for (const [name, tower] of Object.entries({ encoder: model.image, text: model.text }))
        folder.write(`${name}.safetensors`, await saveVariables(device(), of(tower), metadata));
    },
    async report({ folder, device, progress }, { task: { model }, metrics }, seconds) {
      const findings = await imageTextFindings(device(), data, model);
      const seen = alarm(metrics);
      const { numbers } = findings;
      const report: ImageTextReport = {
        ...{ method: options.method, seed: options.seed, steps, seconds: Number(seconds.toFixed(1)) },
        ...{ adapter: device().adapter, loss: metrics.at(-1)?.loss ?? null },
        ...{ numbers, alarm: seen, options: { ...options }, verdict: imageTextVerdict(numbers) },
      };
      folder.write('report.json', `${JSON.stringify(report, null, 2)}\n`);
      progress.end();
      const alarms = seen.map((one) => `\nAlarm: ${describeCollapse(one)}\n`).join('');
      print(`\n${report.verdict}\n${alarms}\nTrained in ${seconds.toFixed(0)} s.`);
      try {
        folder.write('report.html', renderImageTextPage(report, metrics, curves ?? [], findings));
        print(` Look at ${folder.path}/report.html\n`);
      } catch (error) {
        print(` The numbers are in ${folder.path}; report.html could not be written: ${reason(error)}\n`);
      }
      return 0;
    },
  };
}
