/** The inverse square root of a symmetric matrix by its eigenvectors, and whitening by it: exact, where the engine iterates. */
import { add, div, matmul, mean, mul, sqrt, square, sub, sum } from './ops.ts';
import { leaf, node, type Ref } from './tape.ts';

/** Eigenvalues, and eigenvectors as columns, of a symmetric [n, n], by Jacobi's rotations. */
export function jacobi(
  matrix: ArrayLike<number>,
  n: number,
): { values: Float64Array; vectors: Float64Array } {
  const a = Float64Array.from(matrix);
  const v = Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0));
  for (let sweep = 0; sweep < 60; sweep++) {
    let apart = 0;
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        apart = Math.max(apart, Math.abs(a[p * n + q]));
        if (a[p * n + q] === 0) continue;
        const theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const turn = (m: Float64Array, i: number, j: number) =>
          ([m[i], m[j]] = [c * m[i] - t * c * m[j], t * c * m[i] + c * m[j]]);
        for (let k = 0; k < n; k++) turn(a, k * n + p, k * n + q);
        for (let k = 0; k < n; k++) turn(a, p * n + k, q * n + k);
        for (let k = 0; k < n; k++) turn(v, k * n + p, k * n + q);
      }
    if (apart < 1e-300) break;
  }
  return { values: Float64Array.from({ length: n }, (_, i) => a[i * (n + 1)]), vectors: v };
}

/** S^(-1/2) of a symmetric positive definite [n, n]. Its gradient is that of Daleckii and Krein. */
export function inverseRoot(S: Ref): Ref {
  const [n] = S.shape;
  const { values, vectors } = jacobi(S.data, n);
  const roots = values.map(Math.sqrt);
  const V = leaf([n, n], vectors);
  /** V (X * M) V^T for a function X of pairs of eigenvalues. */
  const between = (X: (i: number, j: number) => number, M?: Ref) => {
    const weights = leaf(
      [n, n],
      Float64Array.from({ length: n * n }, (_, k) => X(Math.floor(k / n), k % n)),
    );
    return matmul(matmul(V, M ? mul(weights, M) : weights), V, { transposeB: true }).data;
  };
  const y = between((i, j) => (i === j ? 1 / roots[i] : 0));
  return node([n, n], y, [S], (dy, [dS]) => {
    const inside = matmul(matmul(V, leaf([n, n], dy), { transposeA: true }), V);
    const g = between((i, j) => -1 / (roots[i] * roots[j] * (roots[i] + roots[j])), inside);
    for (let k = 0; k < g.length; k++) dS[k] += g[k];
  });
}

/**
 * Rows of features of variance 1 by the inverse root of their correlations R; `ridge` times the Frobenius norm of R is added
 * to its diagonal, and 1e-7 of the mean variance to each. z: [N, D]
 */
export function whiten(z: Ref, ridge = 1e-5): Ref {
  const [N, D] = z.shape;
  const centred = sub(z, mean(z, 0, { keepDims: true }));
  const variance = div(sum(square(centred), 0, { keepDims: true }), N - 1);
  const standard = div(centred, sqrt(add(variance, mul(mean(variance), 1e-7))));
  const R = div(matmul(standard, standard, { transposeA: true }), N - 1);
  const identity = leaf(
    [D, D],
    Float64Array.from({ length: D * D }, (_, i) => Number(i % (D + 1) === 0)),
  );
  const size = sqrt(sum(square(R)));
  return matmul(standard, inverseRoot(add(R, mul(identity, mul(size, ridge)))));
}
