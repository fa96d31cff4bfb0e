// Devices: opened, adopted, within default limits, two at once, and each thing that can go wrong with one.
import * as assert from 'uvu/assert';
import { adoptDevice, type Device, openDevice } from '../../src/gpu/device.ts';
import {
  AdapterMissingError,
  DeviceLostError,
  HypersphereError,
  InputError,
  ValidationError,
  WebGPUMissingError,
} from '../../src/gpu/errors.ts';
import { assign } from '../../src/graph/basic.ts';
import { grad } from '../../src/graph/gradient.ts';
import { op } from '../../src/graph/op.ts';
import { input, type Tensor, variable } from '../../src/graph/tensor.ts';
import { batchNorm } from '../../src/ops/batch_norm.ts';
import { add, mul } from '../../src/ops/binary.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { maxPool2d } from '../../src/ops/pool.ts';
import { sum } from '../../src/ops/reduce.ts';
import { exp, square } from '../../src/ops/unary.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable, writeVariable } from '../../src/runtime/variables.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { smallModel } from '../runtime/models.ts';

const array = (...values: number[]) => Float32Array.from(values);

/** What `body` throws, which must be of this kind. */
// biome-ignore lint/suspicious/noExplicitAny: any class of errors
async function thrown(kind: new (...args: any[]) => Error, body: () => unknown): Promise<Error> {
  try {
    await body();
  } catch (error) {
    assert.instance(error, kind, String(error));
    assert.instance(error, HypersphereError);
    assert.is((error as Error).name, kind.name);
    return error as Error;
  }
  throw new Error(`expected a ${kind.name}, got none`);
}

/** Runs `body` with another `navigator.gpu`. */
async function withGpu(gpu: unknown, body: () => Promise<unknown>): Promise<void> {
  Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
  try {
    await body();
  } finally {
    delete (navigator as { gpu?: unknown }).gpu;
  }
  assert.ok(navigator.gpu, 'the real one is back');
}

/** Trains a variable to 2 with one matmul; the value shows whether a device computes. */
async function works(device: Device): Promise<void> {
  const x = input([3, 3]);
  const step = await compile(device, () => ({ y: sum(exp(matmul(x, x))) }), { inputs: { x } });
  await step.run({ x: new Float32Array(9) });
  close(await step.read('y'), [9]);
  step.dispose();
}

test('openDevice takes what the adapter offers', async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await openDevice();
  const { limits } = device.gpu;
  assert.is(limits.maxStorageBufferBindingSize, adapter?.limits.maxStorageBufferBindingSize);
  assert.is(limits.maxComputeInvocationsPerWorkgroup, adapter?.limits.maxComputeInvocationsPerWorkgroup);
  assert.is(limits.maxStorageBuffersPerShaderStage, adapter?.limits.maxStorageBuffersPerShaderStage);
  assert.ok(device.adapter.length > 3, device.adapter);
  assert.not(device.adopted);
  await works(device);
  device.dispose();
  assert.is((await device.gpu.lost).reason, 'destroyed');
});

