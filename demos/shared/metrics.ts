// The gauges of every demo, on held-out images.
import {
  accuracyOf,
  augment,
  cleanBatch,
  compile,
  type Device,
  EVAL,
  effectiveRankOf,
  halves,
  l2Normalize,
  liveMetrics,
  participationRatioOf,
  spectrumOf,
  topKSimilar,
} from 'hypersphere';
import type { Data } from './images.ts';
import type { Model } from './trainer.ts';

/** Test images of the gauges, and labelled training images of k-NN. */
const WATCHED = 256;
const GALLERY = 512;
/** Neighbours that vote. */
const K = 20;

/** The step that measures a model. */
export async function compileMetrics(device: Device, { embed, represent }: Model, data: Data) {
  const trace = () => {
    const x = augment(data.test, { ...EVAL, batch: WATCHED, start: 0, seed: 5 });
    const [zA, zB] = halves(embed(x));
    const [queries] = halves(represent(x));
    const gallery = represent(cleanBatch(data.train, { rows: GALLERY, start: 0 }));
    const { indices } = topKSimilar(l2Normalize(queries), l2Normalize(gallery), { k: K });
    return { ...liveMetrics(zA, zB), neighbours: indices };
  };
  const step = await compile(device, trace, { warmUp: false });
  return {
    dispose: step.dispose,
    async look() {
      const [, [alignment, uniformity, std, length], covariance, neighbours] = await Promise.all([
        step.run(),
        step.read('gauges'),
        step.read('covariance'),
        step.read('neighbours'),
      ]);
      if (![alignment, uniformity, std, length, ...covariance].every(Number.isFinite))
        throw new Error('The embeddings are no longer numbers. Take back the last change.');
      return {
        ...{ alignment, uniformity, std, length, covariance },
        rank: effectiveRankOf(covariance),
        participation: participationRatioOf(covariance),
        knn: accuracyOf(votes(neighbours, data.labels.train), data.labels.test.subarray(0, WATCHED)),
        spectrum: [...spectrumOf(covariance)],
      };
    },
  };
}

/** The class that most of the neighbours of each query have. neighbours: [queries, K] */
const votes = (neighbours: ArrayLike<number>, labels: Uint8Array): number[] =>
  Array.from({ length: neighbours.length / K }, (_, query) => {
    const counts = new Array<number>(10).fill(0);
    for (let k = 0; k < K; k++) counts[labels[neighbours[query * K + k]]]++;
    return counts.indexOf(Math.max(...counts));
  });
