import keepLargestWgsl from '../../shaders/keep_largest.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { type Call, type Kernel, type OpFunction, op } from '../graph/op.ts';
import { type Tensor, where } from '../graph/tensor.ts';
import { checkRows } from './rows.ts';

/** The uniform block. */
interface Options {
  rows: number;
  /** Length of a row. */
  size: number;
  k: number;
  /** Parts of a row, of 256 lanes with `each` numbers. */
  chunks: number;
  each: number;
  /** Where the digit begins that is found, and the bits above it. */
  shift: number;
  above: number;
}

const LANES = 256;
/** Numbers of a lane. */
const MOST_EACH = 16;

const base = {
  source: [keepLargestWgsl, gridWgsl],
  uniform: ({ options }: Call<Options>) => ({ ...options }),
  workgroupSize: LANES,
} as const;
const chunkInvocations = ({ options: { rows, chunks } }: Call<Options>) => LANES * rows * chunks;

const countOp = op({
  name: 'largestCount',
  dtype: 'u32',
  shape: (_: [keys: Tensor, known: Tensor | null], { rows, chunks }: Options) => [rows, chunks, LANES],
  kernel: {
    ...base,
    entry: 'largest_count',
    inputs: ['keys', 'known'],
    outputs: ['counts'],
    rounds: () => MOST_EACH + 1,
    invocations: chunkInvocations,
  },
});

const digitOp = op({
  name: 'largestDigit',
  dtype: 'u32',
  shape: (_: [counted: Tensor, known: Tensor | null], { rows }: Options) => [rows, 4],
  kernel: {
    ...base,
    entry: 'largest_digit',
    inputs: ['counted', 'known'],
    outputs: ['found'],
    rounds: ({ options: { chunks } }) => chunks + LANES + 2,
    invocations: ({ options: { rows } }) => LANES * rows,
  },
});

type Kept = [values: Tensor, compared: Tensor, thresholds: Tensor, counts: Tensor];
const keepKernel: Kernel<Options, Kept> = {
  ...base,
  entry: 'largest_keep',
  inputs: ['values', 'compared', 'thresholds', 'last_counts'],
  outputs: ['kept'],
  rounds: ({ options: { chunks } }) => chunks + LANES + 2 * MOST_EACH + 4,
  invocations: chunkInvocations,
};

const keepOp: OpFunction<Options, Kept> = op({
  name: 'keepLargest',
  shape: ([values]: Kept, _: Options) => values.shape,
  kernel: keepKernel,
  vjp: (dy, { inputs: [, ...chosen], options }) => [keepOp([dy, ...chosen], options), null, null, null],
});

/**
 * The k largest numbers of each row, in their places; the others are zero. Among equal numbers the first ones are kept, -0 equals 0, and
 * NaN counts as larger than all. The gradient passes where a number is kept.
 *
 * The k-th largest is found digit by digit, in 9 dispatches for any k: nothing is sorted.
 * @param x f32 [..., N]. For the k largest of a whole batch: `reshape(x, [1, -1])`.
 * @param options.k 1 to N
 * @returns the shape of x
 * @throws ShapeError for another tensor, InputError for another k
 */
export function keepLargest(x: Tensor, options: { k: number }): Tensor {
  checkCall('keepLargest', {}, options, 'k');
  checkRows('keepLargest', x);
  const { k } = options;
  const size = x.shape.at(-1)!;
  checkNumber(where('keepLargest'), 'k', k, { least: 1, most: size, whole: true });
  if (k === size) return x;
  const each = Math.min(MOST_EACH, Math.ceil(size / LANES));
  const shared = { rows: x.size / size, size, k, each, chunks: Math.ceil(size / (LANES * each)) };
  const keys = stopGradient(x);
  let [counts, known]: [Tensor | null, Tensor | null] = [null, null];
  for (const shift of [24, 16, 8, 0]) {
    const above = shift === 24 ? 0 : (~0 << (shift + 8)) >>> 0;
    counts = countOp([keys, known], { ...shared, shift, above });
    known = digitOp([counts, known], { ...shared, shift, above });
  }
  return keepOp([x, keys, known!, counts!], { ...shared, shift: 0, above: 0 });
}