test('a training step works within WebGPU’s default limits', async () => {
  const device = await openDevice({ defaultLimits: true });
  const { limits } = device.gpu;
  assert.equal(
    [
      limits.maxStorageBuffersPerShaderStage,
      limits.maxComputeInvocationsPerWorkgroup,
      limits.maxComputeWorkgroupStorageSize,
      limits.maxStorageBufferBindingSize,
    ],
    [8, 256, 16384, 134217728],
  );
  const model = smallModel();
  const step = await model.train(device);
  const losses: number[] = [];
  for (let i = 0; i < 30; i++) {
    await step.run(model.values(i));
    losses.push((await step.read('loss'))[0]);
  }
  assert.ok(losses[29] < losses[0] - 0.05, `${losses[0]} to ${losses[29]}`);
  // The kernels with the most bindings and workgroup memory: convolution, batch norm, pooling, with gradients.
  const inputs = { x: input([4, 8, 8, 8]), w: input([3, 3, 8, 16]), gamma: input([16]), beta: input([16]) };
  const image = await compile(
    device,
    ({ x, w, gamma, beta }) => {
      const y = maxPool2d(
        batchNorm(conv2d(x, w, null, { padding: 1 }), gamma, beta, { activation: 'relu' }),
        { kernel: 2 },
      );
      const loss = sum(square(y));
      const [dx, dw, dgamma] = grad(loss, [x, w, gamma]);
      return { loss, dx, dw, dgamma };
    },
    { inputs },
  );
  const draw = random(freshSeed());
  await image.run({
    x: draw.normal(2048),
    w: draw.normal(1152),
    gamma: draw.uniform(16, 1, 2),
    beta: draw.normal(16),
  });
  for (const name of ['loss', 'dx', 'dw', 'dgamma'] as const) {
    const values = await image.read(name);
    assert.ok(values.every(Number.isFinite) && values.some((v) => v !== 0), name);
  }
  assert.is(device.error, null);
  device.dispose();
});

test('an adopted device: its buffers are usable, and dispose leaves it and them alone', async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const gpu = await adapter!.requestDevice();
  const usage = 0x80 | 0x08 | 0x04;
  const theirs = gpu.createBuffer({ size: 64, usage });
  gpu.queue.writeBuffer(theirs, 0, new Float32Array(16).fill(3));
  const device = adoptDevice(gpu);
  assert.ok(device.adopted);
  const x = input([16]);
  const w = variable([16], { name: 'w', initial: 2 });
  const step = await compile(device, () => ({ y: mul(x, w) }), { inputs: { x }, buffers: { x: theirs } });
  await step.run();
  close(await step.read('y'), new Float32Array(16).fill(6));
  const buffer = step.buffer('y').buffer;
  device.dispose();
  assert.equal([device.memory.bytes, device.memory.buffers], [0, 0]);
  assert.match((await thrown(InputError, () => step.run())).message, /disposed/);
  await thrown(InputError, () => readVariable(device, w));
  // The device is alive, and so are its owner's buffers; ours are gone.
  gpu.pushErrorScope('validation');
  const target = gpu.createBuffer({ size: 64, usage: 0x08 | 0x01 });
  const encoder = gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(theirs, 0, target, 0, 64);
  gpu.queue.submit([encoder.finish()]);
  await target.mapAsync(1);
  close(new Float32Array(target.getMappedRange().slice(0)), new Float32Array(16).fill(3));
  target.unmap();
  assert.is(await gpu.popErrorScope(), null);
  gpu.pushErrorScope('validation');
  const late = gpu.createCommandEncoder();
  late.copyBufferToBuffer(buffer, 0, target, 0, 64);
  gpu.queue.submit([late.finish()]);
  assert.ok(await gpu.popErrorScope(), 'the plan’s own buffer should be destroyed');
  // It can be adopted again, with new state.
  const again = adoptDevice(gpu);
  await works(again);
  close(await readVariable(again, w), new Float32Array(16).fill(2));
  gpu.destroy();
});

test('two devices side by side hold separate values of the same variables', async () => {
  const [a, b] = await Promise.all([openDevice(), openDevice()]);
  const v = variable([2], { name: 'v', initial: array(1, 2) });
  const build = () => {
    assign(v, mul(v, 2));
    return { v };
  };
  const [onA, onB] = await Promise.all([compile(a, build), compile(b, build)]);
  await onA.run();
  await onA.run();
  await onB.run();
  close(await onA.read('v'), [4, 8]);
  close(await onB.read('v'), [2, 4]);
  writeVariable(a, v, array(0, 0));
  close(await readVariable(b, v), [2, 4]);
  a.dispose();
  await onB.run();
  close(await readVariable(b, v), [4, 8]);
  b.dispose();
});

// ---- what can go wrong ----

