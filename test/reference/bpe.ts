// Byte-level BPE as in minbpe (its RegexTokenizer): everything counted again for each merge, and merges of a word one by one.

const WORDS = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

export type Pair = [left: number, right: number];

/** The words of a text as lists of bytes. */
const wordsOf = (text: string): number[][] =>
  Array.from(text.matchAll(WORDS), ([word]) => Array.from(new TextEncoder().encode(word)));

/** Every occurrence of a pair in a list replaced, from left to right. */
function replaced(ids: readonly number[], [left, right]: Pair, by: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    const found = ids[i] === left && ids[i + 1] === right;
    result.push(found ? by : ids[i]);
    if (found) i++;
  }
  return result;
}

/** The merges of texts: of the most frequent pairs, of equal counts the one that is found first. */
export function trainBpe(texts: readonly string[], most: number, least = 2): Pair[] {
  let words = texts.flatMap(wordsOf);
  const merges: Pair[] = [];
  while (merges.length < most) {
    const counts = new Map<string, number>();
    for (const ids of words)
      for (let i = 0; i + 1 < ids.length; i++)
        counts.set(`${ids[i]} ${ids[i + 1]}`, (counts.get(`${ids[i]} ${ids[i + 1]}`) ?? 0) + 1);
    let best: Pair | undefined;
    let count = least - 1;
    for (const [key, n] of counts) {
      const [left, right] = key.split(' ').map(Number);
      if (n <= count) continue;
      [best, count] = [[left, right], n];
    }
    if (!best) break;
    const pair = best; // which stays as it is while words are mapped
    const id = 255 + merges.push(pair);
    words = words.map((ids) => replaced(ids, pair, id));
  }
  return merges;
}

/** The tokens of a text: in each word the lowest merge that applies, at its leftmost place, until none does. `results` are their tokens. */
export function encodeBpe(
  text: string,
  merges: readonly Pair[],
  { byteIds = (byte: number) => byte, results = merges.map((_, i) => 256 + i) } = {},
): number[] {
  const ranks = new Map(merges.map((pair, rank) => [pair.join(), rank]));
  return wordsOf(text).flatMap((bytes) => {
    const ids = bytes.map((byte) => byteIds(byte));
    for (;;) {
      let [rank, place] = [Number.POSITIVE_INFINITY, -1];
      for (let i = 0; i + 1 < ids.length; i++) {
        const found = ranks.get(`${ids[i]},${ids[i + 1]}`) ?? Number.POSITIVE_INFINITY;
        if (found < rank) [rank, place] = [found, i];
      }
      if (place < 0) return ids;
      ids.splice(place, 2, results[rank]);
    }
  });
}
