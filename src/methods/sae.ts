import { checkTensor, scalarsOf } from '../graph/check.ts';
import { reshape, type Scalar, sameShape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { keepLargest } from '../ops/keep_largest.ts';
import { COUNT, type RowsMethod } from './method.ts';
import * as parts from './parts/sparse_autoencoder.ts';

const hyperparameters = {
  latents: [1024, COUNT],
  k: [16, COUNT],
  alpha: [1 / 32, { least: 0 }],
  deadEpochs: [10, { least: 0, most: 1e6, fixed: true }],
  groups: [1, { least: 1, most: 16, whole: true }],
} as const;

/**
 * A sparse autoencoder's loss for latents of which only the largest are kept: Gao et al. 2024, arXiv 2406.04093, Section 2.3 and Appendix A.2,
 * `mean |x - x^|^2 + alpha mean |e - e^|^2 / mean |e - mean e|^2` with the residual e = x - x^, through which the second term (AuxK) sends
 * no gradient. Rows of total variance 1 make the first term the fraction of variance unexplained.
 *
 * @param x rows, [N, d]
 * @param predicted x^, [N, d]
 * @param revived e^, what the largest dead latents predict without the decoder's bias, [N, d]; zeros if none is dead
 * @param options.alpha default 1/32 (Appendix A.2)
 * @throws ShapeError unless all are f32 [N, d]
 */
export function saeLoss(
  x: Tensor,
  predicted: Tensor,
  revived: Tensor,
  options: { alpha?: Scalar } = {},
): Tensor {
  const { alpha } = scalarsOf('saeLoss', options, { alpha: hyperparameters.alpha });
  const all = { x, predicted, revived };
  for (const [name, each] of Object.entries(all))
    checkTensor('saeLoss', name, each, { dtype: 'f32', rank: 2 });
  if (![predicted, revived].every(({ shape }) => sameShape(shape, x.shape)))
    throwShapeError(
      'saeLoss',
      `expected rows of one shape, got ${Object.values(all).map(({ shape }) => show(shape))}`,
    );
  return add(parts.squaredError(x, predicted), mul(parts.auxiliaryLoss(sub(x, predicted), revived), alpha));
}

/**
 * BatchTopK: Bussmann et al. 2024, arXiv 2412.06410. Of a batch of N rows the k N largest latents are kept, so that rows may have more or
 * fewer than k; afterwards a latent is kept above a threshold, the moving average of the smallest one that a batch kept. `latents`: their
 * number m; `k`: how many a row keeps on average; `alpha`: weight of AuxK, by which the d/2 largest dead latents of a row predict its
 * residual; `deadEpochs`: passes over the rows without firing after which a latent is dead; `groups`: above 1 the sum of the losses of so
 * many nested prefixes of the latents (Matryoshka: Bussmann et al. 2025, arXiv 2503.17547, which has 5).
 */
export const sae = {
  title: 'Sparse autoencoder (BatchTopK)',
  paper: 'Bussmann et al., arXiv 2412.06410',
  year: 2024,
  summary:
    'express the h of a trained encoder by few of many directions: the k largest for each row on average',
  data: 'rows',
  hyperparameters,
  build({ width, count, hyperparameters: own, ...setting }) {
    const autoencoder = parts.sparseAutoencoder({ width, latents: own.latents, ...setting });
    const { activations, decode, directions, prefixes, trained, normalize, parameters } = autoencoder;
    const sizes = parts.nestedSizes(own.latents, own.groups);
    const dead = parts.deadLatents(own.latents, own.deadEpochs * count);
    const threshold = parts.movingThreshold();
    let f: Tensor;
    const loss = ({ x }: { x: Tensor }) => {
      const a = activations(x);
      const kept = keepLargest(reshape(a, [a.size]), { k: Math.min(own.k * x.shape[0], a.size) });
      f = reshape(kept, a.shape);
      const predicted = prefixes(f, sizes);
      const revived = directions(dead.largest(a, Math.floor(width / 2)));
      const whole = saeLoss(x, predicted.pop()!, revived, { alpha: own.alpha });
      return predicted.reduce((total, some) => add(total, parts.squaredError(x, some)), whole);
    };
    return {
      parameters,
      state: [threshold.value, ...dead.state],
      schedules: threshold.schedules,
      decode,
      encode: (x) => threshold.above(activations(x)),
      loss,
      gradients: (batch) => trained(loss(batch)),
      after({ rate }) {
        threshold.follow(f, rate);
        dead.follow(f);
        normalize();
      },
    };
  },
} satisfies RowsMethod<typeof hyperparameters>;
