import { add, crossEntropy, l2Normalize, matmul, mean, mul, square, sub, sum } from './ops.ts';
import type { Values } from './tape.ts';
import { gradient, leaf } from './tape.ts';

/** Cosine k-NN, plain majority vote; of equal votes the smallest class wins, of equal similarities the first row. */
export function knnPredict(
  gallery: Values,
  labels: ArrayLike<number>,
  queries: Values,
  { k = 20 } = {},
): number[] {
  const [G, Q] = [gallery, queries].map((x) => l2Normalize(leaf(x.shape, x.data)));
  const [N, D] = G.shape;
  return Array.from({ length: Q.shape[0] }, (_, q) => {
    const similarity = new Float64Array(N);
    for (let i = 0; i < N; i++)
      for (let d = 0; d < D; d++) similarity[i] += Q.data[q * D + d] * G.data[i * D + d];
    const nearest = Array.from(similarity.keys())
      .sort((i, j) => similarity[j] - similarity[i] || i - j)
      .slice(0, k);
    const votes: number[] = [];
    for (const i of nearest) votes[labels[i]] = (votes[labels[i]] ?? 0) + 1;
    return votes.reduce((best, n, label) => (n > (votes[best] ?? 0) ? label : best), -1);
  });
}

export function knnAccuracy(
  gallery: Values,
  labels: ArrayLike<number>,
  queries: Values,
  queryLabels: ArrayLike<number>,
  { k = 20 } = {},
): number {
  const predicted = knnPredict(gallery, labels, queries, { k });
  return predicted.filter((label, i) => label === queryLabels[i]).length / predicted.length;
}

/** Eigenvalues of a symmetric n x n matrix by cyclic Jacobi rotations, largest first. */
export const symmetricEigenvalues = (matrix: ArrayLike<number>, n: number): number[] =>
  symmetricEigen(matrix, n).values.sort((x, y) => y - x);

/** The same with the eigenvectors, as columns of an n x n matrix; in no order. */
export function symmetricEigen(matrix: ArrayLike<number>, n: number) {
  const a = Float64Array.from(matrix);
  const vectors = Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0));
  const norm = Math.sqrt(a.reduce((total, v) => total + v * v, 0));
  for (let sweep = 0, off = Infinity; off > 1e-14 * norm && sweep < 60; sweep++) {
    off = 0;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const apq = a[p * n + q];
        off = Math.max(off, Math.abs(apq));
        if (apq === 0) continue;
        const theta = (a[q * n + q] - a[p * n + p]) / (2 * apq);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        const rotate = (m: Float64Array, ip: number, iq: number, step: number) => {
          for (let k = 0; k < n; k++, ip += step, iq += step) {
            const x = m[ip];
            const y = m[iq];
            m[ip] = c * x - s * y;
            m[iq] = s * x + c * y;
          }
        };
        rotate(a, p, q, n);
        rotate(a, p * n, q * n, 1);
        rotate(vectors, p, q, n);
      }
    }
  }
  return { values: Array.from({ length: n }, (_, i) => a[i * n + i]), vectors };
}

/** Roy & Vetterli 2007: exp of the entropy of the normalised singular values of the centred rows. x: [N, D] */
export function effectiveRank({ shape, data }: Values): number {
  const x = leaf(shape, data);
  const centred = sub(x, mean(x, 0));
  const scatter = matmul(centred, centred, { transposeA: true });
  const sigma = symmetricEigenvalues(scatter.data, shape[1]).map((value) => Math.sqrt(Math.max(value, 0)));
  const total = sigma.reduce((a, b) => a + b, 0);
  return Math.exp(
    -sigma.reduce((entropy, s) => (s > 0 ? entropy + (s / total) * Math.log(s / total) : entropy), 0),
  );
}

/** The least uniformity loss, that of the uniform distribution: -2t + log 0F1(; d/2; t^2). */
export function uniformityOptimum(d: number, t = 2): number {
  let total = 0;
  for (let k = 0, term = 1; term > 1e-18 * total; k++, term *= (t * t) / ((d / 2 + k - 1) * k)) total += term;
  return -2 * t + Math.log(total);
}

