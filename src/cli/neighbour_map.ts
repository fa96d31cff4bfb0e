import { multiply } from '../metrics/principal_axes.ts';
import { dominantPair } from './principal_plane.ts';

export interface NeighbourMapOptions {
  /** Effective number of neighbours of each row, at most a third of the rows. Default 30. */
  perplexity?: number;
  /** Steps of gradient descent. Default 350. */
  iterations?: number;
}

/** Attraction is exaggerated at first, so that clusters can pass each other (van der Maaten & Hinton 2008, section 3.4). */
const EXAGGERATION = 12;
/** The share of the steps with exaggeration. */
const EARLY = 0.25;

/**
 * A map of rows on the plane that keeps neighbours together: exact t-SNE (van der Maaten & Hinton 2008), O(n^2) in each step,
 * initialised on the principal plane (Kobak & Berens 2019). No random numbers: the same rows give the same map.
 *
 * @param rows [n, d]; squared Euclidean distances count, so give unit rows for cosine similarity
 * @throws Error when a number is not finite or the sizes do not fit together
 */
export function neighbourMap(
  rows: ArrayLike<number>,
  n: number,
  d: number,
  { perplexity = 30, iterations = 350 }: NeighbourMapOptions = {},
): { x: number[]; y: number[] } {
  if (rows.length !== n * d) throw new Error(`neighbourMap: expected ${n * d} numbers, got ${rows.length}`);
  const distances = squaredDistances(rows, n, d);
  if (!distances.every(Number.isFinite)) throw new Error('neighbourMap: expected finite numbers');
  const [x, y] = principalStart(distances, n);
  // Neither three points nor coinciding points have neighbourhoods to preserve.
  const spread = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / n);
  if (n < 4 || spread === 0) return { x: [...x], y: [...y] };
  for (const axis of [x, y]) axis.forEach((value, i) => (axis[i] = (1e-4 * value) / spread));
  const p = affinities(distances, n, Math.min(perplexity, (n - 1) / 3));

  const zeros = () => new Float64Array(n);
  const axes = [x, y].map(
    (at): Axis => ({ at, last: zeros(), gain: zeros().fill(1), pull: zeros(), push: zeros() }),
  );
  // n / exaggeration (Belkina et al. 2019), with the gradient's factor 4.
  const rate = Math.max(n / EXAGGERATION, 50) / 4;
  for (let step = 0; step < iterations; step++) {
    const total = setForces(p, axes);
    const early = step < EARLY * iterations;
    const [factor, momentum] = early ? [EXAGGERATION, 0.5] : [1, 0.8];
    for (const { at, last, gain, pull, push } of axes) {
      let mean = 0;
      for (let i = 0; i < n; i++) {
        const slope = 4 * (factor * pull[i] - push[i] / total);
        gain[i] = Math.max(0.01, slope * last[i] < 0 ? gain[i] + 0.2 : gain[i] * 0.8);
        last[i] = momentum * last[i] - rate * gain[i] * slope;
        at[i] += last[i];
        mean += at[i] / n;
      }
      for (let i = 0; i < n; i++) at[i] -= mean;
    }
  }
  return { x: [...x], y: [...y] };
}

/** One coordinate of all rows: where they are, their last steps and the gains of these, the forces of all rows on each. */
type Axis = Record<'at' | 'last' | 'gain' | 'pull' | 'push', Float64Array>;

