import type { Tensor } from '../graph/tensor.ts';
import { keepLargest } from '../ops/keep_largest.ts';
import { COUNT, type RowsMethod } from './method.ts';
import * as parts from './parts/sparse_autoencoder.ts';
import { saeLoss } from './sae.ts';

const hyperparameters = {
  latents: [1024, COUNT],
  k: [16, COUNT],
  alpha: [1 / 32, { least: 0 }],
  deadEpochs: [10, { least: 0, most: 1e6, fixed: true }],
} as const;

/** TopK: Gao et al. 2024, arXiv 2406.04093. Each row keeps its k largest latents, in training and afterwards. The hyperparameters are those of {@link sae}. */
export const saeTopK = {
  title: 'Sparse autoencoder (TopK)',
  paper: 'Gao et al., arXiv 2406.04093',
  year: 2024,
  summary: 'express the h of a trained encoder by few of many directions: the k largest of each row',
  data: 'rows',
  hyperparameters,
  build({ width, count, hyperparameters: own, ...setting }) {
    const autoencoder = parts.sparseAutoencoder({ width, latents: own.latents, ...setting });
    const { activations, decode, directions, trained, normalize, parameters } = autoencoder;
    const dead = parts.deadLatents(own.latents, own.deadEpochs * count);
    const largest = (a: Tensor) => keepLargest(a, { k: Math.min(own.k, own.latents) });
    let f: Tensor;
    const loss = ({ x }: { x: Tensor }) => {
      const a = activations(x);
      f = largest(a);
      const revived = directions(dead.largest(a, Math.floor(width / 2)));
      return saeLoss(x, decode(f), revived, { alpha: own.alpha });
    };
    return {
      parameters,
      state: dead.state,
      decode,
      encode: (x) => largest(activations(x)),
      loss,
      gradients: (batch) => trained(loss(batch)),
      after() {
        dead.follow(f);
        normalize();
      },
    };
  },
} satisfies RowsMethod<typeof hyperparameters>;
