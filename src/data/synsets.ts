import { oneLine, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import { bytesFrom, nameText } from './bytes.ts';
import { gunzip, isGzip } from './gzip.ts';

/** A meaning, as WordNet has it, and the words for it. */
export interface Synset {
  /** The words, of one part of speech: `['dog', 'domestic dog', 'Canis familiaris']`. */
  lemmas: string[];
  /** The number of its lexicographer file, a name of {@link lexicographerFiles}: a label. */
  file: number;
  definition: string;
  /** Sentences, or parts of some, that one of the words occurs in. Most synsets have none. */
  examples: string[];
  /** More general synsets, as indices of the list: a dog is a canine, and a domestic animal. */
  hypernyms: number[];
  /** The classes that a synset of one thing belongs to, as indices of the list: Paris is a capital. */
  instanceOf: number[];
}

/** The names of WordNet's lexicographer files, by their numbers (lexnames(5WN)); those of nouns are 3 to 28. */
export const lexicographerFiles: readonly string[] = [
  ...['adj.all', 'adj.pert', 'adv.all', 'noun.Tops', 'noun.act', 'noun.animal', 'noun.artifact'],
  ...['noun.attribute', 'noun.body', 'noun.cognition', 'noun.communication', 'noun.event', 'noun.feeling'],
  ...['noun.food', 'noun.group', 'noun.location', 'noun.motive', 'noun.object', 'noun.person'],
  ...['noun.phenomenon', 'noun.plant', 'noun.possession', 'noun.process', 'noun.quantity', 'noun.relation'],
  ...[
    'noun.shape',
    'noun.state',
    'noun.substance',
    'noun.time',
    'verb.body',
    'verb.change',
    'verb.cognition',
  ],
  ...['verb.communication', 'verb.competition', 'verb.consumption', 'verb.contact', 'verb.creation'],
  ...['verb.emotion', 'verb.motion', 'verb.perception', 'verb.possession', 'verb.social', 'verb.stative'],
  ...['verb.weather', 'adj.ppl'],
];

/** The longest first line. */
const LONGEST_HEADER = 64;

/** The first line of a file: its length, and the numbers of synsets and of bytes behind it. */
function headerOf(bytes: Uint8Array, name: string) {
  const text = String.fromCharCode(...bytes.subarray(0, LONGEST_HEADER));
  const [line, count, size] = /^synsets 1\t(\d{1,9})\t(\d{1,12})\n/.exec(text) ?? [];
  if (line === undefined)
    throw new InputError(
      `${name}: expected "synsets 1", the number of synsets and of the bytes that follow between tabs, got ${shown(oneLine(text))}`,
    );
  return { start: line.length, count: Number(count), size: Number(size) };
}

/**
 * Reads synsets from a table of text, gzipped or not: `demos/data/wordnet/nouns.tsv.gz` has the nouns of WordNet 3.1, and the README beside it
 * describes the columns.
 * @param name for messages
 * @throws InputError for a file that is damaged, truncated or too long, that is not UTF-8, with a line of another form, with a
 * hypernym that is not in it, and with synsets that are their own hypernyms, directly or through others
 */
export async function parseSynsets(source: ArrayBuffer | Uint8Array, name = 'synsets'): Promise<Synset[]> {
  name = nameText(name);
  let bytes = bytesFrom(name, source);
  if (isGzip(bytes))
    bytes = await gunzip(bytes, name, (beginning) => {
      const { start, size } = headerOf(beginning, name);
      return start + size;
    });
  const { start, count, size } = headerOf(bytes, name);
  const held = bytes.length - start;
  if (held !== size)
    throw new InputError(
      `${name}: ${held < size ? 'truncated' : 'too long'}: expected ${size} bytes behind its first line, got ${held}`,
    );
  const lines = textOf(bytes.subarray(start), name).split('\n');
  if (lines.pop() !== '' || lines.length !== count)
    throw new InputError(
      `${name}: expected ${count} lines behind the first, each with an end, got ${lines.length}`,
    );
  const synsets = lines.map((line, i) => synsetOf(line, count, `${name}: line ${i + 2}`));
  checkOrder(synsets, name);
  return synsets;
}

function textOf(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new InputError(`${name}: expected text in UTF-8`);
  }
}

function synsetOf(line: string, count: number, where: string): Synset {
  const bad = (expected: string, got: string) =>
    new InputError(`${where}: expected ${expected}, got ${shown(oneLine(got))}`);
  const [file, lemmas, parents = '', definition, ...examples] = line.split('\t');
  if (definition === undefined) throw bad('4 columns or more between tabs', line);
  if (!/^\d{1,2}$/.test(file) || Number(file) >= lexicographerFiles.length)
    throw bad(`the number of a lexicographer file, 0 to ${lexicographerFiles.length - 1}`, file);
  const words = lemmas.split(' ');
  if (words.includes('')) throw bad('lemmas between single spaces', lemmas);
  if (!definition || examples.includes('')) throw bad('a definition and examples that are not empty', line);
  const above = parents === '' ? [] : parents.split(' ');
  for (const one of above)
    if (!/^i?\d{1,9}$/.test(one) || Number(one.replace('i', '')) >= count)
      throw bad(`hypernyms of 0 to ${count - 1}, with "i" before those of an instance`, parents);
  return {
    lemmas: words.map((word) => word.replaceAll('_', ' ')),
    ...{ file: Number(file), definition, examples },
    hypernyms: above.filter((one) => !one.startsWith('i')).map(Number),
    instanceOf: above.filter((one) => one.startsWith('i')).map((one) => Number(one.slice(1))),
  };
}

/** Checks that no synset is above itself: by removing those that nothing is above, again and again (Kahn 1962). */
function checkOrder(synsets: readonly Synset[], name: string): void {
  const above = synsets.map(({ hypernyms, instanceOf }) => [...hypernyms, ...instanceOf]);
  const below: number[][] = synsets.map(() => []);
  for (const [i, list] of above.entries()) for (const parent of list) below[parent].push(i);
  const waiting = above.map(({ length }) => length);
  const free = waiting.flatMap((n, i) => (n ? [] : [i]));
  for (let at = 0; at < free.length; at++)
    for (const child of below[free[at]]) if (--waiting[child] === 0) free.push(child);
  if (free.length < synsets.length) {
    const row = waiting.findIndex((n) => n > 0);
    throw new InputError(
      `${name}: line ${row + 2}: expected hypernyms that lead to the top, got synsets that are above themselves`,
    );
  }
}
