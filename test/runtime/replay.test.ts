// What a replayed step asks of WebGPU, counted call by call; and that nothing grows.
import * as assert from 'uvu/assert';
import { decodeSafetensors, loadVariables, saveVariables } from '../../src/data/safetensors.ts';
import { type Device, openDevice } from '../../src/gpu/device.ts';
import { assign } from '../../src/graph/basic.ts';
import { input, scalar, type Tensor, variable } from '../../src/graph/tensor.ts';
import { ntXentLoss } from '../../src/methods/simclr.ts';
import { add } from '../../src/ops/binary.ts';
import { linear, matmul } from '../../src/ops/matmul.ts';
import { slice } from '../../src/ops/shape.ts';
import { square } from '../../src/ops/unary.ts';
import { adam } from '../../src/optim/adam.ts';
import { optimizerStatus } from '../../src/optim/optimizer.ts';
import { compile } from '../../src/runtime/compile.ts';
import type { Step } from '../../src/runtime/step.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { type Counts, counting } from '../gpu/count.ts';
import { close, device, freshSeed, random, test } from '../harness.ts';
import { smallModel } from './models.ts';

const total = (counts: Counts) => Object.values(counts.created).reduce((a, b) => a + b, 0);

test('a replayed step: one submit, one pass, no object, no map, no copy', async () => {
  // A device of its own: on that of all tests the kernels may be compiled already.
  const gpu = await openDevice();
  const model = smallModel();
  let step!: Awaited<ReturnType<typeof model.train>>;
  const compiling = await counting(async () => {
    step = await model.train(gpu);
  });
  // The counter sees what it should see.
  for (const name of ['createBuffer', 'createBindGroup', 'createComputePipelineAsync'])
    assert.ok(compiling.created[name] > 0, name);
  const runs = 7;
  const counts = await counting(async () => {
    for (let i = 0; i < runs; i++) await step.run(model.values(i));
  });
  const { dispatches, passes, submits } = step.stats;
  assert.equal([passes, submits], [1, 1]);
  assert.equal(counts.created, {});
  assert.equal(
    { ...counts, created: 0, writes: 0 },
    {
      created: 0,
      encoders: runs,
      submits: runs,
      passes: runs,
      dispatches: runs * dispatches,
      maps: 0,
      copies: 0,
      writes: 0,
    },
  );
  // The input, and one write of all scalars.
  assert.is(counts.writes, 2 * runs);
  const reading = await counting(() => step.read('loss'));
  assert.equal([reading.maps, reading.submits, reading.copies], [1, 1, 1]);
  assert.is(total(await counting(() => step.read('loss'))), 0, 'a second read creates nothing');
  step.dispose();
  gpu.dispose();
});

test('the MLP step of 512 rows: at most 18 dispatches, and no buffer of N x N', async () => {
  const gpu = await device();
  const sizes = [784, 512, 256, 128];
  const w = sizes.slice(1).map((O, i) => variable([sizes[i], O], { name: `w${i}`, initial: 0.01 }));
  const b = sizes.slice(1).map((O, i) => variable([O], { name: `b${i}` }));
  const inputs = { x: input([512, 784]), rate: scalar() };
  const optimizer = adam([...w, ...b], { learningRate: inputs.rate });
  const step = await compile(
    gpu,
    ({ x }) => {
      let h: Tensor = x;
      for (const [i, wi] of w.entries()) h = linear(h, wi, b[i], { activation: i < 2 ? 'relu' : 'none' });
      const half = (start: number) => slice(h, { starts: [start, 0], sizes: [256, 128] });
      const loss = ntXentLoss(half(0), half(256));
      optimizer.minimize(loss);
      return { loss };
    },
    { inputs, warmUp: false },
  );
  const { stats } = step;
  assert.ok(stats.dispatches <= 18, `${stats.dispatches} dispatches`);
  assert.equal([stats.passes, stats.submits], [1, 1]);
  // Nothing is larger than the parameters; the whole is less than them, the batch, what the backward needs, and N x N.
  assert.ok(stats.largestBuffer <= optimizer.parameters.bytes, `${stats.largestBuffer} bytes`);
  const activations = 2 * 512 * (512 + 256 + 128) * 4;
  // Software adapters read the largest products' operands from textures, a texel longer where a side is a power of two.
  const texture = (rows: number, columns: number) => 16 * (rows + 1) * (columns / 4 + 1);
  const copies = texture(512, 784) + texture(784, 512) + texture(512, 512);
  const most = optimizer.parameters.bytes + 512 * 784 * 4 + activations + 512 * 512 * 4 + copies;
  assert.ok(stats.plannedBytes < most, `${stats.plannedBytes} of ${most} bytes`);
  step.dispose();
  freeVariables(gpu, [optimizer.parameters, ...optimizer.state]);
});

