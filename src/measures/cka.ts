import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { compute, type Rows, tensorOf } from './compute.ts';

/**
 * Linear centred kernel alignment of two encoders (Kornblith et al. 2019, arXiv 1905.00414, eq. 4): |Y^T X|^2 /
 * (|X^T X| |Y^T Y|) of centred rows. 1 when they differ by a rotation and a scale only, 0 when uncorrelated; with fewer
 * rows than dimensions it is high by chance.
 * @param x, y f32 [N, D], [N, E], the same samples
 */
export async function linearCka(device: Device, x: Rows, y: Rows): Promise<number> {
  if (x.shape[0] !== y.shape[0])
    throw new InputError(`linearCka: expected the same samples, got ${x.shape[0]} and ${y.shape[0]} rows`);
  const { xy, xx, yy } = await compute(device, () => {
    const [a, b] = [x, y].map((rows) => {
      const t = tensorOf('linearCka', rows);
      return sub(t, mean(t, { axes: 0, keepDims: true }));
    });
    const squared = (p: typeof a, q: typeof a) =>
      sum(square(mul(matmul(p, q, { transposeA: true }), 1 / x.shape[0])));
    return { xy: squared(a, b), xx: squared(a, a), yy: squared(b, b) };
  });
  return xy[0] / Math.sqrt(xx[0] * yy[0]);
}
