import attentionWgsl from '../../shaders/attention.wgsl' with { type: 'text' };
import rowsWgsl from '../../shaders/lib/attention_rows.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import tile8Wgsl from '../../shaders/lib/tile8.wgsl' with { type: 'text' };
import { checkNumber, shown } from '../gpu/check.ts';
import type { Target } from '../gpu/target.ts';
import { checkCall, checkFlag, checkTensor } from '../graph/check.ts';
import { stopGradient } from '../graph/gradient.ts';
import { type Call, type Kernel, op, type Rounds } from '../graph/op.ts';
import { reshape, sameShape, show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';
import { pad, slice } from './shape.ts';

export interface AttentionOptions {
  /** Heads, which share the last axis equally. Default 1. */
  heads?: number;
  /** Factor of the inner products. Default 1 / sqrt(width of a head) (Vaswani et al. 2017, Equation 1). */
  scale?: number;
  /** A query sees only keys that do not come after it. Default false. */
  causal?: boolean;
  /** u32 [N]: how many keys each sample has; those after them are padding. Default: all. */
  lengths?: Tensor;
}

interface Settings {
  samples: number;
  heads: number;
  scale: number;
  causal: boolean;
}

/** Rows of all samples: [samples queries, D] and [samples keys, D]. */
type Inputs = [q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | null];
type GradientInputs = [...Inputs, dy: Tensor, numbers: Tensor];

const source = [attentionWgsl, rowsWgsl, gridWgsl, tile8Wgsl];

/** Who makes a tile of a result, of `side` rows, and vec4s of its columns that each makes: the second where a head has more than the first. */
const FORMS = {
  small: { side: 8, columns: [4, 8], lanes: 1 },
  shared: { side: 32, columns: [8, 16], lanes: 64 },
} as const;
type Form = keyof typeof FORMS;

/** Rounds for each vec4 of the rows of a tile, at most. */
const roundsOf: Record<Form, number> = { small: 1, shared: 7 };

/** A GPU wants workgroup memory, where there is more than one of the small tiles. */
const formFor = (rows: number, { workgroupTiles }: Target): Form =>
  workgroupTiles && rows > 8 ? 'shared' : 'small';

/** The entry points of the passes. */
const FORWARD = { small: 'attention_small', shared: 'attention_shared' };
const QUERIES = { small: 'attention_queries_small', shared: 'attention_queries_shared' };
const KEYS = { small: 'attention_keys_small', shared: 'attention_keys_shared' };

/** The kernel of a pass: tiles of `rows` rows of each head, against all of `others`, with so many inner products of rows for each pair. */
function tiled<I extends Inputs | GradientInputs>(
  call: Call<Settings, I>,
  target: Target,
  { rows, others, products }: { rows: number; others: number; products: number },
  entries: Record<Form, string>,
): Pick<Kernel<Settings, I>, 'source' | 'entry' | 'uniform' | 'constants' | 'rounds' | 'invocations'> {
  const { inputs, options } = call;
  const { samples, heads, scale, causal } = options;
  const sizes = sizesOf(call);
  const form = formFor(rows, target);
  const { side, columns, lanes } = FORMS[form];
  const width = inputs[0].shape[1] / heads / 4;
  const wide = width > columns[0];
  const parts = Math.ceil(width / columns[Number(wide)]);
  const tiles = samples * heads * Math.ceil(rows / side);
  return {
    source,
    entry: entries[form],
    uniform: () => ({
      ...{ heads, ...sizes, width, tiles, parts, scale },
      ...{ causal: Number(causal), masked: Number(inputs[3] !== null) },
    }),
    constants: () => ({ WIDE: Number(wide) }),
    rounds: (): Rounds => ({
      size: others,
      rounds: (n) => Math.ceil(n / side) * (products * (roundsOf[form] * width + 1) + 30),
      expected: 'at most N tokens',
    }),
    invocations: () => tiles * parts * lanes,
  };
}

const sizesOf = <I extends Inputs | GradientInputs>({
  inputs: [q, k],
  options: { samples },
}: Call<Settings, I>) => ({
  queries: q.shape[0] / samples,
  keys: k.shape[0] / samples,
});

const attentionOp = op({
  name: 'attention',
  shape: ([q]: Inputs, { samples, heads }: Settings) => [
    { shape: q.shape },
    { shape: [samples * heads, q.shape[0] / samples, 2] },
  ],
  kernel(call, target): Kernel<Settings, Inputs> {
    const { queries, keys } = sizesOf(call);
    return {
      ...tiled(call, target, { rows: queries, others: keys, products: 1 }, FORWARD),
      inputs: ['q', 'k', 'v', 'lengths'],
      outputs: ['y', 'statistics'],
    };
  },
  vjp(dy, { inputs: [q, k, v, lengths], outputs: [y, statistics], options }) {
    const numbers = numbersOp([y, dy, statistics], options);
    const inputs: GradientInputs = [q, k, v, lengths, dy, numbers];
    const [dk, dv] = keysOp(inputs, options);
    return [queriesOp(inputs, options), dk, dv, null];
  },
});

/** Of each query: its statistics and the mean cotangent of its weights. */
const numbersOp = op({
  name: 'attentionNumbers',
  shape: ([, , statistics]: [y: Tensor, dy: Tensor, statistics: Tensor], _: Settings) => [
    ...statistics.shape.slice(0, 2),
    4,
  ],
  kernel: {
    source,
    entry: 'attention_rows',
    inputs: ['y_read', 'dy_read', 'statistics_read'],
    outputs: ['row_numbers'],
    uniform: ({ inputs: [y], outputs: [numbers], options: { samples, heads, scale } }) => ({
      ...{ heads, queries: y.shape[0] / samples, keys: 0, width: y.shape[1] / heads / 4 },
      ...{ tiles: numbers.size / 4, parts: 1, scale, causal: 0, masked: 0 },
    }),
    rounds: ({ inputs: [y] }) => y.shape[1] / 4 + 1,
    invocations: ({ outputs: [numbers] }) => numbers.size / 4,
  },
});

const GRADIENT_INPUTS = ['q', 'k', 'v', 'lengths', 'dy', 'numbers'];

const queriesOp = op({
  name: 'attentionQueriesGradient',
  shape: ([q]: GradientInputs, _: Settings) => q.shape,
  kernel(call, target): Kernel<Settings, GradientInputs> {
    const { queries, keys } = sizesOf(call);
    return {
      ...tiled(call, target, { rows: queries, others: keys, products: 2 }, QUERIES),
      inputs: GRADIENT_INPUTS,
      outputs: ['dq'],
    };
  },
});

const keysOp = op({
  name: 'attentionKeysGradient',
  shape: ([, k, v]: GradientInputs, _: Settings) => [{ shape: k.shape }, { shape: v.shape }],
  kernel(call, target): Kernel<Settings, GradientInputs> {
    const { queries, keys } = sizesOf(call);
    return {
      ...tiled(call, target, { rows: keys, others: queries, products: 2 }, KEYS),
      inputs: GRADIENT_INPUTS,
      outputs: ['dk', 'dv'],
    };
  },
});

/** Rows [N T, heads width] with heads of whole vec4s: zeros change no inner product. */
function rowsOf(x: Tensor, heads: number): Tensor {
  const [N, T, D] = x.shape;
  if ((D / heads) % 4 === 0) return reshape(x, [N * T, D]);
  const after = [0, -(D / heads) & 3];
  return reshape(pad(reshape(x, [N * T * heads, D / heads]), { before: [0, 0], after }), [N * T, -1]);
}

/**
 * Scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762, Equation 1): `softmax(scale q k^T + mask) v` in each head.
 * Streamed: memory O(T), never T x T. A query all of whose keys are masked gives zeros.
 *
 * @param q queries [N, T, D]; each of the heads has D / heads columns
 * @param k keys [N, S, D]
 * @param v values [N, S, D]
 * @returns [N, T, D]
 * @throws ShapeError for other shapes, for D that the heads cannot share, and for a causal mask unless S = T
 * @example
 * const y = attention(q, k, v, { heads: 4, causal: true });
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions = {}): Tensor {
  checkCall('attention', { q, k, v }, options, 'heads scale causal lengths');
  const { heads = 1, causal = false, lengths = null } = options;
  checkNumber(where('attention'), 'heads', heads, { least: 1, whole: true });
  checkFlag('attention', 'causal', causal);
  for (const [name, x] of Object.entries({ q, k, v }))
    checkTensor('attention', name, x, { dtype: 'f32', rank: 3 });
  const [N, T, D] = q.shape;
  const [, S] = k.shape;
  if (!sameShape(k.shape, [N, S, D]) || !sameShape(v.shape, k.shape))
    throwShapeError(
      'attention',
      `expected [N, T, D], [N, S, D] and [N, S, D], got ${show(q.shape)}, ${show(k.shape)} and ${show(v.shape)}`,
    );
  if (D % heads)
    throwShapeError('attention', `expected rows that ${heads} heads can share, got ${show(q.shape)}`);
  if (causal && S !== T)
    throwShapeError('attention', `expected as many keys as queries with "causal", got ${S} and ${T}`);
  if (lengths !== null) {
    checkTensor('attention', 'lengths', lengths, { dtype: 'u32', rank: 1 });
    if (lengths.size !== N)
      throwShapeError('attention', `expected lengths [${N}], got ${show(lengths.shape)}`);
  }
  const width = D / heads;
  const { scale = 1 / Math.sqrt(width) } = options;
  if (!Number.isFinite(scale)) throwShapeError('attention', `expected a finite scale, got ${shown(scale)}`);
  const settings: Settings = { samples: N, heads, scale, causal };
  const [rows, keys, values] = [q, k, v].map((x) => rowsOf(x, heads));
  const [y] = attentionOp([rows, keys, values, lengths && stopGradient(lengths)], settings);
  if (width % 4 === 0) return reshape(y, q.shape);
  const whole = reshape(y, [N * T * heads, -1]);
  return reshape(slice(whole, { starts: [0, 0], sizes: [N * T * heads, width] }), q.shape);
}
