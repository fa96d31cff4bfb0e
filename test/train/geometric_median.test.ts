import * as assert from 'uvu/assert';
import { geometricMedian } from '../../src/train/geometric_median.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

const rows = (data: Float32Array, D: number) => ({ data, shape: [data.length / D, D] as const });

/** In float64, by many more rounds. */
function reference(data: Float32Array, D: number): Float64Array {
  const N = data.length / D;
  let median = new Float64Array(D);
  for (const [i, value] of data.entries()) median[i % D] += value / N;
  for (let round = 0; round < 1000; round++) {
    const next = new Float64Array(D);
    let total = 0;
    for (let n = 0; n < N; n++) {
      const row = data.subarray(n * D, (n + 1) * D);
      let square = 0;
      for (let d = 0; d < D; d++) square += (row[d] - median[d]) ** 2;
      const weight = 1 / Math.max(1e-12, Math.sqrt(square));
      for (let d = 0; d < D; d++) next[d] += weight * row[d];
      total += weight;
    }
    median = next.map((sum) => sum / total);
  }
  return median;
}

test('as in float64, at sizes around tiles', async () => {
  const gpu = await device();
  for (const [N, D] of [
    [33, 5],
    [65, 7],
    [300, 33],
  ]) {
    const draw = random(freshSeed());
    const data = draw.normal(N * D).map((value, i) => value + (i % D));
    close(await geometricMedian(gpu, rows(data, D)), reference(data, D), { rel: 1e-4, abs: 1e-4 });
  }
});

test('a few far rows move the mean, not the median; the same bits again', async () => {
  const gpu = await device();
  const [N, D] = [200, 6];
  const data = random(freshSeed()).normal(N * D);
  const far = data.map((value, i) => (i < 10 * D ? 1e4 : value));
  const [median, again, clean] = [
    await geometricMedian(gpu, rows(far, D)),
    await geometricMedian(gpu, rows(far, D)),
    await geometricMedian(gpu, rows(data, D)),
  ];
  assert.ok(
    median.every((value) => Math.abs(value) < 0.6),
    `${median}`,
  );
  close(again, median, { rel: 0, abs: 0 });
  close(median, clean, { rel: 0, abs: 0.5 });
});

test('equal rows, rows of zeros, one row, two rows', async () => {
  const gpu = await device();
  const row = Float32Array.of(0.5, -2, 3);
  for (const count of [1, 5]) {
    const data = Float32Array.from({ length: 3 * count }, (_, i) => row[i % 3]);
    close(await geometricMedian(gpu, rows(data, 3)), row, { rel: 1e-6 });
    close(await geometricMedian(gpu, rows(new Float32Array(3 * count), 3)), [0, 0, 0], { rel: 0, abs: 0 });
  }
  close(await geometricMedian(gpu, rows(Float32Array.of(0, 0, 2, 4), 2)), [1, 2], { rel: 1e-6 });
});

test('errors', async () => {
  const gpu = await device();
  await throws(() => geometricMedian(gpu, rows(new Float32Array(6), 3), { rounds: -1 }), /"rounds"/);
});
