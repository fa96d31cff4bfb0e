/**
 * Layers and encoders: `hypersphere/nn`, or `nn` of `hypersphere`.
 * @module
 */
export { cnnDecoder, mlpDecoder } from './decoders.ts';
export { cnnEncoder, type Encoder, mlp, mlpEncoder, projector } from './encoders.ts';
export { convTranspose2d, dropout, groupNorm, upsample } from './image_layers.ts';
export { copyInitial, he, type Initializer, lecun, xavier } from './init.ts';
export {
  activation,
  batchNorm,
  conv2d,
  flatten,
  globalAveragePool,
  type Layer,
  layerNorm,
  linear,
  type Mode,
  makeLayer,
  relu,
  sequential,
} from './layers.ts';
export { isTextEncoder, type TextEncoder, type TextEncoderOptions, textEncoder } from './text_encoder.ts';
export {
  gridPositions,
  isTokenEncoder,
  learnedTokens,
  patchify,
  selfAttention,
  type TokenEncoder,
  type TransformerOptions,
  transformer,
  transformerBlock,
  unpatchify,
  vitEncoder,
} from './transformer.ts';
export { type ResidualBlock, residualBlock, timeEncoder, type UNet, unet } from './unet.ts';
