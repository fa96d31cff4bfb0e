import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { sub } from '../ops/binary.ts';
import { sum } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { variance } from '../ops/variance.ts';
import { compute, type Rows, sameShapes, tensorOf } from './compute.ts';
import { metricsOf } from './metric.ts';
import { fromFirst, inUnits, isRounding } from './relative.ts';

/**
 * How little a transformation g moves f, relative to the distance of samples: 1 - E |f(gx) - f(x)|^2 / E |f(x) - f(x')|^2.
 * 1: it moves nothing; 0: as far as to another sample.
 * @param fx, fgx f32 [N, D], the same samples without and with g; N of 2 at least
 * @returns NaN where all rows of fx are equal (to f32's rounding), so that there is no distance to compare with
 * @throws ShapeError, InputError
 */
export async function invariance(device: Device, fx: Rows, fgx: Rows): Promise<number> {
  const [N] = tensorOf('invariance', fx).shape;
  tensorOf('invariance', fgx);
  sameShapes('invariance', fx, fgx);
  if (N < 2) throw new InputError(`invariance: expected at least 2 rows, got ${N}`);
  const { moved, spread, size } = await compute(device, () => {
    const [x, y] = inUnits(...[fx, fgx].map((rows) => tensorOf('invariance', rows))).in;
    return {
      moved: sum(square(sub(y, x))),
      spread: sum(variance(fromFirst(x), { axes: 0 })),
      size: sum(square(x)),
    };
  });
  if (isRounding(N * spread[0], size[0])) return Number.NaN;
  // E |x - x'|^2 over pairs of different rows is 2 N / (N - 1) times the total variance.
  return 1 - moved[0] / N / ((2 * N * spread[0]) / (N - 1));
}

export const invarianceMetrics = /* @__PURE__ */ metricsOf(
  { group: 'views', kind: 'number', needs: ['moved'], detail: true },
  [
    {
      key: 'invariance',
      name: 'invariance of h',
      short: 'invariance',
      missing: 'all rows are equal',
      measure: { name: 'invariance' },
      text: 'How little random augmentation moves the representation: 1 not at all, 0 as far as to another image. A collapsed encoder has 1 too.',
      async compute({ device, moved: [still, moved] }) {
        return still.shape[0] < 2 ? undefined : invariance(device, still, moved);
      },
    },
  ],
);
