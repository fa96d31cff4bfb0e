import { initialOf, input, type Variable } from '../../src/graph/tensor.ts';
import { xavier } from '../../src/nn/init.ts';
import * as nn from '../../src/nn/layers.ts';
import { compile } from '../../src/runtime/compile.ts';
import { readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { check } from './check.ts';

const names = (variables: Variable[]) => variables.map((v) => v.name).join(' ');
const same = (actual: unknown, expected: unknown) => {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) throw new Error(`expected ${e}, got ${a}`);
};

const seed = () => freshSeed();

test('linear', async () => {
  await check(nn.linear({ inputs: 7, outputs: 5, name: 'a', seed: seed() }), [9, 7], (x, [w, b]) =>
    reference.linear(x, w, b),
  );
  await check(
    nn.linear({ inputs: 8, outputs: 3, bias: false, activation: 'relu', name: 'b', seed: seed() }),
    [2, 5, 8],
    (x, [w]) => reference.linear(x, w, null, 'relu'),
  );
  await check(
    nn.linear({ inputs: 4, outputs: 6, activation: 'tanh', init: xavier, name: 'c', seed: seed() }),
    [3, 4],
    (x, [w, b]) => reference.linear(x, w, b, 'tanh'),
  );
});

test('conv2d', async () => {
  await check(nn.conv2d({ inputs: 2, outputs: 3, name: 'a', seed: seed() }), [2, 5, 6, 2], (x, [w, b]) =>
    reference.conv2d(x, w, b, { stride: 1, padding: 1 }),
  );
  await check(
    nn.conv2d({ inputs: 1, outputs: 4, stride: 2, bias: false, activation: 'relu', name: 'b', seed: seed() }),
    [2, 7, 7, 1],
    (x, [w]) => reference.relu(reference.conv2d(x, w, null, { stride: 2, padding: 1 })),
  );
});

test('batchNorm: training, running statistics, evaluation', async () => {
  const layer = nn.batchNorm({ features: 5, activation: 'relu', name: 'bn', momentum: 0.3 });
  await check(layer, [11, 5], (x, [g, b]) => reference.relu(reference.batchNorm(x, g, b)), {
    training: true,
  });

  const gpu = await device();
  const plain = nn.batchNorm({ features: 3, affine: false, name: 'plain', momentum: 0.25 });
  same(plain.parameters.length, 0);
  const values = random(freshSeed()).normal(8 * 3);
  const inputs = { x: input([8, 3]) };
  const train = await compile(gpu, ({ x }) => ({ y: plain(x, { training: true }) }), { inputs });
  const evaluate = await compile(gpu, ({ x }) => ({ y: plain(x) }), { inputs: { x: input([8, 3]) } });
  await train.run({ x: values });
  const x = reference.leaf([8, 3], values);
  const mean = reference.mul(reference.mean(x, 0), 0.25);
  const variance = reference.add(reference.mul(reference.variance(x, 0, { unbiased: true }), 0.25), 0.75);
  close(await readVariable(gpu, plain.statistics[0]), mean.data, { rel: 1e-5, what: 'running mean' });
  close(await readVariable(gpu, plain.statistics[1]), variance.data, { rel: 1e-5, what: 'running variance' });
  await evaluate.run({ x: values });
  close(await evaluate.read('y'), reference.batchNorm(x, null, null, { mean, variance }).data, { rel: 1e-5 });
  close(await readVariable(gpu, plain.statistics[0]), mean.data, { rel: 1e-5, what: 'unchanged mean' });
  // A momentum for this use: with 1 the statistics are the batch's alone.
  const whole = await compile(gpu, ({ x }) => ({ y: plain(x, { training: true, momentum: 1 }) }), { inputs });
  await whole.run({ x: values });
  close(await readVariable(gpu, plain.statistics[0]), reference.mean(x, 0).data, { rel: 1e-5 });
  whole.dispose();
  train.dispose();
  evaluate.dispose();
});

test('layerNorm, flatten, globalAveragePool, activations', async () => {
  await check(nn.layerNorm({ features: 6, name: 'ln' }), [5, 6], (x, [g, b]) => reference.layerNorm(x, g, b));
  await check(nn.sequential('f', [nn.flatten(), nn.relu()]), [3, 2, 2, 5], (x) =>
    reference.relu(reference.reshape(x, [3, 20])),
  );
  await check(nn.globalAveragePool(), [2, 3, 5, 4], (x) => reference.globalAveragePool(x));
  await check(nn.activation('silu'), [3, 5], reference.silu);
});

test('sequential joins names; a layer used twice shares its variables', async () => {
  const shared = nn.linear({ inputs: 4, outputs: 4, seed: seed() });
  const inner = nn.sequential('inner', [shared, nn.relu(), shared]);
  const net = nn.sequential('net', [
    nn.linear({ inputs: 3, outputs: 4, seed: seed() }),
    nn.batchNorm({ features: 4 }),
    inner,
    nn.linear({ inputs: 4, outputs: 2, name: 'last', seed: seed() }),
  ]);
  same(
    names(net.parameters),
    'net.0.weight net.0.bias net.1.gamma net.1.beta net.inner.0.weight net.inner.0.bias net.last.weight net.last.bias',
  );
  same(names(net.statistics), 'net.1.runningMean net.1.runningVariance');
  same(net.name, 'net');
  await check(
    net,
    [6, 3],
    (x, [w0, b0, g, b, w1, b1, w2, b2]) => {
      const twice = (h: reference.Ref) => reference.linear(h, w1, b1);
      const h = reference.batchNorm(reference.linear(x, w0, b0), g, b);
      return reference.linear(twice(reference.relu(twice(h))), w2, b2);
    },
    { training: true },
  );
  // In a second sequential it keeps its names.
  nn.sequential('other', [inner]);
  same(inner.parameters[0].name, 'net.inner.0.weight');
});

test('equal layers start differently: weights are drawn by name', () => {
  const layer = () => nn.linear({ inputs: 4, outputs: 4, seed: 3 });
  const [a, b] = nn.sequential('net', [layer(), layer()]).parameters.filter((v) => v.shape.length === 2);
  if ((initialOf(a) as Float32Array).every((x, i) => x === (initialOf(b) as Float32Array)[i]))
    throw new Error('equal weights');
  throws(() => initialOf(layer().parameters[0]), /linear: expected a `name` outside of a sequential/);
});

test('errors name the layer', () => {
  const net = nn.sequential('encoder', [
    nn.linear({ inputs: 3, outputs: 4 }),
    nn.sequential('block', [nn.linear({ inputs: 5, outputs: 1 })]),
  ]);
  throws(() => net(input([2, 3])), /^linear "encoder.block.0": expected/);
  throws(() => nn.linear({ inputs: 0, outputs: 4 }), /linear: .*1 to \d+.*"inputs", got 0/);
  throws(
    () => nn.activation('swish' as 'relu'),
    /activation: expected an activation of none, relu, .*got "swish"/,
  );
});
