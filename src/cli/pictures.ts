import type { Dataset } from '../data/dataset.ts';
import type { Images as Pixels } from '../data/idx.ts';
import type { Device } from '../gpu/device.ts';
import { constant } from '../graph/tensor.ts';
import { freeVariables, readVariable } from '../graph/variables.ts';
import { compute, spacedRows } from '../measures/compute.ts';
import { embed } from '../measures/embed.ts';
import { topKSimilar } from '../ops/top_k.ts';
import { reason } from './files.ts';
import { type Model, represent } from './model.ts';
import { neighbourMap } from './neighbour_map.ts';
import { type Images, shownImages, shrunk } from './png.ts';
import { principalPlane } from './principal_plane.ts';
import type { EmbeddingMap, Neighbours, RunReport } from './report_html.ts';
import { type Encoder, encoderNames, encoders } from './table.ts';

/** How many queries the report shows, and how many neighbours of each. */
const SHOWN_QUERIES = 10;
const SHOWN_NEIGHBOURS = 5;
/** How many nearest images are counted, as many as vote in k-NN; fewer where a class has fewer. */
const COUNTED = 20;
/** At most so many queries are counted, among so many images. */
const QUERIES = 2000;
const GALLERY = 10_000;
/** Images on the map: its time and memory grow with the square. */
const MAPPED = 1000;
/** Bytes of rows that are compared in one pass: a binding may be no larger than 128 MiB. */
const SLAB = 2 ** 26;
/** The longest side of a picture in the report, and bytes of all on one sheet. */
const TILE = 64;
const SHEET = 2 ** 22;

/** The pictures that worked, and why the others did not, a line each. */
export interface Pictures extends Pick<RunReport, 'map' | 'gallery' | 'neighbours'> {
  failures: string[];
}

/** Unit rows [count, d] of the images that a picture is about. */
interface Encoded {
  d: number;
  test: Float32Array;
  train: Float32Array;
}

export interface PictureOptions {
  /** Makes the untrained encoder anew; its variables are freed here. Default: it is not shown. */
  untrained?: () => Promise<Model>;
  /** What is done now, and which share of the whole is done. */
  onProgress?: (stage: string, fraction: number) => void;
}

/**
 * What the report draws: maps of the test images, and how often their neighbours are of their class, with a few to look
 * at; by h of the trained and the untrained encoder and by raw pixels. Each is made on its own: what fails is left out, and named in
 * `failures`. Throws nothing.
 */
export async function pictures(
  device: Device,
  model: Model,
  data: { train: Dataset; test: Dataset },
  images: { train: Pixels; test: Pixels },
  { untrained, onProgress }: PictureOptions = {},
): Promise<Pictures> {
  const failures: string[] = [];
  const attempt = async <T>(what: string, make: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await make();
    } catch (error) {
      failures.push(`${what}: ${reason(error)}`);
      return undefined;
    }
  };
  const queries = spacedRows(images.test.count, Math.min(QUERIES, images.test.count));
  const gallery = spacedRows(images.train.count, Math.min(GALLERY, images.train.count));
  const ofModel = async (shown: Model): Promise<Encoded> => ({
    d: shown.encoder.outputs,
    test: await encode(device, data.test, shown, queries),
    train: await encode(device, data.train, shown, gallery),
  });
  const sources: Record<Encoder, (() => Encoded | Promise<Encoded>) | undefined> = {
    raw: () => ({
      d: images.train.pixels.length / images.train.count,
      test: unitRows(images.test.pixels, images.test.count, queries),
      train: unitRows(images.train.pixels, images.train.count, gallery),
    }),
    untrained:
      untrained &&
      (async () => {
        const made = await untrained();
        try {
          return await ofModel(made);
        } finally {
          freeVariables(device, made.variables);
        }
      }),
    trained: () => ofModel(model),
  };

  const mapped = spacedRows(queries.length, Math.min(MAPPED, queries.length));
  const layouts: EmbeddingMap['layouts'] = [];
  const k = neighboursOf(images.train.labels, gallery);
  const found: Partial<Record<Encoder, Uint32Array>> = {};
  // The trained encoder first: its map is the one that the report opens with.
  for (const [i, name] of (['trained', 'untrained', 'raw'] as const).entries()) {
    const source = sources[name];
    if (!source) continue;
    const stage = (part: number) => onProgress?.(`pictures of ${encoderNames[name]}`, (i + part) / 3);
    stage(0);
    const encoded = await attempt(encoderNames[name], source);
    if (!encoded) continue;
    stage(0.2);
    found[name] = await attempt(`neighbours by ${encoderNames[name]}`, () => nearest(device, encoded, k));
    stage(0.5);
    const { d } = encoded;
    const rows = picked(encoded.test, d, mapped);
    const map = await attempt(`map of ${encoderNames[name]}`, () => neighbourMap(rows, mapped.length, d));
    if (map) layouts.push({ encoder: name, kind: 'neighbours', ...map });
    if (name !== 'trained') continue;
    stage(0.9);
    const plane = await attempt('principal plane', () => principalPlane(rows, mapped.length, d));
    if (plane) layouts.push({ encoder: name, kind: 'plane', ...plane });
  }
  onProgress?.('pictures', 1);

  const labelOf = ({ labels }: Pixels, i: number) => labels?.[i] ?? 0;
  const map =
    layouts.length > 0
      ? await attempt('map', () => ({
          layouts,
          label: Array.from(mapped, (i) => labelOf(images.test, queries[i])),
          image: Array.from(mapped, (i) => queries[i]),
          thumbnails: thumbnails(
            images.test,
            Array.from(mapped, (i) => queries[i]),
          ),
        }))
      : undefined;
  const neighbours = Object.keys(found).length
    ? await attempt('neighbours', () => neighbourPictures(found, k, images, { queries, gallery }))
    : undefined;
  return { map, ...neighbours, failures };
}

