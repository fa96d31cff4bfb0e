import bestWgsl from '../../shaders/lib/best.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import listsWgsl from '../../shaders/lists.wgsl' with { type: 'text' };
import { shown } from '../gpu/check.ts';
import { type Call, op } from '../graph/op.ts';
import { show, type Tensor, throwShapeError } from '../graph/tensor.ts';

/** The uniform block. */
interface Options {
  queries: number;
  /** Length of a row. */
  size: number;
  k: number;
  /** Lists of a query. */
  probes: number;
  /** The parts of a list, and the rows of each. */
  parts: number;
  part: number;
  /** 1 where each query probes every list. */
  every: number;
}

/** Rows that are sorted by list, and in each list by id. */
export interface Listed {
  /** f32 [n, D], D a multiple of 4. */
  rows: Tensor;
  /** The number by which a row is known, u32 [n]. */
  ids: Tensor;
  /** Its group, u32 [n]: a query finds no row of its own group. */
  groups: Tensor;
  /** Where each list begins, and the end of the last, u32 [lists + 1]. */
  starts: Tensor;
}

/** The `id` where fewer than k rows were found; no row's group. */
export const NONE = 0xffffffff;

const source = [listsWgsl, bestWgsl, gridWgsl];
const uniform = ({ options }: Call<Options>) => ({ ...options });

const searchOp = op({
  name: 'topKInLists',
  shape: (
    _: [queries: Tensor, rows: Tensor, starts: Tensor, probed: Tensor | null, own: Tensor, groups: Tensor],
    { queries, probes, parts, k }: Options,
  ) => {
    const shape = [probes * parts, queries, k];
    return [{ shape }, { shape, dtype: 'u32' as const }];
  },
  kernel: {
    source,
    entry: 'lists_search',
    inputs: ['queries', 'listed', 'starts', 'probed', 'query_groups', 'row_groups'],
    outputs: ['similarities', 'indices'],
    uniform,
    constants: ({ options }) => ({ LIST_BLOCKS: Math.ceil(options.k / 4) }),
    rounds: ({ options: { size, part } }) => ({
      size,
      rounds: (n) => roundsOf(part, n),
      expected: 'rows of at most N numbers',
    }),
    invocations: ({ options: { queries, probes, parts } }) => queries * probes * parts,
  },
});

/** Of all eights of rows: four numbers of each, and up to 11 rounds to insert them. */
const roundsOf = (rows: number, D: number) => Math.ceil(rows / 8) * (Math.ceil(D / 4) + 11) + 1;

const mergeOp = op({
  name: 'topKInListsMerge',
  shape: ([similarities]: [similarities: Tensor, indices: Tensor, ids: Tensor], { queries, k }: Options) => [
    { shape: [queries, k] },
    { shape: [queries, k], dtype: 'u32' as const },
    { shape: similarities.shape.slice(0, 2), dtype: 'u32' as const },
  ],
  kernel: {
    source,
    entry: 'lists_merge',
    inputs: ['part_similarities', 'part_indices', 'ids'],
    outputs: ['merged_similarities', 'merged_ids', 'heads'],
    uniform,
    rounds: ({ options: { k, probes, parts } }) => (k + 1) * (probes * parts + 2),
    invocations: ({ options }) => options.queries,
  },
});

/** Rows of a list that one invocation takes: few enough for the rounds of its loops. */
const rowsOfPart = (D: number) => 8 * Math.max(1, Math.floor(40_000 / roundsOf(8, D)));

/** In how many parts the longest of the lists is searched. */
export const partsOfLists = (longest: number, D: number): number =>
  Math.max(1, Math.ceil(longest / rowsOfPart(D)));

/**
 * The k rows with the largest inner product with each query among those of the lists that it probes, largest first, equal ones by id. Rows of the
 * query's group are left out. Memory O(M probes k). Not differentiable.
 *
 * @param queries f32 [M, D]
 * @param options.k 1 to 32
 * @param options.groups of the queries, u32 [M]; {@link NONE} leaves nothing out
 * @param options.probed u32 [M, P]; null for all lists
 * @param options.longest rows of the longest list
 * @returns ids u32 [M, k], {@link NONE} where fewer than k were found, and similarities [M, k], there -3.4028234e38. One that is NaN is never chosen
 */
export function topKInLists(
  queries: Tensor,
  { rows, ids, groups, starts }: Listed,
  options: { k: number; groups: Tensor; probed: Tensor | null; longest: number },
): { ids: Tensor; similarities: Tensor } {
  const { k, groups: own, probed, longest } = options;
  const [M, D] = queries.shape;
  if (queries.shape.length !== 2 || rows.shape.length !== 2 || rows.shape[1] !== D || D % 4)
    throwShapeError(
      'topKInLists',
      `expected rows of one length, a multiple of 4, got ${show(queries.shape)} and ${show(rows.shape)}`,
    );
  if (!Number.isInteger(k) || k < 1 || k > 32)
    throwShapeError('topKInLists', `expected k of 1 to 32, got ${shown(k)}`);
  const parts = partsOfLists(longest, D);
  const settings: Options = {
    ...{ queries: M, size: D, k, parts, part: Math.min(rowsOfPart(D), Math.max(1, longest)) },
    ...{ probes: probed ? probed.shape[1] : starts.size - 1, every: probed ? 0 : 1 },
  };
  const [similarities, indices] = searchOp([queries, rows, starts, probed, own, groups], settings);
  const [best, found] = mergeOp([similarities, indices, ids], settings);
  return { ids: found, similarities: best };
}
