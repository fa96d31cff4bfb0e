import { stopGradient } from '../graph/gradient.ts';
import type { Tensor } from '../graph/tensor.ts';
import { projector } from '../nn/encoders.ts';
import { add } from '../ops/binary.ts';
import { ema, risingMomentum } from '../optim/ema.ts';
import { alignmentLoss } from './alignment.ts';
import { FIXED_SHARE, type ImageMethod, LIVE_SWITCH } from './method.ts';
import { either } from './parts/either.ts';
import { checkViews, halves } from './parts/views.ts';

const hyperparameters = { momentum: [0.99, FIXED_SHARE], predictor: [1, LIVE_SWITCH] } as const;

/**
 * BYOL's loss: Grill et al. 2020, arXiv 2006.07733, Equations 2 and 3: the distance of the prediction from one view to the
 * target's projection of the other, |p - t|^2 = 2 - 2 cos of unit vectors, summed over both directions. From 0 to 8.
 *
 * @param pA predictions from view A, [N, D]; normalised here
 * @param pB predictions from view B, [N, D]
 * @param tA the target network's projections of view A, [N, D]; no gradient flows into them
 * @param tB those of view B, [N, D]
 * @throws ShapeError unless all are [N, D]
 */
export function byolLoss(pA: Tensor, pB: Tensor, tA: Tensor, tB: Tensor): Tensor {
  for (const z of [pB, tA, tB]) checkViews('byolLoss', pA, z);
  return add(alignmentLoss(pA, stopGradient(tB)), alignmentLoss(pB, stopGradient(tA)));
}

/**
 * BYOL: a predictor behind the projector, and a target network that follows the trained one as a moving average, whose
 * momentum rises to 1 along a cosine (Equation 1 and Section 3.3). `momentum` starts at .99 (the paper's .996 is for 1,000
 * epochs); `predictor` 0 leaves the predictor out, and the embedding collapses.
 */
export const byol = {
  title: 'BYOL',
  paper: 'Grill et al., arXiv 2006.07733',
  year: 2020,
  summary: 'predict how a slowly following copy of the network embeds the other view: no negatives',
  data: 'images',
  hyperparameters,
  build({ network, copy, width, seed, hyperparameters: { momentum, predictor } }) {
    const training = { training: true };
    const predict = projector({ name: 'predictor', seed, inputs: width, hidden: 2 * width, outputs: width });
    const target = copy('target');
    return {
      parameters: predictor === 0 ? [] : predict.parameters,
      statistics: predictor === 0 ? [] : predict.statistics,
      state: [...target.parameters, ...target.statistics],
      schedules: { momentum: risingMomentum(momentum) },
      loss({ x }) {
        const z = network.embed(x, training);
        const [pA, pB] = halves(
          either(
            predictor,
            () => predict(z, training),
            () => z,
          ),
        );
        const [tA, tB] = halves(target.embed(x, training));
        return byolLoss(pA, pB, tA, tB);
      },
      // Only the parameters: the target's batch norms compute their own statistics from the same batches.
      after: ({ momentum }) => ema(target.parameters, network.parameters, momentum),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
