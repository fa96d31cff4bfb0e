import { dataset } from '../../src/data/dataset.ts';
import { adoptDevice, type Device } from '../../src/gpu/device.ts';
import { reshape, type Tensor, variable } from '../../src/graph/tensor.ts';
import { analogyAccuracy } from '../../src/metrics/analogy.ts';
import { freeRows, rowsAt, rowsThatFit, type Slabs } from '../../src/metrics/compute.ts';
import { embed, embedSlabs } from '../../src/metrics/embed.ts';
import { evaluate } from '../../src/metrics/evaluate.ts';
import { hubness } from '../../src/metrics/hubness.ts';
import { kMeans } from '../../src/metrics/kmeans.ts';
import { knnAccuracy, knnPredict } from '../../src/metrics/knn.ts';
import { linearProbe } from '../../src/metrics/linear_probe.ts';
import { nearest } from '../../src/metrics/nearest.ts';
import { shiftAccuracies } from '../../src/metrics/shifts.ts';
import { similarityHistogram } from '../../src/metrics/similarity_histogram.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

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

/** Rows about a direction for each class. */
function clusters(classes: number, each: number, D: number, noise: number) {
  const r = random(freshSeed());
  const centres = r.normal(classes * D);
  const labels = Uint32Array.from({ length: classes * each }, (_, i) => i % classes);
  const data = r
    .normal(labels.length * D)
    .map((v, i) => noise * v + centres[labels[Math.floor(i / D)] * D + (i % D)]);
  return { x: { data, shape: [labels.length, D] }, labels };
}

/** The same rows in variables of unequal length, of at most `most` rows. */
function inSlabs(
  { data, shape: [N, D] }: { data: Float32Array; shape: readonly number[] },
  most: number,
): Slabs {
  const cuts = [0, 1];
  while (cuts.at(-1)! < N) cuts.push(Math.min(N, cuts.at(-1)! + most - (cuts.length % 3)));
  const slabs = cuts
    .slice(1)
    .map((to, i) =>
      variable([to - cuts[i], D], { name: `slab.${i}`, initial: data.slice(cuts[i] * D, to * D) }),
    );
  return { slabs, shape: [N, D] };
}

for (const [N, M, D, k] of [
  [200, 90, 12, 5],
  [131, 37, 7, 20],
  [64, 64, 33, 1],
])
  test(`nearest rows of [N, M, D, k] = [${[N, M, D, k]}]: the same in slabs, with equal rows and some left out`, async () => {
    const r = random(freshSeed());
    const gallery = r.normal(N * D);
    // Every third row again, far behind: equal similarities, in another slab, go by index.
    for (let i = 0; 3 * i < N / 2; i++) gallery.copyWithin((N - 1 - i) * D, 3 * i * D, (3 * i + 1) * D);
    const g = { data: gallery, shape: [N, D] };
    const q = { data: r.normal(M * D), shape: [M, D] };
    const gpu = await device();
    const small = await smallDevice(4 * 50 * D + 2000);
    const kept = Uint32Array.from({ length: N }, (_, i) => i).filter((i) => i % 4 !== 1);
    for (const some of [null, kept]) {
      const whole = await nearest('here', gpu, q, g, { k, kept: some });
      for (const parts of [g, inSlabs(g, 50)]) {
        const found = await nearest('here', small, q, parts, { k, kept: some });
        close(found.indices, whole.indices, { rel: 0, abs: 0 });
        freeRows(small, [parts]);
      }
    }
  });

test('k-NN, k-means, hubness, analogies, histograms and rows: the same from a device that binds less', async () => {
  const { x, labels } = clusters(4, 50, 12, 0.8);
  const gpu = await device();
  // 200 rows of 12 are 9,600 bytes.
  const small = await smallDevice(4096);
  const slabs = inSlabs(x, 80);
  const ids = Uint32Array.of(199, 0, 66, 67, 0, 150);
  const analogies = Array.from({ length: 90 }, (_, i) => [i, i + 1, i + 2, i + 3] as const);
  const all = async (on: Device, rows: typeof x | Slabs) => {
    const { clusters, inertia } = await kMeans(on, rows, { k: 4, restarts: 2 });
    const { edges: _, ...shares } = await similarityHistogram(on, rows, rows, { bins: 7 });
    return [
      await knnAccuracy(on, rows, labels, rows, labels),
      ...(await knnPredict(on, rows, labels, rows, { k: 7 })),
      ...(await hubness(on, rows, { k: 6 })).occurrences,
      ...(await analogyAccuracy(on, rows, analogies)).answers,
      ...clusters,
      inertia,
      shares.positive.reduce((a, b) => a + b) + shares.negative.reduce((a, b) => a + b),
      ...(await rowsAt('here', on, rows, ids)).data,
    ];
  };
  const wanted = await all(gpu, x);
  close(await all(small, x), wanted, { rel: 1e-6, abs: 1e-6 });
  close(await all(small, slabs), wanted, { rel: 1e-6, abs: 1e-6 });
  freeRows(small, [slabs]);
});

