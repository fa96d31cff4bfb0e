import matmulWgsl from '../../shaders/matmul.wgsl' with { type: 'text' };
import type { Target } from '../gpu/target.ts';
import { checkCall, checkChoice, checkFlag } from '../graph/check.ts';
import { type Call, type Kernel, op } from '../graph/op.ts';
import { reshape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { fromOperands, resultIn } from './operands.ts';
import { sum } from './reduce.ts';
import { activationGradient } from './unary.ts';

/** Which inputs of a product are transposed. */
export interface MatmulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

/** What a linear layer does after the product. */
export type Activation = 'none' | 'relu';

type ProductInputs = [a: Tensor, b: Tensor, bias: Tensor | null, gate: Tensor | null];

interface ProductOptions extends MatmulOptions {
  activation?: Activation;
  /** Also sum the rows of B, into a second output. */
  sums?: boolean;
}

/** [batches, m, n, k] of a product. */
function sizes(
  name: string,
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false }: MatmulOptions,
): [number, number, number, number] {
  for (const { dtype, shape } of [a, b])
    if (dtype !== 'f32') throwShapeError(name, `expected f32, got ${dtype} ${show(shape)}`);
  const rank = a.shape.length;
  if (rank !== b.shape.length || (rank !== 2 && rank !== 3) || (rank === 3 && a.shape[0] !== b.shape[0])) {
    throwShapeError(
      name,
      `expected two matrices, or two batches of as many, got ${show(a.shape)} and ${show(b.shape)}`,
    );
  }
  const [p, q] = a.shape.slice(-2);
  const [r, s] = b.shape.slice(-2);
  const [m, k] = transposeA ? [q, p] : [p, q];
  const [k2, n] = transposeB ? [s, r] : [r, s];
  if (k !== k2) {
    const [first, second] = [transposeA, transposeB].map((is) => (is ? ' (transposed)' : ''));
    const got = `${show(a.shape)}${first} and ${show(b.shape)}${second}`;
    throwShapeError(name, `expected inner sizes to match, got ${got}`);
  }
  return [rank === 3 ? a.shape[0] : 1, m, n, k];
}

interface Tile {
  entry: string;
  rows: number;
  columns: number;
  /** For a tile that a workgroup makes: its name among the candidates, its invocations, and how they are arranged. */
  variant?: string;
  workgroupSize?: number;
  layout?: { SIDE: number; BLOCKS: number };
}

/** Any shape; the others need whole vec4s on every load. */
const NARROW: Tile = { entry: 'matmul_4x4', rows: 4, columns: 4 };
const ANY: Tile = { entry: 'matmul_any_8x8', rows: 8, columns: 8 };
const SMALL: Tile = { entry: 'matmul_8x8', rows: 8, columns: 8 };
const shared = (entry: string, SIDE: number, BLOCKS: number): Tile => {
  const [rows, columns] = [4 * SIDE * BLOCKS, 4 * SIDE];
  const variant = `shared_${rows}x${columns}`;
  return { entry, rows, columns, variant, workgroupSize: SIDE * SIDE, layout: { SIDE, BLOCKS } };
};
const SHARED = [1, 2].map((blocks) => shared('matmul_shared_64', 8, blocks));
SHARED.push(...[1, 2].map((blocks) => shared('matmul_shared_256', 16, blocks)));

/** Fewer tiles than this leave parts of a GPU idle. */
const ENOUGH = 16;

/** The tiles of C to choose from, the default first; all of a list add in one order. A GPU wants workgroup memory (docs/decisions.md). */
function candidates(
  { inputs: [a, b], options }: Call<ProductOptions, ProductInputs>,
  { workgroupTiles }: Target,
): Tile[] {
  const [batches, m, n, k] = sizes('matmul', a, b, options);
  // Small results need all the invocations they can get, as do GPUs.
  if (n % 4 || k % 4 || (options.transposeA && m % 4))
    return workgroupTiles || m * n < 4096 ? [NARROW, ANY] : [ANY, NARROW];
  if (!workgroupTiles) return [SMALL];
  const busy = ({ rows, columns }: Tile) => batches * Math.ceil(m / rows) * Math.ceil(n / columns) >= ENOUGH;
  const [first, ...larger] = SHARED;
  return m <= 8 || n <= 8 ? [SMALL, first] : [first, ...larger.filter(busy), SMALL];
}

/** Rounds for an inner size of k, four steps each. */
function roundsFor({ layout }: Tile, scalar: boolean, k: number): number {
  if (layout) return Math.ceil(k / layout.SIDE) * (2 + layout.SIDE / 4) + 1;
  if (scalar) return Math.floor(k / 4) + (k % 4) + 2;
  return Math.ceil(k / 4) + 1;
}

