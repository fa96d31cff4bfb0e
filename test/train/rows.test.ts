// Runs on rows: stopped and resumed, bit by bit the same; the metrics by their definitions.
import * as assert from 'uvu/assert';
import { variable } from '../../src/graph/tensor.ts';
import { defaultsOf, type RowsMethod } from '../../src/methods/method.ts';
import { sae } from '../../src/methods/sae.ts';
import { saeL1 } from '../../src/methods/sae_l1.ts';
import { saeTopK } from '../../src/methods/sae_top_k.ts';
import { compute } from '../../src/metrics/compute.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { type RowsMetrics, type RowsRun, rowsTask } from '../../src/train/rows.ts';
import { type RunOptions, run as train } from '../../src/train/run.ts';
import { close, device, random, test } from '../harness.ts';

const [N, M, D, LATENTS, BATCH, STEPS, STOP] = [96, 40, 12, 24, 16, 12, 7];
const draw = random(1);
const rows = { train: draw.normal(N * D), test: draw.normal(M * D) };

type Task = ReturnType<typeof rowsTask>;
// biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
const runOf = (method: RowsMethod<any>, own: Record<string, number> = {}): RowsRun => ({
  ...{ method, epochs: (STEPS * BATCH) / N, batch: BATCH, learningRate: 1e-2, seed: 3 },
  hyperparameters: { ...defaultsOf(method.hyperparameters), latents: LATENTS, ...own },
  data: variable([N, D], { name: 'rows', initial: rows.train }),
  validation: variable([M, D], { name: 'held-out rows', initial: () => rows.test }),
  center: () => new Float32Array(D),
});

async function trained(run: RowsRun, job: Partial<RunOptions<RowsMetrics, Task>> = {}) {
  const done = await train<RowsMetrics, Task>({ task: () => rowsTask(run), open: device, ...job });
  return {
    ...done,
    free: () => freeVariables(done.device, [...done.task.variables, run.data, run.validation]),
  };
}

const CASES: [name: string, make: () => RowsRun][] = [
  ['sae', () => runOf(sae, { k: 3, deadEpochs: 0.1, groups: 3 })],
  ['saeTopK', () => runOf(saeTopK, { k: 3, deadEpochs: 0.1 })],
  ['saeL1', () => runOf(saeL1)],
];
for (const [name, make] of CASES)
  test(`${name}: stopped at step ${STOP} of ${STEPS} and resumed is uninterrupted`, async () => {
    const whole = await trained(make());
    whole.free();
    assert.ok(whole.complete && whole.metrics.length > 1);
    let done = 0;
    const first = await trained(make(), { onStep: (step) => (done = step), stopped: () => done === STOP });
    first.free();
    const { saved } = first;
    assert.is(saved.step, STOP);
    const second = await trained(make(), {
      resume: { saved, metrics: first.metrics.filter(({ step }) => step <= STOP) },
    });
    second.free();
    close(second.saved.bytes, whole.saved.bytes, { rel: 0, abs: 0, what: 'checkpoint' });
    assert.equal(second.metrics, whole.metrics);
    const losses = whole.metrics.map(({ loss }) => loss);
    assert.ok(losses.every(Number.isFinite) && losses.at(-1)! < losses[0], `${losses}`);
  });

test('the metrics of a look: L0, dead latents and FVU of held-out rows', async () => {
  const run = runOf(sae, { k: 2 });
  const { device: gpu, task, metrics, free } = await trained(run);
  const { encode, decode } = task.model;
  const { f, predicted } = await compute(gpu, () => {
    const f = encode(run.validation);
    return { f, predicted: decode(f) };
  });
  free();
  const fired = Array.from(f, (value) => Number(value > 0));
  const l0 = fired.reduce((a, b) => a + b) / M;
  const alive = Array.from({ length: LATENTS }, (_, j) => fired.some((on, i) => on && i % LATENTS === j));
  const mean = Float64Array.from({ length: D }, (_, d) =>
    rows.test.filter((_, i) => i % D === d).reduce((a, b) => a + b / M, 0),
  );
  const spread = rows.test.reduce((sum, value, i) => sum + (value - mean[i % D]) ** 2, 0);
  const error = rows.test.reduce((sum, value, i) => sum + (value - predicted[i]) ** 2, 0);
  const { l0: found, dead, fvu } = metrics.at(-1)!;
  const share = 1 - alive.filter(Boolean).length / LATENTS;
  close([found, dead, fvu], [l0, share, error / spread], { rel: 1e-5, abs: 1e-6 });
});

test('another seed gives another code, the same seed the same bytes', async () => {
  const bytes: Uint8Array[] = [];
  for (const seed of [3, 3, 4]) {
    const one = await trained({ ...runOf(saeTopK, { k: 3 }), seed });
    one.free();
    bytes.push(one.saved.bytes);
  }
  close(bytes[1], bytes[0], { rel: 0, abs: 0 });
  assert.ok(bytes[2].some((byte, i) => byte !== bytes[0][i]));
});
