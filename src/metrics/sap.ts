import { checkOptions } from '../gpu/check.ts';
import {
  binOf,
  type Codes,
  checkSeed,
  columnsOf,
  type Factor,
  type Factors,
  factorsOf,
  gapOf,
  meanOf,
  quantileEdges,
  splitRows,
} from './codes.ts';
import { metricsOf } from './metric.ts';

/** Bins of a latent whose bounds are the thresholds. */
const BINS = 64;

type Split = ReturnType<typeof splitRows>;

/** How often each value of a factor occurs in some rows. */
function frequencies({ values, count }: Factor, rows: Uint32Array): Float64Array {
  const found = new Float64Array(count);
  for (const n of rows) found[values[n]]++;
  return found;
}

/** Balanced accuracy on the test rows of the best thresholds on one latent: each bin tells the value of which it has the largest share. */
function thresholdAccuracy(latent: Float64Array, factor: Factor, { fit, test }: Split): number {
  const { values, count } = factor;
  const edges = quantileEdges(
    Float64Array.from(fit, (n) => latent[n]),
    BINS,
  );
  const seen = frequencies(factor, fit);
  const shares = new Float64Array((edges.length + 1) * count);
  for (const n of fit) shares[binOf(edges, latent[n]) * count + values[n]] += 1 / seen[values[n]];
  const told = Uint32Array.from({ length: edges.length + 1 }, (_, bin) => {
    const row = shares.subarray(bin * count, (bin + 1) * count);
    return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
  });
  const right = new Float64Array(count);
  for (const n of test) if (told[binOf(edges, latent[n])] === values[n]) right[values[n]]++;
  const there = frequencies(factor, test);
  const rates = [...right.keys()].filter((value) => there[value]).map((value) => right[value] / there[value]);
  return meanOf(rates);
}

/**
 * Separated attribute predictability (Kumar et al. 2018, arXiv 1711.00848, section 3): for each factor, how well the best single latent
 * predicts it less how well the second does; the mean over factors. The true factors score the mean of 1 - 1 / values, since the
 * second latent guesses; noise about 0.
 *
 * Estimator: the paper's for categories, thresholds on the latent (those between 64 bins of equally many samples, each telling the value of
 * which it has the largest share), fitted on two thirds of the rows; balanced accuracy on the rest. disentanglement_lib has a
 * linear support vector machine instead, which cannot tell middle values apart: its scores are lower.
 * @param codes [N, D], N of 1,000 at least: means of the posteriors
 * @param factors [N, F], each of 2 to 256 values
 * @param options.seed of the choice of rows. Default 0
 * @returns the score, the gap of each factor, and the balanced accuracy of latent d on factor f, [D, F]
 * @throws InputError
 */
export function sapScore(
  codes: Codes,
  factors: Factors,
  options: { seed?: number } = {},
): { score: number; gaps: number[]; accuracies: Float64Array } {
  const where = 'sapScore';
  checkOptions(where, options, ['seed']);
  const { seed = 0 } = options;
  checkSeed(where, seed);
  const latents = columnsOf(where, codes);
  const known = factorsOf(where, factors, codes.shape[0]);
  const split = splitRows(codes.shape[0], seed);
  const table = latents.map((latent) => known.map((factor) => thresholdAccuracy(latent, factor, split)));
  const gaps = known.map((_, f) => gapOf(table.map((row) => row[f])));
  return { score: meanOf(gaps), gaps, accuracies: Float64Array.from(table.flat()) };
}

export const sapMetrics = /* @__PURE__ */ metricsOf(
  { group: 'factors', kind: 'number', better: 'higher', needs: ['factors'] },
  [
    {
      key: 'sap',
      name: 'SAP',
      text: 'Separated attribute predictability: how much better the best single latent predicts a factor than the second best; the mean over factors. The true factors score the mean of 1 − 1 / values; noise scores about 0.',
      compute: async ({ factors }) => {
        const { codes, known } = await factors();
        return sapScore(codes, known).score;
      },
    },
  ],
);
