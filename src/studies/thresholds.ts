import { type CollapseKind, THRESHOLDS } from '../metrics/alarm.ts';
import { formatNumber } from '../metrics/format.ts';
import type { Result } from './method_study.ts';

type Name = keyof typeof THRESHOLDS;

const fewDimensions = (kinds: readonly CollapseKind[]) =>
  kinds.includes('dimensional') ? 'below' : kinds.length ? undefined : 'above';

/** The side of each threshold on which a run must be, by its collapses; undefined where it may be on either. */
const SIDES: Record<Name, (kinds: readonly CollapseKind[]) => 'above' | 'below' | undefined> = {
  uniformity: (kinds) => (kinds.includes('complete') ? 'below' : fewDimensions(kinds)),
  // Distinguishes a point from few dimensions, where uniformity is low.
  std: (kinds) =>
    kinds.includes('complete') ? 'below' : kinds.includes('dimensional') ? 'above' : undefined,
  // Used where uniformity is low and std is not.
  rank: fewDimensions,
  participation: fewDimensions,
  length: (kinds) => (kinds.includes('scale') ? 'below' : 'above'),
};

/** The best collapsed run of seed 0 on the 8 x 8 digits, where it is a tighter limit: VICReg without covariance (test/methods/vicreg.test.ts). */
const DIGITS: Partial<Record<Name, number>> = { participation: 0.055 };

/** For each threshold the geometric mean of the nearest runs of seed 0 on both sides, with their values. */
export function fit(runs: readonly Result[]): { fitted: Record<Name, string> } {
  const fitted = Object.fromEntries(
    Object.keys(THRESHOLDS).map((key) => {
      const name = key as Name;
      const of = (side: 'above' | 'below') =>
        runs.filter((run) => SIDES[name](run.expected) === side).map((run) => run.shares![name]);
      const [low, high] = [Math.max(...of('below'), DIGITS[name] ?? 0), Math.min(...of('above'))];
      const middle = Math.sqrt(Math.max(low, 0) * high);
      const [at, from, to] = [middle, low, high].map((x) => formatNumber(x, 3));
      return [name, `${at} (${from} and ${to})`];
    }),
  ) as Record<Name, string>;
  return { fitted };
}
