import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import tripletsWgsl from '../../shaders/triplets.wgsl' with { type: 'text' };
import { MOST_ROUNDS } from '../gpu/target.ts';
import { checkScalar, checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { type Scalar, show, type Tensor, throwShapeError } from '../graph/tensor.ts';

interface Options {
  margin: Scalar;
  hard: boolean;
}

const source = [tripletsWgsl, gridWgsl];
/** The most candidates: the gradient loops over them twice. */
const MOST = Math.floor(MOST_ROUNDS / 2);

const tripletsOp = op({
  name: 'triplets',
  shape: ([{ shape }]: [distances: Tensor, anchors: Tensor, candidates: Tensor], _: Options) => [
    { shape },
    { shape, dtype: 'u32' as const },
  ],
  kernel: ({ outputs: [{ shape }], options: { margin, hard } }) => ({
    source,
    entry: hard ? 'triplets_hard' : 'triplets_semi_hard',
    inputs: ['distances', 'anchor_labels', 'candidate_labels'],
    outputs: ['terms', 'negatives'],
    uniform: () => ({ m: shape[0], n: shape[1], margin: margin }),
    rounds: () => shape[1] + 1,
    invocations: () => shape[0] * (hard ? 1 : Math.ceil(shape[1] / 4)),
  }),
  vjp: (dy, { outputs: [, negatives] }) => [tripletsGradientOp([dy, negatives]), null, null],
});

const tripletsGradientOp = op({
  name: 'tripletsGradient',
  shape: ([dy]: [dy: Tensor, negatives: Tensor]) => dy.shape,
  kernel: {
    source,
    entry: 'triplets_gradient',
    inputs: ['dy', 'chosen'],
    outputs: ['ddistances'],
    uniform: ({ outputs: [{ shape }] }) => ({ m: shape[0], n: shape[1], margin: 0 }),
    rounds: ({ outputs: [{ shape }] }) => 2 * (shape[1] + 1),
    invocations: ({ outputs: [{ shape }] }) => shape[0],
  },
});

/**
 * `max(0, d_ij - d_ik + margin)` for anchors i and candidates j of the same label, where k is mined among those of other labels: the
 * nearest one that is farther than j (semi-hard). `hard`: only for the farthest j of each i, with the nearest k of all.
 * 0 for all other pairs and where no such k exists; among equally far ones the first is taken.
 *
 * @param distances [M, N], N up to 32,767; the first M candidates are the anchors themselves
 * @param labels u32 [M] and [N]; 0xffffffff is no anchor and no candidate
 * @returns [M, N]
 * @throws ShapeError
 */
export function triplets(
  distances: Tensor,
  [anchors, candidates]: readonly [Tensor, Tensor],
  { margin, hard }: Options,
): Tensor {
  checkTensor('triplets', 'distances', distances, { dtype: 'f32' });
  checkTensor('triplets', 'labels', anchors);
  checkTensor('triplets', 'labels', candidates);
  checkScalar('triplets', 'margin', margin, { least: 0 });
  const [M, N] = distances.shape;
  if (distances.shape.length !== 2 || M > N || N > MOST)
    throwShapeError('triplets', `expected distances [M, N], M <= N <= ${MOST}, got ${show(distances.shape)}`);
  for (const [x, rows] of [[anchors, M] as const, [candidates, N] as const])
    if (x.dtype !== 'u32' || x.size !== rows)
      throwShapeError('triplets', `expected u32 labels [${rows}], got ${x.dtype} ${show(x.shape)}`);
  return tripletsOp([distances, anchors, candidates], { margin, hard })[0];
}
