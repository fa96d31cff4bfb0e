import { type Augmentation, scaledTo } from '../data/augment.ts';
import { checkSameClasses, type Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import type { Tensor } from '../graph/tensor.ts';
import { freeVariables, readVariable } from '../graph/variables.ts';
import type { Rows } from './compute.ts';
import { type EmbedOptions, embed } from './embed.ts';
import { type KnnOptions, knnAccuracy } from './knn.ts';

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

/** Clean training rows, and the labels of these and of the test images. */
interface Gallery {
  rows: Rows;
  labels: ArrayLike<number>;
  testLabels: ArrayLike<number>;
}

/** k-NN accuracy of test images under an augmentation (for 28 x 28 pixels; without one, as they are) among a gallery. */
export async function accuracyUnder(
  device: Device,
  augmentation: Augmentation | null,
  test: Dataset,
  forward: (x: Tensor) => Tensor,
  { rows, labels, testLabels }: Gallery,
  { k, classes, ...options }: KnnOptions & Pick<EmbedOptions, 'seed' | 'batch' | 'normalize'> = {},
): Promise<number> {
  const { h } = await embed(device, test, (x) => ({ h: forward(x) }), {
    ...options,
    ...(augmentation && { augmentation: scaledTo(test, augmentation) }),
  });
  try {
    return await knnAccuracy(device, rows, labels, h, testLabels, { k, classes });
  } finally {
    freeVariables(device, [h]);
  }
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
  checkSameClasses('shiftAccuracies', train, test);
  const [labels, testLabels] = [
    await readVariable(device, train.labels),
    await readVariable(device, test.labels),
  ];
  const { h: rows } = await embed(device, train, (x) => ({ h: forward(x) }), { batch });
  try {
    const result = {} as Record<K | 'clean', number>;
    const all: [string, Augmentation | null][] = [['clean', null], ...Object.entries<Augmentation>(shifts)];
    for (const [name, augmentation] of all)
      result[name as K] = await accuracyUnder(
        device,
        augmentation,
        test,
        forward,
        { rows, labels, testLabels },
        { seed, k, batch },
      );
    return result;
  } finally {
    freeVariables(device, [rows]);
  }
}
