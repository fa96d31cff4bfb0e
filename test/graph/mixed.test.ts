// Mixed precision: what layers make is stored as f16, everything else is as it was.
import * as assert from 'uvu/assert';
import { openDevice } from '../../src/gpu/device.ts';
import { assign } from '../../src/graph/basic.ts';
import { grad } from '../../src/graph/gradient.ts';
import { mixed, narrow } from '../../src/graph/mixed.ts';
import type { Kernel } from '../../src/graph/op.ts';
import { plan } from '../../src/graph/plan.ts';
import { constant, initialOf, input, type Tensor, trace, variable } from '../../src/graph/tensor.ts';
import { ntXentLoss } from '../../src/methods/simclr.ts';
import * as nn from '../../src/nn/index.ts';
import { contrast } from '../../src/ops/contrast.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { layerNorm } from '../../src/ops/layer_norm.ts';
import { linear } from '../../src/ops/matmul.ts';
import { averagePool2d, maxPool2d } from '../../src/ops/pool.ts';
import { slice } from '../../src/ops/shape.ts';
import { gelu, relu, silu, tanh } from '../../src/ops/unary.ts';
import { adam } from '../../src/optim/index.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { softwareTarget, withLargeTiles } from '../ops/tiles.ts';

const able = (await device()).gpu.features.has('shader-f16');

test(
  'a device without f16 refuses mixed precision',
  async () =>
    throws(
      async () => compile(await device(), () => ({ y: constant(0) }), { precision: mixed }),
      /shader-f16, which this device lacks/,
    ),
  { where: !able },
);

/** A test for devices with f16. */
const testHalf = (name: string, body: () => unknown) => test(name, body, { where: able });

const SIZE = 12;
const N = 32;
const C = 16;
const pixels = N * SIZE * SIZE * C;

/** What layers of every kind make of images, and the gradient of their parameters, in f32 or mixed. */
async function layers(mixedOrNot: boolean, seed: number) {
  const r = random(seed);
  const x = constant(r.normal(pixels), [N, SIZE, SIZE, C]);
  const own = (shape: number[], scale = 1) => {
    const initial = r.normal(shape.reduce((a, b) => a * b, 1)).map((v) => scale * v);
    return variable(shape, { initial });
  };
  const filter = own([3, 3, C, C], 0.1);
  const bias = own([C], 0.1);
  const gamma = own([C]);
  const w = own([36 * C, 32], 0.05);
  const w2 = own([32, 8], 0.2);
  const dy = constant(r.normal(N * 8), [N, 8]);
  const step = await compile(
    await device(),
    () => {
      let h: Tensor = conv2d(x, filter, bias, { padding: 'same' });
      h = layerNorm(h, gamma, bias);
      const pooled = tanh(maxPool2d(relu(h), { kernel: 3, stride: 1, padding: 1 }));
      h = averagePool2d(gelu(h), { kernel: 2 });
      h = silu(linear(nn.flatten()(h), w, null));
      const y = linear(tanh(h), w2, null);
      const [dfilter, dbias, dgamma, dw, dw2] = grad(y, [filter, bias, gamma, w, w2], dy);
      return { y, pooled, dfilter, dbias, dgamma, dw, dw2 };
    },
    mixedOrNot ? { precision: mixed } : {},
  );
  await step.run();
  const names = ['y', 'pooled', 'dfilter', 'dbias', 'dgamma', 'dw', 'dw2'] as const;
  const values: Record<string, Float32Array> = {};
  for (const name of names) values[name] = await step.read(name);
  const { plannedBytes, dispatches } = step.stats;
  step.dispose();
  return { values, plannedBytes, dispatches };
}

for (const tiles of [false, true, 'buffers'] as const) {
  testHalf(`layers of every kind to three digits, in as many dispatches; large tiles: ${tiles}`, () =>
    withLargeTiles(tiles, async () => {
      const seed = freshSeed();
      const [whole, half] = [await layers(false, seed), await layers(true, seed)];
      for (const [name, values] of Object.entries(whole.values)) {
        const norm = (x: Float32Array) => Math.sqrt(x.reduce((total, v) => total + v * v, 0));
        const off = norm(half.values[name].map((v, i) => v - values[i])) / norm(values);
        assert.ok(off < 0.01, `${name} is off by ${off}`);
      }
      assert.ok(
        whole.values.y.some((v, i) => v !== half.values.y[i]),
        'nothing was rounded',
      );
      assert.is(half.dispatches, whole.dispatches);
      assert.ok(
        half.plannedBytes < 0.9 * whole.plannedBytes,
        `${half.plannedBytes} of ${whole.plannedBytes}`,
      );
    }),
  );
}

