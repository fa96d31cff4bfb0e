import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { kclLoss, kcl as method } from '../../src/methods/kcl.ts';
import { type MethodStudy, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import {
  checkAgainst,
  checkEdges,
  checkInvariants,
  compileLoss,
  cone,
  coneError,
  drawViews,
} from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 44,
  cases: [{ seeds: [0] }],
  digits: [{ seeds: [0], gates: [within('augKnn', 0.76)] }],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, { t, gamma }) => reference.kcl(zA, zB, { t, gamma }));

const at = (options: { t?: number; gamma?: number } = {}) => ({
  loss: (a: Tensor, b: Tensor) => kclLoss(a, b, options),
  expected: (a: reference.Ref, b: reference.Ref) => reference.kcl(a, b, options),
});

test('value and gradients', async () => {
  await checkAgainst(at().loss, at().expected);
  const sizes = [
    [2, 2],
    [9, 7],
    [63, 16],
    [130, 12],
  ];
  for (const options of [{ t: 0.5, gamma: 4 }, { t: 25, gamma: 1 }, { gamma: 0 }]) {
    const { loss, expected } = at(options);
    await checkAgainst(loss, expected, { what: JSON.stringify(options), sizes });
  }
});

test('invariants', () => checkInvariants(at().loss));

test('edges', async () => {
  await checkEdges(at().loss, at().expected, { collapsed: 2 * 16 - 2 });
  await checkEdges(at({ t: 30 }).loss, at({ t: 30 }).expected, { collapsed: 2 * 16 - 2 });
});

for (const width of [1e-1, 1e-2, 1e-3, 1e-4])
  test(`a cone of ${width}: the gradient keeps its digits`, async () => {
    const [N, D] = [66, 9];
    const draw = random(freshSeed());
    const [zA, zB] = [cone(draw, N, D, width), cone(draw, N, D, width)];
    const compiled = await compileLoss(at().loss, N, D);
    const found = await compiled.run({ zA, zB });
    compiled.dispose();
    const leaves = [zA, zB].map((z) => reference.leaf([N, D], z));
    const y = at().expected(leaves[0], leaves[1]);
    const [gA, gB] = reference.gradient(y, leaves);
    close([found.loss], y.data, { rel: 2e-5 });
    close([...found.gA, ...found.gB], [...gA, ...gB], { rel: 1e-4 + coneError(width), abs: 0 });
  });

test('rows repel only the rows of their view', async () => {
  const [N, D] = [8, 6];
  const { zA, zB } = drawViews(random(freshSeed()), N, D);
  const compiled = await compileLoss(at().loss, N, D);
  const first = await compiled.run({ zA, zB });
  const second = await compiled.run({ zA, zB: zB.map((x, i) => (i < D ? -x : x)) });
  compiled.dispose();
  close(second.gA.slice(D), first.gA.slice(D), { rel: 1e-6 });
  assert.ok(first.gA.slice(0, D).some((g, i) => Math.abs(g - second.gA[i]) > 1e-3));
});

test('opposite points, each with its pair: the least value of two samples', async () => {
  const compiled = await compileLoss(at().loss, 2, 2);
  const z = Float32Array.of(3, 0, -1, 0);
  const { loss, gA } = await compiled.run({ zA: z, zB: z });
  compiled.dispose();
  // |u_1 - u_2|^2 = 4.
  close([loss], [-2 + 2 * 16 * Math.exp(-2 * 4)], { rel: 1e-5 });
  close(gA, new Float32Array(4), { abs: 1e-6 });
});

test('the mean over pairs does not depend on how many rows there are', async () => {
  // Every row twice as often, except that a row is no pair of itself: (N - 1) energy = N mean of all pairs - 1.
  const [N, D] = [40, 5];
  const { zA, zB } = drawViews(random(freshSeed()), N, D);
  const lossOf = async (rows: number, gamma: number) => {
    const compiled = await compileLoss(at({ gamma }).loss, rows, D);
    const repeated = (z: Float32Array) => Float32Array.from({ length: rows * D }, (_, i) => z[i % z.length]);
    const { loss } = await compiled.run({ zA: repeated(zA), zB: repeated(zB) });
    compiled.dispose();
    return loss;
  };
  const energy = async (rows: number) => (await lossOf(rows, 1)) - (await lossOf(rows, 0));
  const withSelf = async (rows: number) => ((rows - 1) * (await energy(rows)) + 2) / rows;
  close([await withSelf(2 * N)], [await withSelf(N)], { rel: 1e-5 });
});

test('errors', () => {
  const z = input([4, 3]);
  throws(() => kclLoss(z, input([4, 2])), /kclLoss: expected two views \[N, D\]/);
  throws(() => kclLoss(input([1, 3]), input([1, 3])), /kclLoss: expected 2 rows at least, got \[1, 3\]/);
  for (const t of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '2', null])
    throws(() => kclLoss(z, z, { t: t as never }), /kclLoss: .*above 0 .*"t", got /);
  throws(() => kclLoss(z, z, { gamma: -1 }), /kclLoss: .*at least 0.*"gamma", got -1/);
  throws(() => kclLoss(z, z, { tau: 1 } as never), /kclLoss: unknown option "tau"/);
});
