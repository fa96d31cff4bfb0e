// Compiled steps: what they compute, what they accept, what they leave alone.
import * as assert from 'uvu/assert';
import { openDevice } from '../../src/gpu/device.ts';
import { InputError, OutOfMemoryError } from '../../src/gpu/errors.ts';
import { assign, copy } from '../../src/graph/basic.ts';
import {
  constant,
  flatten,
  input,
  pack,
  reshape,
  scalar,
  type Tensor,
  variable,
} from '../../src/graph/tensor.ts';
import { batchNorm } from '../../src/ops/batch_norm.ts';
import { add, div, mul, sub } from '../../src/ops/binary.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { uniform } from '../../src/ops/random.ts';
import { mean, sum } from '../../src/ops/reduce.ts';
import { concatenate } from '../../src/ops/shape.ts';
import { exp, log, relu, square } from '../../src/ops/unary.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable, variableRange, writeVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

const pass = (x: Tensor) => copy([x]);
const array = (...values: number[]) => Float32Array.from(values);

test('outputs that are inputs, constants, variables, scalars and views', async () => {
  const gpu = await device();
  const inputs = { x: input([2, 2]), s: scalar() };
  const v = variable([3], { name: 'v', initial: array(7, 8, 9) });
  const step = await compile(
    gpu,
    ({ x, s }) => ({
      x,
      s,
      v,
      one: constant(1, [5]),
      list: constant(array(1, 2, 3), [3]),
      view: reshape(x, [4]),
      y: add(reshape(x, [4]), s),
    }),
    { inputs },
  );
  await step.run({ x: array(1, 2, 3, 4), s: 0.5 });
  close(await step.read('x'), [1, 2, 3, 4]);
  close(await step.read('s'), [0.5]);
  close(await step.read('v'), [7, 8, 9]);
  close(await step.read('one'), [1, 1, 1, 1, 1]);
  close(await step.read('list'), [1, 2, 3]);
  close(await step.read('view'), [1, 2, 3, 4]);
  close(await step.read('y'), [1.5, 2.5, 3.5, 4.5]);
  step.dispose();
  freeVariables(gpu, [v]);
});

test('a step without a dispatch runs', async () => {
  const inputs = { x: input([3]) };
  const step = await compile(await device(), ({ x }) => ({ x }), { inputs });
  await step.run({ x: array(1, 2, 3) });
  close(await step.read('x'), [1, 2, 3]);
  assert.is(step.stats.dispatches, 0);
  step.dispose();
});

test('scalar inputs serve as uniforms and as tensors, f32 and u32', async () => {
  const inputs = { s: scalar(), n: scalar('u32'), x: input([3]) };
  const step = await compile(
    await device(),
    ({ s, n, x }) => ({
      s: pass(s),
      n: pass(n),
      product: mul(x, s),
      drawn: uniform([4], { seed: n }),
      fixed: uniform([4], { seed: 4_000_000_000 }),
    }),
    { inputs },
  );
  for (const s of [2.5, -1e-3]) {
    await step.run({ s, n: 4_000_000_000, x: array(1, 2, 3) });
    close(await step.read('s'), [Math.fround(s)], { rel: 0, abs: 0 });
    close(await step.read('n'), [4_000_000_000], { rel: 0, abs: 0 });
    close(await step.read('product'), [s, 2 * s, 3 * s]);
    close(await step.read('drawn'), await step.read('fixed'), { rel: 0, abs: 0 });
  }
  step.dispose();
});

