import { assign } from '../../graph/basic.ts';
import { checkScalar, checkTensor, type POSITIVE, shownTensor } from '../../graph/check.ts';
import { type Scalar, Tensor, throwShapeError, type Variable, variable } from '../../graph/tensor.ts';
import { clamp, exp } from '../../ops/unary.ts';

/** The largest factor of similarities (Radford et al. 2021, Section 2.5): a temperature of .01. */
const MOST = 100;

/** The factor of similarities: fixed, or learned as exp(logit scale). */
export interface LogitScale {
  /** Its current value: a number, or a tensor [1] through which it is learned. */
  factor: () => number | Tensor;
  /** The logit scale, if it is learned. */
  parameters: readonly Variable[];
  /** Holds it in [0, log 100], after each update: `open_clip` does too. */
  clamp: () => void;
}

/** @param temperature one over the factor, at first where it is learned */
export function logitScale(name: string, temperature: number, learned: boolean): LogitScale {
  if (!learned) return { factor: () => 1 / temperature, parameters: [], clamp: () => {} };
  const logit = variable([1], {
    name: `${name}.logitScale`,
    initial: Float32Array.of(-Math.log(temperature)),
  });
  return {
    factor: () => exp(logit),
    parameters: [logit],
    clamp: () => assign(logit, clamp(logit, 0, Math.log(MOST))),
  };
}

/** Checks a number, a scalar input, or a tensor [1] that may be learned. @throws ShapeError */
export function checkLearned(
  op: string,
  name: string,
  value: unknown,
  range?: typeof POSITIVE,
): asserts value is Scalar {
  if (!(value instanceof Tensor) || value.node.kind === 'scalar') return checkScalar(op, name, value, range);
  checkTensor(op, name, value, { dtype: 'f32' });
  if (value.size !== 1)
    throwShapeError(op, `expected a number or a tensor [1] for "${name}", got ${shownTensor(value)}`);
}