test('cut into several submits: as many as the stats tell, and the same bits', async () => {
  const gpu = await device();
  const [whole, cut] = [smallModel(), smallModel()];
  const one = await whole.train(gpu);
  const many = await cut.train(gpu, { maxSubmitMs: 1e-6 });
  const { stats } = many;
  assert.ok(stats.submits > 1 && stats.submits <= stats.dispatches, `${stats.submits} submits`);
  const counts = await counting(async () => {
    for (let i = 0; i < 5; i++) await many.run(cut.values(i));
  });
  assert.equal(
    [counts.submits, counts.passes, counts.dispatches, total(counts), counts.maps],
    [5 * stats.submits, 5 * stats.passes, 5 * stats.dispatches, 0, 0],
  );
  for (let i = 0; i < 5; i++) await one.run(whole.values(i));
  const same = { rel: 0, abs: 0 };
  close(await many.read('loss'), await one.read('loss'), same);
  for (const [i, v] of whole.variables.entries())
    close(await readVariable(gpu, cut.variables[i]), await readVariable(gpu, v), { ...same, what: v.name });
  one.dispose();
  many.dispose();
  freeVariables(gpu, [...whole.variables, ...cut.variables]);
});

test('cut into several submits: each is made when the one before is done, and no run begins within another', async () => {
  const gpu = await device();
  const [apart, crowded] = [smallModel(), smallModel()];
  const one = await apart.train(gpu);
  const step = await crowded.train(gpu, { maxSubmitMs: 1e-6 });
  let runs: Promise<void>[] = [];
  const counts = await counting(async () => {
    runs = [0, 1, 2].map((i) => step.run(crowded.values(i)));
  });
  assert.is(counts.submits, 1, 'the first alone: its second submit and the other runs wait');
  const during = await counting(() => runs[0]);
  assert.is(during.submits, step.stats.submits);
  // Before the third is over: it is waited for.
  const loss = await step.read('loss');
  for (let i = 0; i < 3; i++) await one.run(apart.values(i));
  const same = { rel: 0, abs: 0 };
  close(loss, await one.read('loss'), same);
  for (const [i, v] of apart.variables.entries())
    close(await readVariable(gpu, crowded.variables[i]), await readVariable(gpu, v), same);
  const left = step.run(crowded.values(3));
  const wrong = step.run({}).then(
    () => 'accepted',
    (error) => error.message,
  );
  await left;
  assert.match(await wrong, /expected/);
  const last = await counting(async () => {
    const running = step.run(crowded.values(4));
    await Promise.resolve();
    step.dispose();
    await running;
  });
  assert.ok(last.submits < step.stats.submits, 'a disposed step goes no further');
  one.dispose();
  freeVariables(gpu, [...apart.variables, ...crowded.variables]);
});

test('cut into several submits: where a queue tells late that it is done, they go by the clock, a quarter second ahead at most', async () => {
  const gpu = await openDevice();
  const { queue, features } = gpu.gpu;
  const w = variable([4]);
  const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  // Without timestamps a step takes as long as the queue says.
  const others = new Set([...features].filter((name) => name !== 'timestamp-query'));
  Object.defineProperty(gpu.gpu, 'features', { value: others });
  const told: (() => void)[] = [];
  let tell = () => wait(150);
  queue.onSubmittedWorkDone = () => tell() as Promise<undefined>;
  const step = await compile(
    gpu,
    () => {
      for (let i = 0; i < 4; i++) assign(w, square(add(w, 1)));
      return {};
    },
    { maxSubmitMs: 100, stepsInFlight: 0 },
  );
  assert.ok(step.stats.submits > 1);
  tell = () => new Promise((resolve) => told.push(resolve));
  const counts = await counting(async () => {
    for (let i = 0; i < 5; i++) step.run();
    await wait(1500);
  });
  assert.ok(counts.submits > 1 && counts.submits < 7, `${counts.submits} submits ahead`);
  tell = () => Promise.resolve();
  for (const now of told) now();
  const rest = await counting(() => step.run());
  assert.is(counts.submits + rest.submits, 6 * step.stats.submits);
  step.dispose();
  gpu.dispose();
});

