import * as assert from 'uvu/assert';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { infoNceLoss } from '../../src/methods/info_nce.ts';
import { nnclr, nnclrLoss } from '../../src/methods/nnclr.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkSymmetries, checkTensors, drawViews, evaluate, unitRows, type Values } from './check.ts';
import { trainRecipe } from './recipe.ts';

export const study = {
  method: nnclr,
  order: 60,
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof nnclr>;

/** Predictions and embeddings of two views, and past embeddings; drawn until rounding has no say in which of these is nearest. */
function draw(N: number, K: number, D: number): Values[] {
  const r = random(freshSeed());
  for (;;) {
    const views = [drawViews(r, N, D), drawViews(r, N, D)].flatMap(({ zA, zB }) => [zA, zB]);
    const past = unitRows(r, K, D);
    if (views.slice(2).every((z) => clear(z, past, D)))
      return [...views.map((data) => ({ shape: [N, D], data })), { shape: [K, D], data: past }];
  }
}

/** Whether each row has one nearest: its cosine leads by 1e-5 and more. */
function clear(z: Float32Array, past: Float32Array, D: number): boolean {
  const rows = (x: Float32Array) => reference.leaf([x.length / D, D], x);
  const S = reference.matmul(reference.l2Normalize(rows(z)), rows(past), { transposeB: true });
  const K = past.length / D;
  return Array.from({ length: z.length / D }, (_, i) => {
    const [first, second = -2] = S.data.slice(i * K, (i + 1) * K).sort((a, b) => b - a);
    return first - second > 1e-5;
  }).every(Boolean);
}
type Views<T> = [pA: T, pB: T, zA: T, zB: T, past: T];
const loss =
  (temperature: number) =>
  (...x: Views<Tensor>) =>
    nnclrLoss(...x, { temperature });

test('value and gradients; none into embeddings and queue', async () => {
  for (const temperature of [0.1, 0.5])
    for (const [N, K, D] of [
      [2, 1, 2],
      [3, 5, 3],
      [17, 33, 8],
      [65, 130, 16],
      [100, 257, 64],
    ])
      await checkTensors(
        loss(temperature),
        (...x: Views<reference.Ref>) => reference.nnclr(...x, temperature),
        draw(N, K, D),
        { what: `[${N}, ${K}, ${D}] at ${temperature}`, constants: 2 },
      );
  await checkTensors(
    loss(0.01),
    (...x: Views<reference.Ref>) => reference.nnclr(...x, 0.01),
    draw(17, 33, 8),
    { what: 'at 0.01', constants: 2 },
  );
  await checkTensors(nnclrLoss, reference.nnclr, draw(9, 20, 8), {
    what: 'default',
    constants: 2,
  });
});

test('invariants: the samples in another order, the queue in another, the space rotated', () =>
  checkSymmetries(nnclrLoss, draw(17, 33, 12), {
    groups: [[0, 1, 2, 3], [4]],
    turned: [0, 1, 2, 3, 4],
    directions: [0, 1],
  }));

test('a queue of the embeddings themselves: InfoNCE of embeddings and predictions', async () => {
  const [N, D] = [12, 6];
  const r = random(freshSeed());
  const [zA, zB] = [unitRows(r, N, D), unitRows(r, N, D)];
  const [pA, pB] = [r.normal(N * D), r.normal(N * D)];
  const rows = (data: Float32Array) => ({ shape: [data.length / D, D], data });
  const past = rows(Float32Array.from([...zA, ...zB]));
  const { value } = await evaluate(nnclrLoss, [pA, pB, zA, zB].map(rows).concat(past));
  const oneWay = async (z: Float32Array, p: Float32Array) =>
    (await evaluate((a, b) => infoNceLoss(a, b, { temperature: 0.1, symmetric: false }), [rows(z), rows(p)]))
      .value;
  close([value], [((await oneWay(zA, pB)) + (await oneWay(zB, pA))) / 2], { rel: 1e-5 });
});

test('edges: ties, zero rows', async () => {
  const [N, K, D] = [6, 11, 4];
  const past = { shape: [K, D], data: new Float32Array(K * D).fill(0.5) };
  const views = draw(N, K, D).slice(0, 4);
  // All anchors are one: every sample is as good a positive as its own.
  const same = Array(4).fill({ shape: [N, D], data: new Float32Array(N * D).fill(2) });
  close([(await evaluate(nnclrLoss, [...same, past])).value], [Math.log(N)], { rel: 1e-6 });
  assert.ok((await evaluate(nnclrLoss, [...views, past])).finite);
  const zeros = Array(4).fill({ shape: [N, D], data: new Float32Array(N * D) });
  assert.ok((await evaluate(nnclrLoss, [...zeros, past])).finite);
});

test('errors', () => {
  const [x, past] = [input([4, 3]), input([9, 3])];
  throws(() => nnclrLoss(x, x, input([4, 2]), x, past), /nnclrLoss: expected two views \[N, D\]/);
  throws(() => nnclrLoss(x, x, x, x, input([9, 2])), /rows of one length/);
});

test('the recipe: it has a predictor, the loss falls', async () => {
  const { losses, trained } = await trainRecipe('nnclr', { queue: 20 }, 30);
  assert.ok(losses.every(Number.isFinite) && losses[29] < losses[3], `${losses}`);
  assert.ok(trained > 0);
});
