import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { mul, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { sum } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { compute, type Rows, tensorOf } from './compute.ts';

/**
 * Mean cosine of two different rows: 0 when directions cancel out, 1 when all are the same (Ethayarajh 2019, arXiv
 * 1909.00512). As (|sum u|^2 - sum |u|^2) / (N (N - 1)), so it costs O(N D).
 * @param x f32 [N, D], N of 2 at least
 */
export async function anisotropy(device: Device, x: Rows): Promise<number> {
  const [N] = x.shape;
  if (N < 2) throw new InputError(`anisotropy: expected at least 2 rows, got ${N}`);
  const { value } = await compute(device, () => {
    const u = l2Normalize(tensorOf('anisotropy', x));
    return { value: mul(sub(sum(square(sum(u, { axes: 0 }))), sum(square(u))), 1 / (N * (N - 1))) };
  });
  return value[0];
}
