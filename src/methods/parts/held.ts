import { type Scalar, type Variable, variable } from '../../graph/tensor.ts';
import { copyInitial } from '../../nn/init.ts';
import { ema } from '../../optim/ema.ts';

/**
 * Keeps parameters as they are while a schedule says so. An optimiser with momentum moves what has no gradient: after each of its updates the
 * parameters are put back to a held copy.
 * @returns the copy, which a checkpoint must hold, and what to call after an update: `frozen` 1 keeps them, 0 lets them go
 */
export function holding(parameters: readonly Variable[]) {
  const held = parameters.map((v) => variable(v.shape, { name: `held.${v.name}` }));
  copyInitial(held, parameters);
  return {
    held: held as readonly Variable[],
    keep(frozen: Scalar): void {
      ema(held, parameters, frozen);
      ema(parameters, held, 0);
    },
  };
}
