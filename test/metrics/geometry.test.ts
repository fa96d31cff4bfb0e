import { type Analogy, analogyAccuracy } from '../../src/metrics/analogy.ts';
import { anisotropy } from '../../src/metrics/anisotropy.ts';
import { linearCka } from '../../src/metrics/cka.ts';
import { effectiveRank, entropyRank } from '../../src/metrics/effective_rank.ts';
import { hubness } from '../../src/metrics/hubness.ts';
import { participationRatio } from '../../src/metrics/participation_ratio.ts';
import { similarityHistogram } from '../../src/metrics/similarity_histogram.ts';
import { spectrum } from '../../src/metrics/spectrum.ts';
import { spectrumSlope } from '../../src/metrics/spectrum_slope.ts';
import { wassersteinUniformity } from '../../src/metrics/wasserstein_uniformity.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

const rows = (data: Float32Array, D: number) => ({ data, shape: [data.length / D, D] as const });

/** Embeddings with unequal axes and a mean. */
function embeddings(N: number, D: number) {
  const r = random(freshSeed());
  return rows(
    r.normal(N * D).map((v, i) => (v * (1 + 2 * (i % D))) / D + 0.3),
    D,
  );
}

const sizes = [
  [3, 2],
  [7, 3],
  [64, 64],
  [127, 33],
  [200, 12],
];

for (const [N, D] of sizes) {
  test(`participation ratio, slope, anisotropy of [${N}, ${D}]: as in float64`, async () => {
    const x = embeddings(N, D);
    const gpu = await device();
    const s = await spectrum(gpu, x);
    const variances = reference.principalVariances(x).map((v) => Math.max(v, 0));
    const total = variances.reduce((a, b) => a + b, 0);
    const squares = variances.reduce((a, b) => a + b * b, 0);
    close([s.participationRatio], [total ** 2 / squares], { rel: 1e-4 });
    close(
      s.values,
      variances.map((v) => Math.sqrt(v)),
      { rel: 1e-3 },
    );
    // Of values above the noise only.
    const kept = variances.filter((v) => v > 1e-6 * variances[0]);
    const [i, v] = [kept.map((_, i) => Math.log(i + 1)), kept.map(Math.log)];
    const mean = (a: number[]) => a.reduce((p, q) => p + q, 0) / a.length;
    const [mi, mv] = [mean(i), mean(v)];
    const slope = mean(i.map((x, k) => (x - mi) * (v[k] - mv))) / mean(i.map((x) => (x - mi) ** 2));
    if (kept.length === D) close([s.slope], [-slope], { rel: 1e-2, what: 'slope' });
    close([await anisotropy(gpu, x)], [reference.anisotropy(x)], { rel: 1e-5, abs: 1e-6 });
  });
}

test('spectrum: a power law gives its exponent, noise and a single value do not count', () => {
  const law = (a: number, n = 50) => Float64Array.from({ length: n }, (_, i) => 3 * (i + 1) ** (-a / 2));
  for (const a of [0, 0.5, 1, 2]) close([spectrumSlope(law(a))], [a], { rel: 1e-9, abs: 1e-12 });
  close([spectrumSlope([...law(1, 20), 1e-7, 1e-8])], [1], { rel: 1e-9 });
  close([spectrumSlope([...law(1, 20), 1e-4], { noise: 3e-4 })], [1], { rel: 1e-9 });
  const bent = law(1).map((v, i) => (i < 10 ? 1 : v));
  close([spectrumSlope(bent, { first: 11, last: 50 })], [1], { rel: 1e-9 });
  close([spectrumSlope([1, 0, 0]), spectrumSlope([0, 0])], [Number.NaN, Number.NaN]);
  close(
    [participationRatio([2, 2, 2, 0]), participationRatio([5, 0]), participationRatio([0, 0])],
    [3, 1, 0],
  );
});

