import type { Device } from '../gpu/device.ts';
import { constant } from '../graph/tensor.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { square } from '../ops/unary.ts';
import { compute, type Rows, sameShapes, tensorOf } from './compute.ts';
import { solvePositiveDefinite } from './eigen.ts';

/** Embeddings of the same samples without and with a transformation g, f32 [N, D] each. */
export interface Pair {
  fx: Rows;
  fgx: Rows;
}

/**
 * Whether a linear map M predicts f(gx) from f(x): R^2 on samples that it was not fitted on, over all dimensions together. M is
 * fitted by ridge regression. The control is the R^2 of the same predictions of f(g'x) for another g': an invariant
 * encoder has both high, an equivariant one only the first.
 *
 * @param train, test of other samples; `wrong`: f(g'x) of the test samples
 * @param ridge in units of the mean variance of f(x). Default 1e-3
 */
export async function equivariance(
  device: Device,
  train: Pair,
  test: Pair & { wrong?: Rows },
  { ridge = 1e-3 }: { ridge?: number } = {},
): Promise<{ r2: number; control: number | null }> {
  sameShapes('equivariance', train.fx, train.fgx);
  sameShapes('equivariance', test.fx, test.fgx, ...(test.wrong ? [test.wrong] : []));
  const [N, D] = train.fx.shape;
  const fit = await compute(device, () => {
    const [x, y] = [train.fx, train.fgx].map((rows) => tensorOf('equivariance', rows));
    const [mx, my] = [x, y].map((rows) => mean(rows, { axes: 0, keepDims: true }));
    const [cx, cy] = [sub(x, mx), sub(y, my)];
    const product = (a: typeof cx) => mul(matmul(cx, a, { transposeA: true }), 1 / N);
    return { mx, my, gram: product(cx), cross: product(cy) };
  });
  const gram = Float64Array.from(fit.gram);
  let trace = 0;
  for (let i = 0; i < D; i++) trace += gram[i * D + i];
  for (let i = 0; i < D; i++) gram[i * D + i] += (ridge * trace) / D;
  const weights = Float32Array.from(solvePositiveDefinite(gram, fit.cross, D));
  const wanted = { right: test.fgx, ...(test.wrong && { wrong: test.wrong }) };
  const errors = await compute(device, () => {
    const x = sub(tensorOf('equivariance', test.fx), constant(fit.mx, [1, D]));
    const predicted = add(matmul(x, constant(weights, [D, D])), constant(fit.my, [1, D]));
    return Object.fromEntries(
      Object.entries(wanted).flatMap(([name, rows]) => {
        const y = tensorOf('equivariance', rows);
        const total = sum(square(sub(y, mean(y, { axes: 0, keepDims: true }))));
        return [
          [name, sum(square(sub(y, predicted)))],
          [`${name}Total`, total],
        ];
      }),
    );
  });
  const r2 = (name: string) => 1 - errors[name][0] / errors[`${name}Total`][0];
  return { r2: r2('right'), control: test.wrong ? r2('wrong') : null };
}
