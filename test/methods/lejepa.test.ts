import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { constant, input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { leJepa, leJepaLoss } from '../../src/methods/lejepa.ts';
import { buildMethod, defaultsOf } from '../../src/methods/method.ts';
import { sigReg } from '../../src/methods/parts/sigreg.ts';
import { compile } from '../../src/runtime/compile.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { trainRecipe } from './recipe.ts';

export const study = {
  method: leJepa,
  order: 180,
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof leJepa>;

/** Unit rows [K, D]. */
function directions(K: number, D: number): Float32Array {
  const rows = random(freshSeed()).normal(K * D);
  const unit = reference.l2Normalize(reference.leaf([K, D], rows)).data;
  return Float32Array.from(unit);
}

/** A loss of views and its gradient, compiled once for many values. */
async function compiled(shape: number[], A: Float32Array, of: (z: Tensor, A: Tensor) => Tensor) {
  const D = shape[2];
  const step = await compile(
    await device(),
    ({ z }) => {
      const loss = of(z, constant(A, [A.length / D, D]));
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

test('value and gradient', async () => {
  for (const [V, N, D, K, lambda] of [
    [2, 2, 1, 1, 0.05],
    [2, 5, 3, 7, 0.5],
    [3, 17, 5, 33, 0.05],
    [2, 65, 16, 20, 0.05],
    [4, 33, 9, 64, 1],
    [2, 128, 64, 128, 0],
  ]) {
    const A = directions(K, D);
    const z = random(freshSeed()).normal(V * N * D);
    const step = await compiled([V, N, D], A, (z, A) => leJepaLoss(z, A, { lambda }));
    const { loss, dz } = await step.run(z);
    step.dispose();
    const leaf = reference.leaf([V, N, D], z);
    const y = reference.leJepa(leaf, reference.leaf([K, D], A), lambda);
    const what = `[${V}, ${N}, ${D}], ${K} directions, lambda ${lambda}`;
    close([loss], y.data, { rel: 2e-5, abs: 1e-6, what });
    close(dz, reference.gradient(y, [leaf])[0], { rel: 1e-4, abs: 1e-7, what });
  }
});

test('invariants: permutation of the batch; rotation of the space and the directions together', async () => {
  const [V, N, D, K] = [2, 24, 4, 12];
  const A = directions(K, D);
  const z = random(freshSeed()).normal(V * N * D);
  const step = await compiled([V, N, D], A, (z, A) => leJepaLoss(z, A));
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
  const other = await compiled([V, N, D], swap(A), (z, A) => leJepaLoss(z, A));
  const rotated = await other.run(swap(z));
  other.dispose();
  close([rotated.loss], [base.loss], { rel: 2e-5 });
});

test('the statistic is small for a Gaussian, large for collapse, for another scale and for fewer dimensions', async () => {
  const [N, D, K] = [512, 8, 64];
  const A = directions(K, D);
  const z = random(freshSeed()).normal(2 * N * D);
  const of = async (z: Float32Array) => {
    const { loss } = await evaluate(
      { z: input([2, N, D]) },
      ({ z }) => ({ loss: sigReg(z, constant(A, [K, D])) }),
      { z },
    );
    return loss[0];
  };
  const good = await of(z);
  // N int (1 - g)^2 g over -3 to 3, with g = exp(-t^2 / 2).
  const collapsed = await of(z.map(() => 0));
  const grid = Array.from({ length: 33 }, (_, j) => (3 * (j - 16)) / 16);
  const g = grid.map((t) => Math.exp((-t * t) / 2));
  const integral = g.reduce((sum, v, j) => sum + (j % 32 ? 1 : 0.5) * (3 / 16) * (1 - v) ** 2 * v, 0);
  close([collapsed], [N * integral], { rel: 1e-5 });
  const scaled = await of(z.map((v) => 0.3 * v));
  const flat = await of(z.map((v, i) => (i % D < 3 ? v : 0)));
  for (const bad of [collapsed, scaled, flat])
    assert.ok(bad > 10 * good && good < 1.5, `${good} of a Gaussian, ${bad}`);
});

test('edges: identical rows, zero rows, two samples, long rows are finite', async () => {
  const [V, N, D, K] = [2, 6, 3, 5];
  const step = await compiled([V, N, D], directions(K, D), (z, A) => leJepaLoss(z, A));
  const draw = random(freshSeed());
  const one = draw.normal(D);
  for (const z of [
    new Float32Array(V * N * D),
    Float32Array.from({ length: V * N * D }, (_, i) => one[i % D]),
    draw.normal(V * N * D).map((v, i) => (i % D ? v : 0)),
    draw.normal(V * N * D).map((v) => 1e3 * v),
  ]) {
    const { loss, dz } = await step.run(z);
    assert.ok([loss, ...dz].every(Number.isFinite), `${loss}, ${dz}`);
  }
  step.dispose();
});

test('its recipe trains, with local views too', async () => {
  for (const localViews of [0, 2]) {
    const { losses } = await trainRecipe('leJepa', { directions: 32, localViews }, 40);
    const mean = (part: number[]) => part.reduce((a, b) => a + b) / part.length;
    assert.ok(mean(losses.slice(-5)) < mean(losses.slice(0, 5)), losses.join(', '));
  }
});

test('directions are drawn anew each step, and the same again for the same step', async () => {
  const [N, D] = [8, 4];
  const network = { embed: (x: Tensor) => x, parameters: [], statistics: [] };
  const hyperparameters = { ...defaultsOf(leJepa.hyperparameters), directions: 2 } as never;
  const recipe = buildMethod(leJepa, {
    network,
    width: D,
    classes: 0,
    seed: 1,
    hyperparameters,
    copy: () => network,
  });
  const compiledStep = await compile(
    await device(),
    ({ x, step }) => ({ loss: recipe.loss({ x, step, labels: null, views: () => x }) }),
    { inputs: { x: input([2 * N, D]), step: scalar('u32') } },
  );
  const x = random(freshSeed()).normal(2 * N * D);
  const found: number[] = [];
  for (const step of [0, 1, 2, 0]) {
    await compiledStep.run({ x, step });
    found.push((await compiledStep.read('loss'))[0]);
  }
  compiledStep.dispose();
  assert.is(new Set(found).size, 3, found.join(', '));
  assert.is(found[3], found[0]);
});

test('errors', async () => {
  const A = constant(1, [4, 3]);
  throws(() => leJepaLoss(input([8, 3]), A), /leJepaLoss: expected views \[V, N, D\]/);
  throws(() => leJepaLoss(input([1, 8, 3]), A), /V >= 2/);
  for (const [hyperparameters, message] of [
    [{ localViews: 0.5 }, /whole number.*"localViews"/],
    [{ directions: 0 }, /"directions", got 0/],
  ] as const) {
    let said = '';
    await trainRecipe('leJepa', hyperparameters, 1).catch((error) => (said = String(error)));
    assert.match(said, message);
  }
});