/** A U-Net and a decoder: outputs, and the gradients of all parameters in one list. */
async function decoded(mixedOrNot: boolean, seed: number) {
  const r = random(seed);
  const net = nn.unet({ height: 8, width: 8, widths: [8, 16], groups: 4, seed });
  const decoder = nn.cnnDecoder({
    inputs: 6,
    height: 8,
    width: 8,
    channels: 8,
    widths: [8, 16],
    norm: 'none',
    seed,
  });
  const parameters = [...decoder.parameters, ...net.parameters];
  for (const v of net.parameters)
    if (v.name.endsWith('weight'))
      (v as { initial: Float32Array }).initial = r
        .normal(v.size)
        .map((w) => w * Math.sqrt(v.shape.at(-1)! / v.size));
  const first = nn.conv2d({ inputs: 8, outputs: 1, name: 'first', seed });
  const [z, t, dy] = [
    constant(r.normal(96), [16, 6]),
    constant(r.uniform(16), [16]),
    constant(r.normal(1024), [16, 8, 8, 1]),
  ];
  const step = await compile(
    await device(),
    () => {
      const images = decoder(z);
      const y = net(first(images), t);
      const grads = grad(y, parameters, dy).map((g, i) => [parameters[i].name, g]);
      return { y, images, ...Object.fromEntries(grads) } as Record<string, Tensor>;
    },
    mixedOrNot ? { precision: mixed } : {},
  );
  await step.run();
  const values: Record<string, Float32Array> = {};
  for (const name of ['y', 'images', ...parameters.map((v) => v.name)]) values[name] = await step.read(name);
  const { plannedBytes, dispatches } = step.stats;
  step.dispose();
  freeVariables(await device(), [...parameters, ...first.parameters]);
  return { values, plannedBytes, dispatches };
}

testHalf('a decoder and a U-Net to two digits, in as many dispatches', async () => {
  // A fixed seed: now and then rounding turns a ReLU of the decoder on, which changes some gradients by more.
  const [whole, half] = [await decoded(false, 1), await decoded(true, 1)];
  const squares = (x: Float32Array) => x.reduce((total, v) => total + v * v, 0);
  const off = (names: string[]) => {
    const sum = (of: (name: string) => Float32Array) =>
      names.reduce((total, name) => total + squares(of(name)), 0);
    const difference = sum((name) => half.values[name].map((v, i) => v - whole.values[name][i]));
    return Math.sqrt(difference / sum((name) => whole.values[name]));
  };
  const gradients = Object.keys(whole.values).filter((name) => name.includes('.'));
  for (const names of [['y'], ['images'], gradients])
    assert.ok(off(names) < 0.03, `${names[0]} is off by ${off(names)}`);
  assert.is(half.dispatches, whole.dispatches);
  assert.ok(half.plannedBytes < 0.9 * whole.plannedBytes, `${half.plannedBytes} of ${whole.plannedBytes}`);
});

/** The default job's step: an encoder, a projector, NT-Xent. */
function job(batch: number) {
  const encoder = nn.cnnEncoder({ seed: 1 });
  const projector = nn.projector({ seed: 1 });
  const optimizer = adam([...encoder.parameters, ...projector.parameters], { learningRate: 2e-3 });
  const inputs = { x: input([2 * batch, 28, 28, 1]) };
  const build = ({ x }: typeof inputs) => {
    const z = projector(encoder(x, { training: true }), { training: true });
    const view = (start: number) => slice(z, { starts: [start, 0], sizes: [batch, -1] });
    const loss = ntXentLoss(view(0), view(batch));
    optimizer.minimize(loss);
    return { loss };
  };
  return { inputs, build, parameters: optimizer.parameters };
}

test('the activations of the default job take half of their bytes', () => {
  const { inputs, build } = job(256);
  const { result, effects } = trace(() => build(inputs));
  for (const target of [{}, softwareTarget()]) {
    const bytes = [undefined, mixed].map((precision) => {
      const made = plan(result, effects, { target, precision });
      const forward = made.dispatches.filter(({ op }) => /^(conv2d|linear|batchNorm)$/.test(op.name));
      return forward.reduce((total, { outputs }) => total + outputs[0].bytes, 0);
    });
    assert.is(bytes[1], bytes[0] / 2);
  }
});

testHalf('training in mixed precision: nearly the same losses, the same bits again', async () => {
  const x = random(5).normal(2 * 32 * 784);
  const losses = async (precision?: typeof mixed) => {
    const gpu = await openDevice();
    const { inputs, build, parameters } = job(32);
    const step = await compile(gpu, build, { inputs, precision });
    const seen: number[] = [];
    for (let i = 0; i < 6; i++) {
      await step.run({ x });
      seen.push((await step.read('loss'))[0]);
    }
    assert.ok(parameters.bytes === 4 * parameters.size && initialOf(parameters), 'parameters are f32');
    gpu.dispose();
    return seen;
  };
  const [whole, half, again] = [await losses(), await losses(mixed), await losses(mixed)];
  assert.equal(again, half);
  assert.not.equal(whole, half);
  close(half, whole, { rel: 0.02, what: 'loss' });
  assert.ok(half[5] < half[0]);
});

