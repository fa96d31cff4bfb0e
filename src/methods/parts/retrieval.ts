import { reshape, type Tensor } from '../../graph/tensor.ts';
import { patchify } from '../../nn/transformer.ts';
import { l2Normalize } from '../../ops/l2_normalize.ts';
import { gather, slice } from '../../ops/shape.ts';
import { topKSimilar } from '../../ops/top_k.ts';

/** Images of a panel of retrieved patches. The others are searched. */
const SHOWN = 10;

/** The first images, which a panel shows, and the others, in whose patches it searches. x: [N, H, W, C] */
export function shownAndOthers(x: Tensor): { shown: Tensor; others: Tensor } {
  const count = Math.min(SHOWN, Math.floor(x.shape[0] / 2));
  const some = (from: number, size: number) =>
    slice(x, { starts: [from, 0, 0, 0], sizes: [size, -1, -1, -1] });
  return { shown: some(0, count), others: some(count, x.shape[0] - count) };
}

/**
 * Draws features: for each the patch of other images whose feature has the largest cosine with it.
 * @param wanted [N, K, D] @param features of the patches of `others`, [M, T, D] @param others [M, H, W, C]
 * @returns [N, K, patch patch C]
 */
export function nearestPatches(wanted: Tensor, features: Tensor, others: Tensor, patch: number): Tensor {
  const [N, K, D] = wanted.shape;
  const patches = patchify(others, patch);
  const rows = (z: Tensor) => l2Normalize(reshape(z, [-1, D]));
  const { indices } = topKSimilar(rows(wanted), rows(features), { k: 1 });
  const pixels = patches.shape[2];
  return reshape(gather(reshape(patches, [-1, pixels]), reshape(indices, [N * K])), [N, K, pixels]);
}
