import type { Ref, Values } from './tape.ts';
import {
  accumulate,
  broadcastMap,
  elementwise,
  leaf,
  mapOf,
  node,
  sizeOf,
  stopGradient,
  stridesOf,
  take,
  walk,
} from './tape.ts';

type Operand = Ref | number;
type Axes = number | readonly number[];
type Unary = (x: Ref) => Ref;

const unary = (f: (x: number) => number, df: (x: number, y: number) => number) => (x: Ref) =>
  elementwise([x], f, [(x, _b, _c, y) => df(x, y)]);
const binary =
  (f: (a: number, b: number) => number, ...partials: ((a: number, b: number) => number)[]) =>
  (a: Operand, b: Operand) =>
    elementwise([a, b], f, partials);

// Arithmetic with NumPy broadcasting. A tie sends the whole gradient to the first argument.
export const add = binary(
  (a, b) => a + b,
  () => 1,
  () => 1,
);
export const sub = binary(
  (a, b) => a - b,
  () => 1,
  () => -1,
);
export const mul = binary(
  (a, b) => a * b,
  (_a, b) => b,
  (a) => a,
);
export const div = binary(
  (a, b) => a / b,
  (_a, b) => 1 / b,
  (a, b) => -a / (b * b),
);
export const minimum = binary(
  (a, b) => Math.min(a, b),
  (a, b) => +(a <= b),
  (a, b) => +(a > b),
);
export const maximum = binary(
  (a, b) => Math.max(a, b),
  (a, b) => +(a >= b),
  (a, b) => +(a < b),
);

/** cond ? a : b, cond non-zero for true. */
export const select = (cond: Ref, a: Operand, b: Operand) =>
  elementwise([cond, a, b], (c, a, b) => (c ? a : b), [() => 0, (c) => (c ? 1 : 0), (c) => (c ? 0 : 1)]);

export const neg = unary(
  (x) => -x,
  () => -1,
);
export const exp = unary(Math.exp, (_x, y) => y);
export const log = unary(Math.log, (x) => 1 / x);
export const sqrt = unary(Math.sqrt, (_x, y) => 0.5 / y);
export const cos = unary(Math.cos, (x) => -Math.sin(x));
export const sin = unary(Math.sin, (x) => Math.cos(x));
export const square = unary(
  (x) => x * x,
  (x) => 2 * x,
);
export const abs = unary(Math.abs, Math.sign);
export const power = (x: Ref, p: number) =>
  unary(
    (x) => x ** p,
    (x) => (p === 0 ? 0 : p * x ** (p - 1)),
  )(x);
/** The gradient passes on the bounds themselves too. */
export const clamp = (x: Ref, lo: number, hi: number) =>
  unary(
    (x) => Math.min(Math.max(x, lo), hi),
    (x) => +(x >= lo && x <= hi),
  )(x);

// Activations
const logistic = (x: number) => 1 / (1 + Math.exp(-x));
export const relu = unary(
  (x) => Math.max(x, 0),
  (x) => +(x > 0),
);
export const leakyRelu = (x: Ref, slope = 0.01) =>
  unary(
    (x) => (x > 0 ? x : slope * x),
    (x) => (x > 0 ? 1 : slope),
  )(x);
export const sigmoid = unary(logistic, (_x, y) => y * (1 - y));
export const tanh = unary(Math.tanh, (_x, y) => 1 - y * y);
export const silu = unary(
  (x) => x * logistic(x),
  (x) => logistic(x) * (1 + x * (1 - logistic(x))),
);
export const softplus = unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), logistic);

