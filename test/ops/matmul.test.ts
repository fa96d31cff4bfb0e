import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import type { PlanTarget } from '../../src/graph/op.ts';
import { plan } from '../../src/graph/plan.ts';
import { constant, input, reshape, type Tensor, variable } from '../../src/graph/tensor.ts';
import { ntXentLoss } from '../../src/methods/simclr.ts';
import { linear, type MatmulOptions, matmul } from '../../src/ops/matmul.ts';
import { slice } from '../../src/ops/shape.ts';
import { relu } from '../../src/ops/unary.ts';
import { adam } from '../../src/optim/adam.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, writeVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';
import { ownSettings, softwareTarget, withLargeTiles } from './tiles.ts';

const FORMS = [false, true].flatMap((transposeA) =>
  [false, true].map((transposeB) => ({ transposeA, transposeB })),
);

/** The shapes in memory of A and B whose product is [m, n] over k. */
function shapesOf([m, k, n]: readonly number[], { transposeA, transposeB }: MatmulOptions, batch?: number) {
  const lead = batch ? [batch] : [];
  return {
    a: [...lead, ...(transposeA ? [k, m] : [m, k])],
    b: [...lead, ...(transposeB ? [n, k] : [k, n])],
  };
}

/** The entry points that a graph runs. */
const entries = (y: Tensor, large = false, from = large ? 0 : Infinity) =>
  plan({ y }, [], { target: softwareTarget({ largeTiles: from }) }).dispatches.map(
    ({ kernel }) => kernel.entry,
  );

function checkProduct(size: readonly number[], form: MatmulOptions, batch?: number) {
  return checkOp({
    inputs: shapesOf(size, form, batch),
    build: ({ a, b }) => matmul(a, b, form),
    reference: ({ a, b }) => reference.matmul(a, b, form),
    rel: 4e-6,
    what: `${batch ? `${batch} x ` : ''}[m, k, n] = [${size}], ${JSON.stringify(form)}`,
  });
}

// ---- the product ----

// m, k, n around vec4s and tiles: those with whole vec4s run as 8 x 8, the others by scalars.
const SIZES = [
  [1, 1, 1],
  [1, 3, 4],
  [3, 4, 1],
  [4, 4, 4],
  [7, 8, 9],
  [8, 8, 8],
  [9, 15, 16],
  [15, 16, 17],
  [17, 31, 33],
  [31, 33, 64],
  [33, 64, 65],
  [64, 64, 64],
  [65, 127, 8],
  [127, 12, 20],
  [4, 128, 12],
  [12, 20, 128],
  [128, 5, 127],
];
for (const form of FORMS) {
  test(`matmul ${JSON.stringify(form)}`, async () => {
    for (const size of SIZES) await checkProduct(size, form);
  });
}

test('matmul, 8 x 8 tiles: every number of rows left over, columns that end in half a tile', async () => {
  for (let m = 1; m <= 17; m++) {
    const [a, b] = [input([m, 8]), input([8, 12])];
    if (entries(matmul(a, b))[0] !== 'matmul_8x8') throw new Error(`m = ${m}: ${entries(matmul(a, b))}`);
    await checkProduct([m, 8, 12], {});
  }
});

test('matmul, 4 x 4 tiles: every number of rows and columns left over', async () => {
  for (let m = 1; m <= 5; m++) for (let n = 5; n <= 9; n += m) await checkProduct([m, 3, n], {});
});

test('matmul of batches', async () => {
  for (const form of FORMS) {
    await checkProduct([3, 5, 7], form, 4);
    await checkProduct([12, 8, 20], form, 3);
    await checkProduct([9, 4, 4], { ...form, transposeA: false }, 5);
    await checkProduct([33, 1, 2], form, 2);
  }
});

