import { fail, sameShape, show, type Tensor } from '../graph/tensor.ts';
import { slice } from '../ops/shape.ts';

/** Throws a ShapeError unless two views are embeddings of the same samples. */
export function checkViews(method: string, zA: Tensor, zB: Tensor): void {
  if (zA.shape.length !== 2 || !sameShape(zA.shape, zB.shape))
    fail(method, `expected two views [N, D], got ${show(zA.shape)} and ${show(zB.shape)}`);
}

/** The first and the second half of the rows: view A and view B. z: [2N, D] */
export function halves(z: Tensor): [zA: Tensor, zB: Tensor] {
  const [rows, width] = [z.shape[0] / 2, z.shape[1]];
  const half = (start: number) => slice(z, { starts: [start, 0], sizes: [rows, width] });
  return [half(0), half(rows)];
}
