import { checkNumber, checkOptions, inRange, LARGEST_U32, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant, throwShapeError, type Variable, variable } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { NONE } from '../ops/lists.ts';
import { checkOn } from '../runtime/check.ts';
import { freeVariables } from '../runtime/variables.ts';
import {
  checkRows,
  compute,
  partsOf,
  type Rows,
  readRows,
  rowsAt,
  rowsInBinding,
  spacedRows,
} from './compute.ts';
import { kMeans } from './kmeans.ts';
import { freeSegment, type Listing, type Segment, searchSegment, segmentOf } from './list_segment.ts';

export interface ListOptions {
  /** The number of lists, 1 to 1024 and N. Default sqrt(N), rounded. */
  lists?: number;
  /** Seed of the centroids. Default 0. */
  seed?: number;
  /** The group of each row, u32 [N] below 2^32 - 1: a search leaves out the rows of its query's group. Default: the row's index. */
  groups?: Uint32Array;
}

export interface SearchOptions {
  /** Rows to find, 1 to 32. Default 10. */
  k?: number;
  /** Lists to search, 1 to 32; or all of them, which is an exact search. Default an eighth of the lists, at most 32. */
  probes?: number;
  /** The group of each query, u32 [M] below 2^32 - 1, whose rows are left out. Default: none is. */
  groups?: Uint32Array;
}

/** The rows found for each query, nearest first. */
export interface Found {
  /** [M, k]; 4294967295 where the searched lists have fewer than k rows of other groups. */
  indices: Uint32Array;
  /** Cosines, [M, k]; there -Infinity. */
  similarities: Float32Array;
}

/** An index of rows that may grow: see {@link invertedLists}. */
export interface InvertedLists {
  /** Rows so far. */
  readonly count: number;
  /** Rows of each list. */
  readonly sizes: Uint32Array;
  /**
   * The nearest rows in cosine among those of the lists whose centroids are nearest to a query; equal ones by index.
   * @throws InputError, ShapeError
   */
  search(queries: Rows, options?: SearchOptions): Promise<Found>;
  /**
   * Adds rows, with the next indices, to the lists of their nearest centroids. The centroids stay as they are: where new rows differ from those before,
   * `recall` falls, and a new index is better. Each call sorts up to a binding of rows anew: add many at once.
   * @throws InputError, ShapeError
   */
  add(rows: Rows, options?: { groups?: Uint32Array }): Promise<void>;
  /** The share of the rows of an exact search that `search` finds. @throws InputError, ShapeError */
  recall(queries: Rows, options?: SearchOptions): Promise<number>;
  /** Frees its variables. */
  dispose(): void;
}

const MOST_LISTS = 1024;
/** The most lists that `topKSimilar` finds. */
const MOST_PROBES = 32;
/** The most rows for each centroid that they are computed from (Faiss has the same), and the iterations. */
const POINTS = 256;
const ITERATIONS = 20;

/**
 * An index for approximate search by cosine: inverted lists of whole rows (IVF, Jégou et al. 2011). Each row is in the list of its nearest
 * centroid, of k-means on at most 256 rows for each; a search is exact among the rows of the nearest lists. Memory: the rows, 8 bytes more
 * for each, and at most 16 MiB while it searches.
 * The same seed, rows and device give the same.
 *
 * @param rows f32 [N, D]; normalised here, and copied
 * @throws InputError, ShapeError
 * @example
 * const index = await invertedLists(device, rows);
 * const { indices } = await index.search(queries, { k: 10 });
 * console.log(await index.recall(queries, { k: 10 }));
 */
