import { type Augmentation, scaledTo } from '../data/augment.ts';
import { checkDataset, checkSameClasses, checkSameStatistics, type Dataset } from '../data/dataset.ts';
import { IGNORED, type LabelOptions, type Numbered, numberTogether } from '../data/labels.ts';
import { checkNumber, checkOptions, isFunction, LARGEST_U32, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import type { Tensor } from '../graph/tensor.ts';
import { checkOn } from '../runtime/check.ts';
import { readVariable } from '../runtime/variables.ts';
import { checkNeighbours, freeRows, type Rows } from './compute.ts';
import { type EmbedOptions, embedSlabs } from './embed.ts';
import { knnVotes, neighboursOf } from './knn.ts';
import { metricsOf } from './metric.ts';
import { agreeing } from './per_class.ts';

/** Shifts that the training views of small gray images (`plainViews`) do not have, or not so far. */
export const SHIFTS = {
  noise: { noise: 0.2 },
  blur: { blur: { probability: 1, sigma: [1.5, 1.5] } },
  contrast: { contrast: 0.8 },
  rotation: { rotation: 45 },
} as const satisfies Record<string, Augmentation>;

export interface ShiftOptions<K extends string> extends LabelOptions {
  /** For 28 x 28 pixels; see {@link scaledTo}. Default {@link SHIFTS}. */
  shifts?: Record<K, Augmentation>;
  /** Seed of the shifted images. Default 5. */
  seed?: number;
  /** Neighbours that vote. Default: see `knnNeighbours`. */
  k?: number;
  /** Samples in one forward pass. Default 512. */
  batch?: number;
}

/** Clean training rows, and the labels of these and of the test images, numbered together. */
interface Gallery {
  rows: Rows;
  numbers: Uint32Array;
  asked: Uint32Array;
  classes: number;
}

/** Checks that arguments are a device and two data sets. @throws InputError and ShapeError that name the function */
export function checkSets(where: string, device: unknown, sets: unknown): void {
  checkOn(where, device);
  if (typeof sets !== 'object' || sets === null)
    throw new InputError(`${where}: expected { train, test } of data sets, got ${shown(sets)}`);
  for (const name of ['train', 'test']) checkDataset(where, (sets as Record<string, unknown>)[name], name);
  const { train, test } = sets as { train: Dataset; test: Dataset };
  checkSameStatistics(where, train, test);
}

/**
 * The labels of two data sets, numbered together.
 * @throws InputError that names the function, where they have no labels
 */
export async function labelsOf(
  where: string,
  device: Device,
  sets: { train: Dataset; test: Dataset },
  options: LabelOptions = {},
): Promise<{ numbers: Uint32Array; asked: Uint32Array; values: Numbered['values'] }> {
  const { train, test } = sets;
  if (!train.labels || !test.labels) throw new InputError(`${where}: both data sets need labels`);
  checkSameClasses(where, train, test);
  const [labels, testLabels] = [
    await readVariable(device, train.labels),
    await readVariable(device, test.labels),
  ];
  const [[numbers, asked], values] = numberTogether(
    where,
    [
      { name: 'train.labels', labels, rows: train.count },
      { name: 'test.labels', labels: testLabels, rows: test.count },
    ],
    options,
  );
  for (const [name, list] of Object.entries({ train: numbers, test: asked }))
    if (list.every((label) => label === IGNORED))
      throw new InputError(`${where}: every label of "${name}" is ignored`);
  return { numbers, asked, values };
}

/** k-NN accuracy of test images under an augmentation (for 28 x 28 pixels; without one, as they are) among a gallery. */
export async function accuracyUnder(
  where: string,
  device: Device,
  augmentation: Augmentation | null,
  test: Dataset,
  forward: (x: Tensor) => Tensor,
  { rows, numbers, asked, classes }: Gallery,
  { k, ...options }: { k: number } & Pick<EmbedOptions, 'seed' | 'batch' | 'normalize'>,
): Promise<number> {
  const { h } = await embedSlabs(device, test, (x) => ({ h: forward(x) }), {
    ...options,
    ...(augmentation && { augmentation: scaledTo(test, augmentation) }),
  });
  try {
    return agreeing(await knnVotes(where, device, rows, numbers, h, { k, classes }), asked);
  } finally {
    freeRows(device, [h]);
  }
}

/**
 * k-NN accuracy of shifted test images among clean training images, and how robust it is: the clean accuracy is there too.
 * @param forward from images [N, H, W, C], in inference mode, to the representation
 * @throws InputError without labels, or for other options
 */
export async function shiftAccuracies<K extends string = keyof typeof SHIFTS>(
  device: Device,
  sets: { train: Dataset; test: Dataset },
  forward: (x: Tensor) => Tensor,
  options: ShiftOptions<K> = {},
): Promise<Record<K | 'clean', number>> {
  const where = 'shiftAccuracies';
  checkOptions(where, options, ['shifts', 'seed', 'k', 'batch', 'ignore']);
  const { shifts = SHIFTS as unknown as Record<K, Augmentation>, seed = 5, batch, ignore } = options;
  if (typeof shifts !== 'object' || shifts === null)
    throw new InputError(`${where}: expected augmentations by name for "shifts", got ${shown(shifts)}`);
  if (!isFunction(forward))
    throw new InputError(`${where}: expected a function of images for "forward", got ${shown(forward)}`);
  checkNumber(where, 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  if (batch !== undefined) checkNumber(where, 'batch', batch, { least: 1, whole: true });
  checkSets(where, device, sets);
  const { numbers, asked, values } = await labelsOf(where, device, sets, { ignore });
  const classes = values.length;
  const k = options.k ?? neighboursOf(numbers, classes);
  checkNeighbours(
    where,
    k,
    numbers.reduce((n, label) => n + Number(label !== IGNORED), 0),
  );
  const { train, test } = sets;
  const { h: rows } = await embedSlabs(device, train, (x) => ({ h: forward(x) }), { batch });
  try {
    const result = {} as Record<K | 'clean', number>;
    const all: [string, Augmentation | null][] = [['clean', null], ...Object.entries<Augmentation>(shifts)];
    for (const [name, augmentation] of all)
      result[name as K] = await accuracyUnder(
        where,
        device,
        augmentation,
        test,
        forward,
        { rows, numbers, asked, classes },
        { seed, k, batch },
      );
    return result;
  } finally {
    freeRows(device, [rows]);
  }
}

export const shiftMetrics = /* @__PURE__ */ metricsOf(
  {
    group: 'shift',
    kind: 'accuracy',
    better: 'higher',
    needs: ['labels', 'shifted'],
    stage: 'k-NN',
    cost: 1.3,
  },
  [
    {
      key: 'knnNoise',
      name: 'k-NN, noise',
      phrase: 'k-NN under noise',
      text: 'The vote when the test images have noise on them: a normal deviate of 0.2 for each pixel of 0 to 1. An encoder is easily worse here than raw pixels unless its training views had noise.',
      compute: ({ shifted }) => shifted(SHIFTS.noise),
    },
    {
      key: 'knnBlur',
      name: 'k-NN, blur',
      phrase: 'k-NN under blur',
      text: 'The vote for test images blurred by 1.5 pixels.',
      compute: ({ shifted }) => shifted(SHIFTS.blur),
    },
    {
      key: 'knnContrast',
      name: 'k-NN, contrast',
      phrase: 'k-NN under changed contrast',
      text: 'The vote for test images whose contrast was changed by up to 80 %.',
      compute: ({ shifted }) => shifted(SHIFTS.contrast),
    },
    {
      key: 'knnRotation',
      name: 'k-NN, rotation',
      phrase: 'k-NN under rotation',
      text: 'The vote for test images turned by up to 45 degrees, far more than in training.',
      compute: ({ shifted }) => shifted(SHIFTS.rotation),
    },
  ],
);
