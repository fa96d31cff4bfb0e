import type { Device } from '../gpu/device.ts';
import { constant } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { gather } from '../ops/shape.ts';
import { compute, type Rows, sameShapes, spacedRows, tensorOf } from './compute.ts';

/** A million negatives. */
const MOST = 1024;

export interface SimilarityHistogram {
  /** The bins' edges, from -1 to 1. */
  edges: Float64Array;
  /** The shares of cosines of two views of a sample, and of two different samples, in each bin. */
  positive: Float64Array;
  negative: Float64Array;
}

/**
 * Histograms of the cosines of positive pairs and of negative pairs: what the loss pulls apart. Of 1,024 rows, evenly
 * spaced, where there are more.
 * @param zA, zB f32 [N, D], the two views of each sample; normalised here
 */
export async function similarityHistogram(
  device: Device,
  zA: Rows,
  zB: Rows,
  { bins = 50 }: { bins?: number } = {},
): Promise<SimilarityHistogram> {
  sameShapes('similarityHistogram', zA, zB);
  const [N] = zA.shape;
  const count = Math.min(N, MOST);
  const { cosines } = await compute(device, () => {
    const chosen = constant(spacedRows(N, count), [count], 'u32');
    const [u, v] = [zA, zB].map((z) => l2Normalize(gather(tensorOf('similarityHistogram', z), chosen)));
    return { cosines: matmul(u, v, { transposeB: true }) };
  });
  const [positive, negative] = [new Float64Array(bins), new Float64Array(bins)];
  for (let i = 0; i < cosines.length; i++) {
    const isPositive = i % (count + 1) === 0;
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(((cosines[i] + 1) / 2) * bins)));
    if (isPositive) positive[bin] += 1 / count;
    else negative[bin] += 1 / (count * (count - 1));
  }
  return {
    edges: Float64Array.from({ length: bins + 1 }, (_, i) => -1 + (2 * i) / bins),
    positive,
    negative,
  };
}
