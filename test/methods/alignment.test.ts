import { input, type Tensor } from '../../src/graph/tensor.ts';
import { alignmentLoss, alignment as method } from '../../src/methods/alignment.ts';
import { type MethodStudy, most, under, within } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants, compileLoss, drawViews } from './check.ts';
import { testPairMethod } from './pair.ts';

export const study = {
  method,
  order: 100,
  cases: [
    {
      expected: ['complete'],
      seeds: [0, 1, 2],
      gates: [most('stdZ', 0.02), within('uniformity', -0.1), under('raw', 'knn', 0.04)],
    },
  ],
  digits: [{ seeds: [0], alarm: ['complete'], gates: [most('std', 0.03), within('uniformity', -0.1)] }],
} satisfies MethodStudy<typeof method>;

testPairMethod(method, (zA, zB) => reference.alignment(zA, zB));

const at = (alpha: number) => ({
  loss: (zA: Tensor, zB: Tensor) => alignmentLoss(zA, zB, { alpha }),
  expected: (zA: reference.Ref, zB: reference.Ref) => reference.alignment(zA, zB, alpha),
});

// The gradient of a distance is a direction, which f32 loses as two rows meet: they may in two dimensions.
const APART = [
  [2, 8],
  [3, 5],
  [17, 33],
  [65, 16],
];

for (const alpha of [1, 2, 3]) {
  const { loss, expected } = at(alpha);
  test(`value and gradients, alpha ${alpha}`, () =>
    checkAgainst(loss, expected, alpha === 1 ? { sizes: APART } : {}));
  test(`invariants, alpha ${alpha}`, () => checkInvariants(loss));
  test(`edges, alpha ${alpha}`, () => checkEdges(loss, expected, { collapsed: 0 }));

  test(`views that agree, unrelated and opposite ones, alpha ${alpha}`, async () => {
    const [N, D] = [8, 8];
    const basis = Float32Array.from({ length: N * D }, (_, i) => 3 * Number(i % (N + 1) === 0));
    const other = Float32Array.from(basis, (_, i) => basis[(i + D) % basis.length]);
    const compiled = await compileLoss(loss, N, D);
    const same = await compiled.run({ zA: basis, zB: basis });
    const unrelated = await compiled.run({ zA: basis, zB: other });
    const opposite = await compiled.run({ zA: basis, zB: basis.map((v) => -v) });
    compiled.dispose();
    close([same.loss, unrelated.loss, opposite.loss], [0, Math.SQRT2 ** alpha, 2 ** alpha], { rel: 1e-6 });
    close([...same.gA, ...same.gB], new Float32Array(2 * N * D));
  });
}

test('alpha is 2 unless told', () =>
  checkAgainst((a, b) => alignmentLoss(a, b), at(2).expected, { sizes: [[9, 8]] }));

test('random directions: about 2', async () => {
  const [N, D] = [512, 64];
  const r = random(freshSeed());
  const compiled = await compileLoss(at(2).loss, N, D);
  const { loss } = await compiled.run(drawViews(r, N, D, 1e4));
  compiled.dispose();
  close([loss], [2], { rel: 0, abs: 0.06 });
});

test('views that do not match are named', () => {
  throws(() => alignmentLoss(input([4, 3]), input([1, 3])), /alignmentLoss: expected two views \[N, D\]/);
  throws(() => alignmentLoss(input([4, 3]), input([4, 2])), /got \[4, 3\] and \[4, 2\]/);
});
