// Small images to train on.
import { dataset } from '../../src/data/dataset.ts';
import { fromArrays } from '../../src/data/idx.ts';
import { random } from '../harness.ts';

export const [COUNT, SIDE] = [48, 8];

/** Images of three patterns with noise. */
export function images(labelled: boolean) {
  const noise = random(3).normal(COUNT * SIDE * SIDE);
  const pixels = Uint8Array.from(noise, (v, i) => {
    const [kind, x] = [Math.floor(i / SIDE ** 2) % 3, i % SIDE];
    return Math.max(0, Math.min(255, 128 + 90 * Math.sin((kind + 1) * x) + 20 * v));
  });
  const labels = labelled ? Array.from({ length: COUNT }, (_, i) => i % 3) : null;
  return dataset(fromArrays(pixels, [COUNT, SIDE, SIDE], labels), { mean: 0.5, std: 0.3 });
}