test('u8 and u32 inputs, variables and outputs keep every element and no padding', async () => {
  const gpu = await device();
  const draw = random(freshSeed());
  for (const n of [1, 3, 4, 5, 63, 64, 65, 257]) {
    const inputs = { bytes: input([n], 'u8'), words: input([n], 'u32') };
    const v = variable([n], { name: 'v', dtype: 'u8', initial: 9 });
    const step = await compile(
      gpu,
      ({ bytes, words }) => {
        const kept = pass(v);
        assign(v, bytes);
        return { bytes: pass(bytes), words: pass(words), kept };
      },
      { inputs },
    );
    const bytes = Uint8Array.from(draw.integers(n, 0, 256));
    const words = draw.integers(n, 0, 2 ** 32);
    await step.run({ bytes, words });
    assert.equal(await step.read('bytes'), bytes);
    assert.equal(await step.read('words'), words);
    assert.equal(await step.read('kept'), new Uint8Array(n).fill(9));
    assert.equal(await readVariable(gpu, v), bytes);
    writeVariable(gpu, v, Uint8Array.from(words));
    assert.equal(await readVariable(gpu, v), Uint8Array.from(words));
    step.dispose();
    freeVariables(gpu, [v]);
  }
});

test('run says what is wrong with its inputs, and the step goes on afterwards', async () => {
  const inputs = { x: input([4]), n: input([2], 'u32'), s: scalar(), seed: scalar('u32') };
  const step = await compile(await device(), ({ x, s, n }) => ({ y: mul(x, s), n }), { inputs });
  const good = { x: array(1, 2, 3, 4), n: new Uint32Array(2), s: 2, seed: 2 ** 32 - 1 };
  const bad: [object, RegExp][] = [
    [{}, /input "x": expected a Float32Array, got undefined/],
    [{ ...good, s: undefined }, /expected a number for "s", got undefined/],
    [{ ...good, s: array(1) }, /expected a number for "s"/],
    [{ ...good, x: array(1, 2, 3) }, /input "x": expected 4 elements, got 3/],
    [{ ...good, x: [1, 2, 3, 4] }, /input "x": expected a Float32Array, got an array of 4/],
    [{ ...good, x: new Float64Array(4) }, /input "x": expected a Float32Array, got a Float64Array of 4/],
    [{ ...good, seed: -1 }, /whole number of \[0, 2\^32\) for "seed", got -1/],
    [{ ...good, seed: 0.5 }, /whole number .* for "seed", got 0.5/],
    [{ ...good, n: new Int32Array(2) }, /input "n": expected a Uint32Array, got an Int32Array of 2/],
    [{ ...good, extra: 1 }, /no input is called "extra"/],
    [{ ...good, toString: 1 }, /no input is called "toString"/],
  ];
  for (const [values, pattern] of bad) {
    let error: unknown;
    await step.run(values as never).catch((caught) => {
      error = caught;
    });
    assert.instance(error, InputError);
    assert.match((error as Error).message, pattern);
  }
  await throws(() => step.read('z' as never), /no output is called "z"/);
  await throws(() => step.read('toString' as never), /no output is called "toString"/);
  throws(() => step.buffer('z' as never), /no output is called "z"/);
  await step.run(good);
  close(await step.read('y'), [2, 4, 6, 8]);
  step.dispose();
  await throws(() => step.run(good), /disposed/);
  await throws(() => step.read('y'), /disposed/);
  throws(() => step.buffer('y'), /disposed/);
});

test('compile says what is wrong with a step', async () => {
  const gpu = await device();
  const [x, s] = [input([2]), scalar()];
  const { bytes, buffers } = gpu.memory;
  await throws(() => compile(gpu, () => ({ y: square(x) })), /input tensor .* not in the `inputs`/);
  await throws(() => compile(gpu, () => ({ y: pass(s) })), /input .* not in the `inputs`/);
  await throws(
    () => compile(gpu, () => ({ y: mul(constant(array(1, 2), [2]), s) })),
    /scalar input of this step/,
  );
  await throws(
    () => compile(gpu, () => ({ y: undefined as unknown as Tensor })),
    /output "y".*expected a tensor, got undefined/,
  );
  await throws(() => compile(gpu, (async () => ({ y: x })) as never), /expected a record of tensors/);
  assert.equal([gpu.memory.bytes, gpu.memory.buffers], [bytes, buffers]);
});

