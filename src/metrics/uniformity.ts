import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { uniformityLoss } from '../methods/uniformity.ts';
import { compute, type Rows, tensorOf } from './compute.ts';
import { metricsOf } from './metric.ts';

/**
 * log mean over pairs of exp(-t |u_i - u_j|^2) of unit embeddings: 0 when all coincide, {@link uniformityOptimum} at best. A row of zeros
 * stays zero: it coincides with other such rows, and has distance 1 from all unit rows.
 * @param z f32 [N, D], N of 2 at least; normalised here
 * @param t default 2 (Wang & Isola 2020)
 * @throws ShapeError, InputError
 */
export async function uniformity(device: Device, z: Rows, options: { t?: number } = {}): Promise<number> {
  tensorOf('uniformity', z);
  checkOptions('uniformity', options, ['t']);
  const { t = 2 } = options;
  checkNumber('uniformity', 't', t, { above: 0, most: 1e6 });
  const { value } = await compute(device, () => ({
    value: uniformityLoss(tensorOf('uniformity', z), { t }),
  }));
  return value[0];
}

/**
 * The uniformity of the uniform distribution on the sphere in d dimensions: -2t + log 0F1(; d/2; t^2).
 * @param d 1 at least
 * @param t default 2; 350 at most
 * @throws InputError
 */
export function uniformityOptimum(d: number, t = 2): number {
  checkNumber('uniformityOptimum', 'd', d, { least: 1 });
  checkNumber('uniformityOptimum', 't', t, { above: 0, most: 350 });
  let sum = 0;
  for (let k = 1, term = 1; term > 1e-17 * sum; k++) {
    sum += term;
    term *= (t * t) / ((d / 2 + k - 1) * k);
  }
  return -2 * t + Math.log(sum);
}

export const uniformityMetrics = /* @__PURE__ */ metricsOf(
  { group: 'spread', kind: 'number', better: 'lower', needs: ['z'] },
  [
    {
      key: 'uniformity',
      name: 'uniformity',
      target: { key: 'uniformityOptimum', name: 'optimum' },
      measure: {},
      text: 'Logarithm of the mean Gaussian potential over pairs of embeddings. 0 means all in one point; the optimum is what points spread evenly over the sphere would have.',
      async compute({ device, z: { fit } }) {
        const [N, D] = fit.shape;
        if (N < 2) return undefined;
        return { value: await uniformity(device, fit), target: uniformityOptimum(D) };
      },
    },
  ],
);
