import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import factorsWgsl from '../../shaders/other_factor.wgsl' with { type: 'text' };
import { checkCall, checkScalar, checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { type Scalar, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { randomLib } from '../ops/random.ts';
import { checkDataset, type Dataset, U32 } from './dataset.ts';
import { MOST_FACTORS } from './factors.ts';

interface Options {
  seed: Scalar;
  step: Scalar;
}

const otherOp = op({
  name: 'otherFactor',
  dtype: 'u32',
  shape: (
    [{ shape }]: [indices: Tensor, cells: Tensor, rowAt: Tensor],
    _: Options & { values: readonly number[] },
  ) => [shape[0]],
  kernel: {
    source: [factorsWgsl, gridWgsl, randomLib],
    entry: 'other_factor',
    inputs: ['indices', 'cells', 'row_at'],
    outputs: ['others'],
    uniform: ({ inputs: [indices, cells], options: { values, seed, step } }) => ({
      ...{ rows: indices.shape[0], count: cells.shape[0], factors: values.length, seed, step },
      values: [0, 1, 2, 3].map((f) => values[f] ?? 1),
      more_values: [4, 5, 6, 7].map((f) => values[f] ?? 1),
    }),
    // The draws, each of a product over the factors.
    rounds: () => 16 * (20 + MOST_FACTORS),
    invocations: ({ inputs: [indices] }) => indices.shape[0],
  },
  vjp: () => [],
});

/**
 * For each image of `indices` another one of the same data set, in which one factor, chosen at random, has another value: the pairs of weak
 * supervision (Locatello et al. 2020, arXiv 2002.02886, with k = 1). A combination that the data set lacks is drawn again; after 16 draws an
 * image is its own partner.
 * @param indices u32 [N]
 * @param options.seed u32
 * @param options.step u32: other pairs in each step
 * @returns u32 [N]
 * @throws ShapeError for a data set without factors, and for other indices
 */
export function otherFactor(data: Dataset, indices: Tensor, options: Options): Tensor {
  checkDataset('otherFactor', data);
  checkCall('otherFactor', { indices }, options, 'seed step');
  checkTensor('otherFactor', 'indices', indices, { dtype: 'u32', rank: 1 });
  const { seed, step } = options;
  checkScalar('otherFactor', 'seed', seed, U32, 'u32');
  checkScalar('otherFactor', 'step', step, U32, 'u32');
  const { factors } = data;
  if (!factors) throwShapeError('otherFactor', `data set "${data.images.name}" has no factors`);
  const { values, cells, rowAt } = factors;
  return otherOp([indices, cells, rowAt], { values, seed, step });
}
