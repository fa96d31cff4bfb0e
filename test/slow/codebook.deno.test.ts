// VQ-VAE on the 8 x 8 digits with a bad first codebook: what restart is for.
import * as assert from 'uvu/assert';
import { plainViews } from '../../src/data/augment.ts';
import { rows } from '../../src/data/dataset.ts';
import { input, scalar } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import { defaultsOf, type ImageMethod } from '../../src/methods/method.ts';
import { ownCollapses } from '../../src/metrics/alarm.ts';
import { mlpEncoder } from '../../src/nn/index.ts';
import { mean } from '../../src/ops/reduce.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { buildImageModel, type ImageRun, imageStep } from '../../src/train/images.ts';
import { device, test } from '../harness.ts';
import { loadDigits } from './digits.ts';

const SLOW = { timeout: 30 * 60_000, only: 'deno' } as const;

/**
 * VQ-VAE on the 8 x 8 digits: pixels in [0, 1], an MLP, one code of 64 for each digit, of 8 numbers, with deviation 3 at
 * first.
 */
async function vqDigits(seed: number, restart: number) {
  const gpu = await device();
  const { train: standardized } = await loadDigits();
  const train = { ...standardized, mean: [0], std: [1] };
  const method = allMethods.vqVae as ImageMethod;
  const own = { codes: 64, codeWidth: 8, spread: 3, restart };
  const run: ImageRun = {
    ...{ method, data: train, validation: train, embedding: 8, epochs: 1, batch: 256, seed },
    hyperparameters: { ...defaultsOf(method.hyperparameters), ...own },
    ...{ learningRate: 1e-3, views: plainViews },
    encoder: ({ seed }) =>
      Object.assign(mlpEncoder({ seed, inputs: 64, widths: [256], norm: 'none' }), { map: [1, 1] as const }),
  };
  const model = buildImageModel(run, 1e-3);
  const step = await compile(gpu, ({ step }) => imageStep(run, model, step, {}), {
    inputs: { step: scalar('u32') },
  });
  const looks: { step: number; use: number; perplexity: number }[] = [];
  for (let i = 0; i < 800; i++) {
    await step.run({ step: i });
    if (i % 40 !== 39) continue;
    const [[use], [perplexity]] = await Promise.all([step.read('use'), step.read('perplexity')]);
    looks.push({ step: i + 1, use, perplexity });
  }
  const [loss] = await step.read('loss');
  step.dispose();
  // One code for each digit.
  const all = await compile(
    gpu,
    ({ ids }) => ({ shares: mean(model.represent(rows(train, ids)).z!, { axes: 0 }) }),
    { inputs: { ids: input([train.count], 'u32') } },
  );
  await all.run({ ids: Uint32Array.from({ length: train.count }, (_, i) => i) });
  const shares = await all.read('shares');
  all.dispose();
  freeVariables(gpu, [...model.variables, train.images, train.labels!]);
  const perplexity = Math.exp(-shares.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0));
  const alarm = ownCollapses(looks, method.collapses!);
  console.log(
    JSON.stringify({ seed, restart, perplexity, loss, alarm, uses: looks.map(({ use }) => use.toFixed(3)) }),
  );
  return { perplexity, alarm, looks };
}

for (const seed of [0, 1, 2])
  test(
    `VQ-VAE: codes that are too large die without restart, and the alarm says so; with it they live; seed ${seed}`,
    async () => {
      const without = await vqDigits(seed, 0);
      assert.ok(without.perplexity < 8, `perplexity ${without.perplexity} without restart`);
      assert.equal(
        without.alarm.map(({ kind }) => kind),
        ['cluster'],
      );
      const restarted = await vqDigits(seed, 0.1);
      assert.ok(restarted.perplexity > 40, `perplexity ${restarted.perplexity} with restart`);
      assert.equal(restarted.alarm, []);
    },
    SLOW,
  );
