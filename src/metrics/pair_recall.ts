import { checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { checkOn } from '../runtime/check.ts';
import { checkNeighbours, type Rows, sameShapes } from './compute.ts';
import { type MetricContext, metricsOf } from './metric.ts';
import { nearest } from './nearest.ts';

/** How often the other row of a pair is found, as shares. */
export interface PairRecall {
  /** The mean of both directions. */
  recall: number;
  /** Rows of b for rows of a, and rows of a for rows of b. */
  forward: number;
  backward: number;
}

/**
 * Recall@k of pairs: the share of rows a_i for which b_i is among the k rows of b that are nearest to it in cosine, and the same the other way. By
 * chance it is k / N. Of equally near rows the first ones count, so that rows that are all equal have the recall of chance.
 * @param a, b f32 [N, D]: row i of both is a pair, such as two drawings of one thing, or an image and its caption
 * @param options.k default 1, at most 32
 * @throws InputError for another k, ShapeError for other rows
 */
export async function pairRecall(
  device: Device,
  a: Rows,
  b: Rows,
  options: { k?: number } = {},
): Promise<PairRecall> {
  const where = 'pairRecall';
  checkOn(where, device);
  sameShapes(where, a, b);
  checkOptions(where, options, ['k']);
  const { k = 1 } = options;
  checkNeighbours(where, k, a.shape[0]);
  const found = async (queries: Rows, gallery: Rows) => {
    const { indices } = await nearest(where, device, queries, gallery, { k });
    return indices.filter((row, at) => row === Math.floor(at / k)).length / queries.shape[0];
  };
  const [forward, backward] = [await found(a, b), await found(b, a)];
  return { recall: (forward + backward) / 2, forward, backward };
}

export const pairRecallMetrics = /* @__PURE__ */ metricsOf(
  { group: 'accuracy', kind: 'accuracy', better: 'higher', needs: ['paired'], stage: 'k-NN', cost: 1 },
  [
    {
      key: 'pairRecall',
      name: 'recall@1 of pairs',
      short: 'recall@1',
      phrase: 'recall@1 of pairs',
      target: { key: 'pairRecallChance', name: 'chance' },
      measure: {},
      text: 'How often the other one of a pair, such as two drawings of one thing, is the nearest among all on its side; the mean of both directions.',
      compute: async ({ device, paired: { h } }) => {
        const { recall, forward, backward } = await pairRecall(device, ...h);
        const both = [forward, backward].map((share) => `${(100 * share).toFixed(1)} %`).join(' and ');
        return { value: recall, target: 1 / h[0].shape[0], remark: `${both} either way` };
      },
    },
    {
      key: 'pairRecall5',
      name: 'recall@5 of pairs',
      detail: true,
      measure: {},
      text: 'The same among the five nearest.',
      compute: ({ device, paired: { h } }) => amongNearest(device, h, 5),
    },
    {
      key: 'pairRecall10',
      name: 'recall@10 of pairs',
      detail: true,
      measure: {},
      text: 'The same among the ten nearest.',
      compute: ({ device, paired: { h } }) => amongNearest(device, h, 10),
    },
    {
      key: 'pairRecallZ',
      name: 'recall@1 of pairs on z',
      short: 'recall@1 on z',
      group: 'embedding',
      needs: ['paired', 'z'],
      text: 'The same for the embedding z.',
      compute: async ({ device, paired: { z } }) => z && (await pairRecall(device, ...z)).recall,
    },
  ],
);

/** Recall among the k nearest; nothing where there are no more rows. */
const amongNearest = async (device: Device, rows: NonNullable<MetricContext['paired']>['h'], k: number) =>
  rows[0].shape[0] > k ? (await pairRecall(device, ...rows, { k })).recall : undefined;
