// The sum of a two-view loss over nested prefixes of z.
import * as assert from 'uvu/assert';
import { grad } from '../../../src/graph/gradient.ts';
import { input, type Tensor } from '../../../src/graph/tensor.ts';
import { allMethods } from '../../../src/methods/index.ts';
import {
  buildMethod,
  defaultsOf,
  type ImageMethod,
  isPair,
  type Network,
} from '../../../src/methods/method.ts';
import { matryoshka, prefix, prefixSizes } from '../../../src/methods/parts/matryoshka.ts';
import { concatenate, slice } from '../../../src/ops/shape.ts';
import { compile } from '../../../src/runtime/compile.ts';
import { freeVariables } from '../../../src/runtime/variables.ts';
import { alarmOptionsOf } from '../../../src/train/images.ts';
import { close, device, freshSeed, random, test, throws } from '../../harness.ts';
import * as reference from '../../reference.ts';
import { agrees, checkAgainst, compileLoss, drawViews } from '../check.ts';

const exact = { rel: 0, abs: 0 };

/** Embeddings as they are. */
const identity: Network = { embed: (x) => x, parameters: [], statistics: [] };

/** The recipe of a method whose images are embeddings. */
const recipeOf = (
  method: ImageMethod,
  width: number,
  least?: number,
  hyperparameters: Record<string, number> = {},
) =>
  buildMethod(method, {
    ...{ network: identity, copy: () => identity, width, classes: 3, seed: 1 },
    hyperparameters,
    ...(least !== undefined && { matryoshka: least }),
  });

/** The loss of a method as a function of two views. */
const lossOf =
  (method: ImageMethod, least: number, hyperparameters?: Record<string, number>) =>
  (zA: Tensor, zB: Tensor, labels: Tensor) =>
    recipeOf(method, zA.shape[1], least, hyperparameters).loss({
      ...{ x: concatenate([zA, zB]), labels, step: 0 },
      views: () => zA,
    });

/** NT-Xent of the first m numbers of each row, dense. */
function ntXent(zA: reference.Ref, zB: reference.Ref, m: number): reference.Ref {
  const first = (z: reference.Ref) => reference.slice(z, [0, 0], [z.shape[0], m]);
  const u = reference.l2Normalize(reference.concatenate([first(zA), first(zB)]));
  const [M] = u.shape;
  const apart = Float64Array.from({ length: M * M }, (_, k) => (k % (M + 1) ? 0 : -1e9));
  const s = reference.div(reference.matmul(u, reference.transpose(u)), 0.2);
  const lse = reference.logSumExp(reference.add(s, reference.leaf([M, M], apart)));
  const pair = reference.gatherRows(
    u,
    Int32Array.from({ length: M }, (_, i) => (i + M / 2) % M),
  );
  return reference.mean(reference.sub(lse, reference.div(reference.sum(reference.mul(u, pair), 1), 0.2)));
}

/** The sum over prefixes whose sizes are written down here, not computed. */
const summed = (sizes: number[]) => (zA: reference.Ref, zB: reference.Ref) =>
  sizes.map((m) => ntXent(zA, zB, m)).reduce((a, b) => reference.add(a, b));

test('the sizes of prefixes double from the least to the width', () => {
  assert.equal(prefixSizes(8, 64), [8, 16, 32, 64]);
  assert.equal(prefixSizes(8, 100), [8, 16, 32, 64, 100]);
  assert.equal(prefixSizes(3, 7), [3, 6, 7]);
  assert.equal(prefixSizes(7, 8), [7, 8]);
  assert.equal(prefixSizes(64, 64), [64]);
  const x = input([2, 5]);
  assert.is(prefix(x, 5), x);
  assert.equal(prefix(x, 3).shape, [2, 3]);
});

const CASES: [N: number, D: number, least: number, sizes: number[]][] = [
  [2, 3, 2, [2, 3]],
  [3, 5, 2, [2, 4, 5]],
  [17, 33, 4, [4, 8, 16, 32, 33]],
  [65, 16, 8, [8, 16]],
  [100, 64, 8, [8, 16, 32, 64]],
];
for (const [N, D, least, sizes] of CASES)
  test(`simclr of embeddings [${N}, ${D}]: the sum of the losses of the first ${sizes} numbers, and its gradients`, () =>
    checkAgainst(lossOf(allMethods.simclr as ImageMethod, least), summed(sizes), { sizes: [[N, D]] }));

