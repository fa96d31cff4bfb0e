import { input } from '../../src/graph/tensor.ts';
import { std, variance } from '../../src/ops/variance.ts';
import { test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp } from './check.ts';

test('variance and std', async () => {
  for (const [shape, axes] of [
    [[65], undefined],
    [[9, 12], 0],
    [[9, 7], 1],
    [
      [2, 3, 8],
      [0, 1],
    ],
  ] as [shape: number[], axes?: number | number[]][]) {
    for (const unbiased of [false, true]) {
      const options = { unbiased, keepDims: true, ...(axes === undefined ? {} : { axes }) };
      await checkOp({
        inputs: { x: { shape, values: (draw, n) => draw.normal(n).map((v) => v + 3) } },
        build: ({ x }) => variance(x, options),
        reference: ({ x }) => reference.variance(x, axes, { unbiased, keepDims: true }),
        what: `[${shape}]`,
      });
      await checkOp({
        inputs: { x: shape },
        build: ({ x }) => std(x, { ...options, epsilon: 1e-4 }),
        reference: ({ x }) =>
          reference.sqrt(reference.add(reference.variance(x, axes, { unbiased, keepDims: true }), 1e-4)),
        what: `std [${shape}]`,
      });
    }
  }
  throws(() => variance(input([1]), { unbiased: true }), /variance: expected at least 2/);
});
