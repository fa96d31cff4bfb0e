/**
 * Hypersphere: trains small encoders without labels on WebGPU, and shows whether the representation is good or
 * collapsing while it forms. Everything public is named here.
 * @module
 */

// biome-ignore-all assist/source/organizeImports: products first, side by side; their shaders are much alike, and pack well together.
export { conv2d } from './ops/conv2d.ts';
export { type ContrastOptions, contrast } from './ops/contrast.ts';
export { topKSimilar } from './ops/top_k.ts';
export { linear, matmul } from './ops/matmul.ts';
export { std, variance } from './ops/variance.ts';
// Compiled steps.
export { type CompileOptions, compile } from './runtime/compile.ts';
export type { Step, StepStats } from './runtime/step.ts';
// Data sets and views.
export { type Augmentation, augment, EVAL, NOISY, S1, scaledTo, simclrRgb, WIDE } from './data/augment.ts';
export { fileChoices } from './data/choices.ts';
export {
  batchesPerEpoch,
  batchLabels,
  cleanBatch,
  type Dataset,
  dataset,
  pixelStatistics,
} from './data/dataset.ts';
export {
  checkLabels,
  fromArrays,
  fromImageData,
  type Idx,
  type Images,
  loadIdx,
  type Pixels,
  type PixelSource,
  parseImages,
  parseLabels,
  sameClasses,
} from './data/idx.ts';
export {
  IGNORED,
  type Label,
  type LabelOptions,
  type Labels,
  type Numbered,
  numberLabels,
} from './data/labels.ts';
export { type Npy, npyLabels, npyRows, parseNpy } from './data/npy.ts';
export {
  checkFinite,
  decodeSafetensors,
  encodeSafetensors,
  type FileContents,
  type FileTensor,
  loadVariables,
  saveVariables,
} from './data/safetensors.ts';
export { quarterTurns } from './data/turns.ts';
// The device, and what can go wrong with it.
export type { ChoiceStore, Choices } from './gpu/choices.ts';
export {
  adoptDevice,
  type Device,
  type DeviceOptions,
  openDevice,
  type Tuning,
  type TuningOptions,
} from './gpu/device.ts';
export {
  AdapterMissingError,
  DeviceLostError,
  GradientError,
  HypersphereError,
  InputError,
  OutOfMemoryError,
  ShapeError,
  ValidationError,
  WebGPUMissingError,
} from './gpu/errors.ts';
// Graph, gradients, ops of one's own.
export { assign } from './graph/basic.ts';
export { mixed, type Precision } from './graph/mixed.ts';
export { grad, stopGradient } from './graph/gradient.ts';
export { type Call, type Kernel, type Op, type OpFunction, op } from './graph/op.ts';
export {
  constant,
  type DType,
  fail,
  flatten,
  input,
  layer,
  reshape,
  type Scalar,
  type Shape,
  scalar,
  Tensor,
  Variable,
  variable,
} from './graph/tensor.ts';
export { freeVariables, readVariable, variableRange, writeVariable } from './runtime/variables.ts';
// Metrics, each usable on embeddings of one's own: a Variable on the GPU or { data, shape }.
export { adjustedRandIndex, normalizedMutualInformation } from './metrics/agreement.ts';
export { type AlarmOptions, type Collapse, collapseAlarm, describe, type Look } from './metrics/alarm.ts';
export { alignment } from './metrics/alignment.ts';
export { type Analogy, analogyAccuracy } from './metrics/analogy.ts';
export { anisotropy } from './metrics/anisotropy.ts';
export { linearCka } from './metrics/cka.ts';
export { type Curve, type CurveKey, curves, type Watched } from './metrics/curves.ts';
export type { Rows, Slabs } from './metrics/compute.ts';
export { effectiveRank, spectrumOf } from './metrics/effective_rank.ts';
export { type EmbedOptions, embed, embedSlabs } from './metrics/embed.ts';
export { equivariance, type Pair } from './metrics/equivariance.ts';
export { type EvaluateOptions, type Evaluation, evaluate } from './metrics/evaluate.ts';
export { formatMetric, formatNumber } from './metrics/format.ts';
export { hubness } from './metrics/hubness.ts';
export { invariance } from './metrics/invariance.ts';
export { type Clustering, type KMeansOptions, kMeans } from './metrics/kmeans.ts';
export { type KnnOptions, knnAccuracy, knnNeighbours, knnPredict } from './metrics/knn.ts';
export { lidar } from './metrics/lidar.ts';
export { linearProbe, type ProbeOptions, type ProbeResult } from './metrics/linear_probe.ts';
export { effectiveRankOf, liveMetrics, participationRatioOf } from './metrics/live.ts';
export { type OnlineLabels, onlineAccuracies, onlineMetrics } from './metrics/online.ts';
export { accuracyOf, classAccuracies, worstClass } from './metrics/per_class.ts';
export { principalAxes } from './metrics/principal_axes.ts';
export { SHIFTS, type ShiftOptions, shiftAccuracies } from './metrics/shifts.ts';
export type { Spectrum } from './metrics/singular_values.ts';
export { type SimilarityHistogram, similarityHistogram } from './metrics/similarity_histogram.ts';
export { participationRatio, spectrum, spectrumSlope } from './metrics/spectrum.ts';
export { embeddingStd } from './metrics/std.ts';
export type { Metric } from './metrics/metric.ts';
export { type MetricKey, type MetricRow, type MetricValues, metrics } from './metrics/table.ts';
export { uniformity, uniformityOptimum } from './metrics/uniformity.ts';
export { compileWatch, type Glance, type Watch, type WatchOptions } from './metrics/watch.ts';
// Optimisers.
export * from './optim/index.ts';
// Methods with their losses, one paper each.
export { sigReg } from './methods/parts/sigreg.ts';
export * from './methods/list.ts';
export { halves } from './methods/parts/views.ts';
export { whiten } from './methods/parts/whiten.ts';
// Layers.
export * as nn from './nn/index.ts';
// Ops.
export { type BatchNormOptions, batchNorm } from './ops/batch_norm.ts';
export {
  add,
  div,
  equal,
  greater,
  greaterEqual,
  less,
  lessEqual,
  maximum,
  minimum,
  mul,
  sub,
  where,
} from './ops/binary.ts';
export { crossEntropy } from './ops/cross_entropy.ts';
export { l2Normalize } from './ops/l2_normalize.ts';
export { layerNorm } from './ops/layer_norm.ts';
export { averagePool2d, globalAveragePool, maxPool2d } from './ops/pool.ts';
export {
  bits,
  bitsArray,
  normal,
  normalArray,
  permutation,
  permutationArray,
  uniform,
  uniformArray,
} from './ops/random.ts';
export { max, mean, min, sum } from './ops/reduce.ts';
export { broadcastTo, concatenate, gather, pad, slice, transpose } from './ops/shape.ts';
export { logSoftmax, logSumExp, softmax } from './ops/softmax.ts';
export {
  abs,
  clamp,
  exp,
  gelu,
  leakyRelu,
  log,
  neg,
  power,
  relu,
  sigmoid,
  silu,
  softplus,
  sqrt,
  square,
  tanh,
} from './ops/unary.ts';
// Methods with what stands around their losses, and the trainer.
export {
  type Trained,
  type Trainer,
  type TrainerLook,
  type TrainerOptions,
  trainer,
} from './train/trainer.ts';
export {
  compileTraining,
  type Training,
  type TrainingLook,
  type TrainingOptions,
} from './train/training.ts';
export { copyNetwork, settleStatistics } from './train/images.ts';
export { NonFiniteError, type Saved } from './train/session.ts';
export { methods } from './methods/index.ts';
export {
  buildMethod,
  type ImageBatch,
  type ImageMethod,
  type ImageSetting,
  type Method,
  type Network,
  type PlaneMethod,
  type Recipe,
} from './methods/method.ts';