/** erf(x) = 2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!, whose terms all have one sign. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let total = 0;
  for (let n = 0, term = x; Math.abs(term) > 1e-18 * Math.abs(total); n++, term *= (2 * x * x) / (2 * n + 1))
    total += term;
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}

/** x Phi(x); without `exact`, by the usual tanh approximation. */
export function gelu(x: Ref, { exact = false } = {}): Ref {
  if (exact) {
    const cdf = (x: number) => 0.5 * (1 + erf(x / Math.SQRT2));
    return unary(
      (x) => x * cdf(x),
      (x) => cdf(x) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
    )(x);
  }
  const inner = mul(add(x, mul(power(x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
}

export const activations: Record<string, Unary> = {
  none: (x) => x,
  relu,
  leakyRelu,
  gelu,
  silu,
  sigmoid,
  tanh,
  softplus,
};

// Shapes
export function reshape(x: Ref, shape: readonly number[]): Ref {
  const sizes = shape.map((n) => (n === -1 ? -x.data.length / sizeOf(shape) : n));
  return take(x, sizes, walk([x.data.length], [1]));
}

/** Reverses the axes when no permutation is given. */
export function transpose(x: Ref, perm: readonly number[] = x.shape.map((_, axis) => axis).reverse()): Ref {
  const [shape, strides] = [x.shape, stridesOf(x.shape)].map((list) => perm.map((axis) => list[axis]));
  return take(x, shape, walk(shape, strides));
}

export function slice(x: Ref, starts: readonly number[], sizes: readonly number[]): Ref {
  const strides = stridesOf(x.shape);
  return take(
    x,
    sizes,
    walk(
      sizes,
      strides,
      starts.reduce((total, start, axis) => total + start * strides[axis], 0),
    ),
  );
}

export function pad(x: Ref, before: readonly number[], after: readonly number[], value = 0): Ref {
  const shape = x.shape.map((n, axis) => n + before[axis] + after[axis]);
  const strides = stridesOf(shape);
  const offset = before.reduce((total, n, axis) => total + n * strides[axis], 0);
  const map = new Int32Array(sizeOf(shape)).fill(-1);
  for (const [i, j] of walk(x.shape, strides, offset).entries()) map[j] = i;
  return take(x, shape, map, value);
}

export function concatenate(xs: Ref[], axis = 0): Ref {
  const at = axis < 0 ? axis + xs[0].shape.length : axis;
  const total = xs.reduce((n, x) => n + x.shape[at], 0);
  let start = 0;
  const padded = xs.map((x) => {
    const before = x.shape.map((_, k) => (k === at ? start : 0));
    start += x.shape[at];
    return pad(
      x,
      before,
      x.shape.map((_, k) => (k === at ? total - start : 0)),
    );
  });
  return padded.reduce(add);
}

/** table: [V, D], ids: N integers -> [N, D] */
export function gatherRows(table: Ref, ids: ArrayLike<number>): Ref {
  const D = table.shape[1];
  return take(
    table,
    [ids.length, D],
    Int32Array.from({ length: ids.length * D }, (_, i) => ids[Math.floor(i / D)] * D + (i % D)),
  );
}

/** Where the numbers of x come from when they are sorted along an axis: ascending, equal ones in their order, NaN last. */
export function sortIndices({ shape, data }: Values, axis: number): Int32Array {
  const [n, step] = [shape[axis], sizeOf(shape.slice(axis + 1))];
  const indices = new Int32Array(data.length);
  const rank = (a: number, b: number) =>
    Number(Number.isNaN(a)) - Number(Number.isNaN(b)) || (a < b ? -1 : Number(a > b));
  for (let first = 0; first < data.length; first++) {
    if (Math.floor(first / step) % n) continue;
    const order = Array.from({ length: n }, (_, i) => i).sort(
      (i, j) => rank(data[first + i * step], data[first + j * step]) || i - j,
    );
    for (const [i, from] of order.entries()) indices[first + i * step] = from;
  }
  return indices;
}

/** x sorted along an axis. */
export function sort(x: Ref, axis: number): Ref {
  const [n, step] = [x.shape[axis], sizeOf(x.shape.slice(axis + 1))];
  const indices = sortIndices(x, axis);
  const from = indices.map((index, i) => i + (index - (Math.floor(i / step) % n)) * step);
  return take(x, x.shape, from);
}

/** x [N, T, D] by ids [N, K] -> [N, K, D]; zeros for an id of T or more. */
export function takeTokens(x: Ref, ids: ArrayLike<number>): Ref {
  const [N, T, D] = x.shape;
  const K = ids.length / N;
  // One row of zeros after the last token.
  const padded = pad(reshape(x, [N * T, D]), [0, 0], [1, 0]);
  const rows = Array.from(ids, (id, i) => (id < T ? Math.floor(i / K) * T + id : N * T));
  return reshape(gatherRows(padded, rows), [N, K, D]);
}

/** dy [N, K, D] added to the places ids [N, K] of [N, T, D]: a product with one-hot matrices [N, T, K]. */
export function putTokens(dy: Ref, ids: ArrayLike<number>, T: number): Ref {
  const [N, K] = dy.shape;
  const places = new Float64Array(N * T * K);
  for (let i = 0; i < N * K; i++) if (ids[i] < T) places[(Math.floor(i / K) * T + ids[i]) * K + (i % K)] = 1;
  return matmul(leaf([N, T, K], places), dy);
}

// Reductions. axes: one, several (negative from the end) or all.
function reduced(x: Ref, axes?: Axes) {
  const rank = x.shape.length;
  const list =
    axes === undefined ? x.shape.map((_, axis) => axis) : [axes].flat().map((a) => (a < 0 ? a + rank : a));
  const kept = x.shape.map((n, axis) => (list.includes(axis) ? 1 : n));
  const shape = (keepDims: boolean) => (keepDims ? kept : x.shape.filter((_, axis) => !list.includes(axis)));
  return {
    shape,
    map: broadcastMap(kept, x.shape),
    count: x.data.length / sizeOf(kept),
    groups: sizeOf(kept),
  };
}

export function sum(x: Ref, axes?: Axes, { keepDims = false } = {}): Ref {
  const { shape, map } = reduced(x, axes);
  return accumulate(x, shape(keepDims), map);
}

export const mean = (x: Ref, axes?: Axes, options: { keepDims?: boolean } = {}) =>
  div(sum(x, axes, options), reduced(x, axes).count);

/** The gradient goes to the first of equal values. */
export function max(x: Ref, axes?: Axes, { keepDims = false } = {}): Ref {
  const { shape, map, groups } = reduced(x, axes);
  const best = new Int32Array(groups).fill(-1);
  for (const [i, j] of map.entries()) if (best[j] < 0 || x.data[i] > x.data[best[j]]) best[j] = i;
  return take(x, shape(keepDims), best);
}

export const min = (x: Ref, axes?: Axes, options: { keepDims?: boolean } = {}) =>
  neg(max(neg(x), axes, options));

/** The k largest of each row, the first of equal ones, and zeros. */
export function keepLargest(x: Ref, k: number): Ref {
  const size = x.shape.at(-1)!;
  const map = new Int32Array(x.data.length).fill(-1);
  for (let start = 0; start < map.length; start += size) {
    const row = x.data.subarray(start, start + size);
    const order = Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b);
    for (const i of order.slice(0, k)) map[start + i] = start + i;
  }
  return take(x, x.shape, map);
}

export function variance(x: Ref, axes?: Axes, { unbiased = false, keepDims = false } = {}): Ref {
  const squares = sum(square(sub(x, mean(x, axes, { keepDims: true }))), axes, { keepDims });
  return div(squares, reduced(x, axes).count - (unbiased ? 1 : 0));
}

// Matrices
/** a: [M, K] or [B, M, K], b: [K, N] or [B, K, N], each as seen after its transposition. */
export function matmul(a: Ref, b: Ref, { transposeA = false, transposeB = false } = {}): Ref {
  const [rowsA, colsA] = a.shape.slice(-2);
  const [rowsB, colsB] = b.shape.slice(-2);
  const [M, K, aRow, aCol] = transposeA ? [colsA, rowsA, 1, colsA] : [rowsA, colsA, colsA, 1];
  const [inner, N, bRow, bCol] = transposeB ? [colsB, rowsB, 1, colsB] : [rowsB, colsB, colsB, 1];
  const batch = a.shape.slice(0, -2);
  if (inner !== K || `${batch}` !== `${b.shape.slice(0, -2)}`)
    throw new Error(`reference: matmul [${a.shape}] [${b.shape}]`);
  // Both without transposition, so that the innermost loops read neighbours: tests spend most of their own time here.
  const left = take(
    a,
    [...batch, M, K],
    walk([...batch, M, K], [...stridesOf(batch).map((n) => n * M * K), aRow, aCol]),
  );
  const right = take(
    b,
    [...batch, K, N],
    walk([...batch, K, N], [...stridesOf(batch).map((n) => n * K * N), bRow, bCol]),
  );
  const [A, B] = [left.data, right.data];
  const rows = sizeOf(batch) * M;
  const y = new Float64Array(rows * N);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < K; k++) {
      const [own, other] = [row * K + k, (Math.floor(row / M) * K + k) * N];
      for (let j = 0; j < N; j++) y[row * N + j] += A[own] * B[other + j];
    }
  }
  return node([...batch, M, N], y, [left, right], (dy, [da, db]) => {
    for (let row = 0; row < rows; row++) {
      for (let k = 0; k < K; k++) {
        const [own, other] = [row * K + k, (Math.floor(row / M) * K + k) * N];
        for (let j = 0; j < N; j++) {
          da[own] += dy[row * N + j] * B[other + j];
          db[other + j] += dy[row * N + j] * A[own];
        }
      }
    }
  });
}

/** x: [..., I], w: [I, O], b: [O] -> [..., O] */
export function linear(x: Ref, w: Ref, b?: Ref | null, activation = 'none'): Ref {
  const y = matmul(reshape(x, [-1, w.shape[0]]), w);
  return reshape(activations[activation](b ? add(y, b) : y), [...x.shape.slice(0, -1), w.shape[1]]);
}

// Images, NHWC
export type Window = {
  stride?: number | readonly [number, number]; // y, x
  padding?: number | readonly [number, number, number, number]; // top, bottom, left, right
};

/** All windows of x: [N, H, W, C] -> [N, OH, OW, KH * KW, C]; places outside of x are `fill`. */
function patches(x: Ref, KH: number, KW: number, { stride = 1, padding = 0 }: Window, fill = 0): Ref {
  const [N, H, W, C] = x.shape;
  const [sy, sx] = typeof stride === 'number' ? [stride, stride] : stride;
  const [top, bottom, left, right] = typeof padding === 'number' ? Array<number>(4).fill(padding) : padding;
  const OH = Math.floor((H + top + bottom - KH) / sy) + 1;
  const OW = Math.floor((W + left + right - KW) / sx) + 1;
  const shape = [N, OH, OW, KH * KW, C];
  const map = mapOf(shape, ([n, oy, ox, k, c]) => {
    const y = oy * sy - top + Math.floor(k / KW);
    const x = ox * sx - left + (k % KW);
    return y < 0 || y >= H || x < 0 || x >= W ? -1 : ((n * H + y) * W + x) * C + c;
  });
  return take(x, shape, map, fill);
}

/** x: [N, H, W, C], filter: [KH, KW, C, O], bias: [O] -> [N, OH, OW, O]. Cross-correlation, as everywhere. */
export function conv2d(x: Ref, filter: Ref, bias?: Ref | null, window: Window = {}): Ref {
  const [KH, KW, C, O] = filter.shape;
  const p = patches(x, KH, KW, window);
  const y = matmul(reshape(p, [-1, KH * KW * C]), reshape(filter, [KH * KW * C, O]));
  return reshape(bias ? add(y, bias) : y, [...p.shape.slice(0, 3), O]);
}

/** x: [N, H, W, C], filter: [KH, KW, O, C], bias: [O]: each pixel of x adds its multiple of the filter. */
export function convTranspose2d(
  x: Ref,
  filter: Ref,
  bias?: Ref | null,
  {
    stride = 1,
    padding = 0,
    outputPadding = 0,
  }: Window & { outputPadding?: number | readonly number[] } = {},
): Ref {
  const [N, H, W, C] = x.shape;
  const [KH, KW, O] = filter.shape;
  const [sy, sx] = typeof stride === 'number' ? [stride, stride] : stride;
  const [my, mx] = typeof outputPadding === 'number' ? [outputPadding, outputPadding] : outputPadding;
  const [top, bottom, left, right] = typeof padding === 'number' ? Array<number>(4).fill(padding) : padding;
  const OH = (H - 1) * sy + KH + my - top - bottom;
  const OW = (W - 1) * sx + KW + mx - left - right;
  const taps = matmul(reshape(x, [-1, C]), reshape(filter, [KH * KW * O, C]), { transposeB: true });
  // What falls outside goes to one more place, which is cut off.
  const map = mapOf([N, H, W, KH, KW, O], ([n, y, x, ky, kx, o]) => {
    const [oy, ox] = [y * sy + ky - top, x * sx + kx - left];
    const inside = oy >= 0 && oy < OH && ox >= 0 && ox < OW;
    return inside ? ((n * OH + oy) * OW + ox) * O + o : N * OH * OW * O;
  });
  const sums = slice(accumulate(taps, [N * OH * OW * O + 1], map), [0], [N * OH * OW * O]);
  const y = reshape(sums, [N, OH, OW, O]);
  return bias ? add(y, bias) : y;
}

/** Nearest upsampling: [N, H, W, C] -> [N, fH, fW, C] */
export function upsample(x: Ref, factor: number): Ref {
  const [N, H, W, C] = x.shape;
  const shape = [N, factor * H, factor * W, C];
  const map = mapOf(shape, ([n, y, x, c]) => {
    return ((n * H + Math.floor(y / factor)) * W + Math.floor(x / factor)) * C + c;
  });
  return take(x, shape, map);
}

export type Pool = Window & { kernel: number | readonly [number, number] };
const pool = ({ kernel, ...window }: Pool) => {
  const [KH, KW] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
  return { KH, KW, window: { stride: [KH, KW] as const, ...window } };
};

/** The stride defaults to the kernel; padding never wins. */
export function maxPool2d(x: Ref, options: Pool): Ref {
  const { KH, KW, window } = pool(options);
  return max(patches(x, KH, KW, window, -Infinity), 3);
}

/** Divides by the number of valid pixels, or by KH * KW with countPadding. */
export function averagePool2d(
  x: Ref,
  { countPadding = false, ...options }: Pool & { countPadding?: boolean },
): Ref {
  const { KH, KW, window } = pool(options);
  const ones = stopGradient(add(mul(x, 0), 1));
  return div(
    sum(patches(x, KH, KW, window), 3),
    countPadding ? KH * KW : sum(patches(ones, KH, KW, window), 3),
  );
}

/** [N, H, W, C] -> [N, C] */
export const globalAveragePool = (x: Ref) => mean(x, [1, 2]);

// Normalisation
const affine = (x: Ref, gamma?: Ref | null, beta?: Ref | null) => {
  const scaled = gamma ? mul(x, gamma) : x;
  return beta ? add(scaled, beta) : scaled;
};

/** Over all axes but the last. Training, unless `mean` and `variance` (running statistics, [C]) are given. */
export function batchNorm(
  x: Ref,
  gamma?: Ref | null,
  beta?: Ref | null,
  { eps = 1e-5, ...running }: { eps?: number; mean?: Ref; variance?: Ref } = {},
): Ref {
  const axes = x.shape.map((_, axis) => axis).slice(0, -1);
  const mu = running.mean ?? mean(x, axes);
  const sigma2 = running.variance ?? variance(x, axes);
  return affine(div(sub(x, mu), sqrt(add(sigma2, eps))), gamma, beta);
}

export function layerNorm(x: Ref, gamma?: Ref | null, beta?: Ref | null, { eps = 1e-5 } = {}): Ref {
  const centred = sub(x, mean(x, -1, { keepDims: true }));
  return affine(div(centred, sqrt(add(variance(x, -1, { keepDims: true }), eps))), gamma, beta);
}

/** x: [N, ..., C]; over the pixels and the channels of each group. */
export function groupNorm(
  x: Ref,
  gamma: Ref | null | undefined,
  beta: Ref | null | undefined,
  { groups, eps = 1e-5 }: { groups: number; eps?: number },
): Ref {
  const [N, C] = [x.shape[0], x.shape.at(-1)!];
  const parts = reshape(x, [N, -1, groups, C / groups]);
  const centred = sub(parts, mean(parts, [1, 3], { keepDims: true }));
  const deviation = sqrt(add(variance(parts, [1, 3], { keepDims: true }), eps));
  return affine(reshape(div(centred, deviation), x.shape), gamma, beta);
}

/** x / max(|x|, eps), or x / sqrt(|x|^2 + eps) with `add`; over the last axis. */
export function l2Normalize(x: Ref, { eps = 1e-150, mode = 'max' as 'max' | 'add' } = {}): Ref {
  const squares = sum(square(x), -1, { keepDims: true });
  return div(x, sqrt(mode === 'add' ? add(squares, eps) : maximum(squares, eps * eps)));
}

// Softmax family, over the last axis
export function logSumExp(x: Ref, { keepDims = false } = {}): Ref {
  const top = maximum(stopGradient(max(x, -1, { keepDims: true })), -Number.MAX_VALUE); // a row of -Infinity gives -Infinity
  const y = add(log(sum(exp(sub(x, top)), -1, { keepDims: true })), top);
  return keepDims ? y : reshape(y, x.shape.slice(0, -1));
}

export const logSoftmax = (x: Ref) => sub(x, logSumExp(x, { keepDims: true }));
export const softmax = (x: Ref) => exp(logSoftmax(x));

/** logits: [N, C], labels: N integers -> [N] */
export function crossEntropy(logits: Ref, labels: ArrayLike<number>): Ref {
  const [N, C] = logits.shape;
  return neg(
    take(
      logSoftmax(logits),
      [N],
      Int32Array.from({ length: N }, (_, i) => i * C + labels[i]),
    ),
  );
}

/** Means over rows of cos(t p) and sin(t p) at t = 0, step, ... p: [B, N, K] -> [B, K, knots, 2] */
export function characteristic(p: Ref, { knots, step }: { knots: number; step: number }): Ref {
  const t = leaf(
    [knots],
    Float64Array.from({ length: knots }, (_, j) => j * step),
  );
  const waves = mul(reshape(p, [...p.shape, 1]), t); // [B, N, K, knots]
  const shape = [p.shape[0], p.shape[2], knots, 1];
  return concatenate(
    [cos(waves), sin(waves)].map((w) => reshape(mean(w, 1), shape)),
    -1,
  );
}

/** Scaled dot-product attention of [N, T, D], [N, S, D], [N, S, D]: dense, a head and a sample at a time. */
export function attention(
  q: Ref,
  k: Ref,
  v: Ref,
  options: { heads?: number; scale?: number; causal?: boolean; lengths?: ArrayLike<number> } = {},
): Ref {
  const [N, T, D] = q.shape;
  const S = k.shape[1];
  const { heads = 1, causal = false, lengths } = options;
  const width = D / heads;
  const { scale = 1 / Math.sqrt(width) } = options;
  const part = (x: Ref, n: number, h: number) =>
    reshape(slice(x, [n, 0, h * width], [1, x.shape[1], width]), [x.shape[1], width]);
  const samples: Ref[] = [];
  for (let n = 0; n < N; n++) {
    const seen = Float64Array.from({ length: T * S }, (_, at) => {
      const [i, j] = [Math.floor(at / S), at % S];
      return Number(j < (lengths ? lengths[n] : S) && !(causal && j > i));
    });
    const mask = leaf([T, S], seen);
    const parts: Ref[] = [];
    for (let h = 0; h < heads; h++) {
      const scores = mul(matmul(part(q, n, h), part(k, n, h), { transposeB: true }), scale);
      // A row without keys has equal weights before they are multiplied by zeros.
      const weights = mul(softmax(select(mask, scores, -1e30)), mask);
      parts.push(matmul(weights, part(v, n, h)));
    }
    samples.push(reshape(concatenate(parts, 1), [1, T, D]));
  }
  return concatenate(samples, 0);
}

/** t: [N] -> [N, width]: cosines, sines, and a 0 where the width is odd. */
export function timestepEmbedding(
  t: Ref,
  { width, maxPeriod = 1e4 }: { width: number; maxPeriod?: number },
): Ref {
  const half = Math.floor(width / 2);
  const rates = leaf(
    [half],
    Float64Array.from({ length: half }, (_, j) => Math.exp((-Math.log(maxPeriod) * j) / half)),
  );
  const phases = mul(reshape(t, [-1, 1]), rates);
  return pad(concatenate([cos(phases), sin(phases)], -1), [0, 0], [0, width % 2]);
}
