import { POSITIVE, scalarsOf } from '../graph/check.ts';
import type { Scalar, Tensor } from '../graph/tensor.ts';
import { add, div, sub } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean } from '../ops/reduce.ts';
import { CHUNKS, type ImageMethod } from './method.ts';
import { checkViews, dots } from './parts/views.ts';

const hyperparameters = { temperature: [0.3, POSITIVE], chunks: CHUNKS } as const;

/**
 * Decoupled hypersphere energy loss: Koromilas et al. 2024, arXiv 2405.18045: alignment of pairs, and a log-sum-exp over the other
 * rows of the same view instead of candidates from both, so that alignment and uniformity do not depend on each other.
 * `1/N sum_i [ -u_i.v_i / temperature + log sum_{j != i} exp(u_i.u_j / temperature) + log sum_{j != i} exp(v_i.v_j / temperature) ]`
 *
 * @param zA embeddings of view A, [N, D], N >= 2; normalised here (u)
 * @param zB embeddings of view B, [N, D]; normalised here (v)
 * @param temperature default 0.3
 * @returns a scalar: 2 log(N - 1) + 1 / temperature where all embeddings coincide
 * @throws ShapeError unless both views are [N, D], N >= 2
 */
export function dhelLoss(zA: Tensor, zB: Tensor, options: { temperature?: Scalar } = {}): Tensor {
  checkViews('dhelLoss', zA, zB);
  const { temperature } = scalarsOf('dhelLoss', options, { temperature: hyperparameters.temperature });
  const [u, v] = [l2Normalize(zA), l2Normalize(zB)];
  const energy = (x: Tensor) => contrast(x, x, { temperature, excludeSelf: true, mean: true }).loss;
  const aligned = div(mean(dots(u, v)), temperature);
  return sub(add(energy(u), energy(v)), aligned);
}

/** DHEL on two views of each image. */
export const dhel = {
  title: 'Decoupled hypersphere energy (DHEL)',
  paper: 'Koromilas et al., arXiv 2405.18045',
  year: 2024,
  summary: 'views agree; rows repel the other rows of their own view only',
  data: 'images',
  hyperparameters,
  loss: dhelLoss,
} satisfies ImageMethod<typeof hyperparameters>;
