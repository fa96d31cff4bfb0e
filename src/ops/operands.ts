import aloneWgsl from '../../shaders/lib/fours_alone.wgsl' with { type: 'text' };
import quadWgsl from '../../shaders/lib/fours_quad.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import buffersWgsl from '../../shaders/lib/operands_buffer.wgsl' with { type: 'text' };
import sampledWgsl from '../../shaders/lib/operands_sampled.wgsl' with { type: 'text' };
import texturesWgsl from '../../shaders/lib/operands_texture.wgsl' with { type: 'text' };
import resultBothWgsl from '../../shaders/lib/result_both.wgsl' with { type: 'text' };
import resultBufferWgsl from '../../shaders/lib/result_buffer.wgsl' with { type: 'text' };
import resultLanesWgsl from '../../shaders/lib/result_lanes.wgsl' with { type: 'text' };
import resultLanesTextureWgsl from '../../shaders/lib/result_lanes_texture.wgsl' with { type: 'text' };
import resultNumbersWgsl from '../../shaders/lib/result_numbers.wgsl' with { type: 'text' };
import resultTextureWgsl from '../../shaders/lib/result_texture.wgsl' with { type: 'text' };
import texelsWgsl from '../../shaders/lib/texels.wgsl' with { type: 'text' };
import foldedWgsl from '../../shaders/lib/texels_folded.wgsl' with { type: 'text' };
import type { Target } from '../gpu/target.ts';
import type { Kernel } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';
import { isTall, sideOf, texelsOf } from '../graph/texels.ts';

/** The source of kernels that read the operands of a product by `a_at` and `b_at`, from buffers. */
export const fromBuffers = (wgsl: string): string[] => [wgsl, gridWgsl, buffersWgsl, aloneWgsl];

const RESULTS = {
  buffer: resultBufferWgsl,
  numbers: resultNumbersWgsl,
  texture: resultTextureWgsl,
  both: resultBothWgsl,
  lanes: resultLanesWgsl,
  lanesTexture: resultLanesTextureWgsl,
};

/** See {@link resultIn}. */
export type Result = keyof typeof RESULTS;

/** What `put_c` of a kernel writes to: whole vec4s of a buffer, numbers of one, a texture, or both; `put_lanes`: lanes of one. */
export const resultIn = (how: Result, binding: number, beside = 0): string[] => [
  `const RESULT = ${binding}u; const BESIDE = ${beside}u;`,
  RESULTS[how],
];

/** The kernel's field `textures` and its outputs, with those that {@link resultIn} adds. */
export const resultNames = (how: Result, outputs: string[], textures: readonly string[] = []) => ({
  outputs: how === 'both' ? [...outputs, 'texels'] : outputs,
  textures: [
    ...textures,
    ...(how === 'texture' || how === 'lanesTexture' ? ['c'] : how === 'both' ? ['texels'] : []),
  ],
});

/** Whether a tensor can be read as a texture: see `Kernel.textures`. */
const fits = (x: Tensor, target: Target): boolean => texelsOf(x, target)[0] <= sideOf(target);

/** Where a kernel reads its operands. */
export type Operands = Pick<Kernel, 'source' | 'textures' | 'sampled' | 'quads'> & {
  source: readonly string[];
};

/** How many invocations stand side by side for so many tiles: some have none where quads share rows. */
export const sharedBy = ({ quads }: Operands, tiles: number): number =>
  quads ? Math.ceil(tiles / 4) * 4 : tiles;

/**
 * The same from textures, where a product of `work` multiply-adds (more than just worth a large tile) is worth the copies and the operands fit; else from
 * buffers (docs/decisions.md).
 * @param operands the inputs that `a_at` and `b_at` read, by their names
 * @param options.quads whether four neighbouring invocations read the same rows of a by `four_of_a`
 */
export function operandsFrom(
  wgsl: string,
  operands: Record<string, Tensor>,
  work: number,
  target: Target,
  { quads = false } = {},
): Operands {
  const worth = work > target.largeTiles && Object.values(operands).every((x) => fits(x, target));
  if (!worth) return { source: fromBuffers(wgsl) };
  const sampled = target.textures === 'sampled';
  const share = quads && (target.quads ?? false);
  const tall = Object.values(operands).some((x) => isTall(x, target));
  const texels = tall ? [`const TALLEST = ${sideOf(target)}u;`, foldedWgsl] : [texelsWgsl];
  return {
    source: [wgsl, gridWgsl, sampled ? sampledWgsl : texturesWgsl, ...texels, share ? quadWgsl : aloneWgsl],
    textures: Object.keys(operands),
    sampled,
    quads: share,
  };
}
