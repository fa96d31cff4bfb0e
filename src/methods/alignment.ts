import { checkNumber } from '../gpu/check.ts';
import { checkCall } from '../graph/check.ts';
import { type Tensor, where } from '../graph/tensor.ts';
import { add, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean, sum } from '../ops/reduce.ts';
import { power, square } from '../ops/unary.ts';
import type { ImageMethod } from './method.ts';
import { checkViews } from './parts/views.ts';

/** Keeps the gradient of a root finite where two views agree; the distance is then 1e-6. */
const EPSILON = 1e-12;

/**
 * Alignment: Wang & Isola 2020, arXiv 2005.10242, Equation 1: the mean of |u - u'|^alpha over positive pairs.
 * 0 when both views of every sample agree; 2 for unrelated directions and alpha = 2.
 *
 * @param zA embeddings of view A, [N, D]; normalised here
 * @param zB embeddings of view B, [N, D]
 * @param alpha default 2 (the paper's)
 * @returns a scalar. A row of zeros stays zero, at distance 1 from all unit rows
 * @throws ShapeError unless both views are [N, D]; InputError
 */
export function alignmentLoss(zA: Tensor, zB: Tensor, options: { alpha?: number } = {}): Tensor {
  checkViews('alignmentLoss', zA, zB);
  checkCall('alignmentLoss', {}, options, 'alpha');
  const { alpha = 2 } = options;
  checkNumber(where('alignmentLoss'), 'alpha', alpha, { above: 0 });
  const distance2 = sum(square(sub(l2Normalize(zA), l2Normalize(zB))), { axes: [1] }); // [N]
  return mean(alpha === 2 ? distance2 : power(add(distance2, EPSILON), alpha / 2));
}

/** Alignment alone, which collapses: nothing spreads the embeddings. */
export const alignment = {
  title: 'Alignment only',
  paper: 'Wang & Isola, arXiv 2005.10242',
  year: 2020,
  summary: 'collapses completely: all samples to one point',
  data: 'images',
  hyperparameters: {},
  loss: (zA, zB) => alignmentLoss(zA, zB),
} satisfies ImageMethod;
