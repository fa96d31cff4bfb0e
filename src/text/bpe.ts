import { BYTE_CHARACTERS, byteLevelWords, bytesNamed } from './byte_level.ts';
import { Heap } from './heap.ts';
import type { Specials } from './special.ts';
import { type Tokenizer, tokenizerOf } from './tokenizer.ts';

/** Two neighbouring tokens, and the one that replaces them. */
export type Merge = readonly [left: number, right: number, merged: number];

/** What a byte-level BPE tokenizer is made of. */
export interface Bpe {
  /** The bytes of each token, by id, as characters of `byte_level.ts`; undefined for special tokens. All 256 bytes are tokens. */
  tokens: readonly (string | undefined)[];
  /** The merges in the order in which they were learned. */
  merges: readonly Merge[];
  specials: Specials;
}

/** A place in a word is below this, so that a rank and a place fit one number. */
const PLACES = 2 ** 32;
/** The words whose tokens are remembered: at most so many, and up to this length. */
const [MOST_REMEMBERED, LONGEST_REMEMBERED] = [2 ** 16, 64];

/** Applies merges to the tokens of a word: always the one that was learned first, and of several places the leftmost. */
function mergerOf(merges: readonly Merge[], size: number): (ids: Int32Array) => Int32Array {
  const ranks = new Map(merges.map(([left, right], rank) => [left * size + right, rank]));
  return (ids) => {
    const end = ids.length;
    const next = Int32Array.from(ids, (_, place) => place + 1);
    const previous = Int32Array.from(ids, (_, place) => place - 1);
    const found = new Heap<number>((a, b) => a < b);
    const look = (place: number) => {
      if (place < 0 || next[place] === end) return;
      const rank = ranks.get(ids[place] * size + ids[next[place]]);
      if (rank !== undefined) found.push(rank * PLACES + place);
    };
    for (let place = 0; place < end; place++) look(place);
    for (let first = found.pop(); first !== undefined; first = found.pop()) {
      const [left, right, merged] = merges[Math.floor(first / PLACES)];
      const place = first % PLACES;
      const other = next[place];
      // One of the two may have been merged with another token since.
      if (ids[place] !== left || other === end || ids[other] !== right) continue;
      ids[place] = merged;
      ids[other] = -1;
      next[place] = next[other];
      if (next[place] < end) previous[next[place]] = place;
      look(previous[place]);
      look(place);
    }
    return ids.filter((id) => id >= 0);
  };
}

/** Makes a byte-level BPE tokenizer from its tokens and merges. */
export function bpe({ tokens, merges, specials }: Bpe): Tokenizer {
  const bytes = tokens.map((token) => (token === undefined ? undefined : bytesNamed(token)!));
  const byName = new Map(tokens.map((token, id) => [token, id]));
  const idOfByte = Int32Array.from(BYTE_CHARACTERS, (character) => byName.get(character)!);
  const merge = mergerOf(merges, specials.size);
  const remembered = new Map<string, Int32Array>();
  const encoder = new TextEncoder();

  const encodeWord = (word: string): Int32Array => {
    const known = remembered.get(word);
    if (known) return known;
    const ids = merge(Int32Array.from(encoder.encode(word), (byte) => idOfByte[byte]));
    if (word.length > LONGEST_REMEMBERED) return ids;
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    remembered.set(word, ids);
    return ids;
  };

  return tokenizerOf({
    ...{ name: 'bpe', specials, separator: '' },
    encode(text) {
      const parts = byteLevelWords(text).map(encodeWord);
      const all = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const part of parts) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    },
    decode(ids) {
      const all = new Uint8Array(ids.reduce((sum, id) => sum + bytes[id]!.length, 0));
      let at = 0;
      for (const id of ids) {
        all.set(bytes[id]!, at);
        at += bytes[id]!.length;
      }
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(all);
    },
    file: () => byteLevelFile(tokens, merges),
  });
}

/** How a file says what a byte-level tokenizer is. */
export function byteLevelFile(
  tokens: Bpe['tokens'],
  merges: readonly Merge[],
): Pick<ReturnType<Tokenizer['toJSON']>, 'normalizer' | 'pre_tokenizer' | 'decoder' | 'model'> {
  const names = tokens.flatMap((token, id): [string, number][] => (token === undefined ? [] : [[token, id]]));
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  } as const;
  return {
    normalizer: null,
    pre_tokenizer: byteLevel,
    decoder: byteLevel,
    model: {
      // Every field that Hugging Face's readers expect.
      ...{ type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null },
      ...{ end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, ignore_merges: false },
      vocab: Object.fromEntries(names),
      merges: merges.map(([left, right]): [string, string] => [tokens[left]!, tokens[right]!]),
    },
  };
}
