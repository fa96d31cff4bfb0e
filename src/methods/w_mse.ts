import { checkCall } from '../graph/check.ts';
import { reshape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { concatenate } from '../ops/shape.ts';
import { alignmentLoss } from './alignment.ts';
import { type ImageMethod, SWITCH } from './method.ts';
import { checkViews, halves } from './parts/views.ts';
import { whiten } from './parts/whiten.ts';

/**
 * W-MSE: Ermolov et al. 2021, arXiv 2007.06346, Equations 3 to 7: each view is whitened over the batch, which makes collapse impossible,
 * then views agree: `mean 2 - 2 cos`. No negatives, no target network. 0 to 4. The batch is one slice (the paper's batch slicing is left out).
 *
 * @param zA embeddings of view A, [N, D], N > D: fewer rows are always whitened to the corners of a simplex
 * @param zB embeddings of view B, [N, D]
 * @param iterations of {@link whiten}
 * @throws ShapeError unless both views are [N, D], N > D
 */
export function wMseLoss(zA: Tensor, zB: Tensor, options: { iterations?: number } = {}): Tensor {
  checkViews('wMseLoss', zA, zB);
  checkCall('wMseLoss', {}, options, 'iterations');
  const [N, D] = zA.shape;
  if (N <= D)
    throwShapeError('wMseLoss', `expected more rows than features, to whiten them, got ${show(zA.shape)}`);
  const white = whiten(reshape(concatenate([zA, zB]), [2, N, D]), options);
  const [wA, wB] = halves(reshape(white, [2 * N, D]));
  return alignmentLoss(wA, wB);
}

/** W-MSE on two views of each image. `standardize` 0 leaves out the batch norm at the end of the projector. */
export const wMse = {
  title: 'W-MSE',
  paper: 'Ermolov et al., arXiv 2007.06346',
  year: 2020,
  summary: 'embeddings are whitened over the batch, then views agree: white embeddings cannot collapse',
  data: 'images',
  hyperparameters: { standardize: [1, SWITCH] },
  loss: (zA, zB) => wMseLoss(zA, zB),
} satisfies ImageMethod;
