import { POSITIVE, scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { concatenate } from '../ops/shape.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews } from './parts/views.ts';

const hyperparameters = { temperature: [0.2, POSITIVE], chunks: CHUNKS } as const;

/**
 * NT-Xent, the loss of SimCLR: Chen et al. 2020, arXiv 2002.05709, Equation 1 and Algorithm 1.
 * Each of the 2N rows is an anchor; its positive is the other view, the other 2N - 2 rows are negatives.
 * `1/(2N) sum_i [ log sum_{k != i} exp(u_i.u_k / temperature) - u_i.u_p(i) / temperature ]`, initially about log(2N - 1).
 *
 * @param zA embeddings of view A, [N, D]; normalised here
 * @param zB embeddings of view B, [N, D]
 * @param temperature default 0.2 (on Fashion-MNIST better than 0.5: docs/results.md; the paper's CIFAR-10 runs use 0.5)
 * @throws ShapeError unless both views are [N, D]
 */
export function ntXentLoss(zA: Tensor, zB: Tensor, options: { temperature?: Scalar } = {}): Tensor {
  checkViews('ntXentLoss', zA, zB);
  const { temperature } = scalarsOf('ntXentLoss', options, { temperature: hyperparameters.temperature });
  const u = l2Normalize(concatenate([zA, zB])); // [2N, D]
  return contrast(u, u, { temperature, excludeSelf: true, pairOffset: zA.shape[0], mean: true }).loss;
}

/** SimCLR: NT-Xent on two views of each image. */
export const simclr = {
  title: 'SimCLR (NT-Xent)',
  paper: 'Chen et al., arXiv 2002.05709',
  year: 2020,
  summary: 'two views of a sample attract, all other rows of the batch repel',
  data: 'images',
  hyperparameters,
  loss: ntXentLoss,
} satisfies ImageMethod<typeof hyperparameters>;
