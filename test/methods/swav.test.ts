import * as assert from 'uvu/assert';
import { input, reshape, type Tensor } from '../../src/graph/tensor.ts';
import { perplexity, prototypes, prototypeUse } from '../../src/methods/parts/prototypes.ts';
import { sinkhorn, swav, swavLoss } from '../../src/methods/swav.ts';
import { mul } from '../../src/ops/binary.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { compile } from '../../src/runtime/compile.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkInvariants, checkTensors, evaluate } from './check.ts';
import { trainRecipe } from './recipe.ts';

export const study = {
  method: swav,
  order: 70,
  cases: [{ seeds: [0] }],
} satisfies MethodStudy<typeof swav>;

const SIZES = [
  [2, 2],
  [3, 5],
  [17, 33],
  [65, 16],
  [100, 64],
];
/** Cosines. */
const scores = (N: number, K: number) => ({
  shape: [N, K],
  data: random(freshSeed()).uniform(N * K, -1, 1),
});

async function codesOf(data: Float32Array, N: number, K: number, options = {}): Promise<Float32Array> {
  const inputs = { s: input([N, K]) };
  const step = await compile(await device(), ({ s }) => ({ codes: sinkhorn(s, options) }), { inputs });
  await step.run({ s: data });
  const codes = await step.read('codes');
  step.dispose();
  return codes;
}

test('Sinkhorn: as dividing columns and rows by their sums', async () => {
  for (const [N, K] of SIZES)
    for (const [epsilon, iterations] of [
      [0.05, 3],
      [0.5, 1],
    ]) {
      const { shape, data } = scores(N, K);
      const codes = await codesOf(data, N, K, { epsilon, iterations });
      close(codes, reference.sinkhorn(reference.leaf(shape, data), epsilon, iterations).data, { rel: 2e-5 });
    }
});

test('Sinkhorn: rows sum to 1, columns to N / K the more nearly the more rounds', async () => {
  const [N, K] = [96, 24];
  const { data } = scores(N, K);
  const off: number[] = [];
  for (const iterations of [1, 3, 30]) {
    const codes = await codesOf(data, N, K, { epsilon: 0.2, iterations });
    const rows = new Float64Array(N);
    const columns = new Float64Array(K);
    for (const [i, q] of codes.entries()) {
      rows[Math.floor(i / K)] += q;
      columns[i % K] += q;
    }
    close(rows, new Array(N).fill(1), { rel: 1e-5, what: 'rows' });
    off.push(Math.max(...columns.map((c) => Math.abs(c - N / K))));
  }
  assert.ok(off[0] > off[1] && off[1] > off[2] && off[2] < 1e-3 * (N / K), `columns are off by ${off}`);
});

test('Sinkhorn: equal scores give equal codes; an epsilon of .001 overflows nothing', async () => {
  const [N, K] = [8, 4];
  close(await codesOf(new Float32Array(N * K).fill(0.7), N, K), new Array(N * K).fill(1 / K), { rel: 1e-5 });
  const codes = await codesOf(scores(N, K).data, N, K, { epsilon: 0.001 });
  assert.ok(codes.every((q) => q >= 0 && q < 1.001));
});

test('value and gradients', async () => {
  for (const [N, K] of SIZES)
    for (const options of [{}, { temperature: 0.5, epsilon: 0.3, iterations: 1 }, { temperature: 0.01 }])
      await checkTensors(
        (a: Tensor, b: Tensor) => swavLoss(a, b, options),
        (a: reference.Ref, b: reference.Ref) => reference.swav(a, b, options),
        [scores(N, K), scores(N, K)],
        { what: `[${N}, ${K}] ${JSON.stringify(options)}` },
      );
});

test('invariants: a permutation', () =>
  checkInvariants((a: Tensor, b: Tensor) => swavLoss(a, b, { epsilon: 1, temperature: 1 }), {
    rotates: false,
    normalizes: false,
  }));

test('edges: equal scores, N = 2, one prototype', async () => {
  const [N, K] = [8, 5];
  const same = { shape: [N, K], data: new Float32Array(N * K).fill(0.3) };
  const { value, finite } = await evaluate(swavLoss, [same, same]);
  close([value], [Math.log(K)], { rel: 1e-5 });
  assert.ok(finite);
  const one = { shape: [2, 1], data: new Float32Array([0.1, -0.4]) };
  close([(await evaluate(swavLoss, [one, one])).value], [0], { abs: 1e-6 });
});

