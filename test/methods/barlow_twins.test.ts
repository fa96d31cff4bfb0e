import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { barlowTwinsLoss, barlowTwins as method } from '../../src/methods/barlow_twins.ts';
import { type MethodStudy, most, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import {
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
  order: 150,
  cases: [
    {
      seeds: [0, 1, 2],
      gates: [
        ...[within('augKnn', 0.66), within('linearProbe', 0.8)],
        ...[within('correlationDiagonal', 0.72), most('correlationRest', 0.2)],
      ],
    },
    { variant: 'lambda .0051', hyperparameters: { lambda: 0.0051 }, seeds: [0] },
  ],
  digits: [
    {
      hyperparameters: { lambda: 0.05 },
      seeds: [0],
      gates: [within('augKnn', 0.75), within('correlationDiagonal', 0.7), most('correlationRest', 0.3)],
    },
  ],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, { lambda }) => reference.barlowTwins(zA, zB, lambda));

const at = (lambda: number) => ({
  loss: (a: Tensor, b: Tensor) => barlowTwinsLoss(a, b, { lambda }),
  expected: (a: reference.Ref, b: reference.Ref) => reference.barlowTwins(a, b, lambda),
});

const SIZES = [
  [3, 5],
  [8, 4],
  [17, 33],
  [65, 16],
  [100, 64],
];

test('value and gradients', async () => {
  for (const lambda of [0.0051, 0.5]) {
    const { loss, expected } = at(lambda);
    await checkAgainst(loss, expected, { what: `lambda ${lambda}`, sizes: SIZES, normalizes: false });
  }
  await checkAgainst((a, b) => barlowTwinsLoss(a, b), at(0.05).expected, {
    ...{ what: 'default lambda', sizes: [[9, 8]] },
    normalizes: false,
  });
});

test('invariants: a permutation of the batch; features are what it is about, so no rotation', async () => {
  const { loss } = at(0.05);
  await checkInvariants(loss, { rotates: false, normalizes: false });
  const [N, D] = [33, 12];
  await changesWhenRotated(loss, drawViews(random(freshSeed()), N, D), N, D);
});

test('edges', async () => {
  // Collapse: nothing correlates. Of two samples every feature is -1 and 1, whatever z: what gradient there is is rounding.
  const { loss, expected } = at(0.05);
  await checkEdges(loss, expected, { collapsed: 8, floor: 1e-3 });
});

test('a feature that does not vary costs 1 and has a finite gradient', async () => {
  const [N, D] = [16, 4];
  const views = drawViews(random(freshSeed()), N, D);
  for (const z of [views.zA, views.zB]) for (let i = 0; i < N; i++) z[i * D] = 3;
  const compiled = await compileLoss(at(0.05).loss, N, D);
  const { loss, gA } = await compiled.run(views);
  compiled.dispose();
  assert.ok([...gA].every(Number.isFinite));
  const leaves = [views.zA, views.zB].map((z) => reference.leaf([N, D], z));
  close([loss], at(0.05).expected(leaves[0], leaves[1]).data, { rel: 2e-5 });
});

test('views that agree in features that do not repeat each other: 0; repeated features: lambda for each pair', async () => {
  const [N, D, lambda] = [8, 3, 0.1];
  // Columns of a Hadamard matrix: mean 0, variance 1, orthogonal.
  const sign = (i: number, j: number) => ((i & j).toString(2).split('1').length % 2 ? 1 : -1);
  const distinct = Float32Array.from({ length: N * D }, (_, k) => sign(Math.floor(k / D), (k % D) + 1));
  const repeated = Float32Array.from({ length: N * D }, (_, k) => sign(Math.floor(k / D), 1));
  const compiled = await compileLoss(at(lambda).loss, N, D);
  const [apart, same] = [
    await compiled.run({ zA: distinct, zB: distinct }),
    await compiled.run({ zA: repeated, zB: repeated }),
  ];
  compiled.dispose();
  close([apart.loss], [0], { abs: 1e-5, what: 'distinct' });
  close([same.loss], [lambda * D * (D - 1)], { rel: 1e-4, what: 'repeated' });
});

test('errors', () => {
  throws(() => barlowTwinsLoss(input([4, 3]), input([4, 2])), /barlowTwinsLoss: expected two views \[N, D\]/);
  throws(() => barlowTwinsLoss(input([1, 3]), input([1, 3])), /batchNorm: expected two rows or more/);
});
