import { checkTensor, POSITIVE, scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { type Scalar, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { div, sub } from '../ops/binary.ts';
import { contrast } from '../ops/contrast.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean } from '../ops/reduce.ts';
import { concatenate } from '../ops/shape.ts';
import { softplus } from '../ops/unary.ts';
import { ema } from '../optim/ema.ts';
import { COUNT, type ImageMethod, SHARE } from './method.ts';
import { queue } from './parts/queue.ts';
import { checkViews, dots, halves } from './parts/views.ts';

const hyperparameters = {
  temperature: [0.2, POSITIVE],
  momentum: [0.99, SHARE],
  queue: [4096, COUNT],
} as const;

/**
 * MoCo's loss: He et al. 2019, arXiv 1911.05722, Equation 1: InfoNCE of a query with its key, against the keys of earlier batches.
 * `1/N sum_i [ log(exp(q_i.k_i / temperature) + sum_j exp(q_i.queue_j / temperature)) - q_i.k_i / temperature ]`
 *
 * @param q queries, [N, D]; normalised here
 * @param k the key of each: the momentum encoder's embedding of the other view, [N, D]; normalised here, no gradient flows into it
 * @param keys the negatives: keys of earlier batches, unit rows [K, D]; no gradient
 * @param temperature default 0.2 (MoCo v2, arXiv 2003.04297; the first paper's is 0.07)
 * @throws ShapeError unless q and k are [N, D] and keys is [K, D]
 */
export function mocoLoss(q: Tensor, k: Tensor, keys: Tensor, options: { temperature?: Scalar } = {}): Tensor {
  checkViews('mocoLoss', q, k);
  const { temperature } = scalarsOf('mocoLoss', options, { temperature: hyperparameters.temperature });
  checkTensor('mocoLoss', 'keys', keys, { dtype: 'f32' });
  if (keys.shape.length !== 2 || keys.shape[1] !== q.shape[1])
    throwShapeError('mocoLoss', `expected keys [K, ${q.shape[1]}], got ${show(keys.shape)}`);
  const u = l2Normalize(q);
  const positive = div(dots(u, l2Normalize(stopGradient(k))), temperature); // [N]
  const negatives = contrast(u, stopGradient(keys), { temperature }).loss; // [N], log-sum-exp
  // log(exp(p) + exp(n)) - p = log(1 + exp(n - p))
  return mean(softplus(sub(negatives, positive)));
}

/**
 * MoCo: the keys come from a moving average of the trained network, so that keys of many batches are consistent. Both views
 * are queries, as in version 3 (arXiv 2104.02057). `momentum` .99 (the paper's .999 is for 200 epochs); `queue`: number of keys.
 */
export const moco = {
  title: 'MoCo',
  paper: 'He et al., arXiv 1911.05722',
  year: 2019,
  summary: 'pick the other view among a queue of keys from a slowly following copy of the network',
  data: 'images',
  hyperparameters,
  build({ network, copy, width, seed, hyperparameters: { temperature, momentum, queue: rows } }) {
    const target = copy('target');
    const keys = queue({ name: 'queue', rows, width, seed });
    let latest: Tensor;
    return {
      state: [...target.parameters, ...target.statistics, keys.rows],
      loss({ x }) {
        const q = network.embed(x, { training: true });
        latest = l2Normalize(target.embed(x, { training: true }));
        const [kA, kB] = halves(latest);
        return mocoLoss(q, concatenate([kB, kA]), keys.rows, { temperature });
      },
      after() {
        ema(target.parameters, network.parameters, momentum);
        keys.push(latest);
      },
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
