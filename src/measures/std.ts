import type { Device } from '../gpu/device.ts';
import type { Tensor } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean } from '../ops/reduce.ts';
import { sqrt } from '../ops/unary.ts';
import { variance } from '../ops/variance.ts';
import { compute, type Rows, tensorOf } from './compute.ts';
import { fromFirst, inUnits } from './relative.ts';

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

/**
 * Standard deviations of embeddings; 0 where all rows are equal. A row of zeros stays at 0 among the unit rows.
 * @param z f32 [N, D]
 * @throws ShapeError
 */
export async function embeddingStd(device: Device, z: Rows): Promise<Spread> {
  const [, D] = tensorOf('embeddingStd', z).shape;
  const { std, raw, unit } = await compute(device, () => {
    const x = tensorOf('embeddingStd', z);
    const {
      unit,
      in: [scaled],
    } = inUnits(x);
    return { std: meanStd(fromFirst(l2Normalize(x))), raw: meanStd(fromFirst(scaled)), unit };
  });
  return { std: std[0], isotropic: 1 / Math.sqrt(D), raw: raw[0] * unit[0] };
}
