import { grad, stopGradient } from '../../graph/gradient.ts';
import { reshape, type Tensor, throwShapeError } from '../../graph/tensor.ts';
import { add } from '../../ops/binary.ts';
import { concatenate, slice } from '../../ops/shape.ts';
import type { Network } from './network.ts';

/**
 * GradCache: Gao et al. 2021, arXiv 2101.06983, Section 3.2: the gradients of a loss of the whole batch, with the activations of one
 * chunk at a time. First the embeddings alone, chunk by chunk, and the loss's gradient on them; then each chunk forward
 * again, and backward from its part of that gradient. Exact where a sample's embedding does not depend on its chunk. Batch norm
 * normalises by the chunk, so with it the result differs; its running statistics are updated in the second pass only.
 *
 * @param x images of all views [M, ...]
 * @param chunks 1 to M
 * @param loss of all embeddings [M, D]
 * @returns the loss, and the gradients of the network's parameters
 * @throws ShapeError for another number of chunks
 */
export function gradCache(
  { embed, parameters }: Network,
  x: Tensor,
  chunks: number,
  loss: (z: Tensor) => Tensor,
): { loss: Tensor; gradients: Tensor[] } {
  const [M] = x.shape;
  if (!Number.isInteger(chunks) || chunks < 1 || chunks > M)
    throwShapeError('gradCache', `expected 1 to ${M} chunks, got ${chunks}`);
  const bounds = Array.from({ length: chunks + 1 }, (_, i) => Math.floor((i * M) / chunks));
  const chunk = (y: Tensor, i: number, lead: number[] = []) => {
    const rows = bounds[i + 1] - bounds[i];
    const starts = [...lead.map(() => 0), bounds[i], 0];
    const part = slice(reshape(y, [...lead, M, -1]), { starts, sizes: [...lead, rows, -1] });
    return reshape(part, [rows, ...y.shape.slice(1)]);
  };
  const parts = Array.from({ length: chunks }, (_, i) => embed(chunk(x, i), { training: true, momentum: 0 }));
  const z = stopGradient(concatenate(parts)); // [M, D]
  const y = loss(z);
  const [dz] = grad(y, [z]);
  let gradients: Tensor[] = [];
  for (let i = 0; i < chunks; i++) {
    // Sliced from another view of x: otherwise the plan would share the slices of both passes, with all that is computed from
    // them, and keep these in memory between the passes.
    const again = embed(chunk(x, i, [1]), { training: true });
    const next = grad(again, parameters, chunk(dz, i));
    gradients = i ? gradients.map((sum, k) => add(sum, next[k])) : next;
  }
  return { loss: y, gradients };
}
