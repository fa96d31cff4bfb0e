import { checkNumber, checkOptions, LARGEST_U32 } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { input, type Variable, variable } from '../graph/tensor.ts';
import { uniformArray } from '../ops/random.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { checkOn } from '../runtime/check.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables } from '../runtime/variables.ts';
import { checkRows, type Rows, ranges, readRows, rowsInBinding } from './compute.ts';

export interface KMeansOptions {
  /** The number of clusters. */
  k: number;
  /** Seed of the initial centroids. Default 0. */
  seed?: number;
  /** Restarts; the clustering of least inertia is kept. Default 3. */
  restarts?: number;
  /** Most iterations of each restart. Default 100. */
  iterations?: number;
  /** Called with the share of the work that is done; it jumps to 1 where rows stop changing their cluster early. */
  onProgress?: (fraction: number) => void;
}

export interface Clustering {
  /** The cluster of each row. */
  clusters: Uint32Array;
  /** [k, D] */
  centroids: Float32Array;
  /** Sum of the squared distances to the centroids. */
  inertia: number;
}

/**
 * k-means: k-means++ (Arthur & Vassilvitskii 2007), then Lloyd's iterations until no row changes its cluster; a cluster that
 * loses all rows takes the row farthest from its own centroid. Rows find their centroids on the GPU. The same seed
 * gives the same clusters. Rows may need several bindings of the device.
 * @param x f32 [N, D]; compared by Euclidean distance
 * @param options.k 1 to N
 * @throws InputError for other numbers, ShapeError for other rows
 */
