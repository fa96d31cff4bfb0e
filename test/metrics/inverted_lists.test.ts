import * as assert from 'uvu/assert';
import { adoptDevice, type Device } from '../../src/gpu/device.ts';
import { align } from '../../src/gpu/memory.ts';
import { variable } from '../../src/graph/tensor.ts';
import { type InvertedLists, invertedLists } from '../../src/metrics/inverted_lists.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

const NONE = 0xffffffff;

const rows = (data: Float32Array, D: number) => ({ data, shape: [data.length / D, D] as [number, number] });
type Data = ReturnType<typeof rows>;

/** Rows about some directions. */
function clusters(N: number, D: number, classes = 8, noise = 0.5): Data {
  const r = random(freshSeed());
  const centres = r.normal(classes * D);
  const data = r
    .normal(N * D)
    .map((v, i) => noise * v + centres[(Math.floor(i / D) % classes) * D + (i % D)]);
  return rows(data, D);
}

const part = ({ data, shape: [, D] }: Data, from: number, to: number) =>
  rows(data.slice(from * D, to * D), D);

/** Cosines of a query with all rows, in float64. */
function cosines(q: Data, i: number, g: Data): Float64Array {
  const D = q.shape[1];
  const norm = (x: Float32Array) => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0)) || 1;
  const a = q.data.subarray(i * D, (i + 1) * D);
  return Float64Array.from({ length: g.shape[0] }, (_, j) => {
    const b = g.data.subarray(j * D, (j + 1) * D);
    let s = 0;
    for (let d = 0; d < D; d++) s += a[d] * b[d];
    return s / norm(a) / norm(b);
  });
}

/** What an exact search finds, in float64. */
function exact(q: Data, g: Data, k: number, own?: Uint32Array, groups?: Uint32Array) {
  const found = { indices: [] as number[], similarities: [] as number[] };
  for (let i = 0; i < q.shape[0]; i++) {
    const s = cosines(q, i, g);
    const order = Array.from(s.keys())
      .filter((j) => !own || (groups ? groups[j] : j) !== own[i])
      .sort((a, b) => s[b] - s[a] || a - b);
    for (let j = 0; j < k; j++) {
      found.indices.push(order[j] ?? NONE);
      found.similarities.push(j < order.length ? s[order[j]] : Number.NEGATIVE_INFINITY);
    }
  }
  return found;
}

function same(found: { indices: Uint32Array; similarities: Float32Array }, wanted: ReturnType<typeof exact>) {
  const finite = wanted.similarities.map(Number.isFinite);
  assert.equal(Array.from(found.similarities, Number.isFinite), finite);
  const of = (s: ArrayLike<number>) => Array.from(s).filter((_, i) => finite[i]);
  close(of(found.similarities), of(wanted.similarities), { rel: 0, abs: 3e-6, what: 'similarities' });
  const equal = found.indices.reduce((n, j, i) => n + Number(j === wanted.indices[i]), 0);
  // Two that differ by rounding alone may change places.
  assert.ok(equal >= 0.98 * wanted.indices.length, `${equal} of ${wanted.indices.length} indices`);
}

/** An index that is freed afterwards. */
async function withIndex<T>(
  made: Promise<InvertedLists>,
  use: (index: InvertedLists) => Promise<T>,
): Promise<T> {
  const index = await made;
  try {
    return await use(index);
  } finally {
    index.dispose();
  }
}

for (const [N, M, D, k, lists] of [
  [1, 1, 3, 1, 1],
  [2, 3, 4, 2, 2],
  [7, 5, 1, 10, 3],
  [65, 64, 5, 8, 8],
  [300, 1030, 12, 32, 17],
  [1000, 65, 33, 10, 40],
])
  test(`N, M, D, k, lists = ${[N, M, D, k, lists]}: in all lists a search finds what sorting in float64 does`, async () => {
    const g = clusters(N, D);
    const q = clusters(M, D);
    await withIndex(invertedLists(await device(), g, { lists }), async (index) => {
      assert.is(index.count, N);
      assert.is(
        index.sizes.reduce((a, b) => a + b),
        N,
      );
      assert.is(index.sizes.length, lists);
      same(await index.search(q, { k, probes: lists }), exact(q, g, k));
      assert.is(await index.recall(q, { k, probes: lists }), 1);
    });
  });

