import { fail, sameShape, show, type Tensor } from '../graph/tensor.ts';

/** Throws a ShapeError unless two views are embeddings of the same samples. */
export function checkViews(method: string, zA: Tensor, zB: Tensor): void {
  if (zA.shape.length !== 2 || !sameShape(zA.shape, zB.shape))
    fail(method, `expected two views [N, D], got ${show(zA.shape)} and ${show(zB.shape)}`);
}
