import { checkTensor, scalarsOf } from '../graph/check.ts';
import { type Scalar, sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, mul } from '../ops/binary.ts';
import { mean, sum } from '../ops/reduce.ts';
import { abs } from '../ops/unary.ts';
import { COUNT, type RowsMethod } from './method.ts';
import * as parts from './parts/sparse_autoencoder.ts';

const hyperparameters = {
  latents: [1024, COUNT],
  lambda: [0.1, { least: 0 }],
} as const;

/**
 * The loss of a sparse autoencoder with an L1 penalty: Bricken et al. 2023, "Towards Monosemanticity", transformer-circuits.pub,
 * `mean |x - x^|^2 + lambda mean sum_j |f_j|`, means over rows. The decoder's rows must have unit length, else the penalty is evaded by
 * small latents with long rows. Latents come out too small (shrinkage).
 *
 * @param x rows, [N, d]
 * @param predicted x^, [N, d]
 * @param f latents, [N, m]
 * @param options.lambda default .1, for rows of total variance 1
 * @throws ShapeError unless the shapes are those
 */
export function saeL1Loss(
  x: Tensor,
  predicted: Tensor,
  f: Tensor,
  options: { lambda?: Scalar } = {},
): Tensor {
  const { lambda } = scalarsOf('saeL1Loss', options, { lambda: hyperparameters.lambda });
  const all = { x, predicted, f };
  for (const [name, each] of Object.entries(all))
    checkTensor('saeL1Loss', name, each, { dtype: 'f32', rank: 2 });
  if (!sameShape(predicted.shape, x.shape) || f.shape[0] !== x.shape[0])
    throwShapeError(
      'saeL1Loss',
      `expected [N, d], [N, d] and [N, m], got ${Object.values(all).map(({ shape }) => show(shape))}`,
    );
  return add(parts.squaredError(x, predicted), mul(mean(sum(abs(f), { axes: 1 })), lambda));
}

/** A sparse autoencoder whose latents an L1 penalty keeps few: `lambda`; `latents`: their number. */
export const saeL1 = {
  title: 'Sparse autoencoder (L1)',
  paper: 'Bricken et al., Transformer Circuits',
  year: 2023,
  summary: 'express the h of a trained encoder by few of many directions: a penalty keeps latents at zero',
  data: 'rows',
  hyperparameters,
  build({ width, hyperparameters: own, center, seed }) {
    const autoencoder = parts.sparseAutoencoder({ width, latents: own.latents, center, seed });
    const { activations, decode, trained, normalize, parameters } = autoencoder;
    const loss = ({ x }: { x: Tensor }) => {
      const f = activations(x);
      return saeL1Loss(x, decode(f), f, { lambda: own.lambda });
    };
    return {
      parameters,
      decode,
      encode: activations,
      loss,
      gradients: (batch) => trained(loss(batch)),
      after: normalize,
    };
  },
} satisfies RowsMethod<typeof hyperparameters>;
