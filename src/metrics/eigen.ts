/** Symmetric matrices on the CPU, in float64: small ones, of a covariance or a preconditioner. */

/**
 * Eigenvalues of a symmetric matrix, largest first: Householder's tridiagonal form, then QL with implicit shifts
 * (EISPACK's tred1 and tql1). O(n^3): about half a second for n = 784.
 * @param matrix [n, n]; only its lower triangle is read
 */
export function symmetricEigenvalues(matrix: ArrayLike<number>, n: number): Float64Array {
  const a = Float64Array.from(matrix);
  const diagonal = new Float64Array(n);
  const off = new Float64Array(n);
  const p = new Float64Array(n);
  for (let i = n - 1; i > 0; i--) {
    // Row i of the lower triangle becomes (0 ... 0, off[i]) by the reflection I - u u^T / h.
    const u = a.subarray(i * n, i * n + i);
    diagonal[i] = a[i * n + i];
    let scale = 0;
    for (const x of u) scale += Math.abs(x);
    if (scale === 0) continue;
    let h = 0;
    for (let k = 0; k < i; k++) {
      u[k] /= scale;
      h += u[k] * u[k];
    }
    const g = u[i - 1] < 0 ? Math.sqrt(h) : -Math.sqrt(h);
    off[i] = scale * g;
    h -= u[i - 1] * g;
    u[i - 1] -= g;
    // p = A u / h from the lower triangle alone: each row serves as row and as column.
    p.fill(0, 0, i);
    for (let j = 0; j < i; j++) {
      const row = a.subarray(j * n, j * n + j);
      const uj = u[j];
      let total = a[j * n + j] * uj;
      for (let k = 0; k < j; k++) {
        total += row[k] * u[k];
        p[k] += row[k] * uj;
      }
      p[j] += total;
    }
    let up = 0;
    for (let j = 0; j < i; j++) {
      p[j] /= h;
      up += p[j] * u[j];
    }
    const half = up / (2 * h);
    for (let j = 0; j < i; j++) p[j] -= half * u[j];
    for (let j = 0; j < i; j++) {
      const row = a.subarray(j * n, j * n + j + 1);
      const [uj, pj] = [u[j], p[j]];
      for (let k = 0; k <= j; k++) row[k] -= uj * p[k] + pj * u[k];
    }
  }
  diagonal[0] = a[0];
  return tridiagonalEigenvalues(diagonal, off).sort().reverse();
}

/** QL with implicit shifts. off[i] couples i - 1 and i. Both arrays are changed. */
function tridiagonalEigenvalues(d: Float64Array, off: Float64Array): Float64Array {
  const n = d.length;
  const e = new Float64Array(n);
  e.set(off.subarray(1));
  for (let l = 0; l < n; l++) {
    for (let round = 0; round < 60; round++) {
      let m = l;
      while (m < n - 1 && Math.abs(e[m]) > Number.EPSILON * (Math.abs(d[m]) + Math.abs(d[m + 1]))) m++;
      if (m === l) break;
      let g = (d[l + 1] - d[l]) / (2 * e[l]);
      let r = Math.hypot(g, 1);
      g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r));
      let [s, c, p] = [1, 1, 0];
      let i = m - 1;
      for (; i >= l; i--) {
        const f = s * e[i];
        const b = c * e[i];
        r = Math.hypot(f, g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1] -= p;
          e[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
      }
      if (r === 0 && i >= l) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
  return d;
}

/**
 * Cholesky's factor L of a symmetric positive definite matrix, L L^T; NaN where it is not definite.
 * @param matrix [n, n]; only its lower triangle is read
 * @returns [n, n]; only its lower triangle is valid
 */
export function cholesky(matrix: ArrayLike<number>, n: number): Float64Array {
  const factor = Float64Array.from(matrix);
  for (let i = 0; i < n; i++) {
    const row = factor.subarray(i * n, i * n + i + 1);
    for (let j = 0; j <= i; j++) {
      const other = factor.subarray(j * n, j * n + j + 1);
      let total = row[j];
      for (let k = 0; k < j; k++) total -= row[k] * other[k];
      row[j] = i === j ? Math.sqrt(total) : total / other[j];
    }
  }
  return factor;
}

/**
 * Cholesky's factor with the largest pivot first, so that its columns shrink: A[order[i], order[j]] = (L L^T)[i, j].
 * @param matrix symmetric positive definite [n, n]
 * @param rounding for a matrix that may be singular: columns whose pivot is at most this share of the first are 0
 * @returns factor [n, n]; only its lower triangle is valid
 */
export function pivotedCholesky(
  matrix: ArrayLike<number>,
  n: number,
  rounding?: number,
): { factor: Float64Array; order: number[] } {
  const factor = Float64Array.from(matrix);
  const order = Array.from({ length: n }, (_, i) => i);
  const column = new Float64Array(n);
  let largest = 0;
  const swap = (i: number, j: number, step: number) => {
    for (let k = 0; k < n; k++, i += step, j += step) [factor[i], factor[j]] = [factor[j], factor[i]];
  };
  for (let k = 0; k < n; k++) {
    let best = k;
    for (let i = k + 1; i < n; i++) if (factor[i * n + i] > factor[best * n + best]) best = i;
    if (k === 0) largest = factor[best * n + best];
    if (rounding !== undefined && !(factor[best * n + best] > rounding * largest)) {
      for (let i = k; i < n; i++) factor.fill(0, i * n + k, (i + 1) * n);
      break;
    }
    if (best !== k) {
      swap(k * n, best * n, 1);
      swap(k, best, n);
      [order[k], order[best]] = [order[best], order[k]];
    }
    const pivot = Math.sqrt(factor[k * n + k]);
    factor[k * n + k] = pivot;
    for (let i = k + 1; i < n; i++) column[i] = factor[i * n + k] /= pivot;
    // Whole rows, so that the rest stays symmetric and rows can be swapped.
    for (let i = k + 1; i < n; i++) {
      const row = factor.subarray(i * n, (i + 1) * n);
      const l = column[i];
      for (let j = k + 1; j < n; j++) row[j] -= l * column[j];
    }
  }
  return { factor, order };
}

/** Replaces a lower triangular L [n, n] by its inverse. */
export function invertLower(factor: Float64Array, n: number): void {
  // Row i = (e_i - sum_k<i L_ik row k) / L_ii.
  const next = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const row = factor.subarray(i * n, i * n + i + 1);
    next.fill(0, 0, i + 1);
    next[i] = 1;
    for (let k = 0; k < i; k++) {
      const l = row[k];
      const other = factor.subarray(k * n, k * n + k + 1);
      for (let j = 0; j <= k; j++) next[j] -= l * other[j];
    }
    const pivot = row[i];
    for (let j = 0; j <= i; j++) row[j] = next[j] / pivot;
  }
}

