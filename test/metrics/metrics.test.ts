import * as assert from 'uvu/assert';
import { dataset } from '../../src/data/dataset.ts';
import { grad } from '../../src/graph/gradient.ts';
import { input, reshape, type Tensor, variable } from '../../src/graph/tensor.ts';
import { alignment } from '../../src/metrics/alignment.ts';
import { effectiveRank, entropyRank, spectrumOf } from '../../src/metrics/effective_rank.ts';
import { invertPositiveDefinite, symmetricEigenvalues } from '../../src/metrics/eigen.ts';
import { embed } from '../../src/metrics/embed.ts';
import { evaluate } from '../../src/metrics/evaluate.ts';
import { knnAccuracy, knnPredict } from '../../src/metrics/knn.ts';
import { effectiveRankOf, liveMetrics, participationRatioOf } from '../../src/metrics/live.ts';
import { participationRatio } from '../../src/metrics/participation_ratio.ts';
import { embeddingStd } from '../../src/metrics/std.ts';
import { uniformity, uniformityOptimum } from '../../src/metrics/uniformity.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { sum } from '../../src/ops/reduce.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

const rows = (data: Float32Array, D: number) => ({ data, shape: [data.length / D, D] });

/** Rows of unit length, in float64. */
function unit(x: ArrayLike<number>, D: number): Float64Array {
  const u = Float64Array.from(x);
  for (let i = 0; i < u.length; i += D) {
    const norm = Math.hypot(...u.subarray(i, i + D));
    for (let d = 0; d < D; d++) u[i + d] /= norm;
  }
  return u;
}

function expected(x: Float32Array, y: Float32Array, D: number) {
  const [u, v] = [unit(x, D), unit(y, D)];
  const N = x.length / D;
  let distance = 0;
  for (let i = 0; i < u.length; i++) distance += (u[i] - v[i]) ** 2 / N;
  let pairs = 0;
  for (let i = 0; i < N; i++)
    for (let j = 0; j < i; j++) {
      let d2 = 0;
      for (let d = 0; d < D; d++) d2 += (u[i * D + d] - u[j * D + d]) ** 2;
      pairs += Math.exp(-2 * d2);
    }
  const spread = (z: ArrayLike<number>) => {
    let total = 0;
    for (let d = 0; d < D; d++) {
      let [s, q] = [0, 0];
      for (let i = 0; i < N; i++) s += z[i * D + d] / N;
      for (let i = 0; i < N; i++) q += (z[i * D + d] - s) ** 2 / N;
      total += Math.sqrt(q) / D;
    }
    return total;
  };
  return {
    alignment: distance,
    uniformity: Math.log(pairs / ((N * (N - 1)) / 2)),
    std: spread(u),
    raw: spread(x),
    rank: reference.effectiveRank({ shape: [N, D], data: u }),
    rawRank: reference.effectiveRank({ shape: [N, D], data: x }),
  };
}

/** Embeddings with unequal axes and a mean. */
function embeddings(r: ReturnType<typeof random>, N: number, D: number) {
  const x = r.normal(N * D).map((v, i) => (v * (1 + 2 * (i % D))) / D + 0.3);
  return { x, y: x.map((v) => v + 0.2 * r.normal(1)[0]) };
}

for (const [N, D] of [
  [3, 2],
  [7, 3],
  [64, 64],
  [127, 33],
  [200, 12],
]) {
  test(`metrics of [${N}, ${D}]: as in float64`, async () => {
    const { x, y } = embeddings(random(freshSeed()), N, D);
    const e = expected(x, y, D);
    const gpu = await device();
    const [zA, zB] = [rows(x, D), rows(y, D)];
    const s = await embeddingStd(gpu, zA);
    const z = await effectiveRank(gpu, zA, { normalized: true });
    const h = await effectiveRank(gpu, zA);
    const actual = [await alignment(gpu, zA, zB), await uniformity(gpu, zA), s.std, s.raw, s.isotropic];
    close(actual, [e.alignment, e.uniformity, e.std, e.raw, 1 / Math.sqrt(D)], { rel: 1e-5, abs: 1e-6 });
    close([z.rank, h.rank], [e.rank, e.rawRank], { rel: N > D ? 1e-4 : 2e-2, what: 'effective rank' });
    for (let i = 1; i < D; i++) if (z.spectrum[i] > z.spectrum[i - 1]) throw new Error('spectrum not sorted');
  });
}

