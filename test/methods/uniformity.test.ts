import { input, type Tensor } from '../../src/graph/tensor.ts';
import { uniformity as method, uniformityLoss } from '../../src/methods/uniformity.ts';
import { concatenate } from '../../src/ops/shape.ts';
import { type MethodStudy, most, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants, compileLoss, cone, coneError } from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 90,
  cases: [
    { seeds: [0], gates: [most('uniformity', -3.65), within('alignment', 1.4), most('augKnnZ', 0.56)] },
  ],
  digits: [
    // It spreads, and knows no classes.
    { seeds: [0], alarm: 'any', gates: [most('uniformity', -3.25), most('augKnn', 0.4)] },
  ],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB) =>
  reference.div(reference.add(reference.uniformity(zA), reference.uniformity(zB)), 2),
);

/** The loss of one view; the other is left alone. */
const at = (t: number) => ({
  loss: (zA: Tensor) => uniformityLoss(zA, { t }),
  expected: (zA: reference.Ref) => reference.uniformity(zA, t),
});

/** The least value, on the uniform distribution: -2t + log 0F1(; D/2; t^2). */
function optimum(D: number, t: number): number {
  let [sum, term] = [0, 1];
  for (let k = 0; term > 1e-17 * sum; k++) {
    sum += term;
    term *= (t * t) / ((k + 1) * (D / 2 + k));
  }
  return -2 * t + Math.log(sum);
}

/** The loss of rows, and its gradient. */
async function lossOf(z: Float32Array, N: number, D: number, t = 2) {
  const compiled = await compileLoss(at(t).loss, N, D);
  const { loss, gA } = await compiled.run({ zA: z, zB: z });
  compiled.dispose();
  return { loss, gradient: gA };
}

test('value and gradients', async () => {
  for (const t of [0.5, 2, 3]) await checkAgainst(at(t).loss, at(t).expected, { what: `t = ${t}` });
  await checkAgainst(at(2).loss, at(2).expected, { sizes: [[300, 12]] });
  await checkAgainst((z) => uniformityLoss(z), at(2).expected, { what: 'default t', sizes: [[9, 8]] });
});

test('invariants', () => checkInvariants(at(2).loss));

test('edges', async () => {
  // Both views as one set of rows, so that checkEdges has both gradients.
  const loss = (zA: Tensor, zB: Tensor) => uniformityLoss(concatenate([zA, zB]));
  const expected = (zA: reference.Ref, zB: reference.Ref) =>
    reference.uniformity(reference.concatenate([zA, zB], 0));
  await checkEdges(loss, expected, { collapsed: 0 });
});

test('the optima of the paper', () => {
  close(
    [optimum(128, 2), optimum(32, 2), optimum(8, 2), optimum(2, 2)],
    [-3.9375, -3.7518, -3.0825, -1.575],
    {
      rel: 0,
      abs: 1e-4,
    },
  );
});

test('random directions come near the optimum', async () => {
  const N = 1024;
  for (const [D, t] of [
    [2, 2],
    [8, 2],
    [32, 3],
    [128, 2],
  ]) {
    const { loss } = await lossOf(random(freshSeed()).normal(N * D), N, D, t);
    close([loss], [optimum(D, t)], { rel: 0, abs: 0.02, what: `D = ${D}, t = ${t}` });
  }
});

// With the pairs i = i the mean over all pairs is least on the uniform distribution, so for any N rows
// exp(loss) >= (N exp(optimum) - 1) / (N - 1); rows spread evenly on a circle reach it.
const bound = (N: number, D: number, t: number) => Math.log((N * Math.exp(optimum(D, t)) - 1) / (N - 1));

test('points spread evenly on a circle are the best there is, and stay', async () => {
  for (const [N, t] of [
    [32, 2],
    [65, 3],
    [300, 2],
  ]) {
    const angle = (i: number) => (2 * Math.PI * Math.floor(i / 2)) / N;
    const z = Float32Array.from({ length: 2 * N }, (_, i) =>
      i % 2 ? Math.sin(angle(i)) : Math.cos(angle(i)),
    );
    const { loss, gradient } = await lossOf(z, N, 2, t);
    close([loss], [bound(N, 2, t)], { rel: 0, abs: 5e-6, what: `${N} points` });
    close(gradient, new Float32Array(2 * N), { abs: 1e-6, what: `${N} points: gradient` });
  }
});