test('liveness: the bytes of a long chain do not grow with its length, and its value is right', async () => {
  const gpu = await device();
  const x = input([1000]);
  const planned: number[] = [];
  for (const length of [8, 80]) {
    const step = await compile(
      gpu,
      () => {
        let y: Tensor = x;
        for (let i = 0; i < length; i++)
          y = add(matmul(reshape(y, [10, 100]), constant(identity(100), [100, 100])), i) as Tensor;
        return { y };
      },
      { inputs: { x } },
    );
    await step.run({ x: new Float32Array(1000).fill(1) });
    close(await step.read('y'), new Float32Array(1000).fill(1 + (length * (length - 1)) / 2));
    planned.push(step.stats.plannedBytes - 256 * step.stats.dispatches - length * 40192);
    step.dispose();
  }
  assert.ok(planned[1] <= planned[0] + 256, `${planned}`);
});

const identity = (n: number) => new Float32Array(n * n).map((_, i) => Number(i % (n + 1) === 0));

test('slots are full of NaN before: padded sizes, packs and reused slots give the same values', async () => {
  const gpu = await device();
  const draw = random(freshSeed());
  for (const n of [1, 3, 5, 63, 65, 127]) {
    const inputs = { x: input([n]), w: input([n, 3]) };
    const build = ({ x, w }: typeof inputs) => {
      const h = relu(add(x, x));
      const parts = pack([h, matmul(reshape(h, [1, n]), w), square(x)]);
      return { parts: pass(parts), y: mean(exp(sub(h, sum(square(h))))), z: add(h, 1) };
    };
    const [reused, apart] = [
      await compile(gpu, build, { inputs }),
      await compile(gpu, build, { inputs, check: true }),
    ];
    const nan = { x: new Float32Array(n).fill(Number.NaN), w: new Float32Array(3 * n).fill(Number.NaN) };
    const values = { x: draw.normal(n).map((v) => v / n), w: draw.normal(3 * n) };
    const ones = { x: new Float32Array(n).fill(1 / n), w: new Float32Array(3 * n).fill(1) };
    await reused.run(nan);
    await reused.run(values);
    await apart.run(ones);
    await apart.run(values);
    for (const name of ['parts', 'y', 'z'] as const) {
      const found = await reused.read(name);
      assert.ok(found.every(Number.isFinite), `${name} at ${n}`);
      close(found, await apart.read(name), { rel: 0, abs: 0, what: `${name} at ${n}` });
    }
    // Gaps between parts are zero.
    const parts = await reused.read('parts');
    const gap = Math.ceil(n / 64) * 64;
    close(parts.slice(n, gap), new Float32Array(gap - n), { rel: 0, abs: 0, what: `gap at ${n}` });
    close(parts.slice(gap + 3, gap + 64), new Float32Array(61), { rel: 0, abs: 0 });
    reused.dispose();
    apart.dispose();
  }
});

test('a variable is assigned from itself, through views, parts of one flat buffer, and in turn', async () => {
  const gpu = await device();
  const [a, b] = [
    variable([2, 2], { name: 'a', initial: array(1, 2, 3, 4) }),
    variable([4], { name: 'b', initial: 5 }),
  ];
  flatten([a, b]);
  const step = await compile(gpu, () => {
    const before = pass(a);
    assign(a, reshape(b, [2, 2])); // parts of one buffer
    assign(b, reshape(before, [4])); // a swap
    assign(b, add(b, reshape(b, [4])));
    assign(a, a);
    return { before, a: pass(a), b: pass(b) };
  });
  await step.run();
  close(await step.read('before'), [1, 2, 3, 4]);
  close(await readVariable(gpu, a), [5, 5, 5, 5]);
  close(await readVariable(gpu, b), [2, 4, 6, 8]);
  await step.run();
  close(await readVariable(gpu, a), [2, 4, 6, 8]);
  close(await readVariable(gpu, b), [10, 10, 10, 10]);
  close(await step.read('a'), [2, 4, 6, 8]);
  close(await step.read('b'), [10, 10, 10, 10]);
  step.dispose();
});

