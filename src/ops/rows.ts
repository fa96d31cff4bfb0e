import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import lanes1Wgsl from '../../shaders/lib/lanes1.wgsl' with { type: 'text' };
import lanes4Wgsl from '../../shaders/lib/lanes4.wgsl' with { type: 'text' };
import rowsWgsl from '../../shaders/lib/rows.wgsl' with { type: 'text' };
import workgroupWgsl from '../../shaders/lib/sums_workgroup.wgsl' with { type: 'text' };
import { checkTensor } from '../graph/check.ts';
import { show, type Tensor, throwShapeError } from '../graph/tensor.ts';

/** A tensor as rows of its last axis, read as vec4s if the row length is a multiple of four: `width` lanes. */
export function rowsOf(x: Tensor): { rows: number; columns: number; width: number } {
  const columns = x.shape.at(-1)!;
  return { rows: x.size / columns, columns, width: columns % 4 ? columns : columns / 4 };
}

/**
 * The fields of a kernel on rows of x: its file with the lanes that fit, its uniform block, and its invocations; eight share a row.
 * @param loops how many loops over a row the kernel has, one after the other. Default 2.
 * @param others the fields of its uniform block besides the rows and their width
 */
export const rowKernel = (wgsl: string, x: Tensor, loops = 2, others: Record<string, number> = {}) => ({
  source: [wgsl, rowsWgsl, workgroupWgsl, gridWgsl, x.shape.at(-1)! % 4 ? lanes1Wgsl : lanes4Wgsl],
  uniform: () => ({ rows: rowsOf(x).rows, width: rowsOf(x).width, ...others }),
  rounds: () => ({
    size: x.shape.at(-1)!,
    rounds: (n: number) => loops * (1 + Math.ceil(n / 8 / (x.shape.at(-1)! % 4 ? 1 : 4))),
    expected: 'rows of at most N numbers',
  }),
  invocations: () => 8 * rowsOf(x).rows,
});

/** One invocation for each lane. */
export const laneInvocations = (x: Tensor): number => rowsOf(x).rows * rowsOf(x).width;

export function checkRows(op: string, x: Tensor): void {
  checkTensor(op, 'x', x);
  if (x.dtype !== 'f32' || x.shape.length === 0)
    throwShapeError(op, `expected an f32 tensor with rows, got ${x.dtype} ${show(x.shape)}`);
}
