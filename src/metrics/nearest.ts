import type { Device } from '../gpu/device.ts';
import { constant, show, throwShapeError } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { gather } from '../ops/shape.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { bindingLimit, checkRows, compute, type Part, partsOf, type Rows } from './compute.ts';

/** Each query's nearest rows, nearest first. */
export interface Nearest {
  /** [M, k] */
  indices: Uint32Array;
  /** [M, k]; empty where gallery and queries were each taken in one piece. */
  similarities: Float32Array;
}

interface Options {
  k: number;
  /** The gallery rows that may be found. Default: all. */
  kept?: Uint32Array | null;
  /** Cosine; else the inner product of queries as they are with unit gallery rows. Default true. */
  unitQueries?: boolean;
}

/** About the bytes of the intermediate lists of `topKSimilar`: k places for each query and each chunk of N rows of D. */
function listBytes(k: number, queries: number, N: number, D: number): number {
  const byLength = Math.ceil(N / Math.max(8, Math.floor(50_000 / (D / 8 + 8.5))));
  const byQueries = Math.min(Math.ceil(N / (8 * k)), Math.ceil(1024 / Math.ceil(queries / 4)));
  return 4 * k * queries * Math.max(byLength, byQueries);
}

/**
 * The k nearest gallery rows of each query in cosine, equal ones by index. The gallery may be larger than a binding: its slabs are
 * searched one after the other, and their lists are merged.
 * @param queries, gallery f32 [M, D], [N, D]
 */
export async function nearest(
  where: string,
  device: Device,
  queries: Rows,
  gallery: Rows,
  { k, kept = null, unitQueries = true }: Options,
): Promise<Nearest> {
  const [[M, D], [N, E]] = [checkRows(where, queries), checkRows(where, gallery)];
  if (D !== E) throwShapeError(where, `expected rows of one length, got ${show([M, D])} and ${show([N, E])}`);
  const slabs = partsOf(where, device, gallery);
  const rows = Math.max(...slabs.map(({ from, to }) => to - from));
  let most = M;
  while (most > 1 && listBytes(k, most, rows, D) > bindingLimit(device)) most = Math.ceil(most / 2);
  const asked = partsOf(where, device, queries, most);
  const whole = slabs.length === 1 && asked.length === 1;
  const found: Nearest = {
    indices: new Uint32Array(M * k),
    similarities: new Float32Array(whole ? 0 : M * k).fill(Number.NEGATIVE_INFINITY),
  };
  for (const slab of slabs) {
    const ids = kept?.filter((id) => id >= slab.from && id < slab.to);
    const rows = ids ? ids.length : slab.to - slab.from;
    if (!rows) continue;
    for (const part of asked) {
      const some = Math.min(k, rows);
      const read = await compute(device, () => {
        const g = slab.tensor();
        const q = queries === gallery && part.from === slab.from && part.to === slab.to ? g : part.tensor();
        const chosen =
          ids &&
          gather(
            g,
            constant(
              ids.map((id) => id - slab.from),
              [rows],
              'u32',
            ),
          );
        return topKSimilar(unitQueries ? l2Normalize(q) : q, l2Normalize(chosen ?? g), { k: some });
      });
      const rowOf = (i: number) => (ids ? ids[read.indices[i]] : slab.from + read.indices[i]);
      if (whole) for (let i = 0; i < M * k; i++) found.indices[i] = rowOf(i);
      else merge(found, k, part, some, rowOf, read.similarities);
    }
  }
  return found;
}

/** Merges the lists of a slab into those of the slabs before it: among equal similarities the earlier one stays first. */
function merge(
  { indices, similarities }: Nearest,
  k: number,
  { from, to }: Part,
  some: number,
  rowOf: (i: number) => number,
  found: Float32Array,
): void {
  const [oldIndices, old] = [new Uint32Array(k), new Float32Array(k)];
  for (let q = from; q < to; q++) {
    oldIndices.set(indices.subarray(q * k, (q + 1) * k));
    old.set(similarities.subarray(q * k, (q + 1) * k));
    let [a, b] = [0, (q - from) * some];
    const end = b + some;
    for (let at = q * k; at < (q + 1) * k; at++) {
      const isNew = b < end && found[b] > old[a];
      indices[at] = isNew ? rowOf(b) : oldIndices[a];
      similarities[at] = isNew ? found[b++] : old[a++];
    }
  }
}
