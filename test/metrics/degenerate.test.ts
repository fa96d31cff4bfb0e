// Metrics of embeddings that are all equal, zero, or so large or small that their squares leave f32, and invalid arguments.

import { input } from '../../src/graph/tensor.ts';
import { alignment } from '../../src/metrics/alignment.ts';
import { anisotropy } from '../../src/metrics/anisotropy.ts';
import { linearCka } from '../../src/metrics/cka.ts';
import { effectiveRank } from '../../src/metrics/effective_rank.ts';
import { equivariance } from '../../src/metrics/equivariance.ts';
import { invariance } from '../../src/metrics/invariance.ts';
import { kMeans } from '../../src/metrics/kmeans.ts';
import { lidar } from '../../src/metrics/lidar.ts';
import { linearProbe } from '../../src/metrics/linear_probe.ts';
import { liveMetrics } from '../../src/metrics/live.ts';
import { embeddingStd } from '../../src/metrics/std.ts';
import { uniformity, uniformityOptimum } from '../../src/metrics/uniformity.ts';
import { wassersteinUniformity } from '../../src/metrics/wasserstein_uniformity.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

const [N, D] = [60, 8];
const rows = (data: Float32Array) => ({ data, shape: [data.length / D, D] as const });
const healthy = () => {
  const r = random(freshSeed());
  const x = r.normal(N * D);
  return { x: rows(x), y: rows(x.map((v) => v + 0.1 * r.normal(1)[0])) };
};
/** All rows the same, of numbers that f32 rounds; and the same but for their last places. */
const equal = rows(Float32Array.from({ length: N * D }, (_, i) => 0.1 * (1 + (i % D))));
const nearlyEqual = rows(equal.data.map((v, i) => v * (1 + (i % 3) * 2 ** -24)));
const zero = rows(new Float32Array(N * D));

test('equal rows: what divides by their spread is undefined', async () => {
  const gpu = await device();
  const { x, y } = healthy();
  const undefinedOnes: Record<string, () => Promise<number>> = {};
  for (const [name, point] of Object.entries({ equal, nearlyEqual, zero })) {
    undefinedOnes[`invariance, ${name}`] = () => invariance(gpu, point, point);
    undefinedOnes[`invariance of views, ${name}`] = () => invariance(gpu, point, y);
    undefinedOnes[`CKA, ${name}`] = () => linearCka(gpu, point, x);
    undefinedOnes[`CKA of the other, ${name}`] = () => linearCka(gpu, x, point);
    const of = async (train: typeof x, held: typeof x, wrong = y) =>
      equivariance(gpu, { fx: train, fgx: held }, { fx: train, fgx: held, wrong });
    undefinedOnes[`equivariance, ${name}`] = async () => (await of(point, point)).r2;
    undefinedOnes[`equivariance of views, ${name}`] = async () => (await of(x, point)).r2;
    undefinedOnes[`equivariance's control, ${name}`] = async () => (await of(x, y, point)).control!;
  }
  undefinedOnes.anisotropy = () => anisotropy(gpu, zero);
  undefinedOnes['W1 uniformity'] = () => wassersteinUniformity(gpu, zero);
  for (const [name, run] of Object.entries(undefinedOnes)) close([await run()], [Number.NaN], { what: name });
});

test('equal rows: what is defined says that they coincide', async () => {
  const gpu = await device();
  for (const [what, point] of Object.entries({ equal, zero })) {
    const { std, raw } = await embeddingStd(gpu, point);
    const { rank } = await effectiveRank(gpu, point);
    const spread = [std, raw, rank, await lidar(gpu, [point, point]), await alignment(gpu, point, point)];
    close(spread, [0, 0, 0, 0, 0], { rel: 0, abs: 0, what });
    close([await uniformity(gpu, point)], [0], { rel: 0, abs: 1e-12, what });
  }
  close([await anisotropy(gpu, equal), await wassersteinUniformity(gpu, equal)], [1, 1], { rel: 1e-6 });
});

test('rows of zeros do not make embeddings look healthier', async () => {
  const gpu = await device();
  const { x } = healthy();
  const half = rows(x.data.map((v, i) => (Math.floor(i / D) % 2 ? 0 : v)));
  const rest = rows(
    Float32Array.from({ length: (N / 2) * D }, (_, i) => x.data[Math.floor(i / D) * 2 * D + (i % D)]),
  );
  if (!((await uniformity(gpu, half)) > (await uniformity(gpu, x)) + 0.1)) throw new Error('uniformity');
  if (!((await embeddingStd(gpu, half)).std < (await embeddingStd(gpu, x)).std)) throw new Error('std');
  close([await anisotropy(gpu, half)], [await anisotropy(gpu, rest)], { rel: 1e-5, abs: 1e-6 });
});

