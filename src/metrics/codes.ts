/** Codes with known factors, as the scores of disentanglement take them. */
import { checkNumber, shown, shownList } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { permutationArray } from '../ops/random.ts';

/** Codes of samples: a row for each sample, a column for each latent dimension. */
export interface Codes {
  readonly data: Float32Array | Float64Array;
  /** [N, D] */
  readonly shape: readonly number[];
}

/** The factors that the samples were made from: a row for each sample, a column for each factor; whole numbers that name its values. */
export interface Factors {
  readonly data: Uint8Array | Uint16Array | Uint32Array | Int8Array | Int16Array | Int32Array;
  /** [N, F] */
  readonly shape: readonly number[];
}

/** The fewest samples of which scores say something. */
export const LEAST_ROWS = 1000;
/** The most values of a factor. */
export const MOST_VALUES = 256;

const WHOLE = [Uint8Array, Uint16Array, Uint32Array, Int8Array, Int16Array, Int32Array];

/** The sizes of a table; at least one column. */
function checkTable(where: string, name: string, table: unknown, kinds: readonly unknown[], is: string) {
  const { data, shape } = (table ?? {}) as { data?: unknown; shape?: unknown };
  const known = kinds.includes((data as object | undefined | null)?.constructor);
  const sizes = Array.isArray(shape) ? [...(shape as number[])] : [];
  const valid = sizes.length === 2 && sizes.every((n) => Number.isInteger(n) && n > 0);
  if (!known || !valid)
    throw new InputError(
      `${where}: expected { data: ${is}, shape: [N, ${name[0].toUpperCase()}] } for "${name}", got ${known ? `a shape of ${shownList(shape)}` : `data of ${shown(data)}`}`,
    );
  const { length } = data as Float32Array;
  if (length !== sizes[0] * sizes[1])
    throw new InputError(
      `${where}: expected ${sizes[0] * sizes[1]} numbers for [${sizes.join(', ')}] for "${name}", got ${length}`,
    );
  return sizes as [number, number];
}

/**
 * The columns of codes, in float64.
 * @throws InputError for what are no codes, for numbers that are not finite, and for fewer than 1,000 rows
 */
export function columnsOf(where: string, codes: Codes): Float64Array[] {
  const [N, D] = checkTable(
    where,
    'codes',
    codes,
    [Float32Array, Float64Array],
    'a Float32Array or Float64Array',
  );
  if (N < LEAST_ROWS) throw new InputError(`${where}: expected at least ${LEAST_ROWS} rows, got ${N}`);
  const { data } = codes;
  const at = data.findIndex((v) => !Number.isFinite(v));
  if (at >= 0)
    throw new InputError(
      `${where}: expected finite codes, got ${data[at]} in row ${Math.floor(at / D)}, column ${at % D}`,
    );
  return Array.from({ length: D }, (_, d) => Float64Array.from({ length: N }, (_, n) => data[n * D + d]));
}

/** One factor of all samples: its values are numbered 0 ... count - 1 in ascending order. */
export interface Factor {
  values: Uint32Array;
  count: number;
}

/**
 * The columns of factors.
 * @throws InputError for what are no factors, for another number of rows, and for a factor of one value or of more than 256
 */
export function factorsOf(where: string, factors: Factors, rows: number): Factor[] {
  const [N, F] = checkTable(where, 'factors', factors, WHOLE, 'an array of whole numbers');
  if (N !== rows) throw new InputError(`${where}: expected ${rows} rows of factors, as of codes, got ${N}`);
  return Array.from({ length: F }, (_, f) => {
    const column = Float64Array.from({ length: N }, (_, n) => factors.data[n * F + f]);
    const numbers = new Map([...new Set(column)].sort((a, b) => a - b).map((value, i) => [value, i]));
    if (numbers.size < 2 || numbers.size > MOST_VALUES)
      throw new InputError(
        `${where}: expected factors of 2 to ${MOST_VALUES} values, got ${numbers.size} in column ${f}`,
      );
    return { values: Uint32Array.from(column, (value) => numbers.get(value)!), count: numbers.size };
  });
}

/** The rows in random order: two thirds to fit, one to test. */
export function splitRows(N: number, seed: number): { fit: Uint32Array; test: Uint32Array } {
  const order = permutationArray(N, { seed });
  const cut = Math.floor((2 * N) / 3);
  return { fit: order.subarray(0, cut), test: order.subarray(cut) };
}

/** The largest minus the second largest, 0 where there is no second. */
export function gapOf(scores: ArrayLike<number>): number {
  const [first, second = 0] = Float64Array.from(scores).sort().reverse();
  return first - second;
}

export function meanOf(list: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < list.length; i++) total += list[i];
  return total / list.length;
}

/** Edges so that about as many of the values lie in each bin; equal values stay together. */
export function quantileEdges(values: Float64Array, bins: number): Float64Array {
  const sorted = Float64Array.from(values).sort();
  const edges = Array.from(
    { length: bins - 1 },
    (_, k) => sorted[Math.floor(((k + 1) * sorted.length) / bins)],
  );
  return Float64Array.from(new Set(edges)).filter((edge) => edge > sorted[0]);
}

/** The number of edges that are not above a value. */
export function binOf(edges: Float64Array, value: number): number {
  let [low, high] = [0, edges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edges[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A seed of the random choices of a score. */
export const checkSeed = (where: string, seed: unknown): void =>
  checkNumber(where, 'seed', seed, { least: 0, most: 2 ** 32 - 1, whole: true });