test('a generous length leaves one submit', async () => {
  const model = smallModel();
  const step = await model.train(await device(), { maxSubmitMs: 60_000 });
  assert.equal([step.stats.submits, step.stats.passes], [1, 1]);
  step.dispose();
  freeVariables(await device(), model.variables);
});

test('stats are exact: bytes of the plan and of its variables, pipelines, the largest buffer', async () => {
  const gpu = await openDevice();
  const model = smallModel();
  let made = 0;
  const counts = await counting(async () => {
    const step = await model.train(gpu, { warmUp: false, onProgress: (_, all) => (made = all) });
    const { stats } = step;
    assert.is(stats.plannedBytes + stats.variableBytes, gpu.memory.bytes);
    const flat = model.optimizer.parameters.bytes;
    assert.is(stats.variableBytes, 3 * flat + 256);
    assert.is(stats.pipelines, made);
    assert.ok(stats.largestBuffer >= flat && stats.largestBuffer <= stats.plannedBytes);
  });
  assert.is(counts.created.createComputePipelineAsync, made);
  gpu.dispose();
});

test('steps in flight are bounded: run waits for the oldest, and for no more', async () => {
  const gpu = await openDevice();
  const x = input([64, 64]);
  const step = await compile(gpu, () => ({ y: matmul(x, x) }), { inputs: { x }, stepsInFlight: 2 });
  const queue = gpu.gpu.queue;
  const finish: (() => void)[] = [];
  const original = queue.onSubmittedWorkDone.bind(queue);
  queue.onSubmittedWorkDone = () => new Promise((resolve) => finish.push(() => resolve(undefined)));
  const values = { x: new Float32Array(4096) };
  const settled: number[] = [];
  const run = (i: number) => step.run(values).then(() => settled.push(i));
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
  await run(0);
  await run(1);
  const third = run(2);
  await pause();
  assert.equal(settled, [0, 1]);
  finish[0]();
  await third;
  assert.equal(settled, [0, 1, 2]);
  const fourth = run(3);
  await pause();
  assert.equal(settled, [0, 1, 2]);
  finish[1]();
  await fourth;
  queue.onSubmittedWorkDone = original;
  gpu.dispose();
});

test(
  '1,000 steps, with a reading every 50: no byte and no buffer more',
  async () => {
    const gpu = await openDevice();
    const model = smallModel();
    const step = await model.train(gpu);
    await step.run(model.values(0));
    const first = (await step.read('loss'))[0];
    await optimizerStatus(gpu, model.optimizer);
    // Both in flight at once, as below.
    await Promise.all([step.read('loss'), optimizerStatus(gpu, model.optimizer)]);
    const before = [gpu.memory.bytes, gpu.memory.buffers];
    const { peakBytes } = gpu.memory;
    let last = first;
    const counts = await counting(async () => {
      for (let i = 1; i < 1000; i++) {
        await step.run(model.values(i));
        if (i % 50) continue;
        const [[loss], status] = await Promise.all([
          step.read('loss'),
          optimizerStatus(gpu, model.optimizer),
        ]);
        assert.is(status.updates, i + 1);
        last = loss;
      }
    });
    assert.equal([gpu.memory.bytes, gpu.memory.buffers], before);
    assert.is(gpu.memory.peakBytes, peakBytes);
    assert.equal(counts.created, {});
    assert.ok(last < first - 0.05, `the loss falls: ${first} to ${last}`);
    step.dispose();
    freeVariables(gpu, model.variables);
    assert.ok(gpu.memory.buffers <= 2, `only staging is left: ${gpu.memory.buffers}`);
    gpu.dispose();
    assert.equal([gpu.memory.bytes, gpu.memory.buffers], [0, 0]);
  },
  { timeout: 120_000 },
);

