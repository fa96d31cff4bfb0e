import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import spritesWgsl from '../../shaders/sprites.wgsl' with { type: 'text' };
import { checkNumber, checkOptions } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { checkCall, checkFlag, checkTensor } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import {
  checkShape,
  input,
  type Shape,
  show,
  sizeOf,
  type Tensor,
  throwShapeError,
} from '../graph/tensor.ts';
import { randomLib } from '../ops/random.ts';
import { checkOn } from '../runtime/check.ts';
import { compile } from '../runtime/compile.ts';
import type { ImageFactors, Images } from './idx.ts';

/** The factors of a sprite, in the order of their columns; `hue` only where it has a colour. */
const NAMES = ['shape', 'scale', 'orientation', 'x', 'y', 'hue'] as const;
export type SpriteFactor = (typeof NAMES)[number];
/** The number of values of each factor. */
export type SpriteValues = Record<SpriteFactor, number>;

/**
 * The number of values that each factor has by default: 3 * 4 * 8 * 8 * 8 = 6,144 gray sprites, small enough to train on
 * in seconds; 24,576 with four hues.
 *
 * | factor | its values |
 * |---|---|
 * | shape | 0 square, 1 ellipse of axes 1 : 0.6, 2 heart; all within a disc, around their centroids |
 * | scale | evenly from .5 to 1 |
 * | orientation | k / count of a whole turn, counter-clockwise |
 * | x, y | of the centroid, evenly from a quarter to three quarters of the image, to the right and down |
 * | hue | k / count of the circle of hues, from red over green and blue |
 *
 * A factor of one value has scale 1, no turn, the middle of the image, red. Some sprites are equal: a square does not change by a quarter turn,
 * an ellipse by a half turn. So no code can score 1 on orientation.
 */
export const spriteFactors: Readonly<SpriteValues> = {
  ...{ shape: 3, scale: 4, orientation: 8, x: 8, y: 8, hue: 4 },
};

/**
 * The numbers of values of dSprites (Matthey et al. 2017): 737,280 sprites. dSprites has the first orientation twice, as 0 and 2 pi, and
 * other outlines and margins. For {@link renderSprites}; {@link sprites} makes all of them up to 26 x 26 pixels only.
 */
export const dSpritesFactors: Readonly<SpriteValues> = {
  ...{ shape: 3, scale: 6, orientation: 40, x: 32, y: 32, hue: 4 },
};

export interface SpriteOptions {
  /** Height and width in pixels, 4 to 1,024. Default 28, so that the default encoders fit. */
  size?: number;
  /** RGB images with the factor hue. Default false: gray. */
  color?: boolean;
  /** The number of values of each factor. Default: those of {@link spriteFactors}. */
  values?: Partial<SpriteValues>;
}

interface Options {
  size: number;
  color: boolean;
  values: SpriteValues;
}

const renderOp = op({
  name: 'renderSprites',
  shape: ([{ shape }]: [factors: Tensor], { size, color }: Options) =>
    [shape[0], size, size, color ? 3 : 1] as Shape,
  kernel: {
    source: [spritesWgsl, gridWgsl, randomLib],
    entry: 'render_sprites',
    inputs: ['factors'],
    outputs: ['y'],
    uniform: ({ inputs: [{ shape }], outputs: [y], options: { size, color, values } }) => ({
      pixels: shape[0] * size * size,
      padded: Math.ceil(y.size / 4) * 4,
      ...{ size, channels: color ? 3 : 1, width: shape[1], shapes: values.shape, hues: values.hue },
      values: [values.scale, values.orientation, values.x, values.y],
    }),
    invocations: ({ inputs: [{ shape }], outputs: [y], options: { size } }) =>
      shape[0] * size * size + (Math.ceil(y.size / 4) * 4 - y.size),
  },
});

/** Checks the options of a function, and fills in the defaults. */
function checked(where: string, { size = 28, color = false, values: given = {} }: SpriteOptions): Options {
  checkNumber(where, 'size', size, { least: 4, most: 1024, whole: true });
  checkFlag(where, 'color', color);
  checkOptions(where, given, NAMES);
  const values = { ...spriteFactors };
  for (const name of NAMES) {
    if (given[name] !== undefined) values[name] = given[name];
    const most = name === 'shape' ? 3 : 65_536;
    checkNumber(where, `values.${name}`, values[name], { least: 1, most, whole: true });
  }
  return { size, color, values };
}

