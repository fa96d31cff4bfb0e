import { checkNumber, checkOptions, LARGEST_U32 } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { NONE } from '../ops/lists.ts';
import { checkOn } from '../runtime/check.ts';
import { checkRows, picked, type Rows, rowsAt, spacedRows } from './compute.ts';
import { groupsOf, type InvertedLists, invertedLists, type ListOptions } from './inverted_lists.ts';

export interface HardNegativeOptions extends ListOptions {
  /** Negatives of each row, 1 to 32. Default 8. */
  count?: number;
  /** Lists that are searched for a row, as in `search` of {@link InvertedLists}. */
  probes?: number;
}

export interface HardNegatives {
  /** Those of each row, the hardest first: u32 [N, count]. None is in the group of its row. */
  indices: Uint32Array;
  /** The share of the hardest that was found, on at most 256 rows, evenly spaced. */
  recall: number;
}

/** Rows that recall is measured on. */
const MEASURED = 256;

/**
 * The hardest negatives of each row: the nearest rows of other groups, found in inverted lists (ANCE, Xiong et al. 2020, arXiv 2007.00808,
 * Section 4). Memory does not grow with N x N. Rows that match but are in other groups are found first: false negatives.
 *
 * @param rows f32 [N, D]
 * @param options.groups what matches, u32 [N]: labels, or a number for each pair. Default: a row matches itself alone
 * @throws InputError also where a row has fewer than `count` others; ShapeError
 */
export async function hardNegatives(
  device: Device,
  rows: Rows,
  options: HardNegativeOptions = {},
): Promise<HardNegatives> {
  const where = 'hardNegatives';
  checkOn(where, device);
  const [N] = checkRows(where, rows);
  checkOptions(where, options, ['count', 'probes', 'lists', 'seed', 'groups']);
  const { count = 8, probes, lists, seed = 0 } = options;
  checkNumber(where, 'count', count, { least: 1, most: 32, whole: true });
  checkNumber(where, 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  const groups = groupsOf(where, options.groups, N) ?? Uint32Array.from({ length: N }, (_, i) => i);
  const others = N - largest(groups);
  if (others < count)
    throw new InputError(
      `${where}: expected at most ${others} for "count", the rows of other groups, got ${count}`,
    );
  const index = await invertedLists(device, rows, { ...(lists !== undefined && { lists }), seed, groups });
  const search = { k: count, ...(probes !== undefined && { probes }) };
  try {
    const { indices } = await index.search(rows, { ...search, groups });
    await complete(device, index, rows, groups, indices, count);
    const some = spacedRows(N, Math.min(N, MEASURED));
    const sample = await rowsAt(where, device, rows, some);
    const recall = await index.recall(sample, { ...search, groups: picked(groups, 1, some) });
    return { indices, recall };
  } finally {
    index.dispose();
  }
}

/** The size of the largest group. */
function largest(groups: Uint32Array): number {
  const sizes = new Map<number, number>();
  for (const group of groups) sizes.set(group, (sizes.get(group) ?? 0) + 1);
  return [...sizes.values()].reduce((a, b) => Math.max(a, b));
}

/** Searches all lists for rows for which too few were found. */
async function complete(
  device: Device,
  index: InvertedLists,
  rows: Rows,
  groups: Uint32Array,
  indices: Uint32Array,
  count: number,
): Promise<void> {
  const ids = Uint32Array.from(groups.keys()).filter((i) => indices[(i + 1) * count - 1] === NONE);
  if (!ids.length) return;
  const queries = await rowsAt('hardNegatives', device, rows, ids);
  const all = { k: count, probes: index.sizes.length, groups: picked(groups, 1, ids) };
  const found = await index.search(queries, all);
  for (const [at, i] of ids.entries())
    indices.set(found.indices.subarray(at * count, (at + 1) * count), i * count);
}
