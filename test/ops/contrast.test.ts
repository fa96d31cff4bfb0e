import { grad } from '../../src/graph/gradient.ts';
import { plan } from '../../src/graph/plan.ts';
import { constant, input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { add } from '../../src/ops/binary.ts';
import { type ContrastOptions, contrast } from '../../src/ops/contrast.ts';
import { logMeanKernel } from '../../src/ops/log_mean_kernel.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate, type InputSpec } from './check.ts';
import { GPU, softwareTarget, withLargeTiles, withTarget } from './tiles.ts';

type Draw = ReturnType<typeof random>;
type Options = Pick<ContrastOptions, 'excludeSelf' | 'pairOffset'> & { scale?: number; temperature?: number };
interface Problem extends Options {
  labels?: readonly [ArrayLike<number>, ArrayLike<number>];
}

/** Rows of length about 1, as the losses use them. */
const rows = (M: number, D: number): InputSpec => ({
  shape: [M, D],
  values: (draw: Draw, n: number) => draw.normal(n).map((v) => v / Math.sqrt(D)),
});

/** The same dense, in float64: loss [M]. */
function dense(
  A: reference.Ref,
  B: reference.Ref,
  { scale = 1, temperature = 1, excludeSelf = false, pairOffset, labels }: Problem,
): reference.Ref {
  const [M, N] = [A.shape[0], B.shape[0]];
  const factor = scale / temperature;
  const lse = reference.pairwiseLse(A, B, { scale: factor, excludeSelf });
  if (labels) {
    const [la, lb] = labels;
    const mean = reference.labelPositives(A, B, la, lb, { scale: factor, excludeSelf });
    const has = Float64Array.from({ length: M }, (_, i) => {
      for (let j = 0; j < N; j++) if (la[i] === lb[j] && !(excludeSelf && i === j)) return 1;
      return 0;
    });
    return reference.select(reference.leaf([M], has), reference.sub(lse, mean), 0);
  }
  if (pairOffset === undefined) return lse;
  const pair = Array.from({ length: M }, (_, i) => (i + pairOffset) % N);
  const counts = pair.map((j, i) => Number(!(excludeSelf && i === j)));
  const positive = reference.pairPositives(A, reference.gatherRows(B, pair), { scale: factor });
  return reference.sub(lse, reference.mul(positive, reference.leaf([M], counts)));
}

const describe = (sizes: readonly number[], { labels, ...options }: Problem) =>
  `[${sizes}] ${JSON.stringify(options)}${labels ? ' by label' : ''}`;

/** A against B, with the gradients of both. */
function checkTwo([M, N, D]: readonly number[], problem: Problem = {}) {
  const { labels, ...options } = problem;
  return checkOp({
    inputs: {
      a: rows(M, D),
      b: rows(N, D),
      la: { shape: [M], dtype: 'u32', values: labels?.[0] ?? (() => new Uint32Array(M)) },
      lb: { shape: [N], dtype: 'u32', values: labels?.[1] ?? (() => new Uint32Array(N)) },
    },
    build: ({ a, b, la, lb }) => contrast(a, b, { ...options, labels: labels ? [la, lb] : undefined }).loss,
    reference: ({ a, b }) => dense(a, b, problem),
    what: describe([M, N, D], problem),
  });
}

/** One set of rows against itself. */
function checkOne([N, D]: readonly number[], problem: Problem = {}, x: InputSpec = rows(N, D)) {
  const { labels, ...options } = problem;
  return checkOp({
    inputs: { x, l: { shape: [N], dtype: 'u32', values: labels?.[0] ?? (() => new Uint32Array(N)) } },
    build: ({ x, l }) => contrast(x, x, { ...options, labels: labels ? [l, l] : undefined }).loss,
    reference: ({ x }) => dense(x, x, problem),
    what: describe([N, D], problem),
  });
}

/** A test of numbers, once in each tile; `sources`: and in large tiles of buffers too. */
const testTiles = (name: string, body: () => Promise<unknown>, sources = false) => {
  const kinds = {
    '8 x 8 tiles': false,
    '16 x 16 tiles': true,
    '16 x 16 tiles of buffers': 'buffers',
    '16 x 16 tiles of folded textures': 40,
  } as const;
  for (const [kind, tiles] of Object.entries(kinds))
    if (sources || typeof tiles === 'boolean') test(`${name}, ${kind}`, () => withLargeTiles(tiles, body));
};

const labelsOf = (N: number, classes: number) => random(freshSeed()).integers(N, 0, classes);

// N around tiles of 8 and chunks of 32; D around vec4s.
const SQUARE = [
  [2, 4],
  [3, 1],
  [7, 3],
  [8, 8],
  [9, 5],
  [16, 64],
  [31, 7],
  [33, 12],
  [64, 32],
  [65, 33],
  [127, 16],
];

testTiles('every other row is a candidate: no positives', async () => {
  for (const size of SQUARE) await checkOne(size, { excludeSelf: true, scale: 3 });
});

testTiles(
  'NT-Xent: pairs half a batch apart',
  async () => {
    for (const [half, D] of SQUARE)
      await checkOne([2 * half, D], { excludeSelf: true, pairOffset: half, temperature: 0.2 });
  },
  true,
);

/** log mean exp(-t |x_i - x_j|^2) over pairs, in float64. */
function logMeanKernelOf(x: reference.Ref, t: number): reference.Ref {
  const [N] = x.shape;
  const pairs = Array.from({ length: N * N }, (_, k) => [Math.floor(k / N), k % N]).filter(([i, j]) => i < j);
  const of = (side: number) =>
    reference.gatherRows(
      x,
      Int32Array.from(pairs, (pair) => pair[side]),
    );
  const squares = reference.sum(reference.square(reference.sub(of(0), of(1))), -1);
  return reference.log(reference.mean(reference.exp(reference.mul(squares, -t))));
}

testTiles('the log of the mean kernel of pairs, near and far apart', async () => {
  for (const [N, D] of [
    [2, 4],
    [7, 3],
    [33, 12],
    [127, 16],
    [530, 5],
  ])
    for (const size of N < 40 ? [1, 1e-5] : [1])
      await checkOp({
        inputs: {
          x: { shape: [N, D], values: (draw, n) => draw.normal(n).map((v) => (size * v) / Math.sqrt(D)) },
        },
        build: ({ x }) => logMeanKernel(x, { t: 2 }),
        reference: ({ x }) => logMeanKernelOf(x, 2),
        ...{ rel: 2e-5, abs: 0, what: `[${N}, ${D}], ${size} apart` },
      });
});

testTiles('labels within one batch', async () => {
  for (const [N, D] of SQUARE) {
    const l = labelsOf(N, 4);
    await checkOne([N, D], { excludeSelf: true, labels: [l, l], temperature: 0.1 });
  }
});

testTiles('one set of rows with itself among the candidates: both gradients add up', async () => {
  for (const [N, D] of [
    [3, 4],
    [9, 5],
    [65, 16],
  ]) {
    await checkOne([N, D], { scale: 2 });
    await checkOne([N, D], { pairOffset: 1 });
    const l = labelsOf(N, 3);
    await checkOne([N, D], { labels: [l, l] });
  }
});

// M, N, D
const RECTANGLES = [
  [1, 1, 1],
  [1, 9, 4],
  [9, 1, 4],
  [2, 2, 3],
  [7, 8, 9],
  [33, 64, 12],
  [64, 33, 12],
  [65, 127, 6],
  [127, 31, 20],
];

testTiles('candidates of their own: none, by pair, by label', async () => {
  for (const [M, N, D] of RECTANGLES) {
    await checkTwo([M, N, D], { scale: 2 });
    await checkTwo([M, N, D], { pairOffset: 0, temperature: 0.5 });
    await checkTwo([M, N, D], { pairOffset: 5, temperature: 0.5 });
    await checkTwo([M, N, D], { labels: [labelsOf(M, 5), labelsOf(N, 5)], temperature: 0.3 });
  }
});

testTiles('two sets of rows, the same index excluded', async () => {
  for (const [N, D] of [
    [2, 4],
    [9, 7],
    [65, 12],
  ]) {
    await checkTwo([N, N, D], { excludeSelf: true });
    await checkTwo([N, N, D], { excludeSelf: true, pairOffset: 1, temperature: 0.5 });
    // The pair itself is excluded: the log-sum-exp is left.
    await checkTwo([N, N, D], { excludeSelf: true, pairOffset: 0 });
    await checkTwo([N, N, D], { excludeSelf: true, labels: [labelsOf(N, 2), labelsOf(N, 2)] });
  }
});

testTiles('a queue: few anchors, many candidates, pairs first', () =>
  checkTwo([16, 1000, 24], { pairOffset: 0, temperature: 0.2 }),
);

testTiles('more candidates behind the anchors themselves, some without a label', async () => {
  for (const [M, N, D] of [
    [2, 3, 4],
    [9, 17, 5],
    [65, 130, 12],
  ]) {
    const of = labelsOf(N, 3).map((l, j) => (j % 4 === 3 ? 0xffffffff : l));
    const la = of.slice(0, M);
    await checkOp({
      inputs: {
        a: rows(M, D),
        b: rows(N, D),
        la: { shape: [M], dtype: 'u32', values: la },
        lb: { shape: [N], dtype: 'u32', values: of },
      },
      build: ({ a, b, la, lb }) => contrast(a, b, { excludeSelf: true, labels: [la, lb] }).loss,
      reference: ({ a, b }) => {
        const S = reference.matmul(a, b, { transposeB: true });
        const each = (rule: (i: number, j: number) => boolean) =>
          reference.leaf(
            [M, N],
            Float64Array.from({ length: M * N }, (_, k) => +rule(Math.floor(k / N), k % N)),
          );
        const out = each((i, j) => i === j || of[j] === 0xffffffff);
        const same = each((i, j) => i !== j && of[j] === la[i] && la[i] !== 0xffffffff);
        const counts = reference.sum(same, 1).data;
        const of1 = (f: (n: number) => number) => reference.leaf([M], counts.map(f));
        const mean = reference.div(
          reference.sum(reference.mul(S, same), 1),
          of1((n) => Math.max(n, 1)),
        );
        const lse = reference.logSumExp(reference.select(out, -Infinity, S));
        return reference.select(
          of1((n) => Math.min(n, 1)),
          reference.sub(lse, mean),
          0,
        );
      },
      what: `[${M}, ${N}, ${D}]`,
    });
  }
});

testTiles('one set of rows with two sets of labels', () => {
  const [N, D] = [21, 8];
  const [la, lb] = [labelsOf(N, 3), labelsOf(N, 3)];
  return checkOp({
    inputs: {
      x: rows(N, D),
      la: { shape: [N], dtype: 'u32', values: la },
      lb: { shape: [N], dtype: 'u32', values: lb },
    },
    build: ({ x, la, lb }) => contrast(x, x, { excludeSelf: true, labels: [la, lb] }).loss,
    reference: ({ x }) => dense(x, x, { excludeSelf: true, labels: [la, lb] }),
  });
});

testTiles('many chunks of columns', () =>
  checkOne([700, 12], { excludeSelf: true, pairOffset: 350, temperature: 0.5 }),
);

testTiles('many slabs of rows, the last one ragged', async () => {
  for (const N of [300, 600]) {
    const l = labelsOf(N, 10);
    await checkOne([N, 9], { excludeSelf: true, labels: [l, l], temperature: 0.5 });
  }
  await checkTwo([300, 201, 8], { pairOffset: 3, temperature: 0.5 });
  await checkTwo([201, 300, 8], { labels: [labelsOf(201, 7), labelsOf(300, 7)] });
});

testTiles('scale and temperature as inputs of the step', async () => {
  const [N, D] = [21, 8];
  const r = random(freshSeed());
  const [x, dy] = [r.normal(N * D).map((v) => v / 3), r.normal(N)];
  const inputs = { x: input([N, D]), dy: input([N]), scale: scalar(), temperature: scalar() };
  const step = await compile(
    await device(),
    ({ x, dy, scale, temperature }) => {
      const { loss } = contrast(x, x, { scale, temperature, excludeSelf: true, pairOffset: 7 });
      return { loss, dx: grad(loss, [x], dy)[0] };
    },
    { inputs },
  );
  for (const [scale, temperature] of [
    [1, 1],
    [3, 0.25],
    [0.5, 2],
    [-1, 1],
  ]) {
    await step.run({ x, dy, scale, temperature });
    const leaf = reference.leaf([N, D], x);
    const expected = dense(leaf, leaf, { scale, temperature, excludeSelf: true, pairOffset: 7 });
    const what = `scale ${scale}, temperature ${temperature}`;
    close(await step.read('loss'), expected.data, { rel: 1e-5, what });
    close(await step.read('dx'), reference.gradient(expected, [leaf], dy)[0], { rel: 1e-5, what });
  }
  step.dispose();
});

testTiles('statistics: the two parts of the log-sum-exp, and how many positives', async () => {
  const N = 40;
  const l = labelsOf(N, 9);
  const x = random(freshSeed()).normal(N * 8);
  const inputs = { x: input([N, 8]), l: input([N], 'u32') };
  const { byLabel, byPair, bare } = await evaluate(
    inputs,
    ({ x, l }) => ({
      byLabel: contrast(x, x, { excludeSelf: true, labels: [l, l] }).statistics,
      byPair: contrast(x, x, { excludeSelf: true, pairOffset: 20 }).statistics,
      bare: contrast(x, x, { excludeSelf: true }).statistics,
    }),
    { x, l },
  );
  const high = Array.from({ length: N }, (_, i) => {
    const dots = Array.from({ length: N }, (_, j) => {
      let dot = 0;
      for (let d = 0; d < 8; d++) dot += x[i * 8 + d] * x[j * 8 + d];
      return j === i ? Number.NEGATIVE_INFINITY : dot;
    });
    return Math.max(...dots);
  });
  const leaf = reference.leaf([N, 8], x);
  const lse = reference.pairwiseLse(leaf, leaf, { excludeSelf: true }).data;
  const expect = (found: Float32Array, counts: (i: number) => number, what: string) =>
    close(
      found,
      high.flatMap((h, i) => [h, lse[i] - h, counts(i)]),
      { rel: 1e-6, what },
    );
  expect(byLabel, (i) => l.filter((v, j) => v === l[i] && j !== i).length, 'by label');
  expect(byPair, () => 1, 'by pair');
  expect(bare, () => 0, 'without');
});

// ---- edges ----

testTiles('anchors without positives have loss 0 and give no gradient', async () => {
  const N = 19;
  // Everybody alone but three.
  const l = Uint32Array.from({ length: N }, (_, i) => (i === 4 || i === 11 || i === 18 ? 100 : i));
  await checkOne([N, 6], { excludeSelf: true, labels: [l, l] });
  const alone = Uint32Array.from({ length: N }, (_, i) => i);
  await checkOne([N, 6], { excludeSelf: true, labels: [alone, alone] });
  await checkTwo([N, N, 6], { labels: [alone, alone.map((v) => v + 1000)] });
});

testTiles('one class only', async () => {
  const l = new Uint32Array(37).fill(4_000_000_000);
  await checkOne([37, 8], { excludeSelf: true, labels: [l, l], temperature: 0.1 });
});

test('two rows: the only candidate is the positive', async () => {
  await checkOne([2, 5], { excludeSelf: true, pairOffset: 1, temperature: 0.1 });
  const l = Uint32Array.of(3, 3);
  await checkOne([2, 5], { excludeSelf: true, labels: [l, l], temperature: 0.1 });
});

const identical: (N: number, D: number) => InputSpec = (N, D) => ({
  shape: [N, D],
  values: (draw: Draw) => {
    const row = draw.normal(D).map((v) => v / Math.sqrt(D));
    return Float32Array.from({ length: N * D }, (_, i) => row[i % D]);
  },
});

testTiles('identical rows, zero rows', async () => {
  const N = 34;
  const problem = { excludeSelf: true, pairOffset: 17, temperature: 0.1 };
  await checkOne([N, 12], problem, identical(N, 12));
  await checkOne([N, 12], problem, { shape: [N, 12], values: () => new Float32Array(N * 12) });
  await checkOne([N, 12], problem, {
    shape: [N, 12],
    values: (draw: Draw, n: number) => draw.normal(n).map((v, i) => (i < 24 ? 0 : v / 3)),
  });
});

testTiles('a temperature of 0.01', async () => {
  await checkOne([66, 32], { excludeSelf: true, pairOffset: 33, temperature: 0.01 });
  const l = labelsOf(66, 5);
  await checkOne([66, 32], { excludeSelf: true, labels: [l, l], temperature: 0.01 });
  await checkTwo([40, 50, 32], { pairOffset: 0, temperature: 0.01 });
});

testTiles('similarities of thousands overflow nothing', async () => {
  const { loss, dx } = await evaluate(
    { x: input([6, 4]) },
    ({ x }) => {
      const { loss } = contrast(x, x, { scale: 1e4, excludeSelf: true, pairOffset: 3 });
      return { loss, dx: grad(loss, [x], constant(1, [6]))[0] };
    },
    // Rows of length 1: e0 e1 -e0 | e0 -e1 -e0.
    { x: [1, 0, 0, 0, 0, 1, 0, 0, -1, 0, 0, 0, 1, 0, 0, 0, 0, -1, 0, 0, -1, 0, 0, 0] },
  );
  // Where the positive is the nearest the loss vanishes; the opposite of e1 is the farthest, 1e4 below four zeros.
  close(loss, [0, 1e4 + Math.log(4), 0, 0, 1e4 + Math.log(4), 0]);
  if (!dx.every(Number.isFinite)) throw new Error(`gradient: ${dx}`);
});

test('what is not finite is seen in the loss', async () => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const x = random(freshSeed()).normal(40 * 8);
    x[17 * 8 + 3] = bad;
    const { loss } = await evaluate(
      { x: input([40, 8]) },
      ({ x }) => ({ loss: contrast(x, x, { excludeSelf: true, pairOffset: 20 }).loss }),
      { x },
    );
    if (loss.every(Number.isFinite)) throw new Error(`${bad} is gone`);
  }
});

