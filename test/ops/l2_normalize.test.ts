import { grad } from '../../src/graph/gradient.ts';
import { constant, input } from '../../src/graph/tensor.ts';
import { l2Normalize } from '../../src/ops/l2_normalize.ts';
import { close, test, throws } from '../harness.ts';
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

test('a zero row stays zero, with a finite gradient', async () => {
  const { y, dx } = await evaluate(
    { x: input([2, 3]) },
    ({ x }) => {
      const y = l2Normalize(x);
      return { y, dx: grad(y, [x], constant(1, [2, 3]))[0] };
    },
    { x: [0, 0, 0, 3, 0, 4] },
  );
  close(y, [0, 0, 0, 0.6, 0, 0.8]);
  close(dx.slice(0, 3), [1e12, 1e12, 1e12]);
  close(dx.slice(3), [0.2 - 0.6 * 0.28, 0.2, 0.2 - 0.8 * 0.28]);
});

test('errors name the op', () => {
  throws(() => l2Normalize(input([])), /l2Normalize: expected an f32 tensor with rows/);
});