/** Sets the forces. @param p affinities of the pairs i < j @returns the sum of 1 / (1 + distance^2) over all ordered pairs */
function setForces(p: Float32Array, axes: readonly Axis[]): number {
  const [{ at: x, pull: pullX, push: pushX }, { at: y, pull: pullY, push: pushY }] = axes;
  for (const force of [pullX, pushX, pullY, pushY]) force.fill(0);
  const n = x.length;
  let total = 0;
  let pair = 0;
  for (let i = 0; i < n; i++) {
    // Plain numbers, since the inner loop takes most of the time.
    const xi = x[i];
    const yi = y[i];
    let ax = 0;
    let ay = 0;
    let bx = 0;
    let by = 0;
    for (let j = i + 1; j < n; j++) {
      const dx = xi - x[j];
      const dy = yi - y[j];
      const q = 1 / (1 + dx * dx + dy * dy);
      total += q;
      const a = p[pair++] * q;
      const b = q * q;
      ax += a * dx;
      ay += a * dy;
      bx += b * dx;
      by += b * dy;
      pullX[j] -= a * dx;
      pullY[j] -= a * dy;
      pushX[j] -= b * dx;
      pushY[j] -= b * dy;
    }
    pullX[i] += ax;
    pullY[i] += ay;
    pushX[i] += bx;
    pushY[i] += by;
  }
  // Each pair was counted once.
  return 2 * total;
}

/** Iterations for the initial positions, which only need to be near the principal plane. */
const START_STEPS = 50;

/** Approximate coordinates on the principal plane, from distances (classical scaling), at the same cost for any width of rows. */
function principalStart(distances: Float64Array, n: number): [Float64Array, Float64Array] {
  const means = Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += distances[i * n + j];
    return sum / n;
  });
  const mean = means.reduce((sum, value) => sum + value / n, 0);
  const products = distances.map(
    (distance, at) => (means[Math.floor(at / n)] + means[at % n] - mean - distance) / 2,
  );
  return dominantPair(products, n, START_STEPS).map((axis) => {
    const image = multiply(products, axis);
    const eigenvalue = axis.reduce((sum, value, i) => sum + value * image[i], 0);
    return axis.map((value) => value * Math.sqrt(Math.max(0, eigenvalue)));
  }) as [Float64Array, Float64Array];
}

/** Squared distances [n, n] as sums of (a - b)^2: |a|^2 + |b|^2 - 2 a.b would lose small distances to rounding. */
function squaredDistances(rows: ArrayLike<number>, n: number, d: number): Float64Array {
  const data = Float32Array.from(rows);
  const result = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < d; k++) {
        const difference = data[i * d + k] - data[j * d + k];
        sum += difference * difference;
      }
      result[i * n + j] = result[j * n + i] = sum;
    }
  return result;
}

/**
 * The affinities of the pairs i < j, in order: Gaussians around every row, of the width that gives the perplexity. Twice
 * their sum is 1.
 */
function affinities(distances: Float64Array, n: number, perplexity: number): Float32Array {
  const result = new Float64Array(n * n);
  const row = new Float64Array(n);
  const wanted = Math.log(perplexity);
  for (let i = 0; i < n; i++) {
    const own = distances.subarray(i * n, (i + 1) * n);
    let nearest = Number.POSITIVE_INFINITY;
    let mean = 0;
    for (let j = 0; j < n; j++)
      if (j !== i) {
        nearest = Math.min(nearest, own[j]);
        mean += own[j] / (n - 1);
      }
    // Bisection of the precision, starting at the scale of the rows.
    let [low, high, precision] = [0, Number.POSITIVE_INFINITY, mean > 0 ? 1 / mean : 0];
    let sum = 1;
    for (let step = 0; step < 64; step++) {
      let weighted = 0;
      sum = 0;
      for (let j = 0; j < n; j++) {
        row[j] = j === i ? 0 : Math.exp(-precision * (own[j] - nearest));
        sum += row[j];
        weighted += row[j] * (own[j] - nearest);
      }
      const entropy = Math.log(sum) + (precision * weighted) / sum;
      if (Math.abs(entropy - wanted) < 1e-5) break;
      if (entropy > wanted) low = precision;
      else high = precision;
      precision = high === Number.POSITIVE_INFINITY ? 2 * precision : (low + high) / 2;
    }
    for (let j = 0; j < n; j++) {
      const share = row[j] / sum / (2 * n);
      result[i * n + j] += share;
      result[j * n + i] += share;
    }
  }
  const pairs = new Float32Array((n * (n - 1)) / 2);
  let pair = 0;
  for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) pairs[pair++] = result[i * n + j];
  return pairs;
}
