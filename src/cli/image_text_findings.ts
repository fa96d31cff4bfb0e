// What a trained pair of encoders knows of held-out concepts: retrieval, zero-shot classes, the gap between the modalities.
import type { Device } from '../gpu/device.ts';
import { constant, type Tensor } from '../graph/tensor.ts';
import { compute } from '../metrics/compute.ts';
import { modalityGap } from '../metrics/modality_gap.ts';
import { mutualKnn } from '../metrics/mutual_knn.ts';
import { pairRecall } from '../metrics/pair_recall.ts';
import { type Retrieval, retrieval } from '../metrics/retrieval.ts';
import { encodeBatch } from '../text/batch.ts';
import { heldOut, type ImageTextModel, NEIGHBOURS } from '../train/image_text.ts';
import type { ImageTextData } from './image_text_data.ts';
import { type Images, spriteSheet } from './png.ts';
import { base64 } from './report_images.ts';

/** A share with that of chance. */
export interface Share {
  recall: number;
  chance: number;
}

/** Retrieval between drawings and captions in a language. */
export interface LanguageNumbers {
  language: string;
  /** Captions by drawings and drawings by captions, by k. */
  captions: (Share & { k: number })[];
  drawings: (Share & { k: number })[];
  gap: number;
  mutualKnn: number;
}

/** Numbers of held-out concepts. */
export interface ImageTextNumbers {
  concepts: number;
  languages: LanguageNumbers[];
  /** Drawings of one vendor by those of the other, both ways. */
  vendors: Share;
  /** Groups by their English names; absent where no captions are English. `largest`: the share of the largest group. */
  groups?: Share & { largest: number };
  /** The captions of one language by those of another. */
  translations: (Share & { from: string; to: string })[];
}

/** What a page shows of some captions and drawings. */
export interface Shown {
  caption: string;
  /** The drawings that are nearest to the caption, nearest first: a PNG file in base64; whether each is of its concept. */
  found: { sheet: string; right: boolean[] };
  /** A drawing of the concept, and the captions that are nearest to it. */
  drawing: string;
  captions: { text: string; right: boolean }[];
}

export interface ImageTextFindings {
  numbers: ImageTextNumbers;
  shown: Shown[];
}

type Block = { data: Float32Array; shape: [number, number] };

const KS = [1, 5, 10];
const [SHOWN, NEAREST] = [16, 5];

/** Measures a model on the held-out concepts. */
export async function imageTextFindings(
  device: Device,
  data: ImageTextData,
  model: Pick<ImageTextModel, 'image' | 'text'>,
): Promise<ImageTextFindings> {
  const { emoji, languages, test } = data;
  const { things } = test;
  const { images, captions, groups } = await embedded(device, data, model);
  const [noto, other] = images;
  // Both drawings of a thing are right, and so is every thing of the same caption.
  const both: Block = {
    data: Float32Array.from([...noto.data, ...other.data]),
    shape: [2 * things, noto.shape[1]],
  };
  const twice = <T>(list: readonly T[]) => [...list, ...list];
  const found: LanguageNumbers[] = [];
  const lists: Retrieval[] = [];
  for (const [l, language] of languages.entries()) {
    const texts = emoji.test.texts[l].map(([text]) => text);
    const { rows, labels } = unique(captions[l], texts);
    const of = async (k: number, queries: Block, asked: string[], gallery: Block, known: string[]) => {
      const list = await retrieval(device, queries, asked, gallery, known, { k: Math.min(k, known.length) });
      if (k === KS.at(-1)) lists.push(list);
      return { k, recall: list.recall, chance: list.chance };
    };
    const numbers: LanguageNumbers = {
      ...{ language, captions: [], drawings: [] },
      gap: await modalityGap(device, both, captions[l]),
      mutualKnn: await mutualKnn(device, noto, captions[l], { k: Math.min(NEIGHBOURS, things - 1) }),
    };
    for (const k of KS) {
      numbers.captions.push(await of(k, both, twice(texts), rows, labels));
      numbers.drawings.push(await of(k, rows, labels, both, twice(texts)));
    }
    found.push(numbers);
  }
  const { recall } = await pairRecall(device, noto, other);
  return {
    numbers: {
      ...{ concepts: things, languages: found, vendors: { recall, chance: 1 / things } },
      ...(groups && { groups: await ofGroups(device, data, both, groups) }),
      translations: await translations(device, data, captions),
    },
    shown: shownOf(data, lists),
  };
}

/** The name of a group as captions are written: "Food & Drink" is "food, drink". */
const asCaption = (name: string) => name.toLowerCase().replace(' & ', ', ');

