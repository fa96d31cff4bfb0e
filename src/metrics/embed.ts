import embedWgsl from '../../shaders/embed.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import lanes1Wgsl from '../../shaders/lib/lanes1.wgsl' with { type: 'text' };
import lanes4Wgsl from '../../shaders/lib/lanes4.wgsl' with { type: 'text' };
import { type Augmentation, augment } from '../data/augment.ts';
import { checkDataset, cleanBatch, type Dataset } from '../data/dataset.ts';
import { checkNumber, checkOptions, isFunction, LARGEST_U32, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { shownTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import {
  reshape,
  type Scalar,
  scalar,
  show,
  Tensor,
  throwShapeError,
  type Variable,
  variable,
} from '../graph/tensor.ts';
import { checkOn } from '../runtime/check.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables } from '../runtime/variables.ts';
import { ranges, rowsInBinding, type Slabs } from './compute.ts';

interface Options {
  start: Scalar;
  /** The first row of the slab, and how many it holds. */
  first: number;
  held: number;
}

const lanesOf = (width: number) => (width % 4 ? 1 : 4);

const rowsOp = op({
  name: 'embedRows',
  shape: (_: [x: Tensor], _options: Options) => [],
  kernel: ({ inputs: [x] }) => {
    const lanes = lanesOf(x.shape[1]);
    const blocks = x.shape[1] / lanes;
    return {
      source: [embedWgsl, gridWgsl, lanes === 4 ? lanes4Wgsl : lanes1Wgsl],
      entry: 'embed_rows',
      inputs: ['batch'],
      state: ['slab'],
      uniform: ({ options: { start, first, held } }) => ({ rows: x.shape[0], blocks, start, first, held }),
      invocations: () => x.shape[0] * blocks,
      workgroupSize: 256,
    };
  },
});

export interface EmbedOptions {
  /** The most samples in one pass, which is one submit. Default 512, or a quarter of the images that one binding holds. */
  batch?: number;
  /** One random view of each sample instead of the clean image; `evaluationViews` for the metrics of the protocol. */
  augmentation?: Augmentation;
  /** Seed of the views. Default 0. */
  seed?: number;
  /** (pixel - mean) / std as networks see it; else pixels in [0, 1]. Default true. */
  normalize?: boolean;
  onProgress?: (fraction: number) => void;
}

const OPTIONS = ['batch', 'augmentation', 'seed', 'normalize', 'onProgress'] as const;

/**
 * The outputs of a function of images for every sample of a data set, in its order. They stay on the GPU; nothing is
 * read back. Free the result with `freeVariables(device, Object.values(result))`.
 *
 * @param forward of images [batch, H, W, C], in inference mode; its outputs are [batch, ...]
 * @returns f32 variables [count, D], one for each output
 * @throws ShapeError when an output does not have a row for each image; InputError when one variable cannot hold an
 *   output: `embedSlabs` keeps it in several
 */
export async function embed<K extends string>(
  device: Device,
  data: Dataset,
  forward: (x: Tensor) => Record<K, Tensor>,
  options: EmbedOptions = {},
): Promise<Record<K, Variable>> {
  const slabs = await embedAll('embed', device, data, forward, options, true);
  return Object.fromEntries(Object.entries<Slabs>(slabs).map(([name, of]) => [name, of.slabs[0]])) as Record<
    K,
    Variable
  >;
}

/**
 * As {@link embed}, for outputs that are larger than one binding of the device: each is kept in as many variables as it needs, and all
 * metrics accept it. Free it with `freeVariables(device, result.h.slabs)`.
 * @throws ShapeError when an output does not have a row for each image
 */
export async function embedSlabs<K extends string>(
  device: Device,
  data: Dataset,
  forward: (x: Tensor) => Record<K, Tensor>,
  options: EmbedOptions = {},
): Promise<Record<K, Slabs>> {
  return embedAll('embedSlabs', device, data, forward, options, false);
}

async function embedAll<K extends string>(
  where: string,
  device: Device,
  data: Dataset,
  forward: (x: Tensor) => Record<K, Tensor>,
  options: EmbedOptions,
  single: boolean,
): Promise<Record<K, Slabs>> {
  checkOn(where, device);
  checkDataset(where, data);
  checkOptions(where, options, OPTIONS);
  if (!isFunction(forward))
    throw new InputError(`${where}: expected a function of images for "forward", got ${shown(forward)}`);
  const { batch: most = 512, augmentation, seed = 0, normalize = true, onProgress } = options;
  checkNumber(where, 'batch', most, { least: 1, whole: true });
  checkNumber(where, 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  // For large images: as many as a binding holds, including their turns and views.
  const fit = Math.floor(rowsInBinding(device, data.height * data.width * data.channels) / 4);
  const batch = Math.max(1, Math.min(most, data.count, fit));
  const result = {} as Record<K, Slabs>;
  const step = await compile(
    device,
    ({ start }) => {
      const x = augmentation
        ? augment(data, { ...augmentation, batch, views: 1, start, seed, normalize })
        : cleanBatch(data, { rows: batch, start, normalize });
      const made: unknown = forward(x);
      if (typeof made !== 'object' || made === null)
        throw new InputError(`${where}: expected an object of tensors from "forward", got ${shown(made)}`);
      for (const [name, y] of Object.entries(made) as [K, unknown][]) {
        if (!(y instanceof Tensor) || y.shape[0] !== batch || y.dtype !== 'f32')
          throwShapeError(where, `expected f32 [${batch}, ...] for "${name}", got ${shownTensor(y)}`);
        const width = y.size / batch;
        const shape = [data.count, width];
        const held = ranges(where, data.count, rowsInBinding(device, width));
        if (single && held.length > 1)
          throw new InputError(
            `${where}: "${name}" ${show(shape)} needs ${4 * data.count * width} bytes, more than this device binds at once; embedSlabs keeps it in ${held.length} variables`,
          );
        const slabs = held.map(([from, to], i) =>
          variable([to - from, width], { name: `embedded.${name}${i ? `.${i}` : ''}` }),
        );
        result[name] = { slabs, shape };
        const rows = reshape(y, [batch, width]);
        for (const [i, [first, to]] of held.entries())
          rowsOp([rows], { start, first, held: to - first }, [slabs[i]]);
      }
      return {};
    },
    { inputs: { start: scalar('u32') }, warmUp: false },
  );
  const made = Object.values<Slabs>(result).flatMap(({ slabs }) => slabs);
  try {
    for (let start = 0; start < data.count; start += batch) {
      await step.run({ start });
      onProgress?.(Math.min(1, (start + batch) / data.count));
    }
    return result;
  } catch (error) {
    freeVariables(device, made);
    throw error;
  } finally {
    step.dispose();
  }
}
