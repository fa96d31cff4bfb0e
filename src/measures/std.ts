import type { Device } from '../gpu/device.ts';
import type { Tensor } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean, variance } from '../ops/reduce.ts';
import { sqrt } from '../ops/unary.ts';
import { compute, type Rows, tensorOf } from './compute.ts';

/** Mean over dimensions of the standard deviation over rows, as a scalar tensor. x: [N, D] */
export const meanStd = (x: Tensor): Tensor => mean(sqrt(variance(x, { axes: 0 })));

/** How far embeddings spread along their axes. */
export interface Spread {
  /** Mean standard deviation of the unit embeddings' dimensions; near 0 in a complete collapse. */
  std: number;
  /** What `std` is for directions spread evenly: 1 / sqrt(D). */
  isotropic: number;
  /** The same of embeddings as they are: a shrinking scale is seen here only. */
  raw: number;
}

/** Standard deviations of embeddings. @param z f32 [N, D] */
export async function embeddingStd(device: Device, z: Rows): Promise<Spread> {
  const { std, raw } = await compute(device, () => {
    const x = tensorOf('std', z);
    return { std: meanStd(l2Normalize(x)), raw: meanStd(x) };
  });
  return { std: std[0], isotropic: 1 / Math.sqrt(z.shape[1]), raw: raw[0] };
}