test('no navigator.gpu: WebGPUMissingError says where there is one', async () => {
  await withGpu(undefined, async () => {
    const error = await thrown(WebGPUMissingError, () => openDevice());
    assert.match(error.message, /navigator\.gpu.*Chrome.*Deno.*https/s);
  });
});

test('no adapter: AdapterMissingError says what to install or switch on', async () => {
  let asked: unknown = 'nothing';
  const gpu = {
    requestAdapter: async (options: unknown) => {
      asked = options;
      return null;
    },
  };
  await withGpu(gpu, async () => {
    const error = await thrown(AdapterMissingError, () => openDevice({ powerPreference: 'low-power' }));
    assert.match(error.message, /chrome:\/\/gpu.*mesa-vulkan-drivers/s);
    assert.equal(asked, { powerPreference: 'low-power' });
  });
  for (const powerPreference of [Object.create(null), null, 'low'])
    await withGpu(gpu, () => thrown(InputError, () => openDevice({ powerPreference })));
});

test(
  'a lost device: run, read, compile and writes reject with DeviceLostError, and nothing hangs',
  async () => {
    const device = await openDevice();
    const model = smallModel();
    const step = await model.train(device, { stepsInFlight: 2 });
    for (let i = 0; i < 3; i++) await step.run(model.values(i));
    await step.read('loss');
    const compiling = smallModel()
      .train(device)
      .catch((error: unknown) => error);
    const running = [3, 4, 5, 6].map((i) => step.run(model.values(i)).catch((error: unknown) => error));
    const pending = step.read('loss').catch((error: unknown) => error);
    device.gpu.destroy();
    const late = step.read('loss').catch((error: unknown) => error);
    for (const error of [await pending, await late, await compiling]) {
      // What was under way may have come through; it never hangs, and fails as nothing else.
      if (error instanceof Error) assert.instance(error, DeviceLostError, String(error));
    }
    for (const error of await Promise.all(running)) if (error) assert.instance(error, DeviceLostError);
    await device.gpu.lost;
    await Promise.resolve();
    const attempts: (() => unknown)[] = [
      () => step.run(model.values(7)),
      () => step.read('loss'),
      () => step.buffer('loss'),
      () => model.train(device),
      () => readVariable(device, model.w1),
      () => writeVariable(device, model.b1, new Float32Array(17)),
    ];
    for (const attempt of attempts) {
      const error = await thrown(DeviceLostError, attempt);
      assert.match(error.message, /destroyed.*open a new device/s);
    }
    assert.is((device.lost as DeviceLostError).reason, 'destroyed');
    // Freeing what is gone is no error.
    step.dispose();
    freeVariables(device, [model.w1]);
    device.dispose();
  },
  { timeout: 20_000 },
);

test(
  'a device that is lost in a training loop ends it within the steps that may be in flight',
  async () => {
    const device = await openDevice();
    const model = smallModel();
    const step = await model.train(device, { stepsInFlight: 3 });
    let done = 0;
    const error = await thrown(DeviceLostError, async () => {
      for (; done < 1000; done++) {
        if (done === 10) device.gpu.destroy();
        await step.run(model.values(done));
      }
    });
    assert.ok(done <= 10 + 3, `stopped after ${done}`);
    assert.match(error.message, /lost/);
  },
  { timeout: 20_000 },
);

test(
  'a buffer that goes away while it is read is an error, not a wait for ever',
  async () => {
    const adapter = await navigator.gpu.requestAdapter();
    const gpu = await adapter!.requestDevice();
    const device = adoptDevice(gpu);
    const v = variable([4], { name: 'v', initial: 1 });
    const reading = readVariable(device, v).then(
      (values) => [...values],
      (error: unknown) => error,
    );
    device.dispose();
    const found = await reading;
    assert.ok(found instanceof Error || (Array.isArray(found) && found[0] === 1), String(found));
    gpu.destroy();
  },
  { timeout: 10_000 },
);

