/** Scores by interventions: batches of samples in which one factor is fixed, from a table of codes. */
import { checkNumber, checkOptions } from '../gpu/check.ts';
import { bitsArray } from '../ops/random.ts';
import { type Codes, checkSeed, columnsOf, type Factor, type Factors, factorsOf, meanOf } from './codes.ts';
import { solvePositiveDefinite } from './eigen.ts';
import { metricsOf } from './metric.ts';

export interface VoteOptions {
  /** Batches from which the classifier learns. Default 10,000 (disentanglement_lib). */
  votes?: number;
  /** Other batches on which it is tested. Default 5,000 (disentanglement_lib). */
  tests?: number;
  /** Samples, or pairs of samples, of a batch. Default 64 (disentanglement_lib; Kim & Mnih 2018 have 100). */
  batch?: number;
  /** Default 0. */
  seed?: number;
}

const VOTES = { least: 1, most: 20_000, whole: true };

function checkedVotes(where: string, options: VoteOptions, more: string[] = []) {
  checkOptions(where, options, ['votes', 'tests', 'batch', 'seed', ...more]);
  const { votes = 10_000, tests = 5_000, batch = 64, seed = 0 } = options;
  checkNumber(where, 'votes', votes, VOTES);
  checkNumber(where, 'tests', tests, VOTES);
  checkNumber(where, 'batch', batch, { least: 2, most: 1024, whole: true });
  checkSeed(where, seed);
  return { votes, tests, batch, seed };
}

/** The rows with each value of a factor. */
function groupsOf({ values, count }: Factor): number[][] {
  const groups: number[][] = Array.from({ length: count }, () => []);
  for (const [n, value] of values.entries()) groups[value].push(n);
  return groups;
}

/**
 * Draws batches: for each a factor, and in it samples that agree in that factor: in all of them (`pairs` false), or in pairs, each with a
 * value of its own. A value is drawn as often as it occurs, samples with replacement.
 */
function batchesOf(factors: readonly Factor[], batch: number, seed: number, pairs: boolean) {
  const groups = factors.map(groupsOf);
  const rows = factors[0].values.length;
  const size = pairs ? 3 * batch : batch + 1;
  return (index: number): { factor: number; samples: Uint32Array } => {
    const words = bitsArray(size + 1, { seed, stream: index });
    const draw = (word: number, n: number) => Math.floor((word / 2 ** 32) * n);
    const factor = draw(words[size], factors.length);
    const groupOf = (word: number) => groups[factor][factors[factor].values[draw(word, rows)]];
    const fixed = groupOf(words[0]);
    const samples = Uint32Array.from({ length: pairs ? 2 * batch : batch }, (_, i) => {
      const group = pairs ? groupOf(words[3 * (i >> 1)]) : fixed;
      return group[draw(words[pairs ? 3 * (i >> 1) + 1 + (i & 1) : i + 1], group.length)];
    });
    return { factor, samples };
  };
}

function varianceOf(values: ArrayLike<number>): number {
  const mean = meanOf(values);
  let total = 0;
  for (let i = 0; i < values.length; i++) total += (values[i] - mean) ** 2;
  return total / values.length;
}

/**
 * The FactorVAE score (Kim & Mnih 2018, arXiv 1802.05983, section 4): in batches of samples that agree in one factor, the latent
 * whose variance, relative to that over all samples, is smallest votes for that factor; the accuracy of the majority vote on other batches.
 * The true factors score 1; noise about 1 / F, since one of F factors is guessed.
 *
 * Batches are drawn from the rows of the table that agree in the factor, with replacement: each value of each factor should have many rows.
 * @param codes [N, D], N of 1,000 at least: means of the posteriors
 * @param factors [N, F], each of 2 to 256 values
 * @param options.leastStd latents whose standard deviation is below it have collapsed and have no vote. Default 0.05, for a prior of
 *   variance 1 (the paper leaves out those that equal the prior)
 * @returns the score, and how many latents vote; with none the score is 0
 * @throws InputError
 */
export function factorVaeScore(
  codes: Codes,
  factors: Factors,
  options: VoteOptions & { leastStd?: number } = {},
): { score: number; active: number } {
  const where = 'factorVaeScore';
  const { votes, tests, batch, seed } = checkedVotes(where, options, ['leastStd']);
  const { leastStd = 0.05 } = options;
  checkNumber(where, 'leastStd', leastStd, { least: 0 });
  const columns = columnsOf(where, codes);
  const known = factorsOf(where, factors, codes.shape[0]);
  const active = columns
    .map((values) => ({ values, variance: varianceOf(values) }))
    .filter(({ variance }) => variance > 0 && Math.sqrt(variance) >= leastStd);
  if (!active.length) return { score: 0, active: 0 };
  const next = batchesOf(known, batch, seed, false);
  const vote = (index: number) => {
    const { factor, samples } = next(index);
    const spreads = active.map(
      ({ values, variance }) => varianceOf(Float64Array.from(samples, (n) => values[n])) / variance,
    );
    return { factor, latent: spreads.indexOf(Math.min(...spreads)) };
  };
  const counts = active.map(() => new Float64Array(known.length));
  for (let i = 0; i < votes; i++) {
    const { factor, latent } = vote(i);
    counts[latent][factor]++;
  }
  const told = counts.map((row) => row.indexOf(Math.max(...row)));
  let right = 0;
  for (let i = votes; i < votes + tests; i++) {
    const { factor, latent } = vote(i);
    if (told[latent] === factor) right++;
  }
  return { score: right / tests, active: active.length };
}

/** The most rounds of the logistic regression, and the change of a weight at which it ends before. */
const ROUNDS = 300;
const SMALL = 1e-3;

