import { checkFlag, type Tokenizer } from './tokenizer.ts';
import { checkLearning, learnVocabulary, type Vocabulary, vocabularyTokenizer } from './vocabulary.ts';

/** The regular expression whose matches are words: letters, marks and digits, with apostrophes inside; or one other sign. */
export const WORD = "[\\p{L}\\p{M}\\p{N}]+(?:['’][\\p{L}\\p{M}\\p{N}]+)*|[^\\s\\p{L}\\p{M}\\p{N}]";
const WORDS = new RegExp(WORD, 'gu');

const splitter = (lowerCase: boolean) => (text: string) =>
  (lowerCase ? text.toLowerCase() : text).match(WORDS) ?? [];

/** Makes a tokenizer of words from its vocabulary. */
export const words = (learned: Pick<Vocabulary, 'ids' | 'specials'>, lowerCase: boolean): Tokenizer =>
  vocabularyTokenizer({
    ...{ name: 'words', ...learned, separator: ' ' },
    split: splitter(lowerCase),
    file: () => ({
      normalizer: lowerCase ? { type: 'Lowercase' } : null,
      pre_tokenizer: { type: 'Split', pattern: { Regex: WORD }, behavior: 'Removed', invert: true },
      decoder: null,
    }),
  });

/**
 * A tokenizer of words: runs of letters, combining marks and digits, in which apostrophes may stand ("don't"); every other sign is a word of its
 * own. White space only separates, and decoding puts one space between words: a text does not come back as it was. A word that the
 * vocabulary lacks is the unknown token. Ids are in the order of frequency, and of equal frequency in that of first occurrence; special
 * tokens have the last five.
 * @param options.size the most tokens, with the special ones. Default: all words that occur, up to 2^20 tokens.
 * @param options.lowerCase whether capitals are made small first. Default false.
 * @throws InputError for texts that are no strings, and for a size of less than 6
 */
export function trainWords(
  texts: readonly string[],
  options: { size?: number; lowerCase?: boolean } = {},
): Tokenizer {
  const size = checkLearning('trainWords', texts, options, ['lowerCase']);
  checkFlag('trainWords', 'lowerCase', options.lowerCase);
  const { lowerCase = false } = options;
  return words(learnVocabulary(texts, splitter(lowerCase), size), lowerCase);
}
