import { checkNumber, checkOptions, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant, show, throwShapeError } from '../graph/tensor.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { variance } from '../ops/variance.ts';
import { compute, partOf, type Rows, readRows, sameShapes, tensorOf } from './compute.ts';
import { ridgeRegression } from './eigen.ts';
import { type MetricContext, metricsOf } from './metric.ts';
import { fromFirst, inUnits, isRounding } from './relative.ts';

/** Embeddings of the same samples without and with a transformation g, f32 [N, D] each. */
export interface Pair {
  fx: Rows;
  fgx: Rows;
}

/**
 * How well a linear map M predicts f(gx) from f(x): R^2 on held-out samples, over all dimensions together. M is
 * fitted by ridge regression. The control is the R^2 of the same predictions of f(g'x) for another g': an invariant
 * encoder has both high, an equivariant one only the first.
 *
 * @param train, test pairs of different samples; `wrong`: f(g'x) of the test samples
 * @param ridge in units of the mean variance of f(x). Default 1e-3
 * @returns NaN where all rows of f(x), or of what is to be predicted, are equal (to f32's rounding)
 * @throws ShapeError, InputError
 */
export async function equivariance(
  device: Device,
  train: Pair,
  test: Pair & { wrong?: Rows },
  options: { ridge?: number } = {},
): Promise<{ r2: number; control: number | null }> {
  for (const [name, pair] of Object.entries({ train, test }))
    if (typeof pair !== 'object' || pair === null)
      throw new InputError(`equivariance: expected a pair of embeddings for "${name}", got ${shown(pair)}`);
  for (const rows of [train.fx, train.fgx, test.fx, test.fgx]) tensorOf('equivariance', rows);
  if (test.wrong) tensorOf('equivariance', test.wrong);
  checkOptions('equivariance', options, ['ridge']);
  const { ridge = 1e-3 } = options;
  checkNumber('equivariance', 'ridge', ridge, { least: 0 });
  sameShapes('equivariance', train.fx, train.fgx);
  sameShapes('equivariance', test.fx, test.fgx, ...(test.wrong ? [test.wrong] : []));
  const [N, D] = train.fx.shape;
  if (test.fx.shape[1] !== D)
    throwShapeError('equivariance', `expected test rows of ${D} as in training, got ${show(test.fx.shape)}`);
  const fit = await compute(device, () => {
    const [ofX, ofY] = [train.fx, train.fgx].map((rows) => inUnits(tensorOf('equivariance', rows)));
    const [x, y] = [ofX.in[0], ofY.in[0]];
    const [mx, my] = [x, y].map((rows) => mean(rows, { axes: 0, keepDims: true }));
    const [cx, cy] = [sub(x, mx), sub(y, my)];
    const product = (a: typeof cx) => mul(matmul(cx, a, { transposeA: true }), 1 / N);
    return {
      ...{ mx, my, gram: product(cx), cross: product(cy), unitX: ofX.unit, unitY: ofY.unit },
      ...{ spread: sum(variance(fromFirst(x), { axes: 0 })), size: sum(square(x)) },
    };
  });
  if (isRounding(N * fit.spread[0], fit.size[0]))
    return { r2: Number.NaN, control: test.wrong ? Number.NaN : null };
  const weights = Float32Array.from(ridgeRegression(fit.gram, fit.cross, D, ridge));
  const wanted = { right: test.fgx, ...(test.wrong && { wrong: test.wrong }) };
  const errors = await compute(device, () => {
    const x = sub(div(tensorOf('equivariance', test.fx), fit.unitX[0]), constant(fit.mx, [1, D]));
    const predicted = add(matmul(x, constant(weights, [D, D])), constant(fit.my, [1, D]));
    return Object.fromEntries(
      Object.entries(wanted).flatMap(([name, rows]) => {
        const y = div(tensorOf('equivariance', rows), fit.unitY[0]);
        const total = mul(sum(variance(fromFirst(y), { axes: 0 })), y.shape[0]);
        return [
          [name, sum(square(sub(y, predicted)))],
          [`${name}Total`, total],
          [`${name}Size`, sum(square(y))],
        ];
      }),
    );
  });
  const r2 = (name: string) => {
    const [total] = errors[`${name}Total`];
    return isRounding(total, errors[`${name}Size`][0]) ? Number.NaN : 1 - errors[name][0] / total;
  };
  return { r2: r2('right'), control: test.wrong ? r2('wrong') : null };
}

export const equivarianceMetrics = /* @__PURE__ */ metricsOf(
  {
    group: 'views',
    kind: 'number',
    detail: true,
    needs: ['turned'],
    cost: 1,
    missing: 'all rows are equal',
  },
  [
    {
      key: 'equivariance',
      name: 'equivariance of h',
      short: 'equivariance',
      measure: { name: 'equivariance' },
      text: 'R² of the best linear map from the representation of an image to that of the image turned by a quarter: 1 when a turn moves all representations alike; few dimensions are easier to predict.',
      async compute(context) {
        const found = await onLastSixth(context);
        return found && { value: found.r2, remark: 'R² of a linear map' };
      },
    },
    {
      key: 'equivarianceControl',
      name: 'equivariance, wrong turn',
      short: 'wrong turn',
      measure: { name: 'of the wrong transformation' },
      text: 'R² of the same predictions for the image turned by a half. As high as the row above when the representation does not know how an image is turned: then it is invariant.',
      async compute(context) {
        const found = await onLastSixth(context);
        return found && found.control !== null
          ? { value: found.control, remark: 'by the same map' }
          : undefined;
      },
    },
  ],
);

/** Fitted on all samples except the last sixth, on which it is tested; nothing if that has fewer than two. */
const onLastSixth = ({ device, where, turned, shared }: Required<MetricContext>) =>
  shared('equivariance of h', async () => {
    const all = await turned();
    const [N, D] = all.still.shape;
    const cut = N - Math.floor(N / 6);
    if (N - cut < 2) return undefined;
    const read = async (rows: Rows) => ({
      data: await readRows(where, device, rows),
      shape: [N, D] as const,
    });
    const [fx, fgx] = [await read(all.still), await read(all.turned)];
    const wrong = all.wrong && partOf(await read(all.wrong), cut, N);
    return equivariance(
      device,
      { fx: partOf(fx, 0, cut), fgx: partOf(fgx, 0, cut) },
      { fx: partOf(fx, cut, N), fgx: partOf(fgx, cut, N), ...(wrong && { wrong }) },
    );
  });
