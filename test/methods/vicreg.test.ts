import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { vicReg as method, vicRegLoss } from '../../src/methods/vicreg.ts';
import { type MethodStudy, most, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import {
  agrees,
  changesWhenRotated,
  checkAgainst,
  checkEdges,
  checkInvariants,
  compileLoss,
  drawViews,
} from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 160,
  cases: [
    {
      seeds: [0, 1, 2],
      gates: [
        ...[within('augKnn', 0.645), within('linearProbe', 0.79)],
        ...[within('rawStdZ', 0.7), within('effectiveRankZ', 16)],
      ],
    },
    {
      variant: 'invariance only',
      hyperparameters: { varianceWeight: 0, covarianceWeight: 0 },
      expected: ['complete', 'scale'],
      seeds: [0, 1, 2],
      gates: [most('rawStdZ', 0.1)],
    },
    {
      variant: 'no covariance term',
      hyperparameters: { covarianceWeight: 0 },
      expected: ['dimensional'],
      seeds: [0, 1, 2],
      gates: [most('effectiveRankZ', 12)],
    },
  ],
  digits: [
    { seeds: [0], gates: [within('augKnn', 0.7)] },
    {
      hyperparameters: { varianceWeight: 0, covarianceWeight: 0 },
      seeds: [0],
      alarm: 'any',
      gates: [
        ['"scale" in the alarm', ({ alarm }) => Number(alarm.includes('scale')), 1],
        // Unit embeddings keep more than half of their std.
        ...[most('rawStd', 0.1), within('std', 0.08), most('augKnn', 0.4)],
      ],
    },
    {
      hyperparameters: { covarianceWeight: 0 },
      seeds: [0],
      alarm: ['dimensional'],
      // Its rank is hardly less: many weak directions are left beside one.
      gates: [most('participation', 2), within('correlationRest', 0.7), most('augKnn', 0.67)],
    },
  ],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, { invarianceWeight, varianceWeight, covarianceWeight }) =>
  reference.vicReg(zA, zB, [invarianceWeight, varianceWeight, covarianceWeight]),
);

type Weights = [invariance: number, variance: number, covariance: number];

const at = (...weights: Weights) => {
  const [invarianceWeight, varianceWeight, covarianceWeight] = weights;
  return {
    loss: (a: Tensor, b: Tensor) => vicRegLoss(a, b, { invarianceWeight, varianceWeight, covarianceWeight }),
    expected: (a: reference.Ref, b: reference.Ref) => reference.vicReg(a, b, weights),
  };
};

test('value and gradients: each term by itself, and all', async () => {
  const cases: Weights[] = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
    [25, 25, 1],
  ];
  for (const weights of cases) {
    const { loss, expected } = at(...weights);
    await checkAgainst(loss, expected, { what: `weights ${weights}`, normalizes: false });
  }
  await checkAgainst((a, b) => vicRegLoss(a, b), at(25, 25, 1).expected, {
    ...{ what: 'default weights', sizes: [[9, 8]] },
    normalizes: false,
  });
});

test('invariants: a permutation; invariance alone also a rotation, variance and covariance not', async () => {
  await checkInvariants(at(25, 25, 1).loss, { rotates: false, normalizes: false });
  await checkInvariants(at(1, 0, 0).loss, { normalizes: false });
  const [N, D] = [33, 12];
  // Features of different scale, some below 1.
  const { zA, zB } = drawViews(random(freshSeed()), N, D);
  const scaled = (z: Float32Array) => z.map((v, i) => (v * (1 + (i % D))) / 6);
  const views = { zA: scaled(zA), zB: scaled(zB) };
  for (const weights of [
    [0, 1, 0],
    [0, 0, 1],
  ] as Weights[])
    await changesWhenRotated(at(...weights).loss, views, N, D);
});

test('a feature that does not vary costs its share of the variance term and has a finite gradient', async () => {
  const [N, D] = [16, 4];
  const { loss, expected } = at(25, 25, 1);
  const views = drawViews(random(freshSeed()), N, D);
  for (const z of [views.zA, views.zB]) for (let i = 0; i < N; i++) z[i * D] = 3;
  const compiled = await compileLoss(loss, N, D);
  agrees(await compiled.run(views), expected, N, D, 'a constant feature');
  compiled.dispose();
  const variance = await compileLoss(at(0, 25, 0).loss, N, D);
  // The others vary by more than 1: they cost nothing.
  const wide = (z: Float32Array) => z.map((v, i) => (i % D ? 5 * v : v));
  const { loss: alone } = await variance.run({ zA: wide(views.zA), zB: wide(views.zB) });
  variance.dispose();
  // Its standard deviation counts as sqrt(1e-4).
  close([alone], [(25 * (1 - 0.01)) / D], { rel: 1e-5 });
});

test('edges', async () => {
  const { loss, expected } = at(25, 25, 1);
  // Collapse: standard deviations of sqrt(1e-4).
  await checkEdges(loss, expected, { collapsed: 25 * (1 - 0.01) });
});

test('small features are pushed apart, and only they', async () => {
  const [N, D] = [64, 8];
  const draw = random(freshSeed());
  const z = draw.normal(N * D).map((v, i) => (i % D < 4 ? 0.1 * v : 3 * v));
  const compiled = await compileLoss(at(0, 1, 0).loss, N, D);
  const { gA, zA } = await compiled.run({ ...drawViews(draw, N, D), zA: z });
  compiled.dispose();
  // A step against the gradient makes the standard deviation of the small ones grow; the others are left alone.
  let outwards = 0;
  for (let i = 0; i < N * D; i++) {
    if (i % D < 4) outwards -= gA[i] * zA[i];
    else assert.is(gA[i], 0);
  }
  assert.ok(outwards > 0);
});

test('views that agree, each feature of standard deviation 1 and apart from the others: 0', async () => {
  const [N, D] = [8, 3];
  const sign = (i: number, j: number) => ((i & j).toString(2).split('1').length % 2 ? 1 : -1);
  const scale = Math.sqrt((N - 1) / N);
  const z = Float32Array.from({ length: N * D }, (_, k) => scale * sign(Math.floor(k / D), (k % D) + 1));
  const compiled = await compileLoss(at(25, 25, 1).loss, N, D);
  const { loss } = await compiled.run({ zA: z, zB: z });
  compiled.dispose();
  close([loss], [0], { abs: 1e-5 });
});

test('errors', () => {
  throws(() => vicRegLoss(input([4, 3]), input([4, 2])), /vicRegLoss: expected two views \[N, D\]/);
  throws(() => vicRegLoss(input([1, 3]), input([1, 3])), /at least 2 elements/);
});