/** Mean cross-entropy of x W + b plus lambda/2 |W|^2 (b free), and its gradient. x: [N, D], w: [D, C], b: [C] */
export function logisticRegression(
  x: Values,
  labels: ArrayLike<number>,
  w: Values,
  b: Values,
  { lambda = 0 } = {},
) {
  const [X, W, B] = [x, w, b].map((v) => leaf(v.shape, v.data));
  const penalty = mul(sum(square(W)), lambda / 2);
  const loss = add(mean(crossEntropy(add(matmul(X, W), B), labels)), penalty);
  const [dw, db] = gradient(loss, [W, B]);
  return { loss: loss.data[0], dw, db };
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let total = 0;
  for (let d = 0; d < a.length; d++) total += a[d] * b[d];
  return total;
};
const rowsOf = ({ shape: [N, D], data }: Values): number[][] =>
  Array.from({ length: N }, (_, i) => Array.from({ length: D }, (_, d) => data[i * D + d]));
const unitRows = (x: Values): number[][] =>
  rowsOf(x).map((row) => row.map((v) => v / (Math.hypot(...row) || 1)));
const meanRow = (rows: number[][]): number[] =>
  rows[0].map((_, d) => rows.reduce((total, row) => total + row[d] / rows.length, 0));
const distance2 = (a: number[], b: number[]): number => a.reduce((total, v, d) => total + (v - b[d]) ** 2, 0);

const product = (a: number[][], b: number[][]): number[][] =>
  a.map((row) => b[0].map((_, j) => row.reduce((total, v, k) => total + v * b[k][j], 0)));
const transposed = (a: number[][]): number[][] => a[0].map((_, j) => a.map((row) => row[j]));
/** sum of (row - centre)^T (row - centre) over n */
const scatter = (rows: number[][], centre: number[]): number[][] => {
  const c = rows.map((row) => row.map((v, d) => v - centre[d]));
  return product(transposed(c), c).map((row) => row.map((v) => v / rows.length));
};

/** LiDAR as its paper writes it, with the inverse square root of the scatter within. views: [N, D] each */
export function lidar(views: Values[], { delta = 1e-4 } = {}): number {
  const samples = transposedViews(views.map(rowsOf));
  const centres = samples.map(meanRow);
  const between = scatter(centres, meanRow(centres));
  const D = centres[0].length;
  const within = between.map((row) => row.map(() => 0));
  for (const [i, views] of samples.entries())
    for (const [a, row] of scatter(views, centres[i]).entries())
      for (const [b, v] of row.entries()) within[a][b] += v / samples.length;
  for (let d = 0; d < D; d++) within[d][d] += delta;
  const { values, vectors } = symmetricEigen(within.flat(), D);
  const v = Array.from({ length: D }, (_, i) => Array.from(vectors.subarray(i * D, (i + 1) * D)));
  const root = product(
    v.map((row) => row.map((x, j) => x / Math.sqrt(values[j]))),
    transposed(v),
  );
  const lambda = symmetricEigenvalues(product(product(root, between), root).flat(), D);
  const total = lambda.reduce((a, b) => a + b, 0);
  return Math.exp(-lambda.reduce((sum, l) => (l > 0 ? sum + (l / total) * Math.log(l / total) : sum), 0));
}

/** [views][samples] -> [samples][views] */
const transposedViews = (views: number[][][]): number[][][] => views[0].map((_, i) => views.map((z) => z[i]));

/** Variances along the principal axes, largest first. x: [N, D] */
export function principalVariances(x: Values): number[] {
  const rows = rowsOf(x);
  return symmetricEigenvalues(scatter(rows, meanRow(rows)).flat(), x.shape[1]);
}

/** Mean cosine over all ordered pairs of different rows. */
export function anisotropy(x: Values): number {
  const u = unitRows(x);
  let total = 0;
  for (const [i, a] of u.entries()) for (const [j, b] of u.entries()) if (i !== j) total += dot(a, b);
  return total / (u.length * (u.length - 1));
}

/**
 * Wasserstein-1 distance between the cosines of pairs of rows and those of uniform points on the sphere: the integral of the distance of
 * their distribution functions, by trapezoids of the angle. The distribution of the uniform ones is integrated along.
 */
