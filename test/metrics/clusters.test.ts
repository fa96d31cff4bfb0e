import { adjustedRandIndex, normalizedMutualInformation } from '../../src/metrics/agreement.ts';
import { kMeans } from '../../src/metrics/kmeans.ts';
import { accuracyOf, classAccuracies, worstClass } from '../../src/metrics/per_class.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

const rows = (data: Float32Array, D: number) => ({ data, shape: [data.length / D, D] as const });

/** N rows around `k` centres, far apart. */
function blobs(N: number, D: number, k: number, mean = 0) {
  const r = random(freshSeed());
  const centre = (c: number, d: number) => Number(d === c % D) * 10 * (1 + Math.floor(c / D));
  const labels = Uint32Array.from({ length: N }, (_, i) => i % k);
  const data = r.normal(N * D).map((v, i) => 0.1 * v + mean + centre(labels[Math.floor(i / D)], i % D));
  return { x: rows(data, D), labels };
}

for (const [N, D, k, mean] of [
  [60, 2, 3, 0],
  [257, 7, 5, 0],
  [400, 16, 10, 300],
]) {
  test(`k-means finds ${k} blobs of [${N}, ${D}] about ${mean}`, async () => {
    const { x, labels } = blobs(N, D, k, mean);
    const gpu = await device();
    const { clusters, centroids, inertia } = await kMeans(gpu, x, { k, restarts: 10 });
    close([adjustedRandIndex(clusters, labels)], [1], { rel: 1e-9, what: 'ARI' });
    const means = new Float64Array(k * D);
    const counts = new Float64Array(k);
    for (const c of clusters) counts[c]++;
    for (let i = 0; i < N * D; i++) {
      const c = clusters[Math.floor(i / D)];
      means[c * D + (i % D)] += x.data[i] / counts[c];
    }
    close(centroids, means, { rel: 1e-5 });
    let total = 0;
    for (let i = 0; i < N * D; i++)
      total += (x.data[i] - means[clusters[Math.floor(i / D)] * D + (i % D)]) ** 2;
    close([inertia], [total], { rel: 5e-2 });
    const again = await kMeans(gpu, x, { k, restarts: 10 });
    close(again.clusters, clusters, { rel: 0, abs: 0 });
  });
}

test("k-means ends where Lloyd's iteration stands still; more restarts are never worse", async () => {
  const [N, D, k] = [300, 5, 6];
  const x = rows(random(freshSeed()).normal(N * D), D);
  const gpu = await device();
  const { clusters, centroids, inertia } = await kMeans(gpu, x, { k, restarts: 1 });
  const distance = (i: number, c: number) => {
    let total = 0;
    for (let d = 0; d < D; d++) total += (x.data[i * D + d] - centroids[c * D + d]) ** 2;
    return total;
  };
  let total = 0;
  for (let i = 0; i < N; i++) {
    const own = distance(i, clusters[i]);
    for (let c = 0; c < k; c++)
      if (distance(i, c) < own - 1e-4) throw new Error(`row ${i} is nearer to ${c}`);
    total += own;
  }
  close([inertia], [total], { rel: 1e-4 });
  const better = await kMeans(gpu, x, { k, restarts: 5 });
  if (better.inertia > inertia) throw new Error(`${better.inertia} after ${inertia}`);
  if (new Set(clusters).size !== k) throw new Error('an empty cluster');
});

test('k-means: a cluster for each row, identical rows, wrong k', async () => {
  const gpu = await device();
  const x = rows(random(freshSeed()).normal(5 * 3), 3);
  const each = await kMeans(gpu, x, { k: 5 });
  close([new Set(each.clusters).size], [5], { rel: 0, abs: 0 });
  close([each.inertia], [0], { rel: 0, abs: 1e-4 });
  const same = await kMeans(gpu, rows(new Float32Array(40).fill(7), 4), { k: 3 });
  close([same.inertia], [0], { rel: 0, abs: 1e-4 });
  const one = await kMeans(gpu, x, { k: 1 });
  close(one.clusters, new Float32Array(5), { rel: 0, abs: 0 });
  await throws(() => kMeans(gpu, x, { k: 6 }), /kMeans: .*1 to 5.*"k", got 6/);
});

test("NMI and ARI: scikit-learn's examples, chance, names do not matter", () => {
  const [a, b] = [
    [0, 0, 1, 1],
    [0, 0, 1, 2],
  ];
  close([normalizedMutualInformation(a, b), adjustedRandIndex(a, b)], [0.8, 4 / 7], { rel: 1e-12 });
  close([normalizedMutualInformation(a, a), adjustedRandIndex(a, a)], [1, 1], { rel: 1e-12 });
  close([normalizedMutualInformation([0, 0, 0, 0], [0, 1, 2, 3])], [0], { rel: 0, abs: 1e-12 });
  close([adjustedRandIndex(a, [0, 1, 0, 1])], [-0.5], { rel: 1e-12 });
  close([normalizedMutualInformation([0, 0], [0, 0]), adjustedRandIndex([0, 0], [0, 0])], [1, 1]);
  const r = random(freshSeed());
  for (const [p, q] of [
    [2, 2],
    [5, 9],
  ]) {
    const x = r.integers(120, 0, p);
    const y = x.map((label) => (r.next() < 0.5 ? label : r.integers(1, 0, q)[0]));
    close([normalizedMutualInformation(x, y)], [reference.normalizedMutualInformation(x, y)], { rel: 1e-10 });
    close([adjustedRandIndex(x, y)], [reference.adjustedRandIndex(x, y)], { rel: 1e-10 });
    const renamed = y.map((label) => 20 - label);
    close([normalizedMutualInformation(x, renamed)], [normalizedMutualInformation(x, y)], { rel: 1e-10 });
    close([adjustedRandIndex(x, renamed)], [adjustedRandIndex(x, y)], { rel: 1e-10 });
  }
  const [x, y] = [r.integers(5000, 0, 8), r.integers(5000, 0, 8)];
  close([adjustedRandIndex(x, y)], [0], { rel: 0, abs: 5e-3 });
  throws(() => adjustedRandIndex([0], [0, 1]), /adjustedRandIndex: .*1 labels.*"b", got 2/);
});

test('accuracies of classes, and the worst', () => {
  const labels = [0, 0, 0, 0, 2, 2, 3];
  const predicted = [0, 0, 0, 1, 2, 0, 3];
  close(classAccuracies(predicted, labels), [0.75, Number.NaN, 0.5, 1], { rel: 0 });
  close([accuracyOf(predicted, labels)], [5 / 7], { rel: 1e-12 });
  const { label, accuracy } = worstClass(predicted, labels);
  close([label, accuracy], [2, 0.5], { rel: 0 });
  throws(() => classAccuracies([0], labels), /classAccuracies: .*7 labels.*"predicted", got 1/);
});
