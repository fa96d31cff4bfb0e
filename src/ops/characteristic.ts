import characteristicWgsl from '../../shaders/characteristic.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { checkCall } from '../graph/check.ts';
import { type Kernel, op } from '../graph/op.ts';
import { reshape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { randomLib } from './random.ts';

/** Knots at 0, step, 2 step, ... */
export interface CharacteristicOptions {
  knots: number;
  step: number;
}

const kernel = (
  { knots, step }: CharacteristicOptions,
  p: Tensor,
  parts: Pick<Kernel, 'entry' | 'inputs' | 'outputs' | 'rounds' | 'invocations'>,
): Kernel<CharacteristicOptions> => {
  const [batches, rows, columns] = p.shape;
  return {
    source: [characteristicWgsl, gridWgsl, randomLib],
    uniform: () => ({ batches, rows, columns, knots, step: step }),
    ...parts,
  };
};

const characteristicOp = op({
  name: 'characteristic',
  shape: ([p]: [p: Tensor], { knots }: CharacteristicOptions) => [p.shape[0], p.shape[2], knots, 2],
  kernel: ({ inputs: [p], outputs: [phi], options }) =>
    kernel(options, p, {
      entry: 'characteristic_forward',
      inputs: ['p'],
      outputs: ['phi'],
      rounds: () => ({ size: p.shape[1], rounds: (n) => n + 1, expected: 'at most N rows' }),
      invocations: () => phi.size / 2,
    }),
  vjp: (dy, { inputs: [p], options }) => [characteristicGradientOp([dy, p], options)],
});

const characteristicGradientOp = op({
  name: 'characteristicGradient',
  shape: ([, p]: [dy: Tensor, p: Tensor], _: CharacteristicOptions) => p.shape,
  kernel: ({ inputs: [, p], options }) =>
    kernel(options, p, {
      entry: 'characteristic_gradient',
      inputs: ['dphi', 'points'],
      outputs: ['dp'],
      rounds: () => options.knots + 1,
      invocations: () => p.size,
    }),
});

/**
 * The empirical characteristic function of each column, at knots t = 0, step, 2 step, ...: the means over rows of cos(t p)
 * and sin(t p). Both would be those of N(0, 1), exp(-t^2 / 2) and 0, if the column were drawn from it.
 *
 * @param p [N, K] or batches [B, N, K]; on llvmpipe N < 65,535
 * @returns [K, knots, 2] or [B, K, knots, 2]: cos, sin
 * @throws ShapeError for another p, or unless `knots` is a positive whole number and `step` is above 0
 */
export function characteristic(p: Tensor, options: CharacteristicOptions): Tensor {
  checkCall('characteristic', { p }, options, 'knots step');
  const { knots, step } = options;
  const { dtype, shape } = p;
  if (dtype !== 'f32' || (shape.length !== 2 && shape.length !== 3))
    throwShapeError('characteristic', `expected f32 [N, K] or [B, N, K], got ${dtype} ${show(shape)}`);
  if (!Number.isInteger(knots) || knots < 1 || !(Number.isFinite(step) && step > 0))
    throwShapeError('characteristic', `expected whole knots and a step above 0, got ${knots} and ${step}`);
  const batches = reshape(p, [shape.length === 3 ? shape[0] : 1, ...shape.slice(-2)]);
  const phi = characteristicOp([batches], { knots, step });
  return shape.length === 3 ? phi : reshape(phi, phi.shape.slice(1));
}
