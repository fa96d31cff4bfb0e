import { grad } from '../../src/graph/gradient.ts';
import { constant, constantValue, input } from '../../src/graph/tensor.ts';
import * as ops from '../../src/ops/reduce.ts';
import { close, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

const ours = { ...ops };
const theirs = { ...reference };

const names = ['sum', 'mean', 'max', 'min'] as const;
type Case = [shape: number[], axes?: number | number[], dispatches?: number];
const cases: Case[] = [
  [[1]],
  [[3]],
  [[65], 0],
  [[1027], undefined, 1],
  [[4096], undefined, 1],
  [[9, 7], 1, 1],
  [[7, 9], 0, 1],
  [[300, 5], -1, 1],
  [[130, 12], 0, 1],
  [[130, 7], 0, 1],
  [[3, 65, 5], 1, 1],
  [[2, 3, 4, 5], [0, 2], 2],
  [[2, 3, 4, 5], [1, 2], 1],
  [[5, 1, 4, 1, 3], [1, 2, 3], 1],
  [[2, 3, 4, 5], [-1, 0], 2],
  [[4, 1, 4], 1, 0],
  [[2, 3, 4], undefined, 1],
];
for (const name of names) {
  test(name, async () => {
    for (const [shape, axes, dispatches] of cases) {
      const options = axes === undefined ? {} : { axes };
      const found = await checkOp({
        inputs: { x: shape },
        build: ({ x }) => ours[name](x, options),
        reference: ({ x }) => theirs[name](x, axes),
        what: `[${shape}] over [${axes}]`,
      });
      // Value and gradient take as many each.
      const most = 2 * (dispatches ?? 1);
      if (found.dispatches > most)
        throw new Error(`[${shape}] over [${axes}]: expected ${most} dispatches, got ${found.dispatches}`);
    }
  });
  test(`${name} in two passes`, async () => {
    const long: Case[] = [
      [[10007]],
      [[3, 5003], 1],
      [[2500, 8], 0],
      [[2, 1031, 3], 1],
      [
        [2100, 33],
        [0, 1],
      ],
    ];
    for (const [shape, axes] of long) {
      await checkOp({
        inputs: { x: shape },
        build: ({ x }) => ours[name](x, axes === undefined ? {} : { axes, keepDims: true }),
        reference: ({ x }) => theirs[name](x, axes, { keepDims: axes !== undefined }),
        what: `[${shape}] over [${axes}]`,
      });
    }
  });
}

test('sums of many equal numbers stay precise', async () => {
  const { a, b, dispatches } = await evaluate(
    { x: input([567296]), z: input([8192, 64]) },
    ({ x, z }) => ({ a: ops.sum(x), b: ops.sum(z, { axes: 0 }) }),
    { x: new Float32Array(567296).fill(0.1), z: new Float32Array(8192 * 64).fill(0.3) },
  );
  close(a, [567296 * Math.fround(0.1)], { rel: 2e-6 });
  close(b, new Array(64).fill(8192 * Math.fround(0.3)), { rel: 2e-6 });
  close([dispatches], [4]);
});

test('max of infinities, and of ties', async () => {
  const found = await evaluate(
    { x: input([2, 3]) },
    ({ x }) => {
      const y = ops.max(x, { axes: 1 });
      return { y, z: ops.min(x, { axes: 0 }), dx: grad(y, [x], constant(5, [2]))[0] };
    },
    { x: [-Infinity, -Infinity, -Infinity, 2, 3, 3] },
  );
  close(found.y, [-Infinity, 3]);
  close(found.z, [-Infinity, -Infinity, -Infinity]);
  close(found.dx, [5, 0, 0, 0, 5, 0]);
});

test('a constant stays a constant, forwards and backwards', () => {
  const x = input([6, 4]);
  const [dx] = grad(ops.mean(x), [x]);
  close([constantValue(dx)!], [1 / 24]);
  close([constantValue(ops.sum(constant(2, [6, 4])))!, constantValue(ops.max(constant(2, [6])))!], [48, 2]);
});

test('the gradient of a sum in two passes is one dispatch', async () => {
  const { dispatches, dx } = await evaluate(
    { x: input([5000]), dy: input([]) },
    ({ x, dy }) => ({ dx: grad(ops.mean(x), [x], dy)[0] }),
    { x: new Float32Array(5000), dy: [10000] },
  );
  close(dx, new Float32Array(5000).fill(2));
  close([dispatches], [1]);
});

test('errors name the op', () => {
  throws(
    () => ops.sum(input([3]), { axes: 1 }),
    /sum: expected different axes of a tensor of rank 1, got \[1\]/,
  );
  throws(() => ops.max(input([3, 3]), { axes: [0, -2] }), /max: expected different axes/);
  throws(() => ops.mean(input([4], 'u8')), /mean: expected an f32 tensor for "x", got u8/);
});
