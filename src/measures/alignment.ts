import type { Device } from '../gpu/device.ts';
import { alignmentLoss } from '../methods/alignment.ts';
import { compute, type Rows, tensorOf } from './compute.ts';

/**
 * Mean squared distance of two views' unit embeddings: 0 when they agree, 2 for unrelated directions.
 * Low is good only together with low {@link uniformity}: a collapsed encoder has 0 as well.
 * @param zA, zB f32 [N, D], the two views of each sample; normalised here
 */
export async function alignment(device: Device, zA: Rows, zB: Rows): Promise<number> {
  const { value } = await compute(device, () => ({
    value: alignmentLoss(tensorOf('alignment', zA), tensorOf('alignment', zB)),
  }));
  return value[0];
}
