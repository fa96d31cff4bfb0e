import { checkNumber } from '../gpu/check.ts';
import { checkTensor, POSITIVE, scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { type Scalar, type Tensor, where } from '../graph/tensor.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { transpose } from '../ops/shape.ts';
import { logSumExp, softmax } from '../ops/softmax.ts';
import { exp } from '../ops/unary.ts';
import { COUNT, type ImageMethod } from './method.ts';
import { prototypeCurve, prototypes, prototypeUse, softCrossEntropy } from './parts/prototypes.ts';
import { checkViews, halves } from './parts/views.ts';

const hyperparameters = {
  prototypes: [256, COUNT],
  temperature: [0.1, POSITIVE],
  epsilon: [0.05, POSITIVE],
  iterations: [3, { least: 1, most: 100, whole: true }],
} as const;

/**
 * The codes of a batch: approximately the assignment with the largest scores among those that use all prototypes equally (Equation 3;
 * Sinkhorn-Knopp iterations on logarithms, so that no exponential overflows). Each row sums to 1, each column nearly to N / K.
 *
 * @param scores [N, K]
 * @param epsilon default 0.05; the larger, the softer the codes
 * @param iterations each normalises the columns, then the rows; default 3
 * @returns [N, K]
 * @throws InputError for less than one iteration, or more than 1,000
 */
export function sinkhorn(scores: Tensor, options: { epsilon?: Scalar; iterations?: number } = {}): Tensor {
  checkTensor('sinkhorn', 'scores', scores, { dtype: 'f32', rank: 2 });
  const { epsilon } = scalarsOf('sinkhorn', options, { epsilon: hyperparameters.epsilon }, 'iterations');
  const { iterations = hyperparameters.iterations[0] } = options;
  checkNumber(where('sinkhorn'), 'iterations', iterations, { least: 1, most: 1000, whole: true });
  let logs = div(scores, epsilon);
  for (let i = 0; i < iterations; i++) {
    logs = sub(logs, logSumExp(transpose(logs))); // columns, for each prototype: [K]
    logs = sub(logs, logSumExp(logs, { keepDims: true })); // rows, for each sample: [N, 1]
  }
  return exp(logs);
}

/**
 * SwAV's loss: Caron et al. 2020, arXiv 2006.09882, Equations 1 and 2: predict the code of one view from the other; the mean of both
 * directions.
 *
 * @param sA cosines of view A with the prototypes, [N, K]
 * @param sB those of view B, [N, K]
 * @param temperature of the predictions, default 0.1
 * @param epsilon and `iterations` of {@link sinkhorn}; no gradient flows through the codes
 * @throws ShapeError unless both are [N, K]
 */
export function swavLoss(
  sA: Tensor,
  sB: Tensor,
  options: { temperature?: Scalar; epsilon?: Scalar; iterations?: number } = {},
): Tensor {
  checkViews('swavLoss', sA, sB);
  const spec = { temperature: hyperparameters.temperature, epsilon: hyperparameters.epsilon };
  const { temperature, epsilon } = scalarsOf('swavLoss', options, spec, 'iterations');
  const { iterations } = options;
  const predict = (s: Tensor, other: Tensor) =>
    softCrossEntropy(stopGradient(sinkhorn(other, { epsilon, iterations })), div(s, temperature));
  return mul(add(predict(sA, sB), predict(sB, sA)), 0.5);
}

/** SwAV. `prototypes`: their number; they are trained with the network. */
export const swav = {
  title: 'SwAV',
  paper: 'Caron et al., arXiv 2006.09882',
  year: 2020,
  summary: 'predict which of the prototypes, all equally used, the other view is assigned to',
  data: 'images',
  hyperparameters,
  curves: [prototypeCurve],
  build({ network, width, seed, hyperparameters: { prototypes: count, ...values } }) {
    const score = prototypes({ name: 'prototypes', count, width, seed });
    const assign = (scores: Tensor) => softmax(div(scores, values.temperature));
    let latest: Tensor;
    return {
      parameters: score.parameters,
      loss({ x }) {
        latest = score(network.embed(x, { training: true }));
        return swavLoss(...halves(latest), values);
      },
      ...prototypeUse(score, network.embed, assign, () => latest),
    };
  },
} satisfies ImageMethod<typeof hyperparameters>;
