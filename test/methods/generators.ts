// Methods that generate images, at work on bars.
import * as assert from 'uvu/assert';
import { rows as imagesAt } from '../../src/data/dataset.ts';
import { constant } from '../../src/graph/tensor.ts';
import type { ImageMethod } from '../../src/methods/method.ts';
import { compileTrajectory } from '../../src/methods/parts/diffusion.ts';
import { compute } from '../../src/metrics/compute.ts';
import { device, random } from '../harness.ts';
import { drawn, trainOnBars } from './images.ts';

/** The mean distance of images to the nearest of others. */
function nearness(images: Float32Array, others: Float32Array, size: number) {
  const N = images.length / size;
  let total = 0;
  for (let n = 0; n < N; n++) {
    let best = Number.POSITIVE_INFINITY;
    for (let m = 0; m < others.length / size; m++) {
      let distance = 0;
      for (let i = 0; i < size; i++) distance += (images[n * size + i] - others[m * size + i]) ** 2;
      best = Math.min(best, distance);
    }
    total += Math.sqrt(best);
  }
  return total / N;
}

/**
 * Trains shortly: the loss falls, samples are nearer to images than the mean of all of them is (noise is three times as far), inverted
 * images are noise of about the right size and come back roughly, and panels have the shapes they say.
 */
export async function generatesBars(
  // biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
  method: ImageMethod<any>,
  learningRate: number,
  hyperparameters: Record<string, number> = {},
): Promise<void> {
  const numbers = await trainOnBars(
    method,
    { steps: 300, learningRate, hyperparameters: { width: 16, momentum: 0.98, ...hyperparameters } },
    async (model, images) => {
      const gpu = await device();
      const { generator } = model.recipe;
      assert.ok(generator);
      const count = 48;
      const ids = Uint32Array.from({ length: count }, (_, i) => i);
      const { x } = await compute(gpu, () => ({
        x: generator.scaled(imagesAt(images, constant(ids, [count], 'u32'))),
      }));
      const size = x.length / count;
      assert.ok(x.every((v) => v >= -1.0001 && v <= 1.0001) && x.some((v) => v < -0.99), 'images in [-1, 1]');
      const [there, back] = await Promise.all(
        (['noise', 'data'] as const).map((towards) => compileTrajectory(gpu, generator, { count, towards })),
      );
      const noise = await there.run(x, 25);
      const std = Math.sqrt(noise.reduce((sum, v) => sum + v * v, 0) / noise.length);
      const again = await back.run(noise, 25);
      const error = Math.sqrt(again.reduce((sum, v, i) => sum + (v - x[i]) ** 2, 0) / x.length);
      const samples = await back.run(random(5).normal(x.length), 25);
      for (const each of [there, back]) each.dispose();
      const blur = x.map((_, i) => {
        let sum = 0;
        for (let n = 0; n < count; n++) sum += x[n * size + (i % size)] / count;
        return sum;
      });
      const [own, blurred] = [samples, blur].map((some) => nearness(some, x, size));
      const found = `samples ${own}, blur ${blurred}; noise ${std}, back ${error}`;
      assert.ok(own < 0.8 * blurred, found);
      assert.ok(std > 0.6 && std < 1.4 && error < 0.5, found);
      const panels = await drawn(model, images);
      assert.equal(Object.keys(panels), [
        ...['Samples', 'From noise to data', 'From data to noise and back', 'Interpolations'],
      ]);
    },
  );
  const { loss } = numbers.at(-1)!;
  assert.ok(loss < 0.4 * numbers[0].loss, `loss ${numbers[0].loss} to ${loss}`);
}
