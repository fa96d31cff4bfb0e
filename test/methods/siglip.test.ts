import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { buildMethod } from '../../src/methods/method.ts';
import { sigLip as method, sigLipLoss } from '../../src/methods/siglip.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants } from './check.ts';
import { checkRecipe, networks, scaleAfterSteps } from './paired.ts';

export const study = {
  method,
  without: 'it trains on images with captions: test/train/image_text.test.ts and docs/modality_gap.md',
} satisfies MethodStudy<typeof method>;

type Operand = reference.Ref | number;

/** As in Algorithm 1: -log sigmoid of all signed logits, summed, over N. */
function dense(u: reference.Ref, v: reference.Ref, scale: Operand, bias: Operand): reference.Ref {
  const [N] = u.shape;
  const [a, b] = [u, v].map((x) => reference.l2Normalize(x));
  const logits = reference.add(reference.mul(reference.matmul(a, reference.transpose(b)), scale), bias);
  const signs = reference.leaf(
    [N, N],
    Float64Array.from({ length: N * N }, (_, k) => (k % (N + 1) ? -1 : 1)),
  );
  const terms = reference.softplus(reference.neg(reference.mul(logits, signs)));
  return reference.div(reference.sum(terms), N);
}

const at = (scale: number, bias: number) => ({
  loss: (u: Tensor, v: Tensor) => sigLipLoss(u, v, { scale, bias }),
  expected: (u: reference.Ref, v: reference.Ref) => dense(u, v, scale, bias),
});

test('value and gradients', async () => {
  for (const [scale, bias] of [
    [1, 0],
    [10, -10],
    [100, -10],
    [5, 2],
  ]) {
    const { loss, expected } = at(scale, bias);
    await checkAgainst(loss, expected, { what: `scale ${scale}, bias ${bias}`, floor: 1e-5 });
  }
  const { loss, expected } = at(5, -3);
  await checkAgainst(loss, expected, { sizes: [[530, 6]] });
});

test('by default the scale is 10 and the bias -10', () =>
  checkAgainst((u, v) => sigLipLoss(u, v), at(10, -10).expected, { sizes: [[17, 12]] }));

test('a learned scale and bias: their gradients', async () => {
  for (const [N, D] of [
    [2, 3],
    [9, 4],
    [65, 33],
  ])
    for (const [s, b] of [
      [10, -10],
      [100, -2],
    ])
      await checkOp({
        inputs: {
          ...{ u: [N, D], v: [N, D] },
          ...{ scale: { shape: [1], values: [s] }, bias: { shape: [1], values: [b] } },
        },
        build: ({ u, v, scale, bias }) => sigLipLoss(u, v, { scale, bias }),
        reference: ({ u, v, scale, bias }) => dense(u, v, scale, bias),
        rel: 1e-4,
        what: `[${N}, ${D}], scale ${s}, bias ${b}`,
      });
});

test('invariants', () => checkInvariants(at(5, -2).loss));

test('edges: equal rows, rows of zeros', async () => {
  // All N^2 logits are 3: 8 of 9 in a row should not be.
  const { loss, expected } = at(5, -2);
  const logit = 3;
  const collapsed = Math.log1p(Math.exp(-logit)) + 8 * Math.log1p(Math.exp(logit));
  await checkEdges(loss, expected, { collapsed });
});

test('the recipe: an update of both networks, and what it tells', () =>
  checkRecipe(method, { temperature: 0.2, bias: -3 }, (u, v) => dense(u, v, 5, -3), {
    temperature: 0.2,
    bias: -3,
  }));

test('the logit scale stays in [0, log 100] after a step, however large', async () => {
  const { high, low } = await scaleAfterSteps(method);
  close([high, low], [0.01, 1], { rel: 1e-5 });
});

test('the bias is always learned, the temperature as asked', () => {
  const setting = { ...networks(), seed: 1 };
  const names = (learnTemperature: number) =>
    buildMethod(method, { ...setting, hyperparameters: { learnTemperature } }).parameters!.map((v) => v.name);
  assert.equal(names(0), ['sigLip.bias']);
  assert.equal(names(1), ['sigLip.logitScale', 'sigLip.bias']);
});

test('errors', () => {
  const u = input([4, 3]);
  throws(() => sigLipLoss(u, input([3, 3])), /sigLipLoss: expected two views \[N, D\]/);
  throws(() => sigLipLoss(u, u, { scale: -1 }), /sigLipLoss: .*above 0.*"scale", got -1/);
  throws(() => sigLipLoss(u, u, { bias: Number.NaN }), /sigLipLoss: .*"bias", got NaN/);
  throws(() => sigLipLoss(u, u, { bias: input([1, 2]) }), /sigLipLoss: .*tensor \[1\].*"bias"/);
  const setting = { ...networks(), seed: 1, hyperparameters: {} };
  throws(() => buildMethod(method, { ...setting, image: {} as never }), /SigLIP: .*network for "image"/);
});