test("RankMe's epsilon changes the rank by at most 2e-6 D of itself", () => {
  for (const D of [8, 64, 784]) {
    const values = random(freshSeed())
      .uniform(D)
      .map((v, i) => (i % 2 ? v : 0));
    const total = values.reduce((a, b) => a + b, 0);
    const paper = Math.exp(-values.reduce((h, v) => h + (v / total + 1e-7) * Math.log(v / total + 1e-7), 0));
    close([entropyRank(values) / paper], [1], { rel: 2e-6 * D, abs: 0 });
  }
});

test('a large mean is anisotropy and lowers the rank that is not centred', async () => {
  const gpu = await device();
  const x = rows(
    random(freshSeed())
      .normal(300 * 16)
      .map((v) => v + 20),
    16,
  );
  if (!((await anisotropy(gpu, x)) > 0.99)) throw new Error('isotropic?');
  const [centred, raw] = [await effectiveRank(gpu, x), await effectiveRank(gpu, x, { centred: false })];
  if (!(centred.rank > 15 && raw.rank < 4)) throw new Error(`${centred.rank}, ${raw.rank}`);
});

test('anisotropy: one direction, opposite rows, zero rows, one row', async () => {
  const gpu = await device();
  close([await anisotropy(gpu, rows(new Float32Array(5000 * 3).fill(2), 3))], [1], { rel: 1e-5 });
  close([await anisotropy(gpu, rows(Float32Array.of(1, 2, -1, -2), 2))], [-1], { rel: 1e-6 });
  // Zero rows have no direction: they are left out.
  close([await anisotropy(gpu, rows(new Float32Array(6), 2))], [Number.NaN]);
  close([await anisotropy(gpu, rows(Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0, 1, 1), 2))], [Math.SQRT2 / 3], {
    rel: 1e-6,
  });
  close([await anisotropy(gpu, rows(Float32Array.of(1, 0, 0, 0), 2))], [Number.NaN]);
  await throws(() => anisotropy(gpu, rows(new Float32Array(3), 3)), /at least 2 rows, got 1/);
});

for (const [N, D] of [
  [2, 2],
  [3, 5],
  [64, 2],
  [127, 3],
  [200, 12],
  [65, 300],
]) {
  test(`W1 uniformity of [${N}, ${D}]: as in float64`, async () => {
    const x = embeddings(N, D);
    const found = await wassersteinUniformity(await device(), x);
    close([found], [reference.wassersteinUniformity(x)], { rel: 0, abs: 2e-5 });
  });
}

test('W1 uniformity of one, two and three dimensions, by hand', async () => {
  const gpu = await device();
  const of = (D: number, ...data: number[]) => wassersteinUniformity(gpu, rows(Float32Array.from(data), D));
  const about = { rel: 0, abs: 1e-6 };
  // Two points of the line, equally often: of six pairs four are opposite.
  close([await of(1, 1, 2, -3, -1)], [1 / 3], about);
  close([await of(1, 1, -1)], [1], about);
  // One right angle: the mean of |s| is 2 / pi on the circle, whose angles are uniform, and 1/2 on the sphere, whose cosines are.
  close([await of(2, 1, 0, 0, 5)], [2 / Math.PI], about);
  close([await of(3, 1, 0, 0, 0, 0, 2)], [1 / 2], about);
  // Opposite rows are as far off as equal ones.
  for (const D of [1, 2, 3, 20]) {
    const row = [...random(freshSeed()).normal(D)];
    close([await of(D, ...row, ...row, ...row)], [1], { ...about, what: `${D}, equal` });
    close([await of(D, ...row, ...row.map((v) => -v))], [1], { ...about, what: `${D}, opposite` });
  }
});

