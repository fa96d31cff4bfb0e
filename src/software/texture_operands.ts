// Kernels that read and write textures, derived from kernels that use buffers: one WGSL library replaces another.
import aloneWgsl from '../../shaders/lib/fours_alone.wgsl' with { type: 'text' };
import buffersWgsl from '../../shaders/lib/operands_buffer.wgsl' with { type: 'text' };
import resultBufferWgsl from '../../shaders/lib/result_buffer.wgsl' with { type: 'text' };
import resultLanesWgsl from '../../shaders/lib/result_lanes.wgsl' with { type: 'text' };
import sampledWgsl from '../../shaders/software/lib/operands_sampled.wgsl' with { type: 'text' };
import texturesWgsl from '../../shaders/software/lib/operands_texture.wgsl' with { type: 'text' };
import resultBothWgsl from '../../shaders/software/lib/result_both.wgsl' with { type: 'text' };
import resultLanesTextureWgsl from '../../shaders/software/lib/result_lanes_texture.wgsl' with {
  type: 'text',
};
import resultTextureWgsl from '../../shaders/software/lib/result_texture.wgsl' with { type: 'text' };
import type { Call, Kernel } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Settings } from './settings.ts';
import { fits, placesOf } from './texels.ts';

const QUADS = 'enable subgroups; diagnostic(off, subgroup_uniformity); ';

/** The source of a kernel that exchanges values within a quad, in control flow that is uniform although the compiler cannot prove it. */
export const withQuads = ([first, ...rest]: readonly string[]): string[] => [QUADS + first, ...rest];

/** The source of a kernel with some texts replaced by others. */
export const replaced = (kernel: Kernel, texts: ReadonlyMap<string, readonly string[]>): string[] =>
  [kernel.source].flat().flatMap((text) => texts.get(text) ?? [text]);

/** Whether the source of a kernel contains this text, as those of the library do. */
export const isMadeOf = (kernel: Kernel, text: string): boolean => [kernel.source].flat().includes(text);

/**
 * A kernel that reads its first two inputs by `a_at` and `b_at`, from textures if `work`, in multiply-adds, exceeds
 * `settings.largeTiles` and both fit into textures; else from buffers (docs/decisions.md, "Large tiles on llvmpipe").
 * @param options.more WGSL that is added to it
 * @param options.quads whether four neighbouring invocations read the same rows of a by `four_of_a`
 */
export function onOperands(
  own: Kernel,
  { inputs }: Call,
  work: number,
  settings: Settings,
  { more = [], quads = false }: { more?: readonly string[]; quads?: boolean } = {},
) {
  const operands = inputs.slice(0, 2) as Tensor[];
  const inTextures = work > settings.largeTiles && operands.every((x) => fits(x, settings));
  const sampled = settings.textures === 'sampled';
  const share = inTextures && quads && settings.quads;
  const reading = inTextures
    ? [sampled ? sampledWgsl : texturesWgsl, ...placesOf(operands, settings)]
    : [buffersWgsl];
  const plain = replaced(own, new Map([buffersWgsl, aloneWgsl].map((text) => [text, []])));
  const source = [...plain, ...more, ...reading, share ? share.foursWgsl : aloneWgsl];
  const kernel: Kernel = {
    ...own,
    source: share ? withQuads(source) : source,
    access: inTextures
      ? Object.fromEntries(own.inputs!.slice(0, 2).map((name) => [name, sampled ? 'l' : 't']))
      : undefined,
  };
  return {
    kernel,
    inTextures,
    quads: share,
    /** The number of invocations for so many tiles: some do nothing where quads share rows. */
    sharedBy: (tiles: number): number => (share ? Math.ceil(tiles / 4) * 4 : tiles),
  };
}

/** Whether a first output is written by whole vec4s of rows: those of matrices, or images. */
const wholeVectors = ({ shape }: Tensor) =>
  shape.length === 4 || (shape.length === 2 && shape.every((n) => n % 4 === 0));

/**
 * A kernel with its first output as a texture, laid out like those that kernels read: instead of the buffer, or beside it as one
 * more output; null if it has no such form.
 */
export function writingTexture(
  kernel: Kernel,
  { outputs: [y] }: Call,
  where: 'texture' | 'both',
): Kernel | null {
  if (!wholeVectors(y)) return null;
  const { inputs = [], outputs = [], state = [], access } = kernel;
  const both = where === 'both';
  if (isMadeOf(kernel, resultLanesWgsl)) {
    const source = replaced(kernel, new Map([[resultLanesWgsl, [resultLanesTextureWgsl]]]));
    return both ? null : { ...kernel, source, access: { ...access, [outputs[0]]: 's' } };
  }
  if (!isMadeOf(kernel, resultBufferWgsl)) return null;
  const place = `const BESIDE = ${inputs.length + state.length + outputs.length + 1}u;`;
  const text = both ? [place, resultBothWgsl] : [resultTextureWgsl];
  return {
    ...kernel,
    source: replaced(kernel, new Map([[resultBufferWgsl, text]])),
    outputs: both ? [...outputs, 'beside'] : outputs,
    access: { ...access, [both ? 'beside' : outputs[0]]: 's' },
  };
}
