// What nested prefixes of z are worth: a table of the report of a run with `--matryoshka`.
import type { Device } from '../gpu/device.ts';
import type { Tensor } from '../graph/tensor.ts';
import { prefixSizes } from '../methods/parts/matryoshka.ts';
import { freeRows } from '../metrics/compute.ts';
import { embedSlabs } from '../metrics/embed.ts';
import { knnAccuracy } from '../metrics/knn.ts';
import { slice } from '../ops/shape.ts';
import { readVariable } from '../runtime/variables.ts';
import { type ImageModel, represent } from '../train/images.ts';
import type { Sets } from './files.ts';
import type { DrawnPanel } from './method_panels.ts';

/** The title of the table. */
export const PREFIXES = 'Prefixes of z';

/** k-NN accuracy by the first and by the last `size` numbers of z. */
export interface PrefixAccuracy {
  size: number;
  first: number;
  last: number;
}

/**
 * k-NN accuracy of test images by prefixes of z, each normalised by itself, and by as many of its last numbers.
 * @param least the smallest prefix; it doubles up to the width of z
 */
export async function prefixAccuracies(
  device: Device,
  { train, test }: Sets,
  model: ImageModel,
  least: number,
): Promise<PrefixAccuracy[]> {
  const sizes = prefixSizes(least, model.widths.z!);
  const numbers = (z: Tensor, from: number, size: number) =>
    slice(z, { starts: [0, from], sizes: [-1, size] });
  const parts = (x: Tensor) => {
    const z = represent(model, x).z!;
    return Object.fromEntries(
      sizes.flatMap((size) => [
        [`first${size}`, numbers(z, 0, size)],
        [`last${size}`, numbers(z, z.shape[1] - size, size)],
      ]),
    );
  };
  const [known, asked] = await Promise.all([train, test].map(({ labels }) => readVariable(device, labels!)));
  const gallery = await embedSlabs(device, train, parts);
  const queries = await embedSlabs(device, test, parts).catch((error) => {
    freeRows(device, Object.values(gallery));
    throw error;
  });
  try {
    const accuracy = (name: string) => knnAccuracy(device, gallery[name], known, queries[name], asked);
    const found: PrefixAccuracy[] = [];
    for (const size of sizes)
      found.push({ size, first: await accuracy(`first${size}`), last: await accuracy(`last${size}`) });
    return found;
  } finally {
    freeRows(device, [...Object.values(gallery), ...Object.values(queries)]);
  }
}

/** These numbers as a table of the report. */
export function prefixPanel(accuracies: readonly PrefixAccuracy[]): DrawnPanel {
  return {
    ...{ kind: 'table', title: PREFIXES, corner: 'numbers', digits: 3 },
    caption:
      'k-NN accuracy of the test images by the first numbers of z alone, and by as many of its last. The loss was taken of each prefix too (Matryoshka, Kusupati et al. 2022), so that the first numbers are an embedding by themselves.',
    columns: ['first', 'last'],
    rows: accuracies.map(({ size }) => String(size)),
    cells: accuracies.map(({ first, last }) => [first, last]),
  };
}
