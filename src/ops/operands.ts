import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import buffersWgsl from '../../shaders/lib/operands_buffer.wgsl' with { type: 'text' };
import sampledWgsl from '../../shaders/lib/operands_sampled.wgsl' with { type: 'text' };
import texturesWgsl from '../../shaders/lib/operands_texture.wgsl' with { type: 'text' };
import type { Kernel, Target } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';

/** The source of kernels that read the operands of a product by `a_at` and `b_at`, from buffers. */
export const fromBuffers = (wgsl: string): string[] => [wgsl, gridWgsl, buffersWgsl];

/** Whether a tensor can be read as a texture: see `Kernel.textures`. */
const fits = ({ shape: [rows], size }: Tensor, { textureSide = 8192 }: Target): boolean =>
  (size / rows) % 4 === 0 && Math.max(rows, size / rows / 4) <= textureSide;

/**
 * The same from textures, where a product of `work` multiply-adds is worth the copies and the operands fit; else from
 * buffers. llvmpipe alone is worth it (docs/decisions.md).
 * @param operands the inputs that `a_at` and `b_at` read, by their names
 */
export function operandsFrom(
  wgsl: string,
  operands: Record<string, Tensor>,
  work: number,
  target: Target,
): Pick<Kernel, 'source' | 'textures' | 'sampled'> {
  const worth = work >= target.largeTiles && Object.values(operands).every((x) => fits(x, target));
  if (!worth) return { source: fromBuffers(wgsl) };
  const sampled = target.textures === 'sampled';
  return {
    source: [wgsl, gridWgsl, sampled ? sampledWgsl : texturesWgsl],
    textures: Object.keys(operands),
    sampled,
  };
}
