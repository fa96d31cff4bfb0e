import * as assert from 'uvu/assert';
import { variable } from '../../src/graph/tensor.ts';
import { freeRows } from '../../src/metrics/compute.ts';
import { hardNegatives } from '../../src/metrics/hard_negatives.ts';
import { device, freshSeed, random, test, throws } from '../harness.ts';

/** Rows about some directions, and the cosines of all with all in float64. */
function rows(N: number, D: number, classes: number) {
  const r = random(freshSeed());
  const centres = r.normal(classes * D);
  const data = r.normal(N * D).map((v, i) => 0.5 * v + centres[(Math.floor(i / D) % classes) * D + (i % D)]);
  const norms = Array.from({ length: N }, (_, i) => Math.hypot(...data.subarray(i * D, (i + 1) * D)));
  const cosine = (i: number, j: number) => {
    let s = 0;
    for (let d = 0; d < D; d++) s += data[i * D + d] * data[j * D + d];
    return s / norms[i] / norms[j];
  };
  return { x: { data, shape: [N, D] as [number, number] }, cosine };
}

/** The share of the m hardest of each row, in float64, that a table has; equal within rounding counts as found. */
function shareOf(
  table: Uint32Array,
  N: number,
  m: number,
  groups: Uint32Array,
  cosine: (i: number, j: number) => number,
) {
  let hits = 0;
  for (let i = 0; i < N; i++) {
    const all = Array.from({ length: N }, (_, j) => j).filter((j) => groups[j] !== groups[i]);
    const least = all.map((j) => cosine(i, j)).sort((a, b) => b - a)[m - 1];
    for (const j of table.subarray(i * m, (i + 1) * m)) hits += Number(cosine(i, j) >= least - 3e-6);
  }
  return hits / (N * m);
}

/** Every row has m others, none of its group. */
function checkTable(table: Uint32Array, N: number, m: number, groups: Uint32Array) {
  assert.is(table.length, N * m);
  for (let i = 0; i < N; i++) {
    const own = table.subarray(i * m, (i + 1) * m);
    assert.is(new Set(own).size, m);
    assert.ok(
      own.every((j) => j < N && j !== i && groups[j] !== groups[i]),
      `row ${i}: ${own}`,
    );
  }
}

for (const [N, D, m, lists, kind] of [
  [2, 3, 1, 1, 'single'],
  [9, 4, 7, 4, 'pairs'],
  [65, 5, 8, 9, 'pairs'],
  [400, 16, 32, 20, 'pairs'],
  [130, 8, 20, 12, 'labels'],
] as const)
  test(`N, D, count, lists, groups = ${[N, D, m, lists, kind]}: in all lists the hardest in float64, in few most of them, never a match`, async () => {
    const { x, cosine } = rows(N, D, 6);
    const group = { single: (i: number) => i, pairs: (i: number) => i >> 1, labels: (i: number) => i % 6 }[
      kind
    ];
    const groups = Uint32Array.from({ length: N }, (_, i) => group(i));
    const gpu = await device();
    const all = await hardNegatives(gpu, x, { count: m, lists, probes: lists, groups });
    checkTable(all.indices, N, m, groups);
    assert.is(all.recall, 1);
    assert.is(shareOf(all.indices, N, m, groups, cosine), 1);
    // Where the probed lists have too few, all are searched.
    const few = await hardNegatives(gpu, x, { count: m, lists, probes: 1, groups });
    checkTable(few.indices, N, m, groups);
    const share = shareOf(few.indices, N, m, groups, cosine);
    assert.ok(few.recall <= 1 && share >= few.recall - 0.1, `${share}, measured ${few.recall}`);
    // The same again, from the GPU.
    const on = variable(x.shape, { initial: x.data });
    const again = await hardNegatives(gpu, on, { count: m, lists, probes: 1, groups });
    freeRows(gpu, [on]);
    assert.equal(again, few);
  });

test('without groups a row matches itself alone; rows that coincide have the first others', async () => {
  const gpu = await device();
  const N = 12;
  const equal = { data: new Float32Array(N * 4).fill(1), shape: [N, 4] };
  const { indices, recall } = await hardNegatives(gpu, equal, { count: 2, lists: 3 });
  assert.is(recall, 1);
  for (let i = 0; i < N; i++)
    assert.equal(
      Array.from(indices.subarray(2 * i, 2 * i + 2)),
      [0, 1, 2].filter((j) => j !== i).slice(0, 2),
    );
});

test('other arguments are refused', async () => {
  const gpu = await device();
  const { x } = rows(10, 4, 2);
  await throws(() => hardNegatives(gpu, x, { count: 33 }), /hardNegatives: .*1 to 32.*"count", got 33/);
  await throws(() => hardNegatives(gpu, x, { count: 10 }), /hardNegatives: expected at most 9 for "count"/);
  const groups = Uint32Array.from({ length: 10 }, (_, i) => Number(i > 2));
  await throws(
    () => hardNegatives(gpu, x, { count: 4, groups }),
    /hardNegatives: expected at most 3 for "count"/,
  );
  await throws(() => hardNegatives(gpu, x, { groups: new Uint32Array(9) }), /hardNegatives: .*"groups"/);
  await throws(() => hardNegatives(gpu, x, { count: 2, probes: 9 }), /"probes", got 9/);
  await throws(() => hardNegatives(gpu, x, { k: 2 } as never), /hardNegatives: .*k/);
});