test('the tile is chosen by adapter and rows', async () => {
  const entries = (N: number, largeTiles: boolean) => {
    const x = input([N, 8]);
    const { loss } = contrast(x, x, { excludeSelf: true });
    const [dx] = grad(loss, [x], constant(1, [N]));
    return plan({ dx }, [], {
      target: softwareTarget({ largeTiles: largeTiles ? 0 : Infinity }),
    }).dispatches.map(({ kernel }) => kernel.entry);
  };
  for (const [N, large, partial, weights] of [
    [63, true, 8, 8],
    [64, true, 16, 16],
    [256, true, 16, 16],
    [256, false, 8, 8],
  ] as const) {
    const found = entries(N, large);
    for (const entry of [`contrast_partial_${partial}`, `contrast_weights_${weights}`])
      if (!found.includes(entry)) throw new Error(`${N} rows: expected ${entry}, got ${found}`);
  }
});

// ---- size ----

testTiles(
  '2048 rows: some of them against a dense float64 reference',
  async () => {
    const [N, D, temperature] = [2048, 32, 0.5];
    const r = random(freshSeed());
    const [x, dy] = [r.normal(N * D).map((v) => v / Math.sqrt(D)), r.normal(N)];
    const pair = (i: number) => (i + N / 2) % N;
    const found = await evaluate(
      { x: input([N, D]), dy: input([N]) },
      ({ x, dy }) => {
        const { loss } = contrast(x, x, { temperature, excludeSelf: true, pairOffset: N / 2 });
        return { loss, dx: grad(loss, [x], dy)[0] };
      },
      { x, dy },
    );
    const s = (i: number, j: number) => {
      let dot = 0;
      for (let d = 0; d < D; d++) dot += x[i * D + d] * x[j * D + d];
      return dot / temperature;
    };
    const sums = new Float64Array(N);
    for (let i = 0; i < N; i++)
      for (let j = 0; j < i; j++) {
        const e = Math.exp(s(i, j));
        sums[i] += e;
        sums[j] += e;
      }
    const loss = sums.map((sum, i) => Math.log(sum) - s(i, pair(i)));
    close(found.loss, loss, { rel: 2e-6, what: 'loss' });
    // Rows at the edges of slabs, tiles and chunks, and some between.
    const wanted = [0, 1, 7, 8, 15, 16, 127, 128, 255, 256, 257, 1000, 1023, 1024, 1535, 1536, 2040, 2047];
    const dx = wanted.flatMap((i) => {
      const g = new Float64Array(D);
      for (let j = 0; j < N; j++) {
        if (j === i) continue;
        const e = Math.exp(s(i, j));
        const weight =
          dy[i] * (e / sums[i] - Number(pair(i) === j)) + dy[j] * (e / sums[j] - Number(pair(j) === i));
        for (let d = 0; d < D; d++) g[d] += (weight * x[j * D + d]) / temperature;
      }
      return [...g];
    });
    close(
      wanted.flatMap((i) => [...found.dx.slice(i * D, (i + 1) * D)]),
      dx,
      { rel: 1e-5, what: 'gradient' },
    );
  },
  true,
);

