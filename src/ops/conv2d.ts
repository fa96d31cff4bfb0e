import forwardWgsl from '../../shaders/conv2d.wgsl' with { type: 'text' };
import filterWgsl from '../../shaders/conv2d_filter_gradient.wgsl' with { type: 'text' };
import inputWgsl from '../../shaders/conv2d_input_gradient.wgsl' with { type: 'text' };
import commonWgsl from '../../shaders/lib/conv2d.wgsl' with { type: 'text' };
import sharedWgsl from '../../shaders/lib/conv2d_shared.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { shown } from '../gpu/check.ts';
import { MOST_ROUNDS } from '../gpu/target.ts';
import { checkCall, checkChoice } from '../graph/check.ts';
import { type Call, type Kernel, op } from '../graph/op.ts';
import { type Shape, show, sizeOf, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { pad, slice } from './shape.ts';
import { activationGradient } from './unary.ts';

/** The places of a window, of a convolution or a pool. */
export interface WindowOptions {
  /** Pixels from one window to the next: one number, or [y, x]. */
  stride?: number | readonly [y: number, x: number];
  /** Pixels around the image: one number, or [top, bottom, left, right], or 'same' for ceil(size / stride) outputs. */
  padding?: number | readonly [top: number, bottom: number, left: number, right: number] | 'same';
}

export interface Conv2dOptions extends WindowOptions {
  /** Applied in the same dispatch. Default 'none'. */
  activation?: 'none' | 'relu';
}

/** The sizes of images and windows, as kernels need them. */
export interface Geometry {
  batch: number;
  height: number;
  width: number;
  channels: number;
  outHeight: number;
  outWidth: number;
  kernelHeight: number;
  kernelWidth: number;
  strideY: number;
  strideX: number;
  top: number;
  left: number;
}

const whole = (n: unknown, least: number) => Number.isInteger(n) && (n as number) >= least;

/** Checks an image and a window and works out the output; throws ShapeError as `name`. */
export function windowGeometry(
  name: string,
  x: Shape,
  [kernelHeight, kernelWidth]: readonly [number, number],
  { stride = 1, padding = 0 }: WindowOptions,
): Geometry {
  for (const [what, value] of Object.entries({ stride, padding, kernel: [kernelHeight, kernelWidth] }))
    if (value !== 'same' && ![value].flat().every((n) => typeof n === 'number'))
      throwShapeError(name, `expected numbers for "${what}", got ${[value].flat().map(shown).join(', ')}`);
  if (x.length !== 4) throwShapeError(name, `expected images [N, H, W, C], got ${show(x)}`);
  const [batch, height, width, channels] = x;
  const strides = typeof stride === 'number' ? [stride, stride] : stride;
  if (strides.length !== 2 || !strides.every((s) => whole(s, 1)))
    throwShapeError(name, `expected a stride of 1 or more, or [y, x], got ${JSON.stringify(stride)}`);
  if (!whole(kernelHeight, 1) || !whole(kernelWidth, 1))
    throwShapeError(name, `expected a window of 1 or more pixels, got ${show([kernelHeight, kernelWidth])}`);
  const [strideY, strideX] = strides;
  const same = (size: number, kernel: number, s: number) => {
    const total = Math.max(0, (Math.ceil(size / s) - 1) * s + kernel - size);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  };
  const sides =
    padding === 'same'
      ? [...same(height, kernelHeight, strideY), ...same(width, kernelWidth, strideX)]
      : typeof padding === 'number'
        ? [padding, padding, padding, padding]
        : padding;
  if (sides.length !== 4 || !sides.every((p) => whole(p, 0)))
    throwShapeError(
      name,
      `expected a padding of 0 or more, [top, bottom, left, right] or 'same', got ${JSON.stringify(padding)}`,
    );
  const [top, bottom, left, right] = sides;
  const outHeight = Math.floor((height + top + bottom - kernelHeight) / strideY) + 1;
  const outWidth = Math.floor((width + left + right - kernelWidth) / strideX) + 1;
  if (outHeight < 1 || outWidth < 1)
    throwShapeError(
      name,
      `expected a window no larger than the padded image, got ${show([kernelHeight, kernelWidth])} on ${show([height + top + bottom, width + left + right])}`,
    );
  return {
    ...{ batch, height, width, channels, outHeight, outWidth, kernelHeight, kernelWidth },
    ...{ strideY, strideX, top, left },
  };
}

const geometryOf = (x: Shape, filter: Shape, options: Conv2dOptions) =>
  windowGeometry('conv2d', x, [filter[0], filter[1]], options);

/** The uniforms of shaders/lib/conv2d.wgsl: the geometry, and what only some passes need. */
const uniforms = (
  geometry: Geometry,
  outChannels: number,
  others: { relu?: number; hasBias?: number; splits?: number; chunk?: number } = {},
) => ({ ...geometry, outChannels, relu: 0, hasBias: 0, splits: 1, chunk: 0, ...others });

/** Fewer invocations leave a GPU idle: then smaller tiles are better. */
const FEW = 4096;

/** How many more channels fill a tile: padded copies cost less than tiles for any shape, which took 2 to 11 times as long. */
export const missing = (channels: number, unit: number): number => {
  const tile = channels % unit === 0 || channels < unit ? unit : channels < 16 ? 8 : 16;
  return tile * Math.ceil(channels / tile) - channels;
};

/** x padded with so many zeros at the end of each of its last axes. */
export function widened(x: Tensor, ...more: number[]): Tensor {
  const before = x.shape.map(() => 0);
  return pad(x, { before, after: [...before, ...more].slice(-x.shape.length) });
}

interface Tile {
  entry: string;
  /** Pixels (or filter rows) and channels of one invocation, or of the workgroup that makes the tile together. */
  rows: number;
  columns: number;
  workgroup?: boolean;
}

/** How many tiles cover so many pixels of each image. */
const tilesOver = (pixels: number, batch: number, { rows }: Tile): number =>
  Math.ceil((batch * pixels) / rows);

/** A tile in workgroup memory: the default of GPUs where there is enough to do, beside the one in registers. */
const shared = (entry: string): Tile => ({ entry, rows: 32, columns: 32, workgroup: true });
const withShared = (entry: string, worth: boolean | undefined, own: Tile): Tile[] =>
  worth ? [shared(entry), own] : [own];

/** How many invocations make so many tiles. */
const invocationsFor = (tiles: number, { workgroup }: Tile): number => tiles * (workgroup ? 64 : 1);

/** The source of a pass. */
const sourceOf = (wgsl: string) => [wgsl, gridWgsl, commonWgsl, sharedWgsl];

// ---- forward ----

function forwardTile(channels: number, size: number): Tile {
  if (channels % 4) return { entry: 'conv2d_forward_narrow_8x8', rows: 8, columns: 8 };
  if (size / 64 >= FEW) return { entry: 'conv2d_forward_8x8', rows: 8, columns: 8 };
  return { entry: 'conv2d_forward_4x4', rows: 4, columns: 4 };
}

function outputShape(
  [x, filter, bias]: [x: Tensor, filter: Tensor, bias: Tensor | null],
  options: Conv2dOptions,
): Shape {
  if (filter.shape.length !== 4)
    throwShapeError('conv2d', `expected a filter [KH, KW, C, O], got ${show(filter.shape)}`);
  const [, , C, O] = filter.shape;
  const g = geometryOf(x.shape, filter.shape, options);
  if (C !== g.channels)
    throwShapeError(
      'conv2d',
      `expected a filter for ${g.channels} channels of ${show(x.shape)}, got ${show(filter.shape)}`,
    );
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== O))
    throwShapeError('conv2d', `expected a bias [${O}], got ${show(bias.shape)}`);
  return [g.batch, g.outHeight, g.outWidth, O];
}