test('live metrics inside a step agree with the metrics, and let no gradient through', async () => {
  const [N, D] = [65, 16];
  const { x, y } = embeddings(random(freshSeed()), N, D);
  const e = expected(x, y, D);
  const inputs = { a: input([N, D]), b: input([N, D]) };
  const step = await compile(
    await device(),
    ({ a, b }) => {
      const live = liveMetrics(a, b);
      const [da] = grad(sum(live.values), [a]);
      return { ...live, da };
    },
    { inputs },
  );
  await step.run({ a: x, b: y });
  const length = Array.from({ length: N }, (_, i) => Math.hypot(...x.subarray(i * D, (i + 1) * D)));
  const meanLength = length.reduce((a, b) => a + b) / N;
  close(await step.read('values'), [e.alignment, e.uniformity, e.std, meanLength], { rel: 1e-5 });
  const covariance = await step.read('covariance');
  close([effectiveRankOf(covariance)], [e.rank], { rel: 1e-4 });
  close([participationRatioOf(covariance)], [participationRatio(spectrumOf(covariance))], { rel: 1e-5 });
  assert.is(participationRatioOf(new Float32Array(9)), 0);
  close(await step.read('da'), new Float32Array(N * D), { rel: 0, abs: 0 });
  step.dispose();
});

test('uniformityOptimum: 0F1 by its series, and the loss of many uniform points', async () => {
  for (const d of [2, 3, 64, 784])
    for (const t of [0.5, 2, 4])
      close([uniformityOptimum(d, t)], [reference.uniformityOptimum(d, t)], { rel: 1e-12, abs: 1e-12 });
  const [N, D] = [1000, 3];
  const x = random(freshSeed()).normal(N * D);
  close([await uniformity(await device(), rows(x, D))], [uniformityOptimum(D)], { rel: 0, abs: 0.02 });
});

test('effective rank: collapse, one direction, a large mean', async () => {
  const gpu = await device();
  const r = random(freshSeed());
  const [N, D] = [100, 8];
  const line = new Float32Array(N * D);
  for (let i = 0; i < N; i++) line.fill(r.normal(1)[0], i * D, (i + 1) * D);
  close([(await effectiveRank(gpu, rows(line, D))).rank], [1], { rel: 0, abs: 0.02 });
  const point = new Float32Array(N * D).fill(0.5);
  close([(await effectiveRank(gpu, rows(point, D))).rank], [0], { rel: 0, abs: 0 });
  const shifted = r.normal(N * D).map((v) => v + 30);
  const [centred, raw] = [
    await effectiveRank(gpu, rows(shifted, D)),
    await effectiveRank(gpu, rows(shifted, D), { centred: false }),
  ];
  if (!(centred.rank > 7 && raw.rank < 2.5)) throw new Error(`ranks ${centred.rank}, ${raw.rank}`);
  close([entropyRank([1, 1, 0, 1])], [3], { rel: 1e-12 });
});

for (const n of [1, 2, 3, 7, 64, 130]) {
  test(`eigenvalues and inverse of ${n} x ${n}`, () => {
    const r = random(freshSeed());
    const b = Float64Array.from(r.normal(n * n));
    const a = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) a[i * n + j] += b[i * n + k] * b[j * n + k];
    const values = symmetricEigenvalues(a, n);
    close(values, reference.symmetricEigenvalues(a, n), { rel: 1e-11, abs: 0 });
    for (let i = 0; i < n; i++) a[i * n + i] += values[0] / 10;
    const inverse = invertPositiveDefinite(a, n);
    const product = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let k = 0; k < n; k++)
        for (let j = 0; j < n; j++) product[i * n + j] += a[i * n + k] * inverse[k * n + j];
    close(
      product,
      Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0)),
      { rel: 0, abs: 1e-5 },
    );
  });
}

