import { IGNORED, type LabelOptions, type Labels, numberTogether, rowsKept } from '../data/labels.ts';
import { checkOptions, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { checkTensor } from '../graph/check.ts';
import { constant, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { mean } from '../ops/reduce.ts';
import { gather } from '../ops/shape.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { covarianceOf } from './effective_rank.ts';
import { ridgeRegression } from './eigen.ts';
import { neighboursOf, vote } from './knn.ts';
import { agreeing } from './per_class.ts';

/** The labels of gallery and queries: numbers or strings. Rows with an ignored one neither vote nor count. */
export interface OnlineLabels extends LabelOptions {
  gallery: Labels;
  queries: Labels;
  /** The most different labels that are allowed, without ignored ones. Default: as many as there are. */
  classes?: number;
}

/** The ridge, in units of the mean variance. */
const RIDGE = 1e-3;

/** Labels of the rows that count, numbered together, and which rows these are (null: all). */
function numbered(where: string, labels: OnlineLabels, rows: { gallery?: number; queries?: number } = {}) {
  checkOptions(where, labels, ['gallery', 'queries', 'classes', 'ignore']);
  const lists = (['gallery', 'queries'] as const).map((name) => ({
    name,
    labels: labels[name],
    rows: rows[name],
  }));
  const [numbers, values] = numberTogether(where, lists, labels);
  const kept = numbers.map(rowsKept);
  for (const [i, { name }] of lists.entries())
    if (kept[i]?.length === 0) throw new InputError(`${where}: every label of "${name}" is ignored`);
  const [gallery, queries] = numbers.map((list) => list.filter((label) => label !== IGNORED));
  return { gallery, queries, kept, classes: values.length, k: neighboursOf(gallery, values.length) };
}

/**
 * The part of k-NN and a linear probe during training that runs on the GPU, as nodes of a step. Read them when you need accuracies:
 * {@link onlineAccuracies} computes these from them on the CPU.
 * @param gallery f32 [N, D], labelled
 * @param queries f32 [M, D]
 * @throws ShapeError for other tensors; InputError for an invalid label, a wrong number of labels or more than `classes`
 */
export function onlineMetrics(gallery: Tensor, queries: Tensor, labels: OnlineLabels) {
  const where = 'onlineMetrics';
  checkTensor(where, 'gallery', gallery, { dtype: 'f32', rank: 2 });
  checkTensor(where, 'queries', queries, { dtype: 'f32', rank: 2 });
  if (gallery.shape[1] !== queries.shape[1])
    throwShapeError(
      where,
      `expected rows of one length, got ${show(gallery.shape)} and ${show(queries.shape)}`,
    );
  const known = numbered(where, labels, { gallery: gallery.shape[0], queries: queries.shape[0] });
  const { classes, k } = known;
  const [g, q] = [gallery, queries].map((x, i) => {
    const rows = known.kept[i];
    return rows ? gather(x, constant(rows, [rows.length], 'u32')) : x;
  });
  const N = known.gallery.length;
  const hot = new Float32Array(N * classes);
  for (let i = 0; i < N; i++) hot[i * classes + known.gallery[i]] = 1 / N;
  const centre = mean(g, { axes: 0, keepDims: true });
  const cross = matmul(sub(g, centre), constant(hot, [N, classes]), { transposeA: true });
  const { indices } = topKSimilar(l2Normalize(q), l2Normalize(g), { k });
  return { neighbours: indices, covariance: covarianceOf(g), cross, queries: sub(q, centre) };
}

const areNumbers = (values: ArrayLike<unknown>): boolean =>
  Array.isArray(values)
    ? values.every((value) => typeof value === 'number')
    : typeof (values[0] ?? 0) === 'number';

/**
 * Accuracies of k-NN in cosine, 20 neighbours or as many as the smallest class has rows (see `knnNeighbours`), and of a linear
 * probe by least squares on the classes (ridge regression), which unlike logistic regression is solved at once: some
 * 20 ms for D = 256.
 * @param read the values of {@link onlineMetrics}
 * @param labels the same that it was given
 * @throws InputError for other labels, or values of other lengths
 */
export function onlineAccuracies(
  read: Record<keyof ReturnType<typeof onlineMetrics>, ArrayLike<number>>,
  labels: OnlineLabels,
): { knn: number; probe: number } {
  const where = 'onlineAccuracies';
  const { gallery, queries, classes, k } = numbered(where, labels);
  const D = (read?.cross?.length ?? 0) / classes;
  const lengths = {
    neighbours: queries.length * k,
    covariance: D * D,
    cross: D * classes,
    queries: queries.length * D,
  };
  for (const [name, length] of Object.entries(lengths)) {
    const values = read?.[name as keyof typeof lengths];
    // A list of the right length may still hold something else, such as 64-bit integers.
    if (!(D >= 1) || !Number.isInteger(D) || values?.length !== length || !areNumbers(values))
      throw new InputError(
        `${where}: expected the values of onlineMetrics for these labels, got ${shown(values)} for "${name}"`,
      );
  }
  const weights = ridgeRegression(read.covariance, read.cross, D, RIDGE);
  const shares = new Float64Array(classes);
  for (let i = 0; i < gallery.length; i++) shares[gallery[i]] += 1 / gallery.length;
  const predicted = Array.from({ length: queries.length }, (_, i) => {
    const scores = shares.slice();
    for (let d = 0; d < D; d++)
      for (let c = 0; c < classes; c++) scores[c] += read.queries[i * D + d] * weights[d * classes + c];
    return scores.indexOf(scores.reduce((a, b) => Math.max(a, b)));
  });
  return {
    knn: agreeing(vote(read.neighbours, gallery, { k, classes }), queries),
    probe: agreeing(predicted, queries),
  };
}

/** The accuracy of k-NN alone, from the neighbours that {@link onlineMetrics} gives. */
export function onlineKnn(neighbours: ArrayLike<number>, labels: OnlineLabels): number {
  const { gallery, queries, classes, k } = numbered('onlineKnn', labels);
  return agreeing(vote(neighbours, gallery, { k, classes }), queries);
}
