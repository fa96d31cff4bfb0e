// The texts of a run and their tokenizer: WordNet's definitions, or the lines of a file.
import { resolve } from 'node:path';
import { parseSynsets } from '../data/synsets.ts';
import { glossTexts, type TextSet, type Texts, textSet } from '../data/texts.ts';
import { InputError } from '../gpu/errors.ts';
import { permutationArray } from '../ops/random.ts';
import { byteTokenizer, type Tokenizer, trainBpe, trainCharacters, trainWords } from '../text/index.ts';
import { readRegular, sha256 } from './files.ts';
import type { TextOptions } from './options.ts';

const GLOSSES = new URL('../../demos/data/wordnet/nouns.tsv.gz', import.meta.url);

/** The texts of a run: what to train on and what to test on. */
export interface TextRunData {
  train: Texts;
  test: Texts;
  classNames: string[];
}

/** A sixth of the lines is for testing, at least two: the metrics compare them. */
const TEST_SHARE = 6;
const LEAST_TEST = 2;

/** The lines of a file of text, without white space at their ends. @throws InputError that names the file */
export function linesOfFile(path: string): string[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readRegular(path));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`${path}: expected text in UTF-8`);
  }
  const lines = text.split(/\r\n|[\n\r]/).map((line) => line.trim());
  // A file ends with the end of its last line.
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

/** Reads the texts of a run. @throws InputError in one line that names the option or the file */
export async function readTexts(data: string): Promise<TextRunData> {
  if (data === 'glosses') return glossTexts(await parseSynsets(readRegular(GLOSSES), 'nouns.tsv.gz'));
  const all = linesOfFile(data).filter(Boolean);
  const testing = Math.floor(all.length / TEST_SHARE);
  if (testing < LEAST_TEST)
    throw new InputError(
      `--data: expected at least ${LEAST_TEST * TEST_SHARE} lines of text, a sixth of them for testing, got ${all.length} in ${data}`,
    );
  const order = Array.from(permutationArray(all.length, { seed: 0 }), (i) => all[i]);
  return {
    train: { texts: order.slice(testing) },
    test: { texts: order.slice(0, testing) },
    classNames: [],
  };
}

/** Tokens that a vocabulary needs at least: 256 bytes for BPE, one for others, and the five special ones. */
const LEAST_TOKENS = { bpe: 261, words: 6, characters: 6, bytes: 6 };

/** Trains the tokenizer of a run on the texts to train on, and on those that belong to them. @throws InputError that names the option */
export function tokenizerOf(
  { tokenizer, vocabulary: size }: Pick<TextOptions, 'tokenizer' | 'vocabulary'>,
  { train }: Pick<TextRunData, 'train'>,
): Tokenizer {
  const least = LEAST_TOKENS[tokenizer];
  if (size < least)
    throw new InputError(
      `--vocabulary: expected at least ${least} with --tokenizer ${tokenizer}, got ${size}`,
    );
  const texts = [...train.texts, ...(train.partners?.flat() ?? [])];
  if (tokenizer === 'bytes') return byteTokenizer();
  if (tokenizer === 'characters') return trainCharacters(texts, { size });
  return tokenizer === 'words' ? trainWords(texts, { size, lowerCase: true }) : trainBpe(texts, { size });
}

/** The texts of a run as rows of tokens. */
export const textSetsOf = (
  { train, test }: TextRunData,
  tokenizer: Tokenizer,
  length: number,
): { train: TextSet; test: TextSet } => ({
  train: textSet(train, { tokenizer, length, name: 'train' }),
  test: textSet(test, { tokenizer, length, name: 'test' }),
});

/** SHA-256 of a run's texts and labels, in hexadecimal. */
export const textDigestOf = ({ train, test }: TextRunData): string =>
  sha256(
    JSON.stringify(
      [train, test].map(({ texts, labels, partners }) => [texts, Array.from(labels ?? []), partners ?? []]),
    ),
  );

/** Options for options.json: files by absolute paths. */
export const completedTexts = (options: TextOptions): TextOptions => ({
  ...options,
  data: options.data === 'glosses' ? options.data : resolve(options.data),
});
