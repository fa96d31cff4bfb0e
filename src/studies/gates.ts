import {
  type Beside,
  type Bound,
  type Case,
  over,
  type Result,
  untrainedVariant,
  within,
} from './method_study.ts';

/** A requirement on a run, and whether it is met. */
export interface Gate {
  text: string;
  ok: boolean;
}

/** The calibrated gates of representations that are not trained. */
export const BASELINES: Readonly<Record<string, readonly Bound[]>> = {
  'raw pixels': [
    ...[within('knn', 0.8035, 0.8075), within('linearProbe', 0.8465, 0.8545)],
    within('augKnn', 0.567, 0.607),
  ],
  untrained: [within('augKnn', 0.55, 0.62), within('linearProbe', 0.77, 0.83)],
};

/** The gates of healthy runs of methods without calibrated gates. */
export const DEFAULT: readonly Bound[] = [over('untrained', 'augKnn', 0.05)];

/** The case of a run. */
export const caseOf = ({ method, variant }: Result, cases: readonly Case[]): Case | undefined =>
  cases.find((other) => other.method === method && other.variant === variant);

/** The gates that a run is held to, by its method and variant. */
function boundsOf(run: Result, cases: readonly Case[]): readonly Bound[] {
  const { method, variant, expected } = run;
  const calibrated = variant ? undefined : BASELINES[method];
  return caseOf(run, cases)?.gates ?? calibrated ?? (expected.length || variant ? [] : DEFAULT);
}

/** Gates of one run. */
export function judge(bounds: readonly Bound[], run: Result, beside: Beside): Gate[] {
  return bounds.map(([what, value, low, high = Number.POSITIVE_INFINITY]) => {
    const found = value(run, beside);
    const range =
      low === Number.NEGATIVE_INFINITY
        ? `at most ${high}`
        : high === Number.POSITIVE_INFINITY
          ? `at least ${low}`
          : `${low} to ${high}`;
    return { text: `${what} ${found?.toFixed(4)}, wanted ${range}`, ok: found >= low && found <= high };
  });
}

/** Every gate of every run, including what the alarm must report. */
export function gatesOf(results: readonly Result[], cases: readonly Case[]): Gate[] {
  const find = (method: string, variant: string, seed: number) =>
    results.find((r) => r.method === method && r.variant === variant && r.seed === seed);
  const raw = find('raw pixels', '', 0);
  if (!raw) return [];
  return results.flatMap((run) => {
    const name = [run.method, run.variant].filter(Boolean).join(', ');
    const one = caseOf(run, cases);
    const untrained = find('untrained', one ? untrainedVariant(one) : '', run.seed) ?? raw;
    const beside = { raw, untrained, own: find(run.method, '', run.seed) };
    const met = judge(boundsOf(run, cases), run, beside).map(({ text, ok }) => ({
      text: `${name}, seed ${run.seed}: ${text}`,
      ok,
    }));
    if (!run.looks && !run.shares) return met;
    const right = run.expected.length
      ? run.expected.every((kind) => run.alarm.includes(kind))
      : !run.alarm.length && !run.falseAlarmSteps?.length;
    const text = `${name}, seed ${run.seed}: alarm "${run.alarm.join(', ')}", expected "${run.expected.join(', ')}"`;
    return [...met, { text, ok: right }];
  });
}
