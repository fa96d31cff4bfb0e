import { shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';

/**
 * Checks an argument that is a list of numbers: an array, or a typed array. NaN and infinite values are allowed.
 * @returns how many there are
 * @throws InputError: `spectrumSlope: expected an array of numbers for "spectrum", got null`
 */
export function checkValues(where: string, name: string, value: unknown): number {
  const list = value as ArrayLike<unknown>;
  // The elements of a typed array have one type.
  const isArray = Array.isArray(value);
  const isList = isArray || (ArrayBuffer.isView(value) && 'length' in value);
  const wrong = isArray
    ? value.findIndex((each) => typeof each !== 'number')
    : isList && typeof (list[0] ?? 0) === 'number'
      ? -1
      : 0;
  if (isList && wrong < 0) return list.length;
  const got = isList ? `${shown(list[wrong])} in it` : shown(value);
  throw new InputError(`${where}: expected an array of numbers for "${name}", got ${got}`);
}

/**
 * Checks a square matrix that is given as a list of numbers.
 * @returns its side
 * @throws InputError
 */
export function checkSquare(where: string, name: string, value: unknown): number {
  const side = Math.sqrt(checkValues(where, name, value));
  if (side >= 1 && Number.isInteger(side)) return side;
  throw new InputError(`${where}: expected a square matrix [D, D] for "${name}", got ${shown(value)}`);
}
