// What rank correlations of a few dozen runs say.
import { sampleRankCorrelation } from 'simple-statistics';

/** Spearman's correlation of a and b with c held fixed: what b tells of a beyond what c tells. */
export function partialSpearman(a: number[], b: number[], c: number[]): number {
  const [ab, ac, bc] = [
    sampleRankCorrelation(a, b),
    sampleRankCorrelation(a, c),
    sampleRankCorrelation(b, c),
  ];
  return (ab - ac * bc) / Math.sqrt((1 - ac ** 2) * (1 - bc ** 2));
}

/** 95 % interval of a rank correlation of n pairs (Fieller et al. 1957: Fisher's z with variance 1.06 / (n - 3)). */
export function interval(correlation: number, n: number): [low: number, high: number] {
  const half = 1.96 * Math.sqrt(1.06 / (n - 3));
  return [Math.tanh(Math.atanh(correlation) - half), Math.tanh(Math.atanh(correlation) + half)];
}
