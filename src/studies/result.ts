import type { CollapseKind, Look, THRESHOLDS } from '../metrics/alarm.ts';

/** One run, as it stands in docs/results.json; metrics by their keys in report.json. */
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
  /** Steps at which it sounded, though the run is healthy. */
  falseAlarmSteps?: readonly number[];
  /** The shares that it judges by, at the end. */
  shares?: typeof THRESHOLDS;
  /** The looks that it judged, so that they can be judged again. */
  looks?: readonly Look[];
  /** The look of an untrained encoder, which the alarm compares with. */
  look?: Omit<Look, 'step'>;
  picture?: { x: number[]; y: number[]; spectrum: number[] };
}
