import * as assert from 'uvu/assert';
import { saeTopK as method } from '../../src/methods/sae_top_k.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { test } from '../harness.ts';
import * as reference from '../reference.ts';
import * as sparse from './sparse.ts';

export const study = {
  method,
  without: 'it codes the h of a trained encoder: test/slow/sparse.deno.test.ts trains it',
} satisfies MethodStudy<typeof method>;

const expected =
  (k: number, alpha = 1 / 32) =>
  (x: reference.Ref, weights: sparse.Weights, idle: Float32Array) => {
    const a = sparse.activations(x, weights);
    const f = reference.keepLargest(a, Math.min(k, a.shape[1]));
    const revived = sparse.revivedBy(a, idle, sparse.EPOCH, weights);
    return sparse.sae(x, sparse.decode(f, weights), revived, alpha);
  };

for (const [N, d, m] of [
  [1, 4, 8],
  [9, 7, 16],
  [33, 16, 65],
])
  test(`an update of ${N} rows of ${d} by ${m} latents: none dead, some, all, all kept`, async () => {
    const check = (what: string, k: number, idle?: (j: number) => number) =>
      sparse.checkUpdate(method, {
        ...{ N, d, m, hyperparameters: { k, deadEpochs: 1 }, idle, what },
        expected: expected(k),
      });
    await check('none dead', 3);
    await check('some dead', 3, (j) => (j % 3 ? 0 : sparse.EPOCH));
    await check('all dead', 3, () => sparse.EPOCH);
    await check('all kept', m);
    await check('more than all', m + 9);
  });

test('edges: equal rows, rows of zeros, two rows, no AuxK', async () => {
  const all = { N: 6, d: 5, m: 12, hyperparameters: { k: 2, deadEpochs: 1 }, expected: expected(2) };
  await sparse.checkUpdate(method, { ...all, x: (_, i) => 0.5 * i - 1, what: 'equal rows' });
  await sparse.checkUpdate(method, { ...all, x: () => 0, what: 'zero rows' });
  await sparse.checkUpdate(method, { ...all, N: 2, what: 'two rows' });
  await sparse.checkUpdate(method, {
    ...all,
    ...{ hyperparameters: { k: 2, deadEpochs: 1, alpha: 0 }, expected: expected(2, 0), what: 'alpha 0' },
    idle: () => sparse.EPOCH,
  });
});

test(
  'it finds the atoms that rows are made of: MMCS at least .95',
  async () => {
    const { found, l0, fvu } = await sparse.learnsAtoms(method, { hyperparameters: { k: 3 } });
    assert.ok(found >= 0.95, `MMCS ${found}`);
    assert.ok(l0 <= 3 && l0 > 2.9 && fvu < 0.15, `L0 ${l0}, FVU ${fvu}`);
  },
  { training: true, timeout: 180_000 },
);
