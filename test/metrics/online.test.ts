import * as assert from 'uvu/assert';
import { input } from '../../src/graph/tensor.ts';
import { knnNeighbours } from '../../src/metrics/knn.ts';
import { onlineAccuracies, onlineMetrics } from '../../src/metrics/online.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

/** Both accuracies on the GPU. */
async function accuracies(
  gallery: Float32Array,
  queries: Float32Array,
  D: number,
  labels: Parameters<typeof onlineAccuracies>[1],
) {
  const inputs = { g: input([gallery.length / D, D]), q: input([queries.length / D, D]) };
  const step = await compile(await device(), ({ g, q }) => onlineMetrics(g, q, labels), { inputs });
  await step.run({ g: gallery, q: queries });
  const [neighbours, covariance, cross, centred] = await Promise.all(
    (['neighbours', 'covariance', 'cross', 'queries'] as const).map((name) => step.read(name)),
  );
  step.dispose();
  return onlineAccuracies({ neighbours, covariance, cross, queries: centred }, labels);
}

for (const [N, M, D, classes] of [
  [12, 5, 3, 2],
  [130, 65, 8, 4],
  [257, 40, 33, 10],
]) {
  test(`k-NN and ridge probe of [N, M, D, classes] = [${[N, M, D, classes]}]: as in float64`, async () => {
    const r = random(freshSeed());
    const labels = { gallery: r.integers(N, 0, classes), queries: r.integers(M, 0, classes), classes };
    const near = (of: Uint32Array) =>
      r.normal(of.length * D).map((v, i) => v + 0.5 + 2 * Number(i % D === of[Math.floor(i / D)] % D));
    const [gallery, queries] = [near(labels.gallery), near(labels.queries)];
    const found = await accuracies(gallery, queries, D, labels);
    const [g, q] = [gallery, queries].map((data) => ({ data, shape: [data.length / D, D] }));
    const knn = reference.knnAccuracy(g, labels.gallery, q, labels.queries, {
      k: knnNeighbours(labels.gallery),
    });
    const hot = Float64Array.from({ length: N * classes }, (_, i) =>
      Number(labels.gallery[Math.floor(i / classes)] === i % classes),
    );
    const scores = reference.ridgeRegression(g, { data: hot, shape: [N, classes] }, q);
    const right = scores.filter((row, i) => row.indexOf(Math.max(...row)) === labels.queries[i]).length;
    // One row may fall on the other side by rounding.
    close([found.knn, found.probe], [knn, right / M], { rel: 0, abs: 1.01 / M });
  });
}

test('values that are not numbers are refused by name', () => {
  const labels = { gallery: [0, 1, 1], queries: [1], classes: 2 };
  const read = { neighbours: [0], covariance: [1], cross: [1, 1], queries: [1] };
  assert.ok(onlineAccuracies(read, labels).knn >= 0);
  for (const cross of [new BigInt64Array(2), ['1', '2']])
    throws(
      () => onlineAccuracies({ ...read, cross: cross as never }, labels),
      /onlineAccuracies: expected the values of onlineMetrics .* for "cross"/,
    );
});

test('online metrics of a collapsed representation: chance, and no NaN', async () => {
  const labels = { gallery: [0, 1, 1, 1], queries: [1, 1, 0], classes: 2 };
  const found = await accuracies(new Float32Array(4 * 5).fill(2), new Float32Array(3 * 5).fill(2), 5, labels);
  // The one neighbour that votes, as the smaller class has one row, is the first; the probe finds the larger class.
  close([found.knn, found.probe], [1 / 3, 2 / 3], { rel: 1e-6 });
});
