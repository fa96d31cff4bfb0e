import * as assert from 'uvu/assert';
import { augment, plainViews } from '../../src/data/augment.ts';
import {
  batchesPerEpoch,
  batchIndices,
  batchLabels,
  cleanBatch,
  dataset,
  pixelStatistics,
  rows,
} from '../../src/data/dataset.ts';
import { fromArrays, sameClasses } from '../../src/data/idx.ts';
import { input, scalar } from '../../src/graph/tensor.ts';
import { evaluate } from '../../src/metrics/evaluate.ts';
import { permutationArray } from '../../src/ops/random.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

const exact = { rel: 0, abs: 0 };

for (const shape of [
  [7, 28, 28],
  [10, 3, 5],
  [5, 1, 1],
  [6, 4, 3, 3],
  [3, 5, 7, 4],
]) {
  test(`cleanBatch, rows, batchLabels of [${shape}]: in order, past the end, by index, in random epochs`, async () => {
    const [count, height, width, channels = 1] = shape;
    const size = height * width * channels;
    const r = random(freshSeed());
    const pixels = Uint8Array.from(r.integers(count * size, 0, 256));
    const labels = r.integers(count, 0, 10);
    const images = fromArrays(pixels, shape, labels);
    const { mean, std } = pixelStatistics(images);
    const data = dataset(images, { mean, std });
    const seed = freshSeed();
    const inputs = { start: scalar('u32'), at: scalar('u32'), indices: input([3], 'u32') };
    const step = await compile(
      await device(),
      ({ start, at, indices }) => ({
        order: cleanBatch(data, { rows: 4, start }),
        bytes: cleanBatch(data, { rows: 4, start, normalize: false }),
        orderLabels: batchLabels(data, { rows: 4, start }),
        chosen: rows(data, indices),
        chosenLabels: batchLabels(data, { rows: 3, views: 2, indices }),
        epoch: cleanBatch(data, { rows: 2, seed, step: at }),
        epochLabels: batchLabels(data, { rows: 2, views: 2, seed, step: at }),
        epochIndices: batchIndices(data, { rows: 2, seed, step: at }),
      }),
      { inputs },
    );
    const shown = (samples: ArrayLike<number>, normalize = true) =>
      Array.from(samples).flatMap((sample) => {
        const from = Math.min(sample, count - 1) * size;
        return Array.from(pixels.subarray(from, from + size), (byte, e) =>
          normalize ? (byte / 255 - mean[e % channels]) / std[e % channels] : byte / 255,
        );
      });
    const label = (samples: ArrayLike<number>) =>
      Array.from(samples, (sample) => labels[Math.min(sample, count - 1)]);
    for (const [start, at] of [
      [0, 0],
      [count - 2, 1],
      [count + 5, 7],
    ]) {
      const indices = r.integers(3, 0, count + 3);
      await step.run({ start, at, indices });
      const order = [0, 1, 2, 3].map((i) => start + i);
      const batches = batchesPerEpoch(data, 2);
      const epoch = permutationArray(count, { seed, epoch: Math.floor(at / batches) });
      const batch = epoch.subarray(2 * (at % batches), 2 * (at % batches) + 2);
      close(await step.read('order'), shown(order), { rel: 1e-6, abs: 1e-6, what: 'order' });
      close(await step.read('bytes'), shown(order, false), { rel: 0, abs: 1e-7, what: 'bytes' });
      close(await step.read('chosen'), shown(indices), { rel: 1e-6, abs: 1e-6, what: 'chosen' });
      close(await step.read('epoch'), shown(batch), { rel: 1e-6, abs: 1e-6, what: 'epoch' });
      close(await step.read('orderLabels'), label(order), { ...exact, what: 'labels in order' });
      close(await step.read('chosenLabels'), [...label(indices), ...label(indices)], {
        ...exact,
        what: 'labels of two views',
      });
      close(await step.read('epochLabels'), [...label(batch), ...label(batch)], { ...exact, what: 'labels' });
      close(await step.read('epochIndices'), batch, { ...exact, what: 'indices' });
    }
    step.dispose();
  });
}

