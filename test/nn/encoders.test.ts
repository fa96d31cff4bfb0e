import { grad } from '../../src/graph/gradient.ts';
import { initialOf, input, type Tensor } from '../../src/graph/tensor.ts';
import { cnnEncoder, mlp, mlpEncoder, projector } from '../../src/nn/encoders.ts';
import type { Layer } from '../../src/nn/layers.ts';
import { mean } from '../../src/ops/reduce.ts';
import { square } from '../../src/ops/unary.ts';
import { adam } from '../../src/optim/adam.ts';
import { compile } from '../../src/runtime/compile.ts';
import { readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

const count = (...layers: Layer[]) =>
  layers.flatMap((layer) => layer.parameters).reduce((sum, v) => sum + v.size, 0);
const equal = (actual: unknown, expected: unknown) => {
  if (actual !== expected) throw new Error(`expected ${expected}, got ${actual}`);
};

test('the default job has 448,048 parameters; shapes and names', () => {
  const [encoder, head] = [cnnEncoder({ seed: 1 }), projector({ seed: 1 })];
  equal(count(encoder, head), 448_048);
  equal(encoder.outputs, 256);
  const h = encoder(input([6, 28, 28, 1]));
  equal(h.shape.join(), '6,256');
  equal(encoder(input([6, 784])).shape.join(), '6,256');
  equal(head(h).shape.join(), '6,64');
  const names = [...encoder.parameters, ...encoder.statistics].map((v) => v.name).join(' ');
  equal(
    names,
    'encoder.0.weight encoder.1.gamma encoder.1.beta encoder.2.weight encoder.3.gamma encoder.3.beta ' +
      'encoder.5.weight encoder.6.gamma encoder.6.beta encoder.1.runningMean encoder.1.runningVariance ' +
      'encoder.3.runningMean encoder.3.runningVariance encoder.6.runningMean encoder.6.runningVariance',
  );
  equal(head.parameters.map((v) => v.name).at(-1), 'projector.2.bias');
});

test('the matmul-only encoder, the gate protocol, an averaging encoder, a plain mlp', () => {
  equal(count(mlpEncoder()), 784 * 512 + 512 * 2 + 512 * 256 + 256 * 2);
  equal(count(mlpEncoder(), projector()), 575_296);
  const gate = mlpEncoder({ widths: [256, 128] });
  equal(gate(input([5, 784])).shape.join(), '5,128');
  equal(projector({ inputs: 128, hidden: 128, outputs: 64 })(input([5, 128])).shape.join(), '5,64');
  const average = cnnEncoder({
    height: 13,
    width: 9,
    channels: 3,
    widths: [4, 8],
    outputs: 10,
    pool: 'average',
  });
  equal(average(input([2, 13, 9, 3])).shape.join(), '2,10');
  equal(count(average), 27 * 4 + 8 + 36 * 8 + 16 + 80 + 20);
  equal(mlp([3, 5, 2], { seed: 4 })(input([7, 3])).shape.join(), '7,2');
});

test('errors', () => {
  throws(() => cnnEncoder()(input([4, 27, 28, 1])), /expected images \[N, 28, 28, 1\], got \[4, 27, 28, 1\]/);
  throws(() => mlpEncoder()(input([784])), /expected images \[N, 784\], got \[784\]/);
  throws(() => mlp([3]), /at least 2 widths/);
});

test('a small encoder with its projector: output and all gradients', async () => {
  const gpu = await device();
  const draw = random(freshSeed());
  const [N, H, W] = [8, 7, 6];
  const encoder = cnnEncoder({
    height: H,
    width: W,
    channels: 2,
    widths: [3, 5],
    outputs: 9,
    seed: freshSeed(),
  });
  const head = projector({ inputs: 9, hidden: 7, outputs: 4, seed: freshSeed() });
  const parameters = [...encoder.parameters, ...head.parameters];
  const leaves = parameters.map((v) => {
    const start = initialOf(v);
    return reference.leaf(v.shape, typeof start === 'number' ? new Array(v.size).fill(start) : start);
  });
  const values = draw.normal(N * H * W * 2);
  const [w0, g0, b0, w1, g1, b1, w2, g2, b2, w3, g3, b3, w4, b4] = leaves;
  const bn = (x: reference.Ref, g: reference.Ref, b: reference.Ref) =>
    reference.relu(reference.batchNorm(x, g, b));
  const window = { stride: 2, padding: 1 };
  let x = reference.leaf([N, H, W, 2], values);
  x = bn(reference.conv2d(x, w0, null, window), g0, b0);
  x = bn(reference.conv2d(x, w1, null, window), g1, b1);
  x = bn(reference.linear(reference.reshape(x, [N, -1]), w2), g2, b2);
  x = bn(reference.linear(x, w3), g3, b3);
  const z = reference.linear(x, w4, b4);
  const dz = draw.normal(N * 4);

  const step = await compile(
    gpu,
    ({ x, dz }) => {
      const z = head(encoder(x, { training: true }), { training: true });
      const grads = grad(z, parameters as Tensor[], dz);
      return { z, ...Object.fromEntries(grads.map((g, i) => [`g${i}`, g])) } as Record<string, Tensor>;
    },
    { inputs: { x: input([N, H, W, 2]), dz: input([N, 4]) } },
  );
  await step.run({ x: values, dz });
  close(await step.read('z'), z.data, { rel: 1e-4, what: 'z' });
  for (const [i, g] of reference.gradient(z, leaves, dz).entries())
    close(await step.read(`g${i}`), g, { rel: 1e-3, what: parameters[i].name });
  step.dispose();
});

test('adam trains the encoder: one step, few dispatches, the loss falls', async () => {
  const gpu = await device();
  const encoder = cnnEncoder({ seed: freshSeed(), widths: [4, 8], outputs: 32 });
  const head = projector({ inputs: 32, hidden: 16, outputs: 8, seed: freshSeed() });
  const optimizer = adam([...encoder.parameters, ...head.parameters], { learningRate: 0.01 });
  const step = await compile(
    gpu,
    ({ x }) => {
      const z = head(encoder(x, { training: true }), { training: true });
      const loss = mean(square(z));
      optimizer.minimize(loss);
      return { loss };
    },
    { inputs: { x: input([16, 28, 28, 1]) } },
  );
  const x = random(freshSeed()).normal(16 * 784);
  await step.run({ x });
  const [first] = await step.read('loss');
  for (let i = 0; i < 30; i++) await step.run({ x });
  const [last] = await step.read('loss');
  if (!(last < 0.2 * first)) throw new Error(`loss ${first} -> ${last}`);
  const running = await readVariable(gpu, encoder.statistics[0]);
  if (!running.some((value) => value !== 0)) throw new Error('no running statistics');
  if (step.stats.dispatches > 60) throw new Error(`${step.stats.dispatches} dispatches`);
  step.dispose();
});
