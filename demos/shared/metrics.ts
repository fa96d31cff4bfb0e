// What is measured of every demo's model, on held-out images.
import type { Tensor } from 'hypersphere';
import { augment, cleanBatch, evaluationViews } from 'hypersphere/data';
import type { WatchOptions } from 'hypersphere/metrics';
import type { Data } from './images.ts';

/** Test images that are watched, and labelled training images of k-NN. */
const WATCHED = 256;
const GALLERY = 512;

/** From images to the embedding z, and to the representation that k-NN is taken on. */
type Representation = Record<'embed' | 'represent', (x: Tensor) => Tensor>;

export const watchOf = ({ embed, represent }: Representation, data: Data): WatchOptions => ({
  views() {
    const x = augment(data.test, { ...evaluationViews, batch: WATCHED, start: 0, seed: 5 });
    return { z: embed(x), h: represent(x) };
  },
  labelled: {
    gallery: () => represent(cleanBatch(data.train, { rows: GALLERY, start: 0 })),
    labels: {
      gallery: data.labels.train.subarray(0, GALLERY),
      queries: data.labels.test.subarray(0, WATCHED),
    },
  },
  ...{ probe: false, warmUp: false },
});
