import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant } from '../graph/tensor.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { matmul } from '../ops/matmul.ts';
import { checkOn } from '../runtime/check.ts';
import { bindingLimit, compute, type Rows, rowsAt, sameShapes, spacedRows } from './compute.ts';

/** The most rows used: they have a million negative pairs. */
const MOST = 1024;

export interface SimilarityHistogram {
  /** The bins' edges, from -1 to 1. */
  edges: Float64Array;
  /** The shares of cosines of two views of a sample, and of two different samples, in each bin. */
  positive: Float64Array;
  negative: Float64Array;
}

/**
 * Histograms of the cosines of positive pairs and of negative pairs, which the loss separates; of 1,024 rows at most, or as many
 * as a binding of the device holds, evenly spaced.
 * @param zA, zB f32 [N, D], the two views of each sample; normalised here; N of 2 at least
 * @param options.bins 1 to 10,000. Default 50.
 * @throws InputError for other numbers, ShapeError for other rows, or rows of two shapes
 */
export async function similarityHistogram(
  device: Device,
  zA: Rows,
  zB: Rows,
  options: { bins?: number } = {},
): Promise<SimilarityHistogram> {
  const where = 'similarityHistogram';
  checkOn(where, device);
  sameShapes(where, zA, zB);
  checkOptions(where, options, ['bins']);
  const { bins = 50 } = options;
  checkNumber(where, 'bins', bins, { least: 1, most: 10_000, whole: true });
  const [N, D] = zA.shape;
  if (N < 2) throw new InputError(`${where}: expected at least 2 rows, got ${N}`);
  const fit = bindingLimit(device) / 4;
  const count = Math.min(N, MOST, Math.floor(fit / D), Math.floor(Math.sqrt(fit)));
  if (count < 2) throw new InputError(`${where}: one row is larger than what this device binds at once`);
  const chosen = spacedRows(N, count);
  const [a, b] = [await rowsAt(where, device, zA, chosen), await rowsAt(where, device, zB, chosen)];
  const { cosines } = await compute(device, () => {
    const [u, v] = [a, b].map(({ data }) => l2Normalize(constant(data, [count, D])));
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
