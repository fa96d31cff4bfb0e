/** The agreement of two partitions of the same samples; the names of clusters do not matter. */
import { IGNORED, type LabelOptions, type Labels, numberTogether } from '../data/labels.ts';
import { checkOptions } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { kMeans } from './kmeans.ts';
import { type MetricContext, metricsOf } from './metric.ts';

/** Counts of the samples with label i in one partition and j in the other (those above 0), and of those with each label. */
function contingency(where: string, a: Labels, b: Labels, options: LabelOptions) {
  checkOptions(where, options, ['ignore']);
  // The names may differ, so each partition is numbered separately.
  const [[x], namesA] = numberTogether(where, [{ name: 'a', labels: a }], options);
  const [[y], namesB] = numberTogether(where, [{ name: 'b', labels: b, rows: a.length }], options);
  const both = new Map<number, number>();
  const [ofA, ofB] = [new Float64Array(namesA.length), new Float64Array(namesB.length)];
  let n = 0;
  for (let i = 0; i < x.length; i++) {
    if (x[i] === IGNORED || y[i] === IGNORED) continue;
    const pair = x[i] * namesB.length + y[i];
    both.set(pair, (both.get(pair) ?? 0) + 1);
    ofA[x[i]]++;
    ofB[y[i]]++;
    n++;
  }
  if (!n) throw new InputError(`${where}: every label is ignored`);
  const pairs = Float64Array.from(both.keys()).sort();
  return { n, both: pairs.map((pair) => both.get(pair)!), ofA, ofB };
}

/**
 * Normalised mutual information, I(a; b) over the mean of the two entropies: 1 for the same partition, 0 for independent ones.
 * By chance it grows with the number of clusters, up to 1 for as many clusters as samples; the adjusted Rand
 * index does not.
 * @param a, b a label for each sample: numbers or strings
 * @param options.ignore labels whose samples are left out
 * @throws InputError for an invalid label, different lengths, or when every sample is left out
 */
export function normalizedMutualInformation(a: Labels, b: Labels, options: LabelOptions = {}): number {
  const { n, both, ofA, ofB } = contingency('normalizedMutualInformation', a, b, options);
  const entropy = (counts: Float64Array) =>
    counts.reduce((total, count) => (count ? total - (count / n) * Math.log(count / n) : total), 0);
  const whole = entropy(ofA) + entropy(ofB);
  // Two partitions with one part each are the same.
  return whole === 0 ? 1 : Math.max(0, (2 * (whole - entropy(both))) / whole);
}

/**
 * Adjusted Rand index (Hubert & Arabie 1985): pairs on which two partitions agree; 1 for the same, 0 by chance.
 * @param a, b a label for each sample: numbers or strings
 * @param options.ignore labels whose samples are left out
 * @throws InputError for an invalid label, different lengths, or when every sample is left out
 */
export function adjustedRandIndex(a: Labels, b: Labels, options: LabelOptions = {}): number {
  const { n, both, ofA, ofB } = contingency('adjustedRandIndex', a, b, options);
  const pairs = (counts: Float64Array) =>
    counts.reduce((total, count) => total + (count * (count - 1)) / 2, 0);
  const [together, inA, inB] = [both, ofA, ofB].map(pairs);
  const chance = n > 1 ? (inA * inB) / ((n * (n - 1)) / 2) : 0;
  const most = (inA + inB) / 2;
  return most === chance ? 1 : (together - chance) / (most - chance);
}

export const agreementMetrics = /* @__PURE__ */ metricsOf(
  {
    group: 'structure',
    kind: 'number',
    better: 'higher',
    detail: true,
    needs: ['clustered'],
    stage: 'k-NN',
    measure: {},
  },
  [
    {
      key: 'nmi',
      name: 'clusters: NMI',
      cost: 5,
      text: 'k-means on the test images’ representations with as many clusters as classes: its mutual information with the labels, 1 when they are the same.',
      async compute(context) {
        const { labels, classes } = context.clustered;
        const value = normalizedMutualInformation(await clustersOf(context), labels);
        return { value, remark: `k-means, ${classes} clusters` };
      },
    },
    {
      key: 'ari',
      name: 'clusters: ARI',
      text: 'The same clusters by the adjusted Rand index: the share of pairs on which clusters and labels agree, 0 by chance and 1 when they are the same.',
      async compute(context) {
        return adjustedRandIndex(await clustersOf(context), context.clustered.labels);
      },
    },
  ],
);

const clustersOf = ({ device, clustered, shared, progress }: Required<MetricContext>) =>
  shared('clusters of h', async () => {
    const { rows, classes, restarts } = clustered;
    return (await kMeans(device, rows, { k: classes, restarts, onProgress: progress })).clusters;
  });