test('parts of packs: of a variable, of one another, twice, and packed again', async () => {
  const x = input([64]);
  const v = variable([64], { name: 'v', initial: 3 });
  const step = await compile(
    await device(),
    () => {
      const y = add(x, 1);
      const z = mul(y, 2);
      const inner = pack([y, z, y]);
      return { all: pass(pack([v, inner, x, y, constant(4, [64])])), y: add(y, 0.5) };
    },
    { inputs: { x } },
  );
  await step.run({ x: new Float32Array(64).fill(1) });
  const all = await step.read('all');
  close(
    Array.from({ length: 7 }, (_, i) => all[64 * i + 63]),
    [3, 2, 4, 2, 1, 2, 4],
  );
  close((await step.read('y')).slice(0, 1), [2.5]);
  step.dispose();
});

test('several steps share variables; warming up changes none', async () => {
  const gpu = await device();
  const w = variable([3], { name: 'w', initial: array(1, 2, 3) });
  const count = variable([1], { name: 'count', dtype: 'f32' });
  const train = await compile(gpu, () => {
    assign(w, add(w, 1));
    assign(count, add(count, 1));
    return {};
  });
  close(await readVariable(gpu, w), [1, 2, 3]);
  const show = await compile(gpu, () => ({ sum: sum(w) }));
  await train.run();
  await train.run();
  await show.run();
  close(await show.read('sum'), [12]);
  const again = await compile(
    gpu,
    () => {
      assign(w, add(w, 1));
      return {};
    },
    { maxSubmitMs: 1 },
  );
  await show.run();
  close(await show.read('sum'), [12]);
  await again.run();
  await show.run();
  close(await show.read('sum'), [15]);
  close(await readVariable(gpu, count), [2]);
  writeVariable(gpu, w, array(0, 0, 1));
  await show.run();
  close(await show.read('sum'), [1]);
  for (const step of [train, show, again]) step.dispose();
  close(await readVariable(gpu, w), [0, 0, 1], { what: 'variables outlive steps' });
  freeVariables(gpu, [w]);
  close(await readVariable(gpu, w), [1, 2, 3], { what: 'a freed variable starts anew' });
  freeVariables(gpu, [w, count]);
});

test('the same closure compiled twice gives two independent steps', async () => {
  const gpu = await device();
  const inputs = { x: input([2]) };
  const build = ({ x }: typeof inputs) => ({ y: square(x) });
  const [a, b] = await Promise.all([compile(gpu, build, { inputs }), compile(gpu, build, { inputs })]);
  await a.run({ x: array(1, 2) });
  await b.run({ x: array(3, 4) });
  close(await a.read('y'), [1, 4]);
  close(await b.read('y'), [9, 16]);
  a.dispose();
  close(await b.read('y'), [9, 16]);
  await b.run({ x: array(5, 6) });
  close(await b.read('y'), [25, 36]);
  b.dispose();
});

test('writeVariable checks its data', async () => {
  const gpu = await device();
  const v = variable([3], { name: 'v' });
  throws(() => writeVariable(gpu, v, array(1)), /variable "v": expected 3 elements, got 1/);
  throws(() => writeVariable(gpu, v, new Uint32Array(3)), /expected a Float32Array, got a Uint32Array of 3/);
  const wrong = variable([3], { name: 'wrong', initial: array(1) });
  await throws(
    async () => readVariable(gpu, wrong),
    /variable "wrong": expected 3 elements for \[3\], got 1/,
  );
  const typed = variable([3], { name: 'typed', initial: new Uint8Array(3) });
  await throws(
    async () => readVariable(gpu, typed),
    /variable "typed": expected a Float32Array for f32, got a Uint8Array/,
  );
  const nothing = variable([3], { name: 'nothing', initial: () => undefined as never });
  await throws(
    async () => readVariable(gpu, nothing),
    /variable "nothing": expected a Float32Array for f32, got undefined/,
  );
  freeVariables(gpu, [v]);
});

