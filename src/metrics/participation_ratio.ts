import { metricsOf } from './metric.ts';
import { checkValues } from './numbers.ts';
import { spectrumOfH, spectrumOfZ } from './singular_values.ts';

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

export const participationRatioMetrics = /* @__PURE__ */ metricsOf(
  { group: 'spectrum', kind: 'rank', detail: true },
  [
    {
      key: 'participationRatioZ',
      name: 'participation ratio of z',
      needs: ['z'],
      text: 'How many directions share the variance of the unit embedding: d when all have the same, 1 when one has all. Small directions count less than in the effective rank.',
      compute: async (context) => participationRatio(await spectrumOfZ(context)),
    },
    {
      key: 'participationRatioH',
      name: 'participation ratio of h',
      needs: ['encoder'],
      measure: { key: 'participationRatio', name: 'participation ratio' },
      text: 'How many directions share the variance of h: as many as it has numbers when all have the same, 1 when one has all.',
      compute: async (context) => participationRatio(await spectrumOfH(context)),
    },
  ],
);