export const conv2dOp = op({
  name: 'conv2d',
  half: true,
  shape: outputShape,
  kernel: ({ inputs: [x, filter], outputs: [y] }, target) => {
    const [, , C, O] = filter.shape;
    const worth = target.workgroupTiles && C % 8 === 0 && O % 4 === 0 && O >= 16;
    return withShared('conv2d_forward_shared', worth, forwardTile(C, y.size)).map(
      (tile): Kernel<Conv2dOptions> => ({
        source: sourceOf(forwardWgsl),
        ...{ entry: tile.entry, inputs: ['x', 'filter', 'bias'], outputs: ['y'] },
        uniform: ({ inputs: [, , bias], options }) =>
          uniforms(geometryOf(x.shape, filter.shape, options), O, {
            relu: Number(options.activation === 'relu'),
            hasBias: Number(bias !== null),
          }),
        rounds: () => ({
          size: filter.size / O,
          rounds: (n) => (C % 4 ? n : Math.ceil(n / (tile.workgroup ? 1 : 4))) + 32,
          expected: 'windows of at most N numbers',
        }),
        invocations: () =>
          invocationsFor(
            tilesOver(y.size / O / y.shape[0], y.shape[0], tile) * Math.ceil(O / tile.columns),
            tile,
          ),
      }),
    );
  },
  vjp: (dy, { inputs: [x, filter, bias], outputs: [y], options: { activation, ...window } }) => {
    const dz = activation === 'relu' ? activationGradient(dy, y, { activation }) : dy;
    const [, , C] = filter.shape;
    const [N, H, W] = x.shape;
    // Only an image's one or three channels are not whole vec4s.
    const more = missing(C, 4);
    const shape = [N, H, W, C + more];
    const dx = inputGradient([dz, widened(filter, more, 0), null], { ...window, shape });
    const settings: FilterBackward = { ...window, shape: filter.shape, bias: bias !== null };
    const [dfilter, dbias] = filterGradient(x, dz, settings);
    return [slice(dx, { starts: [0, 0, 0, 0], sizes: x.shape }), dfilter, bias && dbias];
  },
});

