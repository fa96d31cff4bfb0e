// What a run on texts is measured by: bags of words and the encoder before and after training, by the metrics of images that apply.
import { idsOf, type TextSet } from '../data/texts.ts';
import type { Device } from '../gpu/device.ts';
import { initialOf } from '../graph/tensor.ts';
import { neighboursOf } from '../metrics/knn.ts';
import {
  applies,
  costOf,
  type KnownLabels,
  type MetricContext,
  makeShared,
  measured,
  ONE_CLASS,
  type Representation,
  stageOf,
} from '../metrics/metric.ts';
import { type SimilarityHistogram, similarityHistogram } from '../metrics/similarity_histogram.ts';
import { spectrumOfZ } from '../metrics/singular_values.ts';
import { evaluationMetrics } from '../metrics/table.ts';
import type { slice } from '../ops/shape.ts';
import { encodeTexts, heldPairs, representationOf, type TextModel, type TextRun } from '../train/text.ts';
import type { ReportedMetrics } from './table.ts';

/** Rows [N, D]. */
export interface TextRows {
  data: Float32Array;
  shape: [N: number, D: number];
}

/** A representation of training and test texts; of an encoder also z, and two views of the test texts. */
export interface Represented {
  train: TextRows;
  test: TextRows;
  z?: { train: TextRows; test: TextRows; views: [TextRows, TextRows] };
  /** Whether it is an encoder's. */
  encoder: boolean;
}

type Sets = { train: TextSet; test: TextSet };

/** h of training and test texts; with z also that of two views of the test texts. */
export async function representedBy(
  device: Device,
  run: TextRun,
  model: TextModel,
  onProgress?: (fraction: number) => void,
): Promise<Represented> {
  const { data, validation } = run;
  const encode = (set: TextSet, from: number, to: number) =>
    encodeTexts(
      device,
      idsOf(set),
      (ids) => representationOf(model, ids) as Record<'h' | 'z', ReturnType<typeof slice>>,
      (fraction) => onProgress?.(from + (to - from) * fraction),
    );
  const train = await encode(data, 0, 0.6);
  const test = await encode(validation, 0.6, 0.8);
  if (!model.embed) return { train: train.h, test: test.h, encoder: true };
  const views = await viewsOf(device, run, model);
  onProgress?.(1);
  return { train: train.h, test: test.h, z: { train: train.z, test: test.z, views }, encoder: true };
}

/** z of two views of held-out texts, as in training. */
async function viewsOf(device: Device, run: TextRun, model: TextModel): Promise<[TextRows, TextRows]> {
  const { validation: set } = run;
  if (heldPairs(run) === 'dropout') {
    const of = async (step: number) =>
      (
        await encodeTexts(device, idsOf(set), (ids) => ({
          z: representationOf(model, ids, { training: true, step }).z!,
        }))
      ).z;
    return [await of(0), await of(1)];
  }
  const { first, second, count } = set.pairs!;
  const all = initialOf(set.ids) as Uint32Array;
  const of = async (rows: Uint32Array) => {
    const ids = new Uint32Array(count * set.length);
    for (const [i, row] of rows.entries())
      ids.set(all.subarray(row * set.length, (row + 1) * set.length), i * set.length);
    return (
      await encodeTexts(device, { ids, shape: [count, set.length] }, (x) => ({
        z: representationOf(model, x).z!,
      }))
    ).z;
  };
  return [await of(initialOf(first) as Uint32Array), await of(initialOf(second) as Uint32Array)];
}

/**
 * How often each token occurs in each text, at unit length.
 * @param weights of the tokens. Default 1
 */
export function bagsOf(sets: Sets, weights?: Float64Array): Represented {
  const rows = (set: TextSet): TextRows => {
    const V = set.tokenizer.size;
    const { ids, shape } = idsOf(set);
    const [N, T] = shape;
    const data = new Float32Array(N * V);
    const { pad } = set.tokenizer.special;
    for (let i = 0; i < N * T; i++) if (ids[i] !== pad) data[Math.floor(i / T) * V + ids[i]]++;
    for (let n = 0; n < N; n++) {
      let square = 0;
      for (let v = 0; v < V; v++) {
        if (weights) data[n * V + v] *= weights[v];
        square += data[n * V + v] ** 2;
      }
      if (square > 0) for (let v = 0; v < V; v++) data[n * V + v] /= Math.sqrt(square);
    }
    return { data, shape: [N, V] };
  };
  return { train: rows(sets.train), test: rows(sets.test), encoder: false };
}