// 16 x 16 needs at least 32,768 products; its gradients are products of other shapes and other tiles.
const LARGE = [
  [128, 4, 256],
  [129, 8, 260],
  [130, 4, 264],
  [141, 12, 268],
  [256, 20, 128],
  [260, 4, 132],
  [131, 7, 253],
  [257, 6, 129],
];
for (const form of FORMS) {
  test(`matmul, 16 x 16 tiles ${JSON.stringify(form)}`, () =>
    withLargeTiles(true, async () => {
      for (const size of LARGE) {
        const { a, b } = shapesOf(size, form);
        const found = entries(matmul(input(a), input(b), form), true).join();
        const whole = [a, b].every(([, columns]) => columns % 4 === 0);
        const copies = whole
          ? /^(copy_to_textures|copy_to_texture,copy_to_texture),/
          : /copy_numbers_to_texture,/;
        if (!copies.test(found) || !found.endsWith('matmul_16x16')) throw new Error(`[${size}]: ${found}`);
        await checkProduct(size, form);
      }
      // Batches stay in buffers.
      for (const size of [LARGE[0], LARGE[3], LARGE[5]]) await checkProduct(size, form, 2);
    }));
}

test('matmul, 16 x 16 tiles: rows that a texture has no place for lie beside the first ones', () =>
  withLargeTiles(80, async () => {
    const { target } = await device();
    for (const form of FORMS) {
      for (const size of [LARGE[0], [141, 12, 268], [256, 20, 128], [131, 7, 253], [257, 6, 129]]) {
        const { a, b } = shapesOf(size, form);
        const { textures } = plan({ y: matmul(input(a), input(b), form) }, [], { target });
        assert.equal(
          textures.map(({ height }) => height).sort(),
          [a, b].map(([rows]) => Math.min(4 * Math.ceil(rows / 4), 80)).sort(),
        );
        await checkProduct(size, form);
      }
    }
  }));

// 32 x 16 are for adapters with quads (Chromium), and for at least 2 ** 17 products.
for (const form of FORMS) {
  test(`matmul, 32 x 16 tiles ${JSON.stringify(form)}`, () =>
    withLargeTiles(true, async () => {
      const { target } = await device();
      const tile = (await ownSettings()).quads ? 'matmul_32x16' : 'matmul_16x16';
      for (const size of [
        [512, 4, 256],
        [332, 12, 396],
        [359, 5, 367],
        [257, 8, 516],
      ]) {
        const { a, b } = shapesOf(size, form);
        const { dispatches } = plan({ y: matmul(input(a), input(b), form) }, [], { target });
        const found = dispatches.at(-1)!.kernel.entry;
        if (found !== tile) throw new Error(`[${size}]: ${found}`);
        await checkProduct(size, form);
      }
    }));
}

test('matmul, 16 x 16 tiles: gradients that use them too', () =>
  withLargeTiles(true, async () => {
    await checkProduct([192, 192, 192], {});
    await checkProduct([192, 176, 188], { transposeA: true, transposeB: true });
  }));

// A large product is compared with float64 in rows of C at the edges of tiles.
for (const form of FORMS) {
  test(`matmul, a large one ${JSON.stringify(form)}`, () =>
    withLargeTiles(true, async () => {
      const [m, k, n] = [524, 1028, 260];
      const { a, b } = shapesOf([m, k, n], form);
      const r = random(freshSeed());
      const [x, y] = [r.normal(m * k), r.normal(k * n)];
      const inputs = { a: input(a), b: input(b) };
      const step = await compile(await device(), ({ a, b }) => ({ c: matmul(a, b, form) }), { inputs });
      await step.run({ a: x, b: y });
      const c = await step.read('c');
      step.dispose();
      for (const row of [0, 31, 32, 511, 512, 523]) {
        const expected = new Float64Array(n);
        for (let j = 0; j < n; j++) {
          for (let i = 0; i < k; i++) {
            const left = x[form.transposeA ? i * m + row : row * k + i];
            expected[j] += left * y[form.transposeB ? j * k + i : i * n + j];
          }
        }
        close(c.subarray(row * n, (row + 1) * n), expected, { rel: 4e-6, abs: 0, what: `row ${row}` });
      }
    }));
}

