/**
 * The two directions of largest variance, by orthogonal iteration on the covariance: data [n, d] -> its coordinates
 * on that plane. Deterministic: fixed start, and each axis points where its largest component is positive.
 */
export function principalPlane(data: ArrayLike<number>, n: number, d: number): { x: number[]; y: number[] } {
  if (data.length !== n * d) throw new Error(`principalPlane: expected ${n * d} numbers, got ${data.length}`);
  const mean = new Float64Array(d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) mean[j] += data[i * d + j] / n;
  const centred = new Float64Array(n * d);
  for (let i = 0; i < n; i++) for (let j = 0; j < d; j++) centred[i * d + j] = data[i * d + j] - mean[j];
  const covariance = new Float64Array(d * d);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < d; j++) {
      const a = centred[i * d + j];
      if (a !== 0) for (let k = j; k < d; k++) covariance[j * d + k] += (a * centred[i * d + k]) / n;
    }
  for (let j = 0; j < d; j++) for (let k = 0; k < j; k++) covariance[j * d + k] = covariance[k * d + j];

  const [u, v] = dominantPair((vector) => multiply(covariance, vector), d);
  const along = (axis: Float64Array) => {
    const largest = axis.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    const sign = largest < 0 ? -1 : 1;
    return Array.from({ length: n }, (_, i) => sign * dot(axis, centred.subarray(i * d, (i + 1) * d)));
  };
  return { x: along(u), y: along(v) };
}

/**
 * The two eigenvectors with the largest eigenvalues of a positive semidefinite matrix [d, d], by orthogonal iteration
 * from a fixed start.
 * @param apply the matrix times a vector
 * @param steps at most. Default 1000
 */
export function dominantPair(
  apply: (vector: Float64Array) => Float64Array,
  d: number,
  steps = 1000,
): [Float64Array, Float64Array] {
  let [u, v]: Float64Array[] = [start(d, 1), start(d, 2)];
  orthonormalize(u, v);
  for (let step = 0; step < steps; step++) {
    const [nextU, nextV] = [apply(u), apply(v)];
    orthonormalize(nextU, nextV);
    const moved = 2 - Math.abs(dot(u, nextU)) - Math.abs(dot(v, nextV));
    [u, v] = [nextU, nextV];
    if (moved < 1e-12) break;
  }
  return [u, v];
}

/** Any vector that no data set is orthogonal to by design. */
const start = (d: number, salt: number) =>
  Float64Array.from({ length: d }, (_, j) => Math.sin(salt * 12.9898 + (j + 1) * 78.233 * salt));

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j] * b[j];
  return sum;
}

/** A square matrix times a vector. */
export function multiply(matrix: Float64Array, vector: Float64Array) {
  const d = vector.length;
  return Float64Array.from({ length: d }, (_, j) => dot(matrix.subarray(j * d, (j + 1) * d), vector));
}

/** Gram-Schmidt in place; an axis without variance stays zero. */
function orthonormalize(u: Float64Array, v: Float64Array): void {
  const scale = (a: Float64Array, factor: number) => a.forEach((value, j) => (a[j] = value * factor));
  const normalize = (a: Float64Array, floor: number) => {
    const length = Math.sqrt(dot(a, a));
    scale(a, length > floor ? 1 / length : 0);
  };
  const before = Math.sqrt(dot(v, v));
  normalize(u, 0);
  const overlap = dot(u, v);
  v.forEach((value, j) => (v[j] = value - overlap * u[j]));
  normalize(v, before * 1e-12);
}
