import { checkFlag, POSITIVE, scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews } from './parts/views.ts';

const hyperparameters = { temperature: [0.2, POSITIVE], chunks: CHUNKS } as const;

/**
 * InfoNCE: van den Oord et al. 2018, arXiv 1807.03748, Equation 4; symmetric as in CLIP (Radford et al. 2021, Figure 3).
 * Row i of A and row i of B are a pair; the other rows of B are the negatives of row i of A, and vice versa.
 *
 * @param zA embeddings [N, D]; normalised here
 * @param zB embeddings [N, D] of the pairs
 * @param temperature default 0.2, as for {@link ntXentLoss}; MoCo and CLIP start at 0.07
 * @param symmetric mean of A to B and B to A; else A to B only. Default true
 * @throws ShapeError unless both views are [N, D]
 */
export function infoNceLoss(
  zA: Tensor,
  zB: Tensor,
  options: { temperature?: Scalar } & { symmetric?: boolean } = {},
): Tensor {
  checkViews('infoNceLoss', zA, zB);
  const { temperature } = scalarsOf(
    'infoNceLoss',
    options,
    { temperature: hyperparameters.temperature },
    'symmetric',
  );
  const { symmetric = true } = options;
  checkFlag('infoNceLoss', 'symmetric', symmetric);
  const [uA, uB] = [l2Normalize(zA), l2Normalize(zB)];
  const lossA = contrast(uA, uB, { temperature, pairOffset: 0, mean: true }).loss;
  if (!symmetric) return lossA;
  return mul(add(lossA, contrast(uB, uA, { temperature, pairOffset: 0, mean: true }).loss), 0.5);
}

/** InfoNCE between two views of each image, in both directions. */
export const infoNce = {
  title: 'InfoNCE',
  paper: 'van den Oord et al., arXiv 1807.03748',
  year: 2018,
  summary: 'pick the other view of a sample among the other views of the batch, in both directions',
  data: 'images',
  hyperparameters,
  loss: infoNceLoss,
} satisfies ImageMethod<typeof hyperparameters>;
