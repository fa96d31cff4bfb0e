import { type Labels, numberTogether } from '../data/labels.ts';
import { checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { show, throwShapeError } from '../graph/tensor.ts';
import { checkOn } from '../runtime/check.ts';
import { checkNeighbours, checkRows, type Rows } from './compute.ts';
import { nearest } from './nearest.ts';

/** How often a right row is found, and how often by chance: shares of the queries. */
export interface Retrieval {
  recall: number;
  /** Of k different rows of the gallery drawn at random, for the same queries. */
  chance: number;
  /** [M, k]: the nearest rows of the gallery for each query, nearest first. */
  indices: Uint32Array;
}

/**
 * Recall@k across modalities: the share of queries among whose k nearest rows of the gallery (in cosine) is one of the query's label. Images
 * find captions, captions find images, and with the names of classes as a gallery it is the accuracy of zero-shot classification (k = 1). Where
 * several rows of the gallery are right, `chance` counts all of them. Of equally near rows the first ones count.
 * @param queries f32 [M, D] @param queryLabels of each, numbers or strings
 * @param gallery f32 [N, D] @param galleryLabels of each
 * @param options.k default 1, at most 32
 * @throws InputError for another k or other labels, ShapeError for other rows
 */
export async function retrieval(
  device: Device,
  queries: Rows,
  queryLabels: Labels,
  gallery: Rows,
  galleryLabels: Labels,
  options: { k?: number } = {},
): Promise<Retrieval> {
  const where = 'retrieval';
  checkOn(where, device);
  const [[M, D], [N, E]] = [checkRows(where, queries), checkRows(where, gallery)];
  if (D !== E)
    throwShapeError(
      where,
      `expected rows of one length, got ${show(queries.shape)} and ${show(gallery.shape)}`,
    );
  checkOptions(where, options, ['k']);
  const { k = 1 } = options;
  checkNeighbours(where, k, N);
  const [[asked, known]] = numberTogether(where, [
    { name: 'queryLabels', labels: queryLabels, rows: M },
    { name: 'galleryLabels', labels: galleryLabels, rows: N },
  ]);
  const { indices } = await nearest(where, device, queries, gallery, { k });
  return { ...recallOf(indices, asked, known, k), indices };
}

/** Recall and chance of lists of nearest rows. @param indices [M, k] */
export function recallOf(
  indices: ArrayLike<number>,
  asked: ArrayLike<number>,
  known: ArrayLike<number>,
  k: number,
): Pick<Retrieval, 'recall' | 'chance'> {
  const [M, N] = [asked.length, known.length];
  const right = new Map<number, number>();
  for (let j = 0; j < N; j++) right.set(known[j], (right.get(known[j]) ?? 0) + 1);
  let [found, expected] = [0, 0];
  for (let i = 0; i < M; i++) {
    for (let at = 0; at < k; at++)
      if (known[indices[i * k + at]] === asked[i]) {
        found++;
        break;
      }
    // None of k draws without replacement is right.
    let missed = 1;
    for (let draw = 0; draw < k; draw++)
      missed *= Math.max(0, N - draw - (right.get(asked[i]) ?? 0)) / (N - draw);
    expected += 1 - missed;
  }
  return { recall: found / M, chance: expected / M };
}