test('prototypes: cosines, whatever the lengths', async () => {
  const [N, K, D] = [5, 7, 3];
  const layer = prototypes({ name: 'prototypes', count: K, width: D, seed: freshSeed() });
  const z = random(freshSeed()).normal(N * D);
  const inputs = { z: input([N, D]) };
  const step = await compile(await device(), ({ z }) => ({ s: layer(z), w: layer.parameters[0] }), {
    inputs,
  });
  await step.run({ z });
  const [s, w] = [await step.read('s'), await step.read('w')];
  step.dispose();
  const unit = (data: ArrayLike<number>) => reference.l2Normalize(reference.leaf([data.length / D, D], data));
  close(s, reference.matmul(unit(z), unit(w), { transposeB: true }).data, { rel: 1e-5 });
});

test('prototypes in use: the perplexity of the mean assignment', async () => {
  const K = 6;
  const used = async (rows: number[][]) => {
    const inputs = { p: input([rows.length, K]) };
    const step = await compile(await device(), ({ p }) => ({ n: perplexity(p) }), { inputs });
    await step.run({ p: Float32Array.from(rows.flat()) });
    const [n] = await step.read('n');
    step.dispose();
    return n;
  };
  const one = (k: number) => Array.from({ length: K }, (_, i) => Number(i === k));
  close([await used([one(2), one(2)])], [1], { rel: 1e-5 });
  close([await used([one(0), one(1), one(5)])], [3], { rel: 1e-5 });
  const [a, b] = [random(freshSeed()).uniform(K, 0, 1), random(freshSeed()).uniform(K, 0, 1)];
  const share = (row: Float32Array) => [...row].map((x) => x / row.reduce((sum, y) => sum + y));
  const mean = share(a).map((x, k) => (x + share(b)[k]) / 2);
  const entropy = mean.reduce((sum, p) => sum - p * Math.log(p), 0);
  close([await used([share(a), share(b)])], [Math.exp(entropy)], { rel: 1e-5 });
});

test('the panel: the images nearest to the prototypes that are used most', async () => {
  // Images are directions on a plane; two of four prototypes point where images are.
  const layer = prototypes({ name: 'prototypes', count: 4, width: 2, seed: 0 });
  const toward = [1, 0, 0, 1, -1, 0, 0, -1];
  Object.assign(layer.parameters[0], { initial: Float32Array.from(toward) });
  const images = [1, 0.1, 1, 0.3, 1, -0.2, 0.1, 1, 0.2, 1];
  const [panel] = prototypeUse(
    layer,
    (x) => reshape(x, [x.shape[0], 2]),
    (cosines) => softmax(mul(cosines, 50)),
    () => layer.parameters[0],
  ).panels;
  assert.is(panel.kind, 'pictures');
  assert.is(panel.rows.length, 4);
  const inputs = { x: input([5, 1, 2, 1]) };
  const build = ({ x }: typeof inputs) => ({ y: panel.pictures(x) });
  const step = await compile(await device(), build, { inputs });
  await step.run({ x: Float32Array.from(images) });
  const y = [...(await step.read('y'))];
  step.dispose();
  const shown = (row: number) => y.slice(10 * row, 10 * row + 10);
  close(shown(0), [1, 0.1, 1, -0.2, 1, 0.3, 0.2, 1, 0.1, 1], { rel: 1e-6, what: 'the right' });
  close(shown(1), [0.1, 1, 0.2, 1, 1, 0.3, 1, 0.1, 1, -0.2], { rel: 1e-6, what: 'up' });
});

test('errors', () => {
  throws(() => swavLoss(input([4, 3]), input([4, 2])), /swavLoss: expected two views/);
  throws(() => sinkhorn(input([4, 3]), { iterations: 0 }), /sinkhorn: .*1 to 1000.*"iterations"/);
  throws(() => sinkhorn(input([4, 3]), { iterations: 1.5 }), /got 1.5/);
  throws(
    () => prototypes({ name: 'prototypes', count: 0, width: 4, seed: 0 }),
    /"prototypes": expected positive whole sizes/,
  );
});

test('the recipe: prototypes are trained, the loss falls', async () => {
  const { losses, trained } = await trainRecipe('swav', { prototypes: 6 }, 20);
  assert.ok(losses.every(Number.isFinite) && losses[19] < losses[0], `${losses}`);
  assert.is(trained, 1);
});