test('W1 uniformity: near 0 for uniform points, more for a cone, for few dimensions, for points that keep apart', async () => {
  const gpu = await device();
  const D = 16;
  const x = random(freshSeed()).normal(2000 * D);
  const of = (data: Float32Array) => wassersteinUniformity(gpu, rows(data, D));
  const uniform = await of(x);
  const cone = await of(x.map((v) => v + 1));
  const flat = await of(x.map((v, i) => (i % D < 3 ? v : 0)));
  // A simplex: every cosine is -1 / D, and the mean of |s + 1/D| is about sqrt(2 / (pi D)).
  const simplex = await of(Float32Array.from({ length: D * D }, (_, i) => Number(i % (D + 1) === 0) - 1 / D));
  if (!(uniform < 0.01 && cone > 0.4 && flat > 0.2 && simplex > 0.15))
    throw new Error(`${uniform}, ${cone}, ${flat}, ${simplex}`);
});

test('W1 uniformity: zero rows are left out; too few rows, NaN', async () => {
  const gpu = await device();
  const of = (D: number, ...data: number[]) => wassersteinUniformity(gpu, rows(Float32Array.from(data), D));
  close([await of(2, 1, 0, 0, 0, 0, 3)], [2 / Math.PI], { abs: 1e-6 });
  close([await of(2, 0, 0, 0, 0), await of(2, 1, 0, 0, 0)], [NaN, NaN]);
  close([await of(2, 1, 0, 0, 1, NaN, 1)], [NaN]);
  await throws(() => of(3, 1, 2, 3), /wassersteinUniformity: expected at least 2 rows, got 1/);
});

for (const [N, D, k] of [
  [12, 3, 10],
  [11, 2, 10],
  [150, 8, 10],
  [130, 33, 31],
]) {
  test(`hubness of [${N}, ${D}], k = ${k}: as in float64`, async () => {
    const x = embeddings(N, D);
    const found = await hubness(await device(), x, { k });
    const wanted = reference.occurrences(x, k);
    // Two neighbours that differ by rounding may change places.
    const wrong = wanted.filter((n, i) => n !== found.occurrences[i]).length;
    if (wrong > 0.05 * N) throw new Error(`${wrong} of ${N} occurrences differ`);
    const skew = wanted.some((n) => n !== wanted[0]) ? reference.skew(wanted) : 0;
    close([found.skew], [skew], { rel: 0, abs: wrong ? 0.1 : 1e-9 });
    close([found.occurrences.reduce((a, b) => a + b)], [N * k], { rel: 0, abs: 0 });
  });
}

test('hubness: a hub, a circle without one, identical rows, too few rows', async () => {
  const gpu = await device();
  // Near the middle of the others, which are along different axes.
  const D = 40;
  const star = new Float32Array((D + 1) * D).fill(0.1);
  for (let i = 0; i < D; i++) star[i * D + i] = 3;
  const hub = await hubness(gpu, rows(star, D), { k: 1 });
  if (!(hub.skew > 5 && hub.occurrences[D] === D)) throw new Error(`${hub.skew}: ${hub.occurrences}`);
  const circle = Float32Array.from({ length: 2 * 24 }, (_, i) =>
    (i % 2 ? Math.sin : Math.cos)((2 * Math.PI * (i >> 1)) / 24),
  );
  const even = await hubness(gpu, rows(circle, 2), { k: 2 });
  close([even.skew], [0], { rel: 0, abs: 0 });
  const same = await hubness(gpu, rows(new Float32Array(60).fill(1), 2), { k: 10 });
  close(same.occurrences.subarray(0, 10), new Float32Array(10).fill(29), { rel: 0, abs: 0 });
  await throws(() => hubness(gpu, rows(new Float32Array(20), 2)), /hubness: .*1 to 9.*"k", got 10/);
});

