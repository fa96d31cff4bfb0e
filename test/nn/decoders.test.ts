import { input } from '../../src/graph/tensor.ts';
import * as nn from '../../src/nn/index.ts';
import { mul, sub } from '../../src/ops/binary.ts';
import { mean } from '../../src/ops/reduce.ts';
import { softplus } from '../../src/ops/unary.ts';
import { adam } from '../../src/optim/adam.ts';
import { compile } from '../../src/runtime/compile.ts';
import { device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { check } from './check.ts';

const equal = (actual: unknown, expected: unknown) => {
  if (actual !== expected) throw new Error(`expected ${expected}, got ${actual}`);
};

test('cnnDecoder mirrors the encoder: sizes, names', () => {
  const decoder = nn.cnnDecoder({ inputs: 10, seed: 1 });
  equal(decoder(input([5, 10])).shape.join(), '5,28,28,1');
  equal(
    decoder.parameters.map((v) => `${v.name} ${v.shape}`).join('; '),
    'decoder.0.weight 10,1568; decoder.1.gamma 1568; decoder.1.beta 1568; decoder.3.weight 3,3,16,32; ' +
      'decoder.4.gamma 16; decoder.4.beta 16; decoder.5.weight 3,3,1,16; decoder.5.bias 1',
  );
  const odd = nn.cnnDecoder({
    inputs: 4,
    height: 13,
    width: 10,
    channels: 3,
    widths: [4, 8, 5],
    norm: 'none',
  });
  equal(odd(input([2, 4])).shape.join(), '2,13,10,3');
  equal(odd.statistics.length, 0);
  equal(
    nn
      .mlpDecoder({ inputs: 4, widths: [] })(input([2, 4]))
      .shape.join(),
    '2,28,28,1',
  );
});

test('cnnDecoder: output and all gradients', async () => {
  const settings = { inputs: 5, height: 7, width: 6, channels: 2, widths: [3, 4], seed: freshSeed() };
  const windows = [
    [1, 0],
    [0, 1],
  ].map((outputPadding) => ({ stride: 2, padding: 1, outputPadding }));
  await check(
    nn.cnnDecoder(settings),
    [9, 5],
    (z, [w0, g0, b0, w1, g1, b1, w2, b2]) => {
      const norm = (h: reference.Ref, g: reference.Ref, b: reference.Ref) =>
        reference.relu(reference.batchNorm(h, g, b));
      const h = reference.reshape(norm(reference.linear(z, w0), g0, b0), [9, 2, 2, 4]);
      return reference.convTranspose2d(
        norm(reference.convTranspose2d(h, w1, null, windows[0]), g1, b1),
        w2,
        b2,
        windows[1],
      );
    },
    { training: true },
  );
  await check(nn.cnnDecoder({ ...settings, norm: 'none' }), [9, 5], (z, [w0, c0, w1, c1, w2, c2]) => {
    const h = reference.reshape(reference.linear(z, w0, c0, 'relu'), [9, 2, 2, 4]);
    return reference.convTranspose2d(
      reference.relu(reference.convTranspose2d(h, w1, c1, windows[0])),
      w2,
      c2,
      windows[1],
    );
  });
});

test('mlpDecoder: output and all gradients', async () => {
  await check(
    nn.mlpDecoder({
      inputs: 3,
      widths: [7],
      height: 2,
      width: 3,
      channels: 2,
      norm: 'none',
      seed: freshSeed(),
    }),
    [5, 3],
    (z, [w0, b0, w1, b1]) =>
      reference.reshape(reference.linear(reference.linear(z, w0, b0, 'relu'), w1, b1), [5, 2, 3, 2]),
  );
});

test('an autoencoder trains', async () => {
  const shape = { height: 8, width: 8, widths: [4, 8], seed: freshSeed() };
  const encoder = nn.cnnEncoder({ ...shape, outputs: 16 });
  const decoder = nn.cnnDecoder({ ...shape, inputs: 16 });
  const optimizer = adam([...encoder.parameters, ...decoder.parameters], { learningRate: 0.01 });
  const step = await compile(
    await device(),
    ({ x }) => {
      const mode = { training: true };
      const logits = decoder(encoder(x, mode), mode);
      const loss = mean(sub(softplus(logits), mul(x, logits)));
      optimizer.minimize(loss);
      return { loss };
    },
    { inputs: { x: input([16, 8, 8, 1]) } },
  );
  const x = random(freshSeed())
    .uniform(16 * 64)
    .map((v) => Number(v > 0.5));
  const losses: number[] = [];
  for (let i = 0; i < 60; i++) {
    await step.run({ x });
    if (i % 59 === 0) losses.push((await step.read('loss'))[0]);
  }
  if (!(losses[1] < 0.7 * losses[0])) throw new Error(losses.join(' -> '));
  step.dispose();
});

test('decoders: errors', () => {
  throws(() => nn.cnnDecoder({ widths: [] }), /cnnDecoder: expected at least one width/);
  throws(
    () => nn.cnnDecoder({ norm: 'layer' as never }),
    /cnnDecoder: expected 'batch' or 'none' for "norm", got "layer"/,
  );
  throws(() => nn.mlpDecoder({ inputs: 0 }), /mlpDecoder: .*"inputs", got 0/);
  throws(() => nn.cnnDecoder({ inputs: 4 })(input([2, 5])), /^linear "decoder.0": expected/);
});
