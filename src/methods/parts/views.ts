import { fail, sameShape, show, type Tensor } from '../../graph/tensor.ts';
import { slice } from '../../ops/shape.ts';

/** Throws a ShapeError unless two views are embeddings of the same samples. */
export function checkViews(method: string, zA: Tensor, zB: Tensor): void {
  if (zA.shape.length !== 2 || !sameShape(zA.shape, zB.shape))
    fail(method, `expected two views [N, D], got ${show(zA.shape)} and ${show(zB.shape)}`);
}

/** As many equal parts of the rows, in order: the views of a batch. x: [count N, ...] -> [N, ...] each */
export function parts(x: Tensor, count: number): Tensor[] {
  const [rows, ...rest] = x.shape;
  const sizes = [rows / count, ...rest];
  const from = (start: number) => slice(x, { starts: [start, ...rest.map(() => 0)], sizes });
  return Array.from({ length: count }, (_, i) => from(i * sizes[0]));
}

/** The first and the second half of the rows: view A and view B. x: [2N, ...] */
export const halves = (x: Tensor) => parts(x, 2) as [a: Tensor, b: Tensor];