test('eigenvalues of diagonal, repeated, zero and low-rank matrices', () => {
  const n = 12;
  const diagonal = new Float64Array(n * n);
  for (let i = 0; i < n; i++) diagonal[i * n + i] = i % 3;
  close(symmetricEigenvalues(diagonal, n), [2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0], { rel: 0, abs: 1e-14 });
  close(symmetricEigenvalues(new Float64Array(n * n), n), new Float64Array(n), { rel: 0, abs: 0 });
  const ones = new Float64Array(n * n).fill(1);
  close(symmetricEigenvalues(ones, n), [n, ...new Float64Array(n - 1)], { rel: 1e-13, abs: 0 });
});

for (const [N, M, D, k, classes] of [
  [30, 7, 3, 1, 3],
  [127, 65, 33, 20, 10],
  [300, 64, 8, 5, 4],
]) {
  test(`k-NN [N, M, D, k, classes] = [${[N, M, D, k, classes]}]: as in float64`, async () => {
    const r = random(freshSeed());
    const labels = r.integers(N, 0, classes);
    const near = (label: number) => Float32Array.from(r.normal(D), (v, d) => v + 2 * Number(d === label % D));
    const gallery = new Float32Array(N * D);
    for (let i = 0; i < N; i++) gallery.set(near(labels[i]), i * D);
    const queryLabels = r.integers(M, 0, classes);
    const queries = new Float32Array(M * D);
    for (let i = 0; i < M; i++) queries.set(near(queryLabels[i]), i * D);
    const [g, q] = [rows(gallery, D), rows(queries, D)];
    const wanted = reference.knnPredict(g, labels, q, { k });
    const gpu = await device();
    const predicted = await knnPredict(gpu, g, labels, q, { k, classes });
    const wrong = predicted.filter((c, i) => c !== wanted[i]).length;
    // Two neighbours that differ by rounding may change places.
    if (wrong > 0.02 * M) throw new Error(`${wrong} of ${M} differ`);
    const accuracy = await knnAccuracy(gpu, g, labels, q, queryLabels, { k });
    close([accuracy], [wanted.filter((c, i) => c === queryLabels[i]).length / M], { rel: 0, abs: 0.021 });
  });
}

test('k-NN: of equal votes the smallest class', async () => {
  const gallery = rows(Float32Array.of(1, 0, 1, 0.01, 0, 1, 0.01, 1), 2);
  const queries = rows(Float32Array.of(1, 0, 0, 1, 1, 1), 2);
  const predicted = await knnPredict(await device(), gallery, [2, 1, 2, 0], queries, { k: 2 });
  close(predicted, [1, 0, 0], { rel: 0, abs: 0 });
});

const images = (r: ReturnType<typeof random>, count: number, classes = 3) => {
  const labels = Uint8Array.from({ length: count }, (_, i) => i % classes);
  const pixels = Uint8Array.from({ length: count * 16 }, (_, i) =>
    Math.floor((i % 16 === 5 * labels[Math.floor(i / 16)] ? 200 : 0) + 55 * r.next()),
  );
  return { pixels, labels, count, height: 4, width: 4, channels: 1, classes };
};

for (const [count, batch, D] of [
  [10, 4, 3],
  [12, 4, 8],
  [5, 500, 5],
]) {
  test(`embed: ${count} samples in batches of ${batch} to ${D} dimensions`, async () => {
    const r = random(freshSeed());
    const set = images(r, count);
    const w = r.normal(16 * D);
    const gpu = await device();
    const weight = variable([16, D], { name: 'w', initial: w });
    const forward = (x: Tensor) => {
      const flat = reshape(x, [x.shape[0], 16]);
      return { flat, y: matmul(flat, weight) };
    };
    const made = await embed(gpu, dataset(set), forward, { batch, normalize: false });
    const x = Float64Array.from(set.pixels, (v) => v / 255);
    close(await readVariable(gpu, made.flat), x);
    const y = reference.matmul(reference.leaf([count, 16], x), reference.leaf([16, D], w));
    close(await readVariable(gpu, made.y), y.data);
    // A view of a sample depends on its place and the seed, not on the batch it comes in.
    const options = { normalize: false, augmentation: { noise: 0.1 }, seed: 3 };
    const one = await embed(gpu, dataset(set), forward, { ...options, batch });
    const other = await embed(gpu, dataset(set), forward, { ...options, batch: 3 });
    close(await readVariable(gpu, one.flat), await readVariable(gpu, other.flat), { rel: 0, abs: 1e-6 });
    const fresh = await embed(gpu, dataset(set), forward, { ...options, seed: 4 });
    const [a, b] = [await readVariable(gpu, one.flat), await readVariable(gpu, fresh.flat)];
    if (a.every((v, i) => v === b[i])) throw new Error('another seed gave the same views');
    freeVariables(gpu, [made, one, other, fresh].flatMap((m) => Object.values(m)).concat(weight));
  });
}

