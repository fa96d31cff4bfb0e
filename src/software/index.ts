/**
 * Kernels and passes for software adapters (llvmpipe, SwiftShader). Loads cost more than registers there, so products use large
 * tiles and read their operands from textures, and the invocations of a quad share rows. Loaded by `runtime/software.ts`.
 */

import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import columnSumsWgsl from '../../shaders/lib/sums_columns.wgsl' with { type: 'text' };
import workgroupWgsl from '../../shaders/lib/sums_workgroup.wgsl' with { type: 'text' };
import columnSumsQuadWgsl from '../../shaders/software/lib/sums_columns_quad.wgsl' with { type: 'text' };
import quadWgsl from '../../shaders/software/lib/sums_quad.wgsl' with { type: 'text' };
import type { SoftwareAdapter } from '../gpu/target.ts';
import type { Call, Kernel, Software } from '../graph/op.ts';
import { attentionInTextures } from './attention.ts';
import { largePartial, largeWeights } from './contrast.ts';
import { largeFilterGradient, largeForward, largeInputGradient, writtenSums } from './conv2d.ts';
import { largeProduct } from './matmul.ts';
import { type Abilities, type Settings, settingsOf } from './settings.ts';
import { isMadeOf, onOperands, replaced, withQuads } from './texture_operands.ts';
import { texturePool } from './texture_pool.ts';
import { movesOf, throughTextures } from './textures.ts';
import { largeTopK } from './top_k.ts';

/** The kernels of a call, derived from the op's own; the default is first. */
type Choice = (own: Kernel[], call: Call, settings: Settings) => Kernel[];

/** A kernel whose sums are each shared by `sharers` invocations, with a quad for each where quads are fast. */
const inQuads =
  (workgroup: string, quad: string, sharers: number): Choice =>
  (own, _, { quads }) => {
    const [kernel] = own;
    if (!quads) return own;
    const times = sharers / 4;
    return [
      {
        ...kernel,
        source: withQuads(replaced(kernel, new Map([[workgroup, [quad]]]))),
        // Fewer invocations take more rounds.
        rounds: (c) => {
          const stated = kernel.rounds!(c);
          if (typeof stated === 'number') return times * stated;
          return { ...stated, rounds: (n) => times * stated.rounds(n) };
        },
        invocations: (c) => kernel.invocations(c) / times,
      },
    ];
  };
const rows = inQuads(workgroupWgsl, quadWgsl, 8);
const columns = inQuads(columnSumsWgsl, columnSumsQuadWgsl, 16);

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
  ['softmax', rows],
  ['softmaxGradient', rows],
  ['logSoftmax', rows],
  ['logSoftmaxGradient', rows],
  ['logSumExp', rows],
  ['crossEntropy', rows],
  ['layerNorm', rows],
  ['layerNormGradient', rows],
  ['groupNormStatistics', rows],
  ['groupNormColumnSums', columns],
  ['groupNormParameterGradient', columns],
  ['l2Normalize', rows],
  ['l2NormalizeGradient', rows],
]);

/** Kernels and passes under these settings. */
export const softwareWith = (settings: Settings): Software & { settings: Settings } => ({
  settings,
  kernels: ({ name }, call, own) =>
    (isMadeOf(own[0], gridWgsl) && CHOICES.get(name)?.(own, call, settings)) || own,
  rewrite: (calls, target, buffers) => throughTextures(calls, target, buffers, settings),
  pool: () => texturePool(settings),
  movesOf: (dispatches, external) => movesOf(dispatches, external, settings),
});

/** Kernels and passes for a device. */
export const softwareOn = (softwareAdapter: SoftwareAdapter, device: Abilities): Software =>
  softwareWith(settingsOf(softwareAdapter, device));
