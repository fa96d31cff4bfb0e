import * as assert from 'uvu/assert';
import { frechetDistance } from '../../src/metrics/frechet.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

const rows = (data: Float32Array, D: number) => ({ data, shape: [data.length / D, D] as const });

/** Rows [N, D] whose mean is exactly 0 and whose covariance is exactly the identity: those of +-sqrt on each axis. */
function crosses(D: number) {
  const N = 2 * D;
  const data = new Float32Array(N * D);
  for (let n = 0; n < N; n++) data[n * D + (n >> 1)] = (n % 2 ? -1 : 1) * Math.sqrt((N - 1) / 2);
  return data;
}

/** Random rows of which some columns are functions of others. */
function dependent(N: number, D: number) {
  const x = random(freshSeed()).normal(N * D);
  return x.map((v, i) => (i % D === 0 ? 7 : i % D === D - 1 ? x[i - 1] * 2 : v * (1 + (i % D))));
}

/** y = x A' + b of each row. */
const mapped = (x: Float32Array, D: number, A: readonly number[], b: readonly number[]) =>
  x.map((_, i) => {
    const [n, d] = [Math.floor(i / D), i % D];
    let total = b[d];
    for (let k = 0; k < D; k++) total += A[d * D + k] * x[n * D + k];
    return total;
  });

test('equal sets, in any order: 0', async () => {
  const gpu = await device();
  for (const [N, D] of [
    [3, 1],
    [40, 6],
    [200, 64],
  ]) {
    const x = dependent(N, D);
    const turned = Float32Array.from(x, (_, i) => x[(N - 1 - Math.floor(i / D)) * D + (i % D)]);
    const size = x.reduce((sum, v) => sum + v * v, 0) / N;
    close([await frechetDistance(gpu, rows(x, D), rows(turned, D))], [0], { abs: 1e-6 * size });
  }
});

test('diagonal covariances: the distances of the axes add up', async () => {
  const gpu = await device();
  const D = 5;
  const x = crosses(D);
  const [s, t] = [
    [1, 2, 0.5, 0, 3],
    [2, 2, 1, 1, 0],
  ];
  const scaled = (by: number[], shift: number) =>
    rows(
      x.map((v, i) => v * by[i % D] + shift),
      D,
    );
  const expected = s.reduce((sum, v, d) => sum + (v - t[d]) ** 2, 0) + D * 0.25;
  close([await frechetDistance(gpu, scaled(s, 1), scaled(t, 1.5))], [expected], { rel: 1e-6 });
});

test('two Gaussians whose axes differ: the closed form of 2 x 2 matrices', async () => {
  const gpu = await device();
  const x = crosses(2);
  const [A, B] = [
    [1.5, 0, 0.7, 0.4],
    [0.3, -1, 2, 0.9],
  ];
  const covariance = ([a, b, c, d]: number[]) => [a * a + b * b, a * c + b * d, c * c + d * d];
  const [[p, q, r], [u, v, w]] = [covariance(A), covariance(B)];
  // tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)), M = C_x C_y.
  const trace = p * u + 2 * q * v + r * w;
  const root = Math.sqrt(trace + 2 * Math.sqrt((p * r - q * q) * (u * w - v * v)));
  const expected = 1 + 4 + p + r + u + w - 2 * root;
  const [a, b] = [mapped(x, 2, A, [0, 1]), mapped(x, 2, B, [1, 3])];
  close([await frechetDistance(gpu, rows(a, 2), rows(b, 2))], [expected], { rel: 1e-5 });
});

test('it does not see a rotation of both, nor their order', async () => {
  const gpu = await device();
  const [N, D] = [50, 3];
  const [x, y] = [dependent(N, D), random(freshSeed()).normal(N * D)];
  const [c, s] = [Math.cos(0.7), Math.sin(0.7)];
  const turn = (z: Float32Array) => rows(mapped(z, D, [c, -s, 0, s, c, 0, 0, 0, 1], [0, 0, 0]), D);
  const plain = await frechetDistance(gpu, rows(x, D), rows(y, D));
  assert.ok(plain > 1, `${plain}`);
  close([await frechetDistance(gpu, turn(x), turn(y))], [plain], { rel: 1e-5 });
  close([await frechetDistance(gpu, rows(y, D), rows(x, D))], [plain], { rel: 1e-5 });
});

test('not finite: NaN; too few rows, other widths: errors', async () => {
  const gpu = await device();
  const x = random(freshSeed()).normal(40);
  assert.ok(Number.isNaN(await frechetDistance(gpu, rows(x.with(3, Number.NaN), 4), rows(x, 4))));
  await throws(
    () => frechetDistance(gpu, rows(x, 4), rows(x.slice(0, 16), 4)),
    /frechetDistance: expected more than 4 rows of width 4, got 4/,
  );
  await throws(
    () => frechetDistance(gpu, rows(x, 4), rows(x, 2)),
    /frechetDistance: .*one width, got 4 and 2/,
  );
});
