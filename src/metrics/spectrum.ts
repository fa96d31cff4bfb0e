import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import type { Rows } from './compute.ts';
import { type EffectiveRankOptions, effectiveRank } from './effective_rank.ts';
import { type MetricContext, metricsOf } from './metric.ts';
import { checkValues } from './numbers.ts';
import type { Spectrum } from './singular_values.ts';

/**
 * How many directions share the variance, (sum v)^2 / sum v^2 of the variances v = s^2: D when all are equal, 1 when
 * one has everything. Large variances count more than in the effective rank. 0 when there is none.
 * @param spectrum singular values s
 * @throws InputError
 */
export function participationRatio(spectrum: ArrayLike<number>): number {
  checkValues('participationRatio', 'spectrum', spectrum);
  // Computed from shares of the largest, because fourth powers overflow early.
  let largest = 0;
  for (let i = 0; i < spectrum.length; i++) largest = Math.max(largest, Math.abs(spectrum[i]));
  if (largest === 0) return 0;
  let [total, squares] = [0, 0];
  for (let i = 0; i < spectrum.length; i++) {
    const share = (spectrum[i] / largest) ** 2;
    total += share;
    squares += share ** 2;
  }
  return total ** 2 / squares;
}

/**
 * The exponent a of a power law v_i ~ i^-a through the variances v = s^2: least squares of log v on log i (Agrawal et al.
 * 2022, arXiv 2202.05808). Near 1 is what they find in good representations; 0 is a flat spectrum, a larger one leaves few directions.
 *
 * @param spectrum singular values s, largest first
 * @param first, last the range of i, from 1; Stringer et al. 2019 fit 11 to 500. Default: all
 * @param noise the fit ends before the first value that is not above this share of the largest. Default 1e-7; {@link spectrum} and
 *   {@link spectrumOf} have cut their noise to 0
 * @returns NaN with fewer than two values there
 * @throws InputError
 */
export function spectrumSlope(
  spectrum: ArrayLike<number>,
  options: { first?: number; last?: number; noise?: number } = {},
): number {
  checkValues('spectrumSlope', 'spectrum', spectrum);
  checkOptions('spectrumSlope', options, ['first', 'last', 'noise']);
  const { first = 1, last = spectrum.length, noise = 1e-7 } = options;
  checkNumber('spectrumSlope', 'first', first, { least: 1, whole: true });
  checkNumber('spectrumSlope', 'last', last, { least: 0, whole: true });
  checkNumber('spectrumSlope', 'noise', noise, { least: 0, most: 1 });
  let [n, sx, sy, sxx, sxy] = [0, 0, 0, 0, 0];
  for (let i = first; i <= Math.min(last, spectrum.length); i++) {
    if (!(spectrum[i - 1] > noise * spectrum[0])) break;
    const [x, y] = [Math.log(i), 2 * Math.log(spectrum[i - 1])];
    n++;
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  return n < 2 ? Number.NaN : (sx * sy - n * sxy) / (n * sxx - sx * sx);
}

/**
 * The singular values of rows, with their effective rank, participation ratio and slope.
 * @param x f32 [N, D]
 * @throws ShapeError, InputError
 */
export async function spectrum(
  device: Device,
  x: Rows,
  options: EffectiveRankOptions = {},
): Promise<Spectrum> {
  const { rank, spectrum: values } = await effectiveRank(device, x, options);
  return { values, rank, participationRatio: participationRatio(values), slope: spectrumSlope(values) };
}

export const effectiveRankMetrics = /* @__PURE__ */ metricsOf({ group: 'spread', kind: 'rank', cost: 1 }, [
  {
    key: 'effectiveRankZ',
    name: 'effective rank of z',
    short: 'rank of z',
    needs: ['z'],
    measure: { key: 'effectiveRankUnit', name: 'effective rank of unit rows' },
    text: 'Exponential of the entropy of the normalised singular values: how many dimensions the embedding really uses. Far fewer than d is dimensional collapse.',
    compute: async (context) => (await spectrumOfZ(context)).rank,
  },
  {
    key: 'effectiveRankH',
    name: 'effective rank of h',
    short: 'rank of h',
    needs: ['encoder'],
    measure: { key: 'effectiveRank', name: 'effective rank' },
    text: 'The same for the representation h in front of the projector.',
    async compute(context) {
      const { rank, values } = await spectrumOfH(context);
      return { value: rank, remark: `of ${values.length}` };
    },
  },
]);

export const participationRatioMetrics = /* @__PURE__ */ metricsOf(
  { group: 'spectrum', kind: 'rank', detail: true },
  [
    {
      key: 'participationRatioZ',
      name: 'participation ratio of z',
      needs: ['z'],
      text: 'How many directions share the variance of the unit embedding: d when all have the same, 1 when one has all. Small directions count less than in the effective rank.',
      compute: async (context) => (await spectrumOfZ(context)).participationRatio,
    },
    {
      key: 'participationRatioH',
      name: 'participation ratio of h',
      needs: ['encoder'],
      measure: { key: 'participationRatio', name: 'participation ratio' },
      text: 'The same for the representation h.',
      compute: async (context) => (await spectrumOfH(context)).participationRatio,
    },
  ],
);

export const spectrumSlopeMetrics = /* @__PURE__ */ metricsOf(
  { group: 'spectrum', kind: 'number', detail: true, missing: 'too few directions for a slope' },
  [
    {
      key: 'spectrumSlopeZ',
      name: 'spectrum slope of z',
      needs: ['z'],
      text: 'Exponent of the power law by which the variances of the unit embedding fall, largest first: 0 is a flat spectrum, the more the fewer directions.',
      compute: async (context) => (await spectrumOfZ(context)).slope,
    },
    {
      key: 'spectrumSlopeH',
      name: 'spectrum slope of h',
      needs: ['encoder'],
      measure: { key: 'spectrumSlope', name: 'spectrum slope' },
      text: 'The same for the representation h; good ones were found near 1 (Agrawal et al. 2022).',
      compute: async (context) => (await spectrumOfH(context)).slope,
    },
  ],
);

/** The spectrum of the unit embeddings z. */
export const spectrumOfZ = ({ device, z, shared, progress }: Required<MetricContext>): Promise<Spectrum> =>
  shared('spectrum of z', () => spectrum(device, z.fit, { normalized: true, onProgress: progress }));

/** The spectrum of h as it is. */
export const spectrumOfH = ({ device, h, shared, progress }: MetricContext): Promise<Spectrum> =>
  shared('spectrum of h', () => spectrum(device, h.fit, { onProgress: progress }));