/**
 * 2-D convolution (cross-correlation), in one dispatch; channels that do not fill a tile are padded with zeros.
 * @param x images [N, H, W, C]
 * @param filter [KH, KW, C, O]
 * @param bias [O], or null
 * @param options `stride` (default 1), `padding` (default 0) and `activation` (default 'none')
 * @returns [N, OH, OW, O], OH = floor((H + top + bottom - KH) / stride) + 1
 * @throws ShapeError for shapes that do not fit each other, or a window larger than the padded image
 */
export function conv2d(
  x: Tensor,
  filter: Tensor,
  bias: Tensor | null = null,
  options: Conv2dOptions = {},
): Tensor {
  checkCall(
    'conv2d',
    bias === null ? { x, filter } : { x, filter, bias },
    options,
    'stride padding activation',
  );
  const { stride = 1, padding = 0, activation = 'none' } = options;
  checkChoice('conv2d', 'activation', activation, ['none', 'relu']);
  const settings = { stride, padding, activation };
  const shape = outputShape([x, filter, bias], settings);
  // One or three channels, as images have, are read as they are.
  const inputs = filter.shape[2] < 4 ? 0 : missing(filter.shape[2], 4);
  const outputs = missing(filter.shape[3], 8);
  const y = conv2dOp(
    [widened(x, inputs), widened(filter, inputs, outputs), bias && widened(bias, outputs)],
    settings,
  );
  return slice(y, { starts: [0, 0, 0, 0], sizes: shape });
}

// ---- backward ----

export interface Backward extends WindowOptions {
  /** The shape of the result. */
  shape: Shape;
}

function inputTile({ shape: [, , , channels], size }: Tensor): Tile {
  if (channels % 8 === 0 && size / 64 >= FEW)
    return { entry: 'conv2d_input_gradient_8x8', rows: 8, columns: 8 };
  return { entry: 'conv2d_input_gradient_4x4', rows: 4, columns: 4 };
}

/** dx from dz [N, OH, OW, O] and the filter; each input pixel gathers the taps that it was under. */
export const inputGradient = op({
  name: 'conv2dInputGradient',
  shape: (_: [dz: Tensor, filter: Tensor, gate: Tensor | null], { shape }: Backward) => shape,
  kernel: ({ inputs: [, filter, gate], outputs: [dx] }, target) => {
    const [, , C, O] = filter.shape;
    const worth = target.workgroupTiles && O % 8 === 0 && C % 4 === 0 && C >= 16;
    const geometry = ({ options }: Call<Backward>) => geometryOf(options.shape, filter.shape, options);
    return withShared('conv2d_input_gradient_shared', worth, inputTile(dx)).map(
      (tile): Kernel<Backward> => ({
        source: sourceOf(inputWgsl),
        ...{ entry: tile.entry, inputs: ['dz', 'filter', 'gate'], outputs: ['dx'] },
        constants: () => ({ GATE: Number(gate !== null) }),
        uniform: (c) => uniforms(geometry(c), O),
        rounds: () => ({
          size: filter.size / C,
          rounds: (n) => Math.ceil(n / (tile.workgroup ? 1 : 4)) + 64,
          expected: 'windows of at most N numbers',
        }),
        invocations: (c) => {
          const { batch, height, width, strideY, strideX } = geometry(c);
          // Pixels that leave the same remainder by the strides meet the same taps: a tile has one kind only.
          let tiles = 0;
          for (let py = 0; py < strideY; py++) {
            for (let px = 0; px < strideX; px++) {
              const kind =
                Math.ceil(Math.max(0, height - py) / strideY) * Math.ceil(Math.max(0, width - px) / strideX);
              tiles += tilesOver(kind, batch, tile);
            }
          }
          return invocationsFor(tiles * Math.ceil(C / tile.columns), tile);
        },
      }),
    );
  },
  gated: ({ inputs: [dz, filter, gate] }, by) => (gate ? null : [dz, filter, by]),
});

interface FilterBackward extends Backward {
  /** Also sum the pixels of dz. */
  bias: boolean;
}

