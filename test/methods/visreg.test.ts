import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { constant, input, reshape, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { buildMethod, defaultsOf, type ImageMethod } from '../../src/methods/method.ts';
import { visReg as method, visRegLoss } from '../../src/methods/visreg.ts';
import { concatenate } from '../../src/ops/shape.ts';
import { compile } from '../../src/runtime/compile.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { drawViews, unitRows } from './check.ts';
import { testPairMethod } from './pair.ts';
import { trainRecipe } from './recipe.ts';

export const study = {
  method,
  order: 185,
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof method>;

const directions = (K: number, D: number) => unitRows(random(freshSeed()), K, D);

/** Views whose projections are apart by more than rounding: f32 would sort nearer ones in another order, with another gradient. */
function drawApart([V, N, D]: number[], A: Float32Array, scale = 1): Float32Array {
  const draw = random(freshSeed());
  const K = A.length / D;
  const leaf = reference.leaf([K, D], A);
  for (;;) {
    const z = draw.normal(V * N * D).map((v) => scale * v);
    const { slices } = reference.visRegSlices(reference.leaf([V, N, D], z), leaf);
    const { data } = reference.sort(slices, 1);
    if (data.every((v, i) => Math.floor(i / K) % N === 0 || v - data[i - K] > 5e-6)) return z;
  }
}

/** The loss and its gradient, compiled once for many values. */
async function compiled(shape: number[], A: Float32Array, lambda?: number) {
  const D = shape[2];
  const step = await compile(
    await device(),
    ({ z }) => {
      const loss = visRegLoss(z, constant(A, [A.length / D, D]), { lambda });
      return { loss, dz: grad(loss, [z])[0] };
    },
    { inputs: { z: input(shape) } },
  );
  return {
    run: async (z: Float32Array) => {
      await step.run({ z });
      return { loss: (await step.read('loss'))[0], dz: await step.read('dz') };
    },
    dispose: () => step.dispose(),
  };
}

// Two views of [8, 4] as a pair, with fixed directions: the method draws them in each step.
const PAIR = directions(16, 4);
const { lambda } = method.hyperparameters;
const ofPair = (zA: Tensor, zB: Tensor, { lambda }: { lambda: number }) =>
  visRegLoss(reshape(concatenate([zA, zB]), [2, 8, 4]), constant(PAIR, [16, 4]), { lambda });
const pair = { ...method, build: undefined, hyperparameters: { lambda }, loss: ofPair };
testPairMethod(pair as unknown as ImageMethod, (zA, zB, { lambda }) =>
  reference.visReg(
    reference.reshape(reference.concatenate([zA, zB]), [2, 8, 4]),
    reference.leaf([16, 4], PAIR),
    lambda,
  ),
);

test('value and gradient', async () => {
  for (const [V, N, D, K, lambda, scale] of [
    [2, 2, 1, 1, 0.6, 1],
    [2, 5, 3, 7, 0.5, 1],
    [3, 17, 5, 33, 0.6, 3],
    [2, 65, 16, 20, 0.6, 0.1],
    [4, 33, 9, 8, 1, 1],
    [2, 300, 8, 1, 1, 1],
    [2, 64, 64, 16, 0, 1],
  ]) {
    const A = directions(K, D);
    const z = drawApart([V, N, D], A, scale);
    const step = await compiled([V, N, D], A, lambda);
    const { loss, dz } = await step.run(z);
    step.dispose();
    const leaf = reference.leaf([V, N, D], z);
    const y = reference.visReg(leaf, reference.leaf([K, D], A), lambda);
    const what = `[${V}, ${N}, ${D}], ${K} directions, lambda ${lambda}`;
    close([loss], y.data, { rel: 2e-5, abs: 1e-6, what });
    close(dz, reference.gradient(y, [leaf])[0], { rel: 1e-4, abs: 1e-7, what });
  }
});

test('invariants: permutation of the batch; rotation of the space that permutes its axes, with the directions', async () => {
  const [V, N, D, K] = [2, 24, 4, 12];
  const A = directions(K, D);
  const z = drawApart([V, N, D], A);
  const step = await compiled([V, N, D], A);
  const base = await step.run(z);
  const backwards = (x: Float32Array) =>
    x.map((_, i) => {
      const [v, n, d] = [Math.floor(i / N / D), Math.floor(i / D) % N, i % D];
      return x[(v * N + (N - 1 - n)) * D + d];
    });
  const turned = await step.run(backwards(z));
  step.dispose();
  close([turned.loss], [base.loss], { rel: 2e-5 });
  close(turned.dz, backwards(base.dz), { rel: 1e-4 });

  const swap = (x: Float32Array) => x.map((_, i) => (i % D ? 1 : -1) * x[i - (i % D) + ((i + 1) % D)]);
  const other = await compiled([V, N, D], swap(A));
  const rotated = await other.run(swap(z));
  other.dispose();
  close([rotated.loss], [base.loss], { rel: 2e-5 });
});

test('the terms: 0 for a Gaussian, more for another mean, another scale, fewer dimensions, and collapse', async () => {
  const [N, D, K] = [512, 8, 64];
  // Twice the same view: there is nothing to predict.
  const view = random(freshSeed()).normal(N * D);
  const step = await compiled([2, N, D], directions(K, D), 1);
  const of = async (change: (v: number, i: number) => number) => {
    const changed = view.map(change);
    return (await step.run(Float32Array.of(...changed, ...changed))).loss;
  };
  const good = await of((v) => v);
  const shifted = await of((v) => v + 0.5);
  const scaled = await of((v) => 0.3 * v);
  const flat = await of((v, i) => (i % D < 3 ? v : 0));
  const heavy = await of((v) => v ** 3 / Math.sqrt(15));
  const collapsed = await of(() => 2);
  step.dispose();
  assert.ok(good < 0.03, `${good}`);
  // Means of 0.5 and standard deviations of 0.3, about.
  close([shifted - good], [0.25], { rel: 0.3, what: 'mean' });
  close([scaled - good], [0.49], { rel: 0.1, what: 'scale' });
  assert.ok(flat > 0.5 && heavy > 0.1, `${flat}, ${heavy}`);
  // Centre 4, scale 1, and the mean square of quantiles, about 1.
  close([collapsed], [6], { rel: 0.01, what: 'a point' });
});

test('scale spreads rows, but shape draws them together the more, the nearer they are', async () => {
  const [N, D] = [64, 4];
  const z = random(freshSeed()).normal(2 * N * D);
  const step = await compiled([2, N, D], directions(8, D), 1);
  /** The derivative of the loss by the width of the cloud. */
  const along = async (width: number) => {
    const { dz } = await step.run(z.map((v) => width * v));
    return dz.reduce((total, g, i) => total + g * z[i], 0);
  };
  const [wide, narrow] = [await along(0.5), await along(0.005)];
  step.dispose();
  // Scale: -2 (1 - std). Shape: 2 mean((p - q) p) / std, above 0 since the quantiles q of 64 rows have a mean square of 0.92 only.
  assert.ok(wide < -0.3 && narrow > 3, `${wide}, ${narrow}`);
});

test('edges: identical rows part; zero rows, two samples, long and short rows are finite', async () => {
  const [V, N, D, K] = [2, 6, 3, 5];
  const step = await compiled([V, N, D], directions(K, D));
  const draw = random(freshSeed());
  const one = draw.normal(D);
  const equal = Float32Array.from({ length: V * N * D }, (_, i) => one[i % D]);
  for (const z of [
    new Float32Array(V * N * D),
    equal,
    draw.normal(V * N * D).map((v, i) => (i % D ? v : 0)),
    draw.normal(V * N * D).map((v) => 1e3 * v),
    draw.normal(V * N * D).map((v) => 1e-9 * v),
  ]) {
    const { loss, dz } = await step.run(z);
    assert.ok([loss, ...dz].every(Number.isFinite), `${loss}, ${dz}`);
  }
  const { dz } = await step.run(equal);
  assert.ok(new Set(dz).size > N, 'equal rows have equal gradients');
  step.dispose();
  const two = await compiled([2, 2, D], directions(K, D));
  const found = await two.run(draw.normal(2 * 2 * D));
  assert.ok([found.loss, ...found.dz].every(Number.isFinite));
  two.dispose();
});

test('its recipe trains, with local views too', async () => {
  // Fewer rows collapse: see "VISReg" in docs/decisions.md.
  const rows = 128;
  const { zA, zB } = drawViews(random(5), rows, 6, 0.1);
  const batch = { x: Float32Array.of(...zA, ...zB), labels: new Uint32Array(rows) };
  for (const localViews of [0, 2]) {
    const { losses } = await trainRecipe('visReg', { directions: 32, localViews }, 40, batch);
    const mean = (part: number[]) => part.reduce((a, b) => a + b) / part.length;
    assert.ok(mean(losses.slice(-5)) < 0.5 * losses[0], losses.join(', '));
  }
});

test('directions are drawn anew each step, and the same again for the same step', async () => {
  const [N, D] = [8, 4];
  const network = { embed: (x: Tensor) => x, parameters: [], statistics: [] };
  const hyperparameters = { ...defaultsOf(method.hyperparameters), directions: 2 } as never;
  const recipe = buildMethod(method, {
    ...{ network, width: D, classes: 0, seed: 1, hyperparameters },
    copy: () => network,
  });
  const step = await compile(
    await device(),
    ({ x, step }) => ({ loss: recipe.loss({ x, step, labels: null, views: () => x }) }),
    { inputs: { x: input([2 * N, D]), step: scalar('u32') } },
  );
  const x = random(freshSeed()).normal(2 * N * D);
  const found: number[] = [];
  for (const at of [0, 1, 2, 0]) {
    await step.run({ x, step: at });
    found.push((await step.read('loss'))[0]);
  }
  step.dispose();
  assert.is(new Set(found).size, 3, found.join(', '));
  assert.is(found[3], found[0]);
});

test('errors', () => {
  const A = constant(1, [4, 3]);
  throws(() => visRegLoss(input([8, 3]), A), /visRegLoss: expected views \[V, N, D\]/);
  throws(() => visRegLoss(input([1, 8, 3]), A), /V >= 2/);
  throws(() => visRegLoss(input([2, 1, 3]), A), /visRegLoss: expected 2 rows or more/);
  throws(() => visRegLoss(input([2, 4, 5]), A), /visRegLoss: expected directions \[K, 5\]/);
});
