import { scalar } from '../../src/graph/tensor.ts';
import {
  bits,
  bitsArray,
  normal,
  normalArray,
  permutation,
  permutationArray,
  threefry,
  uniform,
  uniformArray,
} from '../../src/ops/random.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, test, throws } from '../harness.ts';

const equal = (actual: ArrayLike<number>, expected: ArrayLike<number>, what: string) =>
  close(actual, expected, { rel: 0, abs: 0, what });

test('Threefry-2x32-20 agrees with the vectors of Random123', () => {
  equal(threefry(0, 0, 0, 0), [0x6b200159, 0x99ba4efe], 'zeros');
  const f = 0xffffffff;
  equal(threefry(f, f, f, f), [0x1cb996fc, 0xbb002be7], 'ones');
  equal(threefry(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3), [0xc4923a9c, 0x483df7a0], 'pi');
});

for (const shape of [[1], [3], [7, 5], [64], [1000], [65, 127]]) {
  test(`bits and uniform are bit-equal to the CPU's, normal up to rounding: [${shape}]`, async () => {
    const gpu = await device();
    const n = shape.reduce((a, b) => a * b);
    const inputs = { seed: scalar('u32'), stream: scalar('u32') };
    const step = await compile(
      gpu,
      (options) => ({
        bits: bits(shape, options),
        uniform: uniform(shape, options),
        normal: normal(shape, options),
      }),
      { inputs },
    );
    for (const options of [
      { seed: freshSeed(), stream: 0 },
      { seed: 0, stream: 1 },
      { seed: freshSeed(), stream: 0xffffffff },
    ]) {
      await step.run(options);
      equal(await step.read('bits'), bitsArray(n, options), 'bits');
      equal(await step.read('uniform'), uniformArray(n, options), 'uniform');
      close(await step.read('normal'), normalArray(n, options), { rel: 0, abs: 3e-6, what: 'normal' });
    }
    step.dispose();
  });
}

test('a number for the seed gives the same as a scalar; another stream is another tensor', async () => {
  const gpu = await device();
  const step = await compile(gpu, () => ({
    a: uniform([100], { seed: 5 }),
    b: uniform([100], { seed: 5, stream: 1 }),
  }));
  await step.run();
  const [a, b] = [await step.read('a'), await step.read('b')];
  equal(a, uniformArray(100, { seed: 5 }), 'a');
  equal(b, uniformArray(100, { seed: 5, stream: 1 }), 'b');
  if (a.some((x, i) => x === b[i])) throw new Error('two streams share elements');
  step.dispose();
});

test('moments: 100,000 uniform and normal numbers', async () => {
  const gpu = await device();
  const n = 100_000;
  const seed = freshSeed();
  const step = await compile(gpu, () => ({ u: uniform([n], { seed }), z: normal([n], { seed }) }));
  await step.run();
  const [u, z] = [await step.read('u'), await step.read('z')];
  const mean = (f: (i: number) => number) => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += f(i);
    return sum / n;
  };
  // Five standard errors each.
  const within = (actual: number, expected: number, variance: number, what: string) =>
    close([actual], [expected], { rel: 0, abs: 5 * Math.sqrt(variance / n), what });
  within(
    mean((i) => u[i]),
    1 / 2,
    1 / 12,
    'mean of u',
  );
  within(
    mean((i) => (u[i] - 0.5) ** 2),
    1 / 12,
    1 / 180,
    'variance of u',
  );
  within(
    mean((i) => z[i]),
    0,
    1,
    'mean of z',
  );
  within(
    mean((i) => z[i] ** 2),
    1,
    2,
    'variance of z',
  );
  within(
    mean((i) => z[i] ** 3),
    0,
    15,
    'skew of z',
  );
  within(
    mean((i) => z[i] ** 4),
    3,
    96,
    'fourth moment of z',
  );
  within(
    mean((i) => z[i] * z[(i + 1) % n]),
    0,
    1,
    'correlation of neighbours',
  );
  if (!u.every((x) => x >= 0 && x < 1)) throw new Error('a uniform number lies outside [0, 1)');
  step.dispose();
});

for (const n of [1, 2, 3, 5, 64, 65, 100, 10_000]) {
  test(`permutation of ${n}: a bijection, the CPU's own, another one each epoch`, async () => {
    const gpu = await device();
    const seed = freshSeed();
    const inputs = { epoch: scalar('u32') };
    const step = await compile(gpu, ({ epoch }) => ({ order: permutation(n, { seed, epoch }) }), { inputs });
    const orders: string[] = [];
    for (const epoch of [0, 1, 7]) {
      await step.run({ epoch });
      const order = await step.read('order');
      equal(
        Uint32Array.from(order).sort(),
        Uint32Array.from({ length: n }, (_, i) => i),
        'sorted',
      );
      equal(order, permutationArray(n, { seed, epoch }), 'order');
      orders.push(order.join());
    }
    if (n >= 64 && new Set(orders).size < 3) throw new Error('two epochs have the same order');
    step.dispose();
  });
}

test('permutations are spread evenly: each place gets each value, and all six orders of three come up', () => {
  const [n, epochs] = [12, 12_000];
  const seed = freshSeed();
  const counts = new Float64Array(n * n);
  const orders = new Map<string, number>();
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (const [i, value] of permutationArray(n, { seed, epoch }).entries()) counts[i * n + value]++;
    const order = permutationArray(3, { seed, epoch }).join();
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  // 1,000 expected in each, standard deviation 30; 2,000 with 41.
  close(counts, new Float64Array(n * n).fill(epochs / n), { rel: 0, abs: 180, what: 'counts' });
  close([...orders.values()], new Array(6).fill(epochs / 6), { rel: 0, abs: 220, what: 'orders of three' });
});

test('errors: a seed that is no u32', () => {
  throws(() => uniform([3], { seed: 0.5 }), /uniform: .*"seed", got 0.5/);
  throws(() => normal([3], { seed: 1, stream: scalar('f32') }), /for "stream", got f32 \[\]/);
  throws(() => permutation(3, { seed: 1, epoch: -1 }), /permutation: .* for "epoch", got -1/);
});
