import type { Dataset } from '../data/dataset.ts';
import type { Images as Pixels } from '../data/idx.ts';
import type { Device } from '../gpu/device.ts';
import { freeVariables, readVariable } from '../graph/variables.ts';
import { embed } from '../measures/embed.ts';
import { type Model, represent } from './model.ts';
import { principalPlane, type RunReport } from './report_html.ts';

/** How many query images the report shows, and how many neighbours of each. */
const QUERIES = 10;
const NEIGHBOURS = 6;

/** What the report draws: test embeddings on a plane, and queries with their neighbours in h and among raw pixels. */
export async function pictures(
  device: Device,
  model: Model,
  data: { train: Dataset; test: Dataset },
  images: { train: Pixels; test: Pixels },
): Promise<Pick<RunReport, 'map' | 'gallery' | 'neighbours'>> {
  const read = async (set: Dataset) => {
    const made = await embed(device, set, (x) => represent(model, x));
    const [h, z] = await Promise.all([readVariable(device, made.h), readVariable(device, made.z)]);
    freeVariables(device, [made.h, made.z]);
    return {
      h: normalized(h, made.h.shape[1]),
      z: normalized(z, made.z.shape[1]),
      d: made.h.shape[1],
      dz: made.z.shape[1],
    };
  };
  const test = await read(data.test);
  const train = await read(data.train);
  const count = Math.min(2000, images.test.count);
  const { x, y } = principalPlane(test.z.subarray(0, count * test.dz), count, test.dz);

  const size = images.train.height * images.train.width * images.train.channels;
  const raw = { test: normalized(images.test.pixels, size), train: normalized(images.train.pixels, size) };
  const shown: { set: 'train' | 'test'; index: number }[] = [];
  const place = (set: 'train' | 'test', index: number) => {
    const known = shown.findIndex((one) => one.set === set && one.index === index);
    return known >= 0 ? known : shown.push({ set, index }) - 1;
  };
  const neighbours = queries(images.test).map((index) => ({
    query: place('test', index),
    trained: nearest(test.h, train.h, test.d, index).map((i) => place('train', i)),
    raw: nearest(raw.test, raw.train, size, index).map((i) => place('train', i)),
  }));
  return {
    map: {
      x,
      y,
      label: images.test.labels!.subarray(0, count),
      thumbnails: some(
        images.test,
        Array.from({ length: count }, (_, i) => ({ index: i })),
      ),
    },
    gallery: {
      ...some(images, shown),
      label: shown.map(({ set, index }) => images[set].labels![index]),
    },
    neighbours,
  };
}

/** The first test image of each class, then the next ones until there are enough. */
function queries({ labels, count }: Pixels): number[] {
  const all = Array.from({ length: count }, (_, i) => i);
  const first = all.filter((i) => labels!.indexOf(labels![i]) === i);
  return [...first, ...all.filter((i) => !first.includes(i))].slice(0, QUERIES);
}

/** Rows of unit length. */
function normalized(data: ArrayLike<number>, d: number): Float32Array {
  const rows = Float32Array.from(data);
  for (let at = 0; at < rows.length; at += d) {
    let square = 0;
    for (let j = at; j < at + d; j++) square += rows[j] * rows[j];
    const scale = 1 / Math.max(Math.sqrt(square), 1e-12);
    for (let j = at; j < at + d; j++) rows[j] *= scale;
  }
  return rows;
}

/** The rows of `gallery` most similar to row `index` of `queries`. */
function nearest(queries: Float32Array, gallery: Float32Array, d: number, index: number): number[] {
  const query = queries.subarray(index * d, (index + 1) * d);
  const similarity = Float32Array.from({ length: gallery.length / d }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < d; j++) sum += query[j] * gallery[i * d + j];
    return sum;
  });
  return [...similarity.keys()].sort((a, b) => similarity[b] - similarity[a] || a - b).slice(0, NEIGHBOURS);
}

/** Images picked from one set, or from two. */
function some(
  from: Pixels | { train: Pixels; test: Pixels },
  picks: { set?: 'train' | 'test'; index: number }[],
) {
  const setOf = ({ set }: { set?: 'train' | 'test' }) =>
    set && 'train' in from ? from[set] : (from as Pixels);
  const { height, width, channels } = setOf(picks[0]);
  const size = height * width * channels;
  const pixels = new Uint8Array(picks.length * size);
  for (const [i, pick] of picks.entries()) {
    pixels.set(setOf(pick).pixels.subarray(pick.index * size, (pick.index + 1) * size), i * size);
  }
  return { data: pixels, height, width, channels };
}
