// Runs on images and captions: what they learn, stopped and resumed, bit by bit the same; the metrics by their definitions; the alarm.
import * as assert from 'uvu/assert';
import { captionedImages } from '../../src/data/captions.ts';
import { dataset } from '../../src/data/dataset.ts';
import { clip } from '../../src/methods/clip.ts';
import { defaultsOf, type PairedMethod } from '../../src/methods/method.ts';
import { sigLip } from '../../src/methods/siglip.ts';
import { describeCollapse } from '../../src/metrics/alarm.ts';
import { compute } from '../../src/metrics/compute.ts';
import { modalityGap } from '../../src/metrics/modality_gap.ts';
import { mutualKnn } from '../../src/metrics/mutual_knn.ts';
import { retrieval } from '../../src/metrics/retrieval.ts';
import { mlpEncoder } from '../../src/nn/encoders.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { trainWords } from '../../src/text/index.ts';
import {
  heldOut,
  type ImageTextMetrics,
  type ImageTextRun,
  imageTextCollapses,
  imageTextTask,
  untrainedLook,
} from '../../src/train/image_text.ts';
import { type Logged, type RunOptions, run as train } from '../../src/train/run.ts';
import { close, device, random, test } from '../harness.ts';

type Task = ReturnType<typeof imageTextTask>;

const COLOURS = ['red', 'green', 'blue', 'black'];
const PLACES = ['left', 'right', 'above', 'below'];
const SHADES = ['light', 'dark', 'plain', 'pale'];

/** 8 x 8 pictures in two drawings: a colour, a place and a shade, which their captions name. */
function pictures(of: readonly number[], name: string) {
  const draw = random(3);
  const pixels = new Uint8Array(of.length * 2 * 192);
  const texts = of.map((n) => {
    const [colour, place, shade] = [n % 4, (n >> 2) % 4, n >> 4];
    for (const side of [0, 1])
      for (let p = 0; p < 64; p++) {
        const [x, y] = [p % 8, p >> 3];
        const inside = [x < 4, x >= 4, y < 4, y >= 4][place];
        for (let c = 0; c < 3; c++) {
          const on = inside && (colour === 3 || c === colour);
          const level = on ? 255 - 60 * shade : 40 * side;
          pixels[((of.indexOf(n) * 2 + side) * 64 + p) * 3 + c] = Math.min(255, level + 20 * draw.next());
        }
      }
    const words = [COLOURS[colour], PLACES[place], SHADES[shade]];
    return name === 'train' ? [words.join(' '), words.toReversed().join(' ')] : [words.join(' ')];
  });
  const images = { pixels, count: 2 * of.length, height: 8, width: 8, channels: 3, classes: 0 };
  return { images: dataset(images, { mean: 0.4, std: 0.3, name }), texts: [texts] };
}

const all = Array.from({ length: 64 }, (_, n) => n);
const isHeld = (n: number) => (7 * n + (n >> 3)) % 4 === 1;
const tokenizer = trainWords([[...COLOURS, ...PLACES, ...SHADES].join(' ')]);

function runOf(
  // biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
  method: PairedMethod<any>,
  own: Record<string, number> = {},
  given: Partial<ImageTextRun> = {},
): ImageTextRun {
  const of = (name: string, ids: number[]) => {
    const { images, texts } = pictures(ids, name);
    return captionedImages(images, texts, { tokenizer, length: 4, name: `${name}.captions` });
  };
  return {
    ...{ method, hyperparameters: { ...defaultsOf(method.hyperparameters), ...own } },
    data: of(
      'train',
      all.filter((n) => !isHeld(n)),
    ),
    validation: of('test', all.filter(isHeld)),
    encoder: ({ seed }) => mlpEncoder({ inputs: 192, widths: [32], seed }),
    tokens: { vocabulary: tokenizer.size, pad: tokenizer.special.pad },
    ...{ views: { brightness: 0.1 }, dropout: 0, embedding: 16, epochs: 12, batch: 24, learningRate: 5e-3 },
    ...{ seed: 1, ...given },
  };
}

async function trained(run: ImageTextRun, job: Partial<RunOptions<ImageTextMetrics, Task>> = {}) {
  const done = await train<ImageTextMetrics, Task>({ task: () => imageTextTask(run), open: device, ...job });
  freeVariables(await device(), [...done.task.variables]);
  return done;
}

