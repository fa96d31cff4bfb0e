import { checkNumber, checkOptions } from '../gpu/check.ts';
import { metricsOf } from './metric.ts';
import { checkValues } from './numbers.ts';
import { spectrumOfH, spectrumOfZ } from './singular_values.ts';

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

export const spectrumSlopeMetrics = /* @__PURE__ */ metricsOf(
  { group: 'spectrum', kind: 'number', detail: true, missing: 'too few directions for a slope' },
  [
    {
      key: 'spectrumSlopeZ',
      name: 'spectrum slope of z',
      needs: ['z'],
      text: 'Exponent of the power law by which the variances of the unit embedding fall, largest first: 0 is a flat spectrum, the more the fewer directions.',
      compute: async (context) => spectrumSlope(await spectrumOfZ(context)),
    },
    {
      key: 'spectrumSlopeH',
      name: 'spectrum slope of h',
      needs: ['encoder'],
      measure: { key: 'spectrumSlope', name: 'spectrum slope' },
      text: 'Exponent of the power law by which the variances of h fall, largest first; good ones were found near 1 (Agrawal et al. 2022).',
      compute: async (context) => spectrumSlope(await spectrumOfH(context)),
    },
  ],
);
