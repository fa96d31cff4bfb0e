import type { Augmentation } from '../data/augment.ts';
import type { Label } from '../data/labels.ts';
import type { Device } from '../gpu/device.ts';
import type { Codes, Factors } from './codes.ts';
import type { Rows } from './compute.ts';

/** The groups of metrics, in the order of the tables, with their headings. */
export const metricGroups = {
  accuracy: 'Accuracy on h',
  shift: 'k-NN accuracy on h under shifts of the test images',
  embedding: 'Accuracy on the embedding z',
  spread: 'Spread over the sphere, and collapse',
  views: 'Answer to transformations',
  structure: 'Clusters and neighbourhoods',
  spectrum: 'Spectrum',
  factors: 'Disentanglement of z, by known factors',
} as const;

/** The stages of an evaluation, in their order. */
export const STAGES = ['encoding', 'k-NN', 'geometry', 'linear probe', 'few labels'] as const;
export type Stage = (typeof STAGES)[number];

/** A metric: its texts for tables, pages and the glossary, and its computation. */
export interface Metric {
  /** The name of its number in `evaluate`'s result and in report.json. */
  key: string;
  name: string;
  /** The name at the head of a narrow column. Default: `name`. */
  short?: string;
  group: keyof typeof metricGroups;
  /** Its unit: an accuracy is a share shown in percent, a rank counts dimensions. */
  kind: 'accuracy' | 'number' | 'rank';
  /** Which values are better. Without it no best one is marked. */
  better?: 'higher' | 'lower';
  /** The parts of the context that it needs; if one is missing, the metric does not apply and is absent. */
  needs?: readonly Need[];
  /** The stage of an evaluation that computes it. Default 'geometry'. */
  stage?: Stage;
  /** About its share, in percent, of an evaluation's time. Default 0.3. */
  cost?: number;
  /** Its name in a sentence, for the accuracies that a verdict compares. */
  phrase?: string;
  /** The reason why it may be undefined (NaN). */
  missing?: string;
  /** The key of its standard deviation over repetitions. */
  spread?: string;
  /** The key of its theoretical value, and what that is called. */
  target?: { key: string; name: string };
  /** The key of the number of labels or neighbours used, and its text in a table (undefined: none). */
  count?: { key: string; text: (count: number) => string | undefined };
  /** Shown in the report only, to keep the terminal's table short. */
  detail?: true;
  /** `npm run measure` has it too, under another key or name where given. */
  measure?: { key?: string; name?: string };
  /** Only `npm run measure` has it. */
  only?: 'measure';
  /** One or two sentences for the glossary. */
  text: string;
  /** Computes the metric, if everything it needs is present. undefined: it does not apply after all. */
  compute: (context: Required<MetricContext>) => Promise<Measured | number | undefined>;
}

/** A row without the fields that it shares with others. */
type Rest<B> = Omit<Metric, keyof B> & Partial<Metric>;

/**
 * Declares metrics. Calls are marked `@__PURE__`, so that bundles leave out unused metrics; object spreads would keep them.
 * @param shared the fields that all of them have, unless a row overrides them
 */
export function metricsOf<const B extends Partial<Metric>, const R extends readonly Rest<B>[]>(
  shared: B,
  rows: R,
) {
  return rows.map((row) => ({ ...shared, ...row })) as unknown as {
    readonly [I in keyof R]: Omit<B, keyof R[I]> & R[I];
  };
}

/** A measured value with its companions. */
export interface Measured {
  value: number;
  spread?: number;
  target?: number;
  count?: number;
  /** The text that `npm run measure` adds. */
  remark?: string;
}

/** One representation of the samples, h or z. */
export interface Representation {
  /** The clean test samples, in as many slabs as they need. */
  clean: Rows;
  /** Those of the rows that one binding holds: see `rowsThatFit`. */
  fit: Rows;
  /** Training samples. */
  gallery: Rows;
  /** The test samples that the gallery classifies. */
  queries: Rows;
  /** The queries under random transformations, other ones each time. */
  transformed: readonly Rows[];
}

