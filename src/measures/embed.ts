import embedWgsl from '../../shaders/embed.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import lanes1Wgsl from '../../shaders/lib/lanes1.wgsl' with { type: 'text' };
import lanes4Wgsl from '../../shaders/lib/lanes4.wgsl' with { type: 'text' };
import { type Augmentation, augment } from '../data/augment.ts';
import { cleanBatch, type Dataset } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { compile } from '../graph/compile.ts';
import { call, type Op } from '../graph/op.ts';
import {
  fail,
  reshape,
  type Scalar,
  scalar,
  show,
  type Tensor,
  type Variable,
  variable,
} from '../graph/tensor.ts';
import { freeVariables } from '../graph/variables.ts';

interface Options {
  start: Scalar;
  total: number;
}

const lanesOf = (width: number) => (width % 4 ? 1 : 4);

const rowsOp: Op<Options> = {
  name: 'embedRows',
  shape: () => [],
  kernel: ({ inputs: [x] }) => {
    const lanes = lanesOf(x!.shape[1]);
    const blocks = x!.shape[1] / lanes;
    return {
      source: [embedWgsl, gridWgsl, lanes === 4 ? lanes4Wgsl : lanes1Wgsl],
      entry: 'embed_rows',
      inputs: ['batch'],
      state: ['all'],
      uniform: ({ options: { total, start } }) => ({ rows: x!.shape[0], blocks, total, start }),
      invocations: () => x!.shape[0] * blocks,
      workgroupSize: 256,
    };
  },
};

export interface EmbedOptions {
  /** Samples in one pass; it is one submit. Default 512. */
  batch?: number;
  /** One random view of each sample instead of the clean image; `EVAL` for the gauges of the protocol. */
  augmentation?: Augmentation;
  /** Of the views. Default 0. */
  seed?: number;
  /** (pixel - mean) / std as networks see it; else pixels in [0, 1]. Default true. */
  normalize?: boolean;
  onProgress?: (fraction: number) => void;
}

/**
 * What a function of images gives for every sample of a data set, in the data set's order: stays on the GPU, nothing is
 * read back. Free the result with `freeVariables(device, Object.values(result))`.
 *
 * @param forward of images [batch, H, W, C], in inference mode; its outputs are [batch, ...]
 * @returns f32 variables [count, D], one for each output
 * @throws ShapeError when an output does not have a row for each image
 */
export async function embed<K extends string>(
  device: Device,
  data: Dataset,
  forward: (x: Tensor) => Record<K, Tensor>,
  { batch: most = 512, augmentation, seed = 0, normalize = true, onProgress }: EmbedOptions = {},
): Promise<Record<K, Variable>> {
  const batch = Math.min(most, data.count);
  const result = {} as Record<K, Variable>;
  const step = await compile(
    device,
    ({ start }) => {
      const x = augmentation
        ? augment(data, { ...augmentation, batch, views: 1, start, seed, normalize })
        : cleanBatch(data, { rows: batch, start, normalize });
      for (const [name, y] of Object.entries(forward(x)) as [K, Tensor][]) {
        if (y.shape[0] !== batch || y.dtype !== 'f32')
          fail('embed', `expected f32 [${batch}, ...] for "${name}", got ${y.dtype} ${show(y.shape)}`);
        const width = y.size / batch;
        result[name] = variable([data.count, width], { name: `embedded.${name}` });
        call(rowsOp, [reshape(y, [batch, width])], { start, total: data.count }, [result[name]]);
      }
      return {};
    },
    { inputs: { start: scalar('u32') }, warmUp: false },
  );
  try {
    for (let start = 0; start < data.count; start += batch) {
      await step.run({ start });
      onProgress?.(Math.min(1, (start + batch) / data.count));
    }
    return result;
  } catch (error) {
    freeVariables(device, Object.values(result));
    throw error;
  } finally {
    step.dispose();
  }
}