test('linear, 16 x 16 tiles: the bias gradient comes with that of the weight', () =>
  withLargeTiles(true, async () => {
    const [rows, width, outputs] = [1028, 524, 260];
    const r = random(freshSeed());
    const [x, w, dy] = [r.normal(rows * width), r.normal(width * outputs), r.normal(rows * outputs)];
    const inputs = { x: input([rows, width]), w: input([width, outputs]), dy: input([rows, outputs]) };
    const step = await compile(
      await device(),
      ({ x, w, dy }) => {
        const b = constant(0, [outputs]);
        return { db: grad(linear(x, w, b), [b], dy)[0] };
      },
      { inputs },
    );
    await step.run({ x, w, dy });
    const expected = new Float64Array(outputs);
    for (let i = 0; i < dy.length; i++) expected[i % outputs] += dy[i];
    close(await step.read('db'), expected, { rel: 4e-6, abs: 0 });
    step.dispose();
  }));

test('the tile is chosen by shape and adapter', () => {
  const of = (a: number[], b: number[], form: MatmulOptions = {}, large = false) =>
    entries(matmul(input(a), input(b), form), large).join();
  const expected = (found: string, wanted: string) => {
    if (found !== wanted) throw new Error(`expected ${wanted}, got ${found}`);
  };
  expected(of([512, 64], [64, 512]), 'matmul_8x8');
  expected(of([512, 64], [64, 512], {}, true), 'copy_to_textures,matmul_16x16');
  expected(of([128, 64], [64, 128], {}, true), 'matmul_8x8');
  const odd = 'copy_to_texture,copy_numbers_to_texture,matmul_16x16';
  expected(of([512, 63], [63, 512], {}, true), odd);
  expected(of([512, 64], [64, 511], {}, true), odd);
  expected(of([4, 64], [64, 511], {}, true), 'matmul_4x4');
  expected(of([65, 65], [65, 65]), 'matmul_any_8x8');
  expected(of([31, 31], [31, 31]), 'matmul_4x4');
  expected(of([1, 512, 64], [1, 64, 512], {}, true), 'matmul_16x16');
  expected(of([9000, 4], [4, 512], {}, true), 'copy_to_texture,copy_to_texture,matmul_16x16');
  expected(of([512, 40000], [40000, 512], {}, true), 'matmul_16x16');
  expected(of([512, 256], [256, 512]), 'matmul_8x8');
  // From as many multiply-adds on as the adapter says, and not before.
  for (const [k, wanted] of [
    [124, 'matmul_8x8'],
    [128, 'matmul_16x16'],
    [132, 'copy_to_texture,copy_to_texture,matmul_16x16'],
  ] as const)
    expected(entries(matmul(input([512, k]), input([k, 512])), true, 2 ** 25).join(), wanted);
  expected(of([64, 511], [64, 512], { transposeA: true }, true), odd);
  expected(of([512, 63], [63, 512]), 'matmul_any_8x8');
});

test('rows of whole 256 bytes are copied to textures without a kernel, in every run', () =>
  withLargeTiles(true, async () => {
    const d = await device();
    const r = random(freshSeed());
    const [m, k, n] = [256, 64, 128];
    const a = variable([m, k], { name: 'a' });
    const b = r.normal(k * n);
    const buffer = d.memory.create('b', 4 * k * n, 0x8c);
    d.gpu.queue.writeBuffer(buffer, 0, b);
    for (const buffers of [{}, { b: buffer }] as Record<string, GPUBuffer>[]) {
      const step = await compile(d, (t) => ({ c: matmul(a, t.b) }), {
        inputs: { b: input([k, n]) },
        buffers,
      });
      // A buffer of the caller may not allow the copy.
      assert.is(step.stats.dispatches, 'b' in buffers ? 2 : 1);
      const given = 'b' in buffers ? {} : { b };
      const runs = [
        () => step.run(given),
        ...(d.gpu.features.has('timestamp-query') ? [() => step.profile(given)] : []),
      ];
      for (const run of runs) {
        const values = r.normal(m * k);
        writeVariable(d, a, values);
        await run();
        const expected = reference.matmul(reference.leaf([m, k], values), reference.leaf([k, n], b), {});
        close(await step.read('c'), expected.data, { rel: 4e-6, what: 'c' });
      }
      step.dispose();
    }
    d.memory.free(buffer);
    freeVariables(d, [a]);
  }));

