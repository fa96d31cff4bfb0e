import matmulWgsl from '../../shaders/matmul.wgsl' with { type: 'text' };
import { type Call, call, type Kernel, type Op, op, type Target } from '../graph/op.ts';
import { fail, reshape, type Shape, show, type Tensor } from '../graph/tensor.ts';
import { fromBuffers, type Operands, operandsFrom, type Result, resultIn, resultNames } from './operands.ts';
import { activationGradient } from './unary.ts';

/** Which inputs of a product are transposed. */
export interface MatmulOptions {
  transposeA?: boolean;
  transposeB?: boolean;
}

/** What a linear layer does after the product. */
export type Activation = 'none' | 'relu';

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
    if (dtype !== 'f32') fail(name, `expected f32, got ${dtype} ${show(shape)}`);
  const rank = a.shape.length;
  if (rank !== b.shape.length || (rank !== 2 && rank !== 3) || (rank === 3 && a.shape[0] !== b.shape[0])) {
    fail(name, `expected two matrices, or two batches of as many, got ${show(a.shape)} and ${show(b.shape)}`);
  }
  const [p, q] = a.shape.slice(-2);
  const [r, s] = b.shape.slice(-2);
  const [m, k] = transposeA ? [q, p] : [p, q];
  const [k2, n] = transposeB ? [s, r] : [r, s];
  if (k !== k2) {
    const form = `${transposeA ? ' (transposed)' : ''}`;
    fail(
      name,
      `expected inner sizes to match, got ${show(a.shape)}${form} and ${show(b.shape)}${transposeB ? ' (transposed)' : ''}`,
    );
  }
  return [rank === 3 ? a.shape[0] : 1, m, n, k];
}

interface Tile {
  entry: string;
  rows: number;
  columns: number;
}

/** Any shape; the others need whole vec4s on every load, and the large one makes them where it reads textures. */
const ANY: Tile = { entry: 'matmul_4x4', rows: 4, columns: 4 };
const SMALL: Tile = { entry: 'matmul_8x8', rows: 8, columns: 8 };
const LARGE: Tile = { entry: 'matmul_16x16', rows: 16, columns: 16 };

/**
 * The tile of C that one invocation makes, and where it reads A and B. The large one would spill the registers of a GPU,
 * but processors that play GPU want few loads, and cheap ones (docs/decisions.md).
 */
function tile(
  { inputs: [a, b, , gate], options }: Call<ProductOptions>,
  target: Target,
): { tile: Tile; operands: Operands } {
  const [, m, n, k] = sizes('matmul', a!, b!, options);
  const operands: Operands = { source: fromBuffers(matmulWgsl) };
  const whole = n % 4 === 0 && k % 4 === 0 && (!options.transposeA || m % 4 === 0);
  if (m * n * k >= target.largeTiles && m * n >= 32768) {
    if (a!.shape.length === 2 && (whole || !gate)) {
      const textures = operandsFrom(matmulWgsl, { a: a!, b: b! }, m * n * k, target, { quads: true });
      if (textures.textures) return { tile: LARGE, operands: textures };
    }
    if (whole) return { tile: LARGE, operands };
  }
  return { tile: whole ? SMALL : ANY, operands };
}

function productKernel(c: Call<ProductOptions>, target: Target): Kernel<ProductOptions> {
  const {
    inputs: [a, b, bias, gate],
    options,
  } = c;
  const [batches, m, n, k] = sizes('matmul', a!, b!, options);
  const {
    tile: { entry, rows, columns },
    operands,
  } = tile(c, target);
  const sharers = operands.quads ? 4 : 1;
  const kernel = (result: Result): Kernel<ProductOptions> => ({
    ...operands,
    source: [...operands.source, ...resultIn(result, 5, 7)],
    entry,
    inputs: ['a', 'b', 'bias', 'gate'],
    ...resultNames(result, ['c', 'sums'], operands.textures),
    uniform: () => ({ m, n, k, batches }),
    constants: () => ({
      TRANSPOSE_A: Number(options.transposeA ?? false),
      TRANSPOSE_B: Number(options.transposeB ?? false),
      BIAS: Number(bias !== null),
      RELU: Number(options.activation === 'relu'),
      GATE: Number(gate !== null),
      SUMS: Number(options.sums ?? false),
    }),
    invocations: () => batches * Math.ceil(m / rows) * Math.ceil(n / columns / sharers) * sharers,
    ...(result === 'buffer' && batches === 1 && m % 4 === 0 && entry !== ANY.entry
      ? { toTexture: kernel }
      : {}),
  });
  return kernel(n % 4 || entry === ANY.entry ? 'numbers' : 'buffer');
}

const productShape =
  (name: string) =>
  ([a, b]: readonly Tensor[], options: ProductOptions): { shape: Shape }[] => {
    const [batches, m, n] = sizes(name, a, b, options);
    return [{ shape: a.shape.length === 3 ? [batches, m, n] : [m, n] }, { shape: [options.sums ? n : 1] }];
  };

const product: Op<ProductOptions> = {
  name: 'matmul',
  shape: productShape('matmul'),
  kernel: productKernel,
  vjp: (dy, { inputs: [a, b], options: { transposeA = false, transposeB = false } }) => [
    transposeA
      ? matmul(b!, dy, { transposeA: transposeB, transposeB: true })
      : matmul(dy, b!, { transposeB: !transposeB }),
    transposeB
      ? matmul(dy, a!, { transposeA: true, transposeB: transposeA })
      : matmul(a!, dy, { transposeA: !transposeA }),
    null,
    null,
  ],
  gated: ({ inputs: [a, b, bias, gate], options }, by) =>
    bias || gate || options.sums ? null : { op: product, inputs: [a, b, null, by], options },
};

/**
 * Matrix product of [M, K] and [K, N], or of two batches [B, M, K] and [B, K, N]; either may be given transposed.
 * @returns [M, N] or [B, M, N]
 * @throws ShapeError unless the inner sizes match
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  return call(product, [a, b, null, null], options).outputs[0];
}

const linearOp = op<[x: Tensor, w: Tensor, b: Tensor | null, gate: null], ProductOptions>({
  ...product,
  name: 'linear',
  shape: productShape('linear'),
  vjp: (dy, { inputs: [x, w, b], outputs: [y], options: { activation = 'none' } }) => {
    const dz = activation === 'none' ? dy : activationGradient(dy, y, { activation });
    const dx = matmul(dz, w!, { transposeB: true });
    if (!b) return [dx, matmul(x!, dz, { transposeA: true }), null, null];
    const [dw, db] = call(product, [x, dz, null, null], { transposeA: true, sums: true }).outputs;
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
  { activation = 'none' as Activation } = {},
): Tensor {
  if (w.shape.length !== 2 || x.shape.at(-1) !== w.shape[0]) {
    fail('linear', `expected x [..., I] and w [I, O], got ${show(x.shape)} and ${show(w.shape)}`);
  }
  if (b && (b.shape.length !== 1 || b.shape[0] !== w.shape[1])) {
    fail('linear', `expected a bias [${w.shape[1]}] for w ${show(w.shape)}, got ${show(b.shape)}`);
  }
  const rows = x.size / w.shape[0];
  const y = linearOp(reshape(x, [rows, w.shape[0]]), w, b, null, { activation });
  return reshape(y, [...x.shape.slice(0, -1), w.shape[1]]);
}
