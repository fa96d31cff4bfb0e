import { inRange, oneLine, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { bpe, type Merge } from './bpe.ts';
import { BYTE_CHARACTERS, bytesNamed } from './byte_level.ts';
import { byteTokenizer } from './bytes.ts';
import { CHARACTER, characters } from './characters.ts';
import { isSpecialName, type Specials, specialsAfter } from './special.ts';
import { MOST_TOKENS, type Tokenizer, type TokenizerFile } from './tokenizer.ts';
import { WORD, words } from './words.ts';

type Fields = Record<string, unknown>;

const bad = (what: string) => new InputError(oneLine(`readTokenizer: ${what}`));
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
/** For a message: text and its length, objects of JSON as such. */
const quoted = (value: unknown) => shown(isFields(value) && value.type !== undefined ? value.type : value);

/** Throws for a setting of the file that would change results. Absent, null, false and empty ones change nothing. */
function refuse(fields: Fields, where: string, names: readonly string[]): void {
  const name = names.find((each) => fields[each]);
  if (name) throw bad(`"${name}" of the ${where} is not supported, got ${quoted(fields[name])}`);
}

/**
 * Reads a tokenizer from a tokenizer.json file, the format of Hugging Face's tokenizers: byte-level BPE with GPT-2's regular expression,
 * as of GPT-2 and RoBERTa, and what the tokenizers of this library write. Its tokens of a text are the same, by the same ids. Not used
 * are truncation, padding and the post-processor, which adds special tokens (`encodeBatch` does); a text that has the name of a special token
 * in it gets tokens of its letters, as with `encode_special_tokens`. Of the five special tokens those that a file lacks get the ids
 * after its last.
 * @param json the file's text, or what JSON.parse makes of it
 * @throws InputError that says what is wrong with a file that is damaged or of another kind
 */
export function readTokenizer(json: string | TokenizerFile): Tokenizer {
  const file = parsed(json);
  const { model } = file;
  if (!isFields(model))
    throw bad(`not a tokenizer.json file: expected an object as "model", got ${shown(model)}`);
  // GPT-2's own file says no type.
  const type = model.type ?? ('merges' in model ? 'BPE' : undefined);
  if (type !== 'BPE' && type !== 'WordLevel')
    throw bad(`expected a model of type BPE or WordLevel, got ${quoted(type)}`);
  const ids = idsOf(file, model);
  const specials = specialsOf(file, ids);
  return type === 'BPE' ? readBpe(file, model, ids, specials) : readVocabulary(file, model, ids, specials);
}

function parsed(json: unknown): Fields {
  let file = json;
  if (typeof json === 'string') {
    try {
      file = JSON.parse(json);
    } catch (error) {
      throw bad(`not a tokenizer.json file: it is not JSON (${(error as Error).message})`);
    }
  }
  if (!isFields(file))
    throw bad(`expected the text of a tokenizer.json file or its contents, got ${shown(file)}`);
  return file;
}

/** The added tokens of a file; all must be special. */
function addedTokens({ added_tokens: list = [] }: Fields): { content: string; id: unknown }[] {
  if (!Array.isArray(list)) throw bad(`expected a list as "added_tokens", got ${shown(list)}`);
  return list.map((token: unknown) => {
    if (!isFields(token) || typeof token.content !== 'string' || !token.content)
      throw bad(`expected added tokens with a "content", got ${shown(token)}`);
    const { content, id } = token;
    if (token.special !== true)
      throw bad(`the added token ${shown(content)} is not special: such tokens are not supported`);
    return { content, id };
  });
}

/** The ids of all tokens by their names: each from 0 on exactly once. */
function idsOf(file: Fields, { vocab }: Fields): Map<string, number> {
  if (!isFields(vocab)) throw bad(`expected an object as "vocab" of the model, got ${shown(vocab)}`);
  const ids = new Map<string, number>();
  const listed = Object.entries(vocab).concat(addedTokens(file).map(({ content, id }) => [content, id]));
  for (const [name, id] of listed) {
    if (!inRange(id, { least: 0, most: MOST_TOKENS - 1, whole: true }))
      throw bad(`expected an id below ${MOST_TOKENS} for the token ${shown(name)}, got ${shown(id)}`);
    const other = ids.get(name);
    if (other !== undefined && other !== id)
      throw bad(`the token ${shown(name)} has the ids ${other} and ${id}`);
    ids.set(name, id);
  }
  const names = new Map(Array.from(ids, ([name, id]) => [id, name]));
  for (const [name, id] of ids) {
    if (names.get(id) !== name)
      throw bad(`the tokens ${shown(name)} and ${shown(names.get(id))} have the same id ${id}`);
    if (id >= ids.size) throw bad(`the ids of ${ids.size} tokens go up to ${id}: some are missing`);
  }
  return ids;
}

/** Added tokens, and tokens of the vocabulary that are called like a special one. */
function specialsOf(file: Fields, ids: ReadonlyMap<string, number>): Specials {
  const names = addedTokens(file).map(({ content }) => content);
  const known = new Set([...names, ...[...ids.keys()].filter(isSpecialName)]);
  return specialsAfter(ids.size, new Map(Array.from(known, (name) => [name, ids.get(name)!])));
}

function readBpe(
  file: Fields,
  model: Fields,
  ids: ReadonlyMap<string, number>,
  specials: Specials,
): Tokenizer {
  refuse(file, 'file', ['normalizer']);
  const affixes = ['continuing_subword_prefix', 'end_of_word_suffix'];
  refuse(model, 'model', ['dropout', ...affixes, 'byte_fallback', 'ignore_merges']);
  const { pre_tokenizer: splitter, decoder } = file;
  if (!isFields(splitter) || splitter.type !== 'ByteLevel')
    throw bad(`expected a pre_tokenizer of type ByteLevel, got ${quoted(splitter)}`);
  refuse(splitter, 'pre_tokenizer', ['add_prefix_space']);
  if (splitter.use_regex === false)
    throw bad('"use_regex" of the pre_tokenizer is false: that is not supported');
  if (!isFields(decoder) || decoder.type !== 'ByteLevel')
    throw bad(`expected a decoder of type ByteLevel, got ${quoted(decoder)}`);

  const tokens = new Array<string | undefined>(specials.size).fill(undefined);
  for (const [name, id] of ids) {
    if (specials.names.has(id)) continue;
    if (!name || !bytesNamed(name))
      throw bad(`the token ${shown(name)} has characters that stand for no byte`);
    tokens[id] = name;
  }
  const lost = BYTE_CHARACTERS.findIndex((name) => tokens[ids.get(name) ?? -1] === undefined);
  if (lost >= 0) throw bad(`the vocabulary lacks the byte ${lost}, ${shown(BYTE_CHARACTERS[lost])}`);
  const merges = readMerges(model.merges, ids, tokens);
  const areBytes =
    specials.size === byteTokenizer().size && BYTE_CHARACTERS.every((name, i) => tokens[i] === name);
  return areBytes ? byteTokenizer() : bpe({ tokens, merges, specials });
}

/** The merges as ids: "a b" or ["a", "b"] in the file. */
function readMerges(list: unknown, ids: ReadonlyMap<string, number>, tokens: readonly unknown[]): Merge[] {
  if (!Array.isArray(list) || list.length > 2 * MOST_TOKENS)
    throw bad(`expected a list as "merges" of the model, got ${shown(list)}`);
  const seen = new Set<number>();
  return list.map((merge: unknown, i) => {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every((name) => typeof name === 'string'))
      throw bad(`expected two tokens as merge ${i}, got ${shown(merge)}`);
    const idOf = (name: string) => {
      const id = ids.get(name);
      if (id === undefined || tokens[id] === undefined)
        throw bad(`merge ${i} needs the token ${shown(name)}, which is not in the vocabulary`);
      return id;
    };
    const [left, right, merged] = [idOf(pair[0]), idOf(pair[1]), idOf(pair[0] + pair[1])];
    const key = left * tokens.length + right;
    if (seen.has(key)) throw bad(`merge ${i} of ${shown(pair[0])} and ${shown(pair[1])} is there twice`);
    seen.add(key);
    return [left, right, merged];
  });
}

/** Characters or words, as this library writes them. */
function readVocabulary(
  file: Fields,
  model: Fields,
  ids: ReadonlyMap<string, number>,
  specials: Specials,
): Tokenizer {
  const unknown = specials.names.get(specials.ids.unknown);
  if (model.unk_token !== unknown)
    throw bad(`expected ${shown(unknown)} as "unk_token" of the model, got ${quoted(model.unk_token)}`);
  const learned = { ids: new Map([...ids].filter(([, id]) => !specials.names.has(id))), specials };
  const { normalizer, pre_tokenizer: splitter } = file;
  const pattern = isFields(splitter) && isFields(splitter.pattern) ? splitter.pattern.Regex : undefined;
  if (pattern === CHARACTER) {
    refuse(file, 'file', ['normalizer']);
    return characters(learned);
  }
  if (pattern !== WORD)
    throw bad(
      `expected a pre_tokenizer of characters or words, as this library writes it, got ${quoted(splitter)}`,
    );
  const lowerCase = isFields(normalizer) && normalizer.type === 'Lowercase';
  if (!lowerCase) refuse(file, 'file', ['normalizer']);
  return words(learned, lowerCase);
}
