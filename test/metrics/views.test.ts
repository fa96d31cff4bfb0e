import { equivariance } from '../../src/metrics/equivariance.ts';
import { invariance } from '../../src/metrics/invariance.ts';
import { lidar } from '../../src/metrics/lidar.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

const rows = (data: Float32Array, D: number) => ({ data, shape: [data.length / D, D] as const });
type Rows = ReturnType<typeof rows>;

/** Embeddings with unequal axes and a mean. */
function embeddings(N: number, D: number, r = random(freshSeed())) {
  return rows(
    r.normal(N * D).map((v, i) => (v * (1 + 2 * (i % D))) / D + 0.3),
    D,
  );
}
const noisy = (x: Rows, noise: number, r = random(freshSeed())) =>
  rows(
    x.data.map((v) => v + noise * r.normal(1)[0]),
    x.shape[1],
  );

for (const [N, D, views] of [
  [40, 3, 2],
  [65, 16, 3],
  [200, 33, 5],
]) {
  test(`LiDAR of ${views} views [${N}, ${D}]: as in float64`, async () => {
    const x = embeddings(N, D);
    const z = Array.from({ length: views }, () => noisy(x, 0.3));
    close([await lidar(await device(), z)], [reference.lidar(z)], { rel: 1e-3 });
  });
}

test('LiDAR: few directions that views agree on, no noise at all, a large scale, one point', async () => {
  const gpu = await device();
  const [N, D] = [300, 24];
  const r = random(freshSeed());
  // The samples differ in three directions; the views agree in no other.
  const signal = rows(
    new Float32Array(N * D).map((_, i) => (i % D < 3 ? 10 * r.normal(1)[0] : 0)),
    D,
  );
  const views = [noisy(signal, 0.3), noisy(signal, 0.3)];
  const rank = await lidar(gpu, views);
  close([rank], [reference.lidar(views)], { rel: 1e-3 });
  if (!(rank > 2.5 && rank < 3.5)) throw new Error(`LiDAR ${rank} of three directions`);
  const x = embeddings(N, D);
  const same = await lidar(gpu, [x, x]);
  close([same], [reference.lidar([x, x])], { rel: 1e-3 });
  // delta = 1e-4 would drown in what f32 rounds at this scale.
  const huge = await lidar(
    gpu,
    views.map((z) =>
      rows(
        z.data.map((v) => 1e4 * v),
        D,
      ),
    ),
  );
  close([huge], [rank], { rel: 0.1 });
  const point = rows(new Float32Array(N * D).fill(1), D);
  close([await lidar(gpu, [point, point])], [0], { rel: 0, abs: 0 });
  await throws(() => lidar(gpu, [x]), /two views or more, got 1/);
  await throws(() => lidar(gpu, [x, embeddings(N, 3)]), /lidar: expected rows of one shape, got \[300, 24\]/);
});

for (const [N, D] of [
  [2, 5],
  [65, 3],
  [127, 33],
]) {
  test(`invariance of [${N}, ${D}]: as over all pairs`, async () => {
    const x = embeddings(N, D);
    const y = noisy(x, 0.4);
    const gpu = await device();
    close([await invariance(gpu, x, y)], [reference.invariance(x, y)], { rel: 1e-4, abs: 1e-5 });
    close([await invariance(gpu, x, x)], [1], { rel: 0, abs: 0 });
  });
}

test('invariance: 0 for unrelated rows, whatever scale and mean; NaN for one point', async () => {
  const gpu = await device();
  const [x, y] = [embeddings(2000, 8), embeddings(2000, 8)].map((z) =>
    rows(
      z.data.map((v) => 50 * v + 7),
      8,
    ),
  );
  close([await invariance(gpu, x, y)], [0], { rel: 0, abs: 0.1 });
  const point = rows(new Float32Array(30).fill(3), 3);
  close([await invariance(gpu, point, point)], [Number.NaN]);
  await throws(
    () => invariance(gpu, rows(new Float32Array(3), 3), rows(new Float32Array(3), 3)),
    /at least 2 rows/,
  );
});

/** Rows through a matrix, [D, D], and a shift. */
function mapped({ data, shape: [N, D] }: Rows, matrix: Float32Array): Rows {
  const y = new Float32Array(N * D);
  for (let i = 0; i < N; i++)
    for (let d = 0; d < D; d++) {
      y[i * D + d] = 2;
      for (let k = 0; k < D; k++) y[i * D + d] += data[i * D + k] * matrix[k * D + d];
    }
  return rows(y, D);
}

for (const [N, M, D] of [
  [30, 20, 3],
  [150, 65, 16],
  [200, 127, 33],
]) {
  test(`equivariance of [${N}, ${D}] and [${M}, ${D}]: R^2 as in float64, and of the wrong map`, async () => {
    const r = random(freshSeed());
    const [right, wrong] = [r.normal(D * D), r.normal(D * D)];
    const [train, held] = [embeddings(N, D, r), embeddings(M, D, r)];
    const scale = 0.5 * Math.sqrt(D);
    const [trainG, heldG] = [train, held].map((x) => noisy(mapped(x, right), 0.3 * scale, r));
    const gpu = await device();
    const found = await equivariance(
      gpu,
      { fx: train, fgx: trainG },
      { fx: held, fgx: heldG, wrong: mapped(held, wrong) },
    );
    const wanted = reference.equivariance([train, trainG], [held, heldG]);
    const control = reference.equivariance([train, trainG], [held, mapped(held, wrong)]);
    close([found.r2, found.control!], [wanted, control], { rel: 1e-3 });
    if (!(found.r2 > found.control! + 0.3)) throw new Error(JSON.stringify(found));
  });
}

test('equivariance: an invariant encoder is no better with the right map; dead dimensions do no harm', async () => {
  const gpu = await device();
  const [train, held] = [embeddings(100, 8), embeddings(80, 8)];
  for (const { data } of [train, held]) for (let i = 3; i < data.length; i += 8) data[i] = 0;
  const same = await equivariance(gpu, { fx: train, fgx: train }, { fx: held, fgx: held, wrong: held });
  close([same.r2, same.control!], [1, 1], { rel: 0, abs: 1e-3 });
  const { control } = await equivariance(gpu, { fx: train, fgx: train }, { fx: held, fgx: held });
  if (control !== null) throw new Error(`control ${control}`);
});
