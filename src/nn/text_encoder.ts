import { checkNumber, checkOptions, isFunction, LARGEST_U32 } from '../gpu/check.ts';
import { checkTensor } from '../graph/check.ts';
import {
  constant,
  reshape,
  show,
  type Tensor,
  throwShapeError,
  type Variable,
  where,
} from '../graph/tensor.ts';
import { add, div, maximum, mul } from '../ops/binary.ts';
import { embedding } from '../ops/embedding.ts';
import { sum } from '../ops/reduce.ts';
import { gather, slice } from '../ops/shape.ts';
import { topTokens } from '../ops/top_tokens.ts';
import type { Encoder } from './encoders.ts';
import { dropout } from './image_layers.ts';
import { joinLayers, type Layer, makeLayer } from './layers.ts';
import { learnedTokens, transformer } from './transformer.ts';

/** An encoder of texts, which are ids of tokens, u32 [N, T], with padding only at the end. */
export interface TextEncoder extends Encoder {
  /** How many tokens there are: ids are 0 to vocabulary - 1. */
  readonly vocabulary: number;
  /** The most tokens of a text: `length` of the options, a name that a function has already. */
  readonly mostTokens: number;
  /** The id of the padding token; null where every id is a token of the text. */
  readonly pad: number | null;
  /** Whether tokens attend only to those that do not come after them. */
  readonly causal: boolean;
  /** The embeddings of the tokens, [vocabulary, outputs]. */
  readonly table: Variable;
  /** Embeds tokens, with their positions. ids: u32 [N, T] -> [N, T, outputs] */
  readonly embed: Layer;
  /** Transforms embedded tokens; without the mode's `lengths` ({@link TextEncoder.lengths}) padding is attended to. [N, T, outputs] -> [N, T, outputs] */
  readonly transform: Layer;
  /** Embeds and transforms, and leaves padding out of attention: what h is the mean of. ids: u32 [N, T] -> [N, T, outputs] */
  readonly tokens: Layer;
  /** 1 for a token of the text, 0 for padding and ids outside the vocabulary. ids: u32 [N, T] -> f32 [N, T] */
  readonly present: (ids: Tensor) => Tensor;
  /** How many tokens each text has, without padding. ids: u32 [N, T] -> u32 [N] */
  readonly lengths: (ids: Tensor) => Tensor;
}

/** Whether an encoder is one of texts. */
export const isTextEncoder = (encoder: unknown): encoder is TextEncoder =>
  isFunction(encoder) && 'table' in (encoder as object) && 'transform' in (encoder as object);

/** Options of {@link textEncoder}. */
export interface TextEncoderOptions {
  name?: string;
  seed?: number;
  /** How many tokens there are. */
  vocabulary: number;
  /** The most tokens of a text, each with a position of its own. */
  length: number;
  /** The id of the padding token. Default: none. */
  pad?: number;
  /** Width of a token. Default 64. */
  dimensions?: number;
  /** Blocks. Default 2. */
  depth?: number;
  /** Default 4. */
  heads?: number;
  /** Hidden width of a block over that of a token. Default 2, enough at this width. */
  ratio?: number;
  /**
   * The probability that a number of an embedding, or of what a block adds, is dropped in training: the mode needs the number of the step then.
   * Each text of a batch gets a mask of its own, and each step others. Default .1 (Devlin et al. 2018; Gao et al. 2021).
   */
  dropout?: number;
  /** Tokens attend only to those that do not come after them. Default false. */
  causal?: boolean;
}

/**
 * A transformer of texts, like BERT (Devlin et al. 2018, arXiv 1810.04805) with norms before the parts of a block: embeddings of tokens and of
 * positions, both learned, from a normal distribution with standard deviation .02; h is the mean over the tokens of a text after the last norm. Padding
 * changes nothing; the h of a text without tokens is 0. ids: u32 [N, T] with T up to `length` -> h: f32 [N, dimensions]
 *
 * @throws ShapeError for ids of another type or rank, or longer texts; InputError for options outside their ranges
 * @example
 * const encoder = nn.textEncoder({ vocabulary: tokenizer.size, length: 32, pad: tokenizer.special.pad });
 * const h = encoder(ids, { training: true, step });
 */
export function textEncoder(options: TextEncoderOptions): TextEncoder {
  const names = 'name seed vocabulary length pad dimensions depth heads ratio dropout causal';
  checkOptions(where('textEncoder'), options, names.split(' '));
  const { name = 'encoder', seed = 0, vocabulary, length, pad = null } = options;
  const { dimensions = 64, depth = 2, heads = 4, ratio = 2, dropout: rate = 0.1, causal = false } = options;
  for (const [of, n] of Object.entries({ vocabulary, length, dimensions }))
    checkNumber(where('textEncoder'), of, n, { least: 1, most: 2 ** 24, whole: true });
  checkNumber(where('textEncoder'), 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  if (pad !== null)
    checkNumber(where('textEncoder'), 'pad', pad, { least: 0, most: vocabulary - 1, whole: true });
  const table = learnedTokens({ name: 'tokens', count: vocabulary, width: dimensions, seed });
  const positions = learnedTokens({ name: 'positions', count: length, width: dimensions, seed });
  const block = { width: dimensions, heads, ratio, causal, dropout: rate, seed };
  const transform = transformer({ name: 'blocks', depth, ...block });
  const drop = dropout({ name: 'dropout', rate, seed });
  const check = (ids: Tensor) => checkIds(name, ids, length);
  const embed = makeLayer(
    'embed',
    (ids, mode) => {
      check(ids);
      const places = slice(positions, { starts: [0, 0], sizes: [ids.shape[1], dimensions] });
      return drop(add(embedding(table, ids), places), mode);
    },
    [table, positions],
  );
  const { parameters } = joinLayers(name, [embed, transform]);
  const isText = Float32Array.from({ length: vocabulary }, (_, id) => Number(id !== pad));
  const present = (ids: Tensor) => {
    check(ids);
    return reshape(gather(constant(isText, [vocabulary, 1]), ids), ids.shape);
  };
  const lengths = (ids: Tensor) => topTokens(present(ids), { count: ids.shape[1] }).lengths;
  const tokens = makeLayer(
    '',
    (ids, mode) => transform(embed(ids, mode), { ...mode, lengths: lengths(ids) }),
    parameters,
  );
  const encode = makeLayer(name, (ids, mode) => meanOf(tokens(ids, mode), present(ids)), parameters);
  return Object.assign(encode, {
    ...{ outputs: dimensions, vocabulary, mostTokens: length, pad, causal },
    ...{ table, embed, transform, tokens, present, lengths },
  });
}

/** The mean of the tokens that are there, zeros for none. x: [N, T, D], present: [N, T] -> [N, D] */
function meanOf(x: Tensor, present: Tensor): Tensor {
  const [N, T] = present.shape;
  const total = sum(mul(x, reshape(present, [N, T, 1])), { axes: 1 });
  return div(total, maximum(sum(present, { axes: 1, keepDims: true }), 1));
}

function checkIds(name: string, ids: Tensor, length: number): void {
  checkTensor(name, 'ids', ids, { dtype: 'u32', rank: 2 });
  if (ids.shape[1] > length)
    throwShapeError(name, `expected texts of at most ${length} tokens, got ids ${show(ids.shape)}`);
}
