import type { Target } from '../gpu/target.ts';
import type { Tensor } from './tensor.ts';

// How a tensor lies in a texture: see `Kernel.textures`.

/** The most texels on a side of a texture. */
export const sideOf = ({ textureSide = 8192 }: Target): number => textureSide;

/** Whether a tensor has more rows than a texture: those from there on lie beside the first ones. */
export const isTall = ({ shape: [rows] }: Tensor, target: Target): boolean => rows > sideOf(target);

/** Whether a GPU copies a tensor to a texture without a kernel: rows by fours, of whole 256 bytes, as many as one has. */
export const isEven = (x: Tensor, target: Target): boolean =>
  x.shape[0] % 4 === 0 && (x.size / x.shape[0]) % 64 === 0 && !isTall(x, target);

/** How many texels wide and high a tensor is as a texture. */
export function texelsOf({ shape: [rows], size }: Tensor, target: Target): [width: number, height: number] {
  const width = Math.ceil(size / rows / 4);
  const side = sideOf(target);
  return [width * Math.ceil(rows / side), Math.min(Math.ceil(rows / 4) * 4, side)];
}
