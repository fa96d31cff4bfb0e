// CLIP and SigLIP on emoji and their captions: what half of the default's training is worth, and what the alarm says.
import * as assert from 'uvu/assert';
import { type ImageTextData, imageTextData, imageTextRunOf } from '../../src/cli/image_text_data.ts';
import { imageTextFindings } from '../../src/cli/image_text_findings.ts';
import { type ImageTextOptions, parse } from '../../src/cli/options.ts';
import { describeCollapse } from '../../src/metrics/alarm.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import {
  type ImageTextMetrics,
  imageTextCollapses,
  imageTextTask,
  untrainedLook,
} from '../../src/train/image_text.ts';
import { run as train } from '../../src/train/run.ts';
import { device, test } from '../harness.ts';

let read: Promise<ImageTextData> | undefined;

async function trained(args: string) {
  const gpu = await device();
  const options = parse(args.split(' ')).options as ImageTextOptions;
  const data = await (read ??= imageTextData(options));
  const run = imageTextRunOf(options, data);
  const untrained = await untrainedLook(gpu, run);
  const { task, metrics } = await train<ImageTextMetrics, ReturnType<typeof imageTextTask>>({
    task: () => imageTextTask(run),
    open: device,
  });
  const { numbers } = await imageTextFindings(gpu, data, task.model);
  freeVariables(gpu, [...task.variables]);
  const looks = metrics.map((_, i) => metrics.slice(0, i + 1));
  return { numbers, alarms: looks.map((list) => imageTextCollapses(list, untrained, run)) };
}

for (const seed of [0, 1, 2])
  test(
    `CLIP, seed ${seed}: retrieval both ways at least 10 times chance, across vendors 30 times; the alarm is silent`,
    async () => {
      const { numbers, alarms } = await trained(`--method clip --epochs 20 --seed ${seed}`);
      const [{ captions, drawings }] = numbers.languages;
      for (const [{ recall, chance }, least] of [
        [captions[0], 10],
        [drawings[0], 10],
        [numbers.vendors, 30],
      ] as const)
        assert.ok(recall >= least * chance, JSON.stringify(numbers));
      assert.equal(alarms.flat().map(describeCollapse), []);
    },
    { training: true, timeout: 900_000 },
  );

test(
  'CLIP at a temperature of 100, where no negative counts more than another: the alarm names a collapse to few dimensions',
  async () => {
    const { alarms } = await trained('--method clip --epochs 12 --temperature 100 --learn-temperature 0');
    assert.ok(
      alarms.at(-1)!.some(({ kind }) => kind === 'dimensional'),
      alarms.at(-1)!.map(describeCollapse).join(),
    );
  },
  { training: true, timeout: 900_000 },
);
