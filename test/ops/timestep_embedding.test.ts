import { input } from '../../src/graph/tensor.ts';
import { timestepEmbedding } from '../../src/ops/timestep_embedding.ts';
import { test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp } from './check.ts';

for (const [N, width, maxPeriod, most] of [
  [1, 2, 10_000, 1],
  [7, 64, 10_000, 1],
  [65, 33, 10_000, 1000],
  [9, 128, 100, 1000],
] as const)
  test(`timestepEmbedding [${N}] -> [${N}, ${width}], times to ${most}, maxPeriod ${maxPeriod}`, async () => {
    await checkOp({
      inputs: { t: { shape: [N], values: (draw, n) => draw.uniform(n, 0, most) } },
      build: ({ t }) => timestepEmbedding(t, { width, maxPeriod }),
      reference: ({ t }) => reference.timestepEmbedding(t, { width, maxPeriod }),
      // The rounding of w t, in radians.
      abs: 1e-6 + most * 1.5e-7,
      rel: 1e-5,
    });
  });

test('timestepEmbedding: what does not fit is named', () => {
  throws(
    () => timestepEmbedding(input([3, 2]), { width: 8 }),
    /timestepEmbedding: expected an f32 tensor of 1 dimension for "t"/,
  );
  throws(() => timestepEmbedding(input([3]), { width: 1 }), /timestepEmbedding: .*"width", got 1/);
  throws(
    () => timestepEmbedding(input([3]), { width: 4, maxPeriod: 0 }),
    /timestepEmbedding: .*above 0.*"maxPeriod", got 0/,
  );
});
