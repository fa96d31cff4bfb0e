import type { Tensor } from '../../graph/tensor.ts';
import { add } from '../../ops/binary.ts';
import { slice } from '../../ops/shape.ts';

/** The sizes of the nested prefixes of `width` numbers: the least, doubled until the width, and the width itself. */
export function prefixSizes(least: number, width: number): number[] {
  const sizes: number[] = [];
  for (let size = least; size < width; size *= 2) sizes.push(size);
  return [...sizes, width];
}

/** The first `size` numbers of each row. x: [N, D] -> [N, size] */
export const prefix = (x: Tensor, size: number): Tensor =>
  size === x.shape[1] ? x : slice(x, { starts: [0, 0], sizes: [-1, size] });

/**
 * Matryoshka representation learning: Kusupati et al. 2022, arXiv 2205.13147, Equation 1 with weights of 1: `sum_m loss(z[:, :m])`, so that the
 * first m numbers are an embedding by themselves. A loss of directions normalises each prefix by itself. The paper trains prefixes
 * of the representation that it keeps; here they are prefixes of what the loss is of, the embedding z behind the projector.
 *
 * @param least the smallest m: m doubles from there, and the last is the width D of z. The paper halves D down to 8
 * @param lossOf the loss of the first m numbers
 * @returns a scalar
 */
export const matryoshka = (least: number, width: number, lossOf: (m: number) => Tensor): Tensor =>
  prefixSizes(least, width).map(lossOf).reduce(add);
