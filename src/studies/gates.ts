import type { Result } from './result.ts';

/** A promise about a run, and whether it is kept. */
export interface Gate {
  text: string;
  ok: boolean;
}

/** What a run is compared with: raw pixels, the untrained encoder of its seed. */
interface Beside {
  raw: Result;
  untrained: Result;
  /** The method itself, healthy, on the same seed. */
  own?: Result;
}

type Bound = [metric: string, value: (run: Result, beside: Beside) => number, low: number, high?: number];

const metric =
  (name: string): Bound[1] =>
  (run) =>
    name === 'loss' ? run.loss! : run.metrics[name]!;
const within = (name: string, low: number, high = Number.POSITIVE_INFINITY): Bound => [
  name,
  metric(name),
  low,
  high,
];
const most = (name: string, high: number): Bound => within(name, Number.NEGATIVE_INFINITY, high);
/** How much a metric exceeds that of the untrained encoder, of raw pixels, of the healthy method. */
const over = (other: keyof Beside, name: string, low: number, high?: number): Bound => [
  `${name} over ${other}`,
  (run, beside) => run.metrics[name]! - (beside[other]?.metrics[name] ?? Number.NaN),
  low,
  high,
];

/**
 * The calibrated gates of the small protocol, by method and variant; margins as calibrated in NumPy.
 */
const GATES: Record<string, Bound[]> = {
  'raw pixels': [
    ...[within('knn', 0.8035, 0.8075), within('linearProbe', 0.8465, 0.8545)],
    within('augKnn', 0.567, 0.607),
  ],
  untrained: [within('augKnn', 0.55, 0.62), within('linearProbe', 0.77, 0.83)],
  simclr: [
    ...[within('augKnn', 0.7), over('raw', 'augKnn', 0.1), over('untrained', 'augKnn', 0.1)],
    ...[
      within('linearProbe', 0.81),
      over('untrained', 'linearProbe', 0.015),
      over('untrained', 'linearProbe1000', 0.03),
    ],
    within('uniformity', -3.4, -3.1),
  ],
  alignUniform: [
    ...[within('augKnn', 0.7), over('raw', 'augKnn', 0.1), within('linearProbe', 0.82)],
    ...[most('uniformity', -3.35), within('effectiveRankZ', 40)],
  ],
  barlowTwins: [
    ...[within('augKnn', 0.66), within('linearProbe', 0.8)],
    ...[within('correlationDiagonal', 0.72), most('correlationRest', 0.2)],
  ],
  vicReg: [
    within('augKnn', 0.645),
    within('linearProbe', 0.79),
    within('rawStdZ', 0.7),
    within('effectiveRankZ', 16),
  ],
  'vicReg, invariance only': [most('rawStdZ', 0.1)],
  'vicReg, no covariance term': [most('effectiveRankZ', 12)],
  byol: [
    within('augKnn', 0.63),
    within('linearProbe', 0.785),
    within('stdZ', 0.095),
    most('uniformity', -1.6),
  ],
  'byol, no predictor': [most('stdZ', 0.075), within('uniformity', -1.2)],
  simSiam: [
    ...[within('augKnn', 0.61), over('untrained', 'augKnnZ', 0.04), within('effectiveRankZ', 13)],
    within('loss', -0.95, -0.75),
  ],
  'simSiam, no stop-gradient': [
    ...[most('loss', -0.975), most('effectiveRankZ', 8)],
    [
      'rank of SimSiam over its own',
      (run, { own }) => (own?.metrics.effectiveRankZ ?? Number.NaN) / run.metrics.effectiveRankZ!,
      2.3,
    ],
    over('own', 'augKnn', Number.NEGATIVE_INFINITY, -0.03),
    over('own', 'linearProbeZ', Number.NEGATIVE_INFINITY, -0.06),
  ],
  alignment: [
    most('stdZ', 0.02),
    within('uniformity', -0.1),
    over('raw', 'knn', Number.NEGATIVE_INFINITY, -0.04),
  ],
  uniformity: [most('uniformity', -3.65), within('alignment', 1.4), most('augKnnZ', 0.56)],
};

/** A healthy run of a method that was not calibrated. */
const DEFAULT: Bound[] = [over('untrained', 'augKnn', 0.05)];

/** Every gate of every run, the alarm's word included. */
export function gatesOf(results: readonly Result[]): Gate[] {
  const find = (method: string, variant: string, seed: number) =>
    results.find((r) => r.method === method && r.variant === variant && r.seed === seed);
  const raw = find('raw pixels', '', 0);
  if (!raw) return [];
  return results.flatMap((run) => {
    const name = [run.method, run.variant].filter(Boolean).join(', ');
    const untrained = find('untrained', '', run.seed) ?? raw;
    const beside = { raw, untrained, own: find(run.method, '', run.seed) };
    const bounds = GATES[name] ?? (run.expected.length || run.variant ? [] : DEFAULT);
    const met = bounds.map(([what, value, low, high = Number.POSITIVE_INFINITY]) => {
      const found = value(run, beside);
      const range =
        low === Number.NEGATIVE_INFINITY
          ? `at most ${high}`
          : high === Number.POSITIVE_INFINITY
            ? `at least ${low}`
            : `${low} to ${high}`;
      return {
        text: `${name}, seed ${run.seed}: ${what} ${found?.toFixed(4)}, wanted ${range}`,
        ok: found >= low && found <= high,
      };
    });
    if (!run.shares) return met;
    const right = run.expected.length
      ? run.expected.every((kind) => run.alarm.includes(kind))
      : !run.alarm.length && !run.falseAlarmSteps?.length;
    const text = `${name}, seed ${run.seed}: alarm "${run.alarm.join(', ')}", expected "${run.expected.join(', ')}"`;
    return [...met, { text, ok: right }];
  });
}
