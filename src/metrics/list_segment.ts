// A part of an index of inverted lists: the rows that one binding of the device holds.
import type { Device } from '../gpu/device.ts';
import { assign } from '../graph/basic.ts';
import { constant, input, type Tensor, type Variable, variable } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { NONE, partsOfLists, topKInLists } from '../ops/lists.ts';
import { concatenate, gather, pad } from '../ops/shape.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables } from '../runtime/variables.ts';
import { compute, type Part } from './compute.ts';

/** Rows on the GPU, sorted by list and in a list by index, and what the CPU knows of them. */
export interface Segment {
  /** Unit rows, f32 [n, D]; D filled up to whole vec4s with zeros. */
  rows: Variable;
  ids: Variable;
  groups: Variable;
  starts: Variable;
  known: Known & { starts: Uint32Array };
}

interface Known {
  ids: Uint32Array;
  groups: Uint32Array;
}

/** Whole vec4s: zeros change no inner product. x: [n, D] */
export const wide = (x: Tensor) => widened(x, -x.shape[1] & 3, 0);

const widened = (x: Tensor, by: number, value: number) =>
  by ? pad(x, { before: [0, 0], after: [0, by], value }) : x;

/**
 * The nearest lists of unit rows, u32 [n, probes].
 * @param centroids rows (c, -|c|^2 / 2), filled up with zeros: the largest product with (u, 1) is that of the nearest centroid
 */
const listsOf = (unit: Tensor, centroids: Tensor, probes: number): Tensor =>
  topKSimilar(wide(widened(unit, 1, 1)), centroids, { k: probes }).indices;

/** The rows of a segment, which stays as it is, and of a part together. */
export async function segmentOf(
  device: Device,
  centroids: Tensor,
  before: Segment | null,
  part: Part,
  more: Known,
): Promise<Segment> {
  const [lists] = centroids.shape;
  const { added } = await compute(device, () => ({
    added: listsOf(l2Normalize(part.tensor()), centroids, 1),
  }));
  const old = before?.known ?? { ids: [], groups: [], starts: new Uint32Array(lists + 1) };
  const all = {
    lists: [...listed(old.starts), ...added],
    ids: [...old.ids, ...more.ids],
    groups: [...old.groups, ...more.groups],
  };
  const { order, starts } = sorted(all.lists, lists);
  const known = { ids: order.map((i) => all.ids[i]), groups: order.map((i) => all.groups[i]), starts };
  let rows: Variable | undefined;
  const step = await compile(
    device,
    () => {
      const unit = wide(l2Normalize(part.tensor()));
      const both = before ? concatenate([before.rows, unit]) : unit;
      rows = variable(both.shape, { name: 'lists.rows' });
      assign(rows, gather(both, constant(order, [order.length], 'u32')));
      return {};
    },
    { warmUp: false },
  );
  await step.run();
  step.dispose();
  const table = (name: keyof typeof known) =>
    variable([known[name].length], { name: `lists.${name}`, initial: known[name], dtype: 'u32' });
  return { rows: rows!, ids: table('ids'), groups: table('groups'), starts: table('starts'), known };
}

/** The list of each place. */
function* listed(starts: Uint32Array): Generator<number> {
  for (let list = 0; list + 1 < starts.length; list++)
    for (let i = starts[list]; i < starts[list + 1]; i++) yield list;
}

/** The order that sorts places by list, equal ones as they are, and where each list starts. */
function sorted(of: readonly number[], lists: number): { order: Uint32Array; starts: Uint32Array } {
  const starts = new Uint32Array(lists + 1);
  for (const list of of) starts[list + 1]++;
  for (let list = 0; list < lists; list++) starts[list + 1] += starts[list];
  const next = starts.slice();
  const order = new Uint32Array(of.length);
  for (const [i, list] of of.entries()) order[next[list]++] = i;
  return { order, starts };
}

/** A search: of queries [M, D], of which each leaves out the rows of its group, in some of the lists. */
export interface Asked {
  data: Float32Array;
  shape: readonly [M: number, D: number];
  groups: Uint32Array;
  k: number;
  probes: number;
}

/** Of each query, [M, k] each. */
export interface Listing {
  indices: Uint32Array;
  similarities: Float32Array;
}

/** Bytes of what a batch of queries finds in its lists, and the most queries of one. */
const FOUND_BYTES = 2 ** 24;
const MOST_QUERIES = 1024;

/** Searches a segment, and merges what is found into `found`. */
export async function searchSegment(
  device: Device,
  centroids: Tensor,
  segment: Segment,
  { data, shape: [M, D], groups, k, probes }: Asked,
  found: Listing,
): Promise<void> {
  const { starts } = segment.known;
  const longest = starts.reduce((most, end, list) => Math.max(most, end - (starts[list - 1] ?? 0)), 0);
  const perQuery = 8 * k * probes * partsOfLists(longest, segment.rows.shape[1]);
  const batch = Math.max(1, Math.min(M, MOST_QUERIES, Math.floor(FOUND_BYTES / perQuery)));
  const every = probes === starts.length - 1;
  const step = await compile(
    device,
    ({ queries, own }) => {
      const unit = l2Normalize(queries);
      const probed = every ? null : listsOf(unit, centroids, probes);
      return { ...topKInLists(wide(unit), segment, { k, groups: own, probed, longest }) };
    },
    { inputs: { queries: input([batch, D]), own: input([batch], 'u32') }, warmUp: false },
  );
  try {
    for (let from = 0; from < M; from += batch) {
      const n = Math.min(batch, M - from);
      const queries = new Float32Array(batch * D);
      queries.set(data.subarray(from * D, (from + n) * D));
      const own = new Uint32Array(batch).fill(NONE);
      own.set(groups.subarray(from, from + n));
      await step.run({ queries, own });
      const [ids, similarities] = await Promise.all([
        step.read<Uint32Array>('ids'),
        step.read<Float32Array>('similarities'),
      ]);
      for (let q = 0; q < n; q++) {
        const at = [(from + q) * k, (from + q + 1) * k] as const;
        merge(
          { indices: found.indices.subarray(...at), similarities: found.similarities.subarray(...at) },
          {
            indices: ids.subarray(q * k, (q + 1) * k),
            similarities: similarities.subarray(q * k, (q + 1) * k),
          },
        );
      }
    }
  } finally {
    step.dispose();
  }
}

/** The best of two lists of a query, into the first: equal ones by index. */
function merge(into: Listing, more: Listing): void {
  const [ids, similarities] = [into.indices.slice(), into.similarities.slice()];
  let [a, b] = [0, 0];
  for (let at = 0; at < ids.length; at++) {
    const [old, other] = [similarities[a], more.similarities[b]];
    const isNew = more.indices[b] !== NONE && (other > old || (other === old && more.indices[b] < ids[a]));
    into.indices[at] = isNew ? more.indices[b] : ids[a];
    into.similarities[at] = isNew ? other : old;
    if (isNew) b++;
    else a++;
  }
}

/** Frees the variables of a segment. */
export const freeSegment = (device: Device, { rows, ids, groups, starts }: Segment): void =>
  freeVariables(device, [rows, ids, groups, starts]);