test('flattening keeps values that were written before; a step compiled before it says so', async () => {
  const gpu = await device();
  const [a, b] = [variable([3], { name: 'a' }), variable([2], { name: 'b', initial: 4 })];
  writeVariable(gpu, a, array(1, 2, 3));
  const old = await compile(gpu, () => ({ y: add(a, 0.5) }));
  const { bytes } = gpu.memory;
  const flat = flatten([a, b]);
  close(await readVariable(gpu, a), [1, 2, 3]);
  close(await readVariable(gpu, b), [4, 4]);
  assert.is(variableRange(gpu, a).buffer, variableRange(gpu, flat).buffer);
  assert.ok(gpu.memory.bytes <= bytes + 512, 'the old buffer is freed');
  await throws(() => old.run(), /variable "a".*compile it again/);
  const step = await compile(gpu, () => ({ y: add(a, 0.5), all: pass(flat) }));
  await step.run();
  close(await step.read('y'), [1.5, 2.5, 3.5]);
  const all = await step.read('all');
  close(all.slice(0, 4), [1, 2, 3, 0]);
  close(all.slice(64, 67), [4, 4, 0]);
  freeVariables(gpu, [flat]);
  await throws(() => step.run(), /variable "parameters".*compile it again/);
  step.dispose();
  old.dispose();
});

test('a variable held by the queue is the one of the moment', async () => {
  const gpu = await device();
  const v = variable([1], { name: 'v' });
  const step = await compile(gpu, () => {
    assign(v, add(v, 1));
    return {};
  });
  const reads: Promise<ArrayLike<number>>[] = [];
  for (let i = 0; i < 20; i++) {
    await step.run();
    reads.push(readVariable(gpu, v));
  }
  for (const [i, values] of (await Promise.all(reads)).entries()) close(values, [i + 1]);
  step.dispose();
  freeVariables(gpu, [v]);
});

test('progress is told for each pipeline, each compiled once', async () => {
  const gpu = await openDevice();
  const seen: [number, number][] = [];
  const x = input([8]);
  const step = await compile(gpu, () => ({ y: sum(exp(square(exp(x)))) }), {
    inputs: { x },
    onProgress: (done, total) => seen.push([done, total]),
  });
  await Promise.resolve();
  const { pipelines } = step.stats;
  assert.equal(
    seen,
    Array.from({ length: pipelines }, (_, i) => [i + 1, pipelines]),
  );
  gpu.dispose();
});

test('profile names every dispatch in order and its times are positive', async () => {
  const gpu = await device();
  const inputs = { x: input([200, 200]) };
  const step = await compile(gpu, ({ x }) => ({ y: sum(exp(matmul(x, x))) }), { inputs });
  const values = { x: random(freshSeed()).uniform(40000) };
  if (!gpu.gpu.features.has('timestamp-query')) {
    await throws(() => step.profile(values), /timestamp-query/);
    return;
  }
  const before = gpu.memory.buffers;
  const times = await step.profile(values);
  assert.is(times.length, step.stats.dispatches);
  // Some adapters copy what a product reads first.
  const [product, exponential] = times.filter(({ name }) => name !== 'toTextures');
  assert.match(product.name, /^matmul/);
  assert.match(exponential.name, /^exp/);
  for (const { name, ms } of times) assert.ok(ms >= 0 && ms < 5000, `${name}: ${ms} ms`);
  assert.ok(product.ms > 0);
  assert.ok(gpu.memory.buffers <= before + 1);
  await throws(() => step.profile({}), /input "x"/);
  step.dispose();
});

