import { reshape, type Tensor } from '../../graph/tensor.ts';
import { div, maximum, sub } from '../../ops/binary.ts';
import { matmul } from '../../ops/matmul.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { slice } from '../../ops/shape.ts';
import { sqrt, square } from '../../ops/unary.ts';
import type { CollapseRule, MethodCurve } from '../panel.ts';

/** The curves of {@link targetNumbers}. */
export const targetCurves = [
  {
    key: 'targetSpread',
    name: 'spread of targets',
    digits: 3,
    hint: 'the part of the targets that differs between images, 0 to 1',
  },
  {
    key: 'targetRank',
    name: 'rank of targets',
    digits: 1,
    hint: 'the number of directions in which they differ (participation ratio)',
  },
] as const satisfies readonly MethodCurve[];

/** Images that these numbers are taken of. */
const FEW = 64;

/**
 * How the targets of a predictor differ between images, at the same place: targets that only depend on the place are
 * predicted without looking at the image. The spread is the root of the share of their mean square that is variance over images; the rank is the
 * participation ratio of its covariance, `tr(C)^2 / tr(C C)`.
 * @param targets [N, T, D]
 */
export function targetNumbers(targets: Tensor): Record<string, Tensor> {
  const [N, T, D] = targets.shape;
  const some = slice(targets, { starts: [0, 0, 0], sizes: [Math.min(N, FEW), T, D] });
  const apart = sub(some, mean(some, { axes: 0, keepDims: true }));
  const rows = reshape(apart, [-1, D]);
  const covariance = matmul(rows, rows, { transposeA: true });
  const trace = sum(square(apart));
  return {
    targetSpread: sqrt(div(trace, maximum(sum(square(some)), 1e-30))),
    targetRank: div(square(trace), maximum(sum(square(covariance)), 1e-30)),
  };
}

/** Collapse of a predictor's target: at each place, all images have nearly the same. @param least the spread of a healthy run, at least */
export const targetCollapse = (least: number): CollapseRule => ({
  kind: 'target',
  shows: ({ targetSpread }) => targetSpread < least,
  evidence: ({ targetSpread, loss }) => [
    `${(100 * targetSpread ** 2).toPrecision(2)} % of the targets' mean square differs between images`,
    `the loss is ${loss.toPrecision(2)}`,
  ],
  remedy: 'stop the gradient at the target, and let the target follow the trained network slowly',
});
