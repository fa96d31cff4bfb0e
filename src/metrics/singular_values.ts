import type { Device } from '../gpu/device.ts';
import { constant, type Tensor } from '../graph/tensor.ts';
import { div, maximum, sub } from '../ops/binary.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { max, mean, sum } from '../ops/reduce.ts';
import { slice, transpose } from '../ops/shape.ts';
import { abs, square } from '../ops/unary.ts';
import { compute, type Rows, readRows, tensorOf } from './compute.ts';
import { invertLower, pivotedCholesky, symmetricEigenvalues } from './eigen.ts';
import type { MetricContext } from './metric.ts';

/** How rows are preprocessed. */
export interface RowOptions {
  /** Subtracts the mean of the rows first; a large mean looks like a collapse otherwise. Default true. */
  centred?: boolean;
  /** Normalise rows to unit length first; a row of zeros stays zero. Default false. */
  normalized?: boolean;
  /** Called with the share of the work that is done. */
  onProgress?: (fraction: number) => void;
}

/** Multiply-adds up to which the Gram matrix is made on the CPU in f64: a second or two. */
const FEW = 2e9;

/** The rounding of rows in f32 after several operations, in units of half the last place. */
const ROUNDINGS = 16 * 2 ** -24;

/**
 * Singular values of rows over sqrt(N), largest first: min(N, D) of them, then zeros up to D. By the smaller of the two Gram matrices:
 * in f64 on the CPU where that is quick; else on the GPU in f32, twice, the second time of rows that the first has made
 * nearly orthonormal (shifted Cholesky QR, Fukaya et al. 2020, arXiv 1809.11085). Values are precise to some 1e-7 of the largest both ways.
 * Values that may be rounding are set to 0: those below 16 * 2^-24 |x| (1 / sqrt(N) + 1 / sqrt(D)), for rows in f32, or below 2^-21 of the largest
 * value on the CPU and 2^-19 on the GPU (more from 4,096 rows on). NaN if a number is not finite.
 * @param few see FEW
 * @throws ShapeError
 */
export async function singularValues(
  device: Device,
  name: string,
  x: Rows,
  { centred = true, normalized = false, onProgress }: RowOptions = {},
  few = FEW,
): Promise<Float64Array> {
  const [N, D] = tensorOf(name, x).shape;
  const n = Math.min(N, D);
  const options = { centred, normalized, onProgress };
  const { values, size, noise } = await ((N * D * n) / 2 <= few
    ? inDoubles(device, x, options)
    : onGpu(device, name, x, options));
  onProgress?.(1);
  const spectrum = new Float64Array(D);
  const least = Math.max(ROUNDINGS * size * (1 / Math.sqrt(N) + 1 / Math.sqrt(D)), noise * values[0]);
  for (let i = 0; i < n; i++) if (!(values[i] <= least)) spectrum[i] = values[i] / Math.sqrt(N);
  return spectrum;
}

/**
 * Singular values; the norm of all numbers before their mean was subtracted; and the noise of the method that found the values, over the
 * largest.
 */
interface Found {
  values: Float64Array;
  size: number;
  noise: number;
}

/** Yields to the page or to another task. */
const pause = () => new Promise<void>((resolve) => setTimeout(resolve));

async function inDoubles(
  device: Device,
  x: Rows,
  { centred, normalized, onProgress }: RowOptions,
): Promise<Found> {
  const data = await readRows('spectrum', device, x);
  const [N, D] = x.shape;
  const factors = new Float64Array(N).fill(1);
  let squares = 0;
  for (let i = 0; i < N; i++) {
    let row = 0;
    for (let d = 0; d < D; d++) row += data[i * D + d] ** 2;
    if (normalized) factors[i] = row ? 1 / Math.sqrt(row) : 0;
    squares += normalized ? Number(row > 0 || row) : row;
  }
  const n = Math.min(N, D);
  if (!Number.isFinite(squares)) return { values: new Float64Array(n).fill(Number.NaN), size: 0, noise: 0 };
  // Differences from the first row are exactly 0 where all rows are equal, and small where they are alike.
  const centre = new Float64Array(D);
  if (centred) {
    for (let d = 0; d < D; d++) {
      const first = data[d] * factors[0];
      let rest = 0;
      for (let i = 0; i < N; i++) rest += data[i * D + d] * factors[i] - first;
      centre[d] = rest / N;
    }
  }
  const value = (i: number, d: number) => {
    const v = data[i * D + d] * factors[i];
    return centred ? v - data[d] * factors[0] - centre[d] : v;
  };
  const gram = new Float64Array(n * n);
  const long = Math.max(N, D);
  const width = 256;
  const slab = new Float64Array(n * width);
  let last = Date.now();
  for (let from = 0; from < long; from += width) {
    for (let i = 0; i < n; i++)
      for (let k = 0; k < width; k++)
        slab[i * width + k] = from + k >= long ? 0 : D <= N ? value(from + k, i) : value(i, from + k);
    addProducts(gram, slab, n, width);
    if (Date.now() - last < 100) continue;
    onProgress?.((0.7 * from) / long);
    await pause();
    last = Date.now();
  }
  return { values: rootsOf(gram, n), size: Math.sqrt(squares), noise: 2 ** -21 };
}

