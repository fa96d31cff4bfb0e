import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { compute, type Rows, tensorOf } from './compute.ts';
import { accuracyOf, countClasses } from './per_class.ts';

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
  return vote(indices, galleryLabels, { k, classes: classes ?? countClasses(galleryLabels) });
}

/** The class that most of each query's k neighbours have; of equal votes the smallest class. neighbours: [M * k] */
export function vote(
  neighbours: ArrayLike<number>,
  galleryLabels: ArrayLike<number>,
  { k, classes }: Required<KnnOptions>,
): Uint32Array {
  const votes = new Uint32Array(classes);
  return Uint32Array.from({ length: neighbours.length / k }, (_, i) => {
    votes.fill(0);
    for (let j = 0; j < k; j++) votes[galleryLabels[neighbours[i * k + j]]]++;
    return votes.indexOf(Math.max(...votes));
  });
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
  return accuracyOf(await knnPredict(device, gallery, galleryLabels, queries, options), queryLabels);
}