/** How many neighbours are counted: no more than a class has images, or the rest could not be right. */
function neighboursOf(labels: ArrayLike<number> | undefined, gallery: Uint32Array): number {
  const counts = new Map<number, number>();
  if (labels) for (const i of gallery) counts.set(labels[i], (counts.get(labels[i]) ?? 0) + 1);
  return Math.max(1, Math.min(COUNTED, gallery.length, ...counts.values()));
}

/** h of some samples at unit length. */
async function encode(device: Device, set: Dataset, model: Model, which: Uint32Array): Promise<Float32Array> {
  const made = await embed(device, set, (x) => ({ h: represent(model, x).h }));
  try {
    return unitRows(await readVariable(device, made.h), set.count, which);
  } finally {
    freeVariables(device, [made.h]);
  }
}

/** The rows that are asked for. */
function picked(data: ArrayLike<number>, d: number, which: ArrayLike<number>): Float32Array {
  const rows = new Float32Array(which.length * d);
  for (let i = 0; i < which.length; i++) for (let j = 0; j < d; j++) rows[i * d + j] = data[which[i] * d + j];
  return rows;
}

/** The same, each of length 1; rows of zeros stay. */
function unitRows(data: ArrayLike<number>, count: number, which: ArrayLike<number>): Float32Array {
  const d = data.length / count;
  const rows = picked(data, d, which);
  for (let at = 0; at < rows.length; at += d) {
    let largest = 0;
    for (let j = at; j < at + d; j++) largest = Math.max(largest, Math.abs(rows[j]));
    if (largest === 0) continue;
    let square = 0;
    for (let j = at; j < at + d; j++) square += (rows[j] / largest) ** 2;
    const length = Math.sqrt(square);
    for (let j = at; j < at + d; j++) rows[j] = rows[j] / largest / length;
  }
  return rows;
}

/** The k rows of `train` most similar to each of `test`, nearest first: [queries * k], compared in slabs. */
async function nearest(device: Device, { d, test, train }: Encoded, k: number): Promise<Uint32Array> {
  const rows = Math.max(k, Math.floor(SLAB / (4 * d)));
  const slabs = (data: Float32Array) =>
    Array.from({ length: Math.ceil(data.length / d / rows) }, (_, i) => ({
      from: i * rows,
      data: data.subarray(i * rows * d, (i + 1) * rows * d),
    }));
  const result: number[] = [];
  for (const { data: asked } of slabs(test)) {
    const count = asked.length / d;
    let best: { at: number; similarity: number }[][] = Array.from({ length: count }, () => []);
    for (const { from, data } of slabs(train)) {
      const most = Math.min(k, data.length / d);
      const { similarities, indices } = await compute(device, () => {
        const [q, g] = [asked, data].map((part) => constant(part, [part.length / d, d]));
        return topKSimilar(q, g, { k: most });
      });
      best = best.map((list, i) =>
        [
          ...list,
          ...Array.from({ length: most }, (_, j) => ({
            at: from + indices[i * most + j],
            similarity: similarities[i * most + j],
          })),
        ]
          .sort((a, b) => b.similarity - a.similarity || a.at - b.at)
          .slice(0, k),
      );
    }
    result.push(...best.flatMap((list) => list.map(({ at }) => at)));
  }
  return Uint32Array.from(result);
}

