// Images that are made, by a generator or by a Gaussian of pixels, and how far they are from others under an encoder.
import type { Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { constant, reshape, type Tensor } from '../graph/tensor.ts';
import { compileTrajectory, type Generator } from '../methods/parts/diffusion.ts';
import { compute } from '../metrics/compute.ts';
import { pivotedCholesky } from '../metrics/eigen.ts';
import { embed } from '../metrics/embed.ts';
import { frechetDistance } from '../metrics/frechet.ts';
import { sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { normalArray } from '../ops/random.ts';
import { mean } from '../ops/reduce.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';

/** Images in one pass. */
const BATCH = 250;

/** Images [count, H, W, C], as networks see those of the data set. */
export type MadeImages = { data: Float32Array; shape: readonly number[] };

/** Images that a generator makes of noise, in so many steps. */
export async function generated(
  device: Device,
  generator: Generator,
  { count, steps, seed }: { count: number; steps: number; seed: number },
): Promise<MadeImages> {
  const size = generator.shape.reduce((a, b) => a * b);
  const batch = Math.min(BATCH, count);
  const trajectory = await compileTrajectory(device, generator, { count: batch, towards: 'data' });
  const data = new Float32Array(count * size);
  try {
    for (let at = 0; at < count; at += batch) {
      const made = await trajectory.run(normalArray(batch * size, { seed, stream: at }), steps);
      const { x } = await compute(device, () => ({
        x: generator.unscaled(constant(made, [batch, ...generator.shape])),
      }));
      data.set(x.subarray(0, (Math.min(count, at + batch) - at) * size), at * size);
    }
  } finally {
    trajectory.dispose();
  }
  return { data, shape: [count, ...generator.shape] };
}

/** The first images of a data set. */
export async function firstImages(device: Device, images: Dataset, count: number): Promise<MadeImages> {
  const { height, width, channels } = images;
  const { x } = await embed(device, images, (x) => ({ x: reshape(x, [x.shape[0], -1]) }));
  const all = (await readVariable(device, x)) as Float32Array;
  freeVariables(device, [x]);
  return { data: all.slice(0, count * height * width * channels), shape: [count, height, width, channels] };
}

/** The noise that a generator's trajectory leads images to, in so many steps: rows [count, D]. */
export async function inverted(
  device: Device,
  generator: Generator,
  images: Dataset,
  { steps }: { steps: number },
): Promise<{ data: Float32Array; shape: [number, number] }> {
  const { x } = await embed(device, images, (x) => ({ x: reshape(generator.scaled(x), [x.shape[0], -1]) }));
  const data = (await readVariable(device, x)) as Float32Array;
  freeVariables(device, [x]);
  const D = data.length / images.count;
  const count = Math.min(BATCH, images.count);
  const there = await compileTrajectory(device, generator, { count, towards: 'noise' });
  try {
    for (let at = 0; at < data.length; at += count * D) {
      // The last batch begins where it is still a whole one.
      const from = Math.min(at, data.length - count * D);
      const noise = await there.run(data.slice(from, from + count * D), steps);
      data.set(noise.subarray(at - from), at);
    }
  } finally {
    there.dispose();
  }
  return { data, shape: [images.count, D] };
}

/** Samples of the Gaussian with the mean and the covariance of the pixels of a data set; not kept within black and white. */
export async function pixelGaussian(
  device: Device,
  images: Dataset,
  { count, seed }: { count: number; seed: number },
): Promise<MadeImages> {
  const { height, width, channels, count: N } = images;
  const D = height * width * channels;
  const { pixels } = await embed(device, images, (x) => ({ pixels: x }));
  const { centre, covariance } = await compute(device, () => {
    const centre = mean(pixels, { axes: 0, keepDims: true });
    const off = sub(pixels, centre);
    return { centre, covariance: matmul(off, off, { transposeA: true }) };
  });
  freeVariables(device, [pixels]);
  const { factor, order } = pivotedCholesky(
    Float64Array.from(covariance, (v) => v / (N - 1)),
    D,
    1e-7,
  );
  // Columns above the diagonal are not part of the factor.
  const mixing = Float32Array.from(factor, (v, at) => (at % D <= Math.floor(at / D) ? v : 0));
  const { y } = await compute(device, () => ({
    y: matmul(constant(normalArray(count * D, { seed }), [count, D]), constant(mixing, [D, D]), {
      transposeB: true,
    }),
  }));
  const data = new Float32Array(count * D);
  for (let n = 0; n < count; n++)
    for (const [i, d] of order.entries()) data[n * D + d] = centre[d] + y[n * D + i];
  return { data, shape: [count, height, width, channels] };
}

/** h of images under an encoder, [count, D]. */
export async function encoded(
  device: Device,
  encoder: (x: Tensor) => Tensor,
  { data, shape: [count, ...size] }: MadeImages,
): Promise<{ data: Float32Array; shape: [number, number] }> {
  const parts: Float32Array[] = [];
  const each = data.length / count;
  for (let at = 0; at < count; at += BATCH) {
    const some = data.subarray(at * each, Math.min(count, at + BATCH) * each);
    const { h } = await compute(device, () => ({
      h: encoder(constant(some, [some.length / each, ...size])),
    }));
    parts.push(h);
  }
  const D = parts[0].length / Math.min(BATCH, count);
  const all = new Float32Array(count * D);
  for (const [i, part] of parts.entries()) all.set(part, i * BATCH * D);
  return { data: all, shape: [count, D] };
}

/** The Fréchet distance of made images and those of a data set, by their h. */
export async function distanceTo(
  device: Device,
  encoder: (x: Tensor) => Tensor,
  made: MadeImages,
  images: Dataset,
): Promise<number> {
  const { h } = await embed(device, images, (x) => ({ h: encoder(x) }));
  try {
    return await frechetDistance(device, await encoded(device, encoder, made), h);
  } finally {
    freeVariables(device, [h]);
  }
}
