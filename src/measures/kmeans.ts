import { checkNumber, checkOptions, LARGEST_U32 } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { input, variable } from '../graph/tensor.ts';
import { uniformArray } from '../ops/random.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables } from '../runtime/variables.ts';
import { checkDevice, checkRows, type Rows, ranges, readRows, rowsInBinding } from './compute.ts';

export interface KMeansOptions {
  /** How many clusters. */
  k: number;
  /** Of the first centroids. Default 0. */
  seed?: number;
  /** How often it starts anew; the clustering of least inertia is kept. Default 3. */
  restarts?: number;
  /** At most, of each start. Default 100. */
  iterations?: number;
  /** Called with the share of the work that is done; it ends early where rows stand still. */
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
 * @throws InputError for other numbers, ShapeError for what are no rows
 */
export async function kMeans(device: Device, x: Rows, options: KMeansOptions): Promise<Clustering> {
  checkDevice('kMeans', device);
  const [N, D] = checkRows('kMeans', x);
  checkOptions('kMeans', options, ['k', 'seed', 'restarts', 'iterations', 'onProgress']);
  const { k, seed = 0, restarts = 3, iterations = 100, onProgress } = options;
  checkNumber('kMeans', 'k', k, { least: 1, most: N, whole: true });
  checkNumber('kMeans', 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  checkNumber('kMeans', 'restarts', restarts, { least: 1, most: 1000, whole: true });
  checkNumber('kMeans', 'iterations', iterations, { least: 0, most: 1e6, whole: true });
  const data = await readRows('kMeans', device, x);
  // |x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2): the nearest centroid has the largest product of rows (x, 1) and
  // (c, -|c|^2 / 2). About the mean, where the squares are small; in a unit that keeps them within f32, a power of two,
  // which rounds nothing; rows end in zeros, for whole vec4s.
  const mean = new Float64Array(D);
  for (let i = 0; i < data.length; i++) mean[i % D] += data[i] / N;
  let largest = 0;
  for (let i = 0; i < data.length; i++) largest = Math.max(largest, Math.abs(data[i] - mean[i % D]));
  const unit = 2 ** Math.floor(Math.log2(largest || 1));
  const width = Math.ceil((D + 1) / 4) * 4;
  const points = new Float32Array(N * width);
  const norms = new Float64Array(N);
  for (let i = 0; i < N; i++) {
    for (let d = 0; d < D; d++) {
      points[i * width + d] = (data[i * D + d] - mean[d]) / unit;
      norms[i] += points[i * width + d] ** 2;
    }
    points[i * width + D] = 1;
  }
  const slabs = ranges('kMeans', N, rowsInBinding(device, width)).map(([from, to]) =>
    variable([to - from, width], {
      name: 'kMeans.rows',
      initial: points.subarray(from * width, to * width),
    }),
  );
  /** The nearest of `count` centroids, by slabs. */
  const compileFor = (count: number) =>
    Promise.all(
      slabs.map((rows) =>
        compile(device, ({ centroids }) => topKSimilar(rows, centroids, { k: 1 }), {
          inputs: { centroids: input([count, width]) },
          warmUp: false,
        }),
      ),
    );
  type Steps = Awaited<ReturnType<typeof compileFor>>;
  const open: Steps = [];
  const openFor = async (count: number) => {
    const steps = await compileFor(count);
    open.push(...steps);
    return steps;
  };
  const assign = async (steps: Steps, centroids: Float32Array) => {
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
  };
  /** Sets centroid c, and what its row ends in. */
  const place = (centroids: Float32Array, c: number, at: (d: number) => number) => {
    let square = 0;
    for (let d = 0; d < D; d++) square += (centroids[c * width + d] = at(d)) ** 2;
    centroids[c * width + D] = -square / 2;
  };
  const placeAtRow = (centroids: Float32Array, c: number, i: number) =>
    place(centroids, c, (d) => points[i * width + d]);

  let done = 0;
  /** Draws take about as long as rounds with few centroids. */
  const tell = (share: number) => onProgress?.((done + share) / restarts);
  /** k-means++: rows drawn with a chance that grows with the squared distance from those drawn before. */
  const start = async (one: Steps, stream: number) => {
    const draws = uniformArray(k, { seed, stream });
    const centroids = new Float32Array(k * width);
    placeAtRow(centroids, 0, Math.floor(draws[0] * N));
    const distances = new Float64Array(N).fill(Number.POSITIVE_INFINITY);
    for (let c = 1; c < k; c++) {
      const latest = await assign(one, centroids.slice((c - 1) * width, c * width));
      for (let i = 0; i < N; i++) distances[i] = Math.min(distances[i], latest.distances[i]);
      let rest = draws[c] * distances.reduce((a, b) => a + b, 0);
      let i = 0;
      while (i < N - 1 && rest >= distances[i]) rest -= distances[i++];
      placeAtRow(centroids, c, i);
      tell((0.5 * c) / k);
    }
    return centroids;
  };
  /** Moves each centroid to the mean of its rows. */
  const update = (centroids: Float32Array, clusters: Uint32Array, distances: Float64Array) => {
    const counts = new Uint32Array(k);
    const sums = new Float64Array(k * D);
    for (const [i, c] of clusters.entries()) {
      counts[c]++;
      for (let d = 0; d < D; d++) sums[c * D + d] += points[i * width + d];
    }
    for (const [c, count] of counts.entries()) {
      if (count) place(centroids, c, (d) => sums[c * D + d] / count);
      else {
        const farthest = distances.indexOf(distances.reduce((a, b) => Math.max(a, b)));
        distances[farthest] = 0;
        placeAtRow(centroids, c, farthest);
      }
    }
  };
  try {
    const one = await openFor(1);
    const all = await openFor(k);
    const run = async (stream: number): Promise<Clustering> => {
      const centroids = await start(one, stream);
      let now = await assign(all, centroids);
      for (let round = 0; round < iterations; round++) {
        update(centroids, now.clusters, now.distances.slice());
        const before = now.clusters;
        now = await assign(all, centroids);
        tell(0.5 + (0.5 * (round + 1)) / iterations);
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
    };
    let best = await run(0);
    for (done = 1; done < restarts; done++) {
      const other = await run(done);
      if (other.inertia < best.inertia) best = other;
    }
    onProgress?.(1);
    return best;
  } finally {
    for (const step of open) step.dispose();
    freeVariables(device, slabs);
  }
}