test('check: names the first op with a non-finite value and changes no variable', async () => {
  const gpu = await device();
  const inputs = { x: input([3]) };
  const v = variable([3], { name: 'v', initial: 2 });
  const build = ({ x }: typeof inputs) => {
    const y = log(div(1, x)); // infinite at 0
    assign(v, square(y));
    return { loss: mean(x) };
  };
  const check = await compile(gpu, build, { inputs, check: true });
  assert.is(await check.firstNonFinite({ x: array(1, 2, 3) }), null);
  const found = await check.firstNonFinite({ x: array(1, 0, 3) });
  assert.match(String(found), /^div \[3\]: Infinity at element 1/);
  close(await readVariable(gpu, v), [2, 2, 2]);
  await check.run({ x: array(1, 2, 3) });
  close(await check.read('loss'), [2]);
  close(await readVariable(gpu, v), [2, 2, 2]);
  check.dispose();
  const step = await compile(gpu, build, { inputs });
  await throws(() => step.firstNonFinite({ x: array(1, 2, 3) }), /check: true/);
  step.dispose();
  freeVariables(gpu, [v]);
});

test('check: batch norm in training changes no running statistics', async () => {
  const gpu = await device();
  const inputs = { x: input([4, 2]) };
  const [runningMean, runningVariance] = [
    variable([2], { name: 'mean' }),
    variable([2], { name: 'variance', initial: 1 }),
  ];
  const check = await compile(
    gpu,
    ({ x }) => ({ y: batchNorm(x, null, null, { runningMean, runningVariance }) }),
    { inputs, check: true },
  );
  assert.is(await check.firstNonFinite({ x: array(1, 2, 3, 4, 5, 6, 7, 9) }), null);
  close(await readVariable(gpu, runningMean), [0, 0]);
  close(await readVariable(gpu, runningVariance), [1, 1]);
  check.dispose();
});

// ---- the caller's buffers ----

const STORAGE = 0x80;
const COPY_SRC = 0x04;
const COPY_DST = 0x08;
const bufferOf = (gpu: GPUDevice, floats: number, usage = STORAGE | COPY_SRC | COPY_DST) =>
  gpu.createBuffer({ size: floats * 4, usage });

test('an input is read from a caller’s buffer, an output written to one', async () => {
  const gpu = await device();
  const [from, to] = [bufferOf(gpu.gpu, 8), bufferOf(gpu.gpu, 8)];
  const inputs = { x: input([8]), s: scalar() };
  const step = await compile(gpu, ({ x, s }) => ({ y: mul(x, s), total: sum(x) }), {
    inputs,
    buffers: { x: from, y: to },
  });
  assert.is(step.buffer('y').buffer, to);
  for (const s of [2, 3]) {
    gpu.gpu.queue.writeBuffer(from, 0, array(1, 2, 3, 4, 5, 6, 7, s));
    await step.run({ s });
    close(
      await step.read('y'),
      [1, 2, 3, 4, 5, 6, 7, s].map((v) => v * s),
    );
    close(await step.read('total'), [28 + s]);
  }
  await throws(
    () => step.run({ s: 1, x: new Float32Array(8) }),
    /"x" is read from the buffer given to compile/,
  );
  step.dispose();
  // The caller's buffers are the caller's.
  const other = await compile(gpu, ({ x, s }) => ({ y: add(x, s) }), { inputs, buffers: { x: to } });
  await other.run({ s: 1 });
  close(await other.read('y'), [4, 7, 10, 13, 16, 19, 22, 10]);
  other.dispose();
  from.destroy();
  to.destroy();
});

