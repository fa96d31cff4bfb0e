import { checkOptions, inRange, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import type { Specials, SpecialTokens } from './special.ts';

/** Turns text into the ids of tokens, and back. */
export interface Tokenizer {
  /** What its tokens are: `characters`, `bytes`, `bpe` or `words`. */
  readonly name: string;
  /** The number of tokens, with the special ones: ids are 0 to size - 1. */
  readonly size: number;
  readonly special: Readonly<SpecialTokens>;
  /**
   * The tokens of a text. It is nothing but text: where it says `<mask>`, no special token results. A lone surrogate, which is no
   * character, counts as U+FFFD, as in every UTF-8 encoder.
   * @throws InputError unless it is a string
   */
  encode(text: string): Uint32Array;
  /**
   * The text of tokens. Bytes that are not UTF-8, as tokens cut out of a character, become U+FFFD, and so does the unknown token. Other
   * special tokens are left out.
   * @param options.special whether special tokens are written by their names, as `<pad>`. Default false.
   * @throws InputError for an id that no token has
   */
  decode(ids: ArrayLike<number>, options?: { special?: boolean }): string;
  /**
   * The tokenizer as the contents of a tokenizer.json file: `JSON.stringify(tokenizer)` writes that, `readTokenizer` reads it. Ids and
   * results are the same again.
   */
  toJSON(): TokenizerFile;
}

/** A tokenizer.json file, the format of Hugging Face's tokenizers, as far as it is used here. */
export interface TokenizerFile {
  version: string;
  truncation: null;
  padding: null;
  added_tokens: AddedToken[];
  normalizer: { type: 'Lowercase' } | null;
  pre_tokenizer:
    | { type: 'ByteLevel'; add_prefix_space: boolean; trim_offsets: boolean; use_regex: boolean }
    | { type: 'Split'; pattern: { Regex: string }; behavior: 'Isolated' | 'Removed'; invert: boolean };
  post_processor: null;
  decoder:
    | { type: 'ByteLevel'; add_prefix_space: boolean; trim_offsets: boolean; use_regex: boolean }
    | { type: 'Fuse' }
    | null;
  model:
    | { type: 'BPE'; vocab: Record<string, number>; merges: [left: string, right: string][] }
    | { type: 'WordLevel'; vocab: Record<string, number>; unk_token: string };
}

interface AddedToken {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

/** The most tokens of a vocabulary. */
export const MOST_TOKENS = 2 ** 20;

/** What distinguishes one kind of tokenizer from another. */
interface Kind {
  name: string;
  specials: Specials;
  /** Between tokens that are decoded apart: special ones, and those between them. */
  separator: string;
  encode: (text: string) => Uint32Array;
  /** The text of tokens that are not special. */
  decode: (ids: readonly number[]) => string;
  /** The parts of the file that differ; `vocab` without special tokens. */
  file: () => Pick<TokenizerFile, 'normalizer' | 'pre_tokenizer' | 'decoder' | 'model'>;
}

/** Makes a tokenizer: checks of arguments, special tokens, and the frame of the file. */
export function tokenizerOf({ name, specials, separator, encode, decode, file }: Kind): Tokenizer {
  const { ids: special, names, size } = specials;
  return {
    ...{ name, size, special },
    encode(text) {
      checkText(`${name}.encode`, 'text', text);
      return encode(text);
    },
    decode(ids, options = {}) {
      checkIds(`${name}.decode`, ids, size);
      checkOptions(`${name}.decode`, options, ['special']);
      checkFlag(`${name}.decode`, 'special', options.special);
      const parts: string[] = [];
      let run: number[] = [];
      const add = (text: string) => {
        if (run.length) parts.push(decode(run));
        run = [];
        if (text) parts.push(text);
      };
      for (let i = 0; i < ids.length; i++) {
        const known = names.get(ids[i]);
        if (known === undefined) run.push(ids[i]);
        else if (options.special) add(known);
        else if (ids[i] === special.unknown) add('\ufffd');
      }
      add('');
      return parts.join(separator);
    },
    toJSON() {
      const parts = file();
      const inOrder = [...names].sort(([a], [b]) => a - b);
      const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
      // Special tokens are in the vocabulary, too, as the trainers of Hugging Face write them.
      const vocab = Object.entries(parts.model.vocab).concat(inOrder.map(([id, content]) => [content, id]));
      return {
        ...{ version: '1.0', truncation: null, padding: null },
        added_tokens: inOrder.map(([id, content]) => ({ id, content, ...flags })),
        ...{ normalizer: parts.normalizer, pre_tokenizer: parts.pre_tokenizer, post_processor: null },
        decoder: parts.decoder,
        model: { ...parts.model, vocab: Object.fromEntries(vocab.sort(([, a], [, b]) => a - b)) },
      };
    },
  };
}

/** @throws InputError: `bpe.encode: expected a string for "text", got null` */
export function checkText(where: string, name: string, text: unknown): asserts text is string {
  if (typeof text !== 'string')
    throw new InputError(`${where}: expected a string for "${name}", got ${shown(text)}`);
}

/** @throws InputError unless they are an array of one string or more */
export function checkTexts(where: string, texts: unknown): asserts texts is readonly string[] {
  if (!Array.isArray(texts) || !texts.length)
    throw new InputError(
      `${where}: expected an array of at least one string for "texts", got ${shown(texts)}`,
    );
  for (let i = 0; i < texts.length; i++) checkText(where, `texts[${i}]`, texts[i]);
}

/** @throws InputError unless it is true, false or undefined */
export function checkFlag(where: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean')
    throw new InputError(`${where}: expected true or false for "${name}", got ${shown(value)}`);
}

function checkIds(where: string, ids: unknown, size: number): asserts ids is ArrayLike<number> {
  if (!Array.isArray(ids) && !(ArrayBuffer.isView(ids) && 'length' in ids))
    throw new InputError(`${where}: expected an array of token ids for "ids", got ${shown(ids)}`);
  const list = ids as ArrayLike<unknown>;
  for (let i = 0; i < list.length; i++)
    if (!inRange(list[i], { least: 0, most: size - 1, whole: true }))
      throw new InputError(
        `${where}: expected token ids of 0 to ${size - 1}, got ${shown(list[i])} at place ${i}`,
      );
}
