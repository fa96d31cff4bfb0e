import embeddingWgsl from '../../shaders/embedding.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import lanes1Wgsl from '../../shaders/lib/lanes1.wgsl' with { type: 'text' };
import lanes4Wgsl from '../../shaders/lib/lanes4.wgsl' with { type: 'text' };
import { checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { show, type Tensor, throwShapeError } from '../graph/tensor.ts';

const lanesOf = (width: number) => (width % 4 ? 1 : 4);
const sourceOf = (width: number) => [embeddingWgsl, gridWgsl, lanesOf(width) === 4 ? lanes4Wgsl : lanes1Wgsl];
const source = sourceOf(1);

/** The uniform block: N ids of V rows, in chunks, and the numbers of a row in lanes. */
interface Sizes {
  count: number;
  values: number;
  side: number;
  chunks: number;
  width: number;
}

const embeddingOp = op({
  name: 'embedding',
  shape: ([table, ids]: [table: Tensor, ids: Tensor], _: Sizes) => [...ids.shape, table.shape[1]],
  kernel: ({ inputs: [table], options: { count } }) => ({
    source: sourceOf(table.shape[1]),
    ...{ entry: 'embedding_forward', inputs: ['table', 'at'], outputs: ['y'] },
    uniform: ({ options }) => ({ ...options }),
    invocations: () => Math.ceil((count * table.shape[1]) / 4) * (4 / lanesOf(table.shape[1])),
  }),
  vjp(dy, { inputs: [, ids], options }) {
    const { order, starts } = occurrences(ids, options);
    return [gradientOp([dy, order, starts], options), null];
  },
});

const gradientOp = op({
  name: 'embeddingGradient',
  shape: ([dy]: [dy: Tensor, order: Tensor, starts: Tensor], { values }: Sizes) => [values, dy.shape.at(-1)!],
  kernel: ({ inputs: [dy], options: { values, count } }) => ({
    source: sourceOf(dy.shape.at(-1)!),
    ...{ entry: 'embedding_gradient', inputs: ['dy', 'order', 'starts'], outputs: ['dtable'] },
    uniform: ({ options }) => ({ ...options }),
    rounds: () => ({
      size: count,
      rounds: (n: number) => n + 1,
      expected: 'at most N ids where a gradient is taken',
    }),
    invocations: () => Math.ceil((values * dy.shape.at(-1)!) / 4) * (4 / lanesOf(dy.shape.at(-1)!)),
  }),
});

const none = () => [null];
const counts = op({
  name: 'occurrenceCounts',
  shape: (_: [ids: Tensor], { chunks, values }: Sizes) => ({ shape: [chunks, values], dtype: 'u32' }),
  kernel: {
    ...{ source, entry: 'occurrence_counts', inputs: ['ids'], outputs: ['counts'], workgroupSize: 8 },
    uniform: ({ options }) => ({ ...options }),
    rounds: ({ options: { values, side } }) => ({
      ...{
        size: Math.max(values, side),
        rounds: (n: number) => n + 1,
        expected: 'at most N rows of a table',
      },
    }),
    invocations: ({ options: { chunks } }) => chunks,
  },
  vjp: none,
});
const totals = op({
  name: 'occurrenceTotals',
  shape: (_: [counts: Tensor], { chunks, values }: Sizes) => [
    { shape: [chunks, values], dtype: 'u32' as const },
    { shape: [values], dtype: 'u32' as const },
  ],
  kernel: {
    ...{ source, entry: 'occurrence_totals', inputs: ['counts'], outputs: ['before', 'totals'] },
    uniform: ({ options }) => ({ ...options }),
    rounds: ({ options: { chunks } }) => chunks + 1,
    invocations: ({ options: { values } }) => Math.ceil(values / 4) * 4,
  },
  vjp: none,
});
const starts = op({
  name: 'occurrenceStarts',
  shape: (_: [totals: Tensor], { values }: Sizes) => ({ shape: [values + 1], dtype: 'u32' }),
  kernel: {
    ...{ source, entry: 'occurrence_starts', inputs: ['totals'], outputs: ['starts'], workgroupSize: 256 },
    uniform: ({ options }) => ({ ...options }),
    rounds: ({ options: { values } }) => 257 + Math.ceil(values / 256),
    invocations: () => 256,
  },
  vjp: none,
});
const order = op({
  name: 'occurrenceOrder',
  shape: (_: [ids: Tensor, before: Tensor, starts: Tensor], { count }: Sizes) => ({
    shape: [count],
    dtype: 'u32',
  }),
  kernel: {
    ...{ source, entry: 'occurrence_order', inputs: ['ids', 'before', 'starts'], outputs: ['order'] },
    uniform: ({ options }) => ({ ...options }),
    rounds: ({ options: { side } }) => side + 1,
    invocations: ({ options: { count } }) => Math.ceil(count / 4) * 4,
  },
  vjp: none,
});

/** Ids of a chunk, and the most counts of all chunks: with more, chunks are larger. */
const SIDE = 128;
const MOST_COUNTS = 2 ** 22;

/**
 * Where each of the ids 0 to V - 1 occurs.
 * @returns `order` u32 [N], the places of id 0 in their order, then those of id 1 and so on, and `starts` u32 [V + 1], where those of each id
 *   begin in it; what is behind the last start has no meaning
 */
function occurrences(ids: Tensor, sizes: Sizes): { order: Tensor; starts: Tensor } {
  const [before, all] = totals([counts([ids], sizes)], sizes);
  const first = starts([all], sizes);
  return { order: order([ids, before, first], sizes), starts: first };
}

/**
 * Rows of a table by index, such as the embeddings of tokens: `gather` of f32 rows whose gradient sorts the ids first, which costs V plus the number of
 * ids rather than V times it. It adds in the order of the ids, so it is reproducible.
 * @param table f32 [V, D]
 * @param ids u32, any shape; an id of V or more gives a row of zeros
 * @returns [...ids, D]
 * @throws ShapeError for other tensors
 */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  checkTensor('embedding', 'table', table, { dtype: 'f32', rank: 2 });
  checkTensor('embedding', 'ids', ids, { dtype: 'u32' });
  const [values, columns] = table.shape;
  const count = ids.size;
  if (!count) throwShapeError('embedding', `expected ids, got ${show(ids.shape)}`);
  const most = Math.max(1, Math.floor(MOST_COUNTS / values));
  const side = Math.max(SIDE, Math.ceil(count / most));
  return embeddingOp([table, ids], {
    ...{ count, values, side, chunks: Math.ceil(count / side), width: columns / lanesOf(columns) },
  });
}