test('one buffer as input and output: not of one dispatch, else a state that goes on', async () => {
  const gpu = await device();
  const state = bufferOf(gpu.gpu, 4);
  const inputs = { x: input([4]), y: input([4]) };
  const { bytes, buffers } = gpu.memory;
  const given = { x: state, next: state };
  await throws(
    () => compile(gpu, ({ x, y }) => ({ next: add(x, y) }), { inputs, buffers: given }),
    /add would read and write one buffer/,
  );
  assert.equal([gpu.memory.bytes, gpu.memory.buffers], [bytes, buffers]);
  const step = await compile(gpu, ({ x, y }) => ({ next: add(mul(x, 2), y) }), {
    inputs,
    buffers: given,
    warmUp: false,
  });
  gpu.gpu.queue.writeBuffer(state, 0, array(1, 2, 3, 4));
  for (let i = 0; i < 3; i++) await step.run({ y: array(1, 1, 1, 1) });
  close(await step.read('next'), [15, 23, 31, 39]);
  step.dispose();
  state.destroy();
});

test('an output’s buffer needs only the output’s own bytes, whatever the plan reuses', async () => {
  const gpu = await device();
  const to = bufferOf(gpu.gpu, 8);
  const inputs = { x: input([1000]) };
  const build = ({ x }: typeof inputs) => {
    const big = exp(exp(exp(x))); // its slots are free when the output is made
    return { y: relu(add(constant(array(1, 2, 3, 4, 5, 6, 7, 8), [8]), sum(big))) };
  };
  const step = await compile(gpu, build, { inputs, buffers: { y: to } });
  await step.run({ x: new Float32Array(1000).fill(-100) });
  const total = 1000 * Math.E;
  close(
    await step.read('y'),
    [1, 2, 3, 4, 5, 6, 7, 8].map((v) => v + total),
    { rel: 1e-5 },
  );
  step.dispose();
  to.destroy();
});

test('buffers that cannot serve are refused before anything is allocated', async () => {
  const gpu = await device();
  const inputs = { x: input([5]) };
  const v = variable([5], { name: 'v', initial: 1 });
  const build = ({ x }: typeof inputs) => ({ y: square(x), same: reshape(x, [5, 1]), v });
  const { bytes, buffers } = gpu.memory;
  const refuse = async (given: Record<string, GPUBuffer>, pattern: RegExp) => {
    await throws(() => compile(gpu, build, { inputs, buffers: given }), pattern);
    assert.equal([gpu.memory.bytes, gpu.memory.buffers], [bytes, buffers]);
  };
  const [small, exact, unusable, good] = [
    bufferOf(gpu.gpu, 4),
    bufferOf(gpu.gpu, 5), // kernels move four floats at a time
    bufferOf(gpu.gpu, 8, COPY_DST),
    bufferOf(gpu.gpu, 8),
  ];
  await refuse({ x: small }, /"x" needs 32 bytes .*its buffer has 16/);
  await refuse({ y: small }, /"y" needs 32 bytes .*its buffer has 16/);
  await refuse({ x: exact }, /"x" needs 32 bytes .*its buffer has 20/);
  await refuse({ y: exact }, /"y" needs 32 bytes .*its buffer has 20/);
  await refuse({ x: unusable }, /"x".*STORAGE/);
  await refuse({ y: unusable }, /"y".*STORAGE/);
  await refuse({ q: good }, /"q" is neither an input nor an output/);
  await refuse({ v: good }, /"v" is not computed by this step/);
  await refuse({ same: good }, /"same" is not computed by this step/);
  for (const buffer of [small, exact, unusable, good]) buffer.destroy();
});

// ---- memory ----

