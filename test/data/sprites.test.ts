import * as assert from 'uvu/assert';
import { dataset, pixelStatistics } from '../../src/data/dataset.ts';
import {
  dSpritesFactors,
  renderSprites,
  type SpriteOptions,
  spriteFactors,
  sprites,
} from '../../src/data/sprites.ts';
import { grad } from '../../src/graph/gradient.ts';
import { input } from '../../src/graph/tensor.ts';
import { sum } from '../../src/ops/reduce.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from '../ops/check.ts';

async function drawn(rows: number[][], options: SpriteOptions = {}) {
  const factors = input([rows.length, rows[0].length], 'u32');
  const { y } = await evaluate({ factors }, (t) => ({ y: renderSprites(t.factors, options) }), {
    factors: rows.flat(),
  });
  const each = y.length / rows.length;
  return rows.map((_, n) => y.subarray(n * each, (n + 1) * each));
}

/** Whether a point of the plane, y upwards, lies in a shape of circumscribed radius 1. */
const INSIDE = [
  (x: number, y: number) => x * x <= 0.5 && y * y <= 0.5,
  (x: number, y: number) => x * x + (y / 0.6) ** 2 <= 1,
  // A square on its corner and two discs, the tip at (0, -1).
  (x: number, y: number) => {
    const [u, v] = [0.65661 * Math.abs(x), 0.65661 * (y + 1)];
    return u + Math.abs(v - 0.5) <= 0.5 || (u - 0.25) ** 2 + (v - 0.75) ** 2 <= 1 / 8;
  },
];

/** The covered share of each pixel, by counting points of a fine grid, in float64. */
function byCounting(
  [shape, scale, turn, x, y]: number[],
  size: number,
  values: Record<string, number>,
  fine = 16,
) {
  const part = (value: number, count: number) => (count > 1 ? value / (count - 1) : undefined);
  const radius = 0.24 * size * (0.5 + 0.5 * (part(scale, values.scale) ?? 1));
  const angle = (2 * Math.PI * turn) / values.orientation;
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [cx, cy] = [x, y].map((v, i) => size * (0.25 + 0.5 * (part(v, i ? values.y : values.x) ?? 0.5)));
  return Float64Array.from({ length: size * size }, (_, pixel) => {
    let inside = 0;
    for (let k = 0; k < fine * fine; k++) {
      const px = (pixel % size) + ((k % fine) + 0.5) / fine - cx;
      const py = cy - (Math.floor(pixel / size) + (Math.floor(k / fine) + 0.5) / fine);
      const u = (cos * px + sin * py) / radius;
      const v = (cos * py - sin * px) / radius;
      if (INSIDE[shape](u, v)) inside++;
    }
    return inside / fine ** 2;
  });
}

const total = (x: ArrayLike<number>) => Array.from(x).reduce((a, b) => a + b, 0);
function centroid(image: ArrayLike<number>, size: number) {
  let [x, y] = [0, 0];
  for (let i = 0; i < image.length; i++) {
    x += image[i] * ((i % size) + 0.5);
    y += image[i] * (Math.floor(i / size) + 0.5);
  }
  return [x / total(image), y / total(image)];
}

for (const [size, values] of [
  [28, spriteFactors],
  [29, { ...spriteFactors, scale: 1, x: 1, y: 3, orientation: 7 }],
  [64, dSpritesFactors],
  [9, spriteFactors],
] as const) {
  test(`sprites of ${size} x ${size} are those of float64`, async () => {
    const r = random(freshSeed());
    const counts = [3, values.scale, values.orientation, values.x, values.y];
    const rows = Array.from({ length: size > 30 ? 3 : 12 }, (_, n) =>
      counts.map((count, f) => (f ? Math.floor(count * r.next()) : n % 3)),
    );
    const images = await drawn(rows, { size, values });
    for (const [n, image] of images.entries()) {
      const expected = byCounting(rows[n], size, values);
      close(image, expected, { rel: 0, abs: 0.06, what: `[${rows[n]}]` });
      // Corners are soft: each adds some 0.02 pixels.
      close([total(image)], [total(expected)], { rel: 0.02, abs: 0.25, what: `area of [${rows[n]}]` });
    }
  });
}

test('symmetries: a square by a quarter turn, an ellipse by a half one, a heart by none', async () => {
  const same = (a: Float32Array, b: Float32Array) => Math.max(...a.map((v, i) => Math.abs(v - b[i]))) < 1e-4;
  for (const [shape, period] of [2, 4, 8].entries()) {
    const images = await drawn(Array.from({ length: 8 }, (_, turn) => [shape, 2, turn, 3, 4]));
    for (let a = 0; a < 8; a++)
      for (let b = 0; b < 8; b++)
        assert.is(same(images[a], images[b]), a % period === b % period, `${shape}: ${a} and ${b}`);
  }
});

test('a quarter turn of the heart is the transposed and mirrored image', async () => {
  const [still, turned] = await drawn(
    [0, 2].map((turn) => [2, 3, turn, 0, 0]),
    { values: { x: 1, y: 1 } },
  );
  const expected = still.map((_, i) => still[(i % 28) * 28 + (27 - Math.floor(i / 28))]);
  close(turned, expected, { rel: 0, abs: 1e-4 });
});

