/**
 * Hypersphere: trains small encoders without labels on WebGPU, and shows whether the representation is good or
 * collapsing while it forms. Here: the device, compiled steps, tensors, ops, gradients and the trainer. `hypersphere/data`,
 * `/methods`, `/metrics`, `/nn`, `/optim` and `/text` have the rest.
 * @module
 */

// biome-ignore-all assist/source/organizeImports: products first, side by side; their shaders are much alike, and pack well together.
export { conv2d } from './ops/conv2d.ts';
export { type AttentionOptions, attention } from './ops/attention.ts';
export { type ContrastOptions, contrast } from './ops/contrast.ts';
export { topKSimilar } from './ops/top_k.ts';
export { linear, matmul } from './ops/matmul.ts';
export { std, variance } from './ops/variance.ts';
// Compiled steps.
export { type CompileOptions, compile } from './runtime/compile.ts';
export type { Step, StepStats } from './runtime/step.ts';
// The device, and what can go wrong with it.
export { fileChoices } from './data/choices.ts';
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
  throwShapeError,
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
  select,
  sub,
} from './ops/binary.ts';
export { type ConvTranspose2dOptions, convTranspose2d } from './ops/conv_transpose2d.ts';
export { crossEntropy } from './ops/cross_entropy.ts';
export { type DropoutOptions, dropout } from './ops/dropout.ts';
export { embedding } from './ops/embedding.ts';
export { type GroupNormOptions, groupNorm } from './ops/group_norm.ts';
export { keepLargest } from './ops/keep_largest.ts';
export { l2Normalize } from './ops/l2_normalize.ts';
export { layerNorm } from './ops/layer_norm.ts';
export { type MaskTokensOptions, maskTokens } from './ops/mask_tokens.ts';
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
export { timestepEmbedding } from './ops/timestep_embedding.ts';
export { upsample } from './ops/upsample.ts';
export { type SkipGramsOptions, skipGrams } from './ops/skip_grams.ts';
export { logSoftmax, logSumExp, softmax } from './ops/softmax.ts';
export { sort } from './ops/sort.ts';
export { straightThrough } from './ops/straight_through.ts';
export { tokenOrder } from './ops/token_order.ts';
export { putTokens, takeTokens } from './ops/tokens.ts';
export { topTokens } from './ops/top_tokens.ts';
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
// The trainer.
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
