import { inRange, shown } from '../gpu/check.ts';
import { checkTensor, POSITIVE, scalarsOf } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { fail, type Tensor } from '../graph/tensor.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { transpose } from '../ops/shape.ts';
import { logSumExp } from '../ops/softmax.ts';
import { exp } from '../ops/unary.ts';
import { count, imageMethod, type Values } from './method.ts';
import { prototypes, softCrossEntropy } from './parts/prototypes.ts';
import { checkViews, halves } from './parts/views.ts';

const codes = { epsilon: [0.05, POSITIVE], iterations: [3, count(1, 100)] } as const;
const hyperparameters = { temperature: [0.1, POSITIVE], ...codes } as const;

/**
 * The codes of a batch: of all assignments that use every prototype equally, nearly the one with the largest scores (Equation 3;
 * Sinkhorn and Knopp's rounds on logarithms, so that no exponential overflows). Each row sums to 1, each column nearly to N / K.
 *
 * @param scores [N, K]
 * @param epsilon default 0.05; the larger, the softer the codes
 * @param iterations rounds of columns and rows, default 3
 * @returns [N, K]
 * @throws ShapeError for less than one round
 */
export function sinkhorn(scores: Tensor, options: Partial<Values<typeof codes>> = {}): Tensor {
  checkTensor('sinkhorn', 'scores', scores, { dtype: 'f32', rank: 2 });
  const { epsilon } = scalarsOf('sinkhorn', options, { epsilon: codes.epsilon }, 'iterations');
  const { iterations = codes.iterations[0] } = options;
  if (!inRange(iterations, { least: 1, most: 1000, whole: true }))
    fail('sinkhorn', `expected a positive whole number of iterations, got ${shown(iterations)}`);
  let logs = div(scores, epsilon);
  for (let i = 0; i < iterations; i++) {
    logs = sub(logs, logSumExp(transpose(logs))); // columns: of each prototype, [K]
    logs = sub(logs, logSumExp(logs, { keepDims: true })); // rows: of each sample, [N, 1]
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
  options: Partial<Values<typeof hyperparameters>> = {},
): Tensor {
  checkViews('swavLoss', sA, sB);
  const { temperature, epsilon } = hyperparameters;
  const scalars = scalarsOf('swavLoss', options, { temperature, epsilon }, 'iterations');
  const { iterations } = options;
  const predict = (s: Tensor, other: Tensor) =>
    softCrossEntropy(
      stopGradient(sinkhorn(other, { epsilon: scalars.epsilon, iterations })),
      div(s, scalars.temperature),
    );
  return mul(add(predict(sA, sB), predict(sB, sA)), 0.5);
}

/** SwAV: so many `prototypes`, trained with the network. */
export const swav = imageMethod({
  title: 'SwAV',
  paper: 'Caron et al., arXiv 2006.09882',
  year: 2020,
  summary: 'predict which of the prototypes, all equally used, the other view is assigned to',
  hyperparameters: { prototypes: [256, count(1)], ...hyperparameters },
  build({ network, width, seed, hyperparameters: { prototypes: count, ...values } }) {
    const score = prototypes({ name: 'prototypes', count, width, seed });
    return {
      parameters: score.parameters,
      loss: ({ x }) => swavLoss(...halves(score(network.embed(x, { training: true }))), values),
    };
  },
});