test('x and y move the centroid by whole pixels, scale changes the area by its square', async () => {
  const rows = Array.from({ length: 8 }, (_, k) => [k % 3, 3, 1, k, 7 - k]);
  for (const [k, image] of (await drawn(rows)).entries())
    close(centroid(image, 28), [7 + 2 * k, 21 - 2 * k], { rel: 0, abs: 0.02, what: `${rows[k]}` });
  const [a, b] = await drawn([
    [2, 3, 5, 2, 2],
    [2, 3, 5, 3, 2],
  ]);
  close(b.subarray(2), a.subarray(0, 28 * 28 - 2), { rel: 0, abs: 1e-4 });
  for (const shape of [0, 1, 2]) {
    const areas = (
      await drawn(
        [0, 3].map((scale) => [shape, scale, 0, 4, 4]),
        { size: 64 },
      )
    ).map(total);
    close([areas[1] / areas[0]], [4], { rel: 0.01 });
  }
});

test('hue changes colours only, and red, green and blue are pure', async () => {
  const values = { hue: 6 };
  const rows = Array.from({ length: 6 }, (_, hue) => [2, 3, 1, 4, 5, hue]);
  const [gray] = await drawn([rows[0].slice(0, 5)]);
  const images = await drawn(rows, { color: true, values });
  const pure = [
    [1, 0, 0],
    [1, 1, 0],
    [0, 1, 0],
    [0, 1, 1],
    [0, 0, 1],
    [1, 0, 1],
  ];
  for (const [hue, image] of images.entries())
    close(
      image,
      image.map((_, i) => gray[Math.floor(i / 3)] * pure[hue][i % 3]),
      { rel: 0, abs: 1e-5 },
    );
});

test('a factor past its last value is the last one', async () => {
  const [a, b] = await drawn(
    [
      [2, 3, 7, 7, 7, 3],
      [9, 8, 0xffffffff, 8, 100, 4],
    ],
    { color: true },
  );
  close(b, a, { rel: 0, abs: 0 });
});

test('all sprites: each combination once, bytes of the drawn images, a data set', async () => {
  const images = await sprites({ device: await device() });
  const { names, values, data: factors } = images.factors;
  assert.equal(
    [images.count, images.height, images.width, images.channels, images.classes],
    [6144, 28, 28, 1, 3],
  );
  assert.equal(
    [names, values],
    [
      ['shape', 'scale', 'orientation', 'x', 'y'],
      [3, 4, 8, 8, 8],
    ],
  );
  const row = (i: number) => [...factors.subarray(5 * i, 5 * i + 5)];
  assert.equal(
    [row(0), row(1), row(6143)],
    [
      [0, 0, 0, 0, 0],
      [0, 0, 0, 0, 1],
      [2, 3, 7, 7, 7],
    ],
  );
  assert.is(new Set(Array.from({ length: 6144 }, (_, i) => String(row(i)))).size, 6144);
  const r = random(freshSeed());
  const some = r.integers(20, 0, 6144);
  for (const [k, image] of (await drawn([...some].map(row))).entries()) {
    const bytes = images.pixels.subarray(some[k] * 784, (some[k] + 1) * 784);
    close(
      bytes,
      image.map((v) => Math.round(255 * v)),
      { rel: 0, abs: 1 },
    );
    assert.is(images.labels![some[k]], row(some[k])[0]);
  }
  const { mean, std } = pixelStatistics(images);
  assert.ok(mean[0] > 0.05 && mean[0] < 0.1, `mean ${mean}`);
  assert.ok(std[0] > 0.2 && std[0] < 0.3, `std ${std}`);
  // Every sprite lies inside, and none is faint.
  for (let n = 0; n < 6144; n++) {
    const image = images.pixels.subarray(784 * n, 784 * (n + 1));
    assert.is(Math.max(...image), 255, String(row(n)));
    const edge = image.some((v, i) => v > 0 && (i < 28 || i >= 756 || i % 28 === 0 || i % 28 === 27));
    if (edge && row(n)[1] < 3) throw new Error(`${row(n)} touches the edge`);
  }
  assert.is(dataset(images).count, 6144);
});

test('batches that do not divide the grid; colour', async () => {
  const values = { shape: 3, scale: 2, orientation: 1, x: 1, y: 1, hue: 3 };
  const images = await sprites({ device: await device(), size: 700, color: true, values });
  const { names, data: factors } = images.factors;
  assert.equal([images.count, images.channels, names.length], [18, 3, 6]);
  const each = 700 * 700 * 3;
  for (const n of [0, 4, 5, 17]) {
    const middle = images.pixels.subarray(
      n * each + 3 * (350 * 700 + 350),
      n * each + 3 * (350 * 700 + 350) + 3,
    );
    assert.equal(
      [...middle],
      [0, 1, 2].map((c) => (c === factors[6 * n + 5] ? 255 : 0)),
    );
  }
});

test('errors of sprites', async () => {
  const factors = input([2, 5], 'u32');
  throws(
    () => renderSprites(factors, { size: 3 }),
    /renderSprites: expected a whole number of 4 to 1024 for "size", got 3/,
  );
  throws(
    () => renderSprites(factors, { color: true }),
    /expected factors \[N, 6\] \(shape, .*, hue\), got \[2, 5\]/,
  );
  throws(
    () => renderSprites(input([2, 5])),
    /renderSprites: expected a u32 tensor of 2 dimensions for "factors"/,
  );
  throws(
    () => renderSprites(factors, { values: { shape: 4 } }),
    /a whole number of 1 to 3 for "values.shape", got 4/,
  );
  throws(() => renderSprites(factors, { values: { hues: 4 } as never }), /unknown option "hues"/);
  throws(() => grad(sum(renderSprites(factors)), [factors]), /renderSprites.*no gradient/);
  const gpu = await device();
  await throws(
    () => sprites({ device: gpu, values: dSpritesFactors }),
    /sprites: expected at most 536870912 bytes/,
  );
  await throws(() => sprites({ device: null as never }), /sprites: expected/);
});