test('groups: a query finds no row of its own, and its own index is a group where none is given', async () => {
  const g = clusters(130, 6);
  const groups = Uint32Array.from({ length: 130 }, (_, i) => i >> 1);
  const gpu = await device();
  await withIndex(invertedLists(gpu, g, { lists: 9, groups }), async (index) => {
    same(await index.search(g, { k: 5, probes: 9, groups }), exact(g, g, 5, groups, groups));
    const few = await index.search(g, { k: 5, probes: 2, groups });
    few.indices.forEach((j, at) => j === NONE || assert.is.not(j >> 1, Math.floor(at / 5) >> 1));
  });
  const own = Uint32Array.from(groups.keys());
  await withIndex(invertedLists(gpu, g, { lists: 9 }), async (index) =>
    same(await index.search(g, { k: 3, probes: 9, groups: own }), exact(g, g, 3, own)),
  );
});

test('fewer probes: what is found is in order and has its cosine, and recall rises with them to 1', async () => {
  const [g, q] = [clusters(2000, 16, 20), clusters(50, 16, 20)];
  await withIndex(invertedLists(await device(), g, { lists: 32 }), async (index) => {
    const recalls: number[] = [];
    for (const probes of [1, 4, 16, 32]) {
      const { indices, similarities } = await index.search(q, { k: 8, probes });
      for (let i = 0; i < 50; i++) {
        const s = cosines(q, i, g);
        const [ids, found] = [indices, similarities].map((x) => x.subarray(i * 8, i * 8 + 8));
        close(
          found,
          Array.from(ids, (j) => s[j]),
          { rel: 0, abs: 3e-6 },
        );
        assert.ok(found.every((v, at) => at === 0 || v <= found[at - 1]));
        assert.is(new Set(ids).size, 8);
      }
      const wanted = exact(q, g, 8).indices;
      const hits = indices.filter((j, at) =>
        wanted.slice(8 * Math.floor(at / 8), 8 * Math.floor(at / 8) + 8).includes(j),
      );
      const recall = await index.recall(q, { k: 8, probes });
      // Of 400 found; rounding may exchange the last of a list.
      close([recall], [hits.length / 400], { rel: 0, abs: 0.01 });
      recalls.push(recall);
    }
    assert.ok(
      recalls.every((r, i) => i === 0 || r >= recalls[i - 1]),
      `${recalls}`,
    );
    assert.ok(recalls[0] < 1 && recalls[3] === 1, `${recalls}`);
  });
});

test('an index that grows finds what one of all rows does, in all lists; ids go on', async () => {
  const all = clusters(500, 10);
  const groups = Uint32Array.from({ length: 500 }, (_, i) => i % 50);
  const q = clusters(40, 10);
  const own = groups.slice(0, 40);
  const gpu = await device();
  const begun = invertedLists(gpu, part(all, 0, 200), { lists: 12, groups: groups.slice(0, 200) });
  await withIndex(begun, async (index) => {
    const more = variable([150, 10], { initial: part(all, 200, 350).data });
    await index.add(more, { groups: groups.slice(200, 350) });
    freeVariables(gpu, [more]);
    await index.add(part(all, 350, 351), { groups: groups.slice(350, 351) });
    await index.add(part(all, 351, 500), { groups: groups.slice(351) });
    assert.is(index.count, 500);
    same(await index.search(q, { k: 9, probes: 12, groups: own }), exact(q, all, 9, own, groups));
  });
});

test('rows that are equal or zero: ties by index, wherever they lie', async () => {
  const gpu = await device();
  for (const value of [0, 1]) {
    const g = rows(new Float32Array(50 * 6).fill(value), 6);
    await withIndex(invertedLists(gpu, g, { lists: 5 }), async (index) => {
      await index.add(g);
      const { indices } = await index.search(part(g, 0, 3), { k: 7, probes: 5 });
      assert.equal(
        Array.from(indices),
        [0, 1, 2].flatMap(() => [0, 1, 2, 3, 4, 5, 6]),
      );
    });
  }
});

/** The device of the tests, as one that binds so many bytes at once. */
async function smallDevice(bytes: number): Promise<Device> {
  const { gpu } = await device();
  const limits = new Proxy(gpu.limits, {
    get: (of, name) => (name === 'maxStorageBufferBindingSize' ? bytes : Reflect.get(of, name, of)),
  });
  const small = new Proxy(gpu, {
    get(of, name) {
      if (name === 'limits') return limits;
      const value = Reflect.get(of, name, of);
      return typeof value === 'function' ? value.bind(of) : value;
    },
  });
  return adoptDevice(small, { tune: false, choices: null });
}

