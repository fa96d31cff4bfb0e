import { meanSimple, sampleStandardDeviation } from 'simple-statistics';
import type { Dataset } from '../data/dataset.ts';
import type { Images as Pixels } from '../data/idx.ts';
import type { Device } from '../gpu/device.ts';
import type { Tensor } from '../graph/tensor.ts';
import { freeRows, picked, rowsAt, spacedRows } from '../metrics/compute.ts';
import { embedSlabs } from '../metrics/embed.ts';
import { knnNeighbours } from '../metrics/knn.ts';
import { nearest } from '../metrics/nearest.ts';
import { freeVariables } from '../runtime/variables.ts';
import { type ImageModel, represent } from '../train/images.ts';
import { reason, type Sets } from './files.ts';
import { neighbourMap } from './neighbour_map.ts';
import { type Images, shownImages, shrunk } from './png.ts';
import { principalPlane } from './principal_plane.ts';
import type { EmbeddingMap, Neighbours, RunReport } from './report.ts';
import { type Encoder, encoderNames, encoders } from './table.ts';

/** Number of queries that the report shows, and of neighbours of each. */
const SHOWN_QUERIES = 10;
const SHOWN_NEIGHBOURS = 5;
/** Number of neighbours of images without labels; with labels it depends on the sizes of the classes. */
const UNLABELLED = 20;
/** The largest numbers of queries and of gallery images; fewer where their pixels as f32 take more bytes. */
const QUERIES = { count: 2000, bytes: 2 ** 26 };
const GALLERY = { count: 10_000, bytes: 2 ** 28 };
/** Images on the map, whose time and memory grow with the square of their number; fewer where the pairs have more pixel differences. */
const MAPPED = { count: 1000, differences: 4e9 };
/** The longest side of a picture in the report, and the bytes of one sheet. */
const TILE = 64;
const SHEET = 2 ** 22;

/** The pictures that could be made, and why the others could not, a line each. */
export interface Pictures extends Pick<RunReport, 'map' | 'gallery' | 'neighbours'> {
  failures: string[];
}

/** Unit rows [count, d] of the images in the pictures, and z of the test images, [count, 2], where it has two numbers. */
interface Encoded {
  d: number;
  test: Float32Array;
  train: Float32Array;
  z?: Float32Array;
}

export interface PictureOptions {
  /** Makes another untrained encoder; its variables are freed here. Default: it is not shown. */
  untrained?: () => Promise<ImageModel>;
  /** Called with the current stage and the share of all work that is done. */
  onProgress?: (stage: string, fraction: number) => void;
}

/**
 * The pictures of a report: maps of the test images, how often their neighbours are of the same class, and a few of these; by h of
 * the trained and the untrained encoder and by raw pixels. A picture that fails is left out and named in `failures`; nothing is
 * thrown.
 */
export async function pictures(
  device: Device,
  model: ImageModel,
  data: Sets,
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
  const size = images.test.pixels.length / images.test.count;
  const chosen = (all: number, { count, bytes }: typeof QUERIES) =>
    spacedRows(all, Math.min(all, count, Math.max(1, Math.floor(bytes / (4 * size)))));
  const queries = chosen(images.test.count, QUERIES);
  const gallery = chosen(images.train.count, GALLERY);
  const sources = sourcesOf(device, model, untrained, data, images, { size, queries, gallery });

  const bearable = Math.max(1, Math.floor(Math.sqrt((2 * MAPPED.differences) / size)));
  const mapped = spacedRows(queries.length, Math.min(MAPPED.count, queries.length, bearable));
  const layouts: EmbeddingMap['layouts'] = [];
  const k = countedOf(images.train.labels, gallery);
  const found: Partial<Record<Encoder, Uint32Array>> = {};
  // The trained encoder first: the report shows its map first.
  for (const [i, name] of (['trained', 'untrained', 'raw'] as const).entries()) {
    const source = sources[name];
    if (!source) continue;
    const stage = (part: number) => onProgress?.(`pictures of ${encoderNames[name]}`, (i + part) / 3);
    stage(0);
    const encoded = await attempt(encoderNames[name], source);
    if (!encoded) continue;
    stage(0.2);
    const { d, test, train, z } = encoded;
    found[name] = await attempt(`neighbours by ${encoderNames[name]}`, async () => {
      const rows = (data: Float32Array) => ({ data, shape: [data.length / d, d] });
      return (await nearest('neighbours', device, rows(test), rows(train), { k })).indices;
    });
    stage(0.5);
    if (z && name === 'trained') layouts.push({ encoder: name, kind: 'embedding', ...pointsOf(z, mapped) });
    const rows = picked(test, d, mapped);
    const map = await attempt(`map of ${encoderNames[name]}`, () => neighbourMap(rows, mapped.length, d));
    if (map) layouts.push({ encoder: name, kind: 'neighbours', ...map });
    if (name !== 'trained') continue;
    stage(0.9);
    const plane = await attempt('principal plane', () => principalPlane(rows, mapped.length, d));
    if (plane) layouts.push({ encoder: name, kind: 'plane', ...plane });
  }
  onProgress?.('pictures', 1);

  const marks = Array.from(mapped, (i): Chosen => ({ from: images.test, index: queries[i] }));
  const map =
    layouts.length > 0
      ? await attempt('map', () => ({
          layouts,
          label: marks.map(({ from, index }) => labelOf(from, index)),
          image: marks.map(({ index }) => index),
          thumbnails: thumbnails(marks),
        }))
      : undefined;
  const neighbours = Object.keys(found).length
    ? await attempt('neighbours', () => neighbourPictures(found, k, images, { queries, gallery }))
    : undefined;
  return { map, ...neighbours, failures };
}

