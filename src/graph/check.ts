import { inRange, type NumberRange, rangeText, shown } from '../gpu/check.ts';
import { type DType, fail, type Scalar, show, Tensor } from './tensor.ts';

/** Describes a value for messages; a tensor by its type and shape. */
export const shownTensor = (value: unknown): string =>
  value instanceof Tensor ? `${value.dtype} ${show(value.shape)}` : shown(value);

/**
 * Checks that an argument is a tensor, before anything of it is read.
 * @throws ShapeError: `matmul: expected a tensor for "a", got null`
 */
export function checkTensor(
  op: string,
  name: string,
  value: unknown,
  { dtype, rank }: { dtype?: DType; rank?: number } = {},
): asserts value is Tensor {
  const ok =
    value instanceof Tensor &&
    (dtype === undefined || value.dtype === dtype) &&
    (rank === undefined || value.shape.length === rank);
  if (ok) return;
  const kind = `${dtype ? `an ${dtype}` : 'a'} tensor${rank === undefined ? '' : ` of ${rank} dimensions`}`;
  fail(op, `expected ${kind} for "${name}", got ${shownTensor(value)}`);
}

/**
 * Checks a number that a step may also be given anew each time: a number within the range, or a scalar input, whose
 * values are not known yet.
 * @throws ShapeError: `ntXent: expected a number above 0, or an f32 scalar, for "temperature", got 0`
 */
export function checkScalar(
  op: string,
  name: string,
  value: unknown,
  range: NumberRange = {},
  dtype: 'f32' | 'u32' = 'f32',
): asserts value is Scalar {
  if (inRange(value, range)) return;
  if (value instanceof Tensor && value.node.kind === 'scalar' && value.dtype === dtype) return;
  const article = dtype === 'f32' ? 'an' : 'a';
  fail(
    op,
    `expected ${rangeText(range)}, or ${article} ${dtype} scalar, for "${name}", got ${shownTensor(value)}`,
  );
}
