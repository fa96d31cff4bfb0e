/**
 * Data sets on the GPU, views of their images, and file formats: `hypersphere/data`, or `data` of `hypersphere`.
 * @module
 */
export {
  type Augmentation,
  augment,
  colorViews,
  evaluationViews,
  noisyViews,
  plainViews,
  scaledTo,
  shiftedViews,
  wideViews,
} from './augment.ts';
export {
  batchesPerEpoch,
  batchLabels,
  cleanBatch,
  type Dataset,
  dataset,
  pixelStatistics,
} from './dataset.ts';
export { type Emoji, type EmojiTable, parseEmoji } from './emoji.ts';
export {
  checkLabels,
  fromArrays,
  fromImageData,
  type Idx,
  type ImageFactors,
  type Images,
  loadIdx,
  type PixelSource,
  type Pixels,
  parseImages,
  parseLabels,
  sameClasses,
} from './idx.ts';
export {
  IGNORED,
  type Label,
  type LabelOptions,
  type Labels,
  type Numbered,
  numberLabels,
} from './labels.ts';
export { type Npy, npyLabels, npyRows, parseNpy } from './npy.ts';
export { otherFactor } from './other_factor.ts';
export {
  checkFinite,
  decodeSafetensors,
  encodeSafetensors,
  type FileContents,
  type FileTensor,
  loadVariables,
  saveVariables,
} from './safetensors.ts';
export {
  dSpritesFactors,
  renderSprites,
  type SpriteFactor,
  type SpriteOptions,
  type SpriteValues,
  spriteFactors,
  sprites,
} from './sprites.ts';
export { lexicographerFiles, parseSynsets, type Synset } from './synsets.ts';
export { type GlossOptions, glossTexts, type TextSet, type Texts, textSet } from './texts.ts';
export { quarterTurns } from './turns.ts';
