import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { l2Normalize } from '../ops/l2_normalize.ts';
import { mean } from '../ops/reduce.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { checkOn } from '../runtime/check.ts';
import { checkRows, compute, type Rows, tensorOf } from './compute.ts';

/**
 * Mean max cosine similarity (Sharkey et al. 2022): for each row of `from` the largest cosine with a row of `to`, on average. 1 where each
 * has a row of `to` in its direction. For dictionaries: of true directions to learned ones it says how many were found; of those of one
 * seed to those of another, how many both found. Not symmetric. A row of zeros counts as 0, unless it is compared with negative cosines alone.
 * @param from f32 [N, D] @param to f32 [M, D]
 * @throws ShapeError, InputError
 */
export async function mmcs(device: Device, from: Rows, to: Rows): Promise<number> {
  checkOn('mmcs', device);
  const [[, D], [, E]] = [checkRows('mmcs', from), checkRows('mmcs', to)];
  if (D !== E) throw new InputError(`mmcs: expected rows of one width, got ${D} and ${E}`);
  const { value } = await compute(device, () => {
    const [a, b] = [from, to].map((rows) => l2Normalize(tensorOf('mmcs', rows)));
    return { value: mean(topKSimilar(a, b, { k: 1 }).similarities) };
  });
  return value[0];
}
