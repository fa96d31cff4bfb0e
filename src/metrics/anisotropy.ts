import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { sum } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { compute, type Rows, tensorOf } from './compute.ts';
import { metricsOf } from './metric.ts';

/**
 * Mean cosine of two different rows: 0 when directions cancel out, 1 when all are the same (Ethayarajh 2019, arXiv
 * 1909.00512). Computed as (|sum u|^2 - N) / (N (N - 1)) in O(N D).
 * @param x f32 [N, D], N of 2 at least; a row of zeros has no direction, and is left out
 * @returns NaN where fewer than two rows have a direction
 * @throws ShapeError, InputError
 */
export async function anisotropy(device: Device, x: Rows): Promise<number> {
  const [N] = tensorOf('anisotropy', x).shape;
  if (N < 2) throw new InputError(`anisotropy: expected at least 2 rows, got ${N}`);
  const { total, squares } = await compute(device, () => {
    const u = l2Normalize(tensorOf('anisotropy', x));
    return { total: sum(u, { axes: 0 }), squares: sum(square(u), { axes: 1 }) };
  });
  const rows = squares.reduce((n, square) => n + (square === 0 ? 0 : 1), 0);
  const length = total.reduce((sum, v) => sum + v * v, 0);
  return rows < 2 ? Number.NaN : (length - rows) / (rows * (rows - 1));
}

export const anisotropyMetrics = /* @__PURE__ */ metricsOf(
  {
    group: 'structure',
    kind: 'number',
    detail: true,
    missing: 'fewer than two rows have a direction',
  },
  [
    {
      key: 'anisotropy',
      name: 'anisotropy of h',
      measure: { name: 'anisotropy' },
      text: 'Mean cosine of two different images’ representations: 0 when directions cancel out, near 1 when all lie in a narrow cone. Behind a ReLU it is never near 0.',
      compute: ({ device, h }) => ofSeveral(device, h.fit),
    },
    {
      key: 'anisotropyZ',
      name: 'anisotropy of z',
      needs: ['z'],
      text: 'The same for the embedding z; 1 is complete collapse.',
      compute: ({ device, z }) => ofSeveral(device, z.fit),
    },
  ],
);

const ofSeveral = async (device: Device, x: Rows) => (x.shape[0] < 2 ? undefined : anisotropy(device, x));