/** Embeddings of the held-out drawings, of their captions in each language, and of the names of groups if captions are English. */
async function embedded(
  device: Device,
  { test, languages, emoji, tokenizer }: ImageTextData,
  model: Pick<ImageTextModel, 'image' | 'text'>,
) {
  const named = languages.includes('en');
  const length = test.ids.shape[1];
  const read = await compute(device, () => {
    const { images, captions } = heldOut(test, model);
    const all: [string, Tensor][] = [
      ...images.map((z, d): [string, Tensor] => [`drawings${d}`, z]),
      ...captions.map((z, l): [string, Tensor] => [`captions${l}`, z]),
    ];
    if (named) {
      const { ids, shape } = encodeBatch(tokenizer, emoji.groups.map(asCaption), { length });
      all.push(['groups', model.text.embed(constant(ids, shape, 'u32'))]);
    }
    return Object.fromEntries(all);
  });
  const block = (name: string, rows = test.things): Block => ({
    data: read[name],
    shape: [rows, read[name].length / rows],
  });
  return {
    images: [block('drawings0'), block('drawings1')],
    captions: languages.map((_, l) => block(`captions${l}`)),
    groups: named ? block('groups', emoji.groups.length) : null,
  };
}

/** Each caption once: equal ones are equal rows, and would take several places of a list. */
function unique({ data, shape: [, D] }: Block, texts: readonly string[]): { rows: Block; labels: string[] } {
  const first = [...new Map(texts.map((text, i) => [text, i] as const).reverse())].reverse();
  const rows = first.flatMap(([, i]) => [...data.subarray(i * D, (i + 1) * D)]);
  return {
    rows: { data: Float32Array.from(rows), shape: [first.length, D] },
    labels: first.map(([text]) => text),
  };
}

/** Zero-shot: each drawing is of the group whose name is nearest. */
async function ofGroups(device: Device, { emoji, test }: ImageTextData, both: Block, names: Block) {
  const all = Array.from({ length: test.things }, (_, i) => emoji.test.images.labels![2 * i]);
  const counts = new Map<number, number>();
  for (const group of all) counts.set(group, (counts.get(group) ?? 0) + 1);
  const known = emoji.groups.map((_, group) => group);
  const { recall, chance } = await retrieval(device, both, [...all, ...all], names, known);
  return { recall, chance, largest: Math.max(...counts.values()) / test.things };
}

/** How often the caption of a concept in one language is the nearest to that in another, which no loss compares. */
async function translations(
  device: Device,
  { languages, emoji, test }: ImageTextData,
  captions: readonly Block[],
): Promise<ImageTextNumbers['translations']> {
  const found: ImageTextNumbers['translations'] = [];
  const ids = Array.from({ length: test.things }, (_, i) => i);
  for (const [a, from] of languages.entries())
    for (const [b, to] of languages.entries()) {
      if (a === b) continue;
      const texts = emoji.test.texts[b].map(([text]) => text);
      const label = ids.map((i) => texts[i]);
      const { rows, labels } = unique(captions[b], texts);
      const { recall, chance } = await retrieval(device, captions[a], label, rows, labels);
      found.push({ from, to, recall, chance });
    }
  return found;
}

/** Some concepts with what is nearest to them, in the first language: evenly spaced, whatever was found. */
function shownOf({ emoji, test }: ImageTextData, [captions, drawings]: readonly Retrieval[]): Shown[] {
  const { things } = test;
  const { height, width, channels, pixels } = emoji.test.images;
  const size = height * width * channels;
  const texts = emoji.test.texts[0].map(([text]) => text);
  const labels = [...new Set(texts)];
  // Row r of both drawings is drawing r / things of thing r % things.
  const pixelsOf = (r: number) => {
    const at = 2 * (r % things) + Math.floor(r / things);
    return pixels.subarray(at * size, (at + 1) * size);
  };
  const sheet = (rows: readonly number[]) => {
    const images: Images = {
      ...{ height, width, channels, columns: rows.length },
      data: Uint8Array.from(rows.flatMap((r) => [...pixelsOf(r)])),
    };
    return base64(spriteSheet(images));
  };
  const count = Math.min(SHOWN, labels.length);
  return Array.from({ length: count }, (_, n) => {
    const l = Math.floor((n * labels.length) / count);
    const thing = texts.indexOf(labels[l]);
    const list = (of: Retrieval, i: number) => {
      const k = of.indices.length / (of === captions ? 2 * things : labels.length);
      return [...of.indices.subarray(i * k, i * k + Math.min(k, NEAREST))];
    };
    const near = list(drawings, l);
    return {
      caption: labels[l],
      found: { sheet: sheet(near), right: near.map((r) => texts[r % things] === labels[l]) },
      drawing: sheet([thing]),
      captions: list(captions, thing).map((j) => ({ text: labels[j], right: labels[j] === labels[l] })),
    };
  });
}
