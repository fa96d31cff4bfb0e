import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { input } from '../../src/graph/tensor.ts';
import * as ops from '../../src/ops/softmax.ts';
import { close, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

const ours = { ...ops };
const theirs = { ...reference };

const shapes = [[1], [3], [7], [5, 1], [9, 10], [17, 64], [3, 65], [2, 3, 127], [1, 1028], [1000, 3]];
for (const name of ['softmax', 'logSoftmax', 'logSumExp'] as const) {
  test(name, async () => {
    for (const shape of shapes) {
      await checkOp({
        inputs: { x: { shape, values: (draw, n) => draw.normal(n).map((v) => 3 * v) } },
        build: ({ x }) => ours[name](x),
        reference: ({ x }) => theirs[name](x),
        what: `[${shape}]`,
      });
    }
  });
}

test('logSumExp of few long rows, and with keepDims', async () => {
  // Two dispatches forward and two backward where the length divides into parts, else one each.
  for (const [shape, wanted] of [
    [[8192], 4],
    [[2, 4100], 2],
    [[4099], 2],
  ] as const) {
    const { dispatches } = await checkOp({
      inputs: { x: [...shape] },
      build: ({ x }) => ops.logSumExp(x, { keepDims: true }),
      reference: ({ x }) => reference.logSumExp(x, { keepDims: true }),
      what: `[${shape}]`,
    });
    assert.is(dispatches, wanted, `dispatches of [${shape}]`);
  }
});

test('large numbers and infinities', async () => {
  const low = -Infinity;
  const found = await evaluate(
    { x: input([4, 3]), dy: input([4]) },
    ({ x, dy }) => {
      const l = ops.logSumExp(x);
      return { s: ops.softmax(x), g: ops.logSoftmax(x), l, dx: grad(l, [x], dy)[0] };
    },
    { x: [1e30, 1e30, -1e30, 2, low, 2, low, 5, low, low, low, low], dy: [1, 1, 1, 1] },
  );
  const half = Math.log(0.5);
  close(found.s.slice(0, 9), [0.5, 0.5, 0, 0.5, 0, 0.5, 0, 1, 0]);
  close(found.g.slice(3, 9), [half, low, half, low, 0, low]);
  close(found.l.slice(1), [2 - half, 5, low]);
  close(found.dx, [0.5, 0.5, 0, 0.5, 0, 0.5, 0, 1, 0, 0, 0, 0]);
});

test('errors name the op', () => {
  throws(() => ops.softmax(input([])), /softmax: expected an f32 tensor with rows, got f32 \[\]/);
  throws(() => ops.logSumExp(input([4], 'u32')), /logSumExp: expected an f32 tensor with rows/);
});