const kernelOf = (source: string) =>
  op({
    name: 'mine',
    shape: ([x]: [x: Tensor]) => x.shape,
    kernel: {
      ...{ source, entry: 'mine_forward', inputs: ['x'], outputs: ['y'] },
      uniform: ({ inputs: [x] }) => ({ count: x.size }),
      invocations: () => 1,
    },
  });
const head = `struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
`;
const body = (line: string) =>
  `${head}@compute @workgroup_size(64)\nfn mine_forward(@builtin(global_invocation_id) i: vec3u) {\n${line}\n}\n`;

const badKernels: [what: string, source: string, pattern: RegExp][] = [
  ['a type error', body('  y[i.x] = x[i.x] + 1u;'), /kernel "mine_forward".*7:\d/s],
  ['an unknown name', body('  y[i.x] = nothing;'), /kernel "mine_forward".*7:\d+.*nothing/s],
  ['a syntax error', body('  y[i.x] = ;'), /kernel "mine_forward".*7:\d/s],
  ['another entry point', body('').replace('mine_forward', 'other'), /kernel "mine_forward"/],
  [
    'a binding that is written but declared an input',
    body('y[0] = x[0];').replace('read>', 'read_write>'),
    /kernel "mine_forward"/,
  ],
];
for (const [what, source, pattern] of badKernels) {
  test(`a bad kernel, ${what}: ValidationError with the line, and the device goes on`, async () => {
    const device = await openDevice();
    const x = input([4]);
    const { bytes, buffers } = device.memory;
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await thrown(ValidationError, () =>
        compile(device, () => ({ y: kernelOf(source)([x]) }), { inputs: { x } }),
      );
      assert.match(error.message, pattern);
    }
    await device.gpu.queue.onSubmittedWorkDone();
    assert.is(device.error, null);
    assert.equal([device.memory.bytes, device.memory.buffers], [bytes, buffers]);
    await works(device);
    device.dispose();
  });
}

test('an error that no scope caught is told by the next call, once, and the device goes on', async () => {
  const device = await openDevice();
  const x = input([4]);
  const step = await compile(device, () => ({ y: add(x, 1) }), { inputs: { x } });
  device.gpu.createBuffer({ size: 16, usage: 0x01 | 0x80 }).destroy(); // MAP_READ goes with COPY_DST alone
  await device.gpu.queue.onSubmittedWorkDone();
  const error = await thrown(ValidationError, () => step.run({ x: array(1, 2, 3, 4) }));
  assert.match(error.message, /^WebGPU rejected a call that is no part of a step: /);
  await step.run({ x: array(1, 2, 3, 4) });
  close(await step.read('y'), [2, 3, 4, 5]);
  await works(device);
  device.dispose();
});

