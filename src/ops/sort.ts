import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import sortWgsl from '../../shaders/sort.wgsl' with { type: 'text' };
import { checkCall, checkTensor } from '../graph/check.ts';
import { type Call, type Op, type OpFunction, op } from '../graph/op.ts';
import { type Shape, sizeOf, type Tensor } from '../graph/tensor.ts';
import { normalizeAxes } from './reduce.ts';

/** What is sorted: [outer, count, inner] along the middle axis. */
interface Block {
  count: number;
  inner: number;
  /** Length of the runs that are sorted, or merged. */
  run: number;
}

/** Numbers are counted within runs of this length, which are then merged. */
const RUN = 256;
const source = [sortWgsl, gridWgsl];
const uniform = ({ inputs: [x], options }: Call<Block>) => ({ ...options, size: x!.size });
const padded = ({ inputs: [x] }: Call<Block>) => Math.ceil(x!.size / 4) * 4;
const sorted = (shape: Shape) => [{ shape }, { shape, dtype: 'u32' as const }];

type Moved = [x: Tensor, indices: Tensor];
/* @__NO_SIDE_EFFECTS__ */
const moveOp = (name: string, entry: string, vjp: Op<Block, Moved>['vjp']): OpFunction<Block, Moved> =>
  op({
    name,
    shape: ([x]: Moved, _: Block): Shape => x.shape,
    kernel: { source, entry, inputs: ['x', 'places'], outputs: ['y'], uniform, invocations: padded },
    vjp,
  });

const scatterOp = moveOp('sortGradient', 'sort_scatter', (dy, { inputs: [, indices], options }) => [
  gatherOp([dy, indices], options),
  null,
]);
const gatherOp = moveOp('sortGather', 'sort_gather', (dy, { inputs: [, indices], options }) => [
  scatterOp([dy, indices], options),
  null,
]);

const runsOp = op({
  name: 'sort',
  shape: ([x]: [x: Tensor], _: Block) => sorted(x.shape),
  kernel: {
    source,
    entry: 'sort_runs',
    inputs: ['x'],
    outputs: ['values', 'indices'],
    uniform,
    rounds: () => RUN + 16 + 2,
    invocations: ({ inputs: [x], options: { count } }) =>
      Math.max(4, (x!.size / count) * Math.ceil(count / 16)),
  },
  vjp: (dy, { outputs: [, indices], options }) => [scatterOp([dy, indices], options)],
});

const mergeOp = op({
  name: 'sortMerge',
  shape: ([x]: [x: Tensor, values: Tensor, indices: Tensor], _: Block) => sorted(x.shape),
  kernel: {
    source,
    entry: 'sort_merge',
    inputs: ['x', 'values_of_runs', 'indices_of_runs'],
    unread: ['x'],
    outputs: ['merged_values', 'merged_indices'],
    uniform,
    // Halves of a run, down to nothing.
    rounds: () => 34,
    invocations: padded,
  },
  // The values came from x: those of the runs are not differentiated again.
  vjp: (dy, { outputs: [, indices], options }) => [scatterOp([dy, indices], options), null, null],
});

/**
 * Sorts along an axis: ascending, equal numbers (0 and -0 are) by index, NaN last. The gradient of the values goes back to the places that
 * they came from; the indices have none. For n numbers in one dispatch up to 256, and one more each time that n doubles.
 *
 * @param x f32, of any shape but a scalar
 * @param options.axis default -1, the last; negative ones count from the end
 * @returns values, and u32 indices along the axis: `values[i] = x[indices[i]]`; both have the shape of x
 * @throws ShapeError for another type or axis
 */
export function sort(x: Tensor, options: { axis?: number } = {}): { values: Tensor; indices: Tensor } {
  checkCall('sort', { x }, options, 'axis');
  checkTensor('sort', 'x', x, { dtype: 'f32' });
  const [axis] = normalizeAxes('sort', x.shape.length, options.axis ?? -1);
  const count = x.shape[axis];
  const block = { count, inner: sizeOf(x.shape.slice(axis + 1)) };
  let run = RUN;
  let [values, indices] = runsOp([x], { ...block, run });
  for (; run < count; run *= 2) [values, indices] = mergeOp([x, values, indices], { ...block, run });
  return { values, indices };
}
