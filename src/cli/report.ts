// The contents of a report: the numbers of a run, and its pictures.

import { allMethods, type ImageMethod } from '../methods/index.ts';
import type { MethodCurve } from '../methods/panel.ts';
import type { Collapse } from '../metrics/alarm.ts';
import type { CurveKey } from '../metrics/curves.ts';
import { isNumber } from '../metrics/format.ts';
import type { LayerCurve, LayerMetric, LayerRow } from '../metrics/layer_curve.ts';
import type { SimilarityHistogram } from '../metrics/similarity_histogram.ts';
import type { MetricKey } from '../metrics/table.ts';
import type { About } from './about.ts';
import type { DrawnPanel, Tables } from './method_panels.ts';
import type { Images } from './png.ts';
import type { Column, ColumnSet, Encoder } from './table.ts';
import type { DrawnTextPanel } from './text_panels.ts';

/** The contents of report.json; older runs lack `title`, `date`, `command` and `data`. */
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
  /** The collapses that the alarm sees at the end. */
  alarm: readonly Collapse[];
  metrics: ColumnSet;
  /** The layers of the trained network; absent in older runs, and where they could not be measured. */
  layers?: ReportedLayers;
  /** The method's own numbers, on held-out images. */
  tables?: Tables;
}

/** What the curves of a run are of: the embedding z, or h where the method has no z. */
export function curvesOf({ metrics: { untrained, trained } }: Pick<Report, 'metrics'>): 'h' | 'z' {
  const has = (key: MetricKey) => [untrained, trained].some((metrics) => isNumber(metrics[key]));
  return has('effectiveRankH') && !has('effectiveRankZ') ? 'h' : 'z';
}

/** Whether the method brings views of an image together: else alignment and uniformity are no aim of its training. */
export const alignsViews = ({ method }: Pick<Report, 'method'>): boolean =>
  !Object.hasOwn(allMethods, method) || (allMethods[method] as Partial<ImageMethod>).views !== 0;

/** A layer as report.json has it: null where a number is not finite. */
export type ReportedLayer = Omit<LayerRow, LayerMetric> & { [K in LayerMetric]?: number | null };

/** A layer curve as report.json has it. */
export type ReportedLayers = Omit<LayerCurve, 'rows'> & { rows: readonly ReportedLayer[] };

/** The metrics of the curves after `step` updates, and the method's own numbers. */
export type LoggedStep = { step: number } & { [K in CurveKey]?: number | null } & Record<
    string,
    number | null | undefined
  >;

/** Test images on a plane: image i at (x[i], y[i]), by its representation in some encoder. */
export interface MapLayout {
  encoder: Column;
  /** Near images are near (t-SNE), the plane of largest variance, or the two numbers of z. */
  kind: 'neighbours' | 'plane' | 'embedding';
  x: ArrayLike<number>;
  y: ArrayLike<number>;
}

/** Layouts of the same images to choose from, of which the first is shown first. Labels and thumbnails are in the order of the images. */
export interface EmbeddingMap {
  layouts: MapLayout[];
  label: ArrayLike<number>;
  /** Indices of the images in the test set. Default: the first ones. */
  image?: ArrayLike<number>;
  thumbnails?: Images;
  /** The texts, where it is of texts rather than images. */
  texts?: readonly string[];
}

/** Held-out texts with the training texts nearest to each, nearest first, by some representations. */
export interface TextNeighbours {
  columns: readonly Column[];
  lines: readonly {
    text: string;
    label: string;
    nearest: Partial<Record<Column, readonly { text: string; label: string }[]>>;
  }[];
}

/** A mean with its standard error. */
export interface Estimate {
  mean: number;
  error: number;
}

/** How often neighbours are of the class of their query, and a few queries to show. */
export interface Neighbours {
  /** Number of nearest images of each query that are counted. */
  k: number;
  /** Number of test images. */
  queries: number;
  /** Number of training images among which neighbours are searched, of all `of`. */
  gallery: number;
  of: number;
  /** Mean share of the k nearest that are of the query's class, over queries. */
  shares: Partial<Record<Encoder, Estimate>>;
  /** The gain of the trained encoder over each baseline; the error is that of paired differences. */
  gains: Partial<Record<'raw' | 'untrained', Estimate>>;
  /** Indices into the gallery of pictures, nearest first. */
  shown: ({ query: number } & Partial<Record<Encoder, number[]>>)[];
}

export interface RunReport {
  report: Report;
  curves: LoggedStep[];
  /** The method's own curves and panels. */
  methodCurves?: readonly MethodCurve[];
  panels?: readonly DrawnPanel[];
  textPanels?: readonly DrawnTextPanel[];
  /** Singular values of z, largest first. */
  spectrum: { untrained: ArrayLike<number>; trained: ArrayLike<number> };
  similarities?: Partial<Record<'untrained' | 'trained', SimilarityHistogram>>;
  map?: EmbeddingMap;
  classNames: string[];
  /** The images that `neighbours` refers to, and their classes. */
  gallery?: Images & { label: ArrayLike<number> };
  neighbours?: Neighbours;
  textNeighbours?: TextNeighbours;
  /** Facts of the first line and how to use the encoder, of a run that is not on images. */
  about?: { parts: readonly string[]; next: string };
  /** Pictures that could not be made, a line each. */
  failures?: readonly string[];
}
