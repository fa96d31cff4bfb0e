// Texts of the study of tokenizers: glosses of WordNet and names of emoji, their tokenizers, typing errors, and what unknown tokens cost.

import { type Emoji, parseEmoji } from '../data/emoji.ts';
import { parseSynsets, type Synset } from '../data/synsets.ts';
import { bitsArray, permutationArray } from '../ops/random.ts';
import { bytesOf, byteTokenizer } from '../text/bytes.ts';
import { trainCharacters } from '../text/characters.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { trainBpe } from '../text/train_bpe.ts';
import { trainWords, WORD } from '../text/words.ts';

/** The most bytes of a document, so that none is cut. */
export const MOST_BYTES = 64;
/** The most bytes of an example. */
const EXAMPLE_BYTES = 48;
/** Documents held out. */
export const HELD_OUT = 512;

/** Texts of a kind, in random order. */
export interface Domain {
  train: string[];
  test: string[];
}
export type DomainName = 'glosses' | 'emoji';

/** A sentence that a word occurs in, and the entry of a dictionary for that word: its synonyms and the definition. */
export interface TextPair {
  example: string;
  entry: string;
}

/** What the study reads. */
export interface Texts {
  domains: Record<DomainName, Domain>;
  pairs: { train: TextPair[]; test: TextPair[] };
}

/** Pairs held out: the gallery of retrieval. */
export const GALLERY = 512;

const DATA = new URL('../../demos/data/', import.meta.url);
const shuffled = <T>(list: readonly T[], seed: number): T[] =>
  Array.from(permutationArray(list.length, { seed }), (i) => list[i]);
const halves = <T>(list: T[], held: number) => ({ test: list.slice(0, held), train: list.slice(held) });

/** Reads both kinds of text. No synset and no emoji's concept is in both parts. */
export async function readTexts(): Promise<Texts> {
  const synsets = await parseSynsets(await Deno.readFile(new URL('wordnet/nouns.tsv.gz', DATA)));
  const emoji = await parseEmoji(await Deno.readFile(new URL('emoji/emoji.json.gz', DATA)));
  const languages = emoji.languages.filter((language) => language !== 'en');
  const named = (list: readonly Emoji[]) =>
    shuffled(
      list.flatMap((one) => languages.map((language) => keywordsOf(one, language))),
      2,
    );
  return {
    domains: {
      glosses: halves(shuffled(synsets.map(glossOf).filter(fits), 0), HELD_OUT),
      emoji: { train: named(emoji.train), test: named(emoji.test).slice(0, HELD_OUT) },
    },
    pairs: halves(shuffled(pairsOf(synsets), 1), GALLERY),
  };
}

const fits = (text: string) => bytesOf(text) <= MOST_BYTES;

/** The definition, and the examples that find room: `a trip; "a short visit to France"`. */
export const glossOf = ({ definition, examples }: Synset): string =>
  examples.reduce((text, example) => {
    const longer = `${text}; "${example}"`;
    return fits(longer) ? longer : text;
  }, definition);

/** The name of an emoji, and the keywords that find room: `Affe: tier, tiere`. */
export const keywordsOf = ({ names, keywords }: Emoji, language: string): string =>
  keywords[language].reduce((text, keyword, i) => {
    const longer = `${text}${i ? ', ' : ': '}${keyword}`;
    return fits(longer) ? longer : text;
  }, names[language]);

/** The first short example of each synset and its entry: `a drink of gin` and `gin: strong liquor flavored with juniper berries`. */
const pairsOf = (synsets: readonly Synset[]): TextPair[] =>
  synsets.flatMap(({ lemmas, definition, examples }) => {
    const entry = `${lemmas.join(', ')}: ${definition}`;
    const example = examples.find((text) => bytesOf(text) <= EXAMPLE_BYTES);
    return example && fits(entry) ? [{ example, entry }] : [];
  });

/** The tokenizers that are compared. */
export const TOKENIZERS: Readonly<Record<string, (texts: readonly string[]) => Tokenizer>> = {
  characters: (texts) => trainCharacters(texts),
  bytes: () => byteTokenizer(),
  'BPE 512': (texts) => trainBpe(texts, { size: 512 }),
  'BPE 1024': (texts) => trainBpe(texts, { size: 1024 }),
  'BPE 4096': (texts) => trainBpe(texts, { size: 4096 }),
  'words 4096': (texts) => trainWords(texts, { size: 4096 }),
};

/** How a tokenizer cuts a text: for characters and words what each token stands for, by which unknown ones are charged. */
const unitsOf = ({ name }: Tokenizer, text: string): readonly string[] =>
  name === 'characters' ? [...text] : name === 'words' ? (text.match(new RegExp(WORD, 'gu')) ?? []) : [];

/**
 * The bits that spell the unknown units of a text: 8 for each of their bytes, and 8 for the end of each unit. They come on top of what the
 * unknown token itself costs.
 */
export function unknownBits(tokenizer: Tokenizer, text: string): number {
  const units = unitsOf(tokenizer, text);
  const { unknown } = tokenizer.special;
  return tokenizer
    .encode(text)
    .reduce((bits, id, i) => (id === unknown ? bits + 8 * (bytesOf(units[i]) + 1) : bits), 0);
}

/** Bits per byte of documents whose tokens, ends included, cost so many nats; the end of a document counts as one byte, as a new line would. */
export const bitsPerByte = (nats: number, extraBits: number, texts: readonly string[]): number =>
  (nats / Math.LN2 + extraBits) / texts.reduce((bytes, text) => bytes + bytesOf(text) + 1, 0);

/** Tokens per byte of texts, and the share of their tokens that are unknown. */
export function lengthsOf(tokenizer: Tokenizer, texts: readonly string[]) {
  const rows = texts.map((text) => tokenizer.encode(text));
  const total = (of: (row: Uint32Array, i: number) => number) =>
    rows.reduce((sum, row, i) => sum + of(row, i), 0);
  const tokens = total(({ length }) => length);
  const unknown = total((row) => row.filter((id) => id === tokenizer.special.unknown).length);
  return { tokensPerByte: tokens / total((_, i) => bytesOf(texts[i])), unknownShare: unknown / tokens };
}

/**
 * A text with a typing error in each word of two letters or more: two neighbouring letters that differ, at a random place, are swapped. A word
 * of equal letters stays.
 */
export function withTypos(text: string, seed: number): string {
  let word = 0;
  const draws = bitsArray(text.length, { seed });
  return text.replace(/\p{L}{2,}/gu, (letters) => {
    const all = [...letters];
    const places = all.flatMap((letter, i) => (i && letter !== all[i - 1] ? [i] : []));
    const draw = draws[word++];
    if (!places.length) return letters;
    const at = places[draw % places.length];
    [all[at - 1], all[at]] = [all[at], all[at - 1]];
    return all.join('');
  });
}
