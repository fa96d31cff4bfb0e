// What a run keeps besides its parameters (targets, queues, centres) must survive it: stopped and resumed, bit by bit the same.
import * as assert from 'uvu/assert';
import { imageRunOf } from '../../src/cli/images.ts';
import { type ImageOptions, parse } from '../../src/cli/options.ts';
import { dataset } from '../../src/data/dataset.ts';
import { allMethods } from '../../src/methods/index.ts';
import type { ImageMethod } from '../../src/methods/method.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { type ImageMetrics, imageTask } from '../../src/train/images.ts';
import { type RunOptions, run as train } from '../../src/train/run.ts';
import { close, device, random, test } from '../harness.ts';

const [COUNT, SIDE, BATCH, STEPS, STOP] = [64, 8, 16, 8, 5];

/** Hyperparameters that make what is kept small. */
const SMALL: [method: string, ...options: string[]][] = [
  ['byol'],
  ['moco', '--queue', '50'],
  ['nnclr', '--queue', '50'],
  ['swav', '--prototypes', '12'],
  ['dino', '--outputs', '12'],
  ['supCon', '--memory', '40'],
  ['proxyAnchor', '--view-noise', '0.1'],
  ['simclr', '--chunks', '2'],
  ['tSimcne', '--outputs', '12'],
  ['simclr', '--matryoshka', '2'],
  ['simclr', '--mine', '3'],
  ['supCon', '--matryoshka', '2', '--memory', '40'],
];

const pixels = Uint8Array.from(random(1).integers(COUNT * SIDE * SIDE, 0, 256));
const labels = Uint8Array.from({ length: COUNT }, (_, i) => i % 3);
const size = { height: SIDE, width: SIDE, channels: 1 };
const data = dataset({ pixels, labels, count: COUNT, ...size, classes: 3 });

type Task = ReturnType<typeof imageTask>;

async function run(args: string[], job: Partial<RunOptions<ImageMetrics, Task>> = {}) {
  const epochs = String((STEPS * BATCH) / COUNT);
  const options = parse(['--batch', String(BATCH), '--epochs', epochs, ...args]).options as ImageOptions;
  const { encoder = 'mlp-small' } = (allMethods[options.method] as ImageMethod).defaults ?? {};
  const imageRun = imageRunOf({ ...options, encoder, embedding: 8 }, { train: data, test: data });
  const trained = await train<ImageMetrics, Task>({ task: () => imageTask(imageRun), open: device, ...job });
  freeVariables(trained.device, [...trained.task.variables, data.images, data.labels!]);
  return trained;
}

test('every method trains: finite losses, other ones than at first', async () => {
  const others = Object.keys(allMethods).filter(
    (name) => allMethods[name].data === 'images' && !SMALL.some(([method]) => method === name),
  );
  assert.ok(others.length > 10, others.join(', '));
  for (const method of others) {
    const { complete, metrics } = await run(['--method', method]);
    const losses = metrics.map(({ loss }) => loss);
    assert.ok(complete && losses.length > 1 && losses.every(Number.isFinite), `${method}: ${losses}`);
    assert.ok(new Set(losses).size > 1, `${method}: ${losses}`);
  }
});

for (const [method, ...given] of SMALL) {
  test(`${[method, ...given].join(' ')}: stopped at step ${STOP} of ${STEPS} and resumed is uninterrupted`, async () => {
    const args = ['--method', method, ...given];
    const whole = await run(args);
    let done = 0;
    const first = await run(args, { onStep: (step) => (done = step), stopped: () => done === STOP });
    if (first.complete || first.saved.step !== STOP) throw new Error(`stopped at step ${first.saved.step}`);
    const { saved } = first;
    const second = await run(args, {
      resume: { saved, metrics: first.metrics.filter(({ step }) => step <= saved.step) },
    });
    close(second.saved.bytes, whole.saved.bytes, { rel: 0, abs: 0, what: 'checkpoint' });
    if (JSON.stringify(second.metrics) !== JSON.stringify(whole.metrics)) throw new Error('metrics differ');
  });
}
