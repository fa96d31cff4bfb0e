// The metrics of every demo, on held-out images.
import type { Device, Tensor } from 'hypersphere';
import { augment, cleanBatch, evaluationViews } from 'hypersphere/data';
import { compileWatch, spectrumOf } from 'hypersphere/metrics';
import type { Data } from './images.ts';

/** Test images that are watched, and labelled training images of k-NN. */
const WATCHED = 256;
const GALLERY = 512;

/** From images to the embedding z, and to the representation that k-NN is taken on. */
type Representation = Record<'embed' | 'represent', (x: Tensor) => Tensor>;

/** Compiles what is measured of a model while it trains. */
export async function watchModel(device: Device, { embed, represent }: Representation, data: Data) {
  const watch = await compileWatch(device, {
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
  return {
    dispose: watch.dispose,
    async look() {
      const { metrics, covariance } = await watch.look();
      if (![...Object.values(metrics), ...Array.from(covariance)].every(Number.isFinite))
        throw new Error('The embeddings are no longer numbers. Take back the last change.');
      return { ...metrics, covariance, spectrum: [...spectrumOf(covariance)] };
    },
  };
}
