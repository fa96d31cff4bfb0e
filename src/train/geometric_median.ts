import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { assign } from '../graph/basic.ts';
import { variable } from '../graph/tensor.ts';
import { type Rows, tensorOf } from '../metrics/compute.ts';
import { add, div, maximum, mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { mean, sum } from '../ops/reduce.ts';
import { sqrt, square } from '../ops/unary.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';

/** Rows nearer than this share of the mean distance count as that far: the median may be a row. */
const NEAREST = 1e-6;

/**
 * The geometric median of rows: the point with the least sum of distances to them (Weiszfeld 1937, from their mean on). Unlike the mean it
 * does not follow a few far rows.
 * @param rows f32 [N, d], that fit one binding
 * @param options.rounds of the iteration, each of which weights rows by their inverse distances. Default 100
 * @returns [d]
 * @throws ShapeError, InputError
 */
export async function geometricMedian(
  device: Device,
  rows: Rows,
  options: { rounds?: number } = {},
): Promise<Float32Array> {
  const where = 'geometricMedian';
  checkOptions(where, options, ['rounds']);
  const { rounds = 100 } = options;
  checkNumber(where, 'rounds', rounds, { least: 0, most: 1e5, whole: true });
  const [, d] = tensorOf(where, rows).shape;
  const median = variable([1, d], { name: 'median' });
  const start = await compile(
    device,
    () => {
      assign(median, mean(tensorOf(where, rows), { axes: 0, keepDims: true }));
      return {};
    },
    { warmUp: false },
  );
  const round = await compile(
    device,
    () => {
      const x = tensorOf(where, rows);
      const distances = sqrt(sum(square(sub(x, median)), { axes: 1, keepDims: true }));
      const least = add(mul(mean(distances), NEAREST), 1e-30);
      const weights = div(least, maximum(distances, least));
      assign(median, div(matmul(weights, x, { transposeA: true }), sum(weights)));
      return {};
    },
    { warmUp: false },
  );
  try {
    await start.run();
    for (let i = 0; i < rounds; i++) await round.run();
    return (await readVariable(device, median)) as Float32Array;
  } finally {
    start.dispose();
    round.dispose();
    freeVariables(device, [median]);
  }
}
