import { POSITIVE, scalarsOf } from '../graph/check.ts';
import { reshape, type Scalar, type Tensor } from '../graph/tensor.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean } from '../ops/reduce.ts';
import { concatenate } from '../ops/shape.ts';
import { logSumExp } from '../ops/softmax.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews, dots } from './parts/views.ts';

const hyperparameters = { temperature: [0.2, POSITIVE], chunks: CHUNKS } as const;

/**
 * Decoupled contrastive learning: Yeh et al. 2021, arXiv 2110.06848, Equation 6: NT-Xent without the positive in the
 * denominator, so that an easy positive does not weaken the gradient of the negatives, and small batches suffice.
 * `1/(2N) sum_i [ log sum_{k not i, p(i)} exp(u_i.u_k / temperature) - u_i.u_p(i) / temperature ]`
 *
 * @param zA embeddings of view A, [N, D], N >= 2; normalised here
 * @param zB embeddings of view B, [N, D]
 * @param temperature default 0.2, as for {@link ntXentLoss} (the paper's CIFAR-10 runs use 0.07 and 0.1)
 * @throws ShapeError unless both views are [N, D], N >= 2
 */
export function dclLoss(zA: Tensor, zB: Tensor, options: { temperature?: Scalar } = {}): Tensor {
  checkViews('dclLoss', zA, zB);
  const { temperature } = scalarsOf('dclLoss', options, { temperature: hyperparameters.temperature });
  const [uA, uB] = [l2Normalize(zA), l2Normalize(zB)];
  // Excludes row i of both views: it is the anchor in its own view, and the positive in the other.
  const against = (u: Tensor, of: Tensor) =>
    reshape(contrast(u, of, { temperature, excludeSelf: true }).loss, [-1, 1]);
  const negatives = (u: Tensor, other: Tensor) =>
    logSumExp(concatenate([against(u, u), against(u, other)], { axis: 1 })); // [N]
  const both = mul(add(negatives(uA, uB), negatives(uB, uA)), 0.5);
  const positive = div(dots(uA, uB), temperature);
  return mean(sub(both, positive));
}

/** Decoupled contrastive learning on two views of each image. */
export const dcl = {
  title: 'Decoupled contrastive learning (DCL)',
  paper: 'Yeh et al., arXiv 2110.06848',
  year: 2021,
  summary: 'NT-Xent without the positive in the denominator: small batches suffice',
  data: 'images',
  hyperparameters,
  loss: dclLoss,
} satisfies ImageMethod<typeof hyperparameters>;
