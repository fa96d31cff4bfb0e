import { grad } from '../../src/graph/gradient.ts';
import { constant, input } from '../../src/graph/tensor.ts';
import { crossEntropy } from '../../src/ops/cross_entropy.ts';
import { close, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

test('crossEntropy', async () => {
  for (const [N, C] of [
    [1, 1],
    [3, 2],
    [7, 10],
    [64, 64],
    [65, 127],
    [5, 1000],
  ]) {
    await checkOp({
      inputs: {
        logits: { shape: [N, C], values: (draw, n) => draw.normal(n).map((v) => 3 * v) },
        labels: { shape: [N], dtype: 'u32', values: (draw, n) => draw.integers(n, 0, C) },
      },
      build: ({ logits, labels }) => crossEntropy(logits, labels),
      reference: ({ logits, labels }) => reference.crossEntropy(logits, labels.data),
      what: `[${N}, ${C}]`,
    });
  }
});

test('a label that is no class counts nothing; large logits and masks are safe', async () => {
  const { y, dx } = await evaluate(
    { x: input([4, 3]), labels: input([4], 'u32') },
    ({ x, labels }) => {
      const y = crossEntropy(x, labels);
      return { y, dx: grad(y, [x], constant(2, [4]))[0] };
    },
    { x: [1, 2, 3, 9, 9, 9, 1e4, 0, -1e4, -Infinity, 1, 1], labels: [3, 0xffffffff, 2, 1] },
  );
  close(y, [0, 0, 2e4, Math.log(2)]);
  close(dx, [0, 0, 0, 0, 0, 0, 2, 0, -2, 0, -1, 1]);
});

test('errors name the op', () => {
  throws(
    () => crossEntropy(input([3]), input([3], 'u32')),
    /crossEntropy: expected logits \[N, C\], got \[3\]/,
  );
  throws(
    () => crossEntropy(input([3, 2]), input([3])),
    /crossEntropy: expected labels u32 \[3\].*got f32 \[3\]/,
  );
  throws(() => crossEntropy(input([3, 2]), input([2], 'u32')), /crossEntropy: expected labels u32 \[3\]/);
});
