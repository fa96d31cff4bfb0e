// The study of a method, which its test defines: the variants that are trained, their expected outcomes, and their gates.

import { InputError } from '../gpu/errors.ts';
import { allMethods } from '../methods/index.ts';
import type { Method } from '../methods/method.ts';
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
  /** The evaluations that the alarm judged, so that they can be judged again; with the numbers of the method's own curves. */
  looks?: readonly Look[];
  /** The evaluation of an untrained encoder, with which the alarm compares. */
  look?: Omit<Look, 'step'>;
  picture?: { x: number[]; y: number[]; spectrum: number[] };
}

/** The runs with which a run is compared, if they exist. */
export interface Beside {
  /** Raw pixels. */
  raw?: Result;
  /** The untrained encoder of its seed. */
  untrained?: Result;
  /** The method itself, healthy, on the same seed. */
  own?: Result;
}

/** A calibrated gate: a number of a run, and its allowed range. */
export type Bound = [
  metric: string,
  value: (run: Result, beside: Beside) => number,
  low: number,
  high?: number,
];

/** A metric of a run, its loss, or the last number of one of the method's curves. */
export const numberOf = (run: Result, name: string): number | undefined => {
  if (name === 'loss') return run.loss;
  const last = run.looks?.at(-1) as Record<string, number> | undefined;
  return run.metrics[name] ?? last?.[name];
};
const metric =
  (name: string): Bound[1] =>
  (run) =>
    numberOf(run, name)!;
/** A metric, the loss, or a number of the method's curves, within bounds. */
export const within = (name: string, low: number, high = Number.POSITIVE_INFINITY): Bound => [
  name,
  metric(name),
  low,
  high,
];
/** The same, of at most `high`. */
export const most = (name: string, high: number): Bound => within(name, Number.NEGATIVE_INFINITY, high);
/** How much a metric exceeds that of another run. */
export const over = (other: keyof Beside, name: string, low: number, high?: number): Bound => [
  `${name} over ${other}`,
  (run, beside) => run.metrics[name]! - (beside[other]?.metrics[name] ?? Number.NaN),
  low,
  high,
];
/** How much a metric is at least below that of another run. */
export const under = (other: keyof Beside, name: string, by: number): Bound =>
  over(other, name, Number.NEGATIVE_INFINITY, -by);

/** A variant of a method by the small protocol. */
interface Variant<H> {
  /** Its name; without one, the method itself. */
  variant?: string;
  /** Values that differ from the defaults. */
  hyperparameters?: { readonly [K in keyof H]?: number };
  seeds: readonly number[];
  /** The collapses that it is known to cause; without them it is healthy. */
  expected?: readonly CollapseKind[];
  /** Calibrated gates; without them, a healthy method has the default gate. */
  gates?: readonly Bound[];
}

/** The settings of a method that the small protocol does not suit: where they differ from that. */
export interface OwnProtocol {
  /** A name of `encoders`; the untrained encoder beside it is of the same kind. */
  encoder?: string;
  epochs?: number;
  batch?: number;
  learningRate?: number;
}

/** A run of a method on the 8 x 8 digits: test/slow/digits.ts. */
export interface DigitsCase<H = Record<string, number>> {
  hyperparameters?: { readonly [K in keyof H]?: number };
  epochs?: number;
  learningRate?: number;
  seeds: readonly number[];
  /** Exactly the collapses that the alarm must report. Default: none. */
  alarm?: readonly CollapseKind[] | 'any';
  gates: readonly Bound[];
  /** Whether gates compare it with the method's first run here, on the same seed. */
  besideOwn?: boolean;
}

/** The study of a method, which its test exports as `study`. */
export type MethodStudy<M extends Method = Method> =
  | {
      method: M;
      /** Sort key in the tables of docs/results.md, ascending. */
      order: number;
      /** Also fit a linear probe of z, where gates ask for it. */
      probeZ?: boolean;
      /** Default: the small protocol. */
      protocol?: OwnProtocol;
      cases: readonly Variant<M['hyperparameters']>[];
      digits?: readonly DigitsCase<M['hyperparameters']>[];
    }
  /** A method that is not trained by the small protocol, and why. */
  | { method: M; without: string };

/** A run configuration, and the collapse that it is known to cause. */
export interface Case {
  method: string;
  /** The name of the variant; '' with the defaults. */
  variant: string;
  hyperparameters?: Readonly<Record<string, number>>;
  seeds: readonly number[];
  expected: readonly CollapseKind[];
  gates?: readonly Bound[];
  probeZ?: boolean;
  protocol?: OwnProtocol;
}

/** The variant of the results of an untrained encoder: '' for that of the small protocol, else its name. */
export const untrainedVariant = ({ protocol }: Pick<Case, 'protocol'>): string => protocol?.encoder ?? '';

/** The name of a method in the list. @throws InputError for a method that is not in it */
export function nameOf(method: Method): string {
  const name = Object.keys(allMethods).find((key) => allMethods[key] === method);
  if (name) return name;
  throw new InputError(`the study of ${method.title}: the method is not in the list of methods`);
}

/** The cases of studies, in the order of the tables. @throws InputError for a method that is not in the list */
export function casesOf(studies: readonly MethodStudy[]): Case[] {
  const trained = studies.flatMap((study) => ('cases' in study ? [study] : []));
  return trained
    .sort((a, b) => a.order - b.order)
    .flatMap(({ method, probeZ, protocol, cases }) => {
      const name = nameOf(method);
      return cases.map(
        ({ variant = '', seeds, expected = [], ...rest }): Case => ({
          ...{ method: name, variant, seeds, expected, probeZ, protocol },
          ...(rest as Pick<Case, 'hyperparameters' | 'gates'>),
        }),
      );
    });
}
