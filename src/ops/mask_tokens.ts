import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import maskWgsl from '../../shaders/mask_tokens.wgsl' with { type: 'text' };
import { checkNumber, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { checkCall, checkScalar, checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { type Scalar, type Tensor, where } from '../graph/tensor.ts';
import { checkWhole, randomLib } from './random.ts';

/** Options of {@link maskTokens}. */
export interface MaskTokensOptions {
  /** How many tokens there are: ids are 0 to vocabulary - 1. */
  vocabulary: number;
  /** Up to eight ids that are never chosen and that nothing is replaced by: those of padding, the mask and the like. */
  special: readonly number[];
  /** The id of the token that hides others. */
  mask: number;
  /** u32; a number, or a scalar input. */
  seed: Scalar;
  /** u32, counts steps: each chooses others. A number, or a scalar input. */
  step: Scalar;
  /** u32; streams of one seed are independent. Default 0. */
  stream?: Scalar;
  /** The share of a text's tokens that is chosen, 0 to 1. Default .15 (Devlin et al. 2018). */
  rate?: number;
  /** The probability that a chosen token becomes the mask. Default .8. */
  masked?: Scalar;
  /** The probability that a chosen token becomes a random one; the others stay. Default .1. */
  random?: Scalar;
}

type Settings = Required<Omit<MaskTokensOptions, 'special'>> & { special: number[]; taken: number };

/** No token has this id. */
const NONE = 0xffffffff;
/** The most ids that `special` of the options can have: two vectors of the uniform block. */
const MOST_SPECIAL = 8;

const uniforms = (count: number, tokens: number, { special, vocabulary, ...options }: Settings) => {
  const ids = [...special, ...Array<number>(MOST_SPECIAL - special.length).fill(NONE)];
  const { taken, seed, stream, step, mask, rate, masked, random } = options;
  return {
    ...{ count, tokens, taken, vocabulary, seed, stream, step, mask, rate, masked, random },
    ...{ kinds: vocabulary - special.length, special_a: ids.slice(0, 4), special_b: ids.slice(4) },
  };
};
const source = [maskWgsl, gridWgsl, randomLib];

const chooseOp = op({
  name: 'maskTokens',
  dtype: 'u32',
  shape: ([ids]: [ids: Tensor], { taken }: Settings) => {
    const shape = [ids.shape[0], taken];
    return [{ shape }, { shape }];
  },
  kernel: {
    ...{ source, entry: 'choose_tokens', inputs: ['ids'], outputs: ['places', 'labels'] },
    uniform: ({ inputs: [ids], outputs: [{ size }], options }) => uniforms(size, ids.shape[1], options),
    // Four tokens; each with two passes over its text, and two permutations of 500 rounds at most.
    rounds: ({ inputs: [ids] }) => ({
      ...{ size: ids.shape[1], rounds: (n) => 8 * (n + 1) + 4000, expected: 'texts of at most N tokens' },
    }),
    invocations: ({ outputs: [{ size }] }) => Math.ceil(size / 4),
  },
  vjp: () => [null],
});

const hideOp = op({
  name: 'maskTokens',
  dtype: 'u32',
  shape: ([ids]: [ids: Tensor, chosen: Tensor], _: Settings) => ids.shape,
  kernel: {
    ...{ source, entry: 'hide_tokens', inputs: ['given', 'chosen'], outputs: ['hidden'] },
    uniform: ({ inputs: [{ size, shape }], options }) => uniforms(size, shape[1], options),
    rounds: ({ options: { taken } }) => ({
      ...{ size: taken, rounds: (n) => 4 * (n + 12), expected: 'at most N chosen tokens a text' },
    }),
    invocations: ({ inputs: [{ size }] }) => Math.ceil(size / 4),
  },
  vjp: () => [null, null],
});

/**
 * Chooses the tokens of texts that a masked language model predicts, and hides them (Devlin et al. 2018, arXiv 1810.04805, Section 3.1): of
 * the m tokens of a text that are not special, floor(rate m + u) different ones with u uniform on [0, 1), so that each is chosen with
 * probability `rate` and their number varies as little as it can. (BERT's code takes round(.15 m), at least one.) Of the chosen ones, `masked`
 * become the mask, `random` a token that is not special, each equally often, and the rest stay. Nothing is sorted, and the same arguments give
 * the same bits. Not differentiable.
 *
 * @param ids u32 [N, T]; an id of `vocabulary` or more is never chosen
 * @returns `hidden` u32 [N, T]: what the model sees; `places` u32 [N, K]: the places of the chosen tokens in random order, then T, as ids for
 * `takeTokens`, where K = ceil(rate T), at least 1; `labels` u32 [N, K]: the chosen tokens, then 0xffffffff, as labels for `crossEntropy`
 * @throws ShapeError for ids of another type or rank, InputError for options outside their ranges
 */
export function maskTokens(
  ids: Tensor,
  options: MaskTokensOptions,
): { hidden: Tensor; places: Tensor; labels: Tensor } {
  const names = 'vocabulary special mask seed step stream rate masked random';
  checkCall('maskTokens', { ids }, options, names);
  checkTensor('maskTokens', 'ids', ids, { dtype: 'u32', rank: 2 });
  const { vocabulary, mask, seed, step, stream = 0, rate = 0.15, masked = 0.8, random = 0.1 } = options;
  const special = checkSpecial(options);
  for (const [name, value] of Object.entries({ seed, step, stream })) checkWhole('maskTokens', name, value);
  checkNumber(where('maskTokens'), 'rate', rate, { least: 0, most: 1 });
  for (const [name, value] of Object.entries({ masked, random }))
    checkScalar('maskTokens', name, value, { least: 0, most: 1 });
  const taken = Math.max(1, Math.ceil(rate * ids.shape[1]));
  const settings = { vocabulary, special, mask, seed, step, stream, rate, masked, random, taken };
  const [places, labels] = chooseOp([ids], settings);
  return { hidden: hideOp([ids, places], settings), places, labels };
}

/** The special ids, each once, in their order. */
function checkSpecial({ vocabulary, special, mask }: MaskTokensOptions): number[] {
  const at = where('maskTokens');
  checkNumber(at, 'vocabulary', vocabulary, { least: 1, most: 2 ** 24, whole: true });
  const range = { least: 0, most: vocabulary - 1, whole: true };
  checkNumber(at, 'mask', mask, range);
  if (!Array.isArray(special) || special.length > MOST_SPECIAL)
    throw new InputError(
      `${at}: expected an array of at most ${MOST_SPECIAL} ids for "special", got ${shown(special)}`,
    );
  for (const id of special as unknown[]) checkNumber(at, 'special', id, range);
  const sorted = [...new Set(special as number[])].sort((a, b) => a - b);
  if (sorted.length === vocabulary)
    throw new InputError(
      `${at}: expected a token that is not special, got ${vocabulary} special ones of ${vocabulary}`,
    );
  return sorted;
}