const columnsOf = ({ color }: Options) => (color ? NAMES : NAMES.slice(0, 5));

/**
 * Draws sprites, white on black or in one hue, on the GPU: the share of each pixel that the shape covers (4 x 4 parts, each by its
 * distance from the outline), so that small moves change the image smoothly. It has no gradient.
 * @param factors u32 [N, 5]: shape, scale, orientation, x, y; with `color` [N, 6], hue last. A number past the last value of a factor
 *   counts as the last one.
 * @returns f32 [N, size, size, 1], with `color` [N, size, size, 3], in [0, 1]
 * @throws ShapeError for factors of another type or shape, and for batches above 2^31 numbers; InputError for other options
 */
export function renderSprites(factors: Tensor, options: SpriteOptions = {}): Tensor {
  checkCall('renderSprites', { factors }, options, 'size color values');
  const all = checked('renderSprites', options);
  checkTensor('renderSprites', 'factors', factors, { dtype: 'u32', rank: 2 });
  const columns = columnsOf(all);
  if (factors.shape[1] !== columns.length)
    throwShapeError(
      'renderSprites',
      `expected factors [N, ${columns.length}] (${columns.join(', ')}), got ${show(factors.shape)}`,
    );
  checkShape('renderSprites', '', [factors.shape[0], all.size, all.size, all.color ? 3 : 1]);
  return renderOp([factors], all);
}

/** The most pixels in bytes: what `dataset` takes. */
const MOST_BYTES = 2 ** 29;
/** Numbers of a batch: 4 MiB. */
const BATCH = 2 ** 20;

/**
 * Images with known factors: every sprite of a grid, drawn on the GPU, the last factor changing fastest; their labels are the shapes. A data set in the
 * manner of dSprites (Matthey et al. 2017) without a download; its default grid is {@link spriteFactors}.
 *
 * ```ts
 * const images = await sprites({ device });
 * const data = dataset(images); // 6,144 images of 28 x 28
 * images.factors.names; // ['shape', 'scale', 'orientation', 'x', 'y']
 * ```
 * @throws InputError for other options, and for more than 512 MiB of pixels
 */
export async function sprites(
  options: SpriteOptions & { device: Device },
): Promise<Images & { factors: ImageFactors }> {
  checkOptions('sprites', options, ['device', 'size', 'color', 'values']);
  const { device, ...rest } = options;
  checkOn('sprites', device);
  const all = checked('sprites', rest);
  const { size, color } = all;
  const names = [...columnsOf(all)];
  const values = names.map((name) => all.values[name]);
  const F = names.length;
  const [count, each] = [sizeOf(values), size * size * (color ? 3 : 1)];
  if (count * each > MOST_BYTES)
    throw new InputError(
      `sprites: expected at most ${MOST_BYTES} bytes of pixels, got ${count} images of ${each}; draw batches by renderSprites`,
    );
  const factors = gridOf(values);
  const pixels = new Uint8Array(count * each);
  const batch = Math.min(count, Math.max(1, Math.floor(BATCH / each)));
  const step = await compile(device, ({ factors }) => ({ y: renderSprites(factors, all) }), {
    inputs: { factors: input([batch, F], 'u32') },
    warmUp: false,
  });
  try {
    for (let from = 0; from < count; from += batch) {
      // The last batch is whole, too: it draws some images again.
      const start = Math.min(from, count - batch);
      await step.run({ factors: factors.slice(start * F, (start + batch) * F) });
      pixels.set(
        Uint8Array.from(await step.read('y'), (v) => Math.round(255 * v)),
        start * each,
      );
    }
  } finally {
    step.dispose();
  }
  const labels = Uint32Array.from({ length: count }, (_, i) => factors[i * F]);
  const images = { pixels, count, height: size, width: size, channels: color ? 3 : 1, labels };
  return { ...images, classes: values[0], factors: { names, values, data: factors } };
}

/** All combinations, [count, F]. */
function gridOf(values: readonly number[]): Uint32Array {
  const F = values.length;
  const grid = new Uint32Array(sizeOf(values) * F);
  for (let i = 0; i < grid.length / F; i++)
    for (let f = F - 1, rest = i; f >= 0; rest = Math.floor(rest / values[f--]))
      grid[i * F + f] = rest % values[f];
  return grid;
}