test('the three tiles agree to rounding on one product', async () => {
  const [m, k, n] = [160, 36, 208];
  const r = random(freshSeed());
  const [a, b] = [r.normal(m * k), r.normal(k * n)];
  const inputs = { a: input([m, k]), b: input([k, n]) };
  const run = (large: boolean) =>
    withLargeTiles(large, () => evaluate(inputs, (t) => ({ c: matmul(t.a, t.b) }), { a, b }));
  const [eight, sixteen] = [await run(false), await run(true)];
  // An odd k with a last step of zeros takes the 4 x 4 tiles.
  const odd = await evaluate(
    { a: input([m, k + 1]), b: input([k + 1, n]) },
    (t) => ({ c: matmul(t.a, t.b) }),
    {
      a: Float32Array.from({ length: m * (k + 1) }, (_, i) =>
        i % (k + 1) < k ? a[Math.floor(i / (k + 1)) * k + (i % (k + 1))] : 0,
      ),
      b: [...b, ...new Float32Array(n)],
    },
  );
  close(sixteen.c, eight.c, { rel: 1e-6 });
  close(odd.c, eight.c, { rel: 1e-6 });
});

test('whole numbers multiply exactly, and the same bits come each time', async () => {
  const r = random(freshSeed());
  const small = (n: number) => Float32Array.from(r.integers(n, 0, 17), (v) => v - 8);
  for (const [m, k, n] of [
    [37, 29, 41],
    [37, 28, 44],
  ]) {
    const [a, b] = [small(m * k), small(k * n)];
    const step = await compile(await device(), (t) => ({ c: matmul(t.a, t.b) }), {
      inputs: { a: input([m, k]), b: input([k, n]) },
    });
    await step.run({ a, b });
    const first = await step.read('c');
    close(first, reference.matmul(reference.leaf([m, k], a), reference.leaf([k, n], b)).data, {
      rel: 0,
      abs: 0,
    });
    await step.run({ a, b });
    close(await step.read('c'), first, { rel: 0, abs: 0 });
    step.dispose();
  }
});

test('long inner sizes', async () => {
  // llvmpipe ends an invocation after 65,535 rounds of its loops.
  for (const [m, k, n] of [
    [3, 70_003, 2],
    [4, 70_004, 4],
    [4, 200_001, 1],
  ]) {
    const ones = { a: new Float32Array(m * k).fill(1), b: new Float32Array(k * n).fill(1) };
    const { c } = await evaluate(
      { a: input([m, k]), b: input([k, n]) },
      (t) => ({ c: matmul(t.a, t.b) }),
      ones,
    );
    close(c, new Float32Array(m * n).fill(k), { rel: 0, abs: 0, what: `k = ${k}` });
  }
});

test('a long inner size with a small result is cut: the same product and gradients, in two dispatches', async () => {
  for (const size of [
    [7, 4096, 12],
    [33, 4104, 5],
    [64, 8192, 16],
  ]) {
    await checkProduct(size, { transposeA: true });
    const { a, b } = shapesOf(size, { transposeA: true });
    const y = matmul(input(a), input(b), { transposeA: true });
    const names = plan({ y }, []).dispatches.map(({ op }) => op.name);
    if (names.join() !== 'matmul,sum') throw new Error(`dispatches: ${names}`);
  }
  await checkOp({
    inputs: { x: [4096, 9], w: [9, 6], bias: [6] },
    build: ({ x, w, bias }) => linear(x, w, bias),
    reference: ({ x, w, bias }) => reference.linear(x, w, bias),
    rel: 4e-6,
    what: 'linear of 4,096 rows',
  });
});