test('a plan that cannot be bound names its largest tensor, and nothing is allocated', async () => {
  const gpu = await openDevice({ defaultLimits: true });
  const limit = gpu.gpu.limits.maxStorageBufferBindingSize;
  const rows = limit / 4 / 1024 + 1;
  const { bytes, buffers } = gpu.memory;
  const refuse = async (
    build: () => Record<string, Tensor>,
    inputs: Record<string, Tensor>,
    pattern: RegExp,
  ) => {
    let error: unknown;
    await compile(gpu, build, { inputs }).catch((caught) => {
      error = caught;
    });
    assert.instance(error, OutOfMemoryError, String(error));
    assert.match((error as Error).message, pattern);
    assert.equal([gpu.memory.bytes, gpu.memory.buffers], [bytes, buffers]);
  };
  const column = input([rows, 1]);
  const w = variable([1, 1024], { name: 'w' });
  await refuse(
    () => ({ y: sum(exp(matmul(column, w))) }),
    { column },
    new RegExp(`matmul \\[${rows}, 1024\\]`),
  );
  const x = input([rows, 1024]);
  await refuse(() => ({ y: sum(x) }), { x }, /input "x"/);
  await refuse(
    () => ({ y: matmul(constant(1, [rows, 1024]), constant(1, [1024, 1])) }),
    {},
    /constant \[\d+, 1024\]/,
  );
  const v = variable([rows, 1024], { name: 'huge' });
  await refuse(() => ({ y: sum(v) }), {}, /variable "huge"/);
  assert.is(gpu.error, null);
  // The device still works, and the variable of the failed plan too.
  const small = input([2, 1]);
  const step = await compile(gpu, () => ({ y: sum(matmul(small, w)) }), { inputs: { small } });
  await step.run({ small: array(1, 2) });
  close(await step.read('y'), [0]);
  gpu.dispose();
});

test('memory that runs out: OutOfMemoryError with the largest tensors, all is given back, and a retry works', async () => {
  const gpu = await openDevice();
  const x = input([300]);
  const w = variable([300], { name: 'w', initial: 2 });
  const build = () => ({ y: sum(concatenate([mul(x, w), exp(x)])) });
  const { bytes, buffers } = gpu.memory;
  // The driver says no to the first allocation of this plan.
  const raw = gpu.gpu;
  const original = raw.popErrorScope.bind(raw);
  let pushed: string[] = [];
  const push = raw.pushErrorScope.bind(raw);
  raw.pushErrorScope = (filter) => {
    pushed = [...pushed, filter];
    return push(filter);
  };
  raw.popErrorScope = async () => {
    const filter = pushed.at(-1);
    pushed = pushed.slice(0, -1);
    const error = await original();
    return filter === 'out-of-memory' ? new GPUOutOfMemoryError('stub') : error;
  };
  let error: unknown;
  await compile(gpu, build, { inputs: { x } }).catch((caught) => {
    error = caught;
  });
  raw.popErrorScope = original;
  raw.pushErrorScope = push;
  assert.instance(error, OutOfMemoryError);
  assert.match(
    (error as Error).message,
    /this plan needs \d+ bytes; its largest tensors are concatenate \[600\] \(2400 bytes\)/,
  );
  assert.equal([gpu.memory.bytes, gpu.memory.buffers], [bytes, buffers]);
  const step = await compile(gpu, build, { inputs: { x } });
  await step.run({ x: new Float32Array(300).fill(1) });
  close(await step.read('y'), [600 + 300 * Math.E], { rel: 1e-5 });
  assert.is(gpu.error, null);
  gpu.dispose();
});

test('dispose frees what a step holds and nothing else', async () => {
  const gpu = await openDevice();
  const w = variable([1000], { name: 'w' });
  const inputs = { x: input([1000]) };
  const build = ({ x }: typeof inputs) => {
    assign(w, add(w, x));
    return { y: exp(sum(square(x))) };
  };
  const first = await compile(gpu, build, { inputs });
  const { bytes, buffers } = gpu.memory;
  assert.is(bytes, first.stats.plannedBytes + first.stats.variableBytes);
  const second = await compile(gpu, build, { inputs });
  assert.is(gpu.memory.bytes, bytes + second.stats.plannedBytes);
  second.dispose();
  second.dispose();
  assert.equal([gpu.memory.bytes, gpu.memory.buffers], [bytes, buffers]);
  first.dispose();
  assert.equal([gpu.memory.bytes, gpu.memory.buffers], [4096, 1]);
  freeVariables(gpu, [w]);
  assert.equal([gpu.memory.bytes, gpu.memory.buffers], [0, 0]);
  gpu.dispose();
});
