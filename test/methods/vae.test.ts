import * as assert from 'uvu/assert';
import { input } from '../../src/graph/tensor.ts';
import { activeUnits, klOf, posteriorCollapse } from '../../src/methods/parts/vae.ts';
import { vae, vaeLoss } from '../../src/methods/vae.ts';
import { ownCollapses } from '../../src/metrics/alarm.ts';
import { cholesky } from '../../src/metrics/eigen.ts';
import { sum } from '../../src/ops/reduce.ts';
import { rotation } from '../../src/studies/disentanglement_runs.ts';
import { type MethodStudy, most, over, under, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { drawn, trainOnBars } from './images.ts';

export const study = {
  method: vae,
  order: 230,
  protocol: { learningRate: 4e-3 },
  cases: [
    {
      seeds: [0, 1, 2],
      gates: [over('untrained', 'linearProbe', 0.02), within('active', 8), within('rate', 10)],
    },
    {
      ...{ variant: 'beta 100', hyperparameters: { beta: 100 }, seeds: [0, 1, 2], expected: ['posterior'] },
      gates: [most('active', 0), under('own', 'linearProbe', 0.02)],
    },
  ],
} satisfies MethodStudy<typeof vae>;

test('the loss and its gradients, for several beta', async () => {
  for (const beta of [0, 1, 4])
    for (const [N, D] of [
      [1, 1],
      [5, 3],
      [9, 16],
    ])
      await checkOp({
        inputs: {
          logits: [N, 2, 3, 1],
          pixels: { shape: [N, 2, 3, 1], values: (draw, n) => draw.uniform(n, 0, 1), gradient: false },
          ...{ mu: [N, D], log: [N, D] },
        },
        build: ({ logits, pixels, mu, log }) =>
          vaeLoss(logits, pixels, { mean: mu, logVariance: log }, { beta }),
        reference({ logits, pixels, mu, log }) {
          const { add, exp, mean, mul, reshape, softplus, square, sub, sum } = reference;
          const distortion = sum(reshape(sub(softplus(logits), mul(pixels, logits)), [N, 6]), [1]);
          const kl = mul(sub(add(square(mu), exp(log)), add(log, 1)), 0.5);
          return add(mean(distortion), mul(mean(sum(kl, [1])), beta));
        },
        what: `beta ${beta}, [${N}, ${D}]`,
      });
});

test('the KL is 0 at the prior, and above 0 elsewhere', async () => {
  const draw = random(freshSeed());
  const values = { mu: draw.normal(60), log: draw.normal(60) };
  for (const i of [0, 7]) values.mu[i] = values.log[i] = 0;
  const { kl } = await evaluate(
    { mu: input([20, 3]), log: input([20, 3]) },
    ({ mu, log }) => ({ kl: klOf({ mean: mu, logVariance: log }) }),
    values,
  );
  assert.equal([kl[0], kl[7]], [0, 0]);
  assert.ok(kl.every((nats, i) => i === 0 || i === 7 || nats > 0));
});

test('turned latents: the KL is the same with the full covariance; its diagonal alone is another posterior', async () => {
  const [N, D] = [9, 5];
  const draw = random(freshSeed());
  const values = { mu: draw.normal(N * D), log: draw.normal(N * D) };
  const { kl } = await evaluate(
    { mu: input([N, D]), log: input([N, D]) },
    ({ mu, log }) => ({ kl: sum(klOf({ mean: mu, logVariance: log }), { axes: 1 }) }),
    values,
  );
  const turn = rotation(D, freshSeed());
  const [full, apart] = [new Float64Array(N), new Float64Array(N)];
  for (let n = 0; n < N; n++) {
    const variance = Array.from({ length: D }, (_, d) => Math.exp(values.log[n * D + d]));
    const mean = turn.map((row) => row.reduce((total, r, k) => total + r * values.mu[n * D + k], 0));
    // R diag(v) R^T, and R diag(1 / v) R^T, its inverse.
    const turned = (list: readonly number[]) =>
      Float64Array.from({ length: D * D }, (_, at) =>
        list.reduce((total, v, k) => total + turn[Math.floor(at / D)][k] * v * turn[at % D][k], 0),
      );
    const [covariance, inverse] = [turned(variance), turned(variance.map((v) => 1 / v))];
    const diagonalOf = (matrix: Float64Array) => Array.from({ length: D }, (_, d) => matrix[d * D + d]);
    const total = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
    const own = diagonalOf(covariance);
    const logDeterminant = 2 * total(diagonalOf(cholesky(covariance, D)).map(Math.log));
    full[n] = (total(own) + total(mean.map((m) => m * m)) - logDeterminant - D) / 2;
    // KL(N(m, diagonal) || N(m, covariance)): by so much the bound is lower where the posterior was exact.
    const weighted = diagonalOf(inverse).map((w, d) => w * own[d]);
    apart[n] = (total(weighted) - D + logDeterminant - total(own.map(Math.log))) / 2;
  }
  close(kl, full, { rel: 1e-5, abs: 1e-5 });
  assert.ok(apart.every((nats) => nats > -1e-9) && apart.some((nats) => nats > 0.1), apart.join());
});

test('active latents: those whose means vary by more than .01', async () => {
  const means = Float32Array.from({ length: 40 * 3 }, (_, at) => {
    const [row, column] = [Math.floor(at / 3), at % 3];
    return column === 0 ? row % 2 : column === 1 ? 5 + 0.05 * (row % 2) : -row / 10;
  });
  const { n } = await evaluate({ x: input([40, 3]) }, ({ x }) => ({ n: activeUnits(x) }), { x: means });
  close(n, [2]);
});

test(
  'it learns bars, with some latents; a large beta collapses the posterior, and the alarm says so',
  async () => {
    const healthy = await trainOnBars(
      vae,
      { steps: 200, hyperparameters: { latents: 4 } },
      async (model, images) => {
        const panels = await drawn(model, images);
        assert.equal(Object.keys(panels), [
          'Reconstructions',
          'Latent traversals',
          'Interpolations',
          'Samples',
          'Rate and distortion',
          'KL per latent',
        ]);
        const [distortion, rate, active] = panels['Rate and distortion'];
        assert.ok(distortion > 0 && active >= 2, `${distortion}, ${active} active`);
        close([panels['KL per latent'].reduce((a, b) => a + b)], [rate], { rel: 1e-4 });
      },
    );
    const last = healthy.at(-1)!;
    assert.ok(
      last.distortion < 0.7 * healthy[0].distortion,
      `distortion ${healthy[0].distortion} to ${last.distortion}`,
    );
    assert.ok(last.active >= 2 && last.rate > 1, `${last.active} active, ${last.rate} nats`);
    close([last.loss], [last.distortion + last.rate], { rel: 1e-5 });
    assert.not(posteriorCollapse.shows(last));
    const collapsed = await trainOnBars(vae, { steps: 200, hyperparameters: { latents: 4, beta: 300 } });
    const [alarm] = ownCollapses(collapsed, vae.collapses);
    assert.is(alarm?.kind, 'posterior');
    assert.ok(alarm.since > 0 && alarm.since < 200 && /latents are active/.test(alarm.evidence[0]));
  },
  { training: true },
);