test('equal rows: a prefix adds log(2N - 1), and no gradient', async () => {
  const [N, D] = [9, 8];
  const one = random(freshSeed()).normal(D);
  const rows = Float32Array.from({ length: N * D }, (_, i) => one[i % D]);
  const compiled = await compileLoss(lossOf(allMethods.simclr as ImageMethod, 2), N, D);
  const found = await compiled.run({ zA: rows, zB: rows });
  close([found.loss], [3 * Math.log(2 * N - 1)], { rel: 2e-5 });
  close(found.gA, new Float32Array(N * D), { abs: 1e-4 });
  const zeros = await compiled.run({ zA: rows.fill(0), zB: rows });
  assert.ok([zeros.loss, ...zeros.gA, ...zeros.gB].every(Number.isFinite));
  compiled.dispose();
});

test('a narrow first part: a prefix is normalised by itself, so its gradient does not depend on the rest', async () => {
  const [N, D] = [8, 8];
  const views = drawViews(random(freshSeed()), N, D);
  // Of the first two numbers a thousandth: in the unit row of all eight they would be nothing.
  for (const z of [views.zA, views.zB]) for (let i = 0; i < z.length; i++) if (i % D < 2) z[i] *= 1e-3;
  const compiled = await compileLoss(lossOf(allMethods.simclr as ImageMethod, 2), N, D);
  agrees(await compiled.run(views), summed([2, 4, 8]), N, D, 'a narrow first part');
  compiled.dispose();
});

const PAIRS = Object.entries(allMethods).filter(
  (entry): entry is [string, ImageMethod] => entry[1].data === 'images' && isPair(entry[1]),
);

test('every two-view loss is summed over prefixes as it is: with the method itself on each', async () => {
  assert.ok(PAIRS.length > 8, PAIRS.map(([name]) => name).join());
  const [N, D] = [24, 8];
  const draw = random(freshSeed());
  const step = await compile(
    await device(),
    ({ zA, zB, labels }): Record<string, Tensor> =>
      Object.fromEntries(
        PAIRS.flatMap(([name, method]) => {
          const { memory: _, chunks: __, ...values } = defaultsOf(method.hyperparameters);
          const of = (m: number) => {
            const first = (z: Tensor) => slice(z, { starts: [0, 0], sizes: [-1, m] });
            return method.loss!(first(zA), first(zB), values as never, { labels, memory: null });
          };
          const y = lossOf(method, 4)(zA, zB, labels);
          const [own, four, eight] = [y, of(4), of(8)].map((loss) => grad(loss, [zA])[0]);
          const named = { y, four: of(4), eight: of(8), own, ofFour: four, ofEight: eight };
          return Object.entries(named).map(([key, value]) => [`${name}.${key}`, value]);
        }),
      ),
    { inputs: { zA: input([N, D]), zB: input([N, D]), labels: input([N], 'u32') } },
  );
  await step.run({ ...drawViews(draw, N, D), labels: draw.integers(N, 0, 3) });
  for (const [name] of PAIRS) {
    const read = (key: string) => step.read(`${name}.${key}`);
    const [[y], [four], [eight]] = [await read('y'), await read('four'), await read('eight')];
    close([y], [four + eight], { rel: 1e-6, abs: 1e-6, what: name });
    const [ofFour, ofEight] = [await read('ofFour'), await read('ofEight')];
    close(
      await read('own'),
      ofFour.map((v, i) => v + ofEight[i]),
      { rel: 1e-5, abs: 1e-7, what: `${name}: gradient` },
    );
  }
  step.dispose();
});

