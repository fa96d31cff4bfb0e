// Theorem 1 of Wang & Isola 2020: InfoNCE with M negatives, minus log M, tends to alignment + uniformity.
import { type Embeddings, infoNceLosses, limitOf } from '../../src/studies/info_nce_limit.ts';
import { close, device, freshSeed, random, test } from '../harness.ts';

const [A, D] = [64, 8];

function unit(rows: Float32Array, d = D): Float32Array {
  const length = (i: number) => Math.hypot(...rows.subarray(i * d, (i + 1) * d));
  return rows.map((x, i) => x / length(Math.floor(i / d)));
}

/** Anchors evenly over the sphere, positives near them. */
function pairs(count = A, d = D): Pick<Embeddings, 'D' | 'anchors' | 'positives'> {
  const draw = random(freshSeed());
  const anchors = unit(draw.normal(count * d), d);
  const noise = draw.normal(count * d);
  const near = anchors.map((x, i) => x + 0.2 * noise[i]);
  return { D: d, anchors, positives: unit(near, d) };
}

const dot = (a: Float32Array, i: number, b: Float32Array, j: number, d = D) => {
  let total = 0;
  for (let k = 0; k < d; k++) total += a[i * d + k] * b[j * d + k];
  return total;
};
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const logMeanExp = (values: readonly number[]) => {
  const most = Math.max(...values);
  return most + Math.log(mean(values.map((v) => Math.exp(v - most))));
};
/** The mean over the anchors of f(u) in float64. */
const overAnchors = (rows: Float32Array, f: (i: number) => number) =>
  mean(Array.from({ length: rows.length / D }, (_, i) => f(i)));

/** log 0F1(; d/2; x) by its series. */
function log0F1(halfD: number, x: number): number {
  let [sum, term] = [0, 1];
  for (let k = 1; term > 1e-17 * sum; k++) {
    sum += term;
    term *= x / ((halfD + k - 1) * k);
  }
  return Math.log(sum);
}

/** The slope of log |distance| over log M. */
function slope(counts: readonly number[], distances: readonly number[]): number {
  const [x, y] = [counts.map(Math.log), distances.map(Math.log)];
  const [mx, my] = [mean(x), mean(y)];
  const products = x.map((v, i) => (v - mx) * (y[i] - my));
  return mean(products) / mean(x.map((v) => (v - mx) ** 2));
}

test('the limit on the even sphere has a closed form', async () => {
  for (const [d, temperature] of [
    [2, 1],
    [3, 0.5],
    [8, 0.2],
    [64, 0.2],
  ]) {
    const some = pairs(A, d);
    const limit = await limitOf(await device(), { ...some, points: null }, temperature);
    const cosine = mean(Array.from({ length: A }, (_, i) => dot(some.anchors, i, some.positives, i, d)));
    const expected = [-cosine / temperature, log0F1(d / 2, 1 / (4 * temperature ** 2))];
    close([limit.alignment, limit.uniformity], expected, { rel: 2e-6, what: `d = ${d}` });
  }
  // In three dimensions E exp(k cos) is sinh(k) / k.
  const limit = await limitOf(await device(), { ...pairs(A, 3), points: null }, 0.25);
  close([limit.uniformity], [Math.log(Math.sinh(4) / 4)], { rel: 1e-6 });
});

test('the limit of a finite distribution is a finite mean', async () => {
  const some = pairs();
  const points = unit(random(freshSeed()).normal(100 * D));
  const { alignment, uniformity } = await limitOf(await device(), { ...some, points }, 0.2);
  const logits = (i: number) => Array.from({ length: 100 }, (_, j) => dot(some.anchors, i, points, j) / 0.2);
  close(
    [alignment, uniformity],
    [
      -overAnchors(some.anchors, (i) => dot(some.anchors, i, some.positives, i) / 0.2),
      overAnchors(some.anchors, (i) => logMeanExp(logits(i))),
    ],
    { rel: 1e-5 },
  );
});

test('on the even sphere the loss comes near its limit, a draw as fast as the root of M or faster', async () => {
  const temperature = 0.5;
  const embeddings = { ...pairs(), points: null };
  const { alignment, uniformity } = await limitOf(await device(), embeddings, temperature);
  const counts = [16, 64, 256, 1024, 4096];
  const losses = await infoNceLosses(await device(), embeddings, {
    ...{ temperature, counts, draws: 16, seed: freshSeed() },
  });
  const off = (i: number) => losses.map((draw) => draw[i] - Math.log(counts[i]) - alignment - uniformity);
  const distances = counts.map((_, i) => Math.sqrt(mean(off(i).map((v) => v ** 2))));
  const rate = slope(counts, distances);
  if (!(rate < -0.45 && rate > -1.2)) throw new Error(`M^${rate}: ${distances}`);
  if (!(distances[4] < 5e-3 && distances[0] > 0.02)) throw new Error(String(distances));
  // The mean is nearer than a draw: what is left of it falls like 1 / M.
  const bias = Math.abs(mean(off(4)));
  if (!(bias < 3e-3)) throw new Error(`mean off by ${bias}`);
});

test('collapsed embeddings are off by log(1 + 1/M), whatever the temperature', async () => {
  const one = Float32Array.from({ length: A * D }, (_, i) => Number(i % D === 3));
  const embeddings = { D, anchors: one, positives: one, points: one.slice(0, D) };
  const counts = [1, 2, 7, 64, 1000];
  for (const temperature of [0.07, 0.5]) {
    const { alignment, uniformity } = await limitOf(await device(), embeddings, temperature);
    close([alignment + uniformity], [0], { rel: 0, abs: 2e-6 });
    const [losses] = await infoNceLosses(await device(), embeddings, {
      ...{ temperature, counts, draws: 1, seed: freshSeed() },
    });
    const expected = counts.map((M) => Math.log(M + 1));
    close(losses, expected, { rel: 2e-6, what: `temperature ${temperature}` });
  }
});

test('two opposite points: the mean over negatives is a binomial sum, the limit log cosh(1 / temperature)', async () => {
  const temperature = 1;
  const anchors = Float32Array.from({ length: A * D }, (_, i) => (i % D ? 0 : (-1) ** (i / D)));
  const points = anchors.slice(0, 2 * D);
  const embeddings = { D, anchors, positives: anchors, points };
  const limit = await limitOf(await device(), embeddings, temperature);
  const expected = [-1 / temperature, Math.log(Math.cosh(1 / temperature))];
  close([limit.alignment, limit.uniformity], expected, { rel: 1e-6 });
  const [M, draws] = [6, 400];
  const losses = await infoNceLosses(await device(), embeddings, {
    ...{ temperature, counts: [M], draws, seed: freshSeed() },
  });
  // k of M negatives fall on the anchor's own point.
  let [exact, ways] = [0, 1];
  for (let k = 0; k <= M; k++) {
    const sum = Math.exp(1) * (1 + k) + (M - k) * Math.exp(-1);
    exact += (ways / 2 ** M) * (Math.log(sum) - 1);
    ways = (ways * (M - k)) / (k + 1);
  }
  const all = losses.map(([loss]) => loss);
  const error = Math.sqrt(mean(all.map((v) => (v - mean(all)) ** 2)) / draws);
  close([mean(all)], [exact], { rel: 0, abs: 5 * error + 1e-6 });
});
