import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { compile } from '../graph/compile.ts';
import { input, variable } from '../graph/tensor.ts';
import { freeVariables, readVariable } from '../graph/variables.ts';
import { uniformArray } from '../ops/random.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { type Rows, tensorOf } from './compute.ts';

export interface KMeansOptions {
  /** How many clusters. */
  k: number;
  /** Of the first centroids. Default 0. */
  seed?: number;
  /** How often it starts anew; the clustering of least inertia is kept. Default 3. */
  restarts?: number;
  /** At most, of each start. Default 100. */
  iterations?: number;
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
 * gives the same clusters.
 * @param x f32 [N, D]; compared by Euclidean distance
 */
export async function kMeans(
  device: Device,
  x: Rows,
  { k, seed = 0, restarts = 3, iterations = 100 }: KMeansOptions,
): Promise<Clustering> {
  const [N, D] = tensorOf('kMeans', x).shape;
  if (!Number.isInteger(k) || k < 1 || k > N)
    throw new InputError(`kMeans: expected 1 to ${N} clusters of ${N} rows, got ${k}`);
  const data = 'data' in x ? x.data : await readVariable(device, x);
  // |x - c|^2 = |x|^2 - 2 (x.c - |c|^2 / 2): the nearest centroid has the largest product of rows (x, 1) and
  // (c, -|c|^2 / 2). About the mean, where the squares are small; rows end in zeros, for whole vec4s.
  const mean = new Float64Array(D);
  for (let i = 0; i < data.length; i++) mean[i % D] += data[i] / N;
  const width = Math.ceil((D + 1) / 4) * 4;
  const points = new Float32Array(N * width);
  const norms = new Float64Array(N);
  for (let i = 0; i < N; i++) {
    for (let d = 0; d < D; d++) {
      points[i * width + d] = data[i * D + d] - mean[d];
      norms[i] += points[i * width + d] ** 2;
    }
    points[i * width + D] = 1;
  }
  const rows = variable([N, width], { name: 'kMeans.rows', initial: points });
  const step = await compile(device, ({ centroids }) => topKSimilar(rows, centroids, { k: 1 }), {
    inputs: { centroids: input([k, width]) },
    warmUp: false,
  });
  const assign = async (centroids: Float32Array) => {
    await step.run({ centroids });
    const [clusters, products] = await Promise.all([step.read('indices'), step.read('similarities')]);
    return {
      clusters: Uint32Array.from(clusters),
      distances: Float64Array.from(norms, (norm, i) => Math.max(norm - 2 * products[i], 0)),
    };
  };
  /** Sets centroid c, and what its row ends in. */
  const place = (centroids: Float32Array, c: number, at: (d: number) => number) => {
    let square = 0;
    for (let d = 0; d < D; d++) square += (centroids[c * width + d] = at(d)) ** 2;
    centroids[c * width + D] = -square / 2;
  };
  const placeAtRow = (centroids: Float32Array, c: number, i: number) =>
    place(centroids, c, (d) => points[i * width + d]);

  /** k-means++: rows drawn with a chance that grows with the squared distance from those drawn before. */
  const start = async (stream: number) => {
    const draws = uniformArray(k, { seed, stream });
    const centroids = new Float32Array(k * width);
    // All lie on the first until their turn comes.
    for (let c = 0; c < k; c++) placeAtRow(centroids, c, Math.floor(draws[0] * N));
    for (let c = 1; c < k; c++) {
      const { distances } = await assign(centroids);
      let rest = draws[c] * distances.reduce((a, b) => a + b, 0);
      let i = 0;
      while (i < N - 1 && rest >= distances[i]) rest -= distances[i++];
      placeAtRow(centroids, c, i);
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
  const run = async (stream: number): Promise<Clustering> => {
    const centroids = await start(stream);
    let now = await assign(centroids);
    for (let round = 0; round < iterations; round++) {
      update(centroids, now.clusters, now.distances.slice());
      const before = now.clusters;
      now = await assign(centroids);
      if (now.clusters.every((c, i) => c === before[i])) break;
    }
    return {
      clusters: now.clusters,
      centroids: Float32Array.from(
        { length: k * D },
        (_, i) => centroids[Math.floor(i / D) * width + (i % D)] + mean[i % D],
      ),
      inertia: now.distances.reduce((a, b) => a + b, 0),
    };
  };
  try {
    let best = await run(0);
    for (let stream = 1; stream < restarts; stream++) {
      const other = await run(stream);
      if (other.inertia < best.inertia) best = other;
    }
    return best;
  } finally {
    step.dispose();
    freeVariables(device, [rows]);
  }
}