test('a buffer of the caller’s that goes away fails its own step only', async () => {
  const device = await openDevice();
  const make = () => device.gpu.createBuffer({ size: 16, usage: 0x80 | 0x08 | 0x04 });
  const [theirs, more] = [make(), make()];
  const x = input([4]);
  const build = () => ({ y: add(x, 1) });
  const step = await compile(device, build, { inputs: { x }, buffers: { x: theirs } });
  const other = await compile(device, build, { inputs: { x } });
  await step.run();
  theirs.destroy();
  const error = await thrown(ValidationError, async () => {
    await step.run();
    await step.read('y');
  });
  assert.match(error.message, /^WebGPU rejected the step of "y", which has buffers of the caller's \(x\): /);
  assert.not.match(error.message, /internal/);
  await other.run({ x: array(1, 2, 3, 4) });
  close(await other.read('y'), [2, 3, 4, 5]);
  const again = await compile(device, build, { inputs: { x }, buffers: { x: more } });
  await again.run();
  close(await again.read('y'), [1, 1, 1, 1]);
  assert.is(device.error, null);
  device.dispose();
});

test('a buffer that is none, lacks a usage, or belongs to another device: one clear error, and the device goes on', async () => {
  const [device, other] = [await openDevice(), await openDevice()];
  const x = input([4]);
  const attempt = (buffer: unknown) => () =>
    compile(device, () => ({ y: add(x, 1) }), { inputs: { x }, buffers: { x: buffer as GPUBuffer } });
  const none = await thrown(InputError, attempt(new Float32Array(4)));
  assert.match(none.message, /^buffers: expected a GPUBuffer for "x", got a Float32Array of 4$/);
  const usage = device.gpu.createBuffer({ size: 16, usage: 0x08 });
  assert.match((await thrown(InputError, attempt(usage))).message, /^buffers: "x" lacks the usage STORAGE/);
  const foreign = other.gpu.createBuffer({ size: 16, usage: 0x80 | 0x08 });
  const error = await thrown(ValidationError, attempt(foreign));
  assert.match(error.message, /buffers of the caller's \(x\)/);
  await works(device);
  device.dispose();
  other.dispose();
});

test('an input in shared memory is copied', async () => {
  if (typeof SharedArrayBuffer === 'undefined') return;
  const device = await openDevice();
  const x = input([4]);
  const bytes = input([3], 'u8');
  const v = variable([2], { name: 'shared' });
  const step = await compile(device, () => ({ y: add(x, 1), bytes }), { inputs: { x, bytes } });
  const shared = <T extends Float32Array | Uint8Array>(values: T): T => {
    const copy = new (values.constructor as Float32ArrayConstructor)(
      new SharedArrayBuffer(values.byteLength) as unknown as ArrayBuffer,
    );
    copy.set(values);
    return copy as unknown as T;
  };
  await step.run({ x: shared(array(1, 2, 3, 4)), bytes: shared(Uint8Array.of(7, 8, 9)) });
  close(await step.read('y'), [2, 3, 4, 5]);
  close(await step.read('bytes'), [7, 8, 9]);
  writeVariable(device, v, shared(array(5, 6)));
  close(await readVariable(device, v), [5, 6]);
  device.dispose();
});

test('a device that is lost before anything was compiled', async () => {
  const device = await openDevice();
  device.gpu.destroy();
  const x = input([4]);
  await thrown(DeviceLostError, () => compile(device, () => ({ y: add(x, 1) }), { inputs: { x } }));
  const adopted = await (await navigator.gpu.requestAdapter())!.requestDevice();
  adopted.destroy();
  await thrown(DeviceLostError, () =>
    compile(adoptDevice(adopted), () => ({ y: add(x, 1) }), { inputs: { x } }),
  );
});

test('a disposed device says that it was disposed', async () => {
  const device = await openDevice();
  const x = input([4]);
  const step = await compile(device, () => ({ y: add(x, 1) }), { inputs: { x } });
  await step.run({ x: array(1, 2, 3, 4) });
  device.dispose();
  device.dispose();
  const attempts: (() => unknown)[] = [
    () => step.run({ x: array(1, 2, 3, 4) }),
    () => step.read('y'),
    () => compile(device, () => ({ y: add(x, 1) }), { inputs: { x } }),
  ];
  for (const attempt of attempts)
    assert.match((await thrown(InputError, attempt)).message, /^this device was disposed: open another$/);
});

test('an output has no value before the first run', async () => {
  const device = await openDevice();
  const x = input([4]);
  const v = variable([2], { name: 'v', initial: array(1, 2) });
  const step = await compile(device, () => ({ y: add(x, 1), v }), { inputs: { x } });
  const error = await thrown(InputError, () => step.read('y'));
  assert.match(error.message, /^read: this step has not run yet, so "y" has no value$/);
  close(await step.read('v'), [1, 2]);
  device.dispose();
});

test('a step is bound to its own device', async () => {
  const [a, b] = [await openDevice(), await openDevice()];
  const x = input([4]);
  const step = await compile(a, () => ({ y: add(x, 1) }), { inputs: { x } });
  b.dispose();
  await step.run({ x: array(1, 2, 3, 4) });
  close(await step.read('y'), [2, 3, 4, 5]);
  await throws(async () => compile(b, () => ({ y: add(x, 1) }), { inputs: { x } }), /disposed/);
  a.dispose();
});