test('memory grows with the rows, not with their square', async () => {
  const D = 64;
  const plannedAt = async (N: number, build: (x: Tensor, y: Tensor) => Tensor) => {
    const inputs = { x: input([N, D]), y: input([N, D]) };
    const step = await compile(
      await device(),
      ({ x, y }) => {
        const loss = build(x, y);
        const [dx, dy] = grad(loss, [x, y], constant(1, [N]));
        return { loss, dx, dy };
      },
      { inputs, warmUp: false },
    );
    step.dispose();
    return step.stats.plannedBytes;
  };
  const kinds = {
    self: (x: Tensor) => contrast(x, x, { excludeSelf: true, pairOffset: 1 }).loss,
    pairs: (x: Tensor, y: Tensor) => contrast(x, y, { pairOffset: 0 }).loss,
  };
  for (const [name, build] of Object.entries(kinds)) {
    const [half, full] = [await plannedAt(4096, build), await plannedAt(8192, build)];
    const square = 8192 * 8192 * 4;
    if (full > square / 10) throw new Error(`${name}: ${full} bytes planned, N^2 is ${square}`);
    if (full > 2.2 * half) throw new Error(`${name}: ${half} bytes at 4096, ${full} at 8192`);
  }
});

test('the same bits each time', async () => {
  const N = 300;
  const x = random(freshSeed()).normal(N * 8);
  const step = await compile(
    await device(),
    ({ x }) => {
      const { loss } = contrast(x, x, { excludeSelf: true, pairOffset: 150 });
      return { loss, dx: grad(loss, [x], constant(1, [N]))[0] };
    },
    { inputs: { x: input([N, 8]) } },
  );
  const run = async () => {
    await step.run({ x });
    return [...(await step.read('loss')), ...(await step.read('dx'))];
  };
  const first = await run();
  close(await run(), first, { rel: 0, abs: 0 });
  step.dispose();
});