/**
 * Weights [D + 1, C] of multinomial logistic regression, the bias last: the minimum of sum(-log p) + |w|^2 / 2, as in scikit-learn, by a
 * bound on the curvature (Böhning 1992): each round solves with (X^T X / 2 + I), which does not change.
 */
function logisticWeights(x: Float64Array, width: number, labels: Uint32Array, classes: number): Float64Array {
  const rows = labels.length;
  const bound = new Float64Array(width * width);
  for (let n = 0; n < rows; n++)
    for (let i = 0; i < width; i++)
      for (let j = 0; j < width; j++) bound[i * width + j] += (x[n * width + i] * x[n * width + j]) / 2;
  for (let i = 0; i < width; i++) bound[i * width + i] += 1;
  const unit = Float64Array.from({ length: width * width }, (_, i) => Number(i % (width + 1) === 0));
  const inverse = solvePositiveDefinite(bound, unit, width);
  const weights = new Float64Array(width * classes);
  const slope = new Float64Array(width * classes);
  for (let round = 0; round < ROUNDS; round++) {
    slope.set(weights.map((w) => -w));
    for (let n = 0; n < rows; n++) {
      const row = x.subarray(n * width, (n + 1) * width);
      const errors = logits(row, weights, classes);
      const most = errors.reduce((a, b) => Math.max(a, b));
      let total = 0;
      for (let c = 0; c < classes; c++) total += errors[c] = Math.exp(errors[c] - most);
      for (let c = 0; c < classes; c++) errors[c] = Number(labels[n] === c) - errors[c] / total;
      for (let i = 0; i < width; i++)
        for (let c = 0; c < classes; c++) slope[i * classes + c] += row[i] * errors[c];
    }
    let largest = 0;
    for (let i = 0; i < width; i++)
      for (let c = 0; c < classes; c++) {
        let change = 0;
        for (let j = 0; j < width; j++) change += inverse[i * width + j] * slope[j * classes + c];
        weights[i * classes + c] += change;
        largest = Math.max(largest, Math.abs(change));
      }
    if (largest < SMALL) break;
  }
  return weights;
}

function logits(row: Float64Array, weights: Float64Array, classes: number): Float64Array {
  const out = new Float64Array(classes);
  for (let i = 0; i < row.length; i++)
    for (let c = 0; c < classes; c++) out[c] += row[i] * weights[i * classes + c];
  return out;
}

/**
 * The beta-VAE score (Higgins et al. 2017, section 3): from the mean of |z1 - z2| over pairs of samples that agree in one factor, a
 * linear classifier tells which factor it is; its accuracy on other batches. The true factors score 1; noise about 1 / F. It is easily 1 for
 * codes that are not disentangled: a linear classifier may use several latents, and F - 1 of F factors are enough.
 *
 * Classifier: multinomial logistic regression on standardised differences, with a penalty of |w|^2 / 2 (disentanglement_lib: scikit-learn's
 * default, not standardised). Pairs are drawn from the rows of the table that agree in the factor, with replacement.
 * @param codes [N, D], N of 1,000 at least: means of the posteriors
 * @param factors [N, F], each of 2 to 256 values
 * @throws InputError
 */
export function betaVaeScore(codes: Codes, factors: Factors, options: VoteOptions = {}): { score: number } {
  const where = 'betaVaeScore';
  const { votes, tests, batch, seed } = checkedVotes(where, options);
  const columns = columnsOf(where, codes);
  const known = factorsOf(where, factors, codes.shape[0]);
  const next = batchesOf(known, batch, seed, true);
  const width = columns.length + 1;
  const x = new Float64Array((votes + tests) * width).fill(1);
  const labels = Uint32Array.from({ length: votes + tests }, (_, index) => {
    const { factor, samples } = next(index);
    for (const [d, values] of columns.entries()) {
      let total = 0;
      for (let i = 0; i < samples.length; i += 2)
        total += Math.abs(values[samples[i]] - values[samples[i + 1]]);
      x[index * width + d] = total / batch;
    }
    return factor;
  });
  for (const d of columns.keys()) {
    const fitted = Float64Array.from({ length: votes }, (_, n) => x[n * width + d]);
    const [mean, std] = [meanOf(fitted), Math.sqrt(varianceOf(fitted))];
    for (let n = 0; n < votes + tests; n++) x[n * width + d] = std > 0 ? (x[n * width + d] - mean) / std : 0;
  }
  const weights = logisticWeights(
    x.subarray(0, votes * width),
    width,
    labels.subarray(0, votes),
    known.length,
  );
  let right = 0;
  for (let n = votes; n < votes + tests; n++) {
    const scores = logits(x.subarray(n * width, (n + 1) * width), weights, known.length);
    if (scores.indexOf(Math.max(...scores)) === labels[n]) right++;
  }
  return { score: right / tests };
}

export const voteMetrics = /* @__PURE__ */ metricsOf(
  { group: 'factors', kind: 'number', better: 'higher', needs: ['factors'] },
  [
    {
      key: 'factorVaeScore',
      name: 'FactorVAE score',
      cost: 1,
      text: 'How often the latent that varies least among images which agree in one factor tells which factor that is. 1: always; noise scores about 1 / factors.',
      compute: async ({ factors }) => {
        const { codes, known } = await factors();
        return factorVaeScore(codes, known).score;
      },
    },
    {
      key: 'betaVaeScore',
      name: 'β-VAE score',
      cost: 2,
      detail: true,
      text: 'How often a linear classifier tells, from the mean difference of the latents of pairs that agree in one factor, which factor that is. Easily 1, also for latents that are not disentangled; noise scores about 1 / factors.',
      compute: async ({ factors }) => {
        const { codes, known } = await factors();
        return betaVaeScore(codes, known).score;
      },
    },
  ],
);
