import type { Device } from '../gpu/device.ts';
import { uniformityLoss } from '../methods/uniformity.ts';
import { compute, type Rows, tensorOf } from './compute.ts';

/**
 * log mean over pairs of exp(-t |u_i - u_j|^2) of unit embeddings: 0 when all coincide, {@link uniformityOptimum} at best.
 * @param z f32 [N, D]; normalised here
 * @param t default 2 (Wang & Isola 2020)
 */
export async function uniformity(device: Device, z: Rows, { t = 2 } = {}): Promise<number> {
  const { value } = await compute(device, () => ({
    value: uniformityLoss(tensorOf('uniformity', z), { t }),
  }));
  return value[0];
}

/** The uniformity of the uniform distribution on the sphere in d dimensions: -2t + log 0F1(; d/2; t^2). */
export function uniformityOptimum(d: number, t = 2): number {
  let sum = 0;
  for (let k = 1, term = 1; term > 1e-17 * sum; k++) {
    sum += term;
    term *= (t * t) / ((d / 2 + k - 1) * k);
  }
  return -2 * t + Math.log(sum);
}
