import * as assert from 'uvu/assert';
import { input, reshape, type Tensor } from '../../src/graph/tensor.ts';
import { whiten } from '../../src/methods/parts/whiten.ts';
import { wMse as method, wMseLoss } from '../../src/methods/w_mse.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkInvariants, compileLoss, type Draw, drawViews, type Found } from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 170,
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB) => reference.wMse(zA, zB));

const loss = (a: Tensor, b: Tensor) => wMseLoss(a, b);

test('value and gradients, against whitening by eigenvectors', async () => {
  const sizes = [
    [2, 1],
    [9, 2],
    [12, 4],
    [33, 7],
    [65, 16],
    [129, 33],
    [256, 64],
  ];
  await checkAgainst(loss, reference.wMse, { sizes, normalizes: false });
});

test('features of very different scale are whitened alike', async () => {
  const [N, D] = [64, 6];
  const draw = random(freshSeed());
  const views = drawViews(draw, N, D);
  const stretched = (z: Float32Array) => z.map((v, i) => v * 10 ** (1 - (i % D) / 3) + 5);
  const compiled = await compileLoss(loss, N, D);
  const found = await compiled.run({ zA: stretched(views.zA), zB: stretched(views.zB) });
  compiled.dispose();
  const leaves = [reference.leaf([N, D], found.zA), reference.leaf([N, D], found.zB)];
  const y = reference.wMse(leaves[0], leaves[1]);
  close([found.loss], y.data, { rel: 2e-5 });
  const [gA, gB] = reference.gradient(y, leaves);
  close([...found.gA, ...found.gB], [...gA, ...gB], { rel: 1e-4 });
});

test('invariants: permutation; scaling and shifting each feature of a view', async () => {
  await checkInvariants(loss, { rotates: false, normalizes: false });
  const [N, D] = [20, 5];
  const views = drawViews(random(freshSeed()), N, D);
  const compiled = await compileLoss(loss, N, D);
  const base = await compiled.run(views);
  const factor = (i: number) => 7 + 3 * (i % D);
  const moved = await compiled.run({ ...views, zA: views.zA.map((v, i) => factor(i) * v + (i % D)) });
  compiled.dispose();
  close([moved.loss], [base.loss], { rel: 2e-5 });
  close(
    moved.gA.map((g, i) => factor(i) * g),
    base.gA,
    { rel: 1e-4 },
  );
});

test('whitened rows have mean 0 and the identity as covariance', async () => {
  const [N, D] = [200, 12];
  const draw = random(freshSeed());
  // Far from a rotation, and no nearer to a singular one than a ridge of 1e-5 allows.
  const mix = draw.normal(D * D).map((v, i) => Number(i % (D + 1) === 0) + 0.2 * v);
  const mixed = (z: Float32Array) =>
    Float32Array.from({ length: N * D }, (_, i) => {
      const [n, d] = [Math.floor(i / D), i % D];
      return 3 + mix.slice(0, D).reduce((total, _, k) => total + z[n * D + k] * mix[k * D + d], 0);
    });
  const z = mixed(draw.normal(N * D));
  const { white } = await evaluate(
    { z: input([N, D]) },
    ({ z }) => ({ white: whiten(reshape(z, [1, N, D]), { iterations: 16 }) }),
    { z },
  );
  const w = reference.leaf([N, D], white);
  close(white, reference.whiten(reference.leaf([N, D], z)).data, { rel: 1e-4, what: 'against eigenvectors' });
  close(reference.mean(w, 0).data, new Float64Array(D), { abs: 1e-4 });
  const covariance = reference.div(reference.matmul(w, w, { transposeA: true }), N - 1).data;
  const diagonal = Float64Array.from(covariance, (_, i) => Number(i % (D + 1) === 0));
  // As near as the ridge lets it.
  close(covariance, diagonal, { abs: 0.02 });
});

/** Edges: finite, whatever the batch degenerates to. */
const edges: Record<string, (draw: Draw, N: number, D: number) => { zA: Float32Array; zB: Float32Array }> = {
  'identical rows': (draw, N, D) => {
    const one = draw.normal(D);
    const rows = Float32Array.from({ length: N * D }, (_, i) => one[i % D]);
    return { zA: rows, zB: rows };
  },
  zeros: (_, N, D) => ({ zA: new Float32Array(N * D), zB: new Float32Array(N * D) }),
  'a zero row': (draw, N, D) => {
    const views = drawViews(draw, N, D);
    views.zA.fill(0, D, 2 * D);
    return views;
  },
  'a feature without variance': (draw, N, D) => {
    const views = drawViews(draw, N, D);
    return { zA: views.zA.map((v, i) => (i % D ? v : 3)), zB: views.zB.map((v, i) => (i % D ? v : 3)) };
  },
  'one direction only': (draw, N, D) => {
    const along = draw.normal(N);
    const z = Float32Array.from({ length: N * D }, (_, i) => along[Math.floor(i / D)] * (1 + (i % D)));
    return { zA: z, zB: z };
  },
  'opposite views': (draw, N, D) => {
    const { zA } = drawViews(draw, N, D);
    return { zA, zB: zA.map((v) => -v) };
  },
  'very small': (draw, N, D) => {
    const { zA, zB } = drawViews(draw, N, D);
    return { zA: zA.map((v) => v * 1e-6), zB: zB.map((v) => v * 1e6) };
  },
};

test('edges', async () => {
  const [N, D] = [9, 6];
  const compiled = await compileLoss(loss, N, D);
  const finite = ({ loss, gA, gB }: Found) => [loss, ...gA, ...gB].every(Number.isFinite);
  for (const [name, make] of Object.entries(edges)) {
    const found = await compiled.run(make(random(freshSeed()), N, D));
    assert.ok(finite(found), `${name}: ${found.loss}, ${found.gA}, ${found.gB}`);
    if (name === 'opposite views') close([found.loss], [4], { rel: 2e-5 });
  }
  compiled.dispose();
});

test('views that agree cost nothing; collapsed ones are pushed apart by whitening', async () => {
  const [N, D] = [16, 3];
  const draw = random(freshSeed());
  const z = draw.normal(N * D);
  const compiled = await compileLoss(loss, N, D);
  const same = await compiled.run({ zA: z, zB: z });
  close([same.loss], [0], { abs: 1e-6 });
  // All near one point, each view by chance: after whitening as far apart as ever.
  const near = () => draw.normal(N * D).map((v) => 1 + 1e-3 * v);
  const collapsed = await compiled.run({ zA: near(), zB: near() });
  compiled.dispose();
  assert.ok(collapsed.loss > 0.5, `${collapsed.loss}`);
});

test('errors', () => {
  throws(() => wMseLoss(input([9, 3]), input([9, 2])), /wMseLoss: expected two views \[N, D\]/);
  throws(
    () => wMseLoss(input([8, 8]), input([8, 8])),
    /wMseLoss: expected more rows than features.*got \[8, 8\]/,
  );
});
