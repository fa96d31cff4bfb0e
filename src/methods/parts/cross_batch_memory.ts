import { assign } from '../../graph/basic.ts';
import { checkTensor } from '../../graph/check.ts';
import { show, type Tensor, throwShapeError, type Variable, variable } from '../../graph/tensor.ts';
import { l2Normalize } from '../../ops/l2_normalize.ts';
import { concatenate, slice } from '../../ops/shape.ts';
import { queue } from './queue.ts';

/** Label of an empty slot: no class has it, and an empty slot is not a candidate. */
const EMPTY = 0xffffffff;

/** Embeddings of past batches, unit rows [K, D], and their labels, u32 [K]. */
export interface Memory {
  rows: Tensor;
  labels: Tensor;
}

/**
 * Cross-batch memory: Wang et al. 2020, arXiv 1912.06798, Section 3.3: embeddings drift slowly, so those of past batches serve
 * as candidates, without a gradient. Empty at first. Push a batch after its loss, otherwise its rows are compared with themselves.
 *
 * @throws ShapeError unless `rows` is a positive whole number
 */
export function crossBatchMemory(options: { rows: number; width: number; seed: number }) {
  const { rows: count } = options;
  const { rows, push } = queue({ name: 'memory', ...options });
  const labels = variable([count], { name: 'memory.labels', dtype: 'u32', initial: EMPTY });
  return {
    rows,
    labels,
    state: [rows, labels] as readonly Variable[],
    /** z: [M, D], normalised here; of: u32 [M] */
    push(z: Tensor, of: Tensor): void {
      push(l2Normalize(z));
      assign(labels, slice(concatenate([of, labels]), { starts: [0], sizes: [count] }));
    },
  };
}

/** Checks embeddings [M, D] with labels u32 [M], and what is remembered. @throws ShapeError */
export function checkLabelled(op: string, z: unknown, labels: unknown, memory: unknown = null): void {
  checkTensor(op, 'z', z, { dtype: 'f32', rank: 2 });
  checkTensor(op, 'labels', labels, { dtype: 'u32', rank: 1 });
  if (z.shape[0] !== labels.shape[0])
    throwShapeError(
      op,
      `expected labels [${z.shape[0]}] for embeddings ${show(z.shape)}, got ${show(labels.shape)}`,
    );
  if (memory === null) return;
  const { rows, labels: of } = memory as Partial<Memory>;
  checkTensor(op, 'memory.rows', rows, { dtype: 'f32', rank: 2 });
  checkTensor(op, 'memory.labels', of, { dtype: 'u32', rank: 1 });
}

/** The candidates of a batch u [M, D] with labels u32 [M]: its own rows, then what is remembered: [M + K, D], u32 [M + K]. */
export const candidatesOf = (
  u: Tensor,
  labels: Tensor,
  memory: Memory | null,
): [rows: Tensor, labels: Tensor] =>
  memory ? [concatenate([u, memory.rows]), concatenate([labels, memory.labels])] : [u, labels];
