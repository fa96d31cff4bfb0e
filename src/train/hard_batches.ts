// Batches of neighbours: negatives that are hard, at the cost of the order of the samples alone.
import type { Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { initialOf, type Tensor, type Variable, variable } from '../graph/tensor.ts';
import { embedSlabs } from '../metrics/embed.ts';
import { hardNegatives } from '../metrics/hard_negatives.ts';
import { permutationArray } from '../ops/random.ts';
import { freeVariables, writeVariable } from '../runtime/variables.ts';

/** The most negatives of a sample: as many as a search finds. */
export const MOST_MINED = 32;

/** What is known of the samples of an order of batches. */
interface Batches {
  /** Samples of a batch. */
  batch: number;
  /** What matches, u32 [N]: of two samples of a group neither is in a batch with the other, as long as that is possible. */
  groups: Uint32Array;
}

/**
 * An order of all samples in which batches are made of neighbours: each sample that comes next in a random order is followed by those of its
 * hardest negatives that are still left. Every sample is there once, so that an epoch remains one (as in GCBS, Sachidananda et
 * al. 2022, arXiv 2210.12874, and NGAME, Dahiya et al. 2022, arXiv 2207.04452).
 * @param order the random one, u32 [N]
 * @param negatives of each sample, the hardest first, u32 [N, m]
 */
export function hardOrder(
  order: Uint32Array,
  negatives: Uint32Array,
  { batch, groups }: Batches,
): Uint32Array {
  const N = order.length;
  const m = negatives.length / N;
  const used = new Uint8Array(N);
  const out = new Uint32Array(N);
  let placed = 0;
  /** The groups of the current batch. */
  const here = new Set<number>();
  const place = (i: number) => {
    used[i] = 1;
    here.add(groups[i]);
    out[placed++] = i;
    if (placed % batch === 0) here.clear();
  };
  const fits = (i: number) => !used[i] && !here.has(groups[i]);
  const follow = (i: number) => {
    place(i);
    for (let at = i * m; at < (i + 1) * m && placed % batch; at++)
      if (fits(negatives[at])) place(negatives[at]);
  };
  // What does not fit into a batch waits for the next.
  let waiting: number[] = [];
  let current = 0;
  for (const i of order) {
    if (fits(i)) follow(i);
    else if (!used[i]) waiting.push(i);
    if (Math.floor(placed / batch) === current) continue;
    for (const one of waiting) if (fits(one)) follow(one);
    waiting = waiting.filter((one) => !used[one]);
    current = Math.floor(placed / batch);
  }
  for (const one of waiting) if (!used[one]) place(one);
  return out;
}

/** What batches of neighbours are made of. */
interface Options {
  data: Dataset;
  /** The hardest negatives of each sample that may follow it. */
  count: number;
  batch: number;
  seed: number;
  /** Images to embeddings, in inference mode. */
  embed: (x: Tensor) => Tensor;
}

/** The sample that each sample of a random epoch is replaced by: a permutation, which a checkpoint must hold. */
export interface HardBatches {
  replaced: Variable;
  /** Makes the batches of the epoch of a step anew, of the present embeddings. @returns the share of the hardest negatives that was found */
  refresh(device: Device, epoch: number): Promise<number>;
}

/** Batches of neighbours of a data set; at first they are random. What matches are a sample and its partner. */
export function hardBatches({ data, count, batch, seed, embed }: Options): HardBatches {
  const replaced = variable([data.count], {
    name: 'replaced',
    dtype: 'u32',
    initial: () => Uint32Array.from({ length: data.count }, (_, i) => i),
  });
  const partners = data.partners && (initialOf(data.partners) as Uint32Array);
  const groups = Uint32Array.from({ length: data.count }, (_, i) => Math.min(i, partners?.[i] ?? i));
  return {
    replaced,
    async refresh(device, epoch) {
      const { z } = await embedSlabs(device, data, (x) => ({ z: embed(x) }));
      try {
        const { indices, recall } = await hardNegatives(device, z, { count, seed, groups });
        const order = permutationArray(data.count, { seed, epoch });
        const hard = hardOrder(order, indices, { batch, groups });
        const table = new Uint32Array(data.count);
        for (const [at, i] of order.entries()) table[i] = hard[at];
        writeVariable(device, replaced, table);
        return recall;
      } finally {
        freeVariables(device, z.slabs);
      }
    },
  };
}
