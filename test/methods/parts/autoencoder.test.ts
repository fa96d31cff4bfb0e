import { input } from '../../../src/graph/tensor.ts';
import { pixelsOf } from '../../../src/methods/parts/autoencoder.ts';
import { close, freshSeed, random, test } from '../../harness.ts';
import { evaluate } from '../../ops/check.ts';

test('pixels of views are clipped to black and white, others are those of the images', async () => {
  const image = {
    ...{ height: 5, width: 7, channels: 3, count: 4 },
    ...{ mean: [0.2, 0.5, 0.7], std: [0.1, 0.4, 0.3] },
  };
  const size = 4 * 5 * 7 * 3;
  const pixels = random(freshSeed()).uniform(size, -0.5, 1.5);
  const x = pixels.map((v, i) => (v - image.mean[i % 3]) / image.std[i % 3]);
  const found = await evaluate({ x: input([4, 5, 7, 3]) }, ({ x }) => ({ pixels: pixelsOf(x, image) }), {
    x,
  });
  close(
    found.pixels,
    pixels.map((v) => Math.min(1, Math.max(0, v))),
    { rel: 0, abs: 1e-6 },
  );
  if (found.pixels.some((v) => v < 0 || v > 1))
    throw new Error('a pixel is darker than black or brighter than white');
});