/** The weight of each token: 1 + ln((1 + N) / (1 + n)) for one that n of the N training texts have (TF-IDF, as scikit-learn smooths it). */
export function rarities(set: TextSet): Float64Array {
  const { ids, shape } = idsOf(set);
  const [N, T] = shape;
  const counts = new Float64Array(set.tokenizer.size);
  for (let n = 0; n < N; n++) for (const id of new Set(ids.subarray(n * T, (n + 1) * T))) counts[id]++;
  return counts.map((n) => 1 + Math.log((1 + N) / (1 + n)));
}

/** Labels of training and test texts; undefined where they say nothing. */
function labelsOf({ train, test }: Sets, note: (text: string) => void): KnownLabels | undefined {
  if (!train.labels || !test.labels) return undefined;
  const classes = 1 + [...train.labels, ...test.labels].reduce((a, b) => Math.max(a, b), 0);
  if (classes < 2) {
    note(ONE_CLASS);
    return undefined;
  }
  const k = neighboursOf(train.labels, classes);
  if (k < 20) note(`k-NN: k = ${k}, no more than the smallest class has training texts`);
  const values = Array.from({ length: classes }, (_, i) => i);
  return { gallery: train.labels, queries: test.labels, values, k };
}

/** What of a representation is measured, with what the report draws. */
export interface TextEvaluation {
  metrics: ReportedMetrics;
  spectrum: number[];
  similarities?: SimilarityHistogram;
}

/** Measures a representation; of bags of words, which are wide, the accuracies alone. */
export async function evaluateTexts(
  device: Device,
  sets: Sets,
  { train, test, z, encoder }: Represented,
  onProgress: (stage: string, fraction: number) => void,
): Promise<TextEvaluation> {
  const notes: string[] = [];
  const note = (text: string) => {
    if (!notes.includes(text)) notes.push(text);
  };
  const labels = labelsOf(sets, note);
  const rowsOf = (gallery: TextRows, clean: TextRows): Representation => ({
    ...{ fit: clean, clean, gallery, queries: clean, transformed: [] },
  });
  const context: MetricContext = {
    ...{
      device,
      where: 'evaluateTexts',
      h: rowsOf(train, test),
      shared: makeShared(),
      note,
      progress: () => {},
    },
    ...(labels && { labels }),
    ...(encoder && { encoder: true as const }),
    ...(z && { z: rowsOf(z.train, z.test), views: z.views }),
    ...(encoder &&
      labels && {
        clustered: { rows: test, labels: labels.queries, classes: labels.values.length, restarts: 1 },
      }),
  };
  const wanted = evaluationMetrics.filter(
    (row) =>
      applies(row, context) && (encoder || (row.group === 'accuracy' && MEASURED_OF_BAGS.has(row.key))),
  );
  const total = wanted.reduce((sum, row) => sum + costOf(row), 0);
  let done = 0;
  const found = await measured(wanted, context, (row) => {
    const before = done;
    done += costOf(row);
    context.progress = (fraction) => onProgress(stageOf(row), (before + fraction * costOf(row)) / total);
    context.progress(0);
  });
  const metrics: ReportedMetrics = { notes };
  for (const [{ key, spread, target, count }, one] of found) {
    metrics[key] = one.value;
    if (spread) metrics[spread] = one.spread;
    if (target) metrics[target.key] = one.target;
    if (count) metrics[count.key] = one.count;
  }
  if (!z) return { metrics, spectrum: [] };
  return {
    metrics,
    spectrum: Array.from(await spectrumOfZ(context as Required<MetricContext>)),
    similarities: await similarityHistogram(device, ...z.views),
  };
}

const MEASURED_OF_BAGS = new Set<string>(['knn', 'worstClass', 'linearProbe']);
