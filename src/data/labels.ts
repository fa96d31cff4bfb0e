import { checkNumber, checkOptions, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';

/** The label of a row: any finite number, a BigInt, a boolean or a string. */
export type Label = number | bigint | boolean | string;

/** Labels of rows: an array, a typed array, a BigInt array, or anything like them. */
export type Labels<L extends Label = Label> = ArrayLike<L>;

/** The class number of rows whose label is ignored. */
export const IGNORED = 0xffffffff;

/** Which labels are ignored. */
export interface LabelOptions {
  /** One or more labels whose rows are left out, such as a -1 that marks unlabelled rows. Default: none. */
  ignore?: Label | readonly Label[];
}

/** Labels as classes 0, 1, ... */
export interface Numbered<L extends Label = Label> {
  /** The class of each row; {@link IGNORED} where its label is ignored. */
  labels: Uint32Array;
  /** The label of each class: numbers ascending, then false and true, then strings by code point. */
  values: L[];
}

/** One of several lists that are numbered together. */
export interface LabelList<L extends Label = Label> {
  /** The argument's name, for messages. */
  name: string;
  labels: Labels<L>;
  /** The number of labels that there must be. Default: at least one. */
  rows?: number;
}

/**
 * Numbers labels from 0. Numbers and BigInts of equal value are the same label, BigInts beyond 2^53 stay distinct;
 * `1`, `true` and `'1'` are three labels.
 * @throws InputError for a row whose label is NaN, infinite, null, undefined or an object
 */
export function numberLabels<L extends Label>(labels: Labels<L>, options: LabelOptions = {}): Numbered<L> {
  checkOptions('numberLabels', options, ['ignore']);
  const [numbers, values] = numberTogether('numberLabels', [{ name: 'labels', labels }], options);
  return { labels: numbers[0], values };
}

/**
 * Numbers several lists of labels together, so that a class has the same number in all of them.
 * @param where the function that is called, for messages
 * @param options.classes the largest number of different labels, without ignored ones
 * @returns the class numbers of each list, and the label of each class
 * @throws InputError as {@link numberLabels}, for a list of another length, and for more classes
 */
export function numberTogether<L extends Label>(
  where: string,
  lists: readonly LabelList<L>[],
  { ignore, classes }: LabelOptions & { classes?: number } = {},
): [numbers: Uint32Array[], values: L[]] {
  for (const { name, labels, rows } of lists) checkList(where, name, labels, rows);
  if (classes !== undefined) checkNumber(where, 'classes', classes, { least: 1, whole: true });
  const ignored = new Set<Label>();
  for (const label of ignore === undefined ? [] : Array.isArray(ignore) ? ignore : [ignore]) {
    if (!isLabel(label))
      throw new InputError(`${where}: expected a label, or labels, for "ignore", got ${shown(label)}`);
    ignored.add(keyOf(label));
  }
  const [numbers, values] = numberByTable(lists, ignored) ?? numberByMap(where, lists, ignored);
  if (classes !== undefined && values.length > classes)
    throw new InputError(
      `${where}: expected at most ${classes} different labels, the number of "classes", got ${values.length}`,
    );
  return [numbers, values];
}

function checkList(where: string, name: string, labels: unknown, rows: number | undefined): void {
  const length = typeof labels === 'object' && labels !== null && (labels as { length?: unknown }).length;
  if (!Number.isInteger(length) || (length as number) < 0)
    throw new InputError(`${where}: expected an array of labels for "${name}", got ${shown(labels)}`);
  if (rows === undefined ? length === 0 : length !== rows) {
    const expected = rows === undefined ? 'at least one label' : `${rows} labels, one for each row,`;
    throw new InputError(`${where}: expected ${expected} for "${name}", got ${length}`);
  }
}

const isLabel = (value: unknown): value is Label =>
  typeof value === 'number'
    ? Number.isFinite(value)
    : typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint';

/** Equal for a number and a BigInt of the same value. */
function keyOf(label: Label): Label {
  if (typeof label === 'bigint') {
    const number = Number(label);
    return Number.isSafeInteger(number) ? number : label;
  }
  return typeof label === 'number' && Number.isInteger(label) && !Number.isSafeInteger(label)
    ? BigInt(label)
    : label;
}

/** The fast path for whole numbers in a small range, as labels nearly always are. Null for any others. */
function numberByTable<L extends Label>(
  lists: readonly LabelList<L>[],
  ignored: ReadonlySet<Label>,
): [Uint32Array[], L[]] | null {
  let [least, most, count] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const { labels } of lists) {
    count += labels.length;
    for (let i = 0; i < labels.length; i++) {
      const label = labels[i] as number;
      if (!Number.isInteger(label)) return null;
      if (label < least) least = label;
      if (label > most) most = label;
    }
  }
  if (!Number.isSafeInteger(least) || !Number.isSafeInteger(most) || most - least > 4 * count + 65_536)
    return null;
  const table = new Uint32Array(most - least + 1);
  for (const { labels } of lists)
    for (let i = 0; i < labels.length; i++) table[(labels[i] as number) - least] = 1;
  const values: number[] = [];
  for (let i = 0; i < table.length; i++) {
    if (!table[i]) continue;
    const label = i + least;
    table[i] = ignored.has(label) ? IGNORED : values.push(label) - 1;
  }
  const numbers = lists.map(({ labels }) => {
    const result = new Uint32Array(labels.length);
    for (let i = 0; i < labels.length; i++) result[i] = table[(labels[i] as number) - least];
    return result;
  });
  return [numbers, values as L[]];
}