export async function kMeans(device: Device, x: Rows, options: KMeansOptions): Promise<Clustering> {
  checkOn('kMeans', device);
  const [N, D] = checkRows('kMeans', x);
  checkOptions('kMeans', options, ['k', 'seed', 'restarts', 'iterations', 'onProgress']);
  const { k, seed = 0, restarts = 3, iterations = 100, onProgress } = options;
  checkNumber('kMeans', 'k', k, { least: 1, most: N, whole: true });
  checkNumber('kMeans', 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  checkNumber('kMeans', 'restarts', restarts, { least: 1, most: 1000, whole: true });
  checkNumber('kMeans', 'iterations', iterations, { least: 0, most: 1e6, whole: true });
  const points = pointsOf(await readRows('kMeans', device, x), N, D);
  const { rows, width } = points;
  const slabs = ranges('kMeans', N, rowsInBinding(device, width)).map(([from, to]) =>
    variable([to - from, width], {
      name: 'kMeans.rows',
      initial: rows.subarray(from * width, to * width),
    }),
  );
  const open: Assign[] = [];
  const openFor = async (count: number) => {
    const assign = await compileAssign(device, slabs, points, count);
    open.push(assign);
    return assign;
  };
  try {
    const one = await openFor(1);
    const all = await openFor(k);
    const start = async (stream: number) => {
      const progress = (share: number) => onProgress?.((stream + share) / restarts);
      // Draws take about as long as iterations with few centroids.
      const draws = uniformArray(k, { seed, stream });
      const first = await seedCentroids(points, draws, one, (share) => progress(0.5 * share));
      return lloyd(points, first, all, iterations, (share) => progress(0.5 + 0.5 * share));
    };
    let best = await start(0);
    for (let stream = 1; stream < restarts; stream++) {
      const other = await start(stream);
      if (other.inertia < best.inertia) best = other;
    }
    onProgress?.(1);
    return best;
  } finally {
    for (const assign of open) assign.dispose();
    freeVariables(device, slabs);
  }
}

/** Rows relative to their mean, in a unit that keeps their squares within f32. Each ends in a 1, then zeros up to a whole vec4. */
interface Points {
  N: number;
  D: number;
  /** [N, width] */
  rows: Float32Array;
  width: number;
  /** Squared lengths. */
  norms: Float64Array;
  mean: Float64Array;
  /** A power of two, so that scaling is exact. */
  unit: number;
}

function pointsOf(data: Float32Array, N: number, D: number): Points {
  const mean = new Float64Array(D);
  for (let i = 0; i < data.length; i++) mean[i % D] += data[i] / N;
  let largest = 0;
  for (let i = 0; i < data.length; i++) largest = Math.max(largest, Math.abs(data[i] - mean[i % D]));
  const unit = 2 ** Math.floor(Math.log2(largest || 1));
  const width = Math.ceil((D + 1) / 4) * 4;
  const rows = new Float32Array(N * width);
  const norms = new Float64Array(N);
  for (let i = 0; i < N; i++) {
    for (let d = 0; d < D; d++) {
      rows[i * width + d] = (data[i * D + d] - mean[d]) / unit;
      norms[i] += rows[i * width + d] ** 2;
    }
    rows[i * width + D] = 1;
  }
  return { N, D, rows, width, norms, mean, unit };
}

/** The nearest centroid of each row, and the squared distance to it. */
interface Assignment {
  clusters: Uint32Array;
  distances: Float64Array;
}

interface Assign {
  nearest(centroids: Float32Array): Promise<Assignment>;
  dispose(): void;
}

/**
 * Compiles the search for the nearest of `count` centroids. |x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2): it has the largest product of rows
 * (x, 1) and (c, -|c|^2 / 2).
 */
async function compileAssign(
  device: Device,
  slabs: readonly Variable[],
  { N, width, norms }: Points,
  count: number,
): Promise<Assign> {
  const steps = await Promise.all(
    slabs.map((rows) =>
      compile(device, ({ centroids }) => topKSimilar(rows, centroids, { k: 1 }), {
        inputs: { centroids: input([count, width]) },
        warmUp: false,
      }),
    ),
  );
  return {
    async nearest(centroids) {
      const clusters = new Uint32Array(N);
      const distances = new Float64Array(N);
      let at = 0;
      for (const step of steps) {
        await step.run({ centroids });
        const [nearest, products] = await Promise.all([step.read('indices'), step.read('similarities')]);
        clusters.set(nearest, at);
        for (const [i, product] of products.entries())
          distances[at + i] = Math.max(norms[at + i] - 2 * product, 0);
        at += nearest.length;
      }
      return { clusters, distances };
    },
    dispose() {
      for (const step of steps) step.dispose();
    },
  };
}

/** Sets centroid c and the end of its row. */
function place({ D, width }: Points, centroids: Float32Array, c: number, at: (d: number) => number): void {
  let square = 0;
  for (let d = 0; d < D; d++) square += (centroids[c * width + d] = at(d)) ** 2;
  centroids[c * width + D] = -square / 2;
}

const placeAtRow = (points: Points, centroids: Float32Array, c: number, i: number) =>
  place(points, centroids, c, (d) => points.rows[i * points.width + d]);

/** k-means++: rows drawn with probabilities proportional to the squared distance from the nearest one drawn before. */
async function seedCentroids(
  points: Points,
  draws: Float32Array,
  one: Assign,
  onProgress: (share: number) => void,
): Promise<Float32Array> {
  const { N, width } = points;
  const k = draws.length;
  const centroids = new Float32Array(k * width);
  placeAtRow(points, centroids, 0, Math.floor(draws[0] * N));
  const distances = new Float64Array(N).fill(Number.POSITIVE_INFINITY);
  for (let c = 1; c < k; c++) {
    const latest = await one.nearest(centroids.slice((c - 1) * width, c * width));
    for (let i = 0; i < N; i++) distances[i] = Math.min(distances[i], latest.distances[i]);
    let rest = draws[c] * distances.reduce((a, b) => a + b, 0);
    let i = 0;
    while (i < N - 1 && rest >= distances[i]) rest -= distances[i++];
    placeAtRow(points, centroids, c, i);
    onProgress(c / k);
  }
  return centroids;
}

/** Lloyd's iterations, which change the given centroids in place. */
async function lloyd(
  points: Points,
  centroids: Float32Array,
  all: Assign,
  iterations: number,
  onProgress: (share: number) => void,
): Promise<Clustering> {
  const { D, width, unit, mean } = points;
  const k = centroids.length / width;
  let now = await all.nearest(centroids);
  for (let round = 0; round < iterations; round++) {
    update(points, centroids, now);
    const before = now.clusters;
    now = await all.nearest(centroids);
    onProgress((round + 1) / iterations);
    if (now.clusters.every((c, i) => c === before[i])) break;
  }
  return {
    clusters: now.clusters,
    centroids: Float32Array.from(
      { length: k * D },
      (_, i) => centroids[Math.floor(i / D) * width + (i % D)] * unit + mean[i % D],
    ),
    inertia: now.distances.reduce((a, b) => a + b, 0) * unit ** 2,
  };
}

/** Moves each centroid to the mean of its rows; one without rows to the row farthest from its own centroid. */
function update(points: Points, centroids: Float32Array, { clusters, distances }: Assignment): void {
  const { D, width, rows } = points;
  const k = centroids.length / width;
  const counts = new Uint32Array(k);
  const sums = new Float64Array(k * D);
  for (const [i, c] of clusters.entries()) {
    counts[c]++;
    for (let d = 0; d < D; d++) sums[c * D + d] += rows[i * width + d];
  }
  const left = distances.slice();
  for (const [c, count] of counts.entries()) {
    if (count) place(points, centroids, c, (d) => sums[c * D + d] / count);
    else {
      const farthest = left.indexOf(left.reduce((a, b) => Math.max(a, b)));
      left[farthest] = 0;
      placeAtRow(points, centroids, c, farthest);
    }
  }
}