export async function invertedLists(
  device: Device,
  rows: Rows,
  options: ListOptions = {},
): Promise<InvertedLists> {
  const where = 'invertedLists';
  checkOn(where, device);
  const [N, D] = checkRows(where, rows);
  checkOptions(where, options, ['lists', 'seed', 'groups']);
  const most = Math.min(N, MOST_LISTS);
  const { lists = Math.min(most, Math.round(Math.sqrt(N))), seed = 0, groups } = options;
  checkNumber(where, 'lists', lists, { least: 1, most, whole: true });
  checkNumber(where, 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  const given = groupsOf(where, groups, N);
  const centroids = await centroidsOf(where, device, rows, lists, seed);
  const segments: Segment[] = [];
  const sizeOf = ({ rows }: Segment) => rows.shape[0];
  const count = () => segments.reduce((sum, one) => sum + sizeOf(one), 0);
  const checked = (what: string, more: Rows): number => {
    const [n, width] = checkRows(what, more);
    if (width !== D) throwShapeError(what, `expected rows of ${D} numbers, got rows of ${width}`);
    return n;
  };
  const include = async (what: string, more: Rows, groups?: Uint32Array) => {
    // A row is compared with the centroids as a vec4 wider at most.
    const fit = rowsInBinding(device, D + 4);
    for (const { from, to, tensor } of partsOf(what, device, more, fit)) {
      const ids = Uint32Array.from({ length: to - from }, (_, i) => count() + i);
      const last = segments.at(-1);
      const before = last && sizeOf(last) + ids.length <= fit ? last : null;
      const known = { ids, groups: groups?.subarray(from, to) ?? ids };
      const made = await segmentOf(device, centroids, before, { from, to, tensor }, known);
      if (before) freeSegment(device, segments.pop()!);
      segments.push(made);
    }
  };
  const search = async (what: string, queries: Rows, options: SearchOptions): Promise<Found> => {
    const M = checked(what, queries);
    const { k, probes, groups } = checkSearch(what, options, lists, M);
    const data = await readRows(what, device, queries);
    const found: Listing = {
      indices: new Uint32Array(M * k).fill(NONE),
      similarities: new Float32Array(M * k).fill(Number.NEGATIVE_INFINITY),
    };
    for (const segment of segments)
      await searchSegment(device, centroids, segment, { data, shape: [M, D], groups, k, probes }, found);
    return found;
  };
  const free = () => {
    for (const one of segments.splice(0)) freeSegment(device, one);
    freeVariables(device, [centroids]);
  };
  await include(where, rows, given).catch((error) => {
    free();
    throw error;
  });
  return {
    get count() {
      return count();
    },
    get sizes() {
      const size = (list: number) =>
        segments.reduce((sum, { known: { starts } }) => sum + starts[list + 1] - starts[list], 0);
      return Uint32Array.from({ length: lists }, (_, list) => size(list));
    },
    search: async (queries, options = {}) => search(`${where}.search`, queries, options),
    async add(more, options = {}) {
      const what = `${where}.add`;
      const n = checked(what, more);
      checkOptions(what, options, ['groups']);
      await include(what, more, groupsOf(what, options.groups, n));
    },
    async recall(queries, options = {}) {
      const { indices } = await search(`${where}.recall`, queries, options);
      const exact = await search(`${where}.recall`, queries, { ...options, probes: lists });
      return share(indices, exact.indices, indices.length / queries.shape[0]);
    },
    dispose: free,
  };
}

/** Checks groups. @throws InputError */
export function groupsOf(where: string, groups: unknown, rows: number): Uint32Array | undefined {
  if (groups === undefined) return undefined;
  if (!(groups instanceof Uint32Array) || groups.length !== rows || groups.includes(NONE))
    throw new InputError(
      `${where}: expected u32 [${rows}] of numbers below ${NONE} for "groups", got ${shown(groups)}`,
    );
  return groups;
}

/** Checks the options of a search. @throws InputError */
function checkSearch(where: string, options: SearchOptions, lists: number, M: number) {
  checkOptions(where, options, ['k', 'probes', 'groups']);
  const most = Math.min(lists, MOST_PROBES);
  const { k = 10, probes = Math.min(most, Math.ceil(lists / 8)) } = options;
  checkNumber(where, 'k', k, { least: 1, most: 32, whole: true });
  if (probes !== lists && !inRange(probes, { least: 1, most, whole: true }))
    throw new InputError(
      `${where}: expected 1 to ${most}, or ${lists} for all, for "probes", got ${shown(probes)}`,
    );
  return { k, probes, groups: groupsOf(where, options.groups, M) ?? new Uint32Array(M).fill(NONE) };
}

/** The share of what an exact search finds that was found; NaN if there is nothing to find. */
function share(found: Uint32Array, exact: Uint32Array, k: number): number {
  let [hits, all] = [0, 0];
  for (let at = 0; at < found.length; at += k) {
    const wanted = new Set(exact.subarray(at, at + k).filter((id) => id !== NONE));
    all += wanted.size;
    hits += found.subarray(at, at + k).filter((id) => wanted.has(id)).length;
  }
  return hits / all;
}

/** Centroids of the unit rows, as `listsOf` takes them: rows (c, -|c|^2 / 2) with zeros up to a whole vec4. */
async function centroidsOf(
  where: string,
  device: Device,
  rows: Rows,
  lists: number,
  seed: number,
): Promise<Variable> {
  const [N, D] = checkRows(where, rows);
  const some = spacedRows(N, Math.min(N, POINTS * lists, rowsInBinding(device, D + 4)));
  const { data, shape } = await rowsAt(where, device, rows, some);
  const { unit } = await compute(device, () => ({ unit: l2Normalize(constant(data, shape)) }));
  const options = { k: lists, seed, restarts: 1, iterations: ITERATIONS };
  const { centroids } = await kMeans(device, { data: unit, shape }, options);
  const width = 4 * Math.ceil((D + 1) / 4);
  const table = new Float32Array(lists * width);
  for (let c = 0; c < lists; c++) {
    const centroid = centroids.subarray(c * D, (c + 1) * D);
    table.set(centroid, c * width);
    table[c * width + D] = -centroid.reduce((sum, v) => sum + v * v, 0) / 2;
  }
  return variable([lists, width], { name: 'lists.centroids', initial: table });
}
