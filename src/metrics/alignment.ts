import type { Device } from '../gpu/device.ts';
import { alignmentLoss } from '../methods/alignment.ts';
import { compute, type Rows, sameShapes, tensorOf } from './compute.ts';
import { metricsOf } from './metric.ts';

/**
 * Mean squared distance of two views' unit embeddings: 0 when they agree, 2 for unrelated directions.
 * Low is good only together with low {@link uniformity}: a collapsed encoder has 0 as well. A row of zeros stays zero, at distance 1
 * from all unit rows.
 * @param zA, zB f32 [N, D], the two views of each sample; normalised here
 * @throws ShapeError
 */
export async function alignment(device: Device, zA: Rows, zB: Rows): Promise<number> {
  tensorOf('alignment', zA);
  tensorOf('alignment', zB);
  sameShapes('alignment', zA, zB);
  const { value } = await compute(device, () => ({
    value: alignmentLoss(tensorOf('alignment', zA), tensorOf('alignment', zB)),
  }));
  return value[0];
}

export const alignmentMetrics = /* @__PURE__ */ metricsOf(
  { group: 'spread', kind: 'number', needs: ['views'] },
  [
    {
      key: 'alignment',
      name: 'alignment',
      measure: {},
      text: 'Mean squared distance between the embeddings of two views of the same image. Lower is better only together with low uniformity: a collapsed encoder has a perfect 0.',
      compute: ({ device, views: [zA, zB] }) => alignment(device, zA, zB),
    },
  ],
);
