// The metrics that are taken while training: how pages and tables show them. `compileWatch` computes them.
import type { MetricKey } from './table.ts';

/** A number that is taken again and again while training. */
export interface Curve {
  /** The name of its number in metrics.jsonl. */
  key: string;
  name: string;
  /** The name at the top of a chart of the report. Default: `name`. */
  long?: string;
  /** The name in the terminal's progress line; without one it is not shown there. */
  short?: string;
  /** Accuracies are shares, shown in percent. */
  kind: 'accuracy' | 'number';
  /** Decimals. */
  digits: number;
  /** Present with labels only. */
  needs?: readonly 'labels'[];
  /** The metric of the trained encoder that is its theoretical value, and what that is called. */
  target?: { key: MetricKey; name: string };
  /** Whether the report draws it. Default true. */
  report?: boolean;
  /** A few words on how to read it. */
  hint: string;
}

export const curves = [
  {
    key: 'loss',
    name: 'loss',
    short: 'loss',
    kind: 'number',
    digits: 4,
    hint: 'of the training batch',
  },
  {
    key: 'alignment',
    name: 'alignment',
    short: 'align',
    kind: 'number',
    digits: 3,
    hint: 'distance of two views: 0 is best',
  },
  {
    key: 'uniformity',
    name: 'uniformity',
    short: 'unif',
    kind: 'number',
    digits: 3,
    target: { key: 'uniformityOptimum', name: 'optimum' },
    hint: 'evenness on the sphere: lower is better',
  },
  {
    key: 'rank',
    name: 'effective rank',
    long: 'effective rank of z',
    short: 'rank',
    kind: 'number',
    digits: 1,
    hint: 'dimensions in use',
  },
  {
    key: 'participation',
    name: 'participation ratio',
    kind: 'number',
    digits: 1,
    report: false,
    hint: 'strong directions',
  },
  {
    key: 'std',
    name: 'std',
    long: 'std of z',
    kind: 'number',
    digits: 3,
    target: { key: 'stdIsotropic', name: '1/√d' },
    hint: 'of the coordinates of a unit embedding',
  },
  {
    key: 'length',
    name: 'length',
    kind: 'number',
    digits: 3,
    report: false,
    hint: 'of z before it is normalised',
  },
  {
    key: 'knn',
    name: 'k-NN accuracy',
    long: 'quick k-NN, augmented',
    short: 'knn',
    kind: 'accuracy',
    digits: 3,
    needs: ['labels'],
    hint: 'of test images, by labelled training images',
  },
  {
    key: 'probe',
    name: 'linear probe',
    long: 'quick linear probe, augmented',
    kind: 'accuracy',
    digits: 3,
    needs: ['labels'],
    hint: 'of test images, by labelled training images',
  },
] as const satisfies readonly Curve[];

type Row = (typeof curves)[number];

/** The name of a number of metrics.jsonl. */
export type CurveKey = Row['key'];
type Labelled = Extract<Row, { needs: readonly unknown[] }>['key'];

/** What a look at a model in training gives: the curves but the loss. Those that need labels are absent without. */
export type Watched = { [K in Exclude<CurveKey, 'loss' | Labelled>]: number } & { [K in Labelled]?: number };

/** The curves with how they are shown. */
export const curveRows: readonly (Curve & { key: CurveKey })[] = curves;
