import { checkFunction, checkNumber, checkOptions, inRange, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { checkChoice } from '../graph/check.ts';
import { constant, initialOf, type Scalar, type Tensor, type Variable, variable } from '../graph/tensor.ts';
import { permutationArray } from '../ops/random.ts';
import { concatenate, gather } from '../ops/shape.ts';
import { encodeBatch } from '../text/batch.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { epochIndices } from './dataset.ts';
import { lexicographerFiles, type Synset } from './synsets.ts';

/** Texts in memory. */
export interface Texts {
  texts: readonly string[];
  /** The class of each text. */
  labels?: Uint32Array;
  /** For each text others that belong to it, such as sentences in which the word is used that it defines; none for most. */
  partners?: readonly (readonly string[])[];
}

/** Texts as rows of token ids, and what belongs to them. */
export interface TextSet {
  readonly name: string;
  /** N, the number of texts, without those that only belong to one. */
  readonly count: number;
  /** T, the tokens of a row. */
  readonly length: number;
  /** The tokens of the N texts, then of those that belong to them: u32 [N', T], padding at the end. */
  readonly ids: Variable;
  readonly texts: readonly string[];
  /** The classes of the N texts. */
  readonly labels: Uint32Array | null;
  readonly tokenizer: Tokenizer;
  /**
   * Each text with each that belongs to it, as rows of `ids`: u32 [count]. One that nothing belongs to is a pair with itself. Null where nothing
   * belongs to any text.
   */
  readonly pairs: { readonly count: number; readonly first: Variable; readonly second: Variable } | null;
}

/** The ways in which two views of a text are made. */
export const TEXT_VIEWS = ['dropout', 'examples'] as const;
export type TextViews = (typeof TEXT_VIEWS)[number];

/**
 * Texts as rows of token ids; those of more tokens lose their end. Nothing is uploaded before a step uses them.
 * @param options.length T. Default 32
 * @param options.name of the variables. Default 'texts'
 * @throws InputError for texts that are no strings, labels or partners of another number, and what is no tokenizer
 */
export function textSet(
  data: Texts,
  options: { tokenizer: Tokenizer; length?: number; name?: string },
): TextSet {
  checkOptions('textSet', data, ['texts', 'labels', 'partners']);
  checkOptions('textSet', options, ['tokenizer', 'length', 'name']);
  const { texts, labels = null, partners = null } = data;
  const { tokenizer, length = 32, name = 'texts' } = options;
  checkFunction('textSet', 'tokenizer.encode', Object(tokenizer).encode);
  if (!Array.isArray(texts) || !texts.length)
    throw new InputError(
      `textSet: expected an array of at least one string for "texts", got ${shown(texts)}`,
    );
  for (const [what, list] of Object.entries({ labels, partners }))
    if (list !== null && list.length !== texts.length)
      throw new InputError(
        `textSet: expected ${texts.length} ${what}, one for each text, got ${shown(list)}`,
      );
  const others = partners?.flat() ?? [];
  const { ids, shape } = encodeBatch(tokenizer, [...texts, ...others], { length });
  return {
    ...{ name, count: texts.length, length, texts, labels, tokenizer },
    ids: variable(shape, { dtype: 'u32', name: `${name}.ids`, initial: ids }),
    pairs: others.length ? pairsOf(partners!, name) : null,
  };
}

function pairsOf(partners: readonly (readonly string[])[], name: string): TextSet['pairs'] {
  const [first, second]: [number[], number[]] = [[], []];
  let next = partners.length;
  for (const [i, list] of partners.entries()) {
    const rows = list.length ? list.map(() => next++) : [i];
    first.push(...rows.map(() => i));
    second.push(...rows);
  }
  const count = first.length;
  const rowsOf = (part: string, rows: number[]) =>
    variable([count], { dtype: 'u32', name: `${name}.${part}`, initial: Uint32Array.from(rows) });
  return { count, first: rowsOf('first', first), second: rowsOf('second', second) };
}

/** The pairs of a set. @throws InputError where it has none */
function pairsIn({ pairs, name }: TextSet) {
  if (pairs) return pairs;
  throw new InputError(
    `pairs of examples: expected texts that others belong to, such as glosses, got "${name}"`,
  );
}

/** How many samples an epoch has: texts, or pairs of these. */
export const samplesOf = (set: TextSet, views: TextViews = 'dropout'): number =>
  views === 'examples' ? pairsIn(set).count : set.count;

/** Which samples a batch has, and how the second view of each is made. */
export interface TextSampling {
  /** N, the samples of the batch. */
  rows: number;
  /** `dropout`: the text again, for an encoder with dropout; `examples`: one that belongs to it, or else the text again. Default 'dropout'. */
  views?: TextViews;
  /** A random batch of the epoch of this step, each sample once an epoch. */
  seed?: Scalar;
  step?: Scalar;
  /** Instead: the samples from this one on, evenly spaced over the set. */
  spaced?: boolean;
}

/**
 * Two views of the texts of a batch.
 * @returns u32 [2N, T], all of view A first
 * @throws InputError for more rows than there are samples, and for examples where there are none
 */
export function textViews(
  set: TextSet,
  { rows, views = 'dropout', seed = 0, step, spaced }: TextSampling,
): Tensor {
  checkChoice('textViews', 'views', views, TEXT_VIEWS);
  const samples = samplesOf(set, views);
  checkNumber('textViews', 'rows', rows, { least: 1, most: samples, whole: true });
  const sample = spaced
    ? constant(spacedSamples(samples, rows), [rows], 'u32')
    : epochIndices(samples, { rows, seed, step: step ?? 0 });
  const { first, second } = views === 'examples' ? pairsIn(set) : { first: null, second: null };
  const of = (rowsOfView: Variable | null) => (rowsOfView ? gather(rowsOfView, sample) : sample);
  return gather(set.ids, concatenate([of(first), of(second)]));
}

const spacedSamples = (samples: number, rows: number): Uint32Array =>
  Uint32Array.from({ length: rows }, (_, i) => Math.floor((i * samples) / rows));

/** The texts of view A of {@link textViews} with `spaced`, as indices of the set. */
export function spacedTexts(set: TextSet, rows: number, views: TextViews = 'dropout'): Uint32Array {
  const samples = spacedSamples(samplesOf(set, views), rows);
  const first = views === 'examples' ? (initialOf(pairsIn(set).first) as Uint32Array) : null;
  return first ? samples.map((at) => first[at]) : samples;
}

/** The texts of a random batch of the epoch of a step. @returns u32 [N, T] */
export const textBatch = (
  set: TextSet,
  { rows, seed, step }: { rows: number; seed: Scalar; step: Scalar },
): Tensor => gather(set.ids, epochIndices(set.count, { rows, seed, step }));

/** The ids of the N texts of a set, u32 [N, T], without those that belong to them. */
export const idsOf = ({
  ids,
  count,
  length,
}: TextSet): { ids: Uint32Array; shape: readonly [number, number] } => ({
  ids: (initialOf(ids) as Uint32Array).subarray(0, count * length),
  shape: [count, length],
});

/** How often each token occurs in the texts of a set, [vocabulary], without padding. */
export function tokenCounts({ tokenizer, texts, length }: TextSet): Uint32Array {
  const counts = new Uint32Array(tokenizer.size);
  for (const text of texts) for (const id of tokenizer.encode(text).subarray(0, length)) counts[id]++;
  return counts;
}

/** Synsets whose definitions are for training and for testing. */
export interface GlossOptions {
  /** Synsets in all. Default 12,000: those that have examples, and others at random. */
  count?: number;
  /** How many of these are held out. Default a sixth. */
  held?: number;
  /** Default 0. */
  seed?: number;
}

/**
 * Definitions of synsets, with the numbers of their lexicographer files as labels and their examples as what belongs to them. Those
 * with examples come before others, then a part is held out at random: a definition and its examples are on one side.
 * @returns texts in random order, and the names of the classes by label
 * @throws InputError for more than there are
 */
export function glossTexts(
  synsets: readonly Synset[],
  options: GlossOptions = {},
): { train: Texts; test: Texts; classNames: string[] } {
  checkOptions('glossTexts', options, ['count', 'held', 'seed']);
  const { count = Math.min(12_000, synsets.length), seed = 0 } = options;
  checkNumber('glossTexts', 'count', count, { least: 2, most: synsets.length, whole: true });
  const { held = Math.floor(count / 6) } = options;
  checkNumber('glossTexts', 'held', held, { least: 1, most: count - 1, whole: true });
  if (!inRange(seed, { least: 0, whole: true }))
    throw new InputError(`glossTexts: expected a whole number of at least 0 for "seed", got ${shown(seed)}`);
  const order = Array.from(permutationArray(synsets.length, { seed }), (i) => synsets[i]);
  const exemplified = order.filter(({ examples }) => examples.length > 0);
  const chosen = [...exemplified, ...order.filter(({ examples }) => !examples.length)].slice(0, count);
  const files = [...new Set(chosen.map(({ file }) => file))].sort((a, b) => a - b);
  const shuffled = Array.from(permutationArray(count, { seed: seed + 1 }), (i) => chosen[i]);
  const part = (some: Synset[]): Texts => ({
    texts: some.map(({ definition }) => definition),
    labels: Uint32Array.from(some, ({ file }) => files.indexOf(file)),
    partners: some.map(({ examples }) => examples),
  });
  return {
    train: part(shuffled.slice(held)),
    test: part(shuffled.slice(0, held)),
    classNames: files.map((file) => lexicographerFiles[file].replace(/^noun\./, '')),
  };
}
