import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import straightThroughWgsl from '../../shaders/straight_through.wgsl' with { type: 'text' };
import { checkFloat } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';

const straightThroughOp = op({
  name: 'straightThrough',
  shape: ([hard]: [hard: Tensor, soft: Tensor]) => hard.shape,
  kernel: {
    source: [straightThroughWgsl, gridWgsl],
    entry: 'straight_through',
    inputs: ['hard', 'soft'],
    unread: ['soft'],
    outputs: ['y'],
    workgroupSize: 256,
    uniform: ({ outputs: [y] }) => ({ count: Math.ceil(y.size / 4) }),
    invocations: ({ outputs: [y] }) => Math.ceil(y.size / 4),
  },
  vjp: (dy) => [null, dy],
});

/**
 * The straight-through estimator (Bengio et al. 2013, arXiv 1308.3432): the value of `hard`, and the gradient as if it were `soft`.
 * For quantisation (VQ-VAE: the nearest code, and the encoder's output) and for samples of discrete variables.
 *
 * The result has exactly the bits of `hard`; the usual `soft + stopGradient(hard - soft)` rounds.
 * @param hard f32 of any shape; it gets no gradient
 * @param soft f32 of the same shape
 * @throws ShapeError
 */
export function straightThrough(hard: Tensor, soft: Tensor): Tensor {
  checkFloat('straightThrough', hard, 'hard');
  checkFloat('straightThrough', soft, 'soft');
  if (!sameShape(hard.shape, soft.shape))
    throwShapeError(
      'straightThrough',
      `expected "soft" ${show(hard.shape)} like "hard", got ${show(soft.shape)}`,
    );
  return straightThroughOp([hard, soft]);
}
