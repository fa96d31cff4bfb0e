import {
  batchesPerEpoch,
  batchIndices,
  batchLabels,
  cleanBatch,
  dataset,
  pixelStatistics,
  rows,
} from '../../src/data/dataset.ts';
import { fromArrays } from '../../src/data/idx.ts';
import { compile } from '../../src/graph/compile.ts';
import { input, scalar } from '../../src/graph/tensor.ts';
import { permutationArray } from '../../src/ops/random.ts';
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

test('the data set of the default job: names, classes, normalisation', () => {
  const data = dataset(fromArrays(new Uint8Array(2 * 9), [2, 3, 3], [0, 4]));
  if (data.images.name !== 'images' || data.images.dtype !== 'u8' || data.labels?.name !== 'images.labels')
    throw new Error('names');
  close([data.classes, data.count, ...data.mean, ...data.std], [5, 2, 0.286, 0.353], exact);
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
  throws(() => rows(data, input([2])), /expected indices u32 \[2\], got f32 \[2\]/);
  throws(() => dataset(images, { std: 0 }), /expected 1 numbers for "std", got \[0\]/);
  throws(() => dataset({ ...images, count: 4 }), /expected pixels \[N, H, W, C\]/);
  throws(
    () => dataset({ ...images, labels: new Uint8Array(2) }),
    /expected 3 labels, one for each image, got 2/,
  );
});
