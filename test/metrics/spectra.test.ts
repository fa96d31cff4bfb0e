import { effectiveRank, spectrumOf } from '../../src/metrics/effective_rank.ts';
import { pivotedCholesky, symmetricEigenvalues } from '../../src/metrics/eigen.ts';
import { effectiveRankOf, participationRatioOf } from '../../src/metrics/live.ts';
import { participationRatio } from '../../src/metrics/participation_ratio.ts';
import { singularValues } from '../../src/metrics/singular_values.ts';
import { spectrum } from '../../src/metrics/spectrum.ts';
import { spectrumSlope } from '../../src/metrics/spectrum_slope.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

interface Rows {
  data: Float32Array;
  shape: [N: number, D: number];
}

/** Rows in so many random directions of a space, with standard deviations k^-decay. */
function lowRank(N: number, D: number, directions: number, { decay = 0, shift = 0 } = {}): Rows {
  const r = random(freshSeed());
  const basis = r.normal(directions * D);
  const data = new Float32Array(N * D);
  for (let i = 0; i < N; i++) {
    const along = r.normal(directions).map((v, k) => v * (k + 1) ** -decay);
    for (let d = 0; d < D; d++) {
      let v = shift;
      for (let k = 0; k < directions; k++) v += along[k] * basis[k * D + d];
      data[i * D + d] = v;
    }
  }
  return { data, shape: [N, D] };
}

/** Singular values over sqrt(N) of centred rows in float64, by the smaller Gram matrix; `kept` of them. */
function exact({ data, shape: [N, D] }: Rows, kept: number, normalized = false): number[] {
  const x = Float64Array.from(data);
  for (let i = 0; i < N && normalized; i++) {
    const size = Math.hypot(...x.subarray(i * D, (i + 1) * D));
    for (let d = 0; d < D; d++) x[i * D + d] /= size;
  }
  for (let d = 0; d < D; d++) {
    let mean = 0;
    for (let i = 0; i < N; i++) mean += x[i * D + d] / N;
    for (let i = 0; i < N; i++) x[i * D + d] -= mean;
  }
  const n = Math.min(N, D);
  const gram = new Float64Array(n * n);
  for (let a = 0; a < n; a++)
    for (let b = 0; b <= a; b++) {
      let total = 0;
      if (D <= N) for (let i = 0; i < N; i++) total += x[i * D + a] * x[i * D + b];
      else for (let d = 0; d < D; d++) total += x[a * D + d] * x[b * D + d];
      gram[a * n + b] = gram[b * n + a] = total / N;
    }
  return reference
    .symmetricEigenvalues(gram, n)
    .slice(0, kept)
    .map((v) => Math.sqrt(Math.max(v, 0)));
}

function rankOf(values: number[]): number {
  const total = values.reduce((a, b) => a + b, 0);
  return Math.exp(-values.reduce((h, v) => h + (v / total) * Math.log(v / total), 0));
}

function slopeOf(values: number[]): number {
  const [x, y] = [values.map((_, i) => Math.log(i + 1)), values.map((v) => 2 * Math.log(v))];
  const mean = (a: number[]) => a.reduce((p, q) => p + q, 0) / a.length;
  const [mx, my] = [mean(x), mean(y)];
  return -x.reduce((s, v, i) => s + (v - mx) * (y[i] - my), 0) / x.reduce((s, v) => s + (v - mx) ** 2, 0);
}

