import { grad } from '../../src/graph/gradient.ts';
import { constant, input } from '../../src/graph/tensor.ts';
import { l2Normalize } from '../../src/ops/l2_normalize.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

test('l2Normalize', async () => {
  for (const shape of [[3], [7, 2], [9, 64], [65, 127], [2, 33, 12], [1, 1000]]) {
    await checkOp({
      inputs: { x: shape },
      build: ({ x }) => l2Normalize(x),
      reference: ({ x }) => reference.l2Normalize(x),
      what: `[${shape}]`,
    });
  }
});

test('rows shorter than epsilon are divided by it', async () => {
  await checkOp({
    inputs: {
      x: { shape: [4, 5], values: (draw, n) => draw.normal(n).map((v, i) => (i < 10 ? 1e-3 * v : v)) },
    },
    build: ({ x }) => l2Normalize(x, { epsilon: 0.1 }),
    reference: ({ x }) => reference.l2Normalize(x, { eps: 0.1 }),
  });
});

test('a zero row stays zero, without a gradient', async () => {
  const { y, dx } = await evaluate(
    { x: input([2, 3]) },
    ({ x }) => {
      const y = l2Normalize(x);
      return { y, dx: grad(y, [x], constant(1, [2, 3]))[0] };
    },
    { x: [0, 0, 0, 3, 0, 4] },
  );
  close(y, [0, 0, 0, 0.6, 0, 0.8]);
  close(dx.slice(0, 3), [0, 0, 0], { rel: 0, abs: 0 });
  close(dx.slice(3), [0.2 - 0.6 * 0.28, 0.2, 0.2 - 0.8 * 0.28]);
});

/** y and its gradient for the same cotangent, of rows times a factor. */
async function scaled(shape: [number, number], values: ArrayLike<number>, dy: Float32Array, factor: number) {
  const x = Float32Array.from(values, (v) => v * factor);
  const inputs = { x: input(shape), dy: input(shape) };
  const found = await evaluate(
    inputs,
    ({ x, dy }) => {
      const y = l2Normalize(x);
      return { y, dx: grad(y, [x], dy)[0] };
    },
    { x, dy },
  );
  const leaf = reference.leaf(shape, x);
  const y = reference.l2Normalize(leaf);
  return { ...found, wanted: y.data, wantedGradient: reference.gradient(y, [leaf], dy)[0] };
}

for (const shape of [
  [7, 5],
  [9, 64],
  [3, 1000],
] as [number, number][]) {
  test(`rows [${shape}] of any length that f32 can hold have the same direction`, async () => {
    const draw = random(freshSeed());
    const values = draw.normal(shape[0] * shape[1]);
    const dy = draw.normal(values.length);
    for (const factor of [1e-30, 1e-22, 1e-18, 1e-12, 1e-6, 1e6, 1e12, 1e20, 1e30, 5e37]) {
      const { y, dx, wanted, wantedGradient } = await scaled(shape, values, dy, factor);
      close(y, wanted, { rel: 1e-6, what: `times ${factor}` });
      // Gradients of such rows are under 1e-37, where some adapters flush to 0.
      if (factor > 1e30) continue;
      const atOne = (g: ArrayLike<number>) => Float64Array.from(g, (v) => v * factor);
      close(atOne(dx), atOne(wantedGradient), { rel: 2e-5, what: `gradient, times ${factor}` });
    }
  });

  test(`rows [${shape}] times a power of two: the same bits`, async () => {
    const draw = random(freshSeed());
    const values = draw.normal(shape[0] * shape[1]);
    const dy = draw.normal(values.length);
    const one = await scaled(shape, values, dy, 1);
    for (const power of [-90, -50, -20, 15, 59, 61, 75, 100]) {
      const { y, dx } = await scaled(shape, values, dy, 2 ** power);
      close(y, one.y, { rel: 0, abs: 0, what: `2^${power}` });
      close(
        dx.map((v) => v * 2 ** power),
        one.dx,
        { rel: 0, abs: 0, what: `gradient, 2^${power}` },
      );
    }
  });
}

test('errors name the op', () => {
  throws(() => l2Normalize(input([])), /l2Normalize: expected an f32 tensor with rows/);
  for (const bad of [null, [1, 2], 'abc', -1, Number.NaN])
    throws(() => l2Normalize(bad as never), /l2Normalize: expected a tensor for "x", got /);
  for (const bad of [-1, Number.NaN, 1e300, '1', null])
    throws(
      () => l2Normalize(input([2, 3]), { epsilon: bad as never }),
      /l2Normalize: .*0 to 1000000000000.*"epsilon", got /,
    );
  throws(() => l2Normalize(input([2, 3]), { eps: 1 } as never), /l2Normalize: unknown option "eps"/);
  throws(() => l2Normalize(input([2, 3]), null as never), /l2Normalize: .*options, got null/);
});
