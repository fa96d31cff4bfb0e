import { checkNumber, checkOptions } from '../gpu/check.ts';
import { type Codes, columnsOf, type Factor, type Factors, factorsOf, gapOf, meanOf } from './codes.ts';
import { metricsOf } from './metric.ts';

/** The bin of each value among bins of equal width from the smallest to the largest value. */
function equalWidthBins(values: Float64Array, bins: number): Uint32Array {
  const [least, most] = values.reduce(
    ([a, b], v) => [Math.min(a, v), Math.max(b, v)],
    [values[0], values[0]],
  );
  const edge = (k: number) => least + (k * (most - least)) / bins;
  return Uint32Array.from(values, (v) => {
    if (most === least) return 0;
    let bin = Math.min(bins - 1, Math.floor((bins * (v - least)) / (most - least)));
    // By the edges themselves, as np.digitize does: the quotient may round to the other side.
    while (bin > 0 && v < edge(bin)) bin--;
    while (bin < bins - 1 && v >= edge(bin + 1)) bin++;
    return bin;
  });
}

/** Mutual information of two lists of numbers below `a` and `b`, in nats, of their frequencies. */
function information(x: Uint32Array, a: number, y: Uint32Array, b: number): number {
  const both = new Float64Array(a * b);
  const [ofX, ofY] = [new Float64Array(a), new Float64Array(b)];
  for (let i = 0; i < x.length; i++) {
    both[x[i] * b + y[i]]++;
    ofX[x[i]]++;
    ofY[y[i]]++;
  }
  let total = 0;
  for (let i = 0; i < both.length; i++)
    if (both[i]) total += both[i] * Math.log((both[i] * x.length) / (ofX[Math.floor(i / b)] * ofY[i % b]));
  return total / x.length;
}

const entropy = ({ values, count }: Factor) => information(values, count, values, count);

/**
 * Mutual information gap (Chen et al. 2018, arXiv 1802.04942, equation 6): for each factor, the mutual information of the latent that
 * knows most of it less that of the second, over the factor's entropy; the mean over factors. 1: each factor is in one latent of its own;
 * 0: in two latents equally, or in none.
 *
 * Estimator: frequencies of latents in bins of equal width from smallest to largest, as in disentanglement_lib (Locatello et al. 2019), so
 * it is biased upwards by some (bins - 1) (values - 1) / (2 N) nats. A factor whose values look the same, like the turns of a square,
 * cannot reach 1. Numbers of different bins cannot be compared.
 * @param codes [N, D], N of 1,000 at least: means of the posteriors (of samples the score is lower)
 * @param factors [N, F], each of 2 to 256 values
 * @param options.bins of each latent. Default 20 (disentanglement_lib)
 * @returns the score, the gap of each factor, and the information of latent d on factor f in nats, [D, F]
 * @throws InputError
 */
export function mutualInformationGap(
  codes: Codes,
  factors: Factors,
  options: { bins?: number } = {},
): { score: number; gaps: number[]; information: Float64Array } {
  const where = 'mutualInformationGap';
  checkOptions(where, options, ['bins']);
  const { bins = 20 } = options;
  checkNumber(where, 'bins', bins, { least: 2, most: 1000, whole: true });
  const latents = columnsOf(where, codes);
  const known = factorsOf(where, factors, codes.shape[0]);
  const binned = latents.map((values) => equalWidthBins(values, bins));
  const table = binned.map((latent) =>
    known.map(({ values, count }) => information(latent, bins, values, count)),
  );
  const gaps = known.map((factor, f) => gapOf(table.map((row) => row[f])) / entropy(factor));
  return { score: meanOf(gaps), gaps, information: Float64Array.from(table.flat()) };
}

export const migMetrics = /* @__PURE__ */ metricsOf(
  { group: 'factors', kind: 'number', better: 'higher', needs: ['factors'] },
  [
    {
      key: 'mig',
      name: 'MIG',
      text: 'Mutual information gap: how much more the most informative latent knows of a factor than the second one, as a share of all there is to know; the mean over factors, in 20 bins a latent. 1: a latent of its own for each factor; noise scores about 0.',
      compute: async ({ factors }) => {
        const { codes, known } = await factors();
        return mutualInformationGap(codes, known).score;
      },
    },
  ],
);
