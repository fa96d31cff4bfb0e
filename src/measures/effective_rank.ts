import type { Device } from '../gpu/device.ts';
import type { Tensor } from '../graph/tensor.ts';
import { mul, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { mean } from '../ops/reduce.ts';
import { compute, type Rows, tensorOf } from './compute.ts';
import { symmetricEigenvalues } from './eigen.ts';

export interface EffectiveRankOptions {
  /** Subtracts the mean of the rows first; a large mean looks like a collapse otherwise. Default true. */
  centred?: boolean;
  /** Of unit rows. Default false. */
  normalized?: boolean;
}

/** x^T x / N of rows [N, D], about their mean unless told: [D, D] */
export function covarianceOf(x: Tensor, { centred = true }: { centred?: boolean } = {}): Tensor {
  const rows = centred ? sub(x, mean(x, { axes: 0, keepDims: true })) : x;
  return mul(matmul(rows, rows, { transposeA: true }), 1 / x.shape[0]);
}

/** exp of the entropy of numbers >= 0 scaled to sum 1 (Roy & Vetterli 2007); 0 when all are 0, NaN with a NaN among them. */
export function entropyRank(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  if (Number.isNaN(total)) return total;
  if (total <= 0) return 0;
  let entropy = 0;
  for (let i = 0; i < values.length; i++) {
    const p = values[i] / total;
    if (p > 0) entropy -= p * Math.log(p);
  }
  return Math.exp(entropy);
}

/** Square roots of the eigenvalues of a covariance [D, D] read from the GPU, largest first; f32 noise below 0 is cut. */
export function spectrumOf(covariance: ArrayLike<number>): Float64Array {
  const d = Math.round(Math.sqrt(covariance.length));
  return symmetricEigenvalues(covariance, d).map((value) => Math.sqrt(Math.max(value, 0)));
}

/**
 * The effective rank of embeddings, exp of the entropy of their singular values, and those values over sqrt(N), largest
 * first. Not centred and of z as it is, it is RankMe (Garrido et al. 2023, arXiv 2210.02885), which adds 1e-7 to each share:
 * that is 2e-6 D of the rank at most, and left out. The covariance is made on the GPU in f32: singular values under
 * about 3e-4 of the largest are noise.
 * @param x f32 [N, D]
 */
export async function effectiveRank(
  device: Device,
  x: Rows,
  { centred = true, normalized = false }: EffectiveRankOptions = {},
): Promise<{ rank: number; spectrum: Float64Array }> {
  const { covariance } = await compute(device, () => {
    const rows = tensorOf('effectiveRank', x);
    return { covariance: covarianceOf(normalized ? l2Normalize(rows) : rows, { centred }) };
  });
  const spectrum = spectrumOf(covariance);
  return { rank: entropyRank(spectrum), spectrum };
}
