import { constant, input } from '../../src/graph/tensor.ts';
import { NONE, partsOfLists, topKInLists } from '../../src/ops/lists.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

interface Case {
  M: number;
  D: number;
  k: number;
  /** Rows of each list. */
  sizes: number[];
  /** Lists of a query; null: all. */
  probes: number | null;
  /** Number of groups; 0: queries leave nothing out. */
  groups: number;
  whole?: boolean;
}

/** Queries and listed rows. */
function made({ M, D, sizes, probes, groups, whole }: Case) {
  const r = random(freshSeed());
  const n = sizes.reduce((a, b) => a + b, 0);
  const numbers = (count: number) =>
    whole ? Float32Array.from(r.integers(count, 0, 3), (v) => v - 1) : r.normal(count);
  const starts = new Uint32Array(sizes.length + 1);
  for (const [i, size] of sizes.entries()) starts[i + 1] = starts[i] + size;
  // Ids rise within a list, and are strewn over the lists.
  const strewn = Float64Array.from(r.normal(n));
  const order = Uint32Array.from(strewn.keys()).sort((a, b) => strewn[a] - strewn[b]);
  for (let l = 0; l < sizes.length; l++) order.subarray(starts[l], starts[l + 1]).sort();
  const some = () => {
    const lists = Array.from(sizes.keys());
    for (let i = lists.length - 1; i > 0; i--) {
      const j = Math.floor(r.next() * (i + 1));
      [lists[i], lists[j]] = [lists[j], lists[i]];
    }
    return lists.slice(0, probes ?? 0);
  };
  const groupOf = (count: number) =>
    Uint32Array.from(groups ? r.integers(count, 0, groups) : new Array(count).fill(NONE - 1));
  return {
    ...{ queries: numbers(M * D), rows: numbers(n * D), ids: order, starts, groups: groupOf(n) },
    own: groups ? groupOf(M) : new Uint32Array(M).fill(NONE),
    lists: Array.from({ length: M }, () => (probes === null ? Array.from(sizes.keys()) : some())),
  };
}

type Made = ReturnType<typeof made>;

/** The k best in float64; ties by id. */
function reference({ queries, rows, ids, starts, groups, own, lists }: Made, { M, D, k }: Case) {
  const found = { ids: [] as number[], similarities: [] as number[] };
  for (let q = 0; q < M; q++) {
    const all: { id: number; s: number }[] = [];
    for (const list of lists[q])
      for (let i = starts[list]; i < starts[list + 1]; i++) {
        if (groups[i] === own[q]) continue;
        let s = 0;
        for (let d = 0; d < D; d++) s += queries[q * D + d] * rows[i * D + d];
        all.push({ id: ids[i], s });
      }
    all.sort((a, b) => b.s - a.s || a.id - b.id);
    for (let j = 0; j < k; j++) {
      found.ids.push(all[j]?.id ?? NONE);
      found.similarities.push(all[j]?.s ?? -3.4028234e38);
    }
  }
  return found;
}

async function run(all: Made, { M, D, k, sizes, probes }: Case) {
  const u32 = (data: Uint32Array, shape = [data.length]) => constant(data, shape, 'u32');
  const n = all.ids.length;
  const step = await compile(await device(), () => ({
    ...topKInLists(
      constant(all.queries, [M, D]),
      {
        rows: constant(all.rows, [n, D]),
        ids: u32(all.ids),
        groups: u32(all.groups),
        starts: u32(all.starts),
      },
      {
        ...{ k, groups: u32(all.own), longest: Math.max(...sizes) },
        probed: probes === null ? null : u32(Uint32Array.from(all.lists.flat()), [M, probes]),
      },
    ),
  }));
  await step.run();
  const found = { ids: await step.read('ids'), similarities: await step.read('similarities') };
  step.dispose();
  return found;
}

const CASES: Case[] = [
  { M: 1, D: 4, k: 1, sizes: [1], probes: 1, groups: 0 },
  { M: 3, D: 8, k: 3, sizes: [0, 2, 0, 9], probes: 2, groups: 0 },
  { M: 65, D: 12, k: 5, sizes: [7, 8, 9, 63, 64, 65], probes: 3, groups: 4 },
  { M: 64, D: 64, k: 32, sizes: [40, 0, 100, 33], probes: null, groups: 7 },
  { M: 7, D: 100, k: 20, sizes: [5, 5, 5], probes: 1, groups: 2 },
  { M: 129, D: 4, k: 31, sizes: new Array(40).fill(17), probes: 32, groups: 0 },
];

for (const one of CASES)
  test(`M, D, k, lists, probes, groups = ${one.M}, ${one.D}, ${one.k}, ${one.sizes.length}, ${one.probes}, ${one.groups}: as sorting in float64`, async () => {
    const all = made(one);
    const expected = reference(all, one);
    const { ids, similarities } = await run(all, one);
    close(similarities, expected.similarities, { rel: 1e-5, abs: 2e-5, what: 'similarities' });
    const same = ids.reduce((n, id, i) => n + Number(id === expected.ids[i]), 0);
    // Two that differ by rounding alone may change places.
    if (same < 0.98 * ids.length) throw new Error(`only ${same} of ${ids.length} ids agree`);
  });

test('ties: the smaller id first, within a list, across lists and across the parts of a long one', async () => {
  const D = 16_000;
  const long = [90, 3];
  if (partsOfLists(90, D) < 2) throw new Error('the list has one part');
  for (const one of [
    { M: 5, D: 4, k: 32, sizes: [300, 9, 0, 120], probes: 3, groups: 0, whole: true },
    { M: 3, D: 4, k: 20, sizes: [30, 90], probes: null, groups: 3, whole: true },
    { M: 2, D, k: 9, sizes: long, probes: null, groups: 0, whole: true },
  ]) {
    const all = made(one);
    if (D === one.D) all.rows.fill(1);
    const expected = reference(all, one);
    const { ids, similarities } = await run(all, one);
    close(ids, expected.ids, { rel: 0, abs: 0, what: 'ids' });
    close(similarities, expected.similarities, { rel: 0, abs: 0, what: 'similarities' });
  }
});

test('a similarity that is NaN is never chosen', async () => {
  const one: Case = { M: 2, D: 4, k: 6, sizes: [3, 4], probes: null, groups: 0 };
  const all = made(one);
  all.rows[4] = Number.NaN;
  all.rows[25] = Number.NaN;
  const { ids } = await run(all, one);
  for (const bad of [all.ids[1], all.ids[6], -1]) if (ids.includes(bad)) throw new Error(`chosen: ${ids}`);
  for (const q of [0, 1])
    if (ids[6 * q + 5] !== NONE || new Set(ids.subarray(6 * q, 6 * q + 5)).size !== 5)
      throw new Error(`${ids}`);
});

test('errors: shapes and k', () => {
  const u32 = (n: number) => input([n], 'u32');
  const listed = { rows: input([5, 8]), ids: u32(5), groups: u32(5), starts: u32(3) };
  const options = { k: 2, groups: u32(4), probed: null, longest: 3 };
  throws(() => topKInLists(input([4, 4]), listed, options), /topKInLists: expected rows of one length/);
  throws(() => topKInLists(input([4, 8]), listed, { ...options, k: 33 }), /topKInLists: .*1 to 32, got 33/);
});
