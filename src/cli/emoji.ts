// The emoji that come with the project, as the data of a run.
import { type Emoji, type EmojiTable, parseEmoji } from '../data/emoji.ts';
import { type Images, parseImages } from '../data/idx.ts';
import { bitsArray, permutationArray } from '../ops/random.ts';

const FOLDER = new URL('../../demos/data/emoji/', import.meta.url);
const bytesOf = (name: string) => Deno.readFile(new URL(name, FOLDER));

/**
 * Emoji in the drawings of Noto and of Twemoji, which are pairs; their labels are the groups of Unicode. No concept is in both parts.
 * @throws InputError for a damaged file
 */
export async function emojiData(): Promise<{ train: Images; test: Images; classNames: string[] }> {
  const { groups, ...parts } = await emojiTable();
  const part = async (name: Part) => {
    const numbers = Uint32Array.from(parts[name], ({ group }) => group);
    return { ...paired(await drawings(name), numbers), classes: groups.length };
  };
  const [train, test] = [await part('train'), await part('test')];
  return { train, test, classNames: groups };
}

type Part = 'train' | 'test';

const emojiTable = async (): Promise<EmojiTable> =>
  parseEmoji(await bytesOf('emoji.json.gz'), 'emoji.json.gz');

/** The drawings of both vendors. */
const drawings = (name: Part): Promise<Images[]> =>
  Promise.all(
    ['noto', 'twemoji'].map(async (vendor) => {
      const file = `${vendor}-${name}-images-idx4-ubyte.gz`;
      return parseImages(await bytesOf(file), file);
    }),
  );

/** Emoji in two drawings each, side by side, and their captions by language and emoji. */
export interface CaptionedPart {
  images: Images;
  texts: string[][][];
}

/** The emoji with captions in some languages. */
export interface CaptionedEmoji {
  /** All emoji for training, each with {@link CAPTIONS} captions in every language. */
  train: CaptionedPart;
  /** The held-out concepts, one emoji of each, with its name in every language. */
  test: CaptionedPart;
  /** The names of the groups, in English. */
  groups: string[];
  /** What a tokenizer is trained on: the names and keywords of the training emoji. */
  words: string[];
}

/** Captions of an emoji in a language that training chooses from. */
export const CAPTIONS = 24;

/**
 * Emoji with captions in some languages.
 * @throws InputError for a damaged file
 */
export async function captionedEmoji(languages: readonly string[]): Promise<CaptionedEmoji> {
  const { groups, train, test } = await emojiTable();
  const held = onePerConcept(test);
  const order = permutationArray(held.length, { seed: 0 });
  const chosen = Array.from(order, (i) => held[i]);
  const part = async (name: Part, ids: ArrayLike<number>, all: readonly Emoji[]) => {
    const numbers = Uint32Array.from(all, ({ group }) => group);
    return { ...sideBySide(await drawings(name), numbers, Uint32Array.from(ids)), classes: groups.length };
  };
  const captions = (language: string) =>
    train.map((one, i) => drawnCaptions(one, language, { seed: i, count: CAPTIONS }));
  return {
    groups,
    train: {
      images: await part(
        'train',
        train.map((_, i) => i),
        train,
      ),
      texts: languages.map(captions),
    },
    test: {
      images: await part('test', chosen, test),
      texts: languages.map((language) => chosen.map((i) => [test[i].names[language]])),
    },
    words: train.flatMap(({ names, keywords }) =>
      languages.flatMap((language) => [names[language], ...keywords[language]]),
    ),
  };
}

/** Of each concept the emoji that it is named after, or else its first one: indices. */
function onePerConcept(all: readonly Emoji[]): number[] {
  const found = new Map<string, number>();
  for (const [i, { concept, names }] of all.entries())
    if (!found.has(concept) || names.en === concept) found.set(concept, i);
  return [...found.values()];
}

/** Captions of an emoji: its name, a keyword, or "name, keyword, keyword", a third of them each; the keywords are drawn at random. */
function drawnCaptions(
  { names, keywords }: Pick<Emoji, 'names' | 'keywords'>,
  language: string,
  { seed, count }: { seed: number; count: number },
): string[] {
  const [name, words] = [names[language], keywords[language]];
  const bits = bitsArray(2 * count, { seed, stream: 1 });
  return Array.from({ length: count }, (_, c) => {
    if (c % 3 === 0 || !words.length) return name;
    const first = bits[2 * c] % words.length;
    if (c % 3 === 1) return words[first];
    const second = (first + 1 + (bits[2 * c + 1] % Math.max(1, words.length - 1))) % words.length;
    return [name, words[first], ...(second === first ? [] : [words[second]])].join(', ');
  });
}

/** {@link sideBySide} of all things in random order: the curves and the alarm use the first images of a test set. */
const paired = (all: readonly Images[], labels: Uint32Array): Images =>
  sideBySide(all, labels, permutationArray(all[0].count, { seed: 0 }));

/**
 * Two drawings of each thing, side by side.
 * @param labels of the things @param order of those that are wanted
 */
function sideBySide([a, b]: readonly Images[], labels: Uint32Array, order: Uint32Array): Images {
  const size = a.pixels.length / a.count;
  const count = 2 * order.length;
  const pixels = new Uint8Array(count * size);
  for (const [side, { pixels: from }] of [a, b].entries())
    for (const [at, i] of order.entries())
      pixels.set(from.subarray(i * size, (i + 1) * size), (2 * at + side) * size);
  return {
    ...{ ...a, pixels, count },
    labels: Uint32Array.from({ length: count }, (_, at) => labels[order[at >> 1]]),
    partners: Uint32Array.from({ length: count }, (_, at) => at ^ 1),
  };
}
