import { checkTensor } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { reshape, type Tensor } from '../graph/tensor.ts';
import { alignmentLoss } from '../methods/alignment.ts';
import { uniformityLoss } from '../methods/uniformity.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean, sum } from '../ops/reduce.ts';
import { concatenate } from '../ops/shape.ts';
import { sqrt, square } from '../ops/unary.ts';
import { covarianceOf, entropyRank, spectrumOf } from './effective_rank.ts';
import { checkSquare } from './numbers.ts';
import { meanStd } from './std.ts';

/**
 * Metrics of one batch, as nodes of the step that computes it: cheap enough for every step, without a gradient. Read them
 * when you show them.
 *
 * @param zA, zB embeddings of two views, [N, D]; normalised here
 * @returns `values` [4]: alignment, uniformity of view A, mean std of view A's unit embeddings (1 / sqrt(D) when
 *   spread evenly), mean length of view A's embeddings; `covariance` [D, D] of view A's unit embeddings, for {@link effectiveRankOf}
 *   and {@link participationRatioOf}
 * @throws ShapeError
 */
export function liveMetrics(zA: Tensor, zB: Tensor): { values: Tensor; covariance: Tensor } {
  checkTensor('liveMetrics', 'zA', zA, { dtype: 'f32', rank: 2 });
  checkTensor('liveMetrics', 'zB', zB, { dtype: 'f32', rank: 2 });
  const [a, b] = [stopGradient(zA), stopGradient(zB)];
  const u = l2Normalize(a);
  const length = mean(sqrt(sum(square(a), { axes: 1 })));
  const numbers = [alignmentLoss(a, b), uniformityLoss(a), meanStd(u), length];
  return {
    values: concatenate(numbers.map((x) => reshape(x, [1]))),
    covariance: covarianceOf(u),
  };
}

/**
 * Effective rank from a covariance [D, D] read from the GPU, without values below the rounding of f32's sums: see {@link spectrumOf}.
 * It takes a few milliseconds for D = 128.
 * @throws InputError
 */
export function effectiveRankOf(covariance: ArrayLike<number>): number {
  checkSquare('effectiveRankOf', 'covariance', covariance);
  return entropyRank(spectrumOf(covariance));
}

/**
 * Participation ratio from the same, without its spectrum: see {@link participationRatio}.
 * @throws InputError
 */
export function participationRatioOf(covariance: ArrayLike<number>): number {
  const D = checkSquare('participationRatioOf', 'covariance', covariance);
  let [trace, squares] = [0, 0];
  for (let i = 0; i < covariance.length; i++) {
    squares += covariance[i] ** 2;
    if (i % (D + 1) === 0) trace += covariance[i];
  }
  return squares ? trace ** 2 / squares : 0;
}
