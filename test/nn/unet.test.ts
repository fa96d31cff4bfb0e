import { grad } from '../../src/graph/gradient.ts';
import { initialOf, input, scalar, type Tensor, type Variable } from '../../src/graph/tensor.ts';
import * as nn from '../../src/nn/index.ts';
import { sub } from '../../src/ops/binary.ts';
import { mean } from '../../src/ops/reduce.ts';
import { square } from '../../src/ops/unary.ts';
import { adam } from '../../src/optim/adam.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from '../ops/check.ts';
import * as ref from '../reference.ts';

const equal = (actual: unknown, expected: unknown) => {
  if (actual !== expected) throw new Error(`expected ${expected}, got ${actual}`);
};

/** Gives all parameters random values, so that none hides a gradient by being 0. @returns their references by name */
function randomize(parameters: readonly Variable[]): Map<string, ref.Ref> {
  const draw = random(freshSeed());
  return new Map(
    parameters.map((v) => {
      const scale = v.shape.length === 1 ? 0.5 : Math.sqrt(1 / (v.size / v.shape[v.shape.length - 1]));
      const around = v.name.endsWith('gamma') ? 1 : 0;
      const values = draw.normal(v.size).map((x) => around + scale * x);
      (v as { initial: Float32Array }).initial = values;
      return [v.name, ref.leaf(v.shape, values)];
    }),
  );
}

/** The layers by the names of their variables. */
function layersOf(p: Map<string, ref.Ref>, groups: number) {
  const conv = (x: ref.Ref, name: string, window: ref.Window = { padding: 1 }) =>
    ref.conv2d(x, p.get(`${name}.weight`)!, p.get(`${name}.bias`), window);
  const dense = (x: ref.Ref, name: string, activation = 'none') =>
    ref.linear(x, p.get(`${name}.weight`)!, p.get(`${name}.bias`), activation);
  const norm = (x: ref.Ref, name: string) =>
    ref.silu(ref.groupNorm(x, p.get(`${name}.gamma`), p.get(`${name}.beta`), { groups }));
  const block = (x: ref.Ref, name: string, time?: ref.Ref) => {
    let h = conv(norm(x, `${name}.norm1`), `${name}.conv1`);
    if (time) h = ref.add(h, ref.reshape(dense(time, `${name}.time`), [x.shape[0], 1, 1, -1]));
    h = conv(norm(h, `${name}.norm2`), `${name}.conv2`);
    return ref.add(p.has(`${name}.skip.weight`) ? conv(x, `${name}.skip`, {}) : x, h);
  };
  return { conv, dense, norm, block };
}

/** Compares outputs, and the gradients of the last by all parameters and inputs. */
async function compare(
  build: (t: Record<string, Tensor>) => Tensor[],
  expected: ref.Ref[],
  given: Record<string, ref.Ref>,
  parameters: readonly Variable[],
  leaves: ref.Ref[],
) {
  const last = expected[expected.length - 1];
  const dy = random(freshSeed()).normal(last.data.length);
  const inputs = Object.fromEntries(Object.entries(given).map(([name, r]) => [name, input(r.shape)]));
  const step = await compile(
    await device(),
    (t: Record<string, Tensor>) => {
      const ys = build(t);
      const grads = grad(
        ys[ys.length - 1],
        [...parameters, ...Object.keys(given).map((name) => t[name])],
        t.dy,
      );
      return Object.fromEntries([...ys, ...grads].map((y, i) => [`${i}`, y]));
    },
    { inputs: { ...inputs, dy: input(last.shape) } },
  );
  const values = Object.fromEntries(
    Object.entries(given).map(([name, r]) => [name, Float32Array.from(r.data)]),
  );
  await step.run({ ...values, dy });
  const names = [...parameters.map((v) => v.name), ...Object.keys(given)];
  const all = ref.gradient(last, [...leaves, ...Object.values(given)], dy);
  for (const [i, y] of expected.entries())
    close(await step.read(`${i}`), y.data, { rel: 1e-4, what: `output ${i}` });
  for (const [i, g] of all.entries())
    close(await step.read(`${expected.length + i}`), g, {
      rel: 1e-3,
      abs: 1e-5,
      what: `gradient of ${names[i]}`,
    });
  const { dispatches } = step.stats;
  step.dispose();
  return dispatches;
}

