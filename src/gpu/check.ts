import { InputError } from './errors.ts';

/** The numbers that an argument may have. Without limits: any finite number. */
export interface NumberRange {
  /** Smallest value allowed. */
  least?: number;
  /** Largest value allowed. */
  most?: number;
  /** The value must be greater than this. */
  above?: number;
  /** Only whole numbers. */
  whole?: boolean;
}

/** Whether a value is a function that can be called; a class cannot. */
export const isFunction = (value: unknown): boolean =>
  typeof value === 'function' && !/^class\b/.test(Function.prototype.toString.call(value));

/** The largest seed or step: a u32 of the uniform block. */
export const LARGEST_U32 = 2 ** 32 - 1;

/** A short description of any value for error messages: `null`, `NaN`, `"abc"`, `an array of 3`, `a Float32Array of 12`. */
export function shown(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 40 ? `a string of ${value.length}` : JSON.stringify(value);
  if (typeof value === 'bigint') return `the BigInt ${value}n`;
  if (typeof value === 'function') return isFunction(value) ? 'a function' : 'a class';
  if (typeof value === 'symbol') return 'a symbol';
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (ArrayBuffer.isView(value) && 'length' in value)
    return `${withArticle(nameOf(value))} of ${value.length}`;
  const name = nameOf(value);
  return name === 'Object' ? 'an object' : withArticle(name);
}

/** A short list with its values, `[2, "3"]`; anything else as {@link shown}. */
export const shownList = (list: unknown): string =>
  Array.isArray(list) && list.length <= 8 ? `[${Array.from(list, shown).join(', ')}]` : shown(list);

const withArticle = (name: string): string =>
  `${/^[AEIOU]/.test(name) && !/^Ui/.test(name) ? 'an' : 'a'} ${name}`;

/** A text in one line of at most 300 characters, for error messages that quote an argument. */
export const oneLine = (text: string): string => {
  const line = text.replace(/\s+/g, ' ');
  return line.length > 300 ? `${line.slice(0, 300)} ...` : line;
};

function nameOf(value: object): string {
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null;
  const name = prototype?.constructor?.name;
  return typeof name === 'string' && name ? name : 'Object';
}

/** A range as text: `a whole number of 1 to 8`, `a number above 0`. */
export function rangeText({ least, most, above, whole = false }: NumberRange = {}): string {
  const kind = whole ? 'a whole number' : 'a number';
  if (above !== undefined) return `${kind} above ${above}${most === undefined ? '' : ` and at most ${most}`}`;
  if (least !== undefined && most !== undefined) return `${kind} of ${least} to ${most}`;
  if (least !== undefined) return `${kind} of at least ${least}`;
  if (most !== undefined) return `${kind} of at most ${most}`;
  return whole ? kind : 'a finite number';
}

/** Whether a value is a finite number within a range. */
export const inRange = (
  value: unknown,
  {
    least = Number.NEGATIVE_INFINITY,
    most = Number.POSITIVE_INFINITY,
    above,
    whole = false,
  }: NumberRange = {},
): value is number =>
  typeof value === 'number' &&
  Number.isFinite(value) &&
  value >= least &&
  value <= most &&
  (above === undefined || value > above) &&
  (!whole || Number.isInteger(value));

/**
 * Checks a number outside of the graph; inside use `checkScalar` of graph/check.ts.
 * @param where the function that is called, for the message
 * @throws InputError: `kMeans: expected a whole number of at least 1 for "k", got -1`
 */
export function checkNumber(where: string, name: string, value: unknown, range: NumberRange = {}): void {
  if (!inRange(value, range))
    throw new InputError(`${where}: expected ${rangeText(range)} for "${name}", got ${shown(value)}`);
}

/**
 * Checks that an argument can be called.
 * @throws InputError: `compile: expected a function for "step", got null`
 */
export function checkFunction(where: string, name: string, value: unknown): void {
  if (!isFunction(value))
    throw new InputError(`${where}: expected a function for "${name}", got ${shown(value)}`);
}

/**
 * Checks the name of a layer, variable or data set, which messages and files contain.
 * @throws InputError: `linear: expected a line of at most 200 characters for "name", got null`
 */
export function checkName(where: string, name: unknown): asserts name is string {
  if (typeof name !== 'string' || !/^.{0,200}$/.test(name))
    throw new InputError(
      `${where}: expected a line of at most 200 characters for "name", got ${shown(name)}`,
    );
}

/**
 * Checks that a value is an object of options with these names only, and that its `onProgress` is a function.
 * @throws InputError that lists the names
 */
export function checkOptions(where: string, options: unknown, names: readonly string[]): void {
  if (
    typeof options !== 'object' ||
    options === null ||
    Array.isArray(options) ||
    ArrayBuffer.isView(options)
  )
    throw new InputError(`${where}: expected an object of options, got ${shown(options)}`);
  const unknown = Object.keys(options).find((key) => !names.includes(key));
  if (unknown !== undefined)
    throw new InputError(`${where}: unknown option "${unknown}"; expected ${names.join(', ')}`);
  const { onProgress } = options as { onProgress?: unknown };
  if (onProgress !== undefined) checkFunction(where, 'onProgress', onProgress);
}
