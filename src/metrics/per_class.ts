import {
  classSizes,
  IGNORED,
  type Label,
  type LabelOptions,
  type Labels,
  numberTogether,
} from '../data/labels.ts';
import { checkOptions } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';

/** Predictions beside true labels, numbered together; rows whose true label is ignored do not count. */
function paired<L extends Label>(where: string, predicted: Labels, labels: Labels<L>, options: LabelOptions) {
  checkOptions(where, options, ['ignore']);
  const truth = { name: 'labels', labels };
  const [[known, guessed], values] = numberTogether<Label>(
    where,
    [truth, { name: 'predicted', labels: predicted, rows: labels?.length }],
    options,
  );
  if (known.every((label) => label === IGNORED)) throw new InputError(`${where}: every label is ignored`);
  return { guessed, known, values: values as L[] };
}

/** The place of the largest number, the first of equal ones. */
export function indexOfLargest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** The share of numbers that agree, of those that are not ignored; NaN where all are. */
export function agreeing(guessed: ArrayLike<number>, known: ArrayLike<number>): number {
  let [right, all] = [0, 0];
  for (let i = 0; i < known.length; i++) {
    if (known[i] === IGNORED) continue;
    all++;
    right += Number(guessed[i] === known[i]);
  }
  return right / all;
}

/** The same for each of `classes`. */
export function agreeingPerClass(
  guessed: ArrayLike<number>,
  known: ArrayLike<number>,
  classes: number,
): Float64Array {
  const right = new Float64Array(classes);
  for (let i = 0; i < known.length; i++)
    if (known[i] !== IGNORED) right[known[i]] += Number(guessed[i] === known[i]);
  const sizes = classSizes(known, classes);
  return right.map((n, c) => n / sizes[c]);
}

/**
 * The share of right predictions.
 * @param predicted, labels numbers or strings, one of each for every sample; see `numberLabels`
 * @param options.ignore true labels whose samples do not count
 * @throws InputError for an invalid label, different lengths, or when every label is ignored
 */
export function accuracyOf(predicted: Labels, labels: Labels, options: LabelOptions = {}): number {
  const { guessed, known } = paired('accuracyOf', predicted, labels, options);
  return agreeing(guessed, known);
}

/**
 * The share of right predictions among the samples of each class; NaN for a class that is only predicted. In the order of the
 * classes: numbers ascending, strings by code point, as `numberLabels` numbers both lists together.
 * @throws InputError as {@link accuracyOf}
 */
export function classAccuracies(predicted: Labels, labels: Labels, options: LabelOptions = {}): Float64Array {
  const { guessed, known, values } = paired('classAccuracies', predicted, labels, options);
  return agreeingPerClass(guessed, known, values.length);
}

/**
 * The class, or any other group, of the lowest accuracy, which a mean hides.
 * @returns its label as given; the first of equal ones
 * @throws InputError as {@link accuracyOf}
 */
export function worstClass<L extends Label>(
  predicted: Labels,
  labels: Labels<L>,
  options: LabelOptions = {},
): { label: L; accuracy: number } {
  const { guessed, known, values } = paired('worstClass', predicted, labels, options);
  const { place, accuracy } = worstOf(agreeingPerClass(guessed, known, values.length));
  return { label: values[place], accuracy };
}

/** The smallest of some accuracies, and its index. */
export function worstOf(accuracies: Float64Array): { place: number; accuracy: number } {
  const accuracy = accuracies.reduce((least, a) => (a < least ? a : least), Number.POSITIVE_INFINITY);
  return { place: accuracies.indexOf(accuracy), accuracy };
}
