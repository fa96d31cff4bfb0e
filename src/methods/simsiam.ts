import { checkCall, checkFlag } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import type { Tensor } from '../graph/tensor.ts';
import { projector } from '../nn/encoders.ts';
import { add, mul } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean } from '../ops/reduce.ts';
import { type ImageMethod, LIVE_SWITCH, SWITCH } from './method.ts';
import { either } from './parts/either.ts';
import { checkViews, dots, halves } from './parts/views.ts';

const hyperparameters = { stopGradient: [1, LIVE_SWITCH], standardize: [1, SWITCH] } as const;

/**
 * SimSiam's loss: Chen and He 2020, arXiv 2011.10566, Equations 1 to 4: minus the cosine of the prediction from one view and the
 * projection of the other, the mean of both directions. From -1 (the best) to 1.
 *
 * @param pA predictions from view A, [N, D]; normalised here
 * @param pB predictions from view B, [N, D]
 * @param zA projections of view A, [N, D]
 * @param zB projections of view B, [N, D]
 * @param stop whether no gradient flows into the projections, as in the paper; with gradient the embedding loses its rank
 * @throws ShapeError unless all are [N, D]
 */
export function simSiamLoss(
  pA: Tensor,
  pB: Tensor,
  zA: Tensor,
  zB: Tensor,
  options: { stop?: boolean } = {},
): Tensor {
  for (const z of [pB, zA, zB]) checkViews('simSiamLoss', pA, z);
  checkCall('simSiamLoss', {}, options, 'stop');
  const { stop = true } = options;
  checkFlag('simSiamLoss', 'stop', stop);
  const cosine = (p: Tensor, z: Tensor) => {
    return mean(dots(l2Normalize(p), l2Normalize(stop ? stopGradient(z) : z)));
  };
  return mul(add(cosine(pA, zB), cosine(pB, zA)), -0.5);
}

/**
 * SimSiam: a bottleneck predictor behind the projector, no target network, no negatives. `stopGradient` 0 lets the gradient flow
 * into the projections too; `standardize` 0 leaves out the batch norm at the end of the projector, with which a collapse does
 * not show in the std.
 */
export const simSiam = {
  title: 'SimSiam',
  paper: 'Chen & He, arXiv 2011.10566',
  year: 2020,
  summary: 'predict the other view, with its gradient stopped: no negatives, no target network',
  data: 'images',
  hyperparameters,
  build({ network, width, seed, hyperparameters }) {
    const hidden = Math.ceil(width / 2);
    const predict = projector({ name: 'predictor', seed, inputs: width, hidden, outputs: width });
    /** Stops the gradient, unless the switch is off. */
    const stopped = (z: Tensor) =>
      either(
        hyperparameters.stopGradient,
        () => stopGradient(z),
        () => z,
      );
    return {
      parameters: predict.parameters,
      statistics: predict.statistics,
      loss({ x }) {
        const z = network.embed(x, { training: true });
        const [zA, zB] = halves(z);
        const [pA, pB] = halves(predict(z, { training: true }));
        return simSiamLoss(pA, pB, stopped(zA), stopped(zB), { stop: false });
      },
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