for (const [channels, partBytes, parts] of [
  [1, 64 * 12, 2],
  [3, 3 * 64 * 7, 4],
  [4, 4 * 64 * 6, 4],
])
  test(`a data set in ${parts} parts gives the same batches and views, bit by bit, ${channels} channels`, async () => {
    const [count, side] = [16, 8];
    const pixels = Uint8Array.from(random(freshSeed()).integers(count * side * side * channels, 0, 256));
    const images = fromArrays(pixels, [count, side, side, channels]);
    const sets = [dataset(images), dataset(images, { name: 'parts' }, partBytes)];
    assert.is(sets[1].more.length, parts - 1);
    const step = await compile(
      await device(),
      ({ indices }) =>
        Object.fromEntries(
          sets.flatMap((data, i) => [
            [`order${i}`, cleanBatch(data, { rows: count, start: 0 })],
            [`chosen${i}`, rows(data, indices)],
            [`views${i}`, augment(data, { ...plainViews, batch: count, seed: 3, step: 1 })],
          ]),
        ),
      { inputs: { indices: input([4], 'u32') } },
    );
    await step.run({ indices: Uint32Array.of(15, 0, 9, 7) });
    for (const name of ['order', 'chosen', 'views'])
      close(await step.read(`${name}1`), await step.read(`${name}0`), { ...exact, what: name });
    step.dispose();
  });

test('a data set of more than four parts is refused', () => {
  const images = fromArrays(new Uint8Array(20 * 16), [20, 4, 4]);
  throws(() => dataset(images, {}, 64), /dataset "images": expected at most 256 bytes of pixels, got 320/);
});

test('names and classes of a data set; mean and std are those of its images where none are given', () => {
  const images = fromArrays(
    Uint8Array.from({ length: 18 }, (_, i) => 14 * i),
    [2, 3, 3],
    [0, 4],
  );
  const data = dataset(images);
  if (data.images.name !== 'images' || data.images.dtype !== 'u8' || data.labels?.name !== 'images.labels')
    throw new Error('names');
  // 0, 14, ... 238: their mean is 119, their variance 14^2 (18^2 - 1) / 12.
  const [mean, std] = [119 / 255, (14 * Math.sqrt(323 / 12)) / 255];
  close([data.classes, data.count], [5, 2], exact);
  close([...data.mean, ...data.std], [mean, std], { rel: 1e-12, abs: 0 });
  const half = dataset(images, { std: 0.5 });
  close([...half.mean, ...half.std], [mean, 0.5], { rel: 1e-12, abs: 0 });
});

test('a channel that is the same everywhere has a std of 1, whatever its value', () => {
  for (let value = 0; value < 256; value++) {
    const { mean, std } = pixelStatistics(fromArrays(new Uint8Array(21 * 64).fill(value), [21, 8, 8]));
    assert.equal([mean, std], [[value / 255], [1]]);
  }
});

test('a channel that is nearly the same everywhere has no scale of its own either', () => {
  const n = 2 ** 20;
  const pixels = new Uint8Array(2 * n).fill(77);
  pixels[0] = 78; // one of a million
  for (let i = 0; i < n / 1024; i++) pixels[2 * i + 1] = 78; // one of a thousand
  const { std } = pixelStatistics(fromArrays(pixels, [1, 1024, 1024, 2]));
  close(std, [1, Math.sqrt((1 / 1024) * (1 - 1 / 1024)) / 255], { rel: 1e-12, abs: 0 });
  dataset(fromArrays(pixels, [1, 1024, 1024, 2]), pixelStatistics(fromArrays(pixels, [1, 1024, 1024, 2])));
});

test('views of a constant channel stay where those of its neighbours are', async () => {
  const r = random(freshSeed());
  const pixels = Uint8Array.from(r.integers(8 * 64 * 3, 0, 256), (byte, i) => (i % 3 === 2 ? 77 : byte));
  const images = fromArrays(pixels, [8, 8, 8, 3]);
  const data = dataset(images, pixelStatistics(images));
  const step = await compile(
    await device(),
    () => ({
      clean: cleanBatch(data, { rows: 8, start: 0 }),
      views: augment(data, { ...plainViews, batch: 8, seed: 1, step: 0 }),
    }),
    { warmUp: false },
  );
  await step.run();
  const blue = (x: Float32Array) => x.filter((_, i) => i % 3 === 2);
  close(blue(await step.read('clean')), new Float32Array(8 * 64), { rel: 0, abs: 1e-6 });
  assert.ok((await step.read('views')).every((x) => Math.abs(x) < 10));
  step.dispose();
});

