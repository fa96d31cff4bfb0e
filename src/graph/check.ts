import { checkOptions, inRange, type NumberRange, rangeText, shown, shownList } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { type DType, type Scalar, show, Tensor, throwShapeError, Variable, where } from './tensor.ts';

/** Describes a value for messages; a tensor by its type and shape. */
export const shownTensor = (value: unknown): string =>
  value instanceof Tensor ? `${value.dtype} ${show(value.shape)}` : shown(value);

/**
 * Checks that an argument is a tensor, before any of its fields is read.
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
  const type = dtype ? `${dtype === 'f32' ? 'an' : 'a'} ${dtype}` : 'a';
  const kind = `${type} tensor${rank === undefined ? '' : ` of ${rank} dimension${rank === 1 ? '' : 's'}`}`;
  throwShapeError(op, `expected ${kind} for "${name}", got ${shownTensor(value)}`);
}

/**
 * Checks a number that may change from run to run: a number within the range, or a scalar input, whose values are not
 * known yet.
 * @throws ShapeError: `ntXentLoss: expected a number above 0, or an f32 scalar, for "temperature", got 0`
 */
export function checkScalar(
  op: string,
  name: string,
  value: unknown,
  range: NumberRange = {},
  dtype: 'f32' | 'u32' = 'f32',
): asserts value is Scalar {
  if (inRange(value, range)) return;
  if (value instanceof Tensor && value.node.kind === 'scalar' && value.dtype === dtype) {
    // Its values are checked when they are given: see `checkGiven`.
    (value.node.options.uses ??= new Map()).set(`"${name}" of ${where(op)}`, range);
    return;
  }
  const article = dtype === 'f32' ? 'an' : 'a';
  throwShapeError(
    op,
    `expected ${rangeText(range)}, or ${article} ${dtype} scalar, for "${name}", got ${shownTensor(value)}`,
  );
}

const NO_USES = new Map<string, NumberRange>();

/**
 * Checks the number that a run is given for a scalar input against the ranges of all its uses.
 * @throws InputError: `run: expected a number above 0 for "t", the "temperature" of ntXent, got 0`
 */
export function checkGiven(name: string, x: Tensor, value: number): void {
  const uses: Map<string, NumberRange> = x.node.options.uses ?? NO_USES;
  for (const [what, range] of uses)
    if (!inRange(value, range))
      throw new InputError(`run: expected ${rangeText(range)} for "${name}", the ${what}, got ${value}`);
}

/**
 * Checks the arguments of an op before they are read: tensors, by their names, and an object of options.
 * @param names the allowed options, separated by spaces
 * @throws ShapeError for what is no tensor; InputError for another option
 */
export function checkCall(
  op: string,
  tensors: Record<string, unknown>,
  options: unknown,
  names: string,
): void {
  for (const [name, x] of Object.entries(tensors)) checkTensor(op, name, x);
  checkOptions(where(op), options, names.split(' '));
}

/** Checks a list of tensors; with `nullable` it may contain nulls. @throws ShapeError */
export function checkTensors(
  op: string,
  name: string,
  list: unknown,
  nullable = false,
): asserts list is readonly Tensor[] {
  if (!Array.isArray(list))
    throwShapeError(op, `expected an array of tensors for "${name}", got ${shownTensor(list)}`);
  for (const x of list) if (!nullable || x !== null) checkTensor(op, name, x);
}

/** Checks a list of variables, such as a layer's `parameters`. @throws ShapeError */
export function checkVariables(op: string, name: string, list: unknown): asserts list is readonly Variable[] {
  const listed = Array.isArray(list);
  const wrong = listed ? list.find((x) => !(x instanceof Variable)) : list;
  if (listed && [...list].every((x) => x instanceof Variable)) return;
  const hint = (list as { parameters?: unknown } | null)?.parameters ? '; give its `parameters`' : '';
  throwShapeError(
    op,
    `expected an array of variables for "${name}", got ${listed ? 'one with ' : ''}${shownTensor(wrong)}${hint}`,
  );
}

/** Checks one of a few strings. @throws ShapeError */
export function checkChoice(op: string, name: string, value: unknown, choices: readonly string[]): void {
  if (!choices.includes(value as string))
    throwShapeError(
      op,
      `expected ${choices.map((each) => `'${each}'`).join(' or ')} for "${name}", got ${shownTensor(value)}`,
    );
}

/** Checks a flag. @throws ShapeError */
export function checkFlag(op: string, name: string, value: unknown): void {
  if (typeof value !== 'boolean')
    throwShapeError(op, `expected true or false for "${name}", got ${shownTensor(value)}`);
}

/** Checks a list of numbers. @throws ShapeError */
export function checkNumbers(op: string, name: string, list: unknown, range: NumberRange = {}): void {
  if (!Array.isArray(list) || ![...list].every((n) => inRange(n, range)))
    throwShapeError(op, `expected an array, each ${rangeText(range)}, for "${name}", got ${shownList(list)}`);
}

/** Checks an f32 tensor of any shape. @throws ShapeError */
export const checkFloat = (op: string, x: unknown, name = 'x'): void =>
  checkTensor(op, name, x, { dtype: 'f32' });

/** Checks an operand of arithmetic: any number, or an f32 tensor. @throws ShapeError */
export function checkOperand(op: string, name: string, x: unknown): void {
  if (typeof x !== 'number') checkTensor(op, name, x, { dtype: 'f32' });
}

/** Temperatures and similar divisors: a value that is 0 in f32 would divide by zero. */
export const POSITIVE: NumberRange = { above: 0, least: 2 ** -126 };
/** Weights of terms. */
export const WEIGHT: NumberRange = { least: 0 };

/**
 * The options of a loss that are numbers or scalar inputs of the step: their values, after a check of names and ranges.
 * @param spec default and range of each
 * @param others the allowed options of other types, separated by spaces
 * @throws InputError for another option; ShapeError for a value outside its range
 */
export function scalarsOf<K extends string>(
  op: string,
  options: unknown,
  spec: Record<K, readonly [value: number, range: NumberRange]>,
  others = '',
): Record<K, Scalar> {
  checkCall(op, {}, options, [...Object.keys(spec), ...(others ? [others] : [])].join(' '));
  const values = { ...(options as Record<K, Scalar | undefined>) };
  for (const name in spec) {
    const [value, range] = spec[name];
    if (values[name] === undefined) values[name] = value;
    checkScalar(op, name, values[name], range);
  }
  return values as Record<K, Scalar>;
}
