import attentionWgsl from '../../shaders/attention.wgsl' with { type: 'text' };
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
  heads: number;
  scale: number;
  causal: boolean;
}

type Inputs = [q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | null];
type GradientInputs = [...Inputs, dy: Tensor, numbers: Tensor];

const source = [attentionWgsl, gridWgsl, tile8Wgsl];

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
  { inputs: [q, k, , lengths], options: { heads, scale, causal } }: Call<Settings, I>,
  target: Target,
  { rows, others, products }: { rows: number; others: number; products: number },
  entries: Record<Form, string>,
): Pick<Kernel<Settings, I>, 'source' | 'entry' | 'uniform' | 'constants' | 'rounds' | 'invocations'> {
  const form = formFor(rows, target);
  const { side, columns, lanes } = FORMS[form];
  const [N, queries, D] = q.shape;
  const width = D / heads / 4;
  const wide = width > columns[0];
  const parts = Math.ceil(width / columns[Number(wide)]);
  const tiles = N * heads * Math.ceil(rows / side);
  return {
    source,
    entry: entries[form],
    uniform: () => ({ heads, queries, keys: k.shape[1], width, tiles, parts, scale }),
    constants: () => ({ CAUSAL: Number(causal), LENGTHS: Number(lengths !== null), WIDE: Number(wide) }),
    rounds: (): Rounds => ({
      size: others,
      rounds: (n) => Math.ceil(n / side) * (products * (roundsOf[form] * width + 1) + 30),
      expected: 'at most N tokens',
    }),
    invocations: () => tiles * parts * lanes,
  };
}

const sizesOf = ([q, k]: Inputs | GradientInputs) => ({ queries: q.shape[1], keys: k.shape[1] });

const attentionOp = op({
  name: 'attention',
  shape: ([q]: Inputs, { heads }: Settings) => [
    { shape: q.shape },
    { shape: [q.shape[0] * heads, q.shape[1], 2] },
  ],
  kernel(call, target): Kernel<Settings, Inputs> {
    const { queries, keys } = sizesOf(call.inputs);
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
    uniform: ({ inputs: [y], outputs: [numbers], options: { heads, scale } }) => ({
      ...{ heads, queries: y.shape[1], keys: 0, width: y.shape[2] / heads / 4 },
      ...{ tiles: numbers.size / 4, parts: 1, scale },
    }),
    rounds: ({ inputs: [y] }) => y.shape[2] / 4 + 1,
    invocations: ({ outputs: [numbers] }) => numbers.size / 4,
  },
});

const GRADIENT_INPUTS = ['q', 'k', 'v', 'lengths', 'dy', 'numbers'];

const queriesOp = op({
  name: 'attentionQueriesGradient',
  shape: ([q]: GradientInputs, _: Settings) => q.shape,
  kernel(call, target): Kernel<Settings, GradientInputs> {
    const { queries, keys } = sizesOf(call.inputs);
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
    const { queries, keys } = sizesOf(call.inputs);
    return {
      ...tiled(call, target, { rows: keys, others: queries, products: 2 }, KEYS),
      inputs: GRADIENT_INPUTS,
      outputs: ['dk', 'dv'],
    };
  },
});

/** Heads of whole vec4s: zeros change no inner product. */
function fill(x: Tensor, heads: number, width: number): Tensor {
  const [N, T] = x.shape;
  const padded = pad(reshape(x, [N * T * heads, width]), { before: [0, 0], after: [0, -width & 3] });
  return reshape(padded, [N, T, padded.size / (N * T)]);
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
  const inputs = (width % 4 ? [q, k, v].map((x) => fill(x, heads, width)) : [q, k, v]) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const settings: Settings = { heads, scale, causal };
  const [y] = attentionOp([...inputs, lengths && stopGradient(lengths)], settings);
  if (width % 4 === 0) return y;
  const whole = reshape(y, [N * T * heads, y.size / (N * T * heads)]);
  return reshape(slice(whole, { starts: [0, 0], sizes: [N * T * heads, width] }), [N, T, D]);
}
