import { byteLevelFile } from './bpe.ts';
import { BYTE_CHARACTERS } from './byte_level.ts';
import { specialsAfter } from './special.ts';
import { checkText, type Tokenizer, tokenizerOf } from './tokenizer.ts';

/** A tokenizer of bytes: the tokens of a text are the 256 bytes of its UTF-8, with their values as ids; special tokens are 256 to 260. */
export function byteTokenizer(): Tokenizer {
  return tokenizerOf({
    ...{ name: 'bytes', specials: specialsAfter(256), separator: '' },
    encode: (text) => Uint32Array.from(new TextEncoder().encode(text)),
    decode: (ids) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids)),
    file: () => byteLevelFile(BYTE_CHARACTERS, []),
  });
}

/**
 * The number of bytes of a text in UTF-8, where a lone surrogate is U+FFFD: by how much a loss is divided to compare models of different
 * tokenizers. Bits per byte are the sum of -log2 p over the tokens of texts, divided by their bytes.
 * @throws InputError unless it is a string
 */
export function bytesOf(text: string): number {
  checkText('bytesOf', 'text', text);
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bytes += unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3;
    const next = (unit & 0xfc00) === 0xd800 ? text.charCodeAt(i + 1) : 0;
    // Two surrogates are four bytes together.
    if ((next & 0xfc00) === 0xdc00) {
      bytes++;
      i++;
    }
  }
  return bytes;
}
