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
export function symmetricEigenvalues(matrix: ArrayLike<number>, n: number): number[] {
  const a = Float64Array.from(matrix);
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
        const rotate = (ip: number, iq: number, step: number) => {
          for (let k = 0; k < n; k++, ip += step, iq += step) {
            const x = a[ip];
            const y = a[iq];
            a[ip] = c * x - s * y;
            a[iq] = s * x + c * y;
          }
        };
        rotate(p, q, n);
        rotate(p * n, q * n, 1);
      }
    }
  }
  return Array.from({ length: n }, (_, i) => a[i * n + i]).sort((x, y) => y - x);
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
