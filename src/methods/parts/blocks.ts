import { constant, reshape, type Scalar, type Tensor } from '../../graph/tensor.ts';
import { add, greaterEqual, less, mul, select, sub } from '../../ops/binary.ts';
import { uniform } from '../../ops/random.ts';
import { max, sum } from '../../ops/reduce.ts';
import { slice } from '../../ops/shape.ts';
import { tokenOrder } from '../../ops/token_order.ts';
import { putTokens, takeTokens } from '../../ops/tokens.ts';
import { topTokens } from '../../ops/top_tokens.ts';

/** Target blocks of an image: Assran et al. 2023, arXiv 2301.08243, Section 3. */
export const TARGETS = 4;
/** Shares of the image's area, and heights over widths, of a target block and of the context block (Appendix A.1). */
const TARGET = { area: [0.15, 0.2], aspect: [0.75, 1.5] } as const;
const CONTEXT = { area: [0.85, 1], aspect: [1, 1] } as const;
/** The context has at least this many tokens (the authors' 10, for 14 x 14). */
const LEAST = 4;
/** At most this share of the tokens is encoded as context: of more, a random part. Without the targets' 40 % are left of an image on average. */
const MOST = 0.4;
/** Sizes to choose from. */
const SIZES = 64;

/**
 * Heights and widths of blocks, from which each step chooses one: as in the authors' code a single number, here one of 64 in [0, 1), chooses
 * area and aspect, sides are rounded, and shorter than the grid's.
 * @param most tokens of a block
 */
export function blockSizes(
  rows: number,
  columns: number,
  { area, aspect }: Record<'area' | 'aspect', readonly [number, number]>,
  most: number,
): [height: number, width: number][] {
  return Array.from({ length: SIZES }, (_, i) => {
    const at = ([lo, hi]: readonly [number, number]) => lo + ((i + 0.5) / SIZES) * (hi - lo);
    const tokens = Math.floor(rows * columns * at(area));
    const side = (length: number, all: number) => Math.max(1, Math.min(all - 1, Math.round(length)));
    let height = side(Math.sqrt(tokens * at(aspect)), rows);
    let width = side(Math.sqrt(tokens / at(aspect)), columns);
    while (height * width > most && height * width > 1) height > width ? height-- : width--;
    return [height, width];
  });
}

/** Which tokens a step predicts from which. */
export interface Blocks {
  /** 1 in a block, else 0: [N, 4, T]. */
  targets: Tensor;
  /** 1 in the context, else 0: [N, T]. No token is in both. */
  context: Tensor;
  /** The context's tokens in a random order: ids u32 [N, K], and how many there are, u32 [N]. */
  seen: { ids: Tensor; lengths: Tensor };
  /** Of each block the context's tokens, then its own: u32 [4 N, K + B] and [4 N]. */
  asked: { ids: Tensor; lengths: Tensor };
  /** 1 where a token of `asked` is the block's own, else 0: [4 N, K + B, 1]. */
  aimed: Tensor;
}

/**
 * Draws four target blocks and the context of each image, by seed and step. The size of the blocks is the same in the whole batch,
 * their places are not. The context is a large block without the targets or, where that leaves fewer than four tokens, all that no target
 * covers. The authors cut the lists of a batch to its shortest, which loses the last rows of the image; here each list has its own
 * length, and only a context of more than 40 % of the tokens loses some, at random.
 */
export function drawBlocks(options: {
  samples: number;
  rows: number;
  columns: number;
  seed: number;
  step: Scalar;
}): Blocks {
  const { samples: N, rows, columns, seed, step } = options;
  const T = rows * columns;
  const most = Math.max(1, Math.floor((T - LEAST) / TARGETS));
  const targetSizes = blockSizes(rows, columns, TARGET, most);
  const contextSizes = blockSizes(rows, columns, CONTEXT, T);
  // One draw for all: places of the blocks, then a number for each token.
  const draws = uniform([N, 2 * (TARGETS + 1) + T], { seed: ~seed >>> 0, stream: step });
  const some = (from: number, count: number) => slice(draws, { starts: [0, from], sizes: [N, count] });
  const places = reshape(some(0, 2 * (TARGETS + 1)), [N, TARGETS + 1, 2]);
  const [which, other] = [0, 1].map((stream) =>
    slice(tokenOrder({ samples: 1, tokens: SIZES, seed, step, stream }), { starts: [0, 0], sizes: [1, 1] }),
  );
  const of = (from: number, count: number, sizes: [number, number][], id: Tensor) => {
    const table = constant(Float32Array.from(sizes.flat()), [1, SIZES, 2]);
    const at = slice(places, { starts: [0, from, 0], sizes: [N, count, 2] });
    return cellsOf(takeTokens(table, id), at, rows, columns);
  };
  const targets = of(0, TARGETS, targetSizes, which);
  const free = sub(1, max(targets, { axes: 1 }));
  const inner = mul(reshape(of(TARGETS, 1, contextSizes, other), [N, T]), free);
  const whole = select(greaterEqual(sum(inner, { axes: 1, keepDims: true }), LEAST), inner, free);
  const K = Math.max(LEAST, Math.ceil(MOST * T));
  const seen = topTokens(mul(whole, add(some(2 * (TARGETS + 1), T), 1)), { count: K });
  const context = reshape(putTokens(constant(1, [N, K, 1]), seen.ids, { tokens: T }), [N, T]);
  const keys = add(mul(reshape(context, [N, 1, T]), 2), targets);
  const longest = Math.max(...targetSizes.map(([height, width]) => height * width));
  const asked = topTokens(reshape(keys, [N * TARGETS, T]), { count: Math.min(T, K + longest) });
  const aimed = takeTokens(reshape(targets, [N * TARGETS, T, 1]), asked.ids);
  return { targets, context, seen, asked, aimed };
}

/** The cells of blocks. @param size [1, 1, 2]: height and width @param places [N, M, 2], in [0, 1) @returns [N, M, T]: 1 or 0 */
function cellsOf(size: Tensor, places: Tensor, rows: number, columns: number): Tensor {
  const [N, M] = places.shape;
  const along = (axis: number, cells: number) => {
    const of = (x: Tensor) => slice(x, { starts: [0, 0, axis], sizes: [-1, -1, 1] });
    const length = of(size);
    // Its whole part is the first cell; the factor keeps rounding from making it one more.
    const start = mul(of(places), mul(sub(cells + 1, length), 1 - 2 ** -22));
    const cell = constant(
      Float32Array.from({ length: cells }, (_, i) => i + 1),
      [cells],
    );
    return mul(greaterEqual(start, sub(cell, length)), less(start, cell));
  };
  const [down, across] = [
    reshape(along(0, rows), [N, M, rows, 1]),
    reshape(along(1, columns), [N, M, 1, columns]),
  ];
  return reshape(mul(down, across), [N, M, rows * columns]);
}
