import { type Augmentation, scaledTo } from '../data/augment.ts';
import type { Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import type { Tensor } from '../graph/tensor.ts';
import { freeVariables, readVariable } from '../graph/variables.ts';
import { embed } from './embed.ts';
import { knnAccuracy } from './knn.ts';

/** Shifts that the training views of small gray images (`S1`) do not have, or not so far. */
export const SHIFTS = {
  noise: { noise: 0.2 },
  blur: { blur: { probability: 1, sigma: [1.5, 1.5] } },
  contrast: { contrast: 0.8 },
  rotation: { rotation: 45 },
} as const satisfies Record<string, Augmentation>;

export interface ShiftOptions<K extends string> {
  /** For 28 x 28 pixels; see {@link scaledTo}. Default {@link SHIFTS}. */
  shifts?: Record<K, Augmentation>;
  /** Of the shifted images. Default 5. */
  seed?: number;
  /** Neighbours that vote. Default 20. */
  k?: number;
  /** Samples in one forward pass. Default 512. */
  batch?: number;
}

/**
 * k-NN accuracy of shifted test images among clean training images, and how robust it is: the clean accuracy is there too.
 * @param forward from images [N, H, W, C], in inference mode, to the representation
 * @throws InputError without labels
 */
export async function shiftAccuracies<K extends string = keyof typeof SHIFTS>(
  device: Device,
  { train, test }: { train: Dataset; test: Dataset },
  forward: (x: Tensor) => Tensor,
  { shifts = SHIFTS as unknown as Record<K, Augmentation>, seed = 5, k, batch }: ShiftOptions<K> = {},
): Promise<Record<K | 'clean', number>> {
  if (!train.labels || !test.labels) throw new InputError('shiftAccuracies: both data sets need labels');
  const apply = (x: Tensor) => ({ h: forward(x) });
  const labels = [await readVariable(device, train.labels), await readVariable(device, test.labels)];
  const { h: gallery } = await embed(device, train, apply, { batch });
  try {
    const result = {} as Record<K | 'clean', number>;
    for (const [name, augmentation] of Object.entries({ clean: undefined, ...shifts })) {
      const { h } = await embed(device, test, apply, {
        batch,
        ...(augmentation ? { augmentation: scaledTo(test, augmentation as Augmentation), seed } : {}),
      });
      try {
        result[name as K] = await knnAccuracy(device, gallery, labels[0], h, labels[1], { k });
      } finally {
        freeVariables(device, [h]);
      }
    }
    return result;
  } finally {
    freeVariables(device, [gallery]);
  }
}
