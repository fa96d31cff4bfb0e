/**
 * Hypersphere: trains small encoders without labels on WebGPU, and shows whether the representation is good or
 * collapsing while it forms. Everything public is named here.
 * @module
 */

// biome-ignore-all assist/source/organizeImports: products first, side by side; their shaders are much alike, and pack well together.
export { conv2d } from './ops/conv2d.ts';
export { type ContrastOptions, contrast } from './ops/contrast.ts';
export { linear, matmul } from './ops/matmul.ts';
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
export { type Call, type Kernel, type Op, op } from './graph/op.ts';
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
// Gauges, each usable on embeddings of one's own: a Variable on the GPU or { data, shape }.
export { adjustedRandIndex, normalizedMutualInformation } from './measures/agreement.ts';
export { type AlarmOptions, type Collapse, collapseAlarm, describe, type Look } from './measures/alarm.ts';
export { alignment } from './measures/alignment.ts';
export { type Analogy, analogyAccuracy } from './measures/analogy.ts';
export { anisotropy } from './measures/anisotropy.ts';
export { linearCka } from './measures/cka.ts';
export type { Rows, Slabs } from './measures/compute.ts';
export { effectiveRank, spectrumOf } from './measures/effective_rank.ts';
export { type EmbedOptions, embed, embedSlabs } from './measures/embed.ts';
export { equivariance, type Pair } from './measures/equivariance.ts';
export { type EvaluateOptions, evaluate, type Gauges } from './measures/evaluate.ts';
export { hubness } from './measures/hubness.ts';
export { invariance } from './measures/invariance.ts';
export { type Clustering, type KMeansOptions, kMeans } from './measures/kmeans.ts';
export { type KnnOptions, knnAccuracy, knnNeighbours, knnPredict } from './measures/knn.ts';
export { lidar } from './measures/lidar.ts';
export { linearProbe, type ProbeOptions, type ProbeResult } from './measures/linear_probe.ts';
export { effectiveRankOf, liveGauges, participationRatioOf } from './measures/live.ts';
export { type OnlineLabels, onlineAccuracies, onlineGauges } from './measures/online.ts';
export { accuracyOf, classAccuracies, worstClass } from './measures/per_class.ts';
export { SHIFTS, type ShiftOptions, shiftAccuracies } from './measures/shifts.ts';
export { type SimilarityHistogram, similarityHistogram } from './measures/similarity_histogram.ts';
export { participationRatio, type Spectrum, spectrum, spectrumSlope } from './measures/spectrum.ts';
export { embeddingStd } from './measures/std.ts';
export { uniformity, uniformityOptimum } from './measures/uniformity.ts';
// Methods, one paper each.
export { alignUniformLoss } from './methods/align_uniform.ts';
export { alignmentLoss } from './methods/alignment.ts';
export { barlowTwinsLoss } from './methods/barlow_twins.ts';
export { dclLoss } from './methods/dcl.ts';
export { infoNceLoss } from './methods/info_nce.ts';
export { leJepaLoss } from './methods/lejepa.ts';
export { nceLoss } from './methods/nce.ts';
export { ntXentLoss } from './methods/simclr.ts';
export { proxyAnchorLoss } from './methods/proxy_anchor.ts';
export { proxyNcaLoss } from './methods/proxy_nca.ts';
export { rotationLoss } from './methods/rotation.ts';
export { sigReg } from './methods/parts/sigreg.ts';
export { halves } from './methods/parts/views.ts';
export { supConLoss } from './methods/sup_con.ts';
export { tripletLoss } from './methods/triplet.ts';
export { uniformityLoss } from './methods/uniformity.ts';
export { vicRegLoss } from './methods/vicreg.ts';
export { whiten } from './methods/parts/whiten.ts';
export { wMseLoss } from './methods/w_mse.ts';
// Layers (`nn`), optimisers, data.
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
export { topKSimilar } from './ops/top_k.ts';
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
export { std, variance } from './ops/variance.ts';
export * from './optim/index.ts';
// Methods with what stands around their losses, and the trainer.
export {
  type Trained,
  type Trainer,
  type TrainerLook,
  type TrainerOptions,
  trainer,
} from './train/trainer.ts';
export { NonFiniteError } from './train/run.ts';
export { byolLoss } from './methods/byol.ts';
export { dinoLoss } from './methods/dino.ts';
export { mocoLoss } from './methods/moco.ts';
export { nnclrLoss } from './methods/nnclr.ts';
export { methods } from './methods/index.ts';
export {
  type ImageBatch,
  type ImageMethod,
  type ImageSetting,
  imageMethod,
  type Method,
  type Network,
  type PlaneMethod,
  pairMethod,
  planeMethod,
  type Recipe,
} from './methods/method.ts';
export { simSiamLoss } from './methods/simsiam.ts';
export { sinkhorn, swavLoss } from './methods/swav.ts';
