import { checkNumber, checkOptions } from '../gpu/check.ts';
import { SPECIAL_COUNT, type Specials, specialsAfter } from './special.ts';
import { checkTexts, MOST_TOKENS, type Tokenizer, tokenizerOf } from './tokenizer.ts';

/** How often each unit of texts occurs, in the order of first occurrence. */
export function countUnits(
  texts: readonly string[],
  split: (text: string) => Iterable<string>,
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) for (const unit of split(text)) counts.set(unit, (counts.get(unit) ?? 0) + 1);
  return counts;
}

/** A tokenizer whose tokens are the units that a text is split into, and its vocabulary a list of these. */
export interface Vocabulary {
  name: string;
  /** The ids of the units. */
  ids: ReadonlyMap<string, number>;
  specials: Specials;
  split: (text: string) => Iterable<string>;
  /** Between units when they are decoded. */
  separator: string;
  /** How a file says the same. */
  file: () => Pick<ReturnType<Tokenizer['toJSON']>, 'normalizer' | 'pre_tokenizer' | 'decoder'>;
}

/** Makes a tokenizer of a list of units. */
export function vocabularyTokenizer({ name, ids, specials, split, separator, file }: Vocabulary): Tokenizer {
  const units = new Array<string>(specials.size);
  for (const [unit, id] of ids) units[id] = unit;
  const { unknown } = specials.ids;
  return tokenizerOf({
    ...{ name, specials, separator },
    encode: (text) => Uint32Array.from(split(text.toWellFormed()), (unit) => ids.get(unit) ?? unknown),
    decode: (list) => list.map((id) => units[id]).join(separator),
    file: () => ({
      ...file(),
      model: {
        ...{ type: 'WordLevel', vocab: Object.fromEntries(ids) },
        unk_token: specials.names.get(unknown)!,
      },
    }),
  });
}

/**
 * The most frequent units of texts, numbered from 0; of equal counts the one that occurs first. Special tokens follow.
 * @param size the most tokens, with the special ones
 */
export function learnVocabulary(
  texts: readonly string[],
  split: (text: string) => Iterable<string>,
  size: number,
): Pick<Vocabulary, 'ids' | 'specials'> {
  const counts = [...countUnits(texts, (text) => split(text.toWellFormed()))];
  const kept = counts.sort(([, a], [, b]) => b - a).slice(0, size - SPECIAL_COUNT);
  return { ids: new Map(kept.map(([unit], id) => [unit, id])), specials: specialsAfter(kept.length) };
}

/** Checks what a vocabulary is learned from, and returns its largest size. */
export function checkLearning(
  where: string,
  texts: unknown,
  options: { size?: number },
  others: readonly string[] = [],
): number {
  checkTexts(where, texts);
  checkOptions(where, options, ['size', ...others]);
  const { size = MOST_TOKENS } = options;
  checkNumber(where, 'size', size, { least: SPECIAL_COUNT + 1, most: MOST_TOKENS, whole: true });
  return size;
}