/** Labels of the gallery and of the queries, numbered together; there are at least two classes. */
export interface KnownLabels {
  gallery: Uint32Array;
  queries: Uint32Array;
  /** The label of each number. */
  values: readonly Label[];
  /** Neighbours that vote. */
  k: number;
}

/** The note of an evaluation whose labels say nothing. */
export const ONE_CLASS = 'accuracies and clusters: left out, the labels have one class';

/** The inputs of metrics: embeddings and labels. `shared` computes intermediates of several metrics once. */
export interface MetricContext {
  device: Device;
  /** Name of the calling function, for error messages. */
  where: string;
  h: Representation;
  z?: Representation;
  /** Set for an encoder, not for raw pixels. */
  encoder?: true;
  labels?: KnownLabels;
  /** Labelled rows of h to be clustered, into as many clusters as there are classes; how often k-means starts. */
  clustered?: { rows: Rows; labels: Uint32Array; classes: number; restarts: number };
  /** z of two views of the test samples. */
  views?: readonly [Rows, Rows];
  /** h of the test samples as they are, and transformed. */
  moved?: readonly [Rows, Rows];
  /** h of the test samples under a transformation and, as a control, under another. */
  turned?: () => Promise<Turned>;
  /** k-NN accuracy of h of test images under an augmentation. */
  shifted?: (augmentation: Augmentation) => Promise<number>;
  /** The same samples by two encoders. */
  others?: readonly [Rows, Rows];
  /** "a is to b as c is to d", as numbers of rows of h. */
  analogies?: readonly (readonly [a: number, b: number, c: number, d: number])[];
  /** z of training samples whose factors are known, and these factors. */
  factors?: () => Promise<{ codes: Codes; known: Factors }>;
  /** Rows in pairs, such as two drawings of one thing, in the same order: of h and, for an encoder with one, of z. */
  paired?: { h: readonly [Rows, Rows]; z?: readonly [Rows, Rows] };
  /** Computes the value of a name at the first call, and returns it at every later one. */
  shared: <T>(name: string, make: () => Promise<T>) => Promise<T>;
  /** Takes a sentence on something that was measured in another way than usual, or left out. */
  note: (text: string) => void;
  /** Reports the share of the current metric that is done. */
  progress: (fraction: number) => void;
}

/** Embeddings of the same samples in the same order, as they are and transformed. */
export interface Turned {
  still: Rows;
  turned: Rows;
  /** Under another transformation. */
  wrong?: Rows;
}

/** A part of the context that may be missing. */
export type Need = {
  [K in keyof MetricContext]-?: undefined extends MetricContext[K] ? K : never;
}[keyof MetricContext];

/** Whether a metric can be computed: everything it needs is present. */
export const applies = ({ needs = [] }: Pick<Metric, 'needs'>, context: MetricContext): boolean =>
  needs.every((need) => context[need] !== undefined);

/** Makes the `shared` of a {@link MetricContext}. */
export function makeShared(): MetricContext['shared'] {
  const made = new Map<string, Promise<unknown>>();
  return <T>(name: string, make: () => Promise<T>) => {
    if (!made.has(name)) made.set(name, make());
    return made.get(name) as Promise<T>;
  };
}

/** Computes metrics, in the order of the stages. @param onMetric called before each of them */
export async function measured<M extends Metric>(
  metrics: readonly M[],
  context: MetricContext,
  onMetric: (metric: M) => void,
): Promise<Map<M, Measured>> {
  const found = new Map<M, Measured>();
  for (const stage of STAGES)
    for (const metric of metrics.filter((each) => stageOf(each) === stage)) {
      onMetric(metric);
      const value = await metric.compute(context as Required<MetricContext>);
      if (value !== undefined) found.set(metric, typeof value === 'number' ? { value } : value);
    }
  return found;
}

export const stageOf = ({ stage = 'geometry' }: Metric): Stage => stage;
export const costOf = ({ cost = 0.3 }: Metric): number => cost;
