import type { Device } from '../gpu/device.ts';
import type { Tensor } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean } from '../ops/reduce.ts';
import { sqrt } from '../ops/unary.ts';
import { variance } from '../ops/variance.ts';
import { compute, type Rows, tensorOf } from './compute.ts';
import { type MetricContext, metricsOf } from './metric.ts';
import { fromFirst, inUnits } from './relative.ts';

/** Mean over dimensions of the standard deviation over rows, as a scalar tensor. x: [N, D] */
export const meanStd = (x: Tensor): Tensor => mean(sqrt(variance(x, { axes: 0 })));

/** The spread of embeddings along their axes. */
export interface Spread {
  /** Mean standard deviation of the unit embeddings' dimensions; near 0 in a complete collapse. */
  std: number;
  /** The value of `std` for directions that are spread evenly: 1 / sqrt(D). */
  isotropic: number;
  /** The same for embeddings without normalisation: only this shows a shrinking scale. */
  raw: number;
}

/**
 * Standard deviations of embeddings; 0 where all rows are equal. A row of zeros stays zero among the unit rows.
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

export const stdMetrics = /* @__PURE__ */ metricsOf({ group: 'spread', kind: 'number', needs: ['z'] }, [
  {
    key: 'stdZ',
    name: 'std of z',
    target: { key: 'stdIsotropic', name: '1/√d' },
    measure: { key: 'std', name: 'std of unit rows' },
    text: 'Mean standard deviation of the coordinates of the unit embedding. Evenly spread embeddings in d dimensions have 1/√d; near 0 the encoder has collapsed to a point.',
    async compute(context) {
      const { std, isotropic } = await spreadOf(context);
      return { value: std, target: isotropic };
    },
  },
  {
    key: 'rawStdZ',
    name: 'std of z, not normalised',
    short: 'raw std',
    measure: { key: 'rawStd', name: 'std, not normalised' },
    text: 'The same before the embedding is scaled to unit length; it shows the scale that the network chose.',
    compute: async (context) => (await spreadOf(context)).raw,
  },
]);

const spreadOf = ({ device, z, shared }: Required<MetricContext>) =>
  shared('std of z', () => embeddingStd(device, z.fit));
