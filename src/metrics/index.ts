/**
 * Metrics of embeddings, each usable on rows of your own: a Variable on the GPU or { data, shape }. `hypersphere/metrics`, or
 * `metrics` of `hypersphere`.
 * @module
 */
export { adjustedRandIndex, normalizedMutualInformation } from './agreement.ts';
export {
  type AlarmOptions,
  type Collapse,
  collapseAlarm,
  describeCollapse,
  type Look,
} from './alarm.ts';
export { alignment } from './alignment.ts';
export { type Analogy, analogyAccuracy } from './analogy.ts';
export { anisotropy } from './anisotropy.ts';
export { linearCka } from './cka.ts';
export type { Codes, Factors } from './codes.ts';
export type { Rows, Slabs } from './compute.ts';
export { type Curve, type CurveKey, curves, type Watched } from './curves.ts';
export { dci } from './dci.ts';
export { effectiveRank, spectrumOf } from './effective_rank.ts';
export { type EmbedOptions, embed, embedSlabs } from './embed.ts';
export { equivariance, type Pair } from './equivariance.ts';
export { type EvaluateOptions, type Evaluation, evaluate } from './evaluate.ts';
export { betaVaeScore, factorVaeScore, type VoteOptions } from './factor_votes.ts';
export { formatMetric, formatNumber } from './format.ts';
export { frechetDistance } from './frechet.ts';
export { fvu, principalFvu } from './fvu.ts';
export { type HardNegativeOptions, type HardNegatives, hardNegatives } from './hard_negatives.ts';
export { hubness } from './hubness.ts';
export { invariance } from './invariance.ts';
export {
  type Found,
  type InvertedLists,
  invertedLists,
  type ListOptions,
  type SearchOptions,
} from './inverted_lists.ts';
export { type KSparseOptions, kSparseProbe } from './k_sparse_probe.ts';
export { type Clustering, type KMeansOptions, kMeans } from './kmeans.ts';
export { type KnnOptions, knnAccuracy, knnNeighbours, knnPredict } from './knn.ts';
export { type LayerCurve, type LayerMetric, type LayerRow, layerCurve } from './layer_curve.ts';
export { lidar } from './lidar.ts';
export { linearProbe, type ProbeOptions, type ProbeResult } from './linear_probe.ts';
export { effectiveRankOf, liveMetrics, participationRatioOf } from './live.ts';
export type { Metric } from './metric.ts';
export { mutualInformationGap } from './mig.ts';
export { mmcs } from './mmcs.ts';
export { modalityGap } from './modality_gap.ts';
export { mutualKnn } from './mutual_knn.ts';
export { type OnlineLabels, onlineAccuracies, onlineMetrics } from './online.ts';
export { type PairRecall, pairRecall } from './pair_recall.ts';
export { participationRatio } from './participation_ratio.ts';
export { accuracyOf, classAccuracies, worstClass } from './per_class.ts';
export { principalAxes } from './principal_axes.ts';
export { type Retrieval, retrieval } from './retrieval.ts';
export { sapScore } from './sap.ts';
export { SHIFTS, type ShiftOptions, shiftAccuracies } from './shifts.ts';
export { type SimilarityHistogram, similarityHistogram } from './similarity_histogram.ts';
export { type Spectrum, spectrum } from './spectrum.ts';
export { spectrumSlope } from './spectrum_slope.ts';
export { embeddingStd } from './std.ts';
export { evaluationMetrics, type MetricKey, type MetricRow, type MetricValues } from './table.ts';
export { gaussianTotalCorrelation } from './total_correlation.ts';
export { uniformity, uniformityOptimum } from './uniformity.ts';
export { wassersteinUniformity } from './wasserstein_uniformity.ts';
export { compileWatch, type Glance, type Watch, type WatchOptions } from './watch.ts';
