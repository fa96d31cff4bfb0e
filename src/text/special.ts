/** The ids of the tokens that stand for no text. */
export interface SpecialTokens {
  /** Fills a row of a batch after the end of its text. */
  pad: number;
  /** Replaces text that the vocabulary lacks. Bytes and byte-level BPE lack none. */
  unknown: number;
  /** Hides a token from a masked language model. */
  mask: number;
  /** Precedes a text. */
  begin: number;
  /** Follows a text. */
  end: number;
}

/** Their names in files: RoBERTa's, which are written, then those of BERT and GPT-2, which are read as well. */
const NAMES: Readonly<Record<keyof SpecialTokens, readonly string[]>> = {
  pad: ['<pad>', '[PAD]'],
  unknown: ['<unk>', '[UNK]'],
  mask: ['<mask>', '[MASK]'],
  begin: ['<s>', '[CLS]'],
  end: ['</s>', '[SEP]', '<|endoftext|>'],
};
const ROLES = Object.keys(NAMES) as (keyof SpecialTokens)[];

/** The number of special tokens of a tokenizer that is trained here. */
export const SPECIAL_COUNT = ROLES.length;

/** Whether a token of this name is a special one in any file. */
export const isSpecialName = (name: string): boolean => ROLES.some((role) => NAMES[role].includes(name));

/** The special tokens of a tokenizer. */
export interface Specials {
  ids: Readonly<SpecialTokens>;
  /** Their names by id; a file may have further ones. */
  names: ReadonlyMap<number, string>;
  /** The number of all tokens. */
  size: number;
}

/**
 * The special tokens of a vocabulary; those that it lacks get the ids after its last.
 * @param count the number of tokens of the vocabulary
 * @param known the special tokens that the vocabulary has, by name. Default: none.
 */
export function specialsAfter(count: number, known: ReadonlyMap<string, number> = new Map()): Specials {
  const names = new Map(Array.from(known, ([name, id]) => [id, name]));
  const ids = {} as SpecialTokens;
  let size = count;
  for (const role of ROLES) {
    const name = NAMES[role].find((each) => known.has(each));
    ids[role] = name === undefined ? size++ : known.get(name)!;
    if (name === undefined) names.set(ids[role], NAMES[role][0]);
  }
  return { ids, names, size };
}
