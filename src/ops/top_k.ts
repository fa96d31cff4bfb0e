import bestWgsl from '../../shaders/lib/best.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import topKWgsl from '../../shaders/top_k.wgsl' with { type: 'text' };
import { shown } from '../gpu/check.ts';
import { checkCall } from '../graph/check.ts';
import { type Call, type Kernel, op } from '../graph/op.ts';
import { reshape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { pad } from './shape.ts';

/** The uniform block. */
interface Options {
  k: number;
  queries: number;
  gallery: number;
  /** Length of a row. */
  size: number;
  chunks: number;
  /** Gallery rows in a chunk. */
  chunk: number;
}

const source = [topKWgsl, bestWgsl, gridWgsl];
/** Places in a list of the kernel. */
const MOST = 32;
/** Longer rows are read by fours, with zeros behind them: by ones they would need more than MOST_ROUNDS. */
const MOST_SCALARS = 65_000;
const uniform = ({ options }: Call<Options>) => ({ ...options });
const constants = ({ options }: Call<Options>) => ({ LIST_BLOCKS: Math.ceil(options.k / 4) });
const lists = (...shape: number[]) => [{ shape }, { shape, dtype: 'u32' as const }];

const chunkKernel: Kernel<Options> = {
  source,
  entry: 'top_k_chunk',
  inputs: ['queries', 'gallery'],
  outputs: ['similarities', 'indices'],
  uniform,
  constants,
  // Of all tiles of eight gallery rows: a number or four of a row each, and up to 38 to insert them.
  rounds: ({ options: { size, chunk } }) => ({
    size,
    rounds: (n) => Math.ceil(chunk / 8) * (Math.ceil(n / (size % 4 ? 1 : 4)) + 38),
    expected: 'rows of at most N numbers',
  }),
  invocations: ({ options }) => Math.ceil(options.queries / 4) * options.chunks,
};

const topKChunk = op({
  name: 'topKSimilar',
  shape: (_: [queries: Tensor, gallery: Tensor], { chunks, queries, k }: Options) =>
    lists(chunks, queries, k),
  kernel: ({ options: { size } }) =>
    size % 4 ? { ...chunkKernel, entry: 'top_k_chunk_scalar' } : chunkKernel,
});

const topKMerge = op({
  name: 'topKMerge',
  shape: (_: [similarities: Tensor, indices: Tensor], { queries, k }: Options) => lists(queries, k),
  kernel: {
    source,
    entry: 'top_k_merge',
    inputs: ['listed_similarities', 'listed_indices'],
    outputs: ['similarities', 'indices'],
    uniform,
    constants,
    rounds: ({ options: { chunks, k } }) => chunks * (k + 2) + 1,
    invocations: ({ options }) => options.queries,
  },
});

/**
 * The k gallery rows with the largest inner product with each query, largest first; equal ones by index. Give
 * L2-normalised rows for cosine similarity. Streamed: memory O(M k), never M x N. Not differentiable.
 *
 * @param queries [M, D]
 * @param gallery [N, D]
 * @param options.k at most 32 and N. Default 20, the protocol's k-NN.
 * @returns indices u32 [M, k] and similarities [M, k]; a similarity that is NaN is never chosen
 */
export function topKSimilar(
  queries: Tensor,
  gallery: Tensor,
  options: { k?: number } = {},
): { indices: Tensor; similarities: Tensor } {
  checkCall('topKSimilar', { queries, gallery }, options, 'k');
  const { k = 20 } = options;
  const bad = [queries, gallery].find((x) => x.shape.length !== 2 || x.dtype !== 'f32');
  if (bad) throwShapeError('topKSimilar', `expected two f32 matrices, got ${bad.dtype} ${show(bad.shape)}`);
  const [[M, D], [N, E]] = [queries.shape, gallery.shape];
  if (D !== E) {
    throwShapeError(
      'topKSimilar',
      `expected rows of one length, got ${show(queries.shape)} and ${show(gallery.shape)}`,
    );
  }
  const most = Math.min(N, MOST);
  if (!Number.isInteger(k) || k < 1 || k > most) {
    throwShapeError('topKSimilar', `expected k of 1 to ${most} for a gallery of ${N}, got ${shown(k)}`);
  }
  if (D % 4 && D > MOST_SCALARS) {
    const after = [0, -D & 3];
    const [a, b] = [queries, gallery].map((x) => pad(x, { before: [0, 0], after }));
    return topKSimilar(a, b, { k });
  }
  // Chunks make invocations (a GPU wants a thousand and more), but each must fill its lists anew; and rounds must
  // stay below MOST_ROUNDS: D (or D / 4) for 8 rows, and up to 4 for each row;
  // with larger tiles D / 4 for 16 rows, and up to 8 for each row and 8 for each tile.
  const rounds = D % 4 ? D / 8 + 4 : Math.max(D / 32 + 4, D / 64 + 8.5);
  const wanted = Math.ceil(1024 / Math.ceil(M / 4));
  const chunk = Math.min(
    Math.max(Math.ceil(N / wanted), Math.min(N, 8 * k)),
    // Whole tiles: a part of one takes as long.
    8 * Math.max(1, Math.floor(50_000 / 8 / rounds)),
  );
  const settings: Options = { k, queries: M, gallery: N, size: D, chunks: Math.ceil(N / chunk), chunk };
  const partial = topKChunk([queries, gallery], settings);
  const [similarities, indices] =
    settings.chunks === 1
      ? partial.map((x) => reshape(x, [M, k]))
      : topKMerge([partial[0], partial[1]], settings);
  return { indices, similarities };
}
