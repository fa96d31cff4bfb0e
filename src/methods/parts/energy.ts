// Unnormalised log densities on the plane. x: [N, 2] -> [N]
import { type Tensor, type Variable, variable } from '../../graph/tensor.ts';
import { linear, sequential } from '../../nn/layers.ts';
import { mul, sub } from '../../ops/binary.ts';
import { matmul } from '../../ops/matmul.ts';
import { sum } from '../../ops/reduce.ts';
import { square } from '../../ops/unary.ts';

/** A log density up to a constant. */
export interface Energy {
  log: (x: Tensor) => Tensor;
  parameters: Variable[];
  /** The mean [2] of a Gaussian. */
  mean?: Variable;
}

const squares = (x: Tensor) => sum(square(x), { axes: [1] });

/** Log density of the isotropic Gaussian of standard deviation `sigma` around 0. */
export const logGaussian = (x: Tensor, sigma: number): Tensor =>
  sub(mul(squares(x), -0.5 / sigma ** 2), Math.log(2 * Math.PI * sigma ** 2));

/** -|(x - mean) W|^2 / 2: six numbers, enough for any Gaussian. */
export function gaussianEnergy(): Energy {
  const mean = variable([2], { name: 'energy.mean' });
  const factor = variable([2, 2], { name: 'energy.factor', initial: Float32Array.of(0.5, 0, 0, 0.5) });
  return { log: (x) => mul(squares(matmul(sub(x, mean), factor)), -0.5), parameters: [mean, factor], mean };
}

/**
 * A network with two hidden layers of 64, minus |x|^2 / (2 spread^2), which makes its integral finite. The last layer has no
 * bias: the constant is learned separately.
 */
export function networkEnergy(seed: number, spread: number): Energy {
  const hidden = (inputs: number) => linear({ inputs, outputs: 64, activation: 'silu', seed });
  const layers = sequential('energy', [
    hidden(2),
    hidden(64),
    linear({ inputs: 64, outputs: 1, bias: false, seed }),
  ]);
  return {
    log: (x) => sub(sum(layers(x), { axes: [1] }), mul(squares(x), 0.5 / spread ** 2)),
    parameters: layers.parameters as Variable[],
  };
}
