/** How far two partitions of the same samples agree, whatever their clusters are called. */
import { InputError } from '../gpu/errors.ts';
import { countClasses } from './per_class.ts';

/** How many samples have label i in one partition and j in the other, and how many have each label. */
function contingency(a: ArrayLike<number>, b: ArrayLike<number>) {
  if (a.length !== b.length || !a.length)
    throw new InputError(`agreement: expected two labels for each sample, got ${a.length} and ${b.length}`);
  const [rows, columns] = [countClasses(a), countClasses(b)];
  const both = new Float64Array(rows * columns);
  const [ofA, ofB] = [new Float64Array(rows), new Float64Array(columns)];
  for (let i = 0; i < a.length; i++) {
    both[a[i] * columns + b[i]]++;
    ofA[a[i]]++;
    ofB[b[i]]++;
  }
  return { n: a.length, both, ofA, ofB };
}

/**
 * Normalised mutual information, I(a; b) over the mean of the two entropies: 1 for the same partition, 0 when one says
 * nothing of the other. Grows by chance with the number of clusters; the adjusted Rand index does not.
 */
export function normalizedMutualInformation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const { n, both, ofA, ofB } = contingency(a, b);
  const entropy = (counts: Float64Array) =>
    counts.reduce((total, count) => (count ? total - (count / n) * Math.log(count / n) : total), 0);
  const whole = entropy(ofA) + entropy(ofB);
  // Two partitions with one part each are the same.
  return whole === 0 ? 1 : Math.max(0, (2 * (whole - entropy(both))) / whole);
}

/** Adjusted Rand index (Hubert & Arabie 1985): pairs on which two partitions agree; 1 for the same, 0 by chance. */
export function adjustedRandIndex(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const { n, both, ofA, ofB } = contingency(a, b);
  const pairs = (counts: Float64Array) =>
    counts.reduce((total, count) => total + (count * (count - 1)) / 2, 0);
  const [together, inA, inB] = [both, ofA, ofB].map(pairs);
  const chance = n > 1 ? (inA * inB) / ((n * (n - 1)) / 2) : 0;
  const most = (inA + inB) / 2;
  return most === chance ? 1 : (together - chance) / (most - chance);
}