for (const [inputs, outputs, time] of [
  [4, 4, 5],
  [4, 8, undefined],
] as const)
  test(`residualBlock ${inputs} -> ${outputs}${time ? ' with time' : ''}`, async () => {
    const block = nn.residualBlock({ inputs, outputs, time, groups: 2, name: 'block', seed: freshSeed() });
    const p = randomize(block.parameters);
    const draw = random(freshSeed());
    const x = ref.leaf([3, 5, 4, inputs], draw.normal(60 * inputs));
    const given: Record<string, ref.Ref> = time
      ? { x, time: ref.leaf([3, time], draw.normal(3 * time)) }
      : { x };
    const expected = layersOf(p, 2).block(x, 'block', given.time);
    const parameters = block.parameters;
    await compare((t) => [block(t.x, t.time ?? null)], [expected], given, parameters, [...p.values()]);
  });

test('unet: middle, output and all gradients', async () => {
  const [N, H, W, C] = [3, 8, 4, 2];
  const settings = { height: H, width: W, channels: C, widths: [4, 6], time: 10, groups: 2, outputs: 3 };
  const net = nn.unet({ ...settings, seed: freshSeed() });
  const p = randomize(net.parameters);
  const draw = random(freshSeed());
  const x = ref.leaf([N, H, W, C], draw.normal(N * H * W * C));
  const t = ref.leaf([N], draw.uniform(N, 0, 3));
  const { conv, dense, norm, block } = layersOf(p, 2);
  const embedding = ref.timestepEmbedding(t, { width: 4 });
  const time = dense(dense(embedding, 'unet.time.1', 'silu'), 'unet.time.2', 'silu');
  const down = { stride: 2, padding: 1 };
  const skip0 = block(conv(x, 'unet.first'), 'unet.down.0', time);
  const skip1 = block(conv(skip0, 'unet.smaller.0', down), 'unet.down.1', time);
  let h = conv(skip1, 'unet.smaller.1', down);
  h = block(block(h, 'unet.middle.0', time), 'unet.middle.1', time);
  const middle = h;
  for (const [i, skip] of [skip1, skip0].entries()) {
    h = conv(ref.upsample(h, 2), `unet.larger.${1 - i}.1`);
    h = block(ref.concatenate([h, skip], -1), `unet.up.${1 - i}`, time);
  }
  const y = conv(norm(h, 'unet.output.0'), 'unet.output.1');
  const build = (g: Record<string, Tensor>) => [net.middle(g.x, g.t), net(g.x, g.t)];
  await compare(build, [middle, y], { x, t }, net.parameters, [...p.values()]);
});

test('unet: shapes, names and the start', async () => {
  const net = nn.unet({ seed: 1 });
  const [x, t] = [input([5, 28, 28, 1]), input([5])];
  equal(net(x, t).shape.join(), '5,28,28,1');
  equal(net.middle(x, t).shape.join(), '5,7,7,64');
  equal(net(input([5, 784]), t).shape.join(), '5,28,28,1');
  const names = net.parameters.map((v) => v.name);
  equal(new Set(names).size, names.length);
  equal(
    names.slice(0, 6).join(' '),
    'unet.first.weight unet.first.bias unet.time.1.weight unet.time.1.bias unet.time.2.weight unet.time.2.bias',
  );
  const zero = net.parameters.filter(
    (v) => v.shape.length > 1 && (initialOf(v) as Float32Array).every((w) => w === 0),
  );
  equal(
    zero.map((v) => v.name).join(' '),
    'unet.down.0.conv2.weight unet.down.1.conv2.weight unet.middle.0.conv2.weight unet.middle.1.conv2.weight ' +
      'unet.up.0.conv2.weight unet.up.1.conv2.weight unet.output.1.weight',
  );
  const one = nn.unet({ height: 6, width: 4, channels: 3, widths: [8], outputs: 2, name: 'one' });
  equal(one(input([2, 6, 4, 3]), input([2])).shape.join(), '2,6,4,2');
  equal(one.middle(input([2, 6, 4, 3]), input([2])).shape.join(), '2,3,2,8');
});

