import { checkNumber, checkOptions, inRange, isFunction, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { checkFlag, checkTexts, type Tokenizer } from './tokenizer.ts';

/** The longest rows that can be asked for. */
const MOST_LENGTH = 2 ** 20;

/** Texts of different lengths as rows of one length. */
export interface TextBatch {
  /** [N, T], row by row; after the end of a text the padding token. */
  ids: Uint32Array;
  shape: [N: number, T: number];
  /** [N]: the number of tokens of each row without padding. */
  lengths: Uint32Array;
}

/** Options of {@link encodeBatch}. */
export interface TextBatchOptions {
  /** T: longer texts lose their end. Default: that of the longest; room for at least one token of text. */
  length?: number;
  /** Whether each row begins with the begin token. Default false. */
  begin?: boolean;
  /** Whether each text is followed by the end token, also one that is cut. Default false. */
  end?: boolean;
}

/**
 * Encodes texts as the rows of a batch.
 * @throws InputError for texts that are no strings, and for a length that has no room for a token of text
 */
export function encodeBatch(
  tokenizer: Tokenizer,
  texts: readonly string[],
  options: TextBatchOptions = {},
): TextBatch {
  checkTokenizer(tokenizer);
  checkTexts('encodeBatch', texts);
  checkOptions('encodeBatch', options, ['length', 'begin', 'end']);
  const { begin = false, end = false } = options;
  checkFlag('encodeBatch', 'begin', begin);
  checkFlag('encodeBatch', 'end', end);
  const frame = Number(begin) + Number(end);
  if (options.length !== undefined)
    checkNumber('encodeBatch', 'length', options.length, {
      least: frame + 1,
      most: MOST_LENGTH,
      whole: true,
    });
  const { special } = tokenizer;
  const rows = texts.map((text) => tokenizer.encode(text));
  const { length = frame + rows.reduce((most, row) => Math.max(most, row.length), 1) } = options;
  const ids = new Uint32Array(rows.length * length).fill(special.pad);
  const lengths = Uint32Array.from(rows, (row, i) => {
    const text = row.subarray(0, length - frame);
    const start = i * length;
    if (begin) ids[start] = special.begin;
    ids.set(text, start + Number(begin));
    if (end) ids[start + Number(begin) + text.length] = special.end;
    return frame + text.length;
  });
  return { ids, shape: [rows.length, length], lengths };
}

function checkTokenizer(value: unknown): asserts value is Tokenizer {
  const { encode, special } = Object(value) as Partial<Tokenizer>;
  const { pad, begin, end } = Object(special) as Partial<Tokenizer['special']>;
  const isId = (id: unknown) => inRange(id, { least: 0, most: 2 ** 32 - 1, whole: true });
  if (!isFunction(encode) || ![pad, begin, end].every(isId))
    throw new InputError(`encodeBatch: expected a tokenizer for "tokenizer", got ${shown(value)}`);
}