test('a matrix times its own transpose: the gradients of both sides add up', async () => {
  for (const [m, k] of [
    [7, 5],
    [12, 8],
    [33, 16],
  ]) {
    await checkOp({
      inputs: { x: [m, k] },
      build: ({ x }) => matmul(x, x, { transposeB: true }),
      reference: ({ x }) => reference.matmul(x, x, { transposeB: true }),
      rel: 4e-6,
    });
  }
});

test('what is not finite stays in its row or column', async () => {
  for (const n of [12, 13]) {
    const a = new Float32Array(9 * 8).fill(1);
    const b = new Float32Array(8 * n).fill(1);
    a[8 * 8] = Number.POSITIVE_INFINITY; // the last row
    b[n - 1] = Number.NaN; // the last column
    const { c } = await evaluate({ a: input([9, 8]), b: input([8, n]) }, (t) => ({ c: matmul(t.a, t.b) }), {
      a,
      b,
    });
    const expected = c.map((_, i) =>
      i % n === n - 1 ? Number.NaN : Math.floor(i / n) === 8 ? Number.POSITIVE_INFINITY : 8,
    );
    close(c, expected, { what: `n = ${n}` });
  }
});

// ---- linear ----

/** Values whose products and sums are never near 0, where ReLU's gradient jumps: whole numbers plus a half. */
const whole = (draw: ReturnType<typeof random>, count: number) =>
  Float32Array.from(draw.integers(count, 0, 9), (v) => v - 4);
const halves = (draw: ReturnType<typeof random>, count: number) => whole(draw, count).map((v) => v + 0.5);

const LAYERS = [
  [1, 1, 1],
  [3, 7, 5],
  [9, 8, 12],
  [64, 64, 64],
  [65, 33, 127],
  [31, 16, 68],
  [16, 65, 4],
];

test('linear, with and without bias', async () => {
  for (const [N, I, O] of LAYERS) {
    const what = `[${N}, ${I}] -> ${O}`;
    const withBias = await checkOp({
      inputs: { x: [N, I], w: [I, O], b: [O] },
      build: ({ x, w, b }) => linear(x, w, b),
      reference: ({ x, w, b }) => reference.linear(x, w, b),
      rel: 4e-6,
      what,
    });
    const without = await checkOp({
      inputs: { x: [N, I], w: [I, O] },
      build: ({ x, w }) => linear(x, w),
      reference: ({ x, w }) => reference.linear(x, w),
      rel: 4e-6,
      what,
    });
    // Forward, dx, and dw with the sums of dy for db in one dispatch.
    for (const { dispatches } of [withBias, without])
      if (dispatches !== 3) throw new Error(`expected 3 dispatches, got ${dispatches}`);
  }
});

test('linear with relu', async () => {
  for (const [N, I, O] of LAYERS) {
    await checkOp({
      inputs: {
        x: { shape: [N, I], values: whole },
        w: { shape: [I, O], values: whole },
        b: { shape: [O], values: halves },
      },
      build: ({ x, w, b }) => linear(x, w, b, { activation: 'relu' }),
      reference: ({ x, w, b }) => reference.linear(x, w, b, 'relu'),
      rel: 4e-6,
    });
    // Odd times odd, one of them at a time: never 0.
    await checkOp({
      inputs: {
        x: { shape: [N, 1], values: halves },
        w: { shape: [1, O], values: halves },
      },
      build: ({ x, w }) => linear(x, w, null, { activation: 'relu' }),
      reference: ({ x, w }) => reference.linear(x, w, null, 'relu'),
      rel: 4e-6,
    });
  }
});

