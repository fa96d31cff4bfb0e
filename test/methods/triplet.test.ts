import { input, type Tensor } from '../../src/graph/tensor.ts';
import { allMethods } from '../../src/methods/index.ts';
import { buildMethod, defaultsOf, type ImageMethod } from '../../src/methods/method.ts';
import { triplet as method, tripletLoss } from '../../src/methods/triplet.ts';
import { concatenate } from '../../src/ops/shape.ts';
import { type MethodStudy, most, within } from '../../src/studies/method_study.ts';
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
  type Views,
} from './check.ts';
import { testPairMethod } from './pair.ts';
import { trainRecipe } from './recipe.ts';

export const study = {
  method,
  order: 120,
  cases: [{ seeds: [0] }],
  digits: [
    {
      hyperparameters: { memory: 1024 },
      learningRate: 1e-2,
      seeds: [0],
      gates: [within('augKnn', 0.82)],
    },
    // At this learning rate hard triplets collapse to a loss of the margin, semi-hard ones do not.
    { learningRate: 1e-2, seeds: [0, 1, 2], gates: [within('std', 0.15), within('augKnn', 0.82)] },
    {
      hyperparameters: { hard: 1 },
      learningRate: 1e-2,
      seeds: [0, 1, 2],
      alarm: ['complete'],
      gates: [most('std', 0.03), within('loss', 0.18, 0.22)],
    },
  ],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB, { margin, hard }, labels) =>
  reference.triplet(reference.concatenate([zA, zB]), [...labels, ...labels], { margin, hard: hard !== 0 }),
);

// Both views as one set of rows, as the registry has it.
const at = (hard: boolean, margin = 0.2) => ({
  loss: (zA: Tensor, zB: Tensor, labels: Tensor) =>
    tripletLoss(concatenate([zA, zB]), concatenate([labels, labels]), { hard, margin }),
  expected: (zA: reference.Ref, zB: reference.Ref, labels: ArrayLike<number>) =>
    reference.triplet(reference.concatenate([zA, zB]), [...Array.from(labels), ...Array.from(labels)], {
      ...{ hard, margin },
    }),
});

/** Drawn again where f32 might choose another triplet than f64. */
const suits =
  (margin = 0.2) =>
  ({ zA, zB, labels }: Required<Views>, D: number) =>
    reference.closestCall(
      reference.leaf([2 * labels.length, D], [...zA, ...zB]),
      [...labels, ...labels],
      margin,
    ) > 1.5e-6;

const SIZES = [
  [2, 2],
  [3, 5],
  [8, 4],
  [17, 33],
  [33, 16],
];

for (const hard of [false, true]) {
  const name = hard ? 'hard' : 'semi-hard';

  test(`${name}: value and gradients`, async () => {
    for (const margin of [0.2, 1]) {
      const { loss, expected } = at(hard, margin);
      const options = { what: `margin ${margin}`, sizes: SIZES, suits: suits(margin) };
      await checkAgainst(loss, expected, options);
    }
    const { loss, expected } = at(hard);
    await checkAgainst(loss, expected, { classes: 12, sizes: [[33, 12]], suits: suits() });
  });

  test(`${name}: invariants`, () => checkInvariants(at(hard).loss, { N: 17, suits: suits() }));

  // One class only: no negatives, and no loss.
  test(`${name}: edges`, () => {
    const { loss, expected } = at(hard);
    return checkEdges(loss, expected, { collapsed: 0 });
  });

  test(`${name}: where all embeddings coincide the loss is ${hard ? 'the margin' : '0'}, and has no gradient`, async () => {
    const [N, D] = [9, 8];
    const compiled = await compileLoss(at(hard).loss, N, D);
    const { normal } = random(freshSeed());
    const one = normal(D);
    const z = Float32Array.from({ length: N * D }, (_, i) => one[i % D]);
    const labels = Uint32Array.from({ length: N }, (_, i) => i % 3);
    const { loss, gA } = await compiled.run({ zA: z, zB: z, labels });
    compiled.dispose();
    close([loss], [hard ? 0.2 : 0], { abs: 1e-6 });
    close(gA, new Float32Array(N * D), { abs: 1e-6 });
  });
}

