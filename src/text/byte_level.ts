/**
 * The character that stands for each byte in files (GPT-2's `bytes_to_unicode`): visible ones of Latin-1 for themselves, the others, as
 * the space, for U+0100 and on.
 */
export const BYTE_CHARACTERS: readonly string[] = (() => {
  const visible = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(visible(byte) ? byte : next++));
})();

const BYTES: ReadonlyMap<string, number> = new Map(
  BYTE_CHARACTERS.map((character, byte) => [character, byte]),
);

/** The bytes that characters stand for; undefined if one of them stands for none. */
export function bytesNamed(name: string): Uint8Array | undefined {
  const bytes = new Uint8Array(name.length);
  for (let i = 0; i < name.length; i++) {
    const byte = BYTES.get(name[i]);
    if (byte === undefined) return undefined;
    bytes[i] = byte;
  }
  return bytes;
}

/**
 * The words that merges stay within, by GPT-2's regular expression (`encoder.py`): English endings, letters, digits, other signs, each with
 * a space before it, and white space. `\s` is JavaScript's, which has U+FEFF and lacks U+0085.
 */
const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** Splits a text; the parts joined are the text. */
export const byteLevelWords = (text: string): readonly string[] => text.match(WORDS) ?? [];