test('rows of several bindings, also where they come in parts: the same; equal rows go by index', async () => {
  const g = clusters(700, 12);
  // The same rows again, in another binding.
  g.data.copyWithin(600 * 12, 0, 100 * 12);
  const q = part(g, 0, 60);
  const wanted = exact(q, g, 6);
  const small = await smallDevice(64 * 200);
  await withIndex(invertedLists(small, part(g, 0, 450), { lists: 8 }), async (index) => {
    await index.add(part(g, 450, 700));
    const { indices, similarities } = await index.search(q, { k: 6, probes: 8 });
    same({ indices, similarities }, wanted);
    for (let i = 0; i < 60; i++) assert.equal(Array.from(indices.subarray(6 * i, 6 * i + 2)), [i, 600 + i]);
  });
});

test('the same seed gives the same bits, another seed other lists', async () => {
  const [g, q] = [clusters(400, 8), clusters(30, 8)];
  const found = async (seed: number) =>
    withIndex(invertedLists(await device(), g, { lists: 16, seed }), async (index) => ({
      ...(await index.search(q, { k: 5, probes: 2 })),
      sizes: index.sizes,
    }));
  const [a, b, c] = [await found(1), await found(1), await found(2)];
  assert.equal(a, b);
  assert.not.equal(a.sizes, c.sizes);
});

test(
  'memory: its rows, ids, groups, starts and centroids, to the byte; a search takes as much whatever the number of rows',
  async () => {
    const { gpu } = await device();
    const q = clusters(20, 10);
    const searches: number[] = [];
    for (const N of [2000, 8000]) {
      // Of its own: the peak is of all that a device ever held.
      const own = await adoptDevice(gpu, { tune: false, choices: null });
      const g = clusters(N, 10);
      const index = await invertedLists(own, g, { lists: 16 });
      const held = [N * 12, N, N, 17, 16 * 12].reduce((sum, count) => sum + align(4 * count), 0);
      await index.search(q, { k: 4, probes: 2 });
      const { create } = own.memory;
      let made = 0;
      own.memory.create = (label, bytes, usage) => {
        made += align(bytes);
        return create(label, bytes, usage);
      };
      await index.search(q, { k: 4, probes: 2 });
      searches.push(made);
      const { bytes } = own.memory;
      index.dispose();
      // What is left are the buffers by which values are read.
      assert.is(bytes - own.memory.bytes, held);
    }
    assert.is(searches[0], searches[1]);
    assert.ok(searches[0] > 0);
  },
  { only: 'deno' },
);

test('other arguments are refused', async () => {
  const gpu = await device();
  const g = clusters(20, 4);
  await throws(() => invertedLists(gpu, g, { lists: 21 }), /invertedLists: .*1 to 20.*"lists", got 21/);
  await throws(
    () => invertedLists(gpu, g, { groups: new Uint32Array(3) }),
    /invertedLists: .*u32 \[20\].*groups/,
  );
  await throws(() => invertedLists(gpu, g, { groups: new Uint32Array(20).fill(NONE) }), /numbers below/);
  await throws(() => invertedLists(gpu, g, { seed: -1 }), /invertedLists: .*"seed", got -1/);
  await withIndex(invertedLists(gpu, g, { lists: 4 }), async (index) => {
    await throws(
      () => index.search(clusters(2, 5)),
      /invertedLists.search: expected rows of 4 numbers, got rows of 5/,
    );
    await throws(() => index.search(g, { k: 33 }), /invertedLists.search: .*1 to 32.*"k", got 33/);
    await throws(() => index.search(g, { probes: 5 }), /1 to 4, or 4 for all, for "probes", got 5/);
    await throws(() => index.search(g, { groups: new Uint32Array(2) }), /u32 \[20\]/);
    await throws(() => index.add(clusters(2, 5)), /invertedLists.add: expected rows of 4/);
    await throws(() => index.add(g, { id: 1 } as never), /invertedLists.add: .*id/);
    await throws(() => index.recall(g, { k: 0 }), /invertedLists.recall: .*"k", got 0/);
  });
});
