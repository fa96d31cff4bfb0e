// What the metrics of `npm run measure` are computed from: embeddings in files, without an encoder.
import type { Label } from '../data/labels.ts';
import type { Device } from '../gpu/device.ts';
import type { Analogy } from '../metrics/analogy.ts';
import { partOf, picked, rowsThatFit } from '../metrics/compute.ts';
import { neighboursOf } from '../metrics/knn.ts';
import { type MetricContext, makeShared, ONE_CLASS, type Representation } from '../metrics/metric.ts';
import { permutationArray } from '../ops/random.ts';
import type { Embeddings } from './measure_files.ts';

/** The contents of the files, each with a row for each sample. */
export interface Input {
  rows: Embeddings;
  labels?: { path: string; labels: Uint32Array; values: Label[] };
  /** The same samples transformed, and under another transformation. */
  views?: Embeddings;
  wrong?: Embeddings;
  /** The same samples by another encoder. */
  other?: Embeddings;
  analogies?: Analogy[];
}

/** Rows in another order. */
const ordered = ({ data, shape }: Embeddings, order: Uint32Array): Embeddings => ({
  ...{ data: picked(data, shape[1], order), shape },
});

/**
 * The context of the metrics. Rows are split in a random order, the same for all files: if they are sorted by class, the last
 * sixth may be of one class.
 * @param note called for metrics that are left out, or computed from fewer rows
 */
export async function contextOf(
  device: Device,
  { rows: x, labels, views, wrong, other, analogies }: Input,
  note: (text: string) => void,
): Promise<MetricContext> {
  const where = 'measure';
  const [N] = x.shape;
  const order = permutationArray(N, { seed: 0 });
  const a = ordered(x, order);
  const [b, c] = [views, wrong].map((rows) => rows && ordered(rows, order));
  const given = [x, a, b, c, other].filter((rows) => rows !== undefined);
  const fitting = await rowsThatFit(where, device, ...given);
  const fit = (rows: Embeddings) => fitting.rows[given.indexOf(rows)];
  const known = labels && knownLabels(labels, order, note);
  if (fitting.count < N)
    note(
      `std, spectra, uniformity, anisotropy and comparisons of two files use ${fitting.count} of ${N} rows, evenly spaced: as many as this device can bind at once`,
    );
  const cut = N - Math.floor(N / 6);
  const h: Representation = {
    ...{ clean: x, fit: fit(x), gallery: partOf(a, 0, cut), queries: partOf(a, cut, N) },
    transformed: b ? [partOf(b, cut, N)] : [],
  };
  return {
    ...{ device, where, h, z: h, encoder: true, note, shared: makeShared(), progress: () => {} },
    ...(known && cut < N && { labels: split(known, cut) }),
    ...(known && { clustered: clusteredOf(a, known, note) }),
    ...(b && { views: [fit(a), fit(b)], moved: [fit(a), fit(b)] }),
    ...(b && { turned: async () => ({ still: fit(a), turned: fit(b), wrong: c && fit(c) }) }),
    ...(other && { others: [fit(x), fit(other)] }),
    ...(analogies && { analogies }),
  };
}

/** Labels of the rows in their order, and the label of each class. */
interface Known {
  labels: Uint32Array;
  values: Label[];
}

/** The labels in the order of the rows; undefined where they do not distinguish classes. */
function knownLabels(
  { path, labels, values }: NonNullable<Input['labels']>,
  order: Uint32Array,
  note: (text: string) => void,
): Known | undefined {
  const N = order.length;
  if (values.length === N && N > 1)
    note(`${path} has as many classes as rows, ${N}, like ids: the metrics that need labels are left out`);
  else if (values.length < 2) note(ONE_CLASS);
  else return { labels: Uint32Array.from(order, (row) => labels[row]), values };
  return undefined;
}

/** The first rows are the gallery, the others the queries. */
function split({ labels, values }: Known, cut: number): MetricContext['labels'] {
  const [gallery, queries] = [labels.subarray(0, cut), labels.subarray(cut)];
  return { gallery, queries, values, k: neighboursOf(gallery, values.length) };
}

function clusteredOf(
  rows: Embeddings,
  { labels, values: { length: classes } }: Known,
  note: (text: string) => void,
): MetricContext['clustered'] {
  if (2 * classes <= labels.length) return { rows, labels, classes, restarts: 3 };
  note(
    `clusters left out: ${classes} classes of ${labels.length} rows; with so many classes NMI is near 1 by chance`,
  );
  return undefined;
}
