// The metrics that are measured during training, and how pages and tables show them. `compileWatch` computes them.
import type { MetricKey } from './table.ts';

/** A number that is measured repeatedly during training. */
export interface Curve {
  /** The name of its number in metrics.jsonl. */
  key: string;
  name: string;
  /** The name at the top of a chart of the report. Default: `name`. */
  long?: string;
  /** The name in the terminal's progress line; without one it is not shown there. */
  short?: string;
  /** An accuracy is a share that is shown in percent. */
  kind: 'accuracy' | 'number';
  /** Decimals. */
  digits: number;
  /** Present with labels only. */
  needs?: readonly 'labels'[];
  /** The metric of the trained encoder that is its theoretical value, and what that is called. */
  target?: { key: MetricKey; name: string };
  /** Where it is drawn. */
  shown: readonly ('report' | 'demo')[];
  /** A short explanation. */
  hint: string;
}

/** Numbers of three decimals, unless a row says otherwise. */
const rows = [
  {
    key: 'loss',
    name: 'loss',
    short: 'loss',
    digits: 4,
    shown: ['report', 'demo'],
    hint: 'of the training batch',
  },
  {
    key: 'alignment',
    name: 'alignment',
    short: 'align',
    shown: ['report', 'demo'],
    hint: 'distance of two views: 0 is best',
  },
  {
    key: 'uniformity',
    name: 'uniformity',
    short: 'unif',
    shown: ['report', 'demo'],
    target: { key: 'uniformityOptimum', name: 'optimum' },
    hint: 'evenness on the sphere: lower is better',
  },
  {
    key: 'rank',
    name: 'effective rank',
    long: 'effective rank of z',
    short: 'rank',
    digits: 1,
    shown: ['report', 'demo'],
    hint: 'dimensions in use',
  },
  {
    key: 'participation',
    name: 'participation ratio',
    digits: 1,
    shown: [],
    hint: 'strong directions',
  },
  {
    key: 'std',
    name: 'std',
    long: 'std of z',
    shown: ['report', 'demo'],
    target: { key: 'stdIsotropic', name: '1/√d' },
    hint: 'of the coordinates of a unit embedding',
  },
  {
    key: 'length',
    name: 'length',
    shown: ['demo'],
    hint: 'of z before it is normalised',
  },
  {
    key: 'knn',
    name: 'k-NN accuracy',
    long: 'quick k-NN, augmented',
    short: 'knn',
    kind: 'accuracy',
    shown: ['report', 'demo'],
    needs: ['labels'],
    hint: 'of test images, by labelled training images',
  },
  {
    key: 'probe',
    name: 'linear probe',
    long: 'quick linear probe, augmented',
    kind: 'accuracy',
    shown: ['report'],
    needs: ['labels'],
    hint: 'of test images, by labelled training images',
  },
] as const satisfies readonly (Omit<Curve, 'kind' | 'digits'> & Partial<Curve>)[];

type Row = (typeof rows)[number];

/** The name of a number of metrics.jsonl. */
export type CurveKey = Row['key'];
type Labelled = Extract<Row, { needs: readonly unknown[] }>['key'];

/** A curve of the table. */
export type CurveRow = Curve & { key: CurveKey };

/** The metrics of one evaluation during training: all curves except the loss. Without labels those that need them are absent. */
export type Watched = { [K in Exclude<CurveKey, 'loss' | Labelled>]: number } & { [K in Labelled]?: number };

/** The metrics that are measured during training, the loss first. */
export const curves: readonly CurveRow[] = rows.map((row) => ({ kind: 'number', digits: 3, ...row }));
