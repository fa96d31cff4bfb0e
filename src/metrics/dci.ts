import { checkNumber, checkOptions } from '../gpu/check.ts';
import {
  binOf,
  type Codes,
  checkSeed,
  columnsOf,
  type Factors,
  factorsOf,
  meanOf,
  quantileEdges,
  splitRows,
} from './codes.ts';
import { growForest } from './forest.ts';
import { type MetricContext, metricsOf } from './metric.ts';

const BINS = 64;
const DEPTH = 12;

/** 1 - the entropy of shares over that of equal ones; 1 for a single share, 0 where all are 0. */
function concentration(values: readonly number[]): number {
  const total = values.reduce((sum, v) => sum + v, 0);
  if (total === 0) return 0;
  if (values.length === 1) return 1;
  const entropy = values.reduce((sum, v) => (v > 0 ? sum - (v / total) * Math.log(v / total) : sum), 0);
  return 1 - entropy / Math.log(values.length);
}

/**
 * Disentanglement and completeness of importances [D][F] (Eastwood & Williams 2018, section 2): a latent is disentangled if it
 * is important for one factor, weighted by its share of all importance; a factor is complete if one latent is important for it.
 */
export function ofImportances(rows: readonly (readonly number[])[]) {
  const sums = rows.map((row) => row.reduce((sum, v) => sum + v, 0));
  const total = sums.reduce((sum, v) => sum + v, 0);
  return {
    disentanglement: rows.reduce((sum, row, d) => sum + (sums[d] / total) * concentration(row), 0),
    completeness: meanOf(rows[0].map((_, f) => concentration(rows.map((row) => row[f])))),
  };
}

/**
 * Disentanglement, completeness and informativeness (Eastwood & Williams 2018, "A framework for the quantitative evaluation of
 * disentangled representations"): whether each latent is important for one factor only, whether each factor needs one latent only, and how
 * well the latents together predict the factors. The true factors score 1, 1, 1; noise about 0, 0 and 1 / values.
 *
 * Importances: decrease of Gini impurity in a random forest for each factor (the paper has lasso and random forests, disentanglement_lib
 * gradient boosting), of 20 trees of depth 12 at most, each split the best of all latents, on latents in 64 bins of equally many
 * samples; fitted on two thirds of the rows. Informativeness: its accuracy on the rest. About a second for 10,000 rows of 10 latents and five factors.
 * @param codes [N, D], N of 1,000 at least: means of the posteriors
 * @param factors [N, F], each of 2 to 256 values
 * @param options.trees of a forest, 1 to 1,000. Default 20
 * @param options.seed of the rows of each tree. Default 0
 * @returns the three scores, the accuracy for each factor, and the importance of latent d for factor f, [D, F], 1 in sum for each factor
 * @throws InputError
 */
export function dci(
  codes: Codes,
  factors: Factors,
  options: { trees?: number; seed?: number } = {},
): {
  disentanglement: number;
  completeness: number;
  informativeness: number;
  accuracies: number[];
  importances: Float64Array;
} {
  checkOptions('dci', options, ['trees', 'seed']);
  const { trees = 20, seed = 0 } = options;
  checkNumber('dci', 'trees', trees, { least: 1, most: 1000, whole: true });
  checkSeed('dci', seed);
  const latents = columnsOf('dci', codes);
  const known = factorsOf('dci', factors, codes.shape[0]);
  const { fit, test } = splitRows(codes.shape[0], seed);
  const features = latents.map((values) => {
    const edges = quantileEdges(
      Float64Array.from(fit, (n) => values[n]),
      BINS,
    );
    return Uint8Array.from(values, (v) => binOf(edges, v));
  });
  // Leaves of a few samples would fit noise, and give importance to latents that say nothing.
  const limits = { trees, seed, depth: DEPTH, leaf: Math.max(5, Math.floor(fit.length / 500)) };
  const forests = known.map(({ values, count }) =>
    growForest({ features, bins: BINS, labels: values, classes: count }, fit, limits),
  );
  const accuracies = known.map(
    ({ values }, f) => test.filter((n) => forests[f].classOf(n) === values[n]).length / test.length,
  );
  const rows = latents.map((_, d) => forests.map(({ importances }) => importances[d]));
  return {
    ...ofImportances(rows),
    informativeness: meanOf(accuracies),
    accuracies,
    importances: Float64Array.from(rows.flat()),
  };
}

/** The scores of codes, once for the three metrics. */
const scoresOf = ({ factors, shared }: Required<MetricContext>) =>
  shared('dci', async () => {
    const { codes, known } = await factors();
    return dci(codes, known);
  });

export const dciMetrics = /* @__PURE__ */ metricsOf(
  { group: 'factors', kind: 'number', better: 'higher', needs: ['factors'] },
  [
    {
      key: 'dciDisentanglement',
      name: 'DCI disentanglement',
      cost: 4,
      text: 'Whether each latent is important for one factor only, by the importances of random forests that predict the factors. 1: it is; noise scores about 0.',
      compute: async (context) => (await scoresOf(context)).disentanglement,
    },
    {
      key: 'dciCompleteness',
      name: 'DCI completeness',
      detail: true,
      text: 'Whether each factor needs one latent only, by the same forests. 1: it does; noise scores about 0.',
      compute: async (context) => (await scoresOf(context)).completeness,
    },
    {
      key: 'dciInformativeness',
      name: 'DCI informativeness',
      detail: true,
      text: 'The accuracy of the same forests on other images, the mean over factors: what all latents together know. Noise scores about 1 / values.',
      compute: async (context) => (await scoresOf(context)).informativeness,
    },
  ],
);
