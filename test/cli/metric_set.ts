// The metrics of a run as the tests of its tables and verdicts have them.
import type { MetricSet, ReportedMetrics } from '../../src/cli/table.ts';

export function setOf(trained: Partial<ReportedMetrics> = {}): MetricSet {
  return {
    raw: { knn: 0.8, augKnn: 0.4, linearProbe1000: 0.75 },
    untrained: { knn: 0.78, augKnn: 0.5, linearProbe1000: 0.74 },
    trained: {
      knn: 0.805,
      augKnn: 0.7,
      linearProbe1000: 0.79,
      uniformity: -3.5,
      uniformityOptimum: -3.8,
      stdZ: 0.12,
      stdIsotropic: 0.125,
      effectiveRankZ: 40,
      ...trained,
    },
  };
}

export function equal(got: unknown, want: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(want))
    throw new Error(`expected ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
}

export const has = (text: string, part: string) => {
  if (!text.includes(part)) throw new Error(`expected ${JSON.stringify(part)} in ${JSON.stringify(text)}`);
};
export const lacks = (text: string, part: string) => {
  if (text.includes(part)) throw new Error(`expected no ${JSON.stringify(part)} in ${JSON.stringify(text)}`);
};
