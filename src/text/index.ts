/**
 * Tokenizers, which turn text into ids and back: characters, bytes, byte-level BPE and words. `hypersphere/text`, or `text` of
 * `hypersphere`.
 * @module
 */
export { encodeBatch, type TextBatch, type TextBatchOptions } from './batch.ts';
export { bytesOf, byteTokenizer } from './bytes.ts';
export { trainCharacters } from './characters.ts';
export { readTokenizer } from './read_tokenizer.ts';
export type { SpecialTokens } from './special.ts';
export type { Tokenizer, TokenizerFile } from './tokenizer.ts';
export { trainBpe } from './train_bpe.ts';
export { trainWords } from './words.ts';