testHalf('what a step assigns or sees through a loss alone is whole', async () => {
  const [rows, columns] = [8, 12];
  const x = random(freshSeed()).normal(rows * columns);
  const kept = variable([rows, columns]);
  const step = await compile(
    await device(),
    ({ x }) => {
      const y = relu(x);
      assign(kept, y);
      // Rows that are not normalised: the loss reads them in its gradient and in one kernel only.
      const { loss } = contrast(gelu(x), gelu(x), { excludeSelf: true });
      return { loss };
    },
    { inputs: { x: input([rows, columns]) }, precision: mixed },
  );
  await step.run({ x });
  const wanted = x.map((v) => Math.max(v, 0));
  close(await readVariable(await device(), kept), wanted, { rel: 1e-3 });
  assert.ok([...(await step.read('loss'))].every(Number.isFinite));
  step.dispose();
  freeVariables(await device(), [kept]);
});

testHalf('a value beyond f16 is named where it is made', async () => {
  const w = variable([3, 3], { initial: 300 });
  const step = await compile(
    await device(),
    ({ x }) => ({ y: tanh(linear(relu(linear(x, w, null)), w, null)) }),
    { inputs: { x: input([3, 3]) }, precision: mixed, check: true, warmUp: false },
  );
  assert.is(await step.firstNonFinite({ x: new Float32Array(9).fill(0.01) }), null);
  const found = await step.firstNonFinite({ x: new Float32Array(9).fill(100) });
  assert.match(String(found), /^linear \[3, 3\]: beyond f16 at element 0/);
  step.dispose();
  freeVariables(await device(), [w]);
});

// ---- the text of a kernel ----

const kernel = (source: string, inputs = ['x'], outputs = ['y']): Kernel => ({
  ...{ source, entry: 'main', inputs, outputs },
  invocations: () => 1,
});
const head = `@group(0) @binding(1) var<storage, read> x: array<vec4f>; @group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() {`;
const text = (made: Kernel | null) => String(made?.source);

test('loads widen and stores round, nested ones too', () => {
  const made = narrow(kernel(`${head} y[u32(x[u32(y[1])].x)] = x[0].y + y[2]; // y[0] = 1;\n }`), ['x', 'y']);
  assert.match(text(made), /^enable f16;/);
  assert.match(text(made), /x: array<vec4<f16>>.*y: array<f16>/);
  assert.match(text(made), 'y[u32(vec4f(x[u32(f32(y[1]))]).x)] = f16( vec4f(x[0]).y + f32(y[2]));');
  assert.match(text(narrow(kernel(`${head} y[0] = x[0].x; }`), ['x'])), 'y[0] = vec4f(x[0]).x;');
});

test('what else a kernel does with a binding is not touched: it stays f32', () => {
  const refused = ['y[0] += 1.0;', 'y[0]++;', 'let p = &y; (*p)[0] = 1.0;', 'change(&y[0]);'];
  for (const body of refused) assert.is(narrow(kernel(`${head} ${body} }`), ['y']), null, body);
  const vectors = head.replace('read_write> y: array<f32>', 'read_write> y: array<vec4f>');
  for (const body of ['y[0].x = 1.0;', 'y[0].x += 1.0;', 'y[0][1] = 1.0;', 'y[0][1]++;'])
    assert.is(narrow(kernel(`${vectors} ${body} }`), ['y']), null, body);
  assert.match(text(narrow(kernel(`${vectors} y[0] = y[1][2] * x[0]; }`), ['y'])), 'vec4f(y[1])[2] * x[0]');
  assert.ok(narrow(kernel(`${head} y[0] += x[0].x; }`), ['x']));
  const bits = head.replace('array<vec4f>', 'array<vec4u>');
  assert.is(narrow(kernel(`${bits} y[0] = bitcast<f32>(x[0].x); }`), ['x']), null);
  // Declarations in other words are as good, or refused; a comment is no code.
  const words =
    '@binding(1u) @group(0) var<storage> x: array<f32>; const R: u32 = 2u; @group(0) @binding(R) var<storage, read_write> y: array<f32>;';
  const main = '@compute @workgroup_size(1) fn main() { /* ( y[0] */ y[0] = x[0]; }';
  assert.match(text(narrow(kernel(`${words} ${main}`), ['x', 'y'])), 'y[0] = f16( f32(x[0]));');
  assert.is(
    narrow(kernel(`struct B { of: array<f32> } ${words.replace('x: array<f32>', 'x: B')} ${main}`), ['x']),
    null,
  );
  assert.is(narrow({ ...kernel(`${words} ${main}`), inputs: undefined }, ['']), null);
  // What another entry point has at the same binding does not matter.
  const other =
    '@group(0) @binding(1) var<storage, read_write> words: array<u32>; fn other() { words[0] += 1u; }';
  assert.ok(narrow(kernel(`${other} ${head} y[0] = x[0].x; }`), ['x']));
});

test('textures of f16, and element types under another name', () => {
  const lanes = `alias lanes = vec4f; const RESULT = 2u;
@group(0) @binding(1) var<storage, read> x: array<lanes>;
@group(0) @binding(RESULT) var c: texture_storage_2d<rgba32float, write>;
@compute @workgroup_size(1) fn main() { textureStore(c, vec2u(0), x[0]); }`;
  const made = text(narrow(kernel(lanes, ['x'], ['c']), ['x', 'c']));
  assert.match(made, 'texture_storage_2d<rgba16float, write>');
  assert.match(made, 'vec4f(x[0])');
});