test('chunks and a memory of past batches go with it: what is remembered is cut as the batch is', async () => {
  const gpu = await device();
  const [N, D, K] = [6, 8, 18];
  const method = allMethods.supCon as ImageMethod;
  const own = { memory: K };
  const nested = recipeOf(method, D, 4, own);
  // The same two losses, each with a memory of its own numbers.
  const alone = [4, D].map((m) => recipeOf(method, m, undefined, own));
  const chunked = recipeOf(method, D, 4, { chunks: 3 });
  const plain = recipeOf(method, D, 4);
  const step = await compile(
    gpu,
    ({ x, labels }) => {
      const batch = (of: Tensor) => ({ x: of, labels, step: 0, views: () => of });
      const y = nested.loss(batch(x));
      const parts = alone.map((recipe, i) => recipe.loss(batch(prefix(x, i ? D : 4))));
      for (const recipe of [nested, ...alone]) recipe.after!({});
      const { loss } = chunked.gradients!(batch(x));
      return { y, four: parts[0], eight: parts[1], chunked: loss, plain: plain.loss(batch(x)) };
    },
    { inputs: { x: input([2 * N, D]), labels: input([N], 'u32') } },
  );
  const draw = random(freshSeed());
  const seen: number[] = [];
  const x = draw.normal(2 * N * D);
  // The same batch again: only the memory is another one.
  for (let i = 0; i < 3; i++) {
    await step.run({ x, labels: Uint32Array.from([0, 1, 2, 0, 1, 2]) });
    const [[y], [four], [eight]] = [await step.read('y'), await step.read('four'), await step.read('eight')];
    close([y], [four + eight], { rel: 1e-5, what: `batch ${i}` });
    close(await step.read('chunked'), await step.read('plain'), { rel: 1e-6 });
    seen.push(y);
  }
  assert.is(new Set(seen).size, 3, seen.join());
  step.dispose();
  freeVariables(
    gpu,
    [nested, ...alone].flatMap(({ state = [] }) => state),
  );
});

test('the kernels of one loss serve all prefixes, and the same values give the same bits', async () => {
  const [N, D] = [16, 32];
  const gpu = await device();
  const inputs = { zA: input([N, D]), zB: input([N, D]) };
  const labels = input([N], 'u32');
  const build = (least: number) =>
    compile(gpu, ({ zA, zB }) => ({ y: lossOf(allMethods.simclr as ImageMethod, least)(zA, zB, labels) }), {
      inputs,
    });
  const [few, many] = [await build(16), await build(4)];
  assert.is(many.stats.pipelines, few.stats.pipelines);
  assert.ok(many.stats.dispatches > few.stats.dispatches);
  const views = drawViews(random(freshSeed()), N, D);
  const values: number[] = [];
  for (let i = 0; i < 2; i++) {
    await many.run(views);
    values.push((await many.read('y'))[0]);
  }
  close([values[1]], [values[0]], exact);
  for (const step of [few, many]) step.dispose();
});

test('methods that are more than a two-view loss refuse it, and so does each a prefix that is none', () => {
  const byol = allMethods.byol as ImageMethod;
  throws(() => recipeOf(byol, 8, 4), /BYOL: expected no "matryoshka", which is for .*two-view loss/);
  const simclr = allMethods.simclr as ImageMethod;
  for (const bad of [0, 8, 1.5, -1, Number.NaN])
    throws(() => recipeOf(simclr, 8, bad), /SimCLR .*a whole number of 1 to 7 for "matryoshka"/);
  assert.ok(PAIRS.every(([, method]) => recipeOf(method, 8, 4).loss));
  const sizes: number[] = [];
  matryoshka(2, 8, (m) => {
    sizes.push(m);
    return input([]);
  });
  assert.equal(sizes, [2, 4, 8]);
});

test('the loss of a point, which the alarm compares with, is that of each prefix', () => {
  const { supCon } = allMethods as Record<string, ImageMethod>;
  const run = { method: supCon, hyperparameters: { memory: 0 }, embedding: 8, batch: 16, epochs: 1, seed: 0 };
  const of = (least?: number) =>
    alarmOptionsOf({ ...run, learningRate: 1e-3, matryoshka: least }, [0, 1, 1]).pointLoss!;
  close([of(), of(2)], [Math.log(31), 3 * Math.log(31)]);
});