for (const [N, D, directions] of [
  [300, 64, 5],
  [200, 64, 20],
  [60, 96, 30],
  [40, 300, 2],
  [50, 300, 1],
  [90, 33, 33],
  [400, 160, 70],
])
  for (const normalized of [false, true])
    test(`${directions} directions in [${N}, ${D}]${normalized ? ', unit rows' : ''}: as in float64, both ways`, async () => {
      const gpu = await device();
      const x = lowRank(N, D, directions, { decay: 0.4 });
      const wanted = exact(x, directions, normalized);
      const found = await spectrum(gpu, x, { normalized });
      close(found.values, [...wanted, ...new Float64Array(D - wanted.length)], { rel: 1e-6, abs: 0 });
      if (found.values.some((v, i) => i >= directions && v !== 0)) throw new Error('noise is left');
      close([found.rank], [rankOf(wanted)], { rel: 1e-5 });
      if (directions > 1) close([found.slope], [slopeOf(wanted)], { rel: 1e-4, abs: 1e-5 });
      const onGpu = await singularValues(gpu, 'test', x, { normalized }, 0);
      close(onGpu, found.values, { rel: 2e-6, abs: 0, what: 'on the GPU' });
      if (onGpu.some((v, i) => i >= directions && v !== 0)) throw new Error('noise is left on the GPU');
    });

test('one direction reads 1 however wide the space and however few the rows; a large mean changes nothing', async () => {
  const gpu = await device();
  for (const [N, D] of [
    [2, 5],
    [3, 768],
    [100, 256],
  ])
    for (const options of [{}, { normalized: true }]) {
      const x = lowRank(N, D, 1, { shift: N === 2 ? 1 : 0 });
      const found = await spectrum(gpu, x, options);
      // Unit rows of one direction are two points, or one.
      const points = new Set(Array.from({ length: N }, (_, i) => Math.sign(x.data[i * D])));
      if (N > 2 && points.size < 2) continue;
      close([found.rank, found.participationRatio], [1, 1], { rel: 1e-6, what: `[${N}, ${D}]` });
    }
  const shifted = await effectiveRank(gpu, lowRank(200, 48, 1, { shift: 100 }));
  close([shifted.rank], [1], { rel: 1e-6 });
});

test('120 rows of 3,072 have 119 directions at most', async () => {
  const r = random(freshSeed());
  const x: Rows = { data: r.normal(120 * 3072), shape: [120, 3072] };
  const fractions: number[] = [];
  const { rank, spectrum: values } = await effectiveRank(await device(), x, {
    onProgress: (f) => fractions.push(f),
  });
  close([rank], [rankOf(exact(x, 119))], { rel: 1e-5 });
  close([values.length, values.filter((v) => v > 0).length, fractions.at(-1)!], [3072, 119, 1], { rel: 0 });
});

test('equal rows, zero rows, numbers that are not finite, any scale', async () => {
  const gpu = await device();
  const equal: Rows = {
    data: Float32Array.from({ length: 300 }, (_, i) => 0.1 * (1 + (i % 10))),
    shape: [30, 10],
  };
  const zero: Rows = { data: new Float32Array(300), shape: [30, 10] };
  for (const few of [2e9, 0]) {
    for (const x of [equal, zero])
      for (const normalized of [false, true])
        close(await singularValues(gpu, 'test', x, { normalized }, few), new Float64Array(10), {
          rel: 0,
          abs: 0,
        });
    const bad = { ...equal, data: equal.data.map((v, i) => (i === 7 ? Number.NaN : v)) };
    close(await singularValues(gpu, 'test', bad, {}, few), new Float64Array(10).fill(Number.NaN));
    const x = lowRank(50, 10, 4);
    const one = await singularValues(gpu, 'test', x, {}, few);
    for (const scale of [1e-30, 1e-18, 1e20, 1e30]) {
      const scaled = { ...x, data: x.data.map((v) => v * scale) };
      const found = await singularValues(gpu, 'test', scaled, {}, few);
      close(
        found.map((v) => v / scale),
        one,
        { rel: 2e-6, what: `times ${scale}` },
      );
    }
  }
  const { rank, slope, participationRatio: ratio } = await spectrum(gpu, equal);
  close([rank, ratio, slope], [0, 0, Number.NaN], { rel: 0, abs: 0 });
});

