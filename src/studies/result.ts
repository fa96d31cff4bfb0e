import type { CollapseKind, Look, THRESHOLDS } from '../metrics/alarm.ts';

/** One run in docs/results.json; metrics by their keys in report.json. */
export interface Result {
  method: string;
  variant: string;
  seed: number;
  expected: readonly CollapseKind[];
  loss?: number;
  metrics: Record<string, number | null | undefined>;
  alarm: readonly CollapseKind[];
  /** The sentences of the alarm. */
  words: readonly string[];
  /** Steps with a false alarm: the run is healthy. */
  falseAlarmSteps?: readonly number[];
  /** The shares by which the alarm judges, at the end. */
  shares?: typeof THRESHOLDS;
  /** The evaluations that the alarm judged, so that they can be judged again. */
  looks?: readonly Look[];
  /** The evaluation of an untrained encoder, with which the alarm compares. */
  look?: Omit<Look, 'step'>;
  picture?: { x: number[]; y: number[]; spectrum: number[] };
}
