// Metrics of two encoders: mutual k-NN, the modality gap, retrieval across them.
import * as assert from 'uvu/assert';
import { variable } from '../../src/graph/tensor.ts';
import { modalityGap } from '../../src/metrics/modality_gap.ts';
import { mutualKnn } from '../../src/metrics/mutual_knn.ts';
import { retrieval } from '../../src/metrics/retrieval.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

const rows = (data: Float32Array, D: number) => ({ data, shape: [data.length / D, D] as [number, number] });
const drawn = (N: number, D: number) => rows(random(freshSeed()).normal(N * D), D);

for (const [N, D, E, k] of [
  [2, 1, 3, 1],
  [3, 2, 2, 2],
  [12, 5, 3, 10],
  [65, 16, 33, 7],
  [200, 8, 8, 31],
])
  test(`mutual ${k}-NN of ${N} rows of ${D} and of ${E} is that of float64`, async () => {
    const [a, b] = [drawn(N, D), drawn(N, E)];
    close([await mutualKnn(await device(), a, b, { k })], [reference.mutualKnn(a, b, k)], { rel: 1e-6 });
  });

test('mutual k-NN: 1 of the same rows, scaled, turned and on the GPU; about k / (N - 1) of unrelated ones', async () => {
  const gpu = await device();
  const a = drawn(150, 6);
  const turned = rows(
    a.data.map((_, i) => 3 * a.data[i - (i % 6) + ((i + 1) % 6)]),
    6,
  );
  close([await mutualKnn(gpu, a, turned)], [1], { rel: 0.005 });
  const onGpu = variable(a.shape, { initial: a.data });
  close([await mutualKnn(gpu, onGpu, a, { k: 5 })], [1], { rel: 0 });
  const unrelated = await mutualKnn(gpu, a, drawn(150, 6));
  assert.ok(Math.abs(unrelated - 10 / 149) < 0.03, `${unrelated}`);
});

test('mutual k-NN of equal rows and of rows of zeros: the first ones count in both', async () => {
  for (const value of [0, 1]) {
    const equal = rows(new Float32Array(40).fill(value), 4);
    close([await mutualKnn(await device(), equal, equal, { k: 3 })], [1], { rel: 0 });
  }
});

for (const [N, M, D] of [
  [1, 1, 1],
  [2, 3, 4],
  [64, 65, 7],
  [300, 129, 33],
])
  test(`modality gap of ${N} and ${M} rows of ${D}`, async () => {
    const [u, v] = [drawn(N, D), drawn(M, D)];
    close([await modalityGap(await device(), u, v)], [reference.modalityGap(u, v)], { rel: 2e-5 });
  });

test('the gap is 0 of the same rows, 2 of opposite points, 1 from rows of zeros', async () => {
  const gpu = await device();
  const u = drawn(9, 5);
  close([await modalityGap(gpu, u, u)], [0], { abs: 1e-6 });
  const point = rows(Float32Array.of(3, 4), 2);
  close([await modalityGap(gpu, point, rows(Float32Array.of(-6, -8), 2))], [2], { rel: 1e-6 });
  close([await modalityGap(gpu, point, rows(new Float32Array(2), 2))], [1], { rel: 1e-6 });
});

for (const [M, N, D, k] of [
  [1, 1, 1, 1],
  [3, 7, 5, 2],
  [65, 64, 16, 5],
  [120, 200, 8, 10],
])
  test(`retrieval of ${M} queries in ${N} rows of ${D}, recall@${k}: as in float64`, async () => {
    const draw = random(freshSeed());
    const [queries, gallery] = [drawn(M, D), drawn(N, D)];
    const [asked, known] = [draw.integers(M, 0, 9), draw.integers(N, 0, 9)];
    const found = await retrieval(await device(), queries, asked, gallery, known, { k });
    close([found.recall], [reference.retrieval(queries, asked, gallery, known, k)], { rel: 1e-6 });
    // By all draws: the share of k rows without a right one, as a quotient of binomial coefficients.
    const choose = (n: number) => {
      let ways = 1;
      for (let i = 0; i < k; i++) ways *= (n - i) / (k - i);
      return Math.max(0, ways);
    };
    const misses = Array.from(asked, (label) => {
      const right = known.filter((other) => other === label).length;
      return N - right < k ? 0 : choose(N - right) / choose(N);
    });
    close([found.chance], [1 - misses.reduce((a, b) => a + b, 0) / M], { rel: 1e-6, abs: 1e-12 });
  });

test('retrieval: a label twice in the gallery is found by either row, and counts twice in chance', async () => {
  const gpu = await device();
  const gallery = rows(Float32Array.of(1, 0, 0.9, 0.1, 0, 1, -1, 0), 2);
  const queries = rows(Float32Array.of(0.9, 0.11, 0, 1), 2);
  const found = await retrieval(gpu, queries, ['cat', 'dog'], gallery, ['cat', 'cat', 'dog', 'bird']);
  assert.equal([...found.indices], [1, 2]);
  close([found.recall, found.chance], [1, 3 / 8], { rel: 1e-6 });
  const absent = await retrieval(gpu, queries, ['cow', 'dog'], gallery, ['cat', 'cat', 'dog', 'bird']);
  close([absent.recall, absent.chance], [0.5, 1 / 8], { rel: 1e-6 });
});

test('retrieval among rows that are all equal has the recall of chance', async () => {
  const equal = rows(new Float32Array(80).fill(1), 4);
  const labels = Uint32Array.from({ length: 20 }, (_, i) => i);
  for (const k of [1, 4]) {
    const { recall, chance } = await retrieval(await device(), equal, labels, equal, labels, { k });
    close([recall, chance], [k / 20, k / 20], { rel: 1e-6 });
  }
});

test('other arguments are refused', async () => {
  const gpu = await device();
  const [a, b] = [drawn(4, 3), drawn(5, 3)];
  const labels = [0, 1, 2, 3];
  await throws(() => mutualKnn(gpu, a, b), /mutualKnn: expected as many rows of both, got \[4, 3\]/);
  await throws(() => mutualKnn(gpu, a, a, { k: 4 }), /mutualKnn: .*1 to 3.*"k", got 4/);
  await throws(() => mutualKnn(gpu, drawn(1, 3), drawn(1, 3)), /mutualKnn: expected at least 2 rows, got 1/);
  await throws(() => modalityGap(gpu, a, drawn(4, 2)), /modalityGap: expected rows of one length/);
  await throws(
    () => retrieval(gpu, a, labels, drawn(4, 2), labels),
    /retrieval: expected rows of one length/,
  );
  await throws(() => retrieval(gpu, a, labels, b, labels), /retrieval: .*5 labels.*"galleryLabels", got 4/);
  await throws(() => retrieval(gpu, a, labels, a, labels, { k: 5 }), /retrieval: .*1 to 4.*"k", got 5/);
});
