// The emoji that come with the project, as the data of a run.
import { parseEmoji } from '../data/emoji.ts';
import { type Images, parseImages } from '../data/idx.ts';
import { permutationArray } from '../ops/random.ts';

const FOLDER = new URL('../../demos/data/emoji/', import.meta.url);
const bytesOf = (name: string) => Deno.readFile(new URL(name, FOLDER));

/**
 * Emoji in the drawings of Noto and of Twemoji, which are pairs; their labels are the groups of Unicode. No concept is in both parts.
 * @throws InputError for a damaged file
 */
export async function emojiData(): Promise<{ train: Images; test: Images; classNames: string[] }> {
  const { groups, ...parts } = await parseEmoji(await bytesOf('emoji.json.gz'), 'emoji.json.gz');
  const part = async (name: 'train' | 'test') => {
    const vendors = ['noto', 'twemoji'].map(async (vendor) => {
      const file = `${vendor}-${name}-images-idx4-ubyte.gz`;
      return parseImages(await bytesOf(file), file);
    });
    const numbers = Uint32Array.from(parts[name], ({ group }) => group);
    return { ...paired(await Promise.all(vendors), numbers), classes: groups.length };
  };
  const [train, test] = [await part('train'), await part('test')];
  return { train, test, classNames: groups };
}

/**
 * Two drawings of each thing, side by side, the things in random order: the curves and the alarm use the first images of a test set.
 * @param labels of the things
 */
function paired([a, b]: readonly Images[], labels: Uint32Array): Images {
  const order = permutationArray(a.count, { seed: 0 });
  const size = a.pixels.length / a.count;
  const pixels = new Uint8Array(2 * a.pixels.length);
  for (const [at, i] of order.entries())
    for (const [side, { pixels: from }] of [a, b].entries())
      pixels.set(from.subarray(i * size, (i + 1) * size), (2 * at + side) * size);
  const count = 2 * a.count;
  return {
    ...{ ...a, pixels, count },
    labels: Uint32Array.from({ length: count }, (_, at) => labels[order[at >> 1]]),
    partners: Uint32Array.from({ length: count }, (_, at) => at ^ 1),
  };
}