export function wassersteinUniformity(x: Values): number {
  const u = unitRows(x);
  const angles = u.flatMap((a, i) =>
    u.slice(0, i).map((b) => Math.acos(Math.max(-1, Math.min(1, dot(a, b))))),
  );
  angles.sort((a, b) => a - b);
  const [D, steps] = [x.shape[1], 400_000];
  const angle = (k: number) => (Math.PI * k) / steps;
  const density = Array.from({ length: steps }, (_, k) => Math.sin(angle(k + 0.5)) ** (D - 2));
  const whole = density.reduce((a, b) => a + b);
  let [below, at, total] = [0, 0, 0];
  for (let k = 0; k < steps; k++) {
    while (at < angles.length && angles[at] <= angle(k + 0.5)) at++;
    const here = below + density[k] / 2;
    total += Math.abs(at / angles.length - here / whole) * (Math.cos(angle(k)) - Math.cos(angle(k + 1)));
    below += density[k];
  }
  return total;
}

/** How often each row is among the k others nearest to a row; of equally near ones the first. */
export function occurrences(x: Values, k: number): number[] {
  const u = unitRows(x);
  const counts = u.map(() => 0);
  for (const [i, a] of u.entries()) {
    const near = [...u.keys()].filter((j) => j !== i).sort((p, q) => dot(a, u[q]) - dot(a, u[p]) || p - q);
    for (const j of near.slice(0, k)) counts[j]++;
  }
  return counts;
}

/** The share of rows of a whose pair is among the k rows of b nearest to it; of equally near rows the first. */
export function pairRecall(a: Values, b: Values, k: number): number {
  const [u, v] = [a, b].map(unitRows);
  const isFound = (row: Float64Array | number[], i: number) => {
    const near = [...v.keys()].sort((p, q) => dot(row, v[q]) - dot(row, v[p]) || p - q);
    return near.slice(0, k).includes(i);
  };
  return u.filter(isFound).length / u.length;
}

/** The third standardised moment. */
export function skew(values: ArrayLike<number>): number {
  const list = Array.from(values);
  const mean = list.reduce((a, b) => a + b, 0) / list.length;
  const moment = (p: number) => list.reduce((total, v) => total + (v - mean) ** p, 0) / list.length;
  return moment(3) / moment(2) ** 1.5;
}

/** 3CosAdd as a sum of three cosines for every word but a, b and c. */
export function analogy(x: Values, [a, b, c]: readonly number[]): number {
  const u = unitRows(x);
  const score = (w: number) => dot(u[w], u[b]) - dot(u[w], u[a]) + dot(u[w], u[c]);
  const words = [...u.keys()].filter((w) => w !== a && w !== b && w !== c);
  return words.reduce((best, w) => (score(w) > score(best) ? w : best));
}

/** Mutual information over the mean entropy, from probabilities. */
export function normalizedMutualInformation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length;
  const share = (test: (i: number) => boolean) =>
    Array.from({ length: n }, (_, i) => i).filter(test).length / n;
  const [A, B] = [a, b].map((labels) => [...new Set(Array.from(labels))]);
  let information = 0;
  for (const p of A)
    for (const q of B) {
      const both = share((i) => a[i] === p && b[i] === q);
      if (both) information += both * Math.log(both / share((i) => a[i] === p) / share((i) => b[i] === q));
    }
  const entropy = (labels: ArrayLike<number>, names: number[]) =>
    -names.map((p) => share((i) => labels[i] === p)).reduce((total, p) => total + p * Math.log(p), 0);
  return information / ((entropy(a, A) + entropy(b, B)) / 2);
}

/** The adjusted Rand index by looking at every pair. */
export function adjustedRandIndex(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [both, onlyA, onlyB, none] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i++)
    for (let j = 0; j < i; j++) {
      const [inA, inB] = [a[i] === a[j], b[i] === b[j]];
      if (inA && inB) both++;
      else if (inA) onlyA++;
      else if (inB) onlyB++;
      else none++;
    }
  return (
    (2 * (both * none - onlyA * onlyB)) / ((both + onlyA) * (onlyA + none) + (both + onlyB) * (onlyB + none))
  );
}

/** 1 - mean |y - x|^2 over mean |x - x'|^2 of pairs. */
export function invariance(x: Values, y: Values): number {
  const [X, Y] = [x, y].map(rowsOf);
  const N = X.length;
  let [moved, apart] = [0, 0];
  for (let i = 0; i < N; i++) {
    moved += distance2(X[i], Y[i]) / N;
    for (let j = 0; j < N; j++) apart += distance2(X[i], X[j]) / (N * (N - 1));
  }
  return 1 - moved / apart;
}