/** Trains from one step to another and returns all losses. */
async function losses(model: ReturnType<typeof smallModel>, step: Step<never>, from: number, to: number) {
  const found: number[] = [];
  for (let i = from; i < to; i++) {
    await step.run(model.values(i) as never);
    if (i % 5 === 4) found.push((await step.read('loss' as never))[0]);
  }
  return found;
}

const start = async (gpu: Device) => {
  const model = smallModel();
  return { model, step: (await model.train(gpu)) as unknown as Step<never> };
};

test('the same seed gives the same bits over 50 steps on two devices of one adapter', async () => {
  const found: { curve: number[]; file: Uint8Array }[] = [];
  for (const own of [false, true]) {
    const gpu = own ? await openDevice() : await device();
    const { model, step } = await start(gpu);
    const curve = await losses(model, step, 0, 50);
    found.push({ curve, file: await saveVariables(gpu, model.variables) });
    step.dispose();
    freeVariables(gpu, model.variables);
    if (own) gpu.dispose();
  }
  const [a, b] = found;
  assert.is(a.curve.length, 10);
  assert.equal(a.curve, b.curve);
  assert.is(a.file.length, b.file.length);
  assert.ok(
    a.file.every((byte, i) => byte === b.file[i]),
    'parameters and moments, bit by bit',
  );
  // Not because nothing happens.
  assert.ok(new Set(a.curve).size === 10);
});

test(
  'a device lost in mid-run, resumed from a copy on the CPU: the same numbers as without',
  async () => {
    const whole = await device();
    const { model: plain, step: steady } = await start(whole);
    const expected = await losses(plain, steady, 0, 40);
    const end = decodeSafetensors(await saveVariables(whole, plain.variables)).tensors;
    steady.dispose();
    freeVariables(whole, plain.variables);

    const first = await openDevice();
    const { model, step } = await start(first);
    const curve = await losses(model, step, 0, 20);
    const copy = await saveVariables(first, model.variables, { step: '20' });
    await losses(model, step, 20, 27); // these are lost
    first.gpu.destroy();
    let lost = false;
    for (let i = 27; i < 60 && !lost; i++) {
      await step.run(model.values(i) as never).catch(() => {
        lost = true;
      });
    }
    assert.ok(lost);

    // The same model continues on a new device.
    const second = await openDevice();
    const metadata = loadVariables(second, copy, model.variables);
    const again = (await model.train(second)) as unknown as Step<never>;
    curve.push(...(await losses(model, again, Number(metadata.step), 40)));
    assert.equal(curve, expected);
    const resumed = decodeSafetensors(await saveVariables(second, model.variables)).tensors;
    for (const [name, { data }] of end) close(resumed.get(name)!.data, data, { rel: 0, abs: 0, what: name });
    second.dispose();
  },
  { timeout: 60_000 },
);

test('a plan of fixed batch serves any number of rows: the tail is padded', async () => {
  const gpu = await device();
  const batch = 8;
  const model = smallModel();
  const x = input([batch, 10]);
  const embed = await compile(gpu, () => ({ z: model.encode(x) }), { inputs: { x } });
  const rows = 21;
  const data = random(freshSeed()).normal(rows * 10);
  const found: number[] = [];
  for (let from = 0; from < rows; from += batch) {
    const part = new Float32Array(batch * 10).fill(Number.NaN); // whatever lies in the padding
    part.set(data.subarray(from * 10, Math.min(rows, from + batch) * 10));
    await embed.run({ x: part });
    found.push(...(await embed.read('z')).slice(0, Math.min(batch, rows - from) * 6));
  }
  const all = input([rows, 10]);
  const once = await compile(gpu, () => ({ z: model.encode(all) }), { inputs: { all } });
  await once.run({ all: data });
  close(found, await once.read('z'), { rel: 1e-5 });
  embed.dispose();
  once.dispose();
  freeVariables(gpu, model.variables);
});