test('evaluate: raw pixels and an encoder on a small set; no memory is left behind', async () => {
  const r = random(freshSeed());
  const gpu = await device();
  const [train, held] = [
    dataset(images(r, 240), { mean: 0.2, std: 0.2 }),
    dataset(images(r, 60), { mean: 0.2, std: 0.2 }),
  ];
  await readVariable(gpu, train.labels!);
  const weight = variable([16, 8], { name: 'w', initial: r.normal(128) });
  const stages = new Set<string>();
  let last = 0;
  const options = {
    batch: 50,
    onProgress: (stage: string, fraction: number) => {
      stages.add(stage);
      last = fraction;
    },
  };
  const raw = await evaluate(gpu, { train, test: held }, null, options);
  if (!(raw.knn === 1 && raw.linearProbe === 1 && last === 1)) throw new Error(JSON.stringify(raw));
  // 33 of each of 3 classes, which have 80.
  close([raw.linearProbe100!, raw.linearProbe100Labels!, raw.linearProbeLabels!, raw.k!], [1, 99, 240, 20], {
    abs: 0.02,
  });
  if ('linearProbe1000' in raw || 'knnZ' in raw) throw new Error('1,000 labels of 240?');
  const told = [
    '1,000 labels: left out, 333 of each of 3 classes',
    '100 labels: 99, 33 of each of 3 classes',
  ];
  if (raw.notes.length !== 2 || !told.every((words, i) => raw.notes[i].includes(words)))
    throw new Error(raw.notes.join('; '));
  const before = gpu.memory.bytes;
  const forward = (x: Tensor) => {
    const h = reshape(x, [x.shape[0], 16]);
    return { h, z: matmul(h, weight) };
  };
  const found = await evaluate(gpu, { train, test: held }, forward, options);
  freeVariables(gpu, [weight]);
  const missing = Object.entries(found).filter(([name, v]) => !name.includes('10') && v == null);
  if (missing.length || found.spectrumZ!.length !== 8) throw new Error(`missing ${missing}`);
  // Turned pixels are a permutation of h, which is linear; another turn is another one.
  if (found.equivariance! < 0.8 || found.equivarianceControl! > found.equivariance! - 0.1)
    throw new Error(`equivariance ${found.equivariance}, control ${found.equivarianceControl}`);
  if (found.alignment! <= 0 || found.uniformity! >= 0) throw new Error(JSON.stringify(found));
  // Staging buffers of reads are kept for the next ones.
  if (gpu.memory.bytes > before + (2 << 20))
    throw new Error(`${gpu.memory.bytes - before} bytes left behind`);
});

test('errors: labels and shapes', async () => {
  const gpu = await device();
  const x = rows(new Float32Array(12), 3);
  await throws(() => knnPredict(gpu, x, [0, 1], x), /knnPredict: .*4 labels.*"galleryLabels", got 2/);
  await throws(
    () => knnAccuracy(gpu, x, [0, 1, 0, 1], x, [0]),
    /knnAccuracy: .*4 labels.*"queryLabels", got 1/,
  );
  await throws(
    () => uniformity(gpu, { data: new Float32Array(4), shape: [4] }),
    /expected f32 rows \[N, D\]/,
  );
});
