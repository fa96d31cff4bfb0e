import { constant, type Tensor } from '../graph/tensor.ts';
import { sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { mean } from '../ops/reduce.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { covarianceOf } from './effective_rank.ts';
import { solvePositiveDefinite } from './eigen.ts';
import { vote } from './knn.ts';
import { accuracyOf } from './per_class.ts';

/** The classes of gallery and queries. */
export interface OnlineLabels {
  gallery: ArrayLike<number>;
  queries: ArrayLike<number>;
  classes: number;
}

/** Neighbours that vote. */
const K = 20;
/** Of the mean variance. */
const RIDGE = 1e-3;

/**
 * What k-NN and a linear probe need of a representation that is still in training, as nodes of a step. Read
 * them when they are to be shown, for {@link onlineAccuracies}: little is left to do then, while training goes on.
 * @param gallery [N, D], labelled
 * @param queries [M, D]
 */
export function onlineGauges(gallery: Tensor, queries: Tensor, labels: OnlineLabels) {
  const [N] = gallery.shape;
  const hot = new Float32Array(N * labels.classes);
  for (let i = 0; i < N; i++) hot[i * labels.classes + labels.gallery[i]] = 1 / N;
  const centre = mean(gallery, { axes: 0, keepDims: true });
  const cross = matmul(sub(gallery, centre), constant(hot, [N, labels.classes]), { transposeA: true });
  const { indices } = topKSimilar(l2Normalize(queries), l2Normalize(gallery), { k: Math.min(K, N) });
  return { neighbours: indices, covariance: covarianceOf(gallery), cross, queries: sub(queries, centre) };
}

/**
 * Accuracies of 20-NN in cosine, and of a linear probe by least squares on the classes (ridge regression), which unlike logistic
 * regression is solved at once: some 20 ms for D = 256.
 * @param read the values of {@link onlineGauges}
 */
export function onlineAccuracies(
  read: Record<keyof ReturnType<typeof onlineGauges>, ArrayLike<number>>,
  { gallery, queries, classes }: OnlineLabels,
): { knn: number; probe: number } {
  const k = Math.min(K, gallery.length);
  const D = read.cross.length / classes;
  const gram = Float64Array.from(read.covariance);
  let trace = 0;
  for (let d = 0; d < D; d++) trace += gram[d * D + d];
  // All rows equal: any ridge does.
  for (let d = 0; d < D; d++) gram[d * D + d] += (RIDGE * trace) / D || 1;
  const weights = solvePositiveDefinite(gram, read.cross, D);
  const shares = new Float64Array(classes);
  for (let i = 0; i < gallery.length; i++) shares[gallery[i]] += 1 / gallery.length;
  const predicted = Array.from({ length: queries.length }, (_, i) => {
    const scores = shares.slice();
    for (let d = 0; d < D; d++)
      for (let c = 0; c < classes; c++) scores[c] += read.queries[i * D + d] * weights[d * classes + c];
    return scores.indexOf(scores.reduce((a, b) => Math.max(a, b)));
  });
  return {
    knn: accuracyOf(vote(read.neighbours, gallery, { k, classes }), queries),
    probe: accuracyOf(predicted, queries),
  };
}
