import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { multiSimilarity as method, multiSimilarityLoss } from '../../src/methods/multi_similarity.ts';
import { concatenate } from '../../src/ops/shape.ts';
import { type MethodStudy, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import {
  agrees,
  checkAgainst,
  checkEdges,
  checkInvariants,
  compileLoss,
  cone,
  coneError,
  drawViews,
  type Loss,
  type Views,
} from './check.ts';
import { testPairMethod } from './pair.ts';
import { trainRecipe } from './recipe.ts';

export const study = {
  method,
  order: 124,
  cases: [{ seeds: [0] }],
  digits: [{ learningRate: 1e-2, seeds: [0], gates: [within('augKnn', 0.87)] }],
} satisfies MethodStudy<typeof method>;

type Knobs = Partial<typeof reference.MULTI_SIMILARITY>;
type Labels = ArrayLike<number>;
const double = (labels: Labels) => [...Array.from(labels), ...Array.from(labels)];

testPairMethod(method, (zA, zB, { alpha, beta, lambda, epsilon }, labels) =>
  reference.multiSimilarity(reference.concatenate([zA, zB]), double(labels), {
    ...{ alpha, beta, lambda, epsilon },
  }),
);

// Both views as one set of rows, as the registry has it.
const at = (knobs: Knobs = {}) => ({
  loss: (zA: Tensor, zB: Tensor, labels: Tensor) =>
    multiSimilarityLoss(concatenate([zA, zB]), concatenate([labels, labels]), knobs),
  expected: (zA: reference.Ref, zB: reference.Ref, labels: Labels) =>
    reference.multiSimilarity(reference.concatenate([zA, zB]), double(labels), knobs),
});

// One view by itself: rows whose label nobody else has are possible.
const single = {
  loss: (zA: Tensor, _: Tensor, labels: Tensor) => multiSimilarityLoss(zA, labels),
  expected: (zA: reference.Ref, _: reference.Ref, labels: Labels) => reference.multiSimilarity(zA, labels),
};

/** Drawn again where f32 might mine another pair than f64. */
const suits =
  (epsilon = 0.1) =>
  ({ zA, zB, labels }: Required<Views>, D: number) =>
    reference.closestPair(reference.leaf([2 * labels.length, D], [...zA, ...zB]), double(labels), epsilon) >
    1e-6;

const SIZES = [
  [2, 2],
  [3, 5],
  [8, 4],
  [17, 33],
  [33, 16],
];

test('value and gradients', async () => {
  for (const knobs of [{}, { alpha: 10, beta: 4, lambda: 1 }, { epsilon: 0.5, lambda: 0 }]) {
    const { loss, expected } = at(knobs);
    const options = { what: JSON.stringify(knobs), sizes: SIZES, suits: suits(knobs.epsilon) };
    await checkAgainst(loss, expected, options);
  }
  const { loss, expected } = at();
  await checkAgainst(loss, expected, { classes: 10, sizes: [[33, 12]], suits: suits() });
});

test('rows whose label nobody else has', async () => {
  for (const classes of [3, 20, 1000])
    await checkAgainst(single.loss, single.expected, {
      ...{ classes, sizes: SIZES },
      suits: ({ zA, labels }, D) =>
        reference.closestPair(reference.leaf([labels.length, D], zA), labels) > 1e-6,
    });
});

test('invariants', () => checkInvariants(at().loss, { N: 17, suits: suits() }));

// One class only: no negatives, and no loss.
test('edges', () => checkEdges(at().loss, at().expected, { collapsed: 0 }));

async function once(loss: Loss, N: number, D: number, views: Views) {
  const compiled = await compileLoss(loss, N, D);
  const found = await compiled.run(views);
  compiled.dispose();
  return found;
}

const [N, D] = [9, 8];
const thirds = Uint32Array.from({ length: N }, (_, i) => i % 3);

test('where all embeddings coincide all pairs are mined, and all pulls cancel', async () => {
  const one = random(freshSeed()).normal(D);
  const z = Float32Array.from({ length: N * D }, (_, i) => one[i % D]);
  const { loss, gA, gB } = await once(at().loss, N, D, { zA: z, zB: z, labels: thirds });
  close([loss], [Math.log1p(5 * Math.exp(-1)) / 2 + Math.log1p(12 * Math.exp(25)) / 50], { rel: 1e-5 });
  close([...gA, ...gB], new Float32Array(2 * N * D), { abs: 1e-5 });
});

test('zero rows', async () => {
  const { zA, zB } = drawViews(random(freshSeed()), N, D);
  const zeros = new Float32Array(N * D);
  const none = await once(at().loss, N, D, { zA: zeros, zB: zeros, labels: thirds });
  // Cosines of 0.
  close([none.loss], [Math.log1p(5 * Math.E) / 2 + Math.log1p(12 * Math.exp(-25)) / 50], { rel: 1e-5 });
  close([...none.gA, ...none.gB], new Float32Array(2 * N * D), { abs: 0 });
  zA.fill(0, 3 * D, 4 * D);
  const found = await once(at().loss, N, D, { zA, zB, labels: thirds });
  const leaves = [zA, zB].map((z) => reference.leaf([N, D], z));
  const y = at().expected(leaves[0], leaves[1], thirds);
  close([found.loss], y.data, { rel: 2e-5 });
  const [gA, gB] = reference.gradient(y, leaves);
  // A row without a direction has no gradient.
  assert.ok(found.gA.slice(3 * D, 4 * D).every((g) => g === 0));
  gA.fill(0, 3 * D, 4 * D);
  close([...found.gA, ...found.gB], [...gA, ...gB], { rel: 1e-4 });
});

test('no pair survives the mining, or none can exist: loss and gradient are exactly 0', async () => {
  const draw = random(freshSeed());
  // Classes far apart, and close together in themselves.
  const near = () => draw.normal(N * D).map((v, i) => 0.02 * v + Number(i % D === Math.floor(i / D) % 3));
  const { zA, zB } = drawViews(draw, N, D);
  const own = Uint32Array.from({ length: N }, (_, i) => i);
  for (const [loss, views] of [
    [at().loss, { zA: near(), zB: near(), labels: thirds }],
    [at().loss, { zA, zB, labels: new Uint32Array(N).fill(7) }],
    [single.loss, { zA, zB, labels: own }],
  ] as [Loss, Views][]) {
    const found = await once(loss, N, D, views);
    assert.ok([found.loss, ...found.gA, ...found.gB].every((v) => v === 0));
  }
});

test('two rows', async () => {
  const { zA, zB } = drawViews(random(freshSeed()), 2, D);
  const labels = Uint32Array.of(0, 1);
  // All pairs are mined.
  const { loss, expected } = at({ epsilon: 2 });
  agrees(await once(loss, 2, D, { zA, zB, labels }), expected, 2, D, 'N = 2');
});

for (const width of [1e-1, 1e-2, 1e-3, 1e-4])
  test(`a cone of ${width}: value and gradient keep their digits`, async () => {
    const [N, D] = [24, 12];
    const draw = random(freshSeed());
    const labels = Uint32Array.from({ length: N }, (_, i) => i % 3);
    let z = cone(draw, N, D, width);
    while (reference.closestPair(reference.leaf([N, D], z), labels) < 1e-6) z = cone(draw, N, D, width);
    const found = await once(single.loss, N, D, { zA: z, zB: z, labels });
    const leaf = reference.leaf([N, D], z);
    const y = reference.multiSimilarity(leaf, labels);
    const [wanted] = reference.gradient(y, [leaf]);
    close([found.loss], y.data, { rel: 2e-5 });
    close(found.gA, wanted, { rel: 1e-4 + 4 * coneError(width), abs: 0, what: 'gradient' });
  });

test('at work: the loss falls', async () => {
  const { losses } = await trainRecipe('multiSimilarity', {}, 20);
  assert.ok(losses[19] < losses[0], `${losses}`);
});

test('what does not fit is named', () => {
  const [z, labels] = [input([4, 3]), input([4], 'u32')];
  throws(
    () => multiSimilarityLoss(input([4]), labels),
    /multiSimilarityLoss: expected an f32 tensor of 2 dimensions for "z", got f32 \[4\]/,
  );
  throws(() => multiSimilarityLoss(z, input([4]) as never), /an? u32 tensor .*for "labels", got /);
  throws(
    () => multiSimilarityLoss(z, input([5], 'u32')),
    /multiSimilarityLoss: expected labels \[4\] for embeddings \[4, 3\], got \[5\]/,
  );
  for (const [name, value] of Object.entries({ alpha: 0, beta: -1, lambda: 2, epsilon: -0.1 }))
    throws(
      () => multiSimilarityLoss(z, labels, { [name]: value }),
      new RegExp(`multiSimilarityLoss: .*"${name}", got ${value}`),
    );
  throws(() => multiSimilarityLoss(z, labels, { base: 1 } as never), /unknown option "base"/);
});