test('linear in 16 x 16 tiles: bias, relu and the sums for its gradient', () =>
  withLargeTiles(true, async () => {
    // dw is [I, O], made of N rows.
    for (const [N, I, O] of [
      [12, 132, 260],
      [260, 8, 132],
      [180, 192, 196],
    ]) {
      await checkOp({
        inputs: {
          x: { shape: [N, I], values: whole },
          w: { shape: [I, O], values: whole },
          b: { shape: [O], values: halves },
        },
        build: ({ x, w, b }) => linear(x, w, b, { activation: 'relu' }),
        reference: ({ x, w, b }) => reference.linear(x, w, b, 'relu'),
        rel: 4e-6,
        what: `[${N}, ${I}] -> ${O}`,
      });
    }
  }));

test('linear keeps leading sizes', async () => {
  for (const lead of [[], [2, 3], [5, 1, 4]]) {
    await checkOp({
      inputs: { x: [...lead, 12], w: [12, 8], b: [8] },
      build: ({ x, w, b }) => linear(x, w, b),
      reference: ({ x, w, b }) => reference.linear(x, w, b),
      rel: 4e-6,
      what: `lead [${lead}]`,
    });
  }
});

test('the gradient of a bias alone', async () => {
  for (const O of [12, 13]) {
    const inputs = { x: input([21, 8]), w: input([8, O]), b: input([O]), dy: input([21, O]) };
    const dy = random(freshSeed()).normal(21 * O);
    const { db } = await evaluate(inputs, (t) => ({ db: grad(linear(t.x, t.w, t.b), [t.b], t.dy)[0] }), {
      x: new Float32Array(21 * 8),
      w: new Float32Array(8 * O),
      b: new Float32Array(O),
      dy,
    });
    const expected = new Float64Array(O);
    for (const [i, v] of dy.entries()) expected[i % O] += v;
    close(db, expected, { rel: 2e-6 });
  }
});

// ---- the gradient of a relu, fused into the product before it ----

const MLP = { x: [24, 20], w1: [20, 36], b1: [36], w2: [36, 12], b2: [12] };
type Mlp = Record<keyof typeof MLP, Tensor>;
const twoLayers = ({ x, w1, b1, w2, b2 }: Mlp) => linear(linear(x, w1, b1, { activation: 'relu' }), w2, b2);

test('an MLP: the gradient of its relu costs no dispatch', async () => {
  const { dispatches } = await checkOp({
    inputs: {
      x: { shape: MLP.x, values: whole },
      w1: { shape: MLP.w1, values: whole },
      b1: { shape: MLP.b1, values: halves },
      w2: MLP.w2,
      b2: MLP.b2,
    },
    build: twoLayers,
    reference: ({ x, w1, b1, w2, b2 }) => reference.linear(reference.linear(x, w1, b1, 'relu'), w2, b2),
    rel: 4e-6,
  });
  // Two forward; dw2 with db2, dh behind its gate, dw1 with db1, dx.
  if (dispatches !== 6) throw new Error(`expected 6 dispatches, got ${dispatches}`);
});

for (const activate of ['linear', 'relu'] as const) {
  test(`the fused gradient of ${activate} has the bits of the unfused one`, async () => {
    for (const large of [false, true]) {
      for (const [N, H] of [
        [24, 36],
        [23, 37],
        [132, 256],
      ]) {
        const shapes = { x: [N, 8], w1: [8, H], b1: [H], w2: [H, 4], b2: [4], dy: [N, 4] };
        const r = random(freshSeed());
        const values = Object.fromEntries(
          Object.entries(shapes).map(([name, shape]) => [name, r.normal(reference.sizeOf(shape))]),
        );
        const inputs = Object.fromEntries(
          Object.entries(shapes).map(([name, shape]) => [name, input(shape)]),
        );
        const graph = (t: Record<string, Tensor>, seen: boolean): Record<string, Tensor> => {
          const h =
            activate === 'linear'
              ? linear(t.x, t.w1, t.b1, { activation: 'relu' })
              : relu(linear(t.x, t.w1, t.b1));
          const [dh, dw, dx] = grad(linear(h, t.w2, t.b2), [h, t.w1, t.x], t.dy);
          // Where somebody else reads dh, it must be made by itself.
          return seen ? { dw, dx, dh } : { dw, dx };
        };
        await withLargeTiles(large, async () => {
          const fused = await evaluate(inputs, (t) => graph(t, false), values);
          const plain = await evaluate(inputs, (t) => graph(t, true), values);
          if (plain.dispatches !== fused.dispatches + 1)
            throw new Error(`${plain.dispatches} dispatches unfused, ${fused.dispatches} fused`);
          for (const name of ['dw', 'dx']) close(fused[name], plain[name], { rel: 0, abs: 0, what: name });
          const { dh } = plain;
          if (!dh.some((v) => v !== 0)) throw new Error('dh is all zeros');
        });
      }
    }
  });
}

