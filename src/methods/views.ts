import { fail, sameShape, show, type Tensor } from '../graph/tensor.ts';
import { slice } from '../ops/shape.ts';

/** Throws a ShapeError unless two views are embeddings of the same samples. */
export function checkViews(method: string, zA: Tensor, zB: Tensor): void {
  if (zA.shape.length !== 2 || !sameShape(zA.shape, zB.shape))
    fail(method, `expected two views [N, D], got ${show(zA.shape)} and ${show(zB.shape)}`);
}

/** The first and the second half of the rows: view A and view B. x: [2N, ...] */
export function halves(x: Tensor): [a: Tensor, b: Tensor] {
  const [rows, ...rest] = x.shape;
  const sizes = [rows / 2, ...rest];
  const from = (start: number) => slice(x, { starts: [start, ...rest.map(() => 0)], sizes });
  return [from(0), from(rows / 2)];
}