/** The most terms of one sum. */
const MOST_TERMS = Math.ceil(MOST_ROUNDS / 4);

const filterTile = (channels: number): Tile =>
  channels % 8 === 0
    ? { entry: 'conv2d_filter_gradient_8x8', rows: 8, columns: 8 }
    : { entry: 'conv2d_filter_gradient_narrow_8x8', rows: 8, columns: 8 };

const tilesOf = ([KH, KW, C, O]: Shape, { rows, columns }: Tile) =>
  Math.ceil((KH * KW * C) / rows) * Math.ceil(O / columns);

/** Enough invocations for a GPU, of which each still does a sum worth its write. */
const ENOUGH = 16384;
const PARTIAL_BYTES = 1 << 25;

/** How the pixels are cut into sums: it follows from the shapes alone, and with it the order of additions. */
function filterSplits(dz: Shape, filter: Shape): { splits: number; chunk: number } {
  const [batch, OH, OW] = dz;
  const tiles = tilesOf(filter, filterTile(filter[2]));
  const lines = batch * OH;
  const most = Math.min(256, Math.ceil((lines * OW) / 64), Math.floor(PARTIAL_BYTES / (4 * sizeOf(filter))));
  const least = Math.ceil((lines * OW) / MOST_TERMS);
  const wanted = Math.min(lines, Math.max(least, Math.min(Math.ceil(ENOUGH / tiles), most)));
  const chunk = Math.ceil(lines / wanted);
  return { splits: Math.ceil(lines / chunk), chunk };
}

/** Partial sums of dfilter, and of the bias's gradient after them, [splits, ...] from x and dz. */
const filterPartials = op({
  name: 'conv2dFilterGradient',
  shape: ([, dz]: [x: Tensor, dz: Tensor], { shape, bias }: FilterBackward) => [
    filterSplits(dz.shape, shape).splits,
    sizeOf(shape) + (bias ? shape[3] : 0),
  ],
  kernel: ({ inputs: [x, dz], options }, target) => {
    const { shape, bias } = options;
    const [, , C, O] = shape;
    const worth = target.workgroupTiles && C % 8 === 0 && O % 8 === 0 && O >= 16;
    const split = filterSplits(dz.shape, shape);
    return withShared('conv2d_filter_gradient_shared', worth, filterTile(C)).map((tile) => ({
      source: sourceOf(filterWgsl),
      ...{ entry: tile.entry, inputs: ['x', 'dz'], outputs: ['partials'] },
      uniform: () => uniforms(geometryOf(x.shape, shape, options), O, { ...split, hasBias: Number(bias) }),
      rounds: () => Math.ceil((split.chunk * dz.shape[2]) / 4) + 32,
      invocations: () =>
        invocationsFor(split.splits * tilesOf(shape, tile), tile) + split.splits * (bias ? O / 4 : 0),
    }));
  },
});

/** dfilter, and the gradient of the bias: sums over the splits, always in the same order. */
const sumPartials = op({
  name: 'conv2dSumPartials',
  shape: (_: [partials: Tensor], { shape, bias }: FilterBackward) => [
    { shape },
    { shape: [bias ? shape[3] : 1] },
  ],
  kernel: {
    source: sourceOf(filterWgsl),
    ...{ entry: 'conv2d_sum_partials', inputs: ['partials'], outputs: ['dfilter', 'dbias'] },
    uniform: ({ inputs: [partials], options: { shape, bias } }) => {
      const [kernelHeight, kernelWidth, channels, outChannels] = shape;
      // It reads no image.
      const images = { batch: 0, height: 0, width: 0, outHeight: 0, outWidth: 0 };
      const windows = { kernelHeight, kernelWidth, strideY: 0, strideX: 0, top: 0, left: 0 };
      const splits = partials.shape[0];
      return uniforms({ ...images, ...windows, channels }, outChannels, { splits, hasBias: Number(bias) });
    },
    rounds: ({ inputs: [partials] }) => Math.ceil(partials.shape[0] / 4) + 4,
    invocations: ({ inputs: [partials] }) => partials.size / partials.shape[0] / 4,
  },
});

/** dfilter from x and dz, and the gradient of the bias if there is one. */
export function filterGradient(x: Tensor, dz: Tensor, settings: FilterBackward): Tensor[] {
  const [, , C, O] = settings.shape;
  // The large tile takes images by four.
  const images = C % 16 || O % 16 ? 0 : -x.shape[0] & 3;
  const partials = filterPartials([widened(x, images, 0, 0, 0), widened(dz, images, 0, 0, 0)], settings);
  return sumPartials([partials], settings);
}