test('unet: it learns to tell the times of images', async () => {
  const net = nn.unet({ height: 8, width: 8, widths: [8, 16], groups: 4, dropout: 0.1, seed: freshSeed() });
  const optimizer = adam(net.parameters, { learningRate: 3e-3 });
  const [N, draw] = [16, random(freshSeed())];
  const inputs = { x: input([N, 8, 8, 1]), t: input([N]), y: input([N, 8, 8, 1]), step: scalar('u32') };
  const step = await compile(
    await device(),
    ({ x, t, y, step }) => {
      const loss = mean(square(sub(net(x, t, { training: true, step }), y)));
      optimizer.minimize(loss);
      return { loss };
    },
    { inputs },
  );
  const x = draw.normal(N * 64);
  const t = Float32Array.from({ length: N }, (_, n) => 1000 * (n % 2));
  const y = x.map((v, i) => (Math.floor(i / 64) % 2 ? v : -v));
  const losses: number[] = [];
  for (let i = 0; i < 60; i++) {
    await step.run({ x, t, y, step: i });
    losses.push((await step.read('loss'))[0]);
  }
  if (!(losses[59] < 0.5 * losses[0])) throw new Error(`${losses[0]} -> ${losses[59]}`);
  step.dispose();
});

test('unet: dropout needs the step, and only in training', async () => {
  const net = nn.unet({ height: 4, width: 4, widths: [8], dropout: 0.5, seed: 2 });
  randomize(net.parameters);
  const inputs = { x: input([2, 4, 4, 1]), t: input([2]) };
  throws(
    () => net(inputs.x, inputs.t, { training: true }),
    /dropout "unet.down.0.dropout": expected the number of the step/,
  );
  const { a, b, c, d } = await evaluate(
    inputs,
    ({ x, t }) => ({
      a: net(x, t, { training: true, step: 1 }),
      b: net(x, t, { training: true, step: 1 }),
      c: net(x, t, { training: true, step: 2 }),
      d: net(x, t),
    }),
    { x: random(1).normal(32), t: [1, 2] },
  );
  close(a, b, { rel: 0, abs: 0 });
  for (const other of [c, d]) if (a.every((v, i) => v === other[i])) throw new Error('nothing was dropped');
});

test('unet: errors', () => {
  const [x, t] = [input([2, 28, 28, 1]), input([2])];
  throws(() => nn.unet({ height: 27 }), /unet: expected a height and a width divisible by 4, got \[27, 28\]/);
  throws(() => nn.unet({ widths: [32, 60] }), /unet: expected widths that 8 groups divide, got 60/);
  throws(() => nn.unet({ widths: [] }), /unet: expected at least one width/);
  throws(
    () => nn.unet()(input([2, 14, 28, 1]), t),
    /unet: expected images \[N, 28, 28, 1\], got \[2, 14, 28, 1\]/,
  );
  throws(() => nn.unet()(x, input([3])), /unet: expected times \[2\] for .*, got \[3\]/);
  throws(() => nn.unet()(x, input([2, 1])), /unet: expected an f32 tensor of 1 dimension for "t"/);
  const block = nn.residualBlock({ inputs: 8, outputs: 8, time: 4, name: 'b' });
  throws(() => block(input([2, 3, 3, 8])), /residualBlock: expected a time embedding, got none/);
  throws(() => nn.residualBlock({ outputs: 8 } as never), /residualBlock: .*"inputs", got 0/);
});
