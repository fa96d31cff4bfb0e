import keepLargestWgsl from '../../shaders/keep_largest.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { type Call, type OpFunction, op } from '../graph/op.ts';
import { show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';
import { sum } from './reduce.ts';
import { checkRows } from './rows.ts';

/** The uniform block. */
interface Options {
  rows: number;
  /** Length of a row. */
  size: number;
  k: number;
  /** Parts of a row, of `each` numbers. */
  chunks: number;
  each: number;
  /** The lowest bit of the digit that is counted. */
  shift: number;
}

/** Numbers of a chunk: enough chunks for a GPU, and no more numbers than its counts of a byte allow. */
const EACH = 64;
const MOST_EACH = 255;
/** Enough chunks of 64 of one row. */
const CHUNKS = 4096;
/** Counts are f32. */
const MOST = 2 ** 24;

const base = {
  source: [keepLargestWgsl, gridWgsl],
  uniform: ({ options }: Call<Options>) => ({ ...options }),
  invocations: ({ options: { rows, chunks } }: Call<Options>) => Math.max(4, rows * chunks),
} as const;

/** Digits known so far, and how many numbers that share them are among the k: [rows, 4]. */
const countOp = op({
  name: 'largestCount',
  shape: (_: [keys: Tensor, totals: Tensor | null, known: Tensor | null], { rows, chunks }: Options) => [
    { shape: [rows, chunks, 16] },
    { shape: [rows, 4], dtype: 'u32' as const },
  ],
  kernel: {
    ...base,
    entry: 'largest_count',
    inputs: ['keys', 'totals', 'known'],
    outputs: ['counts', 'found'],
    rounds: () => MOST_EACH + 25,
  },
});

type Kept = [keys: Tensor, totals: Tensor, known: Tensor, values: Tensor, counts: Tensor];
const keepOp: OpFunction<Options, Kept> = op({
  name: 'keepLargest',
  shape: ([, , , values]: Kept, _: Options) => values.shape,
  kernel: {
    ...base,
    entry: 'largest_keep',
    inputs: ['keys', 'totals', 'known', 'values', 'last_counts'],
    outputs: ['kept'],
    rounds: ({ options: { size } }) => ({
      ...{ size, rounds: (n) => chunksOf(n).chunks + MOST_EACH + 20, expected: 'rows of at most N numbers' },
    }),
  },
  vjp: (dy, { inputs: [keys, totals, known, , counts], options }) => [
    ...[null, null, null],
    keepOp([keys, totals, known, dy, counts], options),
    null,
  ],
});

function chunksOf(size: number): { each: number; chunks: number } {
  const each = Math.min(MOST_EACH, Math.max(EACH, Math.ceil(size / CHUNKS)));
  return { each, chunks: Math.ceil(size / each) };
}

/**
 * The k largest numbers of each row, in their places; the others are zero. Among equal numbers the first ones are kept, -0 equals 0, and
 * NaN counts as larger than all. The gradient passes where a number is kept.
 *
 * The k-th largest is found digit by digit, in about 17 dispatches for any k: nothing is sorted.
 * @param x f32 [..., N], N at most 2^24. For the k largest of a whole batch: `reshape(x, [1, -1])`.
 * @param options.k 1 to N
 * @returns the shape of x
 * @throws ShapeError for another tensor, InputError for another k
 */
export function keepLargest(x: Tensor, options: { k: number }): Tensor {
  checkCall('keepLargest', {}, options, 'k');
  checkRows('keepLargest', x);
  const { k } = options;
  const size = x.shape.at(-1)!;
  if (size > MOST)
    throwShapeError('keepLargest', `expected rows of at most ${MOST} numbers, got ${show(x.shape)}`);
  checkNumber(where('keepLargest'), 'k', k, { least: 1, most: size, whole: true });
  if (k === size) return x;
  const shared = { rows: x.size / size, size, k, ...chunksOf(size) };
  const keys = stopGradient(x);
  let [counts, totals, known]: (Tensor | null)[] = [null, null, null];
  for (let shift = 28; shift >= 0; shift -= 4) {
    [counts, known] = countOp([keys, totals, known], { ...shared, shift });
    totals = sum(counts, { axes: 1 });
  }
  return keepOp([keys, totals!, known!, x, counts!], { ...shared, shift: 0 });
}
