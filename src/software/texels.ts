import texelsWgsl from '../../shaders/software/lib/texels.wgsl' with { type: 'text' };
import foldedWgsl from '../../shaders/software/lib/texels_folded.wgsl' with { type: 'text' };
import type { Tensor } from '../graph/tensor.ts';
import type { Settings } from './settings.ts';

// The layout of a tensor in a texture of vec4s. A row of texels is one element of the first axis; rows are padded with zeros, and up
// to three rows of zeros follow, so that whole blocks of 4 x 4 can be read.

/** Whether a tensor has more rows than a texture: the further rows are placed beside the first ones. */
export const isTall = ({ shape: [rows] }: Tensor, { textureSide }: Settings): boolean => rows > textureSide;

/** Whether the rows of a tensor are whole vec4s. */
export const wholeRows = ({ shape: [rows], size }: Tensor): boolean => (size / rows) % 4 === 0;

/** Whether a GPU copies a tensor to a texture without a kernel: rows by fours, of whole 256 bytes, as many as one has. */
export const isEven = (x: Tensor, settings: Settings): boolean =>
  x.shape[0] % 4 === 0 && (x.size / x.shape[0]) % 64 === 0 && !isTall(x, settings);

/** How many texels wide and high a tensor is as a texture. */
export function texelsOf(
  { shape: [rows], size }: Tensor,
  { textureSide: side }: Settings,
): [width: number, height: number] {
  const width = Math.ceil(size / rows / 4);
  return [width * Math.ceil(rows / side), Math.min(Math.ceil(rows / 4) * 4, side)];
}

/** Whether a texture holds a tensor. */
export const fits = (x: Tensor, settings: Settings): boolean =>
  texelsOf(x, settings)[0] <= settings.textureSide;

/** WGSL that finds the texels of tensors. */
export const placesOf = (xs: readonly Tensor[], settings: Settings): string[] =>
  xs.some((x) => isTall(x, settings))
    ? [`const TALLEST = ${settings.textureSide}u;`, foldedWgsl]
    : [texelsWgsl];