// ---- errors ----

test('what does not fit is named', () => {
  const [a, b] = [input([4, 3]), input([5, 3])];
  const labels = input([4], 'u32');
  throws(
    () => contrast(a, input([5, 2])),
    /contrast: expected \[M, D\] and \[N, D\], got \[4, 3\] and \[5, 2\]/,
  );
  throws(() => contrast(input([4]), b), /contrast: expected \[M, D\] and \[N, D\]/);
  throws(() => contrast(input([4, 3], 'u32'), b), /contrast: expected f32/);
  throws(() => contrast(b, a, { excludeSelf: true }), /expected the same 2 rows or more to exclude self/);
  throws(() => contrast(input([1, 3]), input([1, 3]), { excludeSelf: true }), /2 rows or more/);
  throws(() => contrast(a, b, { labels: [labels, labels] }), /expected u32 labels \[5\], got u32 \[4\]/);
  throws(() => contrast(a, a, { labels: [input([4]), labels] }), /expected u32 labels \[4\], got f32 \[4\]/);
  throws(() => contrast(a, a, { labels: [labels, labels], pairOffset: 1 }), /by pair or by label, got both/);
  for (const pairOffset of [-1, 0.5, Number.NaN])
    throws(() => contrast(a, a, { pairOffset }), /expected a whole pairOffset of at least 0/);
});

