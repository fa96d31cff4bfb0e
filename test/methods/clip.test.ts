import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { clipLoss, clip as method } from '../../src/methods/clip.ts';
import { buildMethod } from '../../src/methods/method.ts';
import { compile } from '../../src/runtime/compile.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { checkAgainst, checkEdges, checkInvariants } from './check.ts';
import { checkRecipe, networks, scaleAfterSteps } from './paired.ts';

export const study = {
  method,
  without: 'it trains on images with captions: test/train/image_text.test.ts and docs/modality_gap.md',
} satisfies MethodStudy<typeof method>;

const at = (scale: number) => ({
  loss: (u: Tensor, v: Tensor) => clipLoss(u, v, { scale }),
  expected: (u: reference.Ref, v: reference.Ref) => reference.infoNce(u, v, 1 / scale),
});

test('value and gradients', async () => {
  for (const scale of [1, 1 / 0.07, 100]) {
    const { loss, expected } = at(scale);
    await checkAgainst(loss, expected, { what: `scale ${scale}`, floor: scale > 50 ? 1e-5 : 1e-6 });
  }
  const { loss, expected } = at(5);
  await checkAgainst(loss, expected, { sizes: [[260, 12]] });
});

test('the scale by default is 1 / 0.07', () =>
  checkAgainst((u, v) => clipLoss(u, v), at(1 / 0.07).expected, { sizes: [[17, 12]] }));

test('a learned scale: its gradient', async () => {
  for (const [N, D] of [
    [2, 3],
    [9, 4],
    [65, 33],
  ])
    for (const scale of [1, 14, 100])
      await checkOp({
        inputs: { u: [N, D], v: [N, D], scale: { shape: [1], values: [scale] } },
        build: ({ u, v, scale }) => clipLoss(u, v, { scale }),
        reference: ({ u, v, scale }) => dense(u, v, scale),
        rel: 1e-4,
        what: `[${N}, ${D}], scale ${scale}`,
      });
});

/** By the whole matrix of similarities. */
function dense(u: reference.Ref, v: reference.Ref, scale: reference.Ref): reference.Ref {
  const [N] = u.shape;
  const [a, b] = [u, v].map((x) => reference.l2Normalize(x));
  const logits = reference.mul(reference.matmul(a, reference.transpose(b)), scale);
  const own = Uint32Array.from({ length: N }, (_, i) => i);
  const both = [logits, reference.transpose(logits)].map((x) =>
    reference.mean(reference.crossEntropy(x, own)),
  );
  return reference.mul(reference.add(both[0], both[1]), 0.5);
}

test('invariants', () => checkInvariants(at(5).loss));

test('edges: equal rows, rows of zeros', async () => {
  for (const scale of [5, 100]) {
    const { loss, expected } = at(scale);
    await checkEdges(loss, expected, { collapsed: Math.log(9), floor: scale > 50 ? 1e-4 : 1e-6 });
  }
});

test('two equal captions in a batch: each image has one half of the probability at best', async () => {
  const [N, D] = [4, 8];
  const draw = random(freshSeed());
  const v = draw.normal(N * D);
  v.copyWithin(D, 0, D);
  const inputs = { u: input([N, D]), v: input([N, D]) };
  const step = await compile(
    await device(),
    ({ u, v }) => {
      const loss = clipLoss(u, v, { scale: 100 });
      return { loss, gu: grad(loss, [u])[0] };
    },
    { inputs },
  );
  // Every image is its caption: all that is left is log 2 of two images and of two captions.
  await step.run({ u: v, v });
  const [loss] = await step.read('loss');
  const wanted = reference.infoNce(reference.leaf([N, D], v), reference.leaf([N, D], v), 0.01).data[0];
  close([loss], [wanted], { rel: 2e-5 });
  assert.ok(loss > (2 * Math.log(2)) / N - 1e-3, `${loss}`);
  assert.ok((await step.read('gu')).every(Number.isFinite));
  step.dispose();
});

test('the recipe: an update of both networks, and the temperature that it tells', () =>
  checkRecipe(method, { temperature: 0.2 }, (u, v) => reference.infoNce(u, v, 0.2), { temperature: 0.2 }));

test('the logit scale stays in [0, log 100] after a step, however large', async () => {
  // Far too large a step, in either direction.
  const { high, low } = await scaleAfterSteps(method);
  close([high, low], [0.01, 1], { rel: 1e-5 });
});

test('a fixed temperature is no parameter', () => {
  const setting = { ...networks(), seed: 1 };
  const fixed = buildMethod(method, { ...setting, hyperparameters: { learnTemperature: 0 } });
  assert.is(fixed.parameters?.length, 0);
  const learned = buildMethod(method, { ...setting, hyperparameters: {} });
  assert.equal(
    learned.parameters?.map(({ name, shape }) => [name, shape]),
    [['clip.logitScale', [1]]],
  );
});

test('errors', () => {
  const u = input([4, 3]);
  throws(() => clipLoss(u, input([4, 2])), /clipLoss: expected two views \[N, D\]/);
  throws(() => clipLoss(u, u, { scale: 0 }), /clipLoss: .*above 0.*"scale", got 0/);
  throws(() => clipLoss(u, u, { scale: input([2]) }), /clipLoss: .*tensor \[1\].*"scale", got f32 \[2\]/);
  throws(() => clipLoss(u, u, { temperature: 1 } as never), /clipLoss: .*temperature/);
  const setting = { ...networks(), seed: 1, hyperparameters: {} };
  throws(
    () => buildMethod(method, { ...setting, text: null as never }),
    /CLIP: .*network for "text", got null/,
  );
  throws(
    () => buildMethod(method, { ...setting, hyperparameters: { temperature: 0 } }),
    /"temperature", got 0/,
  );
});
