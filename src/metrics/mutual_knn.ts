import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { show, throwShapeError } from '../graph/tensor.ts';
import { checkOn } from '../runtime/check.ts';
import { checkRows, type Rows } from './compute.ts';
import { nearest } from './nearest.ts';

/**
 * Mutual k-NN (Huh et al. 2024, arXiv 2405.07987, Section 2): how alike two representations of the same samples are, whatever their widths: the
 * share of the k nearest neighbours of a sample in one (in cosine, without itself) that are among the k nearest in the other, on average. 0
 * to 1; k / (N - 1) for unrelated rows. Of equally near rows the first ones count, so that rows that are all equal have neighbours too: the same
 * ones, by their place.
 * @param a f32 [N, D] @param b f32 [N, E]: row i of both is one sample, such as an image and its caption
 * @param options.k default 10, at most 31
 * @throws InputError for another k, ShapeError for other rows
 */
export async function mutualKnn(
  device: Device,
  a: Rows,
  b: Rows,
  options: { k?: number } = {},
): Promise<number> {
  const where = 'mutualKnn';
  checkOn(where, device);
  const [[N], [M]] = [checkRows(where, a), checkRows(where, b)];
  if (N !== M)
    throwShapeError(where, `expected as many rows of both, got ${show(a.shape)} and ${show(b.shape)}`);
  checkOptions(where, options, ['k']);
  const { k = 10 } = options;
  if (N < 2) throw new InputError(`${where}: expected at least 2 rows, got ${N}`);
  checkNumber(where, 'k', k, { least: 1, most: Math.min(31, N - 1), whole: true });
  const [first, second] = [
    await nearest(where, device, a, a, { k: k + 1 }),
    await nearest(where, device, b, b, { k: k + 1 }),
  ];
  return sharedNeighbours(first.indices, second.indices, k);
}

/** The mean share of common neighbours. @param a, b [N, k + 1]: the nearest rows of each row, itself mostly among them */
export function sharedNeighbours(a: ArrayLike<number>, b: ArrayLike<number>, k: number): number {
  const N = a.length / (k + 1);
  // A row is not its own neighbour. It may not be the first one, since others may be equal to it.
  const of = (list: ArrayLike<number>, i: number) =>
    Array.from({ length: k + 1 }, (_, at) => list[i * (k + 1) + at])
      .filter((j) => j !== i)
      .slice(0, k);
  let common = 0;
  for (let i = 0; i < N; i++) {
    const known = new Set(of(a, i));
    common += of(b, i).filter((j) => known.has(j)).length;
  }
  return common / (N * k);
}
