import { input, scalar } from '../../src/graph/tensor.ts';
import * as nn from '../../src/nn/index.ts';
import { freshSeed, test, throws } from '../harness.ts';
import { evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { check } from './check.ts';

const seed = () => freshSeed();

test('convTranspose2d', async () => {
  await check(
    nn.convTranspose2d({ inputs: 3, outputs: 2, name: 'a', seed: seed() }),
    [2, 3, 4, 3],
    (x, [w, b]) => reference.convTranspose2d(x, w, b, { stride: 2, padding: 1, outputPadding: 1 }),
  );
  await check(
    nn.convTranspose2d({
      ...{ inputs: 8, outputs: 4, kernel: 4, outputPadding: [1, 0], bias: false, activation: 'relu' },
      ...{ name: 'b', seed: seed() },
    }),
    [2, 3, 3, 8],
    (x, [w]) =>
      reference.relu(reference.convTranspose2d(x, w, null, { stride: 2, padding: 1, outputPadding: [1, 0] })),
  );
});

test('groupNorm, upsample, timeEncoder', async () => {
  await check(nn.groupNorm({ features: 16, name: 'g' }), [3, 4, 5, 16], (x, [g, b]) =>
    reference.groupNorm(x, g, b, { groups: 8 }),
  );
  await check(
    nn.groupNorm({ features: 6, groups: 3, affine: false, activation: 'silu' }),
    [2, 3, 3, 6],
    (x) => reference.silu(reference.groupNorm(x, null, null, { groups: 3 })),
  );
  await check(
    nn.groupNorm({ features: 6, groups: 3, activation: 'tanh', name: 'g' }),
    [2, 3, 3, 6],
    (x, [g, b]) => reference.tanh(reference.groupNorm(x, g, b, { groups: 3 })),
  );
  await check(nn.upsample(), [2, 3, 4, 5], (x) => reference.upsample(x, 2));
  await check(
    nn.timeEncoder({ width: 8, outputs: 12, activation: 'silu', maxPeriod: 100, seed: seed() }),
    [5],
    (t, [w0, b0, w1, b1]) => {
      const e = reference.timestepEmbedding(t, { width: 8, maxPeriod: 100 });
      return reference.linear(reference.linear(e, w0, b0, 'silu'), w1, b1, 'silu');
    },
  );
});

test('dropout: by step and place in training, else the identity', async () => {
  const net = nn.sequential('net', [
    nn.dropout({ rate: 0.5, seed: 3 }),
    nn.relu(),
    nn.dropout({ rate: 0.5, seed: 3 }),
  ]);
  const only = nn.dropout({ rate: 0.5, seed: 3, name: 'only' });
  const x = input([64, 64]);
  if (only(x) !== x || nn.dropout({ rate: 0 })(x, { training: true }) !== x) throw new Error('no identity');
  const given = { x, step: scalar('u32') };
  const run = (step: number) =>
    evaluate(
      given,
      (t) => {
        const mode = { training: true, step: t.step };
        return { once: only(t.x, mode), twice: net(t.x, mode) };
      },
      { x: new Float32Array(4096).fill(1), step },
    );
  const [a, b, c] = [await run(1), await run(1), await run(2)];
  const differ = (x: Float32Array, y: Float32Array) => x.filter((v, i) => v !== y[i]).length / x.length;
  if (differ(a.once, b.once) || differ(a.twice, b.twice)) throw new Error('the same step drops others');
  if (Math.abs(differ(a.once, c.once) - 0.5) > 0.05) throw new Error('another step drops the same');
  // Two layers of one seed drop independently: a quarter is left.
  const left = a.twice.filter((v) => v !== 0).length / 4096;
  if (Math.abs(left - 0.25) > 0.04) throw new Error(`${left} left`);
});

test('image layers: errors', () => {
  const x = input([2, 2]);
  throws(() => nn.groupNorm({ features: 6 }), /groupNorm: expected groups that divide 6 features, got 8/);
  throws(
    () => nn.convTranspose2d({ inputs: 2, outputs: 2, outputPadding: 2 }),
    /convTranspose2d: .*0 to 1.*"outputPadding", got 2/,
  );
  throws(() => nn.dropout({ rate: 1 }), /dropout: .*"rate", got 1/);
  throws(() => nn.dropout({ rate: 0.5 })(x, { training: true, step: 1 }), /dropout: expected a `name`/);
  throws(
    () => nn.dropout({ rate: 0.5, name: 'd' })(x, { training: true }),
    /dropout "d": expected the number of the step/,
  );
  throws(() => nn.upsample(0), /upsample: .*"factor", got 0/);
  throws(() => nn.timeEncoder({ width: 1 }), /timeEncoder: .*"width", got 1/);
});
