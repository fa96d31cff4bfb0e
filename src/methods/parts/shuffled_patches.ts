import type { Scalar, Tensor } from '../../graph/tensor.ts';
import { patchify, unpatchify } from '../../nn/transformer.ts';
import { transpose } from '../../ops/shape.ts';
import { tokenOrder } from '../../ops/token_order.ts';
import { takeTokens } from '../../ops/tokens.ts';

/**
 * Images whose every patch comes from another image of the batch, by a permutation of its own: the distribution of each patch is that of the
 * data, and patches are independent.
 */
export function shuffledPatches(x: Tensor, patch: number, seed: number, step: Scalar): Tensor {
  const [N, H, W] = x.shape;
  const swap = { permutation: [1, 0, 2] };
  const places = transpose(patchify(x, patch), swap); // [T, N, D]
  const order = tokenOrder({ samples: places.shape[0], tokens: N, seed, step });
  return unpatchify(transpose(takeTokens(places, order), swap), patch, H, W);
}
