import type { Device } from '../gpu/device.ts';
import { show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean, sum } from '../ops/reduce.ts';
import { sqrt, square } from '../ops/unary.ts';
import { checkOn } from '../runtime/check.ts';
import { checkRows, compute, type Rows, tensorOf } from './compute.ts';

/**
 * The modality gap: the distance of the centroids of two sets of embeddings, such as images and captions, each normalised first (Liang et al. 2022,
 * arXiv 2203.02053, Section 2). 0 to 2; 0 where both lie about the same point. Contrastive losses of a low temperature keep the gap that
 * two untrained encoders have.
 * @param u f32 [N, D] @param v f32 [M, D]
 * @throws ShapeError
 */
export async function modalityGap(device: Device, u: Rows, v: Rows): Promise<number> {
  const where = 'modalityGap';
  checkOn(where, device);
  const [[, D], [, E]] = [checkRows(where, u), checkRows(where, v)];
  if (D !== E)
    throwShapeError(where, `expected rows of one length, got ${show(u.shape)} and ${show(v.shape)}`);
  const { gap } = await compute(device, () => ({
    gap: gapOf(...([u, v].map((rows) => l2Normalize(tensorOf(where, rows))) as [Tensor, Tensor])),
  }));
  return gap[0];
}

/** The same of unit rows, as a node of the step that computes it. */
export function gapOf(u: Tensor, v: Tensor): Tensor {
  return sqrt(sum(square(sub(mean(u, { axes: 0 }), mean(v, { axes: 0 })))));
}
