import { checkTensor } from '../../graph/check.ts';
import { constant, reshape, show, type Tensor, throwShapeError } from '../../graph/tensor.ts';
import { mul, sub } from '../../ops/binary.ts';
import { characteristic } from '../../ops/characteristic.ts';
import { matmul } from '../../ops/matmul.ts';
import { sum } from '../../ops/reduce.ts';
import { square } from '../../ops/unary.ts';

/** Knots of the trapezoidal rule on [0, 3], with weight exp(-t^2 / 2): the integrand is even, so the integral over [-3, 3] is twice that. */
const KNOTS = 17;
const STEP = 3 / (KNOTS - 1);
const gaussian = Array.from({ length: KNOTS }, (_, j) => Math.exp(-((j * STEP) ** 2) / 2));
const atEnd = (j: number) => j === 0 || j === KNOTS - 1;
const target = Float32Array.from({ length: 2 * KNOTS }, (_, i) => (i % 2 ? 0 : gaussian[i >> 1]));
const weights = Float32Array.from(gaussian, (g, j) => (atEnd(j) ? 1 : 2) * STEP * g);

/** Checks directions [K, D] for embeddings [..., D]. @throws ShapeError */
export function checkDirections(op: string, z: Tensor, directions: unknown): void {
  checkTensor(op, 'directions', directions, { dtype: 'f32', rank: 2 });
  const D = z.shape.at(-1)!;
  if (directions.shape[1] !== D)
    throwShapeError(op, `expected directions [K, ${D}] for ${show(z.shape)}, got ${show(directions.shape)}`);
}

/**
 * SIGReg: the Epps-Pulley statistic `N int |phi(t) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt` of embeddings against N(0, 1) along
 * each direction, on average: 0 where they are an isotropic Gaussian in all of them. Balestriero and LeCun 2025, arXiv 2511.08544, Section 4.
 *
 * @param z [V, N, D]: views, each tested by itself; not normalised
 * @param directions unit rows [K, D]
 */
export function sigReg(z: Tensor, directions: Tensor): Tensor {
  checkTensor('sigReg', 'z', z, { dtype: 'f32', rank: 3 });
  checkDirections('sigReg', z, directions);
  const [V, N, D] = z.shape;
  const [K] = directions.shape;
  const p = reshape(matmul(reshape(z, [V * N, D]), directions, { transposeB: true }), [V, N, K]);
  const phi = characteristic(p, { knots: KNOTS, step: STEP }); // [V, K, knots, 2]
  const apart = square(sub(phi, constant(target, [KNOTS, 2])));
  return mul(sum(mul(apart, constant(weights, [KNOTS, 1]))), N / (V * K));
}
