import { checkTensor, POSITIVE, scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { reshape, type Scalar, type Tensor } from '../graph/tensor.ts';
import { projector } from '../nn/encoders.ts';
import { add, mul } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { gather } from '../ops/shape.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { COUNT, type ImageMethod } from './method.ts';
import { queue } from './parts/queue.ts';
import { checkViews, halves } from './parts/views.ts';

const hyperparameters = { temperature: [0.1, POSITIVE], queue: [4096, COUNT] } as const;

/**
 * NNCLR's loss: Dwibedi et al. 2021, arXiv 2104.14548, Equation 3 and Appendix A: InfoNCE whose anchor is not a view itself but its
 * nearest neighbour among past embeddings, so that another sample's view is a positive; the mean of both directions.
 * `-1/N sum_i log softmax_j(nn(zA_i).pB_j / temperature)_i`
 *
 * @param pA predictions from view A, [N, D]; normalised here
 * @param pB predictions from view B, [N, D]
 * @param zA embeddings of view A, [N, D], whose nearest neighbours are the anchors; no gradient flows into them
 * @param zB those of view B, [N, D]
 * @param past embeddings of earlier batches, unit rows [K, D]; no gradient
 * @param temperature default 0.1, the paper's
 * @throws ShapeError unless all are [N, D], and past is [K, D]
 */
export function nnclrLoss(
  pA: Tensor,
  pB: Tensor,
  zA: Tensor,
  zB: Tensor,
  past: Tensor,
  options: { temperature?: Scalar } = {},
): Tensor {
  const { temperature } = scalarsOf('nnclrLoss', options, { temperature: hyperparameters.temperature });
  for (const z of [zA, pB, zB, pA]) checkViews('nnclrLoss', pA, z);
  checkTensor('nnclrLoss', 'past', past, { dtype: 'f32', rank: 2 });
  const toward = (z: Tensor, p: Tensor) => {
    const nearest = reshape(topKSimilar(l2Normalize(z), past, { k: 1 }).indices, [-1]); // [N]
    const anchors = stopGradient(gather(past, nearest)); // [N, D]
    return contrast(anchors, l2Normalize(p), { temperature, pairOffset: 0, mean: true }).loss;
  };
  return mul(add(toward(zA, pB), toward(zB, pA)), 0.5);
}

/** NNCLR: a predictor behind the projector, and a queue of the latest embeddings of view A. `queue`: how many. */
export const nnclr = {
  title: 'NNCLR',
  paper: 'Dwibedi et al., arXiv 2104.14548',
  year: 2021,
  summary: 'the positive is the nearest neighbour among past embeddings: another sample like this one',
  data: 'images',
  hyperparameters,
  build({ network, width, seed, hyperparameters: { temperature, queue: rows } }) {
    const predict = projector({ name: 'predictor', seed, inputs: width, hidden: 2 * width, outputs: width });
    const past = queue({ name: 'queue', rows, width, seed });
    let latest: Tensor;
    return {
      parameters: predict.parameters,
      statistics: predict.statistics,
      state: [past.rows],
      loss({ x }) {
        const z = network.embed(x, { training: true });
        const [zA, zB] = halves(z);
        const [pA, pB] = halves(predict(z, { training: true }));
        latest = l2Normalize(zA);
        return nnclrLoss(pA, pB, zA, zB, past.rows, { temperature });
      },
      after: () => past.push(latest),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
