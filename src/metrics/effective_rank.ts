import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import type { Tensor } from '../graph/tensor.ts';
import { mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean } from '../ops/reduce.ts';
import type { Rows } from './compute.ts';
import { symmetricEigenvalues } from './eigen.ts';
import { metricsOf } from './metric.ts';
import { checkSquare } from './numbers.ts';
import { type RowOptions, singularValues, spectrumOfH, spectrumOfZ } from './singular_values.ts';

export type EffectiveRankOptions = RowOptions;

/** x^T x / N of rows [N, D], about their mean by default: [D, D] */
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

/**
 * Square roots of the eigenvalues of a covariance [D, D] that was made in f32, largest first. Values that are below the rounding of f32's sums are set to 0:
 * eigenvalues under 2^-25 sqrt(rows) of the largest (measured for 64 to 10,000 rows: a fifth of that at most, and .81 of
 * it for rows that are one of two points). {@link effectiveRank} and {@link spectrum} resolve smaller ones.
 * @param rows how many the covariance was made of. Default 1,024: roots under 1e-3 of the largest are cut
 * @throws InputError
 */
export function spectrumOf(covariance: ArrayLike<number>, options: { rows?: number } = {}): Float64Array {
  const D = checkSquare('spectrumOf', 'covariance', covariance);
  checkOptions('spectrumOf', options, ['rows']);
  const { rows = 1024 } = options;
  checkNumber('spectrumOf', 'rows', rows, { least: 1, whole: true });
  const values = symmetricEigenvalues(covariance, D);
  const least = 2 ** -25 * Math.sqrt(rows) * Math.max(values[0], 0);
  return values.map((value) => (value <= least ? 0 : Math.sqrt(value)));
}

/**
 * The effective rank of embeddings, exp of the entropy of their singular values, and those values over sqrt(N), largest first: D of them,
 * min(N, D) of which may be above 0. Precise to about 1e-7 of the largest value; values that are only rounding are set to 0. 0 where all rows are equal (not centred: zero); NaN if a number is not finite.
 * @param x f32 [N, D]
 * @throws ShapeError, InputError
 */
export async function effectiveRank(
  device: Device,
  x: Rows,
  options: EffectiveRankOptions = {},
): Promise<{ rank: number; spectrum: Float64Array }> {
  checkOptions('effectiveRank', options, ['centred', 'normalized', 'onProgress']);
  const spectrum = await singularValues(device, 'effectiveRank', x, options);
  return { rank: entropyRank(spectrum), spectrum };
}

export const effectiveRankMetrics = /* @__PURE__ */ metricsOf({ group: 'spread', kind: 'rank', cost: 1 }, [
  {
    key: 'effectiveRankZ',
    name: 'effective rank of z',
    short: 'rank of z',
    needs: ['z'],
    measure: { key: 'effectiveRankUnit', name: 'effective rank of unit rows' },
    text: 'Exponential of the entropy of the normalised singular values: how many dimensions the embedding really uses. Far fewer than d is dimensional collapse.',
    compute: async (context) => entropyRank(await spectrumOfZ(context)),
  },
  {
    key: 'effectiveRankH',
    name: 'effective rank of h',
    short: 'rank of h',
    needs: ['encoder'],
    measure: { key: 'effectiveRank', name: 'effective rank' },
    text: 'Exponential of the entropy of the normalised singular values of h: how many dimensions it really uses.',
    async compute(context) {
      const values = await spectrumOfH(context);
      return { value: entropyRank(values), remark: `of ${values.length}` };
    },
  },
]);