/** What a ridge regression of y on x predicts for other rows, by Gauss's elimination. `ridge`: of the mean variance. */
export function ridgeRegression(x: Values, y: Values, other: Values, { ridge = 1e-3 } = {}): number[][] {
  const [X, Y, U] = [x, y, other].map(rowsOf);
  const [mx, my] = [X, Y].map(meanRow);
  const centred = (rows: number[][], m: number[]) => rows.map((row) => row.map((v, d) => v - m[d]));
  const D = mx.length;
  const gram = scatter(X, mx);
  const lambda = (ridge * gram.reduce((total, row, i) => total + row[i], 0)) / D;
  const cross = product(transposed(centred(X, mx)), centred(Y, my));
  const system = gram.map((row, i) => [
    ...row.map((v, j) => v + (i === j ? lambda : 0)),
    ...cross[i].map((v) => v / X.length),
  ]);
  for (let i = 0; i < D; i++) {
    const pivot = system.slice(i).reduce((best, row) => (Math.abs(row[i]) > Math.abs(best[i]) ? row : best));
    system.splice(system.indexOf(pivot), 1);
    system.splice(i, 0, pivot);
    for (const [j, row] of system.entries())
      if (j !== i) {
        const factor = row[i] / pivot[i];
        for (let k = i; k < row.length; k++) row[k] -= factor * pivot[k];
      }
  }
  const weights = system.map((row, i) => row.slice(D).map((v) => v / row[i]));
  return product(centred(U, mx), weights).map((row) => row.map((v, d) => v + my[d]));
}

/** R^2 on the test pair of a ridge regression fitted on the training pair. */
export function equivariance([x, y]: [Values, Values], [testX, testY]: [Values, Values]): number {
  const predicted = ridgeRegression(x, y, testX);
  const V = rowsOf(testY);
  const centre = meanRow(V);
  const error = V.reduce((total, row, i) => total + distance2(row, predicted[i]), 0);
  return 1 - error / V.reduce((total, row) => total + distance2(row, centre), 0);
}

/** Linear CKA by its N x N Gram matrices: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)). */
export function linearCka(x: Values, y: Values): number {
  const gram = (z: Values) => {
    const rows = rowsOf(z);
    const m = meanRow(rows);
    const c = rows.map((row) => row.map((v, d) => v - m[d]));
    return c.flatMap((a) => c.map((b) => dot(a, b)));
  };
  const [K, L] = [gram(x), gram(y)];
  return dot(K, L) / Math.sqrt(dot(K, K) * dot(L, L));
}

/** The share of the k nearest rows of each row, without itself, that two sets of rows agree on. */
export function mutualKnn(a: Values, b: Values, k: number): number {
  const near = [a, b].map((rows) => {
    const u = unitRows(rows);
    return u.map((row, i) =>
      [...u.keys()]
        .filter((j) => j !== i)
        .sort((p, q) => dot(row, u[q]) - dot(row, u[p]) || p - q)
        .slice(0, k),
    );
  });
  const shared = near[0].map((list, i) => list.filter((j) => near[1][i].includes(j)).length / k);
  return shared.reduce((sum, share) => sum + share, 0) / shared.length;
}

/** The distance of the means of unit rows. */
export function modalityGap(a: Values, b: Values): number {
  const means = [a, b].map((rows) => {
    const u = unitRows(rows);
    return Array.from(u[0], (_, d) => u.reduce((sum, row) => sum + row[d], 0) / u.length);
  });
  return Math.hypot(...means[0].map((x, d) => x - means[1][d]));
}

/** The share of queries that have a row of their label among the k nearest of the gallery. */
export function retrieval(
  queries: Values,
  asked: ArrayLike<number>,
  gallery: Values,
  known: ArrayLike<number>,
  k: number,
): number {
  const [u, v] = [queries, gallery].map(unitRows);
  const found = u.filter((row, i) => {
    const near = [...v.keys()].sort((p, q) => dot(row, v[q]) - dot(row, v[p]) || p - q).slice(0, k);
    return near.some((j) => known[j] === asked[i]);
  });
  return found.length / u.length;
}