test('means and deviations that training cannot stand are refused, by the channel', () => {
  const images = fromArrays(new Uint8Array(2 * 4 * 3), [2, 2, 2, 3]);
  dataset(images, { mean: 0, std: 1 / 255 });
  throws(
    () => dataset(images, { mean: [0.3, 0.3, 0.302], std: [0.2, 0.2, 3.7e-9] }),
    /dataset "images": expected normalised pixels of at most 10000, got 1.9e\+8 in channel 2: its std of 3.7e-9 is too small/,
  );
  throws(
    () => dataset(images, { mean: [123.7, 116.3, 103.5] }),
    /a number of 0 to 1, since pixels are in \[0, 1\]/,
  );
  throws(() => dataset(images, { mean: new Array(3) }), /for "mean", got \[/);
  throws(() => dataset(images, { mean: [0.5, 0.5] }), /each of 3 channels for "mean", got \[0.5, 0.5\]/);
  throws(() => dataset(images, { std: [1, Number.NaN, 1] }), /for "std", got \[1, NaN, 1\]/);
  throws(() => dataset(images, { std: Number.POSITIVE_INFINITY }), /got \[Infinity, Infinity, Infinity\]/);
  const spoilt = { ...dataset(images), std: [1, 1, 1e-30] };
  throws(() => cleanBatch(spoilt, { rows: 1, start: 0 }), /normalised pixels of at most 10000/);
});

test('class numbers beyond a byte, and labels that are words', async () => {
  const pixels = new Uint8Array(4 * 4);
  const numbered = dataset(fromArrays(pixels, [4, 2, 2], [3, 999, 0, 3]));
  const named = dataset(fromArrays(pixels, [4, 2, 2], ['cat', 'dog', 'cat', 'ant']), { name: 'named' });
  assert.equal(
    [numbered.classes, numbered.values, named.classes, named.values],
    [1000, undefined, 3, ['ant', 'cat', 'dog']],
  );
  const step = await compile(
    await device(),
    () => ({
      a: batchLabels(numbered, { rows: 4, start: 0 }),
      b: batchLabels(named, { rows: 4, start: 0 }),
    }),
    { warmUp: false },
  );
  await step.run();
  assert.equal([...(await step.read('a'))], [3, 999, 0, 3]);
  assert.equal([...(await step.read('b'))], [1, 2, 1, 0]);
  step.dispose();
});

test('data sets that number their classes differently are not compared', async () => {
  const pixels = new Uint8Array(2 * 4);
  const sets = [fromArrays(pixels, [2, 2, 2], ['cat', 'dog']), fromArrays(pixels, [2, 2, 2], ['dog', 'eel'])];
  const [train, other] = sets.map((images, i) => dataset(images, { name: `set${i}` }));
  await throws(
    async () => evaluate(await device(), { train, test: other }, null),
    /evaluate: the data sets number their classes differently; .* sameClasses/,
  );
  const [a, b] = sameClasses(...sets);
  assert.equal([...a.labels!, ...b.labels!, a.classes, b.classes], [0, 1, 1, 2, 3, 3]);
  assert.equal(a.values, ['cat', 'dog', 'eel']);
});

test('pixelStatistics agree with numbers known beforehand', () => {
  const { mean, std } = pixelStatistics(fromArrays(Uint8Array.of(0, 255, 255, 255), [2, 1, 1, 2]));
  close([...mean, ...std], [0.5, 1, 0.5, 1], { rel: 0, abs: 1e-12 });
});

test('errors', () => {
  const images = fromArrays(new Uint8Array(12), [3, 2, 2]);
  const data = dataset(images);
  throws(() => batchLabels(data, { rows: 1, start: 0 }), /batchLabels: data set "images" has no labels/);
  throws(() => cleanBatch(data, { rows: 1, start: 0.5 }), /cleanBatch: .* for "start", got 0.5/);
  throws(() => cleanBatch(data, { rows: 1 }), /expected "start", "indices", or "seed" and "step"/);
  throws(() => batchIndices(data, { rows: 4, seed: 1, step: 0 }), /a batch of at most 3 samples, got 4/);
  throws(() => rows(data, input([2])), /rows: expected an? u32 tensor .* for "indices", got f32 \[2\]/);
  throws(() => dataset(images, { std: 0 }), /above 0, for each of 1 channels.*"std", got \[0\]/);
  throws(() => dataset({ ...images, count: 4 }), /expected pixels \[N, H, W, C\]/);
  throws(() => dataset({ ...images, labels: new Uint8Array(2) }), /3 labels.*got 2/);
});