/** L^-1 B of a lower triangular L [n, n] and B [n, columns]. */
export function solveLower(factor: Float64Array, b: ArrayLike<number>, n: number): Float64Array {
  const x = Float64Array.from(b);
  const columns = x.length / n;
  for (let i = 0; i < n; i++) {
    const row = x.subarray(i * columns, (i + 1) * columns);
    for (let k = 0; k < i; k++) subtract(row, factor[i * n + k], x.subarray(k * columns, (k + 1) * columns));
    for (let j = 0; j < columns; j++) row[j] /= factor[i * n + i];
  }
  return x;
}

/** A^-1 B of a symmetric positive definite A [n, n] and B [n, columns]. */
export function solvePositiveDefinite(a: ArrayLike<number>, b: ArrayLike<number>, n: number): Float64Array {
  const factor = cholesky(a, n);
  const x = solveLower(factor, b, n);
  const columns = x.length / n;
  for (let i = n - 1; i >= 0; i--) {
    const row = x.subarray(i * columns, (i + 1) * columns);
    for (let k = i + 1; k < n; k++)
      subtract(row, factor[k * n + i], x.subarray(k * columns, (k + 1) * columns));
    for (let j = 0; j < columns; j++) row[j] /= factor[i * n + i];
  }
  return x;
}

/**
 * Weights [D, C] of ridge regression on centred rows: (gram + r I)^-1 cross.
 * @param gram [D, D] of the rows, @param cross [D, C] of rows and targets
 * @param ridge r in units of the mean of gram's diagonal; where that is 0, all rows are equal and any r works
 */
export function ridgeRegression(
  gram: ArrayLike<number>,
  cross: ArrayLike<number>,
  D: number,
  ridge: number,
): Float64Array {
  const matrix = Float64Array.from(gram);
  let trace = 0;
  for (let i = 0; i < D; i++) trace += matrix[i * D + i];
  for (let i = 0; i < D; i++) matrix[i * D + i] += trace ? (ridge * trace) / D : 1;
  return solvePositiveDefinite(matrix, cross, D);
}

/** row -= factor other */
function subtract(row: Float64Array, factor: number, other: Float64Array): void {
  for (let j = 0; j < row.length; j++) row[j] -= factor * other[j];
}

/**
 * The inverse of a symmetric positive definite matrix by Cholesky, as f32; about .3 s for n = 784.
 * @param matrix [n, n]; only its lower triangle is read
 */
export function invertPositiveDefinite(matrix: ArrayLike<number>, n: number): Float32Array {
  const factor = cholesky(matrix, n);
  invertLower(factor, n);
  // (L L^T)^-1 = L^-T L^-1, a sum of outer products of rows.
  const inverse = new Float64Array(n * n);
  for (let k = 0; k < n; k++) {
    const row = factor.subarray(k * n, k * n + k + 1);
    for (let i = 0; i <= k; i++) {
      const into = inverse.subarray(i * n, i * n + i + 1);
      const x = row[i];
      for (let j = 0; j <= i; j++) into[j] += x * row[j];
    }
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) inverse[j * n + i] = inverse[i * n + j];
  return Float32Array.from(inverse);
}