test('analogies: d and not b, as in float64; what is wrong with them', async () => {
  const r = random(freshSeed());
  const gpu = await device();
  const D = 24;
  // Pairs that differ by nearly one offset, smaller than their distance from each other, among other words.
  const pairs = 12;
  const offset = r.normal(D).map((v) => 0.6 * v);
  const vectors = new Float32Array((2 * pairs + 60) * D);
  for (let p = 0; p < pairs; p++) {
    const base = r.normal(D);
    vectors.set(base, 2 * p * D);
    vectors.set(
      base.map((v, d) => v + offset[d] + 0.05 * r.normal(1)[0]),
      (2 * p + 1) * D,
    );
  }
  vectors.set(r.normal(60 * D), 2 * pairs * D);
  const x = rows(vectors, D);
  const analogies: Analogy[] = [];
  for (let p = 0; p < pairs; p++)
    for (let q = 0; q < pairs; q++) if (p !== q) analogies.push([2 * p, 2 * p + 1, 2 * q, 2 * q + 1]);
  const { accuracy, answers } = await analogyAccuracy(gpu, x, analogies);
  const wanted = analogies.map((each) => reference.analogy(x, each));
  close(answers, wanted, { rel: 0, abs: 0 });
  close([accuracy], [wanted.filter((w, i) => w === analogies[i][3]).length / wanted.length], { rel: 0 });
  if (accuracy < 0.9) throw new Error(`accuracy ${accuracy}`);
  await throws(() => analogyAccuracy(gpu, x, [[0, 1, 2, 84]]), /expected words of 0 to 83, got 84/);
  await throws(() => analogyAccuracy(gpu, x, []), /an analogy at least/);
});

for (const [N, D, E] of [
  [7, 3, 3],
  [65, 16, 33],
  [200, 8, 64],
]) {
  test(`linear CKA of [${N}, ${D}] and [${N}, ${E}]: as by Gram matrices`, async () => {
    const [x, y] = [embeddings(N, D), embeddings(N, E)];
    for (let i = 0; i < N; i++) y.data[i * E] += 2 * x.data[i * D];
    const gpu = await device();
    close([await linearCka(gpu, x, y)], [reference.linearCka(x, y)], { rel: 1e-4 });
    close([await linearCka(gpu, y, x)], [reference.linearCka(x, y)], { rel: 1e-4 });
    // A rotation in one plane, a scale and a shift change nothing.
    const turned = rows(
      x.data.map((v, i) => {
        const [a, b] = [x.data[i - (i % D)], x.data[i - (i % D) + 1]];
        const w = [0.6 * a - 0.8 * b, 0.8 * a + 0.6 * b][i % D] ?? v;
        return 5 * w - 3;
      }),
      D,
    );
    close([await linearCka(gpu, x, turned)], [1], { rel: 1e-4 });
    await throws(
      () => linearCka(gpu, x, rows(y.data.subarray(E), E)),
      /the same samples, got \d+ and \d+ rows/,
    );
  });
}

for (const [N, D] of [
  [40, 8],
  [1500, 4],
]) {
  test(`similarity histogram of ${N} pairs`, async () => {
    const x = embeddings(N, D);
    const y = rows(
      x.data.map((v) => v + 0.1 * (v > 0 ? 1 : -1)),
      D,
    );
    const bins = 20;
    const found = await similarityHistogram(await device(), x, y, { bins });
    const count = Math.min(N, 1024);
    const chosen = Array.from({ length: count }, (_, i) => Math.floor((i * N) / count));
    const unit = ({ data }: typeof x, i: number) => {
      const row = Array.from(data.subarray(i * D, (i + 1) * D));
      return row.map((v) => v / Math.hypot(...row));
    };
    const [u, v] = [chosen.map((i) => unit(x, i)), chosen.map((i) => unit(y, i))];
    const [positive, negative] = [new Float64Array(bins), new Float64Array(bins)];
    for (let i = 0; i < count; i++)
      for (let j = 0; j < count; j++) {
        const cosine = u[i].reduce((total, a, d) => total + a * v[j][d], 0);
        const bin = Math.min(bins - 1, Math.floor(((cosine + 1) / 2) * bins));
        if (i === j) positive[bin] += 1 / count;
        else negative[bin] += 1 / (count * (count - 1));
      }
    close(found.positive, positive, { rel: 0, abs: 1.5 / count });
    close(found.negative, negative, { rel: 0, abs: 2 / (count * (count - 1)) + 1e-4 });
    close([found.edges[0], found.edges[bins], found.edges.length], [-1, 1, bins + 1], { rel: 0 });
  });
}