/** The share of right neighbours of all queries, and a few queries to look at. */
function neighbourPictures(
  found: Partial<Record<Encoder, Uint32Array>>,
  k: number,
  images: { train: Pixels; test: Pixels },
  { queries, gallery }: { queries: Uint32Array; gallery: Uint32Array },
): { neighbours: Neighbours; gallery: RunReport['gallery'] } {
  const known = encoders.filter((name) => found[name]);
  const asked = images.test.labels;
  const offered = images.train.labels;
  /** For each query, the share of its neighbours that are of its class. */
  const shares =
    asked && offered
      ? Object.fromEntries(
          known.map((name) => [
            name,
            Array.from(queries, (query, i) => {
              let right = 0;
              for (let j = 0; j < k; j++)
                if (offered[gallery[found[name]![i * k + j]]] === asked[query]) right++;
              return right / k;
            }),
          ]),
        )
      : {};
  const shown: { set: 'train' | 'test'; index: number }[] = [];
  const place = (set: 'train' | 'test', index: number) => {
    const at = shown.findIndex((one) => one.set === set && one.index === index);
    return at >= 0 ? at : shown.push({ set, index }) - 1;
  };
  const lines = shownQueries(asked, queries).map((i) => ({
    query: place('test', queries[i]),
    ...Object.fromEntries(
      known.map((name) => [
        name,
        Array.from(found[name]!.subarray(i * k, i * k + Math.min(k, SHOWN_NEIGHBOURS)), (j) =>
          place('train', gallery[j]),
        ),
      ]),
    ),
  }));
  const sets = (['test', 'train'] as const).map((set) => ({
    set,
    picks: shown.filter((one) => one.set === set).map(({ index }) => index),
  }));
  // Of both sets in the order of `shown`.
  const tiles = sets.map(({ set, picks }) => thumbnails(images[set], picks, shown.length));
  const size = tiles[0].height * tiles[0].width * tiles[0].channels;
  const data = new Uint8Array(shown.length * size);
  const next = { test: 0, train: 0 };
  for (const [i, { set }] of shown.entries()) {
    const from = next[set]++ * size;
    data.set(tiles[set === 'test' ? 0 : 1].data.subarray(from, from + size), i * size);
  }
  return {
    neighbours: {
      k,
      queries: queries.length,
      gallery: gallery.length,
      of: images.train.count,
      shares: Object.fromEntries(Object.entries(shares).map(([name, values]) => [name, meanOf(values)])),
      gains: Object.fromEntries(
        (['raw', 'untrained'] as const).flatMap((name) =>
          shares.trained && shares[name]
            ? [[name, meanOf(shares.trained.map((share, i) => share - shares[name][i]))]]
            : [],
        ),
      ),
      shown: lines,
    },
    gallery: {
      ...{ ...tiles[0], data },
      label: shown.map(({ set, index }) => images[set].labels?.[index] ?? 0),
    },
  };
}

/** A mean with its standard error over queries. */
function meanOf(values: number[]): { mean: number; error: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, error: Math.sqrt(variance / values.length) };
}

/** The first query of each class, then the next ones until there are enough: places in `queries`. */
function shownQueries(labels: ArrayLike<number> | undefined, queries: Uint32Array): number[] {
  const all = Array.from(queries, (_, i) => i);
  const seen = new Set<number>();
  const first = all.filter((i) => {
    const label = labels?.[queries[i]] ?? 0;
    return !seen.has(label) && seen.add(label);
  });
  return [...first, ...all.filter((i) => !first.includes(i))].slice(0, SHOWN_QUERIES);
}

/** Pictures of some images, as small as a sheet of `count` of them can bear. */
function thumbnails(from: Pixels, which: number[], count = which.length): Images {
  const { height, width, channels } = from;
  const size = height * width * channels;
  const data = new Uint8Array(which.length * size);
  for (const [i, index] of which.entries())
    data.set(from.pixels.subarray(index * size, (index + 1) * size), i * size);
  const shown = shownImages({ data, height, width, channels });
  return shrunk(shown, Math.min(TILE, Math.floor(Math.sqrt(SHEET / (count * shown.channels)))));
}
