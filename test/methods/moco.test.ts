import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { moco, mocoLoss } from '../../src/methods/moco.ts';
import { queue } from '../../src/methods/parts/queue.ts';
import { l2Normalize } from '../../src/ops/l2_normalize.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { type MethodStudy, within } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkSymmetries, checkTensors, drawViews, evaluate, unitRows } from './check.ts';
import { trainRecipe } from './recipe.ts';

export const study = {
  method: moco,
  order: 50,
  cases: [{ seeds: [0] }],
  digits: [
    { hyperparameters: { queue: 1024, temperature: 0.1 }, seeds: [0], gates: [within('augKnn', 0.82)] },
  ],
} satisfies MethodStudy<typeof moco>;

const at = (temperature: number) => ({
  loss: (q: Tensor, k: Tensor, keys: Tensor) => mocoLoss(q, k, keys, { temperature }),
  expected: (q: reference.Ref, k: reference.Ref, keys: reference.Ref) =>
    reference.moco(q, k, keys, temperature),
});

/** Queries with their keys, and a queue. */
function draw(N: number, K: number, D: number, noise = 0.7) {
  const r = random(freshSeed());
  const { zA, zB } = drawViews(r, N, D, noise);
  return [
    { shape: [N, D], data: zA },
    { shape: [N, D], data: zB },
    { shape: [K, D], data: unitRows(r, K, D) },
  ];
}

test('value and gradient; none into keys and queue', async () => {
  for (const temperature of [0.07, 0.5])
    for (const [N, K, D] of [
      [2, 1, 2],
      [3, 5, 3],
      [17, 33, 8],
      [65, 130, 16],
      [100, 257, 64],
    ]) {
      const { loss, expected } = at(temperature);
      await checkTensors(loss, expected, draw(N, K, D), {
        what: `[${N}, ${K}, ${D}] at ${temperature}`,
        constants: 1,
      });
    }
  await checkTensors(mocoLoss, at(0.2).expected, draw(9, 20, 8), { what: 'default', constants: 1 });
});

test('invariants: the pairs in another order, the queue in another, the space rotated', () =>
  checkSymmetries(mocoLoss, draw(17, 33, 12), {
    groups: [[0, 1], [2]],
    turned: [0, 1, 2],
    directions: [0],
  }));

// Against log(1 + sum exp(s_j - s_i+)): the cross-entropy of the logits loses its digits here even in float64. What f32 has to go by
// is cosines over .01, numbers near 100 whose last digit is 8e-6: losses were off by 1.9e-5 of themselves at most in 400 draws.
test('a temperature of 0.01: all but vanished losses keep their digits', async () => {
  const [N, K, D] = [9, 20, 8];
  const { loss, expected } = at(0.01);
  await checkTensors(loss, expected, draw(N, K, D), { what: 'far', constants: 1 });
  const near = draw(N, K, D, 0.01);
  const { value } = await evaluate(loss, near);
  const [q, k, keys] = near.map(({ shape, data }) => reference.l2Normalize(reference.leaf(shape, data)));
  const cosine = (i: number, other: reference.Ref, j: number) => {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += q.data[i * D + d] * other.data[j * D + d];
    return sum;
  };
  let wanted = 0;
  for (let i = 0; i < N; i++) {
    let others = 0;
    for (let j = 0; j < K; j++) others += Math.exp((cosine(i, keys, j) - cosine(i, k, i)) / 0.01);
    wanted += Math.log1p(others) / N;
  }
  close([value], [wanted], { rel: 5e-5, abs: 1e-30, what: `${wanted}` });
});

test('edges: identical rows, zero rows, a queue of the keys themselves', async () => {
  const [N, K, D] = [6, 11, 4];
  const [q, k, keys] = draw(N, K, D);
  const ones = (n: number) => ({ shape: [n, D], data: new Float32Array(n * D).fill(0.5) });
  const collapsed = await evaluate(mocoLoss, [ones(N), ones(N), ones(K)]);
  close([collapsed.value], [Math.log(K + 1)], { rel: 1e-6 });
  close(collapsed.gradients[0], new Float32Array(N * D), { abs: 1e-5 });
  const zero = { shape: [N, D], data: new Float32Array(N * D) };
  assert.ok((await evaluate(mocoLoss, [zero, k, keys])).finite);
  assert.ok((await evaluate(mocoLoss, [q, zero, keys])).finite);
});

test('logits before enqueueing: value and gradient are by the queue as it was, the next step sees the keys', async () => {
  const gpu = await device();
  const [N, K, D] = [5, 8, 4];
  const { rows, push } = queue({ name: 'queue', rows: K, width: D, seed: freshSeed() });
  const build = ({ q, k }: { q: Tensor; k: Tensor }) => {
    const loss = mocoLoss(q, k, rows);
    const [g] = grad(loss, [q]);
    push(l2Normalize(k));
    return { loss, g };
  };
  const step = await compile(gpu, build, { inputs: { q: input([N, D]), k: input([N, D]) } });
  for (let i = 0; i < 3; i++) {
    const [q, k] = draw(N, K, D).map(({ shape, data }) => reference.leaf(shape, data));
    const y = reference.moco(q, k, reference.leaf([K, D], await readVariable(gpu, rows)));
    await step.run({ q: Float32Array.from(q.data), k: Float32Array.from(k.data) });
    close(await step.read('loss'), y.data, { rel: 2e-5, what: `loss ${i}` });
    close(await step.read('g'), reference.gradient(y, [q])[0], { rel: 1e-4, what: `gradient ${i}` });
    const newest = (await readVariable(gpu, rows)).slice(0, N * D);
    close(newest, reference.l2Normalize(k).data, { rel: 1e-5, what: `queue ${i}` });
  }
  step.dispose();
  freeVariables(gpu, [rows]);
});

test('errors', () => {
  const [q, keys] = [input([4, 3]), input([9, 3])];
  throws(() => mocoLoss(q, input([4, 2]), keys), /mocoLoss: expected two views \[N, D\]/);
  throws(() => mocoLoss(q, q, input([9, 2])), /mocoLoss: expected keys \[K, 3\], got \[9, 2\]/);
});

test('the recipe: the target follows after the update, the loss falls', async () => {
  const { trail, losses, trained } = await trainRecipe('moco', { momentum: 0.9, queue: 20 }, 20);
  close(trail[0].target, trail[0].online, { rel: 0, abs: 0, what: 'at first' });
  for (let i = 1; i < 4; i++) {
    const wanted = trail[i - 1].target.map((t, k) => 0.9 * t + 0.1 * trail[i].online[k]);
    close(trail[i].target, wanted, { rel: 1e-5, abs: 1e-6, what: `step ${i}` });
  }
  // The same batch each time, so that its own keys fill the queue: log(1 + K / N) is the best there is.
  assert.ok(losses.every(Number.isFinite) && losses[19] < losses[3], `${losses}`);
  assert.is(trained, 0);
});
