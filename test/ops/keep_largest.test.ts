import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { input, reshape } from '../../src/graph/tensor.ts';
import { keepLargest } from '../../src/ops/keep_largest.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

const exact = { rel: 0, abs: 0 };

for (const [shape, k] of [
  [[1, 1], 1],
  [[3, 2], 1],
  [[5, 7], 3],
  [[2, 3, 9], 9],
  [[4, 255], 16],
  [[3, 256], 100],
  [[7, 257], 1],
  [[2, 1024], 1023],
  [[3, 4095], 17],
  [[2, 4097], 2000],
  [[33_000], 4000],
  [[2, 70_001], 512],
] as [number[], number][])
  test(`the ${k} largest of rows of [${shape}]: value and gradient`, () =>
    checkOp({
      inputs: { x: shape },
      build: ({ x }) => keepLargest(x, { k }),
      reference: ({ x }) => reference.keepLargest(x, k),
      rel: 0,
      abs: 0,
    }).then(() => {}));

test('equal numbers: the first ones are kept, also across chunks, and the gradient passes there', async () => {
  for (const [N, k] of [
    [9, 4],
    [5000, 700],
    [20_001, 9000],
  ])
    await checkOp({
      inputs: { x: { shape: [2, N], values: (draw, count) => draw.integers(count, -2, 3) } },
      build: ({ x }) => keepLargest(x, { k }),
      reference: ({ x }) => reference.keepLargest(x, k),
      what: `${k} of ${N}`,
      rel: 0,
      abs: 0,
    });
});

test('all equal, all zero: the first k, -0 equals 0', async () => {
  const x = Float32Array.of(0, -0, 0, -0, 1, 1, 1, 1, -1, -1, -1, -1);
  const dy = Float32Array.from(x, (_, i) => i + 1);
  const found = await evaluate(
    { x: input([3, 4]), dy: input([3, 4]) },
    ({ x, dy }) => {
      const y = keepLargest(x, { k: 3 });
      return { y, dx: grad(y, [x], dy)[0] };
    },
    { x, dy },
  );
  close(found.y, [0, 0, 0, 0, 1, 1, 1, 0, -1, -1, -1, 0], exact);
  close(found.dx, [1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0], exact);
});

test('numbers of all sizes, infinite ones, and NaN, which is kept first', async () => {
  const x = Float32Array.of(1e-42, -3e38, 3e38, Number.NaN, Infinity, -Infinity, -1e-42, 0);
  const kept = async (k: number) =>
    (await evaluate({ x: input([8]) }, ({ x }) => ({ y: keepLargest(x, { k }) }), { x })).y;
  const one = await kept(1);
  assert.ok(Number.isNaN(one[3]) && one.every((value, i) => i === 3 || value === 0), `${one}`);
  close((await kept(3)).subarray(4), [Infinity, 0, 0, 0], exact);
  // 3e38, NaN, infinity, 1e-42, 0 are larger than -1e-42.
  const five = await kept(5);
  assert.ok(five[0] > 0 && five[1] === 0 && Math.fround(3e38) === five[2] && five[5] === 0, `${five}`);
});

test('the k largest of a whole batch are those of one row, and the same bits come again', async () => {
  const [N, M, k] = [37, 129, 300];
  const draw = random(freshSeed());
  const x = draw.normal(N * M);
  const [a, b] = await Promise.all(
    [0, 1].map(() =>
      evaluate(
        { x: input([N, M]) },
        ({ x }) => ({ y: reshape(keepLargest(reshape(x, [1, N * M]), { k }), [N, M]) }),
        { x },
      ),
    ),
  );
  const threshold = Float32Array.from(x).sort().at(-k)!;
  close(
    a.y,
    x.map((value) => (value >= threshold ? value : 0)),
    exact,
  );
  close(b.y, a.y, exact);
});

test('errors', () => {
  throws(() => keepLargest(input([2, 3], 'u32'), { k: 1 }), /keepLargest: .*f32/);
  throws(() => keepLargest(input([]), { k: 1 }), /keepLargest/);
  for (const k of [0, 4, 1.5]) throws(() => keepLargest(input([2, 3]), { k }), /keepLargest: .*1 to 3.*"k"/);
});
