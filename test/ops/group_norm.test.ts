import { input } from '../../src/graph/tensor.ts';
import { type GroupNormOptions, groupNorm } from '../../src/ops/group_norm.ts';
import { test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp } from './check.ts';
import { GPU, softwareTarget, withTarget } from './tiles.ts';

const check = (shape: number[], options: GroupNormOptions, affine = 'gamma beta') => {
  const inputs: Record<string, number[]> = { x: shape };
  for (const name of affine.split(' ').filter(Boolean)) inputs[name] = shape.slice(-1);
  const { activation = 'none', groups, epsilon } = options;
  return checkOp<string>({
    inputs,
    build: (t) => groupNorm(t.x, t.gamma ?? null, t.beta ?? null, options),
    reference: (r) =>
      reference.activations[activation](reference.groupNorm(r.x, r.gamma, r.beta, { groups, eps: epsilon })),
    what: `[${shape}] ${JSON.stringify(options)} ${affine}`,
  });
};

const cases: [shape: number[], groups: number][] = [
  [[1, 4, 5, 1], 1],
  [[2, 3, 3, 6], 3],
  [[3, 7, 7, 8], 8],
  [[2, 7, 9, 16], 4],
  [[65, 8, 8, 12], 3],
  [[9, 5, 13, 64], 8],
  [[17, 28, 28, 32], 8],
  [[5, 24], 3],
  [[4, 9, 20], 1],
];
for (const [shape, groups] of cases)
  test(`groupNorm [${shape}], ${groups} groups`, async () => {
    for (const affine of ['gamma beta', '', 'gamma', 'beta']) await check(shape, { groups }, affine);
    for (const affine of ['gamma beta', '', 'gamma', 'beta'])
      await check(shape, { groups, activation: 'silu' }, affine);
  });

for (const [name, target] of [
  ['GPUs', GPU],
  ['software adapters without quads', softwareTarget({ quads: false })],
] as const)
  test(`groupNorm: the kernels of ${name}`, () =>
    withTarget(target, async () => {
      for (const shape of [
        [3, 7, 7, 8],
        [9, 5, 13, 64],
        [7, 28, 28, 12],
      ])
        await check(shape, { groups: 4, activation: 'silu' });
    }));

test('groupNorm: two dispatches, and three for all gradients', async () => {
  const { dispatches } = await check([2, 3, 3, 8], { groups: 2, activation: 'silu' });
  if (dispatches !== 5) throw new Error(`${dispatches} dispatches`);
});

test('groupNorm: a large mean costs little precision', async () => {
  await checkOp({
    inputs: { x: { shape: [3, 8, 8, 8], values: (draw, n) => draw.normal(n).map((v) => 100 + v) } },
    build: ({ x }) => groupNorm(x, null, null, { groups: 2, epsilon: 1e-3 }),
    reference: ({ x }) => reference.groupNorm(x, null, null, { groups: 2, eps: 1e-3 }),
    rel: 1e-4,
  });
});

test('groupNorm: what does not fit is named', () => {
  const x = input([2, 3, 3, 6]);
  throws(
    () => groupNorm(x, null, null, { groups: 4 }),
    /groupNorm: expected groups that divide the 6 channels of .*, got 4/,
  );
  throws(
    () => groupNorm(x, input([3]), null, { groups: 2 }),
    /groupNorm: expected gamma \[6\] for x .*, got f32 \[3\]/,
  );
  throws(
    () => groupNorm(input([6]), null, null, { groups: 2 }),
    /groupNorm: expected x \[N, ..., C\], got \[6\]/,
  );
  throws(() => groupNorm(x, null, null, {} as never), /groupNorm: .*"groups", got undefined/);
  throws(
    () => groupNorm(x, null, null, { groups: 2, activation: 'relu' as never }),
    /'none' or 'silu' for "activation"/,
  );
});