test('a covariance in f32: its noise is cut, and nothing else', () => {
  const [N, D, directions] = [500, 64, 5];
  const { data } = lowRank(N, D, directions);
  const covariance = new Float32Array(D * D);
  for (let a = 0; a < D; a++)
    for (let b = 0; b < D; b++)
      for (let i = 0; i < N; i++)
        covariance[a * D + b] = Math.fround(covariance[a * D + b] + data[i * D + a] * data[i * D + b]);
  const values = spectrumOf(covariance);
  close([values.filter((v) => v > 0).length], [directions], { rel: 0 });
  if (!(effectiveRankOf(covariance) <= directions && participationRatioOf(covariance) <= directions))
    throw new Error(`${effectiveRankOf(covariance)}, ${participationRatioOf(covariance)}`);
  // 3e-3 of the largest stays, 1e-4 goes; of fewer rows less goes.
  const diagonal = [1, 9e-6, 1e-8];
  const of = diagonal.flatMap((v, i) => diagonal.map((_, j) => (i === j ? v : 0)));
  close(spectrumOf(of), [1, 3e-3, 0], { rel: 1e-6 });
  close(spectrumOf([1, 0, 0, 2e-7], { rows: 4 }), [1, Math.sqrt(2e-7)], { rel: 1e-6 });
});

for (const n of [1, 2, 7, 40])
  test(`pivoted Cholesky of ${n} x ${n}`, () => {
    const b = random(freshSeed()).normal(n * n);
    const a = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) for (let k = 0; k < n; k++) a[i * n + j] += b[i * n + k] * b[j * n + k];
    const { factor, order } = pivotedCholesky(a, n);
    for (let i = 0; i < n; i++) {
      if (i > 0 && factor[i * n + i] > factor[(i - 1) * n + i - 1] * (1 + 1e-9))
        throw new Error('pivots grow');
      for (let j = 0; j < n; j++) {
        let total = 0;
        for (let k = 0; k <= Math.min(i, j); k++) total += factor[i * n + k] * factor[j * n + k];
        close([total], [a[order[i] * n + order[j]]], {
          rel: 1e-10,
          abs: 1e-10 * symmetricEigenvalues(a, n)[0],
        });
      }
    }
  });

test('what is no spectrum, covariance or option is named', async () => {
  const bad = [null, undefined, 'abc', -1, Number.NaN, {}, [1, '2'], [null], new BigInt64Array(4)];
  for (const value of bad) {
    throws(
      () => participationRatio(value as never),
      /participationRatio: expected an array of numbers for "spectrum", got /,
    );
    throws(() => spectrumSlope(value as never), /spectrumSlope: .*numbers.*"spectrum", got /);
    for (const [name, f] of Object.entries({ spectrumOf, effectiveRankOf, participationRatioOf }))
      throws(() => f(value as never), new RegExp(`${name}: .*numbers.*"covariance", got `));
  }
  for (const value of [[], [1, 2], new Float32Array(5)])
    for (const [name, f] of Object.entries({ spectrumOf, effectiveRankOf, participationRatioOf }))
      throws(
        () => f(value),
        new RegExp(`${name}: expected a square matrix \\[D, D\\] for "covariance", got `),
      );
  throws(() => spectrumSlope([1, 2], { first: 0 }), /spectrumSlope: .*at least 1.*"first", got 0/);
  throws(() => spectrumSlope([1, 2], { last: 1.5 }), /spectrumSlope: .*"last", got 1.5/);
  throws(() => spectrumSlope([1, 2], { end: 1 } as never), /spectrumSlope: unknown option "end"/);
  throws(() => spectrumOf([1], { rows: -1 }), /spectrumOf: .*at least 1.*"rows", got -1/);
  const gpu = await device();
  const x = lowRank(4, 3, 1);
  await throws(
    () => effectiveRank(gpu, x, { centered: true } as never),
    /effectiveRank: unknown option "centered"/,
  );
  await throws(() => spectrum(gpu, x, null as never), /options, got null/);
});
