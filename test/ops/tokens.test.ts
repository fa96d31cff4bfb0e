import { grad } from '../../src/graph/gradient.ts';
import { constant, input } from '../../src/graph/tensor.ts';
import { putTokens, takeTokens } from '../../src/ops/tokens.ts';
import { close, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

// N, T, K, D; ids are drawn up to T + 1, so that some repeat and some are outside.
const SIZES = [
  [1, 1, 1, 1],
  [3, 7, 4, 7],
  [2, 49, 12, 8],
  [5, 16, 16, 3],
  [2, 64, 65, 4],
  [3, 65, 7, 64],
  [2, 49, 64, 65],
  [7, 4, 9, 1],
];

for (const [N, T, K, D] of SIZES) {
  const what = `${K} of [${N}, ${T}, ${D}]`;
  const ids = {
    shape: [N, K],
    dtype: 'u32' as const,
    values: (draw: { integers: (n: number, lo: number, hi: number) => Uint32Array }, n: number) =>
      draw.integers(n, 0, T + 2),
  };
  test(`takeTokens: ${what}`, async () => {
    await checkOp({
      inputs: { x: [N, T, D], ids },
      build: ({ x, ids }) => takeTokens(x, ids),
      reference: ({ x, ids }) => reference.takeTokens(x, ids.data),
      what,
    });
  });
  test(`putTokens: ${what}`, async () => {
    await checkOp({
      inputs: { dy: [N, K, D], ids },
      build: ({ dy, ids }) => putTokens(dy, ids, { tokens: T }),
      reference: ({ dy, ids }) => reference.putTokens(dy, ids.data, T),
      what,
    });
  });
}

test('a repeated token is taken twice and gets both gradients; one outside is zeros and gives none', async () => {
  const found = await evaluate(
    { x: input([2, 3, 2]), ids: input([2, 3], 'u32') },
    ({ x, ids }) => {
      const y = takeTokens(x, ids);
      const dy = constant(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), y.shape);
      return { y, dx: grad(y, [x], dy)[0], put: putTokens(dy, ids, { tokens: 2 }) };
    },
    { x: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], ids: [2, 0, 2, 3, 1, 0xffffffff] },
  );
  close(found.y, [5, 6, 1, 2, 5, 6, 0, 0, 9, 10, 0, 0]);
  close(found.dx, [3, 4, 0, 0, 6, 8, 0, 0, 9, 10, 0, 0]);
  close(found.put, [3, 4, 0, 0, 0, 0, 9, 10]);
});

test('the gradient of the gradient of takeTokens', async () => {
  const found = await evaluate(
    { x: input([1, 3, 1]), w: input([1, 2, 1]), ids: input([1, 2], 'u32') },
    ({ x, w, ids }) => {
      const [dx] = grad(takeTokens(x, ids), [x], w);
      return { dw: grad(dx, [w], x)[0] };
    },
    { x: [5, 6, 7], w: [1, 2], ids: [2, 0] },
  );
  close(found.dw, [7, 5]);
});

test('errors of takeTokens and putTokens', () => {
  const [x, ids] = [input([2, 3, 4]), input([2, 5], 'u32')];
  throws(() => takeTokens(input([2, 3]), ids), /takeTokens: expected an f32 tensor of 3 dimensions for "x"/);
  throws(() => takeTokens(x, input([2, 5])), /takeTokens: expected a u32 tensor of 2 dimensions for "ids"/);
  throws(() => takeTokens(x, input([3, 5], 'u32')), /expected ids \[2, K\] for \[2, 3, 4\], got \[3, 5\]/);
  throws(
    () => putTokens(x, ids, { tokens: 3 }),
    /putTokens: expected ids \[2, 3\] for \[2, 3, 4\], got \[2, 5\]/,
  );
  throws(
    () => putTokens(x, input([2, 3], 'u32'), { tokens: 0 }),
    /putTokens: expected a whole number of 1 to \d+ for "tokens", got 0/,
  );
});
