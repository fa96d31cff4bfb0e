import { input } from '../../src/graph/tensor.ts';
import { upsample } from '../../src/ops/upsample.ts';
import { test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp } from './check.ts';

for (const [shape, factor] of [
  [[1, 1, 1, 1], 2],
  [[2, 3, 5, 3], 2],
  [[3, 7, 7, 8], 2],
  [[65, 2, 3, 4], 3],
  [[1, 2, 1, 64], 5],
  [[2, 3, 3, 7], 1],
] as const)
  test(`upsample [${shape}] by ${factor}`, async () => {
    const { dispatches } = await checkOp({
      inputs: { x: shape },
      build: ({ x }) => upsample(x, factor),
      reference: ({ x }) => reference.upsample(x, factor),
      rel: 1e-6,
    });
    if (dispatches > 2) throw new Error(`${dispatches} dispatches`);
  });

test('upsample: what does not fit is named', () => {
  throws(() => upsample(input([3, 3]), 2), /upsample: expected images \[N, H, W, C\], got \[3, 3\]/);
  throws(() => upsample(input([1, 3, 3, 1]), 1.5), /upsample: expected a whole number .*"factor", got 1.5/);
  throws(() => upsample(input([1, 3, 3, 1], 'u32'), 2), /upsample: expected an f32 tensor for "x"/);
});
