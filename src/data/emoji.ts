import { inRange, oneLine, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { bytesFrom, nameText } from './bytes.ts';
import { gunzip, isGzip, MOST_RATIO } from './gzip.ts';

/** An emoji in words. */
export interface Emoji {
  /** The characters. */
  emoji: string;
  /** The number of its group, such as "Animals & Nature": a label. */
  group: number;
  /** The English name of the emoji that it is a variant of: of another skin, gender, hair or direction. */
  concept: string;
  /** By language. */
  names: Record<string, string>;
  /** By language; a language may have none. */
  keywords: Record<string, string[]>;
}

/** The emoji of the drawings in `demos/data/emoji`, in their order. No concept is in both parts. */
export interface EmojiTable {
  groups: string[];
  /** The languages of names and keywords: en, de ... */
  languages: string[];
  train: Emoji[];
  test: Emoji[];
}

/** The most bytes that a gzipped table may expand to. */
const MOST_BYTES = 2 ** 26;

/**
 * Reads a table of emoji from JSON, gzipped or not: `demos/data/emoji/emoji.json.gz`, which the README beside it describes.
 * @param name for messages
 * @throws InputError for a file that is damaged or not JSON in UTF-8, with a value of another form, and with a concept in both parts
 */
export async function parseEmoji(source: ArrayBuffer | Uint8Array, name = 'emoji'): Promise<EmojiTable> {
  name = nameText(name);
  let bytes = bytesFrom(name, source);
  if (isGzip(bytes)) {
    const most = Math.min(MOST_BYTES, MOST_RATIO * bytes.length);
    bytes = await gunzip(bytes, name, () => most);
  }
  let table: unknown;
  try {
    table = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new InputError(`${name}: expected JSON in UTF-8: it is cut off or from another program`);
  }
  const bad = (expected: string, got: unknown) =>
    new InputError(`${name}: expected ${expected}, got ${oneLine(shown(got))}`);
  const { groups, languages, train, test } = (isRecord(table) ? table : {}) as Partial<EmojiTable>;
  if (!isTexts(groups) || !groups.length) throw bad('texts for "groups"', groups);
  if (!isTexts(languages) || !languages.length || !languages.every((one) => LANGUAGE.test(one)))
    throw bad('languages such as "en" for "languages"', languages);
  for (const [part, list] of Object.entries({ train, test })) {
    if (!Array.isArray(list) || !list.length) throw bad(`a list of emoji for "${part}"`, list);
    for (const [i, one] of list.entries()) checkEmoji(one, `"${part}[${i}]`, { groups, languages, bad });
  }
  const known = new Set(train!.map(({ concept }) => concept));
  const leak = test!.find(({ concept }) => known.has(concept));
  if (leak) throw bad('concepts that are either in "train" or in "test"', leak.concept);
  return { groups, languages, train: train!, test: test! };
}

/** A language tag: no name of a property that every object has looks like this. */
const LANGUAGE = /^[a-z]{2}(-[a-z]+)?$/;

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);

function checkEmoji(
  one: unknown,
  where: string,
  of: Pick<EmojiTable, 'groups' | 'languages'> & { bad: (expected: string, got: unknown) => InputError },
): void {
  const { groups, languages, bad } = of;
  const { emoji, group, concept, names, keywords } = (isRecord(one) ? one : {}) as Record<string, unknown>;
  if (!isText(emoji)) throw bad(`a text for ${where}.emoji"`, emoji);
  if (!inRange(group, { least: 0, most: groups.length - 1, whole: true }))
    throw bad(`the number of a group for ${where}.group"`, group);
  if (!isText(concept)) throw bad(`a text for ${where}.concept"`, concept);
  for (const language of languages) {
    if (!isRecord(names) || !isText(names[language]))
      throw bad(`a text for ${where}.names.${language}"`, isRecord(names) ? names[language] : names);
    if (!isRecord(keywords) || !isTexts(keywords[language]))
      throw bad(
        `texts for ${where}.keywords.${language}"`,
        isRecord(keywords) ? keywords[language] : keywords,
      );
  }
}
