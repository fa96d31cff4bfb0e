// What `npm run measure` reads and writes, and the context of metrics that are computed from embeddings in files, without an encoder.
import type { Label } from '../data/labels.ts';
import { npyRows, parseNpy } from '../data/npy.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import type { Analogy } from '../metrics/analogy.ts';
import { partOf, picked, rowsThatFit } from '../metrics/compute.ts';
import { neighboursOf } from '../metrics/knn.ts';
import { type MetricContext, makeShared, ONE_CLASS, type Representation } from '../metrics/metric.ts';
import { permutationArray } from '../ops/random.ts';
import { readRegular, reason, writeWhole } from './files.ts';

/** Rows [N, D] of a file. */
export interface Embeddings {
  data: Float32Array;
  shape: [N: number, D: number];
}

/** The bytes of a .npy file. @throws InputError that says how to convert a file of another format */
export function readNpy(path: string): Uint8Array {
  const bytes = readRegular(path);
  const start = String.fromCharCode(...bytes.subarray(0, 64));
  if (start.startsWith('PK\x03\x04'))
    throw new InputError(
      `${path} is an archive of arrays (.npz): save one of them, numpy.save("x.npy", numpy.load("${path}")["name"])`,
    );
  if (/^[\s\w.,;:+"'#-]+$/.test(start))
    throw new InputError(
      `${path} is a text file: convert it, numpy.save("x.npy", numpy.loadtxt("${path}", delimiter=","))`,
    );
  return bytes;
}

/** The rows of a file. @param other a file with the same number of rows @throws InputError that names the file */
export function readRows(path: string, other?: { path: string; shape: [N: number, D: number] }): Embeddings {
  const rows = npyRows(readNpy(path), path);
  if (other && rows.shape[0] !== other.shape[0])
    throw new InputError(
      `${path}: expected ${other.shape[0]} rows as in ${other.path}, got ${rows.shape[0]}`,
    );
  return rows;
}

/** Questions "a is to b as c is to d" about N rows. @throws InputError that names the file */
export function readAnalogies(file: string, path: string, N: number): Analogy[] {
  const { dtype, shape, data } = parseNpy(readNpy(file), file);
  if (shape.length !== 2 || shape[1] !== 4 || !shape[0] || dtype.startsWith('<f'))
    throw new InputError(`${file}: expected whole numbers [Q, 4], got ${dtype} [${shape.join(', ')}]`);
  const words = Array.from(data, Number);
  const wrong = words.findIndex((word) => word < 0 || word >= N);
  if (wrong >= 0)
    throw new InputError(
      `${file}: expected numbers of 0 to ${N - 1}, the rows of ${path}; question ${Math.floor(wrong / 4)} has ${data[wrong]}`,
    );
  return Array.from({ length: shape[0] }, (_, i) => words.slice(4 * i, 4 * i + 4) as unknown as Analogy);
}

/** Writes a file whole or not at all; writes to a pipe or device directly. */
export function writeJson(path: string, content: string): void {
  try {
    let regular = true;
    try {
      regular = Deno.statSync(path).isFile;
    } catch {
      // It does not exist yet.
    }
    if (regular) writeWhole(path, content);
    else Deno.writeTextFileSync(path, content);
  } catch (error) {
    throw new InputError(
      error instanceof InputError
        ? `--json: ${error.message}`
        : `--json: ${path} cannot be written: ${reason(error)}`,
    );
  }
}

/** The contents of the files, each with a row for each sample. */
export interface Input {
  rows: Embeddings;
  labels?: { path: string; labels: Uint32Array; values: Label[] };
  /** The same samples transformed, and under another transformation. */
  views?: Embeddings;
  wrong?: Embeddings;
  /** The same samples by another encoder. */
  other?: Embeddings;
  /** What each sample is paired with. */
  pairs?: Embeddings;
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
  { rows: x, labels, views, wrong, other, pairs, analogies }: Input,
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
    ...(pairs && { paired: { h: [x, pairs] as const } }),
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
