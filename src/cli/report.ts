// What a report is made of: the numbers of a run, and the pictures that were made of it.
import type { Collapse } from '../metrics/alarm.ts';
import type { CurveKey } from '../metrics/curves.ts';
import type { SimilarityHistogram } from '../metrics/similarity_histogram.ts';
import type { About } from './about.ts';
import type { Images } from './png.ts';
import type { Encoder, MetricSet } from './table.ts';

/** What report.json holds: `title`, `date`, `command` and `data` are of newer runs only. */
export interface Report extends Partial<About> {
  method: string;
  seed: number;
  steps: number;
  /** Training time. */
  seconds: number;
  /** The GPU, as its driver names it. */
  adapter: string;
  /** The last training loss. */
  loss: number | null;
  options: Record<string, unknown>;
  /** A few sentences: see verdict.ts. */
  verdict: string;
  /** What the alarm sees at the end; empty: nothing. */
  alarm: readonly Collapse[];
  metrics: MetricSet;
}

/** The metrics of the curves after `step` updates. */
export type LoggedStep = { step: number } & { [K in CurveKey]?: number | null };

/** Test images on a plane: image i at (x[i], y[i]), by its representation in some encoder. */
export interface MapLayout {
  encoder: Encoder;
  /** Near images are near (t-SNE), or the plane of largest variance. */
  kind: 'neighbours' | 'plane';
  x: ArrayLike<number>;
  y: ArrayLike<number>;
}

/** A choice of layouts of the same images, the first of which is shown at first; labels and thumbnails in their order. */
export interface EmbeddingMap {
  layouts: MapLayout[];
  label: ArrayLike<number>;
  /** Places of the images in the test set. Default: the first ones. */
  image?: ArrayLike<number>;
  thumbnails: Images;
}

/** A mean with its standard error. */
export interface Estimate {
  mean: number;
  error: number;
}

/** How often neighbours are of the class of their query, and a few queries to look at. */
export interface Neighbours {
  /** How many nearest images of each query are counted. */
  k: number;
  /** How many test images are asked for, among how many of the training images. */
  queries: number;
  gallery: number;
  of: number;
  /** Mean share of the k nearest that are of the query's class, over queries. */
  shares: Partial<Record<Encoder, Estimate>>;
  /** What the trained encoder has more than each baseline; the error is that of paired differences. */
  gains: Partial<Record<'raw' | 'untrained', Estimate>>;
  /** Indices into the gallery of pictures, nearest first. */
  shown: ({ query: number } & Partial<Record<Encoder, number[]>>)[];
}

export interface RunReport {
  report: Report;
  curves: LoggedStep[];
  /** Singular values of z, largest first. */
  spectrum: { untrained: ArrayLike<number>; trained: ArrayLike<number> };
  similarities?: Partial<Record<'untrained' | 'trained', SimilarityHistogram>>;
  map?: EmbeddingMap;
  classNames: string[];
  /** The images that `neighbours` speaks of, no others, and their classes. */
  gallery?: Images & { label: ArrayLike<number> };
  neighbours?: Neighbours;
  /** Pictures that could not be made, a line each. */
  failures?: readonly string[];
}