test('linear probe on a device that binds less: as many rows as it holds, of every class, and all draws', async () => {
  const { x, labels } = clusters(4, 60, 12, 0.8);
  const [gpu, small] = [await device(), await smallDevice(8192)];
  const wanted = await linearProbe(gpu, x, labels, x, labels, { labels: 40, draws: 5 });
  for (const rows of [x, inSlabs(x, 100)]) {
    const few = await linearProbe(small, rows, labels, rows, labels, { labels: 40, draws: 5 });
    close(few.accuracies, wanted.accuracies, { rel: 0, abs: 0.02 });
    const all = await linearProbe(small, rows, labels, rows, labels);
    // 128 rows of 16.
    if (!(all.labels >= 100 && all.labels <= 128 && all.accuracy > 0.8)) throw new Error(JSON.stringify(all));
    freeRows(small, [rows]);
  }
  await throws(
    () => linearProbe(small, x, labels, x, labels, { labels: 200 }),
    /linearProbe: expected at most \d+ labels, whose rows this device binds at once, got 200/,
  );
  const wide = { data: new Float32Array(2 * 4096), shape: [2, 4096] };
  await throws(
    () => linearProbe(small, wide, [0, 1], wide, [0, 1]),
    /linearProbe: .* more than this device binds/,
  );
  await throws(() => knnAccuracy(small, wide, [0, 1], wide, [0, 1]), /knnAccuracy: one row is larger than/);
});

/** Images of `side` x `side` with a bright pixel that shows their class. */
function images(count: number, side = 4) {
  const size = side * side;
  const r = random(freshSeed());
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 3);
  const pixels = Uint8Array.from({ length: count * size }, (_, i) =>
    Math.floor((i % size === 5 * labels[Math.floor(i / size)] ? 200 : 0) + 55 * r.next()),
  );
  return { pixels, labels, count, height: side, width: side, channels: 1, classes: 3 };
}

test('embeddings that one binding does not hold lie in several, in order', async () => {
  const set = images(150);
  const small = await smallDevice(4096);
  const flat = (x: Tensor) => ({ h: reshape(x, [x.shape[0], 16]), few: reshape(x, [x.shape[0], 4, 4]) });
  for (const batch of [40, 1, 64]) {
    const data = dataset(set);
    const { h } = await embedSlabs(small, data, flat, { batch, normalize: false });
    if (h.slabs.length !== 3) throw new Error(`${h.slabs.length} slabs`);
    const found = await rowsAt(
      'here',
      small,
      h,
      Uint32Array.from({ length: 150 }, (_, i) => i),
    );
    close(
      found.data,
      Float64Array.from(set.pixels, (v) => v / 255),
    );
    const few = await rowsThatFit('here', small, h);
    if (few.count !== 64 || few.rows[0].shape[0] !== 64) throw new Error(`${few.count} rows fit`);
    freeRows(small, [h]);
    await throws(
      () => embed(small, data, flat, { batch }),
      /embed: "h" \[150, 16\] needs 9600 bytes.*embedSlabs keeps it in 3 variables/,
    );
  }
});

