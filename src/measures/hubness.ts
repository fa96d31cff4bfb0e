import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { compute, type Rows, tensorOf } from './compute.ts';

/**
 * Hubness: the skew of the k-occurrences N_k(i), how many rows have row i among their k nearest in cosine (Radovanovic et
 * al. 2010). 0 when all rows are equally often a neighbour, large when few rows, the hubs, are everybody's.
 * @param x f32 [N, D], N over k
 * @param k 10 unless told; at most 31
 */
export async function hubness(
  device: Device,
  x: Rows,
  { k = 10 }: { k?: number } = {},
): Promise<{ skew: number; occurrences: Uint32Array }> {
  const [N] = x.shape;
  if (!(k >= 1 && k <= 31 && k < N))
    throw new InputError(`hubness: expected k of 1 to ${Math.min(31, N - 1)} for ${N} rows, got ${k}`);
  const { indices } = await compute(device, () => {
    const u = l2Normalize(tensorOf('hubness', x));
    return { indices: topKSimilar(u, u, { k: k + 1 }).indices };
  });
  const occurrences = new Uint32Array(N);
  for (let i = 0; i < N; i++) {
    // A row is no neighbour of itself. It need not be first: others may be equal to it.
    const others = indices.subarray(i * (k + 1), (i + 1) * (k + 1)).filter((j) => j !== i);
    for (const j of others.subarray(0, k)) occurrences[j]++;
  }
  return { skew: skewOf(occurrences), occurrences };
}

/** E (x - mean)^3 / std^3; 0 when all are equal. */
function skewOf(values: Uint32Array): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  let [second, third] = [0, 0];
  for (const value of values) {
    second += (value - mean) ** 2 / values.length;
    third += (value - mean) ** 3 / values.length;
  }
  return second === 0 ? 0 : third / second ** 1.5;
}
