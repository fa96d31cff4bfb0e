import { agreementMetrics } from './agreement.ts';
import { alignmentMetrics } from './alignment.ts';
import { analogyMetrics } from './analogy.ts';
import { anisotropyMetrics } from './anisotropy.ts';
import { ckaMetrics } from './cka.ts';
import { dciMetrics } from './dci.ts';
import { effectiveRankMetrics } from './effective_rank.ts';
import { equivarianceMetrics } from './equivariance.ts';
import { voteMetrics } from './factor_votes.ts';
import { hubnessMetrics } from './hubness.ts';
import { invarianceMetrics } from './invariance.ts';
import { knnMetrics } from './knn.ts';
import { lidarMetrics } from './lidar.ts';
import { probeMetrics } from './linear_probe.ts';
import type { Metric } from './metric.ts';
import { migMetrics } from './mig.ts';
import { pairRecallMetrics } from './pair_recall.ts';
import { participationRatioMetrics } from './participation_ratio.ts';
import { rankMeMetrics } from './rank_me.ts';
import { sapMetrics } from './sap.ts';
import { shiftMetrics } from './shifts.ts';
import { spectrumSlopeMetrics } from './spectrum_slope.ts';
import { stdMetrics } from './std.ts';
import { totalCorrelationMetrics } from './total_correlation.ts';
import { uniformityMetrics } from './uniformity.ts';
import { wassersteinUniformityMetrics } from './wasserstein_uniformity.ts';

/** All metrics, in the order of the tables: a line for each file. */
const rows = [
  ...knnMetrics,
  ...probeMetrics,
  ...pairRecallMetrics,
  ...shiftMetrics,
  ...alignmentMetrics,
  ...uniformityMetrics,
  ...wassersteinUniformityMetrics,
  ...stdMetrics,
  ...effectiveRankMetrics,
  ...participationRatioMetrics,
  ...spectrumSlopeMetrics,
  ...rankMeMetrics,
  ...invarianceMetrics,
  ...equivarianceMetrics,
  ...agreementMetrics,
  ...anisotropyMetrics,
  ...hubnessMetrics,
  ...ckaMetrics,
  ...lidarMetrics,
  ...analogyMetrics,
  ...migMetrics,
  ...sapMetrics,
  ...dciMetrics,
  ...voteMetrics,
  ...totalCorrelationMetrics,
] as const;

type Row = (typeof rows)[number];
type Evaluated = Exclude<Row, { only: 'measure' }>;
type Companion<R> =
  | (R extends { spread: infer K extends string } ? K : never)
  | (R extends { target: { key: infer K extends string } } ? K : never)
  | (R extends { count: { key: infer K extends string } } ? K : never);

/** The name of a number that `evaluate` gives: a metric, or the spread, target or count of one. */
export type MetricKey = Evaluated['key'] | Companion<Evaluated>;

/** A metric of `evaluate`. */
export type MetricRow = Omit<Metric, 'key' | 'spread' | 'target' | 'count'> & {
  key: Evaluated['key'];
  spread?: MetricKey;
  target?: { key: MetricKey; name: string };
  count?: { key: MetricKey; text: (count: number) => string | undefined };
};

/** All metrics, including those that only `npm run measure` has. */
export const allMetrics: readonly Metric[] = rows;

/** The metrics of `evaluate`. */
export const evaluationMetrics: readonly MetricRow[] = rows.filter(
  (row): row is Evaluated => !('only' in row),
);

/** Metrics by name. One that does not apply is absent; one that is not finite is NaN. */
export type MetricValues = { [K in MetricKey]?: number };