test('a gate behind a product with a bias, a batch of products, and a view of a product', async () => {
  const shapes = {
    y: [8, 12],
    x: [8, 4],
    w: [4, 12],
    b: [12],
    p: [2, 4, 5],
    q: [2, 5, 12],
    u: [16, 3],
    v: [3, 6],
  };
  const inputs = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, input(shape)]));
  const r = random(freshSeed());
  const values = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, r.normal(reference.sizeOf(shape))]),
  );
  const gate = (y: Tensor, dy: Tensor) => grad(relu(y), [y], dy)[0];
  const found = await evaluate(
    inputs,
    (t: Record<string, Tensor>) => ({
      biased: gate(t.y, linear(t.x, t.w, t.b)),
      batched: gate(reshape(t.y, [2, 4, 12]), matmul(t.p, t.q)),
      viewed: gate(t.y, reshape(matmul(t.u, t.v), [8, 12])),
    }),
    values,
  );
  const leaf = (name: keyof typeof shapes) => reference.leaf(shapes[name], values[name]);
  const expected = {
    biased: reference.linear(leaf('x'), leaf('w'), leaf('b')),
    batched: reference.matmul(leaf('p'), leaf('q')),
    viewed: reference.matmul(leaf('u'), leaf('v')),
  };
  for (const name of ['biased', 'batched', 'viewed'] as const)
    close(
      found[name],
      expected[name].data.map((z, i) => (values.y[i] > 0 ? z : 0)),
      { rel: 4e-6, what: name },
    );
  // Two relus, three products, two gates: only the batch of products takes its gate in.
  if (found.dispatches !== 7) throw new Error(`expected 7 dispatches, got ${found.dispatches}`);
});

// ---- a whole training step ----

/** 784-512-256-128 with ReLU, NT-Xent on two views of `pairs` samples, Adam: the step of the peers' benchmark. */
function trainingStep(pairs: number) {
  const widths = [784, 512, 256, 128];
  const r = random(freshSeed());
  const layers = widths.slice(1).map((O, i) => {
    const I = widths[i];
    const weight = r.normal(I * O).map((v) => v * Math.sqrt(2 / I));
    return [variable([I, O], { name: `w${i}`, initial: weight }), variable([O], { name: `b${i}` })] as const;
  });
  const optimizer = adam(layers.flat(), { learningRate: 1e-3 });
  const inputs = { x: input([2 * pairs, widths[0]]) };
  const build = ({ x }: typeof inputs) => {
    const z = layers.reduce(
      (h, [w, b], i) => linear(h, w, b, { activation: i < layers.length - 1 ? 'relu' : 'none' }),
      x,
    );
    const half = (start: number) => slice(z, { starts: [start, 0], sizes: [pairs, 128] });
    const loss = ntXentLoss(half(0), half(pairs), { temperature: 0.5 });
    optimizer.minimize(loss);
    return { loss };
  };
  return { inputs, build };
}

