// Sparse codes of h on the built-in images: less is left unexplained than by as many principal components, and few latents are dead.
import * as assert from 'uvu/assert';
import { datasetsOf, readData } from '../../src/cli/files.ts';
import { variable } from '../../src/graph/tensor.ts';
import { defaultsOf } from '../../src/methods/method.ts';
import { sae } from '../../src/methods/sae.ts';
import { simclr } from '../../src/methods/simclr.ts';
import { compute, picked, readRows } from '../../src/metrics/compute.ts';
import { embed } from '../../src/metrics/embed.ts';
import { fvu, principalFvu } from '../../src/metrics/fvu.ts';
import { mmcs } from '../../src/metrics/mmcs.ts';
import { normalArray } from '../../src/ops/random.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { geometricMedian } from '../../src/train/geometric_median.ts';
import { type RowsMetrics, rowsTask } from '../../src/train/rows.ts';
import { run } from '../../src/train/run.ts';
import { trainer } from '../../src/train/trainer.ts';
import { device, test } from '../harness.ts';

test(
  '1,024 latents at L0 16: FVU below that of 16 principal components, under 20 % dead; two seeds',
  async () => {
    const gpu = await device();
    const sets = datasetsOf(await readData(null, null));
    const options = { encoder: 'mlp-small', epochs: 5, seed: 0 };
    const { encoder, dispose } = await trainer({
      ...{ device: gpu, method: simclr, data: sets.train, validation: sets.test, ...options },
    }).finish();
    const rows = async (set: typeof sets.train) => {
      const { h } = await embed(gpu, set, (x) => ({ h: encoder(x) }));
      const data = await readRows('h', gpu, h);
      freeVariables(gpu, [h]);
      return { data, shape: [set.count, encoder.outputs] as const };
    };
    const [train, held] = [await rows(sets.train), await rows(sets.test)];
    dispose();
    const D = encoder.outputs;
    const mean = new Float64Array(D);
    for (const [i, value] of train.data.entries()) mean[i % D] += value / sets.train.count;
    const spread = train.data.reduce((sum, value, i) => sum + (value - mean[i % D]) ** 2, 0);
    const scale = Math.sqrt(spread / sets.train.count);
    for (const { data } of [train, held]) for (let i = 0; i < data.length; i++) data[i] /= scale;
    const center = await geometricMedian(gpu, train);
    const principal = await principalFvu(gpu, train, held, { components: 16 });
    const codes: { decoder: Float32Array; uses: Float64Array }[] = [];
    for (const seed of [0, 1]) {
      const data = variable(train.shape, { initial: train.data });
      const validation = variable(held.shape, { initial: held.data });
      const task = () =>
        rowsTask({
          ...{ method: sae, data, validation, center, epochs: 15, batch: 256, learningRate: 2e-3, seed },
          hyperparameters: defaultsOf(sae.hyperparameters),
        });
      const done = await run<RowsMetrics, ReturnType<typeof task>>({ task, open: device });
      const { encode, decode, parameters } = done.task.model;
      const { f, predicted } = await compute(gpu, () => {
        const f = encode(validation);
        return { f, predicted: decode(f) };
      });
      const uses = new Float64Array(1024);
      for (const [i, value] of f.entries()) uses[i % 1024] += Number(value > 0) / sets.test.count;
      codes.push({ decoder: (await readVariable(gpu, parameters![2])) as Float32Array, uses });
      freeVariables(gpu, [...done.task.variables, data, validation]);
      const l0 = f.reduce((sum, value) => sum + Number(value > 0), 0) / sets.test.count;
      const dead = uses.filter((use) => use === 0).length / 1024;
      const unexplained = await fvu(gpu, held, { data: predicted, shape: held.shape });
      console.log('sae', JSON.stringify({ seed, l0, dead, fvu: unexplained, principal }));
      assert.ok(l0 > 12 && l0 <= 17, `L0 ${l0}`);
      assert.ok(unexplained < principal, `FVU ${unexplained}, of 16 principal components ${principal}`);
      assert.ok(dead < 0.2, `dead ${dead}`);
    }
    // Most latents of two seeds are not the same ones, as in Paulo and Belrose 2025 (arXiv 2501.16615); the frequent ones are more alike.
    const frequentOf = ({ decoder, uses }: (typeof codes)[number]) =>
      picked(
        decoder,
        D,
        Array.from(uses.keys()).filter((j) => uses[j] > 0.05),
      );
    const rowsOf = (data: Float32Array) => ({ data, shape: [data.length / D, D] as const });
    const [a, b] = codes.map((code) => rowsOf(frequentOf(code)));
    const shared = await mmcs(gpu, a, b);
    const chance = await mmcs(gpu, rowsOf(normalArray(a.data.length, { seed: 0 })), b);
    console.log('sae', JSON.stringify({ mmcs: shared, chance }));
    assert.ok(shared > chance + 0.1, `MMCS ${shared}, of random directions ${chance}`);
  },
  { timeout: 60 * 60_000, only: 'deno' },
);
