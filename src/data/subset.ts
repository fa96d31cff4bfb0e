import { initialOf } from '../graph/tensor.ts';
import { type Dataset, dataset } from './dataset.ts';

/** Some samples of a data set as a data set of their own, with their labels but without factors. Free its {@link variablesOf}. */
export function subset(data: Dataset, ids: Uint32Array): Dataset {
  const { height, width, channels, mean, std, classes, values } = data;
  const size = height * width * channels;
  const pixels = new Uint8Array(ids.length * size);
  let first = 0;
  for (const part of [data.images, ...data.more]) {
    const [count] = part.shape;
    const from = initialOf(part) as Uint8Array;
    for (const [at, id] of ids.entries()) {
      const row = id - first;
      if (row >= 0 && row < count) pixels.set(from.subarray(row * size, (row + 1) * size), at * size);
    }
    first += count;
  }
  const known = data.labels && (initialOf(data.labels) as Uint32Array);
  return dataset(
    {
      ...{ pixels, count: ids.length, height, width, channels, classes },
      ...(known && { labels: Uint32Array.from(ids, (id) => known[id]), values }),
    },
    { mean, std, name: `${data.images.name}.part` },
  );
}

/** What a data set has on the GPU. */
export const variablesOf = ({ images, more, labels }: Dataset) => [
  images,
  ...more,
  ...(labels ? [labels] : []),
];