function numberByMap<L extends Label>(
  where: string,
  lists: readonly LabelList<L>[],
  ignored: ReadonlySet<Label>,
): [Uint32Array[], L[]] {
  const found = new Map<Label, L>();
  for (const { name, labels } of lists) {
    for (let i = 0; i < labels.length; i++) {
      const label: unknown = labels[i];
      if (!isLabel(label))
        throw new InputError(
          `${where}: expected a finite number, a BigInt, a boolean or a string for row ${i} of "${name}", got ${shown(label)}`,
        );
      const key = keyOf(label);
      if (!found.has(key)) found.set(key, label as L);
    }
  }
  const keys = [...found.keys()].filter((key) => !ignored.has(key)).sort(inOrder);
  const places = new Map(keys.map((key, i) => [key, i]));
  const numbers = lists.map(({ labels }) => {
    const result = new Uint32Array(labels.length);
    for (let i = 0; i < labels.length; i++) result[i] = places.get(keyOf(labels[i])) ?? IGNORED;
    return result;
  });
  return [numbers, keys.map((key) => found.get(key)!)];
}

const KINDS = ['number', 'boolean', 'string'];
const kindOf = (label: Label) => KINDS.indexOf(typeof label === 'bigint' ? 'number' : typeof label);

function inOrder(a: Label, b: Label): number {
  if (typeof a === 'string' && typeof b === 'string') return byCodePoint(a, b);
  return kindOf(a) - kindOf(b) || (a < b ? -1 : Number(a > b));
}

/** `<` compares UTF-16 units, in which U+10000 comes before U+E000. */
function byCodePoint(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a.charCodeAt(i) === b.charCodeAt(i)) i++;
  // If only the low surrogates differ, the code points read from them have the same order.
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}

/** The rows whose label is not ignored; null when no label is. */
export function rowsKept(numbers: Uint32Array): Uint32Array | null {
  if (!numbers.includes(IGNORED)) return null;
  return Uint32Array.from(numbers.keys()).filter((i) => numbers[i] !== IGNORED);
}

/** The number of rows of each class. */
export function classSizes(numbers: ArrayLike<number>, classes: number): Uint32Array {
  const sizes = new Uint32Array(classes);
  for (let i = 0; i < numbers.length; i++) if (numbers[i] !== IGNORED) sizes[numbers[i]]++;
  return sizes;
}

/** The same label, with a BigInt as a number where that is exact. */
export const plainLabel = (label: Label): Label =>
  typeof label === 'bigint' && Number.isSafeInteger(Number(label)) ? Number(label) : label;
