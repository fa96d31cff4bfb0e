import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import minedPairsWgsl from '../../shaders/mined_pairs.wgsl' with { type: 'text' };
import { MOST_ROUNDS } from '../gpu/target.ts';
import { checkScalar, checkTensor, POSITIVE, WEIGHT } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { type Scalar, show, type Tensor, throwShapeError } from '../graph/tensor.ts';

interface Options {
  alpha: Scalar;
  beta: Scalar;
  lambda: Scalar;
  epsilon: Scalar;
}

const source = [minedPairsWgsl, gridWgsl];
/** The most candidates: an anchor loops over them twice. */
const MOST = Math.floor(MOST_ROUNDS / 2) - 1;

type Labelled = [similarities: Tensor, anchors: Tensor, candidates: Tensor];

const minedPairsOp = op({
  name: 'minedPairs',
  shape: ([{ shape }]: Labelled, _: Options) => [{ shape: [shape[0]] }, { shape: [shape[0], 4] }],
  kernel: ({ inputs: [{ shape }] }) => ({
    source,
    entry: 'mined_pairs_forward',
    inputs: ['similarities', 'anchor_labels', 'candidate_labels'],
    outputs: ['loss', 'statistics'],
    uniform: ({ options }) => ({ m: shape[0], n: shape[1], ...options }),
    rounds: () => 2 * (shape[1] + 1),
    invocations: () => shape[0],
  }),
  vjp: (dy, { inputs, outputs: [, stats], options }) => [
    minedPairsGradientOp([...inputs, stats, dy], options),
    null,
    null,
  ],
});

const minedPairsGradientOp = op({
  name: 'minedPairsGradient',
  shape: ([{ shape }]: [...Labelled, stats: Tensor, dy: Tensor], _: Options) => shape,
  kernel: ({ outputs: [{ shape, size }] }) => ({
    source,
    entry: 'mined_pairs_gradient',
    inputs: ['similarities', 'anchor_labels', 'candidate_labels', 'stats', 'dy'],
    outputs: ['dsimilarities'],
    uniform: ({ options }) => ({ m: shape[0], n: shape[1], ...options }),
    invocations: () => Math.ceil(size / 4),
  }),
});

/**
 * The multi-similarity loss of each anchor, over the pairs that are mined for it: positives (candidates of its label) that are less
 * similar than its most similar negative + epsilon, and negatives that are more similar than its least similar positive - epsilon.
 * `1/alpha log(1 + sum_positives exp(-alpha (s - lambda))) + 1/beta log(1 + sum_negatives exp(beta (s - lambda)))`
 *
 * An anchor without positives or without negatives has no mined pairs, and loss 0. The choice of pairs carries no gradient.
 *
 * @param similarities [M, N], N up to 32,766; the first M candidates are the anchors themselves
 * @param labels u32 [M] and [N]; 0xffffffff is no anchor and no candidate
 * @returns [M]
 * @throws ShapeError
 */
export function minedPairs(
  similarities: Tensor,
  [anchors, candidates]: readonly [Tensor, Tensor],
  { alpha, beta, lambda, epsilon }: Options,
): Tensor {
  checkTensor('minedPairs', 'similarities', similarities, { dtype: 'f32', rank: 2 });
  const [M, N] = similarities.shape;
  if (M > N || N > MOST)
    throwShapeError(
      'minedPairs',
      `expected similarities [M, N], M <= N <= ${MOST}, got ${show(similarities.shape)}`,
    );
  for (const [labels, rows] of [[anchors, M] as const, [candidates, N] as const]) {
    checkTensor('minedPairs', 'labels', labels);
    if (labels.dtype !== 'u32' || labels.size !== rows)
      throwShapeError(
        'minedPairs',
        `expected u32 labels [${rows}], got ${labels.dtype} ${show(labels.shape)}`,
      );
  }
  checkScalar('minedPairs', 'alpha', alpha, POSITIVE);
  checkScalar('minedPairs', 'beta', beta, POSITIVE);
  checkScalar('minedPairs', 'lambda', lambda);
  checkScalar('minedPairs', 'epsilon', epsilon, WEIGHT);
  return minedPairsOp([similarities, anchors, candidates], { alpha, beta, lambda, epsilon })[0];
}
