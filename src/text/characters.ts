import type { Tokenizer } from './tokenizer.ts';
import { checkLearning, learnVocabulary, type Vocabulary, vocabularyTokenizer } from './vocabulary.ts';

/** The regular expression whose matches are characters. */
export const CHARACTER = '[\\s\\S]';

/** Makes a tokenizer of characters from its vocabulary. */
export const characters = (learned: Pick<Vocabulary, 'ids' | 'specials'>): Tokenizer =>
  vocabularyTokenizer({
    ...{ name: 'characters', ...learned, separator: '' },
    split: (text) => text,
    file: () => ({
      normalizer: null,
      pre_tokenizer: { type: 'Split', pattern: { Regex: CHARACTER }, behavior: 'Isolated', invert: false },
      decoder: { type: 'Fuse' },
    }),
  });

/**
 * A tokenizer of characters, which are code points: an emoji of several, or a letter with a combining mark, is several tokens. Ids are in
 * the order of frequency, and of equal frequency in that of first occurrence; special tokens have the last five.
 * @param options.size the most tokens, with the special ones; other characters are unknown. Default: all that occur, up to 2^20.
 * @throws InputError for texts that are no strings, and for a size of less than 6
 */
export function trainCharacters(texts: readonly string[], options: { size?: number } = {}): Tokenizer {
  const size = checkLearning('trainCharacters', texts, options);
  return characters(learnVocabulary(texts, (text) => text, size));
}
