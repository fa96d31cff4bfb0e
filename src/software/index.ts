/**
 * Kernels and passes for software adapters (llvmpipe, SwiftShader). Loads cost more than registers there, so products use large
 * tiles and read their operands from textures, and the invocations of a quad share rows. Loaded by `runtime/software.ts`.
 */
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import columnSumsWgsl from '../../shaders/lib/sums_columns.wgsl' with { type: 'text' };
import rowSumsWgsl from '../../shaders/lib/sums_workgroup.wgsl' with { type: 'text' };
import type { SoftwareAdapter } from '../gpu/target.ts';
import type { Call, Kernel, PlanTarget, Software } from '../graph/op.ts';
import { attentionInTextures } from './attention.ts';
import { largePartial, largeWeights } from './contrast.ts';
import {
  convolutionOf,
  isLarge,
  largeFilterGradient,
  largeForward,
  largeInputGradient,
  writtenSums,
} from './conv2d.ts';
import { largeProduct } from './matmul.ts';
import type { Shared } from './quads.ts';
import { type Abilities, type Settings, settingsOf } from './settings.ts';
import { isMadeOf, onOperands, replaced, withQuads } from './texture_operands.ts';
import { texturePool } from './texture_pool.ts';
import { movesOf, throughTextures } from './textures.ts';
import { largeTopK } from './top_k.ts';

/** The kernels of a call, derived from the op's own; the default is first. */
type Choice = (own: Kernel[], call: Call, settings: Settings, target: PlanTarget) => Kernel[];

/** A product of the logistic probe, for 12 lanes, its operands read as textures where that is worth it. */
const probe: Choice = (own, call, settings) => [
  onOperands(own[0], call, 12 * call.inputs[0]!.size, settings).kernel,
];

/** By name of op. A user's op of the same name keeps its kernel: it does not contain the library's WGSL. */
const CHOICES = new Map<string, Choice>([
  ['matmul', largeProduct],
  ['linear', largeProduct],
  ['conv2d', largeForward],
  ['conv2dInputGradient', largeInputGradient],
  ['convTranspose2d', largeInputGradient],
  ['conv2dFilterGradient', largeFilterGradient],
  ['conv2dSumPartials', writtenSums],
  ['contrastPartial', largePartial],
  ['contrastWeights', largeWeights],
  ['attention', attentionInTextures],
  ['attentionQueriesGradient', attentionInTextures],
  ['attentionKeysGradient', attentionInTextures],
  ['topKSimilar', largeTopK],
  ['logisticLogits', probe],
  ['logisticProducts', probe],
]);

/** Kernels and passes under these settings. */
export function softwareWith(settings: Settings): Software & { settings: Settings } {
  const shared: Shared = {
    sums: (own, axis, quad) =>
      withQuads(replaced(own, new Map([[axis === 'rows' ? rowSumsWgsl : columnSumsWgsl, [quad]]]))),
    largeTiles: settings.largeTiles < Infinity,
    isLarge: (result) => isLarge(result, settings),
    convolution: convolutionOf(settings),
  };
  const software: Software & { settings: Settings } = {
    settings,
    kernels({ name }, call, own) {
      if (!isMadeOf(own[0], gridWgsl)) return own;
      const quads = settings.quads?.choices.get(name)?.(own[0], call, shared);
      return quads ? [quads] : (CHOICES.get(name)?.(own, call, settings, { software }) ?? own);
    },
    rewrite: (calls, target, buffers) => throughTextures(calls, target, buffers, settings),
    pool: () => texturePool(settings),
    movesOf: (dispatches, external) => movesOf(dispatches, external, settings),
  };
  return software;
}

/** Kernels and passes for a device. */
export const softwareOn = async (softwareAdapter: SoftwareAdapter, device: Abilities): Promise<Software> =>
  softwareWith(await settingsOf(softwareAdapter, device));
