import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { compute, type Rows, tensorOf } from './compute.ts';
import { metricsOf } from './metric.ts';
import { fromFirst, inUnits, isRounding } from './relative.ts';

/**
 * Linear centred kernel alignment of two encoders (Kornblith et al. 2019, arXiv 1905.00414, eq. 4): |Y^T X|^2 /
 * (|X^T X| |Y^T Y|) of centred rows. 1 when they differ by a rotation and a scale only, 0 when uncorrelated; with fewer
 * rows than dimensions it is high by chance.
 * @param x, y f32 [N, D], [N, E], the same samples
 * @returns NaN where all rows of x, or of y, are equal (to f32's rounding)
 * @throws ShapeError, InputError
 */
export async function linearCka(device: Device, x: Rows, y: Rows): Promise<number> {
  const [N] = tensorOf('linearCka', x).shape;
  const [M] = tensorOf('linearCka', y).shape;
  if (M !== N) throw new InputError(`linearCka: expected the same samples, got ${N} and ${M} rows`);
  const found = await compute(device, () => {
    const [given, shifted] = [[x, y].map((rows) => inUnits(tensorOf('linearCka', rows)).in[0])].flatMap(
      (all) => [all, all.map((rows) => fromFirst(rows))],
    );
    const [a, b] = shifted.map((rows) => sub(rows, mean(rows, { axes: 0, keepDims: true })));
    const squared = (p: typeof a, q: typeof a) => sum(square(mul(matmul(p, q, { transposeA: true }), 1 / N)));
    return {
      ...{ xy: squared(a, b), xx: squared(a, a), yy: squared(b, b) },
      ...{ spreadX: sum(square(a)), spreadY: sum(square(b)) },
      ...{ sizeX: sum(square(given[0])), sizeY: sum(square(given[1])) },
    };
  });
  const { xy, xx, yy, spreadX, spreadY, sizeX, sizeY } = found;
  if (isRounding(spreadX[0], sizeX[0]) || isRounding(spreadY[0], sizeY[0])) return Number.NaN;
  return xy[0] / Math.sqrt(xx[0] * yy[0]);
}

export const ckaMetrics = /* @__PURE__ */ metricsOf(
  { group: 'structure', kind: 'number', needs: ['others'], only: 'measure' },
  [
    {
      key: 'cka',
      name: 'linear CKA',
      missing: 'all rows are equal',
      text: 'Linear centred kernel alignment of two encoders (Kornblith et al. 2019): 1 when they differ by a rotation and a scale only, 0 when they have nothing in common.',
      compute: ({ device, others: [x, y] }) => linearCka(device, x, y),
    },
  ],
);
