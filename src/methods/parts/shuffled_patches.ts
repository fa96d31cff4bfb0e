import type { Scalar, Tensor } from '../../graph/tensor.ts';
import { patchify, unpatchify } from '../../nn/transformer.ts';
import { transpose } from '../../ops/shape.ts';
import { tokenOrder } from '../../ops/token_order.ts';
import { takeTokens } from '../../ops/tokens.ts';

/**
 * Samples whose every part comes from another sample of the batch, by a permutation of its own: the distribution of each part is that of
 * the data, and parts are independent. x: [N, T, D], T parts
 */
export function shuffledParts(x: Tensor, seed: number, step: Scalar): Tensor {
  const swap = { permutation: [1, 0, 2] };
  const places = transpose(x, swap); // [T, N, D]
  const order = tokenOrder({ samples: places.shape[0], tokens: x.shape[0], seed, step });
  return transpose(takeTokens(places, order), swap);
}

/** {@link shuffledParts} of images, whose parts are patches. */
export function shuffledPatches(x: Tensor, patch: number, seed: number, step: Scalar): Tensor {
  const [, H, W] = x.shape;
  return unpatchify(shuffledParts(patchify(x, patch), seed, step), patch, H, W);
}