test(
  'evaluate on a device that binds less than the rows: the same numbers, and a word on what is of fewer rows',
  async () => {
    const [train, held] = [images(240, 8), images(150, 8)];
    const r = random(freshSeed());
    const initial = r.normal(8 * 64);
    const measure = async (on: Device) => {
      const weight = variable([64, 8], { name: 'w', initial });
      const forward = (x: Tensor) => {
        const h = reshape(x, [x.shape[0], 64]);
        return { h, z: matmul(h, weight) };
      };
      const statistics = { mean: 0.1, std: 0.1 };
      const sets = {
        train: dataset(train, { ...statistics, name: 'train' }),
        test: dataset(held, { ...statistics, name: 'test' }),
      };
      const found = await evaluate(on, sets, forward, { batch: 20 });
      const shifts = await shiftAccuracies(on, sets, (x) => forward(x).h, { batch: 20 });
      freeVariables(on, [weight, sets.train.images, sets.test.images]);
      return { found, shifts };
    };
    const whole = await measure(await device());
    const parts = await measure(await smallDevice(24_000));
    const [a, b] = [parts.found, whole.found];
    for (const key of [
      'knn',
      'augKnn',
      'knnNoise',
      'knnRotation',
      'hubness',
      'k',
      'worstClass',
      'nmi',
    ] as const)
      close([a[key]!], [b[key]!], { rel: 1e-6, abs: 0.02, what: key });
    for (const key of ['invariance', 'anisotropy', 'linearProbe'] as const)
      close([a[key]!], [b[key]!], { rel: 0.3, abs: 0.05, what: key });
    if (!a.notes.some((note) => /of 93 of 150 test samples/.test(note))) throw new Error(a.notes.join('; '));
    if (!a.notes.some((note) => /trained on \d+ of 240 training samples/.test(note)))
      throw new Error(a.notes.join('; '));
    if ('linearProbe100' in a || !a.notes.some((note) => /100 labels: left out, rows of 64/.test(note)))
      throw new Error(a.notes.join('; '));
    if (b.notes.length !== 2) throw new Error(b.notes.join('; '));
    close(Object.values(parts.shifts), Object.values(whole.shifts), { rel: 0, abs: 0.02 });
    close([parts.found.effectiveRankZ!], [whole.found.effectiveRankZ!], { rel: 0.2 });
  },
  { timeout: 180_000 },
);

test('slabs and arrays that are no rows are told with the name of the function', async () => {
  const gpu = await device();
  const slab = variable([2, 3], { name: 'slab' });
  const bad: [unknown, RegExp][] = [
    [undefined, /hubness: expected f32 rows \[N, D\], got undefined/],
    ['rows', /got "rows"/],
    [[1, 2], /got an array of 2/],
    [-1, /got -1/],
    [{}, /got an object/],
    [{ data: [1, 2], shape: [1, 2] }, /got an array of 2, which is no Float32Array/],
    [{ data: new Float32Array(2), shape: [2, 2] }, /got 2 numbers for \[2, 2\]/],
    [{ data: new Float32Array(2), shape: [-1, 2] }, /got a "shape" of \[-1, 2\]/],
    [{ data: new Float32Array(0), shape: [0, 2] }, /got a "shape" of \[0, 2\]/],
    [{ data: new Float32Array(2), shape: [1, 1e30] }, /got 2 numbers for/],
    [{ data: new Float32Array(2), shape: null }, /got a "shape" of null/],
    [{ slabs: [slab], shape: [3, 3] }, /got slabs of 2 rows for \[3, 3\]/],
    [{ slabs: [slab, null], shape: [2, 3] }, /slabs that are not all variables \[n, 3\]/],
    [{ slabs: 3, shape: [2, 3] }, /got "slabs" of 3/],
    [variable([4], { name: 'v' }), /got f32 \[4\]/],
    [variable([4, 2], { name: 'v', dtype: 'u32' }), /got u32 \[4, 2\]/],
  ];
  for (const [rows, message] of bad) {
    await throws(() => hubness(gpu, rows as never), message);
    await throws(() => kMeans(gpu, rows as never, { k: 2 }), /kMeans: expected f32 rows/);
    await throws(
      () => analogyAccuracy(gpu, rows as never, [[0, 1, 2, 3]]),
      /analogyAccuracy: expected f32 rows/,
    );
    await throws(
      () => similarityHistogram(gpu, rows as never, rows as never),
      /similarityHistogram: expected/,
    );
  }
  await throws(() => embed(gpu, null as never, () => ({})), /embed: expected a data set/);
  const images = dataset({
    pixels: new Uint8Array(16),
    count: 4,
    height: 2,
    width: 2,
    channels: 1,
    classes: 0,
  });
  for (const made of [null, 3]) {
    const forward = () => made as never;
    await throws(() => embed(gpu, images, forward), /embed: expected an object of tensors from "forward"/);
    await throws(() => embedSlabs(gpu, images, forward), /embedSlabs: expected an object of tensors/);
  }
  freeVariables(gpu, [images.images, ...images.more]);
  await throws(() => evaluate(gpu, null as never, null), /evaluate: expected { train, test }/);
  await throws(
    () => readVariable(gpu, slab).then(() => kMeans(gpu, slab, null as never)),
    /kMeans: expected an object/,
  );
  freeVariables(gpu, [slab]);
});
