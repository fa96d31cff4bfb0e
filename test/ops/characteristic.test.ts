import { input } from '../../src/graph/tensor.ts';
import { characteristic } from '../../src/ops/characteristic.ts';
import { close, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

test('characteristic', async () => {
  for (const [B, N, K, knots] of [
    [1, 1, 1, 1],
    [1, 2, 3, 2],
    [2, 7, 5, 3],
    [3, 65, 9, 17],
    [1, 33, 64, 17],
    [2, 127, 65, 5],
    [1, 1000, 2, 7],
  ]) {
    const options = { knots, step: 3 / 16 };
    await checkOp({
      inputs: { p: { shape: [B, N, K], values: (draw, n) => draw.normal(n).map((v) => 2 * v) } },
      build: ({ p }) => characteristic(p, options),
      reference: ({ p }) => reference.characteristic(p, options),
      what: `[${B}, ${N}, ${K}], ${knots} knots`,
    });
  }
});

test('without batches', async () => {
  const options = { knots: 4, step: 0.5 };
  await checkOp({
    inputs: { p: [6, 5] },
    build: ({ p }) => characteristic(p, options),
    reference: ({ p }) =>
      reference.reshape(reference.characteristic(reference.reshape(p, [1, 6, 5]), options), [5, 4, 2]),
  });
});

test('far points still have waves of length 1, and a normal sample has nearly that of the normal distribution', async () => {
  const far = await evaluate(
    { p: input([1, 3]) },
    ({ p }) => ({ y: characteristic(p, { knots: 2, step: 1 }) }),
    { p: [0, 100, -300] },
  );
  const expected = [0, 100, -300].flatMap((x) => [1, 0, Math.cos(x), Math.sin(x)]);
  close(far.y, expected, { abs: 5e-5 });
  const { y } = await evaluate(
    { p: input([20000, 1]) },
    ({ p }) => ({ y: characteristic(p, { knots: 4, step: 1 }) }),
    { p: random(3).normal(20000) },
  );
  close(
    y,
    [0, 1, 2, 3].flatMap((t) => [Math.exp((-t * t) / 2), 0]),
    { abs: 0.03 },
  );
});

test('errors name the op', () => {
  const options = { knots: 3, step: 1 };
  throws(() => characteristic(input([3]), options), /characteristic: expected f32 \[N, K\].*got f32 \[3\]/);
  throws(() => characteristic(input([3, 2], 'u32'), options), /got u32 \[3, 2\]/);
  throws(() => characteristic(input([3, 2]), { knots: 1.5, step: 1 }), /whole knots.*got 1.5/);
  throws(() => characteristic(input([3, 2]), { knots: 3, step: 0 }), /step above 0/);
});
