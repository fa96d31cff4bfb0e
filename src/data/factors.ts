import { inRange, shown, shownList } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { sizeOf, type Variable, variable } from '../graph/tensor.ts';
import type { ImageFactors } from './idx.ts';

/** The factors of a data set, on the GPU. */
export interface FactorTables extends ImageFactors {
  /** The place of each image in the grid of all combinations, the last factor fastest: u32 [count]. */
  readonly cells: Variable;
  /** The index of the image of each place plus 1, or 0 without one: u32 [product of values]. */
  readonly rowAt: Variable;
}

/** The most factors of a data set, and the most combinations of them. */
export const MOST_FACTORS = 8;
const MOST_CELLS = 2 ** 24;

/**
 * The tables of the factors of a data set.
 * @throws InputError unless `factors` are the factors of `count` images
 */
export function factorTables(
  where: string,
  factors: ImageFactors,
  { name, count }: { name: string; count: number },
): FactorTables {
  const { names, values, data } = (factors ?? {}) as Partial<ImageFactors>;
  const F = Array.isArray(names) ? names.length : 0;
  const counts = { least: 1, most: 65_535, whole: true };
  if (
    F < 1 ||
    F > MOST_FACTORS ||
    !Array.isArray(values) ||
    values.length !== F ||
    !values.every((n) => inRange(n, counts)) ||
    sizeOf(values) > MOST_CELLS
  )
    throw new InputError(
      `${where}: expected 1 to ${MOST_FACTORS} "names" of factors, with their "values", of ${MOST_CELLS} combinations at most, got ${shown(names)} and ${Array.isArray(values) ? shownList(values) : shown(values)}`,
    );
  const valid =
    data instanceof Uint32Array && data.length === count * F && data.every((v, i) => v < values[i % F]);
  if (!valid)
    throw new InputError(
      `${where}: expected factors u32 [${count}, ${F}], each below its number of values, got ${shown(data)}`,
    );
  const cells = new Uint32Array(count);
  const rowAt = new Uint32Array(sizeOf(values));
  for (let i = 0; i < count; i++) {
    for (let f = 0; f < F; f++) cells[i] = cells[i] * values[f] + data[i * F + f];
    rowAt[cells[i]] = i + 1;
  }
  const table = (part: string, of: Uint32Array<ArrayBuffer>) =>
    variable([of.length], { name: `${name}.${part}`, initial: of, dtype: 'u32' });
  return { names: names!, values, data, cells: table('cells', cells), rowAt: table('rowAt', rowAt) };
}