test('embeddings of any scale that f32 can hold: the same numbers', async () => {
  const gpu = await device();
  const { x, y } = healthy();
  const other = healthy().x;
  const metrics = async (scale: number) => {
    const [a, b] = [x, y].map((z) => rows(z.data.map((v) => v * scale)));
    const { std, raw } = await embeddingStd(gpu, a);
    const { r2, control } = await equivariance(gpu, { fx: a, fgx: b }, { fx: a, fgx: b, wrong: a });
    const values = [await uniformity(gpu, a), await alignment(gpu, a, b), std, raw / scale];
    values.push(
      await anisotropy(gpu, a),
      await wassersteinUniformity(gpu, a),
      await invariance(gpu, a, b),
      await linearCka(gpu, a, other),
      r2,
      control!,
    );
    values.push((await effectiveRank(gpu, a)).rank, (await effectiveRank(gpu, a, { normalized: true })).rank);
    return values;
  };
  const one = await metrics(1);
  for (const scale of [1e-30, 1e-22, 1e-18, 1e-9, 1e9, 1e18, 1e20, 1e30, 1e37]) {
    close(await metrics(scale), one, { rel: 1e-5, what: `times ${scale}` });
    // Its delta is a length: at other scales only the directions that separate samples are the same.
    const [a, b] = [x, y].map((z) => rows(z.data.map((v) => v * scale)));
    const rank = await lidar(gpu, [a, b]);
    if (!(rank > 1 && rank <= D)) throw new Error(`LiDAR ${rank} at ${scale}`);
  }
  close([one[6]], [reference.invariance({ ...x, shape: [...x.shape] }, { ...y, shape: [...y.shape] })], {
    rel: 1e-4,
  });
});

test('a linear probe and k-means of rows of any scale: the same accuracies and clusters', async () => {
  const gpu = await device();
  const r = random(freshSeed());
  const classes = 3;
  const labels = Int32Array.from({ length: 300 }, (_, i) => i % classes);
  const centres = r.normal(classes * D);
  const x = r.normal(labels.length * D).map((v, i) => v + centres[labels[Math.floor(i / D)] * D + (i % D)]);
  const found = async (scale: number) => {
    const a = rows(x.map((v) => v * scale));
    const [learned, asked] = [a.data.subarray(0, 200 * D), a.data.subarray(200 * D)].map(rows);
    const probe = async (few: number | 'all') =>
      (await linearProbe(gpu, learned, labels.subarray(0, 200), asked, labels.subarray(200), { labels: few }))
        .accuracies;
    const { clusters, inertia } = await kMeans(gpu, a, { k: classes });
    return [...(await probe('all')), ...(await probe(30)), inertia / scale ** 2, ...clusters];
  };
  const one = await found(1);
  // Powers of two change no digit.
  for (const power of [-100, -60, 60, 100])
    close(await found(2 ** power), one, { rel: 0, abs: 0, what: `times 2^${power}` });
});

test('what is no number, no option, no views is named', async () => {
  const gpu = await device();
  const { x, y } = healthy();
  const bad = [null, undefined, 'x', -1, Number.NaN, [1, 2], {}];
  for (const value of bad) {
    const v = value as never;
    const calls: Record<string, () => Promise<unknown>> = {
      uniformity: () => uniformity(gpu, x, { t: value === undefined ? Number.NaN : v }),
      lidar: () => lidar(gpu, v),
      equivariance: () => equivariance(gpu, { fx: x, fgx: y }, v),
    };
    // What is inside of lists and pairs is tensorOf's to check.
    if (typeof value === 'object' && value !== null)
      for (const name of ['lidar', 'equivariance']) delete calls[name];
    for (const [name, call] of Object.entries(calls)) await throws(call, new RegExp(`^${name}: expected `));
    throws(() => uniformityOptimum(value as never), /^uniformityOptimum: .*at least 1.*"d", got /);
    throws(() => liveMetrics(v, v), /^liveMetrics: expected an f32 tensor of 2 dimensions for "zA", got /);
    throws(
      () => liveMetrics(input([2, 3]), v),
      /^liveMetrics: expected an f32 tensor of 2 dimensions for "zB", got /,
    );
  }
  await throws(() => lidar(gpu, [x, y], { delta: -1 }), /lidar: .*at least 0.*"delta", got -1/);
  await throws(() => uniformity(gpu, x, { t: 0 }), /uniformity: .*above 0 .*"t", got 0/);
  await throws(() => uniformity(gpu, x, { tau: 1 } as never), /uniformity: unknown option "tau"/);
  throws(() => uniformityOptimum(8, 1e9), /uniformityOptimum: .*above 0 and at most 350.*"t"/);
  const pair = { fx: x, fgx: y };
  await throws(() => equivariance(gpu, pair, pair, { ridge: Number.NaN }), /at least 0.*"ridge", got NaN/);
  await throws(
    () => equivariance(gpu, pair, pair, { rigde: 1 } as never),
    /equivariance: unknown option "rigde"/,
  );
  const narrow = { data: new Float32Array(40), shape: [10, 4] };
  await throws(
    () => equivariance(gpu, pair, { fx: narrow, fgx: narrow }),
    /equivariance: expected test rows of 8 as in training, got \[10, 4\]/,
  );
});