test('an MLP with NT-Xent and Adam: one pass, one submit, few dispatches, and it learns', async () => {
  const { inputs, build } = trainingStep(256);
  const step = await compile(await device(), build, { inputs });
  const { dispatches, passes, submits, largestBuffer } = step.stats;
  if (dispatches > 18) throw new Error(`expected 18 dispatches at most, got ${dispatches}`);
  if (passes !== 1 || submits !== 1) throw new Error(`${passes} passes, ${submits} submits`);
  // The largest is the parameters' gradient, or 512 activations of 512: nothing grows with pairs of samples.
  if (largestBuffer > 4 * 600_000) throw new Error(`largest buffer: ${largestBuffer} bytes`);
  const r = random(freshSeed());
  const samples = r.normal(256 * 784);
  const noise = r.normal(512 * 784);
  const x = Float32Array.from(noise, (v, i) => samples[i % samples.length] + 0.5 * v);
  const losses: number[] = [];
  for (let i = 0; i < 4; i++) {
    await step.run({ x });
    losses.push((await step.read('loss'))[0]);
  }
  step.dispose();
  for (let i = 1; i < 4; i++)
    if (!(losses[i] < losses[i - 1])) throw new Error(`the loss does not fall: ${losses}`);
});

test('its memory does not grow with the square of the batch', async () => {
  const statsAt = async (rows: number) => {
    const { inputs, build } = trainingStep(rows / 2);
    const step = await compile(await device(), build, { inputs, warmUp: false });
    step.dispose();
    return step.stats;
  };
  const [half, { largestBuffer, plannedBytes }] = [await statsAt(2048), await statsAt(4096)];
  const square = 4096 * 4096 * 4;
  // 4096 rows of 512 activations are an eighth of it.
  if (largestBuffer > square / 8) throw new Error(`largest buffer ${largestBuffer}, N^2 is ${square}`);
  if (plannedBytes > 2.1 * half.plannedBytes)
    throw new Error(`planned ${half.plannedBytes}, then ${plannedBytes}`);
});

// ---- errors ----

test('sizes that do not match are named', () => {
  const [a, b] = [input([3, 4]), input([5, 6])];
  throws(() => matmul(a, b), /matmul: expected inner sizes to match, got \[3, 4\] and \[5, 6\]/);
  for (const name of ['transposeA', 'transposeB'])
    for (const flag of [1, 'yes', new BigInt64Array(2)])
      throws(
        () => matmul(a, a, { [name]: flag }),
        new RegExp(`matmul: expected true or false for "${name}"`),
      );
  throws(
    () => matmul(a, input([4, 5]), { transposeA: true, transposeB: true }),
    /got \[3, 4\] \(transposed\) and \[4, 5\] \(transposed\)/,
  );
  throws(
    () => matmul(a, input([4])),
    /expected two matrices, or two batches of as many, got \[3, 4\] and \[4\]/,
  );
  throws(() => matmul(input([2, 3, 4]), input([3, 4, 5])), /two batches of as many/);
  throws(() => matmul(input([2, 3, 4]), input([4, 5])), /two batches of as many/);
  throws(() => matmul(input([3, 4], 'u32'), input([4, 5])), /matmul: expected f32/);
  throws(
    () => linear(a, input([5, 6])),
    /linear: expected x \[\.\.\., I\] and w \[I, O\], got \[3, 4\] and \[5, 6\]/,
  );
  throws(() => linear(a, input([4])), /linear: expected x/);
  throws(
    () => linear(a, input([4, 6]), input([5])),
    /linear: expected a bias \[6\] for w \[4, 6\], got \[5\]/,
  );
  throws(() => linear(input([3, 4], 'u8'), input([4, 6])), /linear: expected f32/);
});

test('a sum that llvmpipe would cut short is refused there', () => {
  const y = matmul(input([4, 262144]), input([262144, 4]));
  const planned = (target: PlanTarget) => () =>
    plan({ y }, [], { target: { ...softwareTarget(), ...target } });
  throws(
    planned({ mostRounds: 65535 }),
    /matmul: expected inner sizes of at most 262136 on llvmpipe, got 262144/,
  );
  planned({})();
});
