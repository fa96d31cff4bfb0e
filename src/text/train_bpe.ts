import { checkNumber, checkOptions } from '../gpu/check.ts';
import { bpe, type Merge } from './bpe.ts';
import { BYTE_CHARACTERS, byteLevelWords } from './byte_level.ts';
import { bytesOf } from './bytes.ts';
import { Heap } from './heap.ts';
import { SPECIAL_COUNT, specialsAfter } from './special.ts';
import { checkTexts, MOST_TOKENS, type Tokenizer } from './tokenizer.ts';
import { countUnits } from './vocabulary.ts';

/** Two neighbouring tokens of the words. */
interface Pair {
  left: number;
  right: number;
  /** How often it occurs in the texts; in "aaa" the pair (a, a) occurs twice. */
  count: number;
  /** Where it was found, ascending. It may be gone from there since. */
  places: number[];
  /** Before this index of `places` it is gone. */
  start: number;
  /** Its count and first place as the heap knows them. */
  known: { count: number; place: number };
}

/** The different words of texts, their tokens one after the other in one list. A token has the place of its first byte. */
interface Words {
  /** -1 where a token was merged with the one before it. */
  ids: Int32Array;
  /** The places of the neighbours in the same word, else -1. */
  next: Int32Array;
  previous: Int32Array;
  /** How often the word occurs. */
  weights: Float64Array;
}

function listWords(counts: ReadonlyMap<string, number>): Words {
  let size = 0;
  for (const word of counts.keys()) size += bytesOf(word);
  const [ids, next, previous] = [new Int32Array(size), new Int32Array(size), new Int32Array(size)];
  const weights = new Float64Array(size);
  const encoder = new TextEncoder();
  let start = 0;
  for (const [word, count] of counts) {
    const bytes = encoder.encode(word);
    const end = start + bytes.length;
    ids.set(bytes, start);
    weights.fill(count, start, end);
    for (let place = start; place < end; place++) {
      next[place] = place + 1 < end ? place + 1 : -1;
      previous[place] = place > start ? place - 1 : -1;
    }
    start = end;
  }
  return { ids, next, previous, weights };
}

/**
 * The pairs of words, most frequent first; of equal counts the one whose first place comes first. Counts change only where a pair is
 * merged. From the merge on that makes the later of its tokens, a pair only gets rarer, and its first place later: the heap orders pairs by
 * what they were, and puts the one at its top back if it has changed.
 * @param span more than any token
 * @param least how often a pair must occur
 */
function pairsOf({ ids, next, previous, weights }: Words, span: number, least: number) {
  const pairs = new Map<number, Pair>();
  const heap = new Heap<Pair>(
    ({ known: a }, { known: b }) => a.count > b.count || (a.count === b.count && a.place < b.place),
  );
  /** Pairs that are not in the heap yet. */
  let fresh: Pair[] = [];

  const find = (place: number) => {
    const [left, right] = [ids[place], ids[next[place]]];
    let pair = pairs.get(left * span + right);
    if (!pair) {
      pair = { left, right, count: 0, places: [], start: 0, known: { count: 0, place: 0 } };
      pairs.set(left * span + right, pair);
      fresh.push(pair);
    }
    pair.count += weights[place];
    pair.places.push(place);
  };
  const lose = (place: number) => {
    pairs.get(ids[place] * span + ids[next[place]])!.count -= weights[place];
  };
  const isAt = ({ left, right }: Pair, place: number) =>
    ids[place] === left && next[place] >= 0 && ids[next[place]] === right;
  /** Whether a pair has changed since the heap got it. */
  const changed = (pair: Pair): boolean => {
    while (pair.start < pair.places.length && !isAt(pair, pair.places[pair.start])) pair.start++;
    const { count, known } = pair;
    const place = pair.places[pair.start] ?? ids.length;
    if (count === known.count && place === known.place) return false;
    pair.known = { count, place };
    return true;
  };
  const put = (pair: Pair) => {
    if (pair.count >= least) heap.push(pair);
  };
  for (let place = 0; place < ids.length; place++) if (next[place] >= 0) find(place);

  return {
    /** Takes the first pair, if one is frequent enough. */
    take(): Pair | undefined {
      for (const pair of fresh) if (changed(pair)) put(pair);
      fresh = [];
      let first = heap.pop();
      for (; first && changed(first); first = heap.pop()) put(first);
      return first;
    },
    /** Merges a pair wherever it is, from left to right. */
    merge(pair: Pair, merged: number): void {
      for (const place of pair.places) {
        if (!isAt(pair, place)) continue;
        const other = next[place];
        const [before, after] = [previous[place], next[other]];
        if (before >= 0) lose(before);
        if (after >= 0) lose(other);
        ids[place] = merged;
        ids[other] = -1;
        next[place] = after;
        if (after >= 0) previous[after] = place;
        if (before >= 0) find(before);
        if (after >= 0) find(place);
      }
      pairs.delete(pair.left * span + pair.right);
    },
  };
}

/**
 * Learns at most so many merges of pairs that occur at least so often. Each makes a token of its own: where the bytes of a token stand between
 * the ends of tokens, merges have never crossed these ends, so they went the way that made the token, and it stands there.
 */
function learnMerges(counts: ReadonlyMap<string, number>, most: number, least: number) {
  const tokens = BYTE_CHARACTERS.slice();
  const merges: Merge[] = [];
  const pairs = pairsOf(listWords(counts), 256 + most, least);
  while (merges.length < most) {
    const pair = pairs.take();
    if (!pair) break;
    const { left, right } = pair;
    const merged = tokens.push(tokens[left] + tokens[right]) - 1;
    merges.push([left, right, merged]);
    pairs.merge(pair, merged);
  }
  return { tokens, merges };
}

/**
 * Trains byte-level BPE (Sennrich et al., arXiv 1508.07909; on bytes as GPT-2). Tokens 0 to 255 are the bytes. Within words by GPT-2's
 * regular expression, each further token merges the pair of tokens that is most frequent then; of equal counts the pair that occurs first
 * in the texts, as in minbpe. Overlapping pairs count: "aaa" has (a, a) twice. Special tokens
 * have the last five ids. `encode` applies the merges to each word in the order in which they were learned.
 * @param options.size the most tokens: 256 bytes, merges and 5 special ones. Fewer result if no further pair is frequent enough.
 * @param options.least how often a pair must occur. Default 2.
 * @throws InputError for texts that are no strings, and for a size of less than 261 or more than 2^20
 */
export function trainBpe(texts: readonly string[], options: { size: number; least?: number }): Tokenizer {
  checkTexts('trainBpe', texts);
  checkOptions('trainBpe', options, ['size', 'least']);
  const { size, least = 2 } = options;
  const smallest = 256 + SPECIAL_COUNT;
  checkNumber('trainBpe', 'size', size, { least: smallest, most: MOST_TOKENS, whole: true });
  checkNumber('trainBpe', 'least', least, { least: 1, whole: true });
  const learned = learnMerges(countUnits(texts, byteLevelWords), size - smallest, least);
  return bpe({ ...learned, specials: specialsAfter(learned.tokens.length) });
}
