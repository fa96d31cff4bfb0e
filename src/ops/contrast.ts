import contrastWgsl from '../../shaders/contrast.wgsl' with { type: 'text' };
import tile8Wgsl from '../../shaders/lib/tile8.wgsl' with { type: 'text' };
import { shown } from '../gpu/check.ts';
import { MOST_ROUNDS, type Target } from '../gpu/target.ts';
import { checkCall, checkFlag, checkScalar, checkTensors, POSITIVE } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { type Kernel, type OpFunction, op } from '../graph/op.ts';
import { pack, type Scalar, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { matmul } from './matmul.ts';
import { fromOperands, resultIn } from './operands.ts';
import { mean } from './reduce.ts';
import { pad } from './shape.ts';

/** The candidates and positives of an anchor. */
export interface ContrastOptions {
  /** Similarities are scale <a, b> / temperature. Default 1. */
  scale?: Scalar;
  /** Default 1. */
  temperature?: Scalar;
  /** Anchor i is no candidate for itself: B begins with the rows of A. Default false. */
  excludeSelf?: boolean;
  /** The one positive of anchor i is candidate (i + pairOffset) mod N. */
  pairOffset?: number;
  /** u32 [M] and [N]: the positives of an anchor are all candidates with its label. 0xffffffff: no candidate. */
  labels?: readonly [a: Tensor, b: Tensor];
  /** The mean over the anchors instead of each one's loss. Default false. */
  mean?: boolean;
}

/** The options of the kernels. */
export interface Settings {
  scale: Scalar;
  temperature: Scalar;
  excludeSelf: boolean;
  pairOffset: number | null;
  byLabel: boolean;
  mean: boolean;
  /** Similarities are those of `logMeanKernel`. */
  apart?: boolean;
  /** They are above -80. */
  flat?: boolean;
}

/** Which anchors a slab of weights belongs to: its rows, its columns, or both (A and B the same rows). */
interface Slab extends Settings {
  first: number;
  rows: number;
  rowSide: boolean;
  columnSide: boolean;
}

/** `put_c` writes the weights; kernels that have none need its text all the same. */
const operands = [...fromOperands(contrastWgsl), tile8Wgsl];
const source = [...operands, ...resultIn('numbers', 7)];

/**
 * Chunks of columns, so that there are enough invocations and none is too long; O(M) partial sums until N d reaches
 * a million.
 */
function chunking(m: number, n: number, d: number): { chunks: number; width: number } {
  const enough = Math.min(Math.ceil(n / 32), Math.ceil(16384 / Math.ceil(m / 8)));
  const short = Math.ceil(((n / 8) * (d / 4)) / Math.ceil(MOST_ROUNDS / 2));
  // Fours, since a quad may share an anchor's rows.
  const wanted = Math.ceil(Math.max(enough, short) / 4) * 4;
  const width = Math.ceil(n / wanted / 16) * 16;
  return { chunks: Math.ceil(n / width), width };
}

/** How similarities are made: tiles of `side` rows of x and of y by an invocation, or by a workgroup of 64 together. */
interface Tile {
  form: '8' | 'shared';
  side: number;
  /** Invocations that make one. */
  makers: number;
}

/** Rounds of all tiles over so many columns, for rows of d numbers: four numbers a round, or one where a workgroup shares them. */
const roundsFor = (form: Tile['form'], columns: number, d: number) => ({
  size: d,
  rounds: (n: number) => Math.ceil(columns / 8) * (Math.ceil(n / 4) * (form === 'shared' ? 4 : 1) + 32),
  expected: 'rows of at most N numbers',
});

/** The tiles to choose from for so many rows of x, the default first. */
function tilesOf(y: Tensor, rows: number, { workgroupTiles }: Target): Tile[] {
  const small: Tile = { form: '8', side: 8, makers: 1 };
  const shared: Tile = { form: 'shared', side: 64, makers: 64 };
  return workgroupTiles && rows >= 64 && y.shape[0] >= 64 ? [shared, small] : [small];
}

const uniform = (m: number, n: number, d: number, o: Settings, first = 0, rows = 0) => ({
  ...{ m, n, d, first, rows, ...chunking(m, n, d) },
  ...{ offset: (o.pairOffset ?? 0) % n, scale: o.scale, temperature: o.temperature },
});

const flags = (o: Settings, m: number, n: number) => ({
  WRAPS: Number(o.pairOffset !== null && m > n),
  EXCLUDE_SELF: Number(o.excludeSelf),
  PAIRS: Number(o.pairOffset !== null),
  LABELS: Number(o.byLabel),
  MEAN: Number(o.mean),
  APART: Number(o.apart ?? false),
  FLAT: Number(o.flat ?? false),
});

const PARTIAL = { 8: 'contrast_partial_8', shared: 'contrast_partial_shared' };
const WEIGHTS = { 8: 'contrast_weights_8', shared: 'contrast_weights_shared' };

/** Rows, and their labels where positives are those of the same label. */
type Labelled = [a: Tensor, b: Tensor, labelsA: Tensor | null, labelsB: Tensor | null];

export const partialOp: OpFunction<Settings, Labelled> = op({
  name: 'contrastPartial',
  shape: ([a, b]: Labelled, _: Settings) => [
    chunking(a.shape[0], b.shape[0], a.shape[1]).chunks,
    a.shape[0],
    4,
  ],
  kernel: ({ inputs: [a, b], outputs: [partial] }, target) =>
    tilesOf(b, a.shape[0], target).map(({ form, side, makers }) => ({
      source,
      entry: PARTIAL[form],
      inputs: ['x', 'y', 'labels_x', 'labels_y'],
      outputs: ['partial'],
      uniform: ({ options }) => uniform(a.shape[0], b.shape[0], a.shape[1], options),
      constants: ({ options }) => flags(options, a.shape[0], b.shape[0]),
      rounds: () => {
        const [N, D] = b.shape;
        return roundsFor(form, Math.min(N, chunking(a.shape[0], N, D).width), D);
      },
      invocations: () => Math.ceil(a.shape[0] / side) * Math.ceil(partial.shape[0] / (side / 8)) * makers,
    })),
});

interface CombineOptions extends Settings {
  labels: readonly [Tensor | null, Tensor | null];
}

// Only the gradient needs A and B: the kernel reads the partial states.
const combineOp = op({
  name: 'contrast',
  shape: ([, a]: [partials: Tensor, a: Tensor, b: Tensor], { mean }: CombineOptions) => [
    { shape: mean ? [] : [a.shape[0]] },
    { shape: [a.shape[0], 3] },
  ],
  kernel: ({ options: { mean } }) => ({
    source,
    entry: mean ? 'contrast_combine_mean' : 'contrast_combine',
    inputs: ['partials', 'x', 'y'],
    unread: ['x', 'y'],
    outputs: ['loss', 'statistics'],
    uniform: ({ inputs: [, a, b], options }) => uniform(a.shape[0], b.shape[0], a.shape[1], options),
    constants: ({ inputs: [, a, b], options }) => flags(options, a.shape[0], b.shape[0]),
    rounds: ({ inputs: [partials] }) => {
      const [chunks, m] = partials.shape;
      return (mean ? Math.ceil(m / 64) : 1) * (2 * chunks + 3) + 64;
    },
    invocations: ({ inputs: [, a] }) => (mean ? 64 : a.shape[0]),
  }),
  vjp: (dy, { inputs: [, a, b], outputs: [, stats], options }) => {
    const [la, lb] = options.labels;
    const settings = { ...options, labels: undefined };
    if (a === b && la === lb && options.excludeSelf) {
      // One set of rows: its row side and its column side in one sweep.
      const both = { ...settings, rowSide: true, columnSide: true };
      return [null, gradientOf(a, a, [la, la], stats, dy, both), null];
    }
    return [
      null,
      gradientOf(a, b, [la, lb], stats, dy, { ...settings, rowSide: true, columnSide: false }),
      gradientOf(b, a, [lb, la], stats, dy, { ...settings, rowSide: false, columnSide: true }),
    ];
  },
});

const weightsOp = op({
  name: 'contrastWeights',
  shape: ([, y]: [...Labelled, statistics: Tensor, dy: Tensor], { rows }: Slab) => [rows, y.shape[0]],
  kernel: ({ inputs: [x, y], options: o }, target) => {
    const [m, n] = o.rowSide ? [x.shape[0], y.shape[0]] : [y.shape[0], x.shape[0]];
    return tilesOf(y, o.rows, target).map(
      ({ form, side, makers }): Kernel<Slab> => ({
        source: [...operands, ...resultIn(y.shape[0] % 4 ? 'numbers' : 'vectors', 7)],
        entry: WEIGHTS[form],
        inputs: ['x', 'y', 'labels_x', 'labels_y', 'stats', 'dy'],
        outputs: ['c'],
        uniform: () => uniform(m, n, x.shape[1], o, o.first, o.rows),
        constants: () => ({ ...flags(o, m, n), ROW_SIDE: +o.rowSide, COLUMN_SIDE: +o.columnSide }),
        rounds: () => roundsFor(form, side, x.shape[1]),
        invocations: () => Math.ceil(o.rows / side) * Math.ceil(y.shape[0] / side) * makers,
      }),
    );
  },
});

/** The most partial states of which one workgroup takes the mean. */
export const FEW = 16384;

/** Rows of a slab: few, so that memory stays O(N), though up to 512 rows are one slab; whole vec4s and 256-byte parts. */
const slabRows = (m: number) => (m <= 4096 ? 512 : 256);

/** The gradient of x: a slab of weights at a time, times y, or other rows in its place. */
export function gradientOf(
  x: Tensor,
  y: Tensor,
  labels: [Tensor | null, Tensor | null],
  stats: Tensor,
  dy: Tensor,
  side: Settings & { rowSide: boolean; columnSide: boolean },
  others = y,
): Tensor {
  const m = x.shape[0];
  const step = slabRows(m);
  const parts: Tensor[] = [];
  for (let first = 0; first < m; first += step) {
    const rows = Math.min(step, m - first);
    const weights = weightsOp([x, y, ...labels, stats, dy], { ...side, first, rows });
    parts.push(matmul(weights, others));
  }
  return parts.length === 1 ? parts[0] : pack(parts, [m, others.shape[1]]);
}

/** Whole vec4s along D; zeros change no inner product. */
export const fill = (x: Tensor) =>
  x.shape[1] % 4 ? pad(x, { before: [0, 0], after: [0, 4 - (x.shape[1] % 4)] }) : x;

/**
 * Per anchor i of A, against all candidates of B, with s_ij = scale <a_i, b_j> / temperature:
 * `log sum_j exp(s_ij) - mean over positives of s_ij` (without positives: the log-sum-exp alone). InfoNCE, NT-Xent,
 * CLIP, SupCon and the uniformity loss are all means or sums of it. Streamed: memory O(M + N); of M x N at most 512 rows at a time.
 * Rows are used as they are: normalise them first.
 *
 * @param a anchors [M, D]
 * @param b candidates [N, D]
 * @returns `loss` [M] (or [], the mean), and `statistics` [M, 3] (no gradient): the largest similarity of the anchor, the log of
 *   `sum_j exp(s_ij - largest)` (their sum is the log-sum-exp), and how many positives it has. An anchor without a
 *   positive label has loss 0.
 * @throws ShapeError
 */
export function contrast(
  a: Tensor,
  b: Tensor,
  options: ContrastOptions = {},
): { loss: Tensor; statistics: Tensor } {
  checkCall('contrast', { a, b }, options, 'scale temperature excludeSelf pairOffset labels mean');
  const { scale = 1, temperature = 1, excludeSelf = false, pairOffset = null, labels = null } = options;
  checkScalar('contrast', 'scale', scale);
  checkScalar('contrast', 'temperature', temperature, POSITIVE);
  checkFlag('contrast', 'excludeSelf', excludeSelf);
  checkFlag('contrast', 'mean', options.mean ?? false);
  if (labels !== null) checkTensors('contrast', 'labels', labels);
  if (labels !== null && labels.length !== 2)
    throwShapeError('contrast', `expected two lists of labels, got ${shown(labels)}`);
  if (a.shape.length !== 2 || b.shape.length !== 2 || a.shape[1] !== b.shape[1]) {
    throwShapeError('contrast', `expected [M, D] and [N, D], got ${show(a.shape)} and ${show(b.shape)}`);
  }
  for (const { dtype, shape } of [a, b])
    if (dtype !== 'f32') throwShapeError('contrast', `expected f32, got ${dtype} ${show(shape)}`);
  if (pairOffset !== null && !(Number.isInteger(pairOffset) && pairOffset >= 0))
    throwShapeError('contrast', `expected a whole pairOffset of at least 0, got ${shown(pairOffset)}`);
  if (excludeSelf && b.shape[0] < Math.max(2, a.shape[0])) {
    throwShapeError(
      'contrast',
      `expected the same 2 rows or more to exclude self, got ${show(a.shape)} and ${show(b.shape)}`,
    );
  }
  for (const [i, x] of (labels ?? []).entries()) {
    const rows = [a, b][i].shape[0];
    if (x.dtype !== 'u32' || x.size !== rows)
      throwShapeError('contrast', `expected u32 labels [${rows}], got ${x.dtype} ${show(x.shape)}`);
  }
  if (labels && pairOffset !== null)
    throwShapeError('contrast', 'expected positives by pair or by label, got both');
  const [M, N] = [a.shape[0], b.shape[0]];
  const few = M * chunking(M, N, a.shape[1]).chunks <= FEW;
  const settings: Settings = {
    ...{ scale, temperature, excludeSelf, pairOffset, byLabel: labels !== null },
    mean: few && (options.mean ?? false),
  };
  const x = fill(a);
  const y = a === b ? x : fill(b);
  const [la, lb] = labels ?? [null, null];
  const partial = partialOp([x, y, la, lb], settings);
  const [loss, statistics] = combineOp([stopGradient(partial), x, y], {
    ...settings,
    labels: [la, lb],
  });
  const total = options.mean && !few ? mean(loss) : loss;
  return { loss: total, statistics: stopGradient(statistics) };
}