test('nothing is better than the optimum allows', async () => {
  // Few rows in many dimensions, all as far apart as can be, and random ones.
  for (const [N, D] of [
    [16, 3],
    [64, 4],
    [200, 8],
  ]) {
    const { loss } = await lossOf(random(freshSeed()).normal(N * D), N, D);
    if (N * Math.exp(optimum(D, 2)) > 1 && loss < bound(N, D, 2) - 1e-5)
      throw new Error(`[${N}, ${D}]: ${loss} is below ${bound(N, D, 2)}`);
  }
  // Two opposite points: |u - v|^2 = 4.
  const { loss } = await lossOf(Float32Array.of(1, 0, -1, 0), 2, 2);
  close([loss], [-8], { rel: 1e-6 });
});

test('following the gradient spreads rows that lie together', async () => {
  const [N, D] = [64, 3];
  const compiled = await compileLoss(at(2).loss, N, D);
  let z = random(freshSeed())
    .normal(N * D)
    .map((v, i) => 0.2 * v + Number(i % D === 0));
  const losses: number[] = [];
  for (let step = 0; step < 60; step++) {
    const { loss, gA } = await compiled.run({ zA: z, zB: z });
    losses.push(loss);
    z = z.map((v, i) => v - 0.3 * N * gA[i]);
  }
  compiled.dispose();
  const last = losses[losses.length - 1];
  if (!(losses[0] > -1.2 && last < bound(N, D, 2) + 0.02 && last >= bound(N, D, 2) - 1e-5))
    throw new Error(`from ${losses[0]} to ${last}, bound ${bound(N, D, 2)}`);
});

for (const width of [1, 1e-1, 1e-2, 1e-3, 1e-4])
  test(`a cone of ${width}: value and gradient keep their digits`, async () => {
    for (const [N, D] of [
      [40, 8],
      [150, 33],
    ]) {
      const z = cone(random(freshSeed()), N, D, width);
      const { loss, gradient } = await lossOf(z, N, D);
      const leaf = reference.leaf([N, D], z);
      const y = reference.uniformity(leaf);
      const [wanted] = reference.gradient(y, [leaf]);
      const what = `[${N}, ${D}]`;
      close([loss], y.data, { rel: 2e-5 + 1e-8 / width, abs: 0, what });
      close(gradient, wanted, { rel: 1e-5 + coneError(width), abs: 0, what: `${what}: gradient` });
    }
  });

test('rows of zeros coincide: no spread is read into them', async () => {
  const [N, D] = [60, 8];
  const draw = random(freshSeed());
  const z = draw.normal(N * D);
  const healthy = (await lossOf(z, N, D)).loss;
  const some = z.map((v, i) => (Math.floor(i / D) % 2 ? 0 : v));
  const found = await lossOf(some, N, D);
  close([found.loss], reference.uniformity(reference.leaf([N, D], some)).data, { rel: 2e-5 });
  if (!(found.loss > healthy + 0.2)) throw new Error(`half zero ${found.loss}, healthy ${healthy}`);
  const none = await lossOf(new Float32Array(N * D), N, D);
  close([none.loss, ...none.gradient], new Float32Array(1 + N * D), { rel: 0, abs: 0 });
});

test('a large t: only the nearest pairs count', async () => {
  const [N, D] = [50, 6];
  const z = random(freshSeed()).normal(N * D);
  for (const t of [20, 300]) {
    const { loss } = await lossOf(z, N, D, t);
    close([loss], reference.uniformity(reference.leaf([N, D], z), t).data, { rel: 1e-4 });
  }
});

test('what is no embedding and no t is named', () => {
  const z = input([4, 3]);
  for (const bad of [null, undefined, [1], 'z', -1, input([4]), input([4, 3], 'u32')])
    throws(
      () => uniformityLoss(bad as never),
      /uniformityLoss: expected an f32 tensor of 2 dimensions for "z", got /,
    );
  for (const t of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, '2', null])
    throws(() => uniformityLoss(z, { t: t as never }), /uniformityLoss: .*above 0 .*"t", got /);
  throws(() => uniformityLoss(z, { tau: 1 } as never), /uniformityLoss: unknown option "tau"/);
});

test('one row has no pairs', () => {
  throws(() => uniformityLoss(input([1, 4])), /uniformityLoss: expected 2 rows at least, got \[1, 4\]/);
});
