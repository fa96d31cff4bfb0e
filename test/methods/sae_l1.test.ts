import * as assert from 'uvu/assert';
import { input } from '../../src/graph/tensor.ts';
import { saeL1 as method, saeL1Loss } from '../../src/methods/sae_l1.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';
import * as sparse from './sparse.ts';

export const study = {
  method,
  without: 'it codes the h of a trained encoder: test/slow/sparse.deno.test.ts trains it',
} satisfies MethodStudy<typeof method>;

function l1(x: reference.Ref, predicted: reference.Ref, f: reference.Ref, lambda: number) {
  const penalty = reference.mean(reference.sum(reference.abs(f), 1));
  return reference.add(sparse.squaredError(x, predicted), reference.mul(penalty, lambda));
}

test('saeL1Loss: value and gradients', async () => {
  for (const [N, d, m] of [
    [1, 1, 1],
    [2, 3, 5],
    [9, 8, 16],
    [65, 33, 66],
  ])
    await checkOp({
      inputs: { x: { shape: [N, d], gradient: false }, predicted: [N, d], f: [N, m] },
      build: ({ x, predicted, f }) => saeL1Loss(x, predicted, f, { lambda: 0.3 }),
      reference: ({ x, predicted, f }) => l1(x, predicted, f, 0.3),
      what: `${N} x ${d}, ${m} latents`,
    });
});

const expected = (lambda: number) => (x: reference.Ref, weights: sparse.Weights) => {
  const f = sparse.activations(x, weights);
  return l1(x, sparse.decode(f, weights), f, lambda);
};

for (const [N, d, m] of [
  [1, 4, 8],
  [9, 7, 16],
  [33, 16, 65],
])
  test(`an update of ${N} rows of ${d} by ${m} latents`, async () => {
    for (const lambda of [0, 0.1, 2])
      await sparse.checkUpdate(method, {
        ...{ N, d, m, hyperparameters: { lambda }, expected: expected(lambda), what: `lambda ${lambda}` },
      });
  });

test('edges: equal rows, rows of zeros, two rows', async () => {
  const all = { N: 6, d: 5, m: 12, hyperparameters: { lambda: 0.1 }, expected: expected(0.1) };
  await sparse.checkUpdate(method, { ...all, x: (_, i) => 0.5 * i - 1, what: 'equal rows' });
  await sparse.checkUpdate(method, { ...all, x: () => 0, what: 'zero rows' });
  await sparse.checkUpdate(method, { ...all, N: 2, what: 'two rows' });
});

test(
  'more penalty: fewer latents a row, less is explained; the atoms are found',
  async () => {
    const [small, large] = [
      await sparse.learnsAtoms(method, { hyperparameters: { lambda: 0.05 } }),
      await sparse.learnsAtoms(method, { hyperparameters: { lambda: 0.3 } }),
    ];
    const told = JSON.stringify([small, large]);
    assert.ok(large.found >= 0.95 && large.found > small.found, told);
    assert.ok(large.l0 < 0.6 * small.l0 && large.fvu > 2 * small.fvu, told);
  },
  { training: true, timeout: 180_000 },
);

test('errors', () => {
  const x = input([4, 3]);
  throws(() => saeL1Loss(x, input([4, 2]), x), /saeL1Loss: expected \[N, d\], \[N, d\] and \[N, m\], got/);
  throws(() => saeL1Loss(x, x, input([5, 3])), /saeL1Loss/);
  throws(() => saeL1Loss(x, x, x, { lambda: -1 }), /saeL1Loss: .*"lambda"/);
});
