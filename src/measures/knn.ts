import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { compute, type Rows, tensorOf } from './compute.ts';

export interface KnnOptions {
  /** Neighbours that vote. Default 20. */
  k?: number;
  /** Default: one more than the largest label. */
  classes?: number;
}

/** The class of each query by the votes of its k nearest gallery rows in cosine; of equal votes the smallest class. */
export async function knnPredict(
  device: Device,
  gallery: Rows,
  galleryLabels: ArrayLike<number>,
  queries: Rows,
  { k = 20, classes }: KnnOptions = {},
): Promise<Uint32Array> {
  if (galleryLabels.length !== gallery.shape[0])
    throw new InputError(`knn: expected ${gallery.shape[0]} gallery labels, got ${galleryLabels.length}`);
  const { indices } = await compute(device, () => {
    const [q, g] = [queries, gallery].map((rows) => l2Normalize(tensorOf('knn', rows)));
    return { indices: topKSimilar(q, g, { k }).indices };
  });
  const votes = new Uint32Array(classes ?? countClasses(galleryLabels));
  return Uint32Array.from({ length: queries.shape[0] }, (_, i) => {
    votes.fill(0);
    for (let j = 0; j < k; j++) votes[galleryLabels[indices[i * k + j]]]++;
    return votes.indexOf(Math.max(...votes));
  });
}

/** One more than the largest label. */
export function countClasses(labels: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < labels.length; i++) most = Math.max(most, labels[i]);
  return most + 1;
}

/**
 * Share of queries whose class their k nearest gallery rows vote for: cosine, plain majority, ties to the smallest class.
 * @param gallery, queries f32 [N, D], [M, D]; normalised here
 */
export async function knnAccuracy(
  device: Device,
  gallery: Rows,
  galleryLabels: ArrayLike<number>,
  queries: Rows,
  queryLabels: ArrayLike<number>,
  options: KnnOptions = {},
): Promise<number> {
  if (queryLabels.length !== queries.shape[0])
    throw new InputError(`knn: expected ${queries.shape[0]} query labels, got ${queryLabels.length}`);
  const predicted = await knnPredict(device, gallery, galleryLabels, queries, options);
  return predicted.reduce((right, c, i) => right + Number(c === queryLabels[i]), 0) / predicted.length;
}