for (const width of [1, 1e-1, 1e-2, 1e-3, 1e-4])
  test(`a cone of ${width}: value and gradient keep their digits`, async () => {
    const [N, D] = [24, 12];
    const draw = random(freshSeed());
    const labels = Uint32Array.from({ length: N }, (_, i) => i % 3);
    const margin = width;
    const choice = (z: Float32Array) => reference.closestCall(reference.leaf([N, D], z), [...labels], margin);
    let z = cone(draw, N, D, width);
    // What f32 may choose otherwise than f64 is drawn again.
    for (let tries = 0; choice(z) < 2e-6 * width + 3e-8 && tries < 200; tries++) z = cone(draw, N, D, width);
    for (const hard of [false, true]) {
      const compiled = await compileLoss((zA, _, labels) => tripletLoss(zA, labels, { hard, margin }), N, D);
      const { loss, gA } = await compiled.run({ zA: z, zB: z, labels });
      compiled.dispose();
      const leaf = reference.leaf([N, D], z);
      const y = reference.triplet(leaf, labels, { hard, margin });
      const [wanted] = reference.gradient(y, [leaf]);
      const what = `${hard ? 'hard' : 'semi-hard'}`;
      close([loss], y.data, { rel: 1e-5 + coneError(width), abs: 0, what });
      close(gA, wanted, { rel: 1e-4 + 4 * coneError(width), abs: 0, what: `${what}: gradient` });
    }
  });

test('a class of its own for each row: no positives, no loss', async () => {
  const [N, D] = [7, 4];
  const compiled = await compileLoss((zA, _, labels) => tripletLoss(zA, labels), N, D);
  const labels = Uint32Array.from({ length: N }, (_, i) => i);
  const { loss, gA } = await compiled.run({ ...drawViews(random(freshSeed()), N, D), labels });
  compiled.dispose();
  close([loss, ...gA], new Float32Array(1 + N * D), { abs: 0 });
});

test('at work: the loss falls', async () => {
  for (const hard of [0, 1]) {
    const { losses } = await trainRecipe('triplet', { margin: 1, hard }, 20);
    if (!(losses[19] < losses[0])) throw new Error(`${hard}: ${losses}`);
  }
});

test('what does not fit is named', () => {
  const [z, labels] = [input([4, 3]), input([4], 'u32')];
  for (const bad of [null, undefined, [1, 2], 'z', -1, Number.NaN, input([4])])
    throws(
      () => tripletLoss(bad as never, labels),
      /tripletLoss: expected an f32 tensor of 2 dimensions for "z", got /,
    );
  for (const bad of [null, [0, 1, 2, 0], 'a', input([4])])
    throws(() => tripletLoss(z, bad as never), /tripletLoss: expected an? u32 tensor .*for "labels", got /);
  for (const margin of [-1, Number.NaN, Number.POSITIVE_INFINITY, '1', null])
    throws(
      () => tripletLoss(z, labels, { margin: margin as never }),
      /tripletLoss: .*at least 0, or an f32 scalar.*"margin", got /,
    );
  throws(
    () => tripletLoss(z, labels, { hard: 1 as never }),
    /tripletLoss: expected true or false for "hard", got 1/,
  );
  throws(() => tripletLoss(z, labels, { hardest: true } as never), /tripletLoss: unknown option "hardest"/);
  throws(
    () => tripletLoss(input([4, 3]), input([5], 'u32')),
    /tripletLoss: expected labels \[4\] for embeddings \[4, 3\], got \[5\]/,
  );
});

test('labels of one class are refused where they are known, as proxies refuse them', () => {
  const network = { embed: (x: Tensor) => x, parameters: [], statistics: [] };
  const setting = { network, copy: () => network, width: 4, seed: 1 };
  for (const name of ['triplet', 'supCon', 'proxyNca', 'proxyAnchor']) {
    const method = allMethods[name] as ImageMethod;
    const hyperparameters = defaultsOf(method.hyperparameters);
    throws(
      () => buildMethod(method, { ...setting, classes: 1, hyperparameters }),
      /: expected labels of 2 classes or more, got 1$/,
    );
    buildMethod(method, { ...setting, classes: 2, hyperparameters });
  }
});
