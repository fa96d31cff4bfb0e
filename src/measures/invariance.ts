import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { sub } from '../ops/binary.ts';
import { sum, variance } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { compute, type Rows, sameShapes, tensorOf } from './compute.ts';

/**
 * How little a transformation g moves f, against how far apart samples are: 1 - E |f(gx) - f(x)|^2 / E |f(x) - f(x')|^2.
 * 1: not at all; 0: as far as to another sample. NaN for an encoder that gives one point.
 * @param fx, fgx f32 [N, D], the same samples without and with g; N of 2 at least
 */
export async function invariance(device: Device, fx: Rows, fgx: Rows): Promise<number> {
  sameShapes('invariance', fx, fgx);
  const [N] = fx.shape;
  if (N < 2) throw new InputError(`invariance: expected at least 2 rows, got ${N}`);
  const { moved, spread } = await compute(device, () => {
    const [x, y] = [fx, fgx].map((rows) => tensorOf('invariance', rows));
    return { moved: sum(square(sub(y, x))), spread: sum(variance(x, { axes: 0 })) };
  });
  // E |x - x'|^2 over pairs of different rows is 2 N / (N - 1) times the total variance.
  return 1 - moved[0] / N / ((2 * N * spread[0]) / (N - 1));
}