// ---- tiles in workgroup memory, as GPUs have them ----

test('workgroup tiles: against the reference, on edges of 64 rows, 8 chunks and 8 steps of k', () =>
  withTarget(GPU, async () => {
    for (const [N, D] of [
      [64, 3],
      [66, 36],
      [130, 12],
      [192, 4],
    ]) {
      await checkOne([N, D], { excludeSelf: true, pairOffset: N / 2, temperature: 0.2 });
      const l = labelsOf(N, 4);
      await checkOne([N, D], { excludeSelf: true, labels: [l, l], temperature: 0.3 });
      await checkTwo([N, 77, D], { pairOffset: 5, temperature: 0.5 });
      await checkTwo([N, 260, D], { labels: [labelsOf(N, 3), labelsOf(260, 3)] });
    }
  }));

test('workgroup tiles and tiles in registers have the same bits', async () => {
  const [M, N, D] = [70, 140, 12];
  const draw = random(freshSeed());
  const values = { a: draw.normal(M * D), b: draw.normal(N * D) };
  const entries = new Set<string>();
  const run = async () => {
    const build = ({ a, b }: Record<string, Tensor>): Record<string, Tensor> => {
      const one = contrast(a, a, { excludeSelf: true, pairOffset: M / 2, temperature: 5, mean: true }).loss;
      const two = contrast(a, b, { pairOffset: 3, temperature: 5, mean: true }).loss;
      const [da, db] = grad(add(one, two), [a, b]);
      return { one, two, da, db };
    };
    const inputs = { a: input([M, D]), b: input([N, D]) };
    const { target } = await device();
    for (const { kernel } of plan(build(inputs), [], { target }).dispatches) entries.add(kernel.entry);
    return evaluate(inputs, build, values);
  };
  const { dispatches: _, ...shared } = await withTarget(GPU, run);
  for (const entry of ['contrast_partial_shared', 'contrast_weights_shared'])
    if (!entries.has(entry)) throw new Error(`${entry} was not chosen: ${[...entries]}`);
  const { dispatches: __, ...registers } = await withTarget({ ...GPU, workgroupTiles: false }, run);
  for (const [name, array] of Object.entries(registers))
    close(shared[name], array, { rel: 0, abs: 0, what: name });
});
