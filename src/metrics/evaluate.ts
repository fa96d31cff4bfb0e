import { type Augmentation, evaluationViews, scaledTo } from '../data/augment.ts';
import type { Dataset } from '../data/dataset.ts';
import { type LabelOptions, rowsKept } from '../data/labels.ts';
import { quarterTurns } from '../data/turns.ts';
import { checkNumber, checkOptions, isFunction, LARGEST_U32, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { initialOf, reshape, type Tensor } from '../graph/tensor.ts';
import { slice } from '../ops/shape.ts';
import { LEAST_ROWS, MOST_VALUES } from './codes.ts';
import { freeRows, type Rows, rowsAt, rowsThatFit, spacedRows } from './compute.ts';
import { embedSlabs } from './embed.ts';
import { neighboursOf } from './knn.ts';
import {
  applies,
  costOf,
  type KnownLabels,
  type Measured,
  type MetricContext,
  makeShared,
  measured,
  type Need,
  ONE_CLASS,
  type Representation,
  type Stage,
  stageOf,
} from './metric.ts';
import { accuracyUnder, checkSets, labelsOf } from './shifts.ts';
import { type SimilarityHistogram, similarityHistogram } from './similarity_histogram.ts';
import { spectrumOfZ } from './singular_values.ts';
import { evaluationMetrics, type MetricRow, type MetricValues } from './table.ts';

/**
 * What `evaluate` measured: the metrics that apply, by their keys in `metrics`; names that end in Z, and alignment and
 * uniformity, are of the embedding z, all others of the representation h. Accuracies are shares.
 */
export interface Evaluation extends MetricValues {
  /** A sentence on each metric that was measured in another way than usual, or left out, and why. */
  notes: string[];
  /** Singular values over sqrt(N) of the centred unit embeddings, largest first. */
  spectrumZ?: Float64Array;
  /** Cosines of two `evaluationViews` of a sample, and of two samples. */
  similaritiesZ?: SimilarityHistogram;
}

export interface EvaluateOptions extends LabelOptions {
  /** Seed of the augmented queries; the second view takes the next one. Default 5. */
  seed?: number;
  /** Samples in one forward pass. Default 512. */
  batch?: number;
  /** false leaves the linear probes out. Default true. */
  probes?: boolean;
  /** Called with the current stage and the share of the work that is done. */
  onProgress?: (stage: string, fraction: number) => void;
}

/** From images, in inference mode, to the representation h and, if any, the embedding z. */
export type ImageEncoder = (x: Tensor) => { h: Tensor; z?: Tensor };

/** The inputs of an evaluation, and what it collects. */
interface Job {
  device: Device;
  train: Dataset;
  test: Dataset;
  forward: ImageEncoder | null;
  seed: number;
  batch: number;
  labels: KnownLabels | undefined;
  notes: string[];
  /** Rows kept on the GPU until the end. */
  held: Rows[];
  report: (stage: Stage, cost: number) => void;
}

const where = 'evaluate';
const OPTIONS = ['seed', 'batch', 'probes', 'ignore', 'onProgress'] as const;
/** About the share, in percent, of an evaluation's time that embedding the two data sets takes. */
const ENCODING = 12;

/**
 * Measures a representation by the protocol of the default job, with every metric that applies. Without labels these are the
 * label-free ones. Rows that one binding of the device cannot hold are kept in several; metrics that need them in one piece
 * take as many as it holds, evenly spaced, and `notes` says so.
 *
 * @param sets training samples (gallery, probe) and test samples
 * @param forward from images [N, H, W, C], in inference mode, to the representation h and, if any, the embedding z; null
 *   measures raw pixels (divided by 255)
 * @throws InputError for other arguments
 */
export async function evaluate(
  device: Device,
  sets: { train: Dataset; test: Dataset },
  forward: ImageEncoder | null,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  checkOptions(where, options, OPTIONS);
  const { seed = 5, batch = 512, probes = true, ignore, onProgress } = options;
  checkNumber(where, 'seed', seed, { least: 0, most: LARGEST_U32 - 1, whole: true });
  checkNumber(where, 'batch', batch, { least: 1, whole: true });
  if (forward !== null && !isFunction(forward))
    throw new InputError(
      `${where}: expected a function of images, or null, for "forward", got ${shown(forward)}`,
    );
  const notes: string[] = [];
  const labels = await knownLabels(where, device, sets, { ignore }, notes);
  const { train, test } = sets;
  const wanted = evaluationMetrics.filter((metric) => probes || !PROBES.includes(stageOf(metric)));
  const totalOf = (rows: typeof wanted) => rows.reduce((sum, row) => sum + costOf(row), ENCODING);
  // Before anything is embedded: the metrics that will probably apply.
  const missing: Need[] = [
    ...(labels ? [] : LABELLED),
    ...(forward ? [] : ENCODED),
    ...(sets.train.factors ? [] : (['factors'] as const)),
    ...(sets.test.partners ? [] : (['paired'] as const)),
  ];
  let total = totalOf(wanted.filter(({ needs = [] }) => !needs.some((need) => missing.includes(need))));
  const report = (stage: Stage, cost: number) => onProgress?.(stage, cost / total);
  const held: Rows[] = [];
  const job: Job = { device, train, test, forward, seed, batch, labels, notes, held, report };
  try {
    const context = await contextOf(job);
    const rows = wanted.filter((row) => applies(row, context));
    total = totalOf(rows);
    let done = ENCODING;
    const found = await measured(rows, context, (row) => {
      const before = done;
      done += costOf(row);
      context.progress = (fraction) => report(stageOf(row), before + fraction * costOf(row));
      context.progress(0);
    });
    const result: Evaluation = { ...valuesOf(found), notes };
    if (context.views) {
      const [zA, zB] = context.views;
      result.spectrumZ = await spectrumOfZ(context as Required<MetricContext>);
      result.similaritiesZ = await similarityHistogram(device, zA, zB);
    }
    onProgress?.('done', 1);
    return result;
  } finally {
    freeRows(device, held);
  }
}

const PROBES: readonly Stage[] = ['linear probe', 'few labels'];
/** The parts of the context that need labels, and those that need an encoder. */
const LABELLED: readonly Need[] = ['labels', 'clustered', 'shifted'];
const ENCODED: readonly Need[] = ['z', 'views', 'encoder', 'turned', 'factors'];

/** The metrics with their companions, by key. */
function valuesOf(found: ReadonlyMap<MetricRow, Measured>): MetricValues {
  const values: MetricValues = {};
  for (const row of evaluationMetrics) {
    const one = found.get(row);
    if (!one) continue;
    const { key, spread, target, count } = row;
    values[key] = one.value;
    if (spread) values[spread] = one.spread;
    if (target) values[target.key] = one.target;
    if (count) values[count.key] = one.count;
  }
  return values;
}

/** The labels of both data sets, numbered together; nothing if there is only one class. */
export async function knownLabels(
  where: string,
  device: Device,
  sets: { train: Dataset; test: Dataset },
  options: LabelOptions,
  notes: string[],
): Promise<KnownLabels | undefined> {
  checkSets(where, device, sets);
  const { train, test } = sets;
  if (!train.labels && !test.labels) return undefined;
  if (!train.labels || !test.labels) {
    notes.push(
      `accuracies and clusters: left out, the ${train.labels ? 'test' : 'training'} set has no labels`,
    );
    return undefined;
  }
  const { numbers, asked, values } = await labelsOf(where, device, sets, options);
  if (values.length < 2) {
    notes.push(ONE_CLASS);
    return undefined;
  }
  const k = neighboursOf(numbers, values.length);
  if (k < 20) notes.push(`k-NN: k = ${k}, no more than the smallest class has training samples`);
  return { gallery: numbers, queries: asked, values, k };
}

/** Embeds the data sets, and provides the other inputs of metrics on demand. */
async function contextOf(job: Job): Promise<MetricContext> {
  const { device, train, test, forward, seed, batch, labels, notes, held, report } = job;
  const apply: ImageEncoder = forward ?? ((x) => ({ h: reshape(x, [x.shape[0], -1]) }));
  const normalize = forward !== null;
  const encode = async (data: Dataset, from: number, to: number, view?: Augmentation, viewSeed = seed) => {
    const augmentation = view && scaledTo(data, view);
    const outputs = (x: Tensor): Record<string, Tensor> => {
      const { h, z } = apply(x);
      return z === undefined ? { h } : { h, z };
    };
    const made = await embedSlabs(device, data, outputs, {
      ...(augmentation && { augmentation, seed: viewSeed }),
      ...{ batch, normalize },
      onProgress: (fraction) => report('encoding', ENCODING * (from + (to - from) * fraction)),
    });
    held.push(...Object.values(made));
    return made as { h: Rows; z?: Rows };
  };
  report('encoding', 0);
  const gallery = await encode(train, 0, 0.7);
  const clean = await encode(test, 0.7, 0.8);
  const viewA = await encode(test, 0.8, 0.9, evaluationViews);
  const viewB = await encode(test, 0.9, 1, evaluationViews, seed + 1);
  const { rows, count } = await rowsThatFit(where, device, clean.h, viewA.h);
  const [still, moved] = rows;
  if (count < test.count)
    notes.push(
      `invariance, anisotropy, spectra and the like of h: of ${count} of ${test.count} test samples, evenly spaced: what this device binds at once`,
    );
  const representation = (name: 'h' | 'z', fit: Rows): Representation => ({
    ...{ fit, clean: clean[name]!, gallery: gallery[name]!, queries: clean[name]! },
    transformed: [viewA[name]!, viewB[name]!],
  });
  const context: MetricContext = {
    ...{ device, where, h: representation('h', still), moved: [still, moved] },
    ...{ shared: makeShared(), note: (text) => notes.push(text), progress: () => {} },
  };
  const paired = await pairedOf(job, clean);
  if (paired) context.paired = paired;
  if (labels) {
    context.labels = labels;
    context.clustered = await clusteredOf(job, clean.h, labels);
    const known = { numbers: labels.gallery, asked: labels.queries, classes: labels.values.length };
    const passes = { k: labels.k, seed, batch, normalize };
    context.shifted = (shift) =>
      accuracyUnder(where, device, shift, test, (x) => apply(x).h, { rows: gallery.h, ...known }, passes);
  }
  if (!forward) return context;
  context.encoder = true;
  // A sixth of them is held out for the test.
  if (test.height === test.width && test.count >= 12) context.turned = () => turnedOf(job, forward, clean.h);
  if (!clean.z) return context;
  const ofZ = await rowsThatFit(where, device, clean.z, viewA.z!, viewB.z!);
  const [z, zA, zB] = ofZ.rows;
  const factors = factorsOf(job, gallery.z!, context.shared);
  return { ...context, z: representation('z', z), views: [zA, zB], ...(factors && { factors }) };
}

/** The most samples that are scored against their factors (disentanglement_lib). */
const SCORED = 10_000;

/** z of training samples and their factors, those of several values; nothing where none are known. */
function factorsOf(
  { device, train: { factors, count }, notes }: Job,
  z: Rows,
  shared: MetricContext['shared'],
): MetricContext['factors'] {
  if (!factors) return undefined;
  const { values, data } = factors;
  if (count < LEAST_ROWS) {
    notes.push(`disentanglement: left out, it needs ${LEAST_ROWS} training samples or more`);
    return undefined;
  }
  const ids = spacedRows(count, Math.min(count, SCORED));
  const F = values.length;
  const occurring = (f: number) => new Set(ids.map((i) => data[i * F + f])).size;
  const columns = [...values.keys()].filter((f) => occurring(f) > 1 && occurring(f) <= MOST_VALUES);
  if (!columns.length) return undefined;
  const known = Uint32Array.from({ length: ids.length * columns.length }, (_, at) => {
    const [row, column] = [Math.floor(at / columns.length), at % columns.length];
    return data[ids[row] * F + columns[column]];
  });
  return () =>
    shared('codes', async () => ({
      codes: await rowsAt(where, device, z, ids),
      known: { data: known, shape: [ids.length, columns.length] },
    }));
}

/** The rows of the test samples that are pairs: first the one that comes first, then its partner. */
async function pairedOf(
  { device, test: { partners } }: Job,
  { h, z }: { h: Rows; z?: Rows },
): Promise<MetricContext['paired']> {
  if (!partners) return undefined;
  const others = initialOf(partners) as Uint32Array;
  const first = others.filter((_, i) => i < others[i]);
  const both = async (rows: Rows) =>
    [
      await rowsAt(
        where,
        device,
        rows,
        first.map((other) => others[other]),
      ),
      await rowsAt(where, device, rows, first),
    ] as const;
  return { h: await both(h), ...(z && { z: await both(z) }) };
}

/** The rows whose label counts; nothing if there are so many classes that clusters agree with them by chance. */
async function clusteredOf(
  { device, test, notes }: Job,
  h: Rows,
  { queries, values: { length: classes } }: KnownLabels,
): Promise<MetricContext['clustered']> {
  const kept = rowsKept(queries);
  const rows = kept ? await rowsAt(where, device, h, kept) : h;
  if (2 * classes <= rows.shape[0])
    return { rows, labels: kept ? kept.map((row) => queries[row]) : queries, classes, restarts: 1 };
  notes.push(
    `clusters: NMI and ARI left out, ${classes} classes of ${test.count} test samples: with so many, chance alone comes near 1`,
  );
  return undefined;
}

/** h of the test images as they are, turned by 90 and by 180 degrees. */
async function turnedOf({ device, test, batch, held }: Job, forward: ImageEncoder, h: Rows) {
  const [, D] = h.shape;
  const made = await embedSlabs(
    device,
    test,
    (x) => {
      const [B, ...size] = x.shape;
      const turns = slice(quarterTurns(x), { starts: [B, 0, 0, 0], sizes: [2 * B, ...size] });
      const { h } = forward(turns);
      return {
        quarter: slice(h, { starts: [0, 0], sizes: [B, D] }),
        half: slice(h, { starts: [B, 0], sizes: [B, D] }),
      };
    },
    { batch },
  );
  held.push(...Object.values(made));
  const [still, turned, wrong] = (await rowsThatFit(where, device, h, made.quarter, made.half)).rows;
  return { still, turned, wrong };
}