for (const method of [clip, sigLip])
  test(`${method.title}: a run that is stopped and resumed is, bit by bit, one that was not`, async () => {
    const run = runOf(method);
    const [STEPS, STOP] = [24, 13];
    const whole = await trained(run);
    assert.is(whole.complete, true);
    assert.is(whole.metrics.at(-1)!.step, STEPS);
    let steps = 0;
    const first = await trained(run, { onStep: () => void steps++, stopped: () => steps >= STOP });
    assert.is(first.complete, false);
    const rest = await trained(run, { resume: { saved: first.saved, metrics: [] } });
    assert.equal(rest.saved.bytes, whole.saved.bytes);
    assert.equal(rest.metrics, whole.metrics.slice(first.metrics.length));
  });

test('the metrics of a look are those of the held-out things', async () => {
  const gpu = await device();
  const run = runOf(clip, {}, { epochs: 4 });
  const { task, metrics } = await train<ImageTextMetrics, Task>({
    task: () => imageTextTask(run),
    open: device,
  });
  const { validation } = run;
  const N = validation.things;
  assert.is(N, 16);
  const { a, b, v } = await compute(gpu, () => {
    const { images, captions } = heldOut(validation, task.model);
    return { a: images[0], b: images[1], v: captions[0] };
  });
  const block = (data: Float32Array) => ({ data, shape: [N, 16] as [number, number] });
  const ids = Array.from({ length: N }, (_, i) => i);
  const last = metrics.at(-1)!;
  close([last.gap], [await modalityGap(gpu, block(a), block(v))], { rel: 1e-5 });
  close([last.mutualKnn], [await mutualKnn(gpu, block(a), block(v))], { rel: 1e-6 });
  const recall = async (from: Float32Array, to: Float32Array) =>
    (await retrieval(gpu, block(from), ids, block(to), ids)).recall;
  close(
    [last.recallCaption, last.recallImage, last.recallDrawing],
    [await recall(a, v), await recall(v, a), await recall(a, b)],
    { rel: 1e-6 },
  );
  freeVariables(gpu, [...task.variables]);
});

for (const [method, seeds] of [
  [clip, [1, 2]],
  [sigLip, [1]],
] as const)
  test(
    `${method.title} finds captions of held-out combinations, and the alarm is silent`,
    async () => {
      for (const seed of seeds) {
        const run = runOf(method, {}, { seed, epochs: 100 });
        const untrained = await untrainedLook(await device(), run);
        const { metrics } = await trained(run);
        const { recallCaption, recallImage, recallDrawing } = metrics.at(-1)!;
        const found = JSON.stringify(metrics.at(-1));
        // Chance is 1 of 16.
        assert.ok(recallCaption > 0.5 && recallImage > 0.5 && recallDrawing > 0.5, found);
        const alarm = imageTextCollapses(metrics, untrained, run);
        assert.equal(alarm.map(describeCollapse), []);
      }
    },
    { training: true, timeout: 120_000 },
  );

test('a collapse of captions alone is told as theirs, and one of both once', () => {
  const healthy = {
    ...{ alignment: 1, uniformity: -3.7, rank: 15, participation: 12, std: 0.24, length: 5 },
    ...{ textAlignment: 1, textUniformity: -3.7, textRank: 15, textParticipation: 12, textStd: 0.24 },
    ...{ textLength: 5, gap: 0.3, mutualKnn: 0.4, recallCaption: 0.5, recallImage: 0.5, recallDrawing: 0.5 },
  };
  const point = { uniformity: -0.01, std: 0.01, rank: 2, participation: 1, alignment: 0.001 };
  const text = {
    textUniformity: -0.01,
    textStd: 0.01,
    textRank: 2,
    textParticipation: 1,
    textAlignment: 0.001,
  };
  const looks = (changed: Partial<ImageTextMetrics>): Logged<ImageTextMetrics>[] =>
    [100, 200, 300].map((step) => ({ step, loss: 1, ...healthy, ...(step > 100 && changed) }));
  const told = (changed: Partial<ImageTextMetrics>) =>
    imageTextCollapses(looks(changed), healthy, { ...runOf(clip), epochs: 100 });
  assert.equal(told({}), []);
  const captions = told(text);
  assert.equal(
    captions.map(({ kind, since }) => [kind, since]),
    [['complete', 200]],
  );
  assert.ok(captions[0].evidence.every((clause) => clause.startsWith('captions: ')));
  const both = told({ ...point, ...text });
  assert.is(both.length, 1);
  assert.match(both[0].evidence.join(), /images: .*captions: /);
});