/** Functions that encode the chosen images, one for each available representation. */
function sourcesOf(
  device: Device,
  model: ImageModel,
  untrained: PictureOptions['untrained'],
  data: Sets,
  images: { train: Pixels; test: Pixels },
  { size, queries, gallery }: { size: number; queries: Uint32Array; gallery: Uint32Array },
): Record<Encoder, (() => Encoded | Promise<Encoded>) | undefined> {
  const ofModel = async (shown: ImageModel): Promise<Encoded> => ({
    d: shown.widths.h,
    test: await encode(device, data.test, shown, queries),
    train: await encode(device, data.train, shown, gallery),
    ...(shown.widths.z === 2 && { z: await read(device, data.test, (x) => represent(shown, x).z!, queries) }),
  });
  return {
    raw: () => ({
      d: size,
      test: unit(Float32Array.from(picked(images.test.pixels, size, queries)), size),
      train: unit(Float32Array.from(picked(images.train.pixels, size, gallery)), size),
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
}

/** The number of neighbours that are counted: as many as vote in k-NN. */
const countedOf = (labels: ArrayLike<number> | undefined, gallery: Uint32Array): number =>
  labels ? knnNeighbours(Array.from(gallery, (i) => labels[i])) : Math.min(UNLABELLED, gallery.length);

/** The points [n, 2] of some rows. */
const pointsOf = (z: Float32Array, rows: Uint32Array) => ({
  x: Array.from(rows, (i) => z[2 * i]),
  y: Array.from(rows, (i) => z[2 * i + 1]),
});

/** h of some samples at unit length. */
const encode = async (device: Device, set: Dataset, model: ImageModel, which: Uint32Array) =>
  unit(await read(device, set, (x) => represent(model, x).h, which), model.widths.h);

/** What a function of images makes of some samples. */
async function read(
  device: Device,
  set: Dataset,
  forward: (x: Tensor) => Tensor,
  which: Uint32Array,
): Promise<Float32Array> {
  const { y } = await embedSlabs(device, set, (x) => ({ y: forward(x) }));
  try {
    return (await rowsAt('pictures', device, y, which)).data;
  } finally {
    freeRows(device, [y]);
  }
}

/** Normalises rows of d numbers to length 1, in place; rows of zeros stay zero. */
function unit(rows: Float32Array, d: number): Float32Array {
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

/** The share of neighbours of the same class over all queries, and a few queries to show. */
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
    // With one class every neighbour is right.
    asked && offered && new Set([...asked, ...offered]).size > 1
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
  const shown: Chosen[] = [];
  const place = (from: Pixels, index: number) => {
    const at = shown.findIndex((one) => one.from === from && one.index === index);
    return at >= 0 ? at : shown.push({ from, index }) - 1;
  };
  const lines = shownQueries(asked, queries).map((i) => ({
    query: place(images.test, queries[i]),
    ...Object.fromEntries(
      known.map((name) => [
        name,
        Array.from(found[name]!.subarray(i * k, i * k + Math.min(k, SHOWN_NEIGHBOURS)), (j) =>
          place(images.train, gallery[j]),
        ),
      ]),
    ),
  }));
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
    gallery: { ...thumbnails(shown), label: shown.map(({ from, index }) => labelOf(from, index)) },
  };
}

/** A mean with its standard error over queries. */
function meanOf(values: number[]): { mean: number; error: number } {
  const { length } = values;
  return {
    mean: meanSimple(values),
    error: length > 1 ? sampleStandardDeviation(values) / Math.sqrt(length) : Number.NaN,
  };
}

/** The first query of each class, then the next ones until there are enough: indices into `queries`. */
function shownQueries(labels: ArrayLike<number> | undefined, queries: Uint32Array): number[] {
  const all = Array.from(queries, (_, i) => i);
  const seen = new Set<number>();
  const first = all.filter((i) => {
    const label = labels?.[queries[i]] ?? 0;
    return !seen.has(label) && seen.add(label);
  });
  return [...first, ...all.filter((i) => !first.includes(i))].slice(0, SHOWN_QUERIES);
}

/** An image of a data set. */
interface Chosen {
  from: Pixels;
  index: number;
}

const labelOf = ({ labels }: Pixels, index: number) => labels?.[index] ?? 0;

/** Thumbnails of images of one size, small enough for one sheet. */
function thumbnails(picks: readonly Chosen[]): Images {
  const { height, width, channels } = picks[0].from;
  const size = height * width * channels;
  const data = new Uint8Array(picks.length * size);
  for (const [i, { from, index }] of picks.entries())
    data.set(from.pixels.subarray(index * size, (index + 1) * size), i * size);
  const shown = shownImages({ data, height, width, channels });
  return shrunk(shown, Math.min(TILE, Math.floor(Math.sqrt(SHEET / (picks.length * shown.channels)))));
}
