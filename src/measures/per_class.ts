import { InputError } from '../gpu/errors.ts';

/** One more than the largest label. */
export function countClasses(labels: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < labels.length; i++) most = Math.max(most, labels[i]);
  return most + 1;
}

function checkPredictions(predicted: ArrayLike<number>, labels: ArrayLike<number>): void {
  if (predicted.length !== labels.length || !labels.length)
    throw new InputError(
      `accuracy: expected a prediction for each label, got ${predicted.length} for ${labels.length}`,
    );
}

/** The share of right predictions. */
export function accuracyOf(predicted: ArrayLike<number>, labels: ArrayLike<number>): number {
  checkPredictions(predicted, labels);
  let right = 0;
  for (let i = 0; i < labels.length; i++) right += Number(predicted[i] === labels[i]);
  return right / labels.length;
}

/** The share of right predictions among the samples of each class; NaN for a class without samples. */
export function classAccuracies(predicted: ArrayLike<number>, labels: ArrayLike<number>): Float64Array {
  checkPredictions(predicted, labels);
  const classes = countClasses(labels);
  const [right, all] = [new Float64Array(classes), new Float64Array(classes)];
  for (let i = 0; i < labels.length; i++) {
    right[labels[i]] += Number(predicted[i] === labels[i]);
    all[labels[i]]++;
  }
  return right.map((n, c) => n / all[c]);
}

/** The class, or any other group, that is served worst, and its accuracy: what a mean hides. */
export function worstClass(
  predicted: ArrayLike<number>,
  labels: ArrayLike<number>,
): { label: number; accuracy: number } {
  const accuracies = classAccuracies(predicted, labels);
  const accuracy = accuracies.reduce((least, a) => (a < least ? a : least), Infinity);
  return { label: accuracies.indexOf(accuracy), accuracy };
}