function productKernel(c: Call<ProductOptions, ProductInputs>, target: Target): Kernel<ProductOptions>[] {
  const { inputs, options } = c;
  const [a, b, bias, gate] = inputs;
  const [batches, m, n, k] = sizes('matmul', a, b, options);
  return candidates(c, target).map((tile) => {
    const { entry, rows, columns, variant, workgroupSize, layout } = tile;
    const scalar = tile === ANY || tile === NARROW;
    return {
      source: [...fromOperands(matmulWgsl), ...resultIn(n % 4 || scalar ? 'numbers' : 'vectors', 5)],
      ...{ entry, variant, workgroupSize, inputs: ['a', 'b', 'bias', 'gate'], outputs: ['c', 'sums'] },
      uniform: () => ({ m, n, k, batches }),
      rounds: () => ({
        size: k,
        rounds: (size) => roundsFor(tile, scalar, size) + (options.sums ? 10 : 0),
        expected: 'inner sizes of at most N',
      }),
      constants: () => ({
        TRANSPOSE_A: Number(options.transposeA ?? false),
        TRANSPOSE_B: Number(options.transposeB ?? false),
        BIAS: Number(bias !== null),
        RELU: Number(options.activation === 'relu'),
        GATE: Number(gate !== null),
        SUMS: Number(options.sums ?? false),
        ...layout,
      }),
      invocations: () => batches * Math.ceil(m / rows) * Math.ceil(n / columns) * (workgroupSize ?? 1),
    };
  });
}

const productShape =
  (name: string) =>
  ([a, b]: ProductInputs, options: ProductOptions) => {
    const [batches, m, n] = sizes(name, a, b, options);
    return [{ shape: a.shape.length === 3 ? [batches, m, n] : [m, n] }, { shape: [options.sums ? n : 1] }];
  };

const product = op({
  name: 'matmul',
  shape: productShape('matmul'),
  kernel: productKernel,
  vjp: (dy, { inputs: [a, b], options: { transposeA = false, transposeB = false } }) => [
    transposeA
      ? matmul(b, dy, { transposeA: transposeB, transposeB: true })
      : matmul(dy, b, { transposeB: !transposeB }),
    transposeB
      ? matmul(dy, a!, { transposeA: true, transposeB: transposeA })
      : matmul(a, dy, { transposeA: !transposeA }),
    null,
    null,
  ],
  gated: ({ inputs: [a, b, bias, gate], options }, by) =>
    bias || gate || options.sums ? null : [a, b, null, by],
});

/** Into how many sums a long inner size is cut where the result has few tiles: from the shapes alone, so that the order of additions is too. */
function splitsOf([batches, m, n, k]: number[], { transposeA, transposeB }: MatmulOptions): number {
  // Only there is a part of the inner size a part of both inputs.
  if (batches > 1 || !transposeA || transposeB || m * n > 2 ** 14) return 1;
  return [16, 8].find((splits) => k % splits === 0 && k / splits >= 512) ?? 1;
}

/**
 * Matrix product of [M, K] and [K, N], or of two batches [B, M, K] and [B, K, N]; either may be given transposed. Two
 * dispatches where K is long and M and N are not.
 * @returns [M, N] or [B, M, N]
 * @throws ShapeError unless the inner sizes match
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  checkCall('matmul', { a, b }, options, 'transposeA transposeB');
  const { transposeA = false, transposeB = false } = options;
  checkFlag('matmul', 'transposeA', transposeA);
  checkFlag('matmul', 'transposeB', transposeB);
  const all = sizes('matmul', a, b, options);
  const [, m, n, k] = all;
  const splits = splitsOf(all, options);
  if (splits === 1) return product([a, b, null, null], options)[0];
  const parts = product(
    [reshape(a, [splits, k / splits, m]), reshape(b, [splits, k / splits, n]), null, null],
    options,
  );
  return reshape(sum(parts[0], { axes: 0 }), [...a.shape.slice(0, -2), m, n]);
}

const linearOp = op({
  ...product.op,
  name: 'linear',
  half: true,
  shape: productShape('linear'),
  vjp: (dy, { inputs: [x, w, b], outputs: [y], options: { activation = 'none' } }) => {
    const dz = activation === 'none' ? dy : activationGradient(dy, y, { activation });
    const dx = matmul(dz, w, { transposeB: true });
    const split = splitsOf(sizes('linear', x, dz, { transposeA: true }), { transposeA: true }) > 1;
    if (!b || split) return [dx, matmul(x, dz, { transposeA: true }), b && sum(dz, { axes: 0 }), null];
    const [dw, db] = product([x, dz, null, null], { transposeA: true, sums: true });
    return [dx, dw, db, null];
  },
});

/**
 * A linear layer, y = activation(x w + b), in one dispatch.
 * @param x [..., I]; leading sizes are kept
 * @param w [I, O]
 * @param b [O], or null
 * @returns [..., O]
 * @throws ShapeError unless x ends in I and b is [O]
 */
export function linear(
  x: Tensor,
  w: Tensor,
  b: Tensor | null = null,
  options: { activation?: Activation } = {},
): Tensor {
  checkCall('linear', b === null ? { x, w } : { x, w, b }, options, 'activation');
  const { activation = 'none' } = options;
  checkChoice('linear', 'activation', activation, ['none', 'relu']);
  if (w.shape.length !== 2 || x.shape.at(-1) !== w.shape[0]) {
    throwShapeError('linear', `expected x [..., I] and w [I, O], got ${show(x.shape)} and ${show(w.shape)}`);
  }
  if (b && (b.shape.length !== 1 || b.shape[0] !== w.shape[1])) {
    throwShapeError('linear', `expected a bias [${w.shape[1]}] for w ${show(w.shape)}, got ${show(b.shape)}`);
  }
  const rows = x.size / w.shape[0];
  const [y] = linearOp([reshape(x, [rows, w.shape[0]]), w, b, null], { activation });
  return reshape(y, [...x.shape.slice(0, -1), w.shape[1]]);
}