/** gram [n, n] += x x^T of x [n, width], its lower triangle; four rows at a time. */
function addProducts(gram: Float64Array, x: Float64Array, n: number, width: number): void {
  for (let i = 0; i < n; i++) {
    const a = x.subarray(i * width, (i + 1) * width);
    for (let j = 0; j <= i; j += 4) {
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      // Rows after the last repeat the last one, and are not used.
      const [b0, b1, b2, b3] = [j, j + 1, j + 2, j + 3].map((row) => Math.min(row, n - 1) * width);
      for (let k = 0; k < width; k++) {
        const v = a[k];
        s0 += v * x[b0 + k];
        s1 += v * x[b1 + k];
        s2 += v * x[b2 + k];
        s3 += v * x[b3 + k];
      }
      gram[i * n + j] += s0;
      if (j + 1 <= i) gram[i * n + j + 1] += s1;
      if (j + 2 <= i) gram[i * n + j + 2] += s2;
      if (j + 3 <= i) gram[i * n + j + 3] += s3;
    }
  }
}

/** Largest eigenvalue of a symmetric positive semidefinite matrix [n, n], by a few power iterations: in practice a tenth too small at worst. */
function largestEigenvalue(matrix: Float64Array, n: number): number {
  let vector = Float64Array.from({ length: n }, (_, i) => matrix[i * n + i]);
  let value = 0;
  for (let round = 0; round < 20; round++) {
    const next = new Float64Array(n);
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) next[i] += matrix[i * n + j] * vector[j];
    const [before, after] = [vector, next].map((v) => Math.hypot(...v));
    value = after / before;
    vector = next.map((v) => v / after);
  }
  return value;
}

const rootsOf = (gram: Float64Array, n: number) =>
  symmetricEigenvalues(gram, n).map((value) => Math.sqrt(Math.max(value, 0)));

async function onGpu(
  device: Device,
  name: string,
  x: Rows,
  { centred, normalized, onProgress }: RowOptions,
): Promise<Found> {
  const [N, D] = x.shape;
  const n = Math.min(N, D);
  /** The rows, or columns where they are fewer, as columns [long, n]; in a unit in which squares stay within f32. */
  const columns = () => {
    const given = tensorOf(name, x);
    const unit = maximum(max(abs(given)), 1e-37);
    const rows = normalized ? l2Normalize(given) : div(given, unit);
    let from: Tensor = rows;
    if (centred) {
      from = sub(from, slice(from, { starts: [0, 0], sizes: [1, D] }));
      from = sub(from, mean(from, { axes: 0, keepDims: true }));
    }
    return { from: D <= N ? from : transpose(from), size: sum(square(rows)), unit };
  };
  const gramOf = (y: Tensor) => matmul(y, y, { transposeA: true });
  const once = await compute(device, () => {
    const { from, size, unit } = columns();
    return { gram: gramOf(from), size, unit };
  });
  onProgress?.(0.2);
  const unit = normalized ? 1 : once.unit[0];
  const size = Math.sqrt(once.size[0]) * unit;
  const gram = Float64Array.from(once.gram);
  let trace = 0;
  for (let i = 0; i < n; i++) trace += gram[i * n + i];
  if (!Number.isFinite(trace)) return { values: new Float64Array(n).fill(Number.NaN), size, noise: 0 };
  if (trace === 0) return { values: new Float64Array(n), size, noise: 0 };
  // Twice the amount by which f32's sums may be too small in an eigenvalue: see spectrumOf.
  const shift = 2 ** -24 * Math.sqrt(Math.max(N, D)) * largestEigenvalue(gram, n);
  for (let i = 0; i < n; i++) gram[i * n + i] += shift;
  const { factor, order } = pivotedCholesky(gram, n);
  const inverse = factor.slice();
  invertLower(inverse, n);
  await pause();
  onProgress?.(0.4);
  // Columns through the transposed inverse of the factor are nearly orthonormal, or short.
  const weights = new Float32Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) weights[order[j] * n + i] = inverse[i * n + j];
  const { twice } = await compute(device, () => ({
    twice: gramOf(matmul(columns().from, constant(weights, [n, n]))),
  }));
  onProgress?.(0.6);
  await pause();
  // L G L^T, of the lower triangle of L.
  const half = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const into = half.subarray(i * n, (i + 1) * n);
    for (let k = 0; k <= i; k++) {
      const l = factor[i * n + k];
      for (let j = 0; j < n; j++) into[j] += l * twice[k * n + j];
    }
  }
  const whole = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let total = 0;
      for (let k = 0; k <= j; k++) total += half[i * n + k] * factor[j * n + k];
      whole[i * n + j] = total;
    }
  await pause();
  onProgress?.(0.8);
  const noise = 2 ** -19 * Math.sqrt(Math.max(1, Math.max(N, D) / 4096));
  return { values: rootsOf(whole, n).map((value) => value * unit), size, noise };
}

/** The singular values of the unit embeddings z, computed once for all metrics. */
export const spectrumOfZ = ({ device, z, shared, progress }: Required<MetricContext>) =>
  shared('spectrum of z', () =>
    singularValues(device, 'effectiveRank', z.fit, { normalized: true, onProgress: progress }),
  );

/** The singular values of h as it is, computed once for all metrics. */
export const spectrumOfH = ({ device, h, shared, progress }: MetricContext) =>
  shared('spectrum of h', () => singularValues(device, 'effectiveRank', h.fit, { onProgress: progress }));
