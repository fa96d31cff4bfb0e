import { type Collapse, type CollapseKind, describeCollapse } from '../metrics/alarm.ts';

/**
 * Turns what the alarm sees at each evaluation into lines for the terminal: one when a collapse has been seen at two
 * evaluations in a row, and one when it is gone.
 */
export function createAlarmLines(): (seen: readonly Collapse[], step: number) => string[] {
  let told = new Map<CollapseKind, number>();
  return (seen, step) => {
    const over = [...told]
      .filter(([kind]) => !seen.some((collapse) => collapse.kind === kind))
      .map(
        ([kind, since]) => `Alarm over: ${kind} collapse, seen since step ${since}, is gone at step ${step}.`,
      );
    const sure = seen.filter(({ since }) => since < step);
    const begun = sure.filter(({ kind }) => !told.has(kind)).map((one) => `Alarm: ${describeCollapse(one)}`);
    told = new Map(sure.map(({ kind, since }) => [kind, since]));
    return [...over, ...begun];
  };
}
