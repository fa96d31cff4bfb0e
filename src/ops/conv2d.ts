import conv2dWgsl from '../../shaders/conv2d.wgsl' with { type: 'text' };
import { type Call, call, type Kernel, type Op, op, type Target } from '../graph/op.ts';
import { fail, type Shape, show, sizeOf, type Tensor } from '../graph/tensor.ts';
import { fromBuffers, operandsFrom } from './operands.ts';

/** Where a window stands: used by convolutions and pools alike. */
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

/** A window in numbers: all that a kernel needs to know of an image and its windows. */
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
  if (x.length !== 4) fail(name, `expected images [N, H, W, C], got ${show(x)}`);
  const [batch, height, width, channels] = x;
  const strides = typeof stride === 'number' ? [stride, stride] : stride;
  if (strides.length !== 2 || !strides.every((s) => whole(s, 1)))
    fail(name, `expected a stride of 1 or more, or [y, x], got ${JSON.stringify(stride)}`);
  if (!whole(kernelHeight, 1) || !whole(kernelWidth, 1))
    fail(name, `expected a window of 1 or more pixels, got ${show([kernelHeight, kernelWidth])}`);
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
    fail(
      name,
      `expected a padding of 0 or more, [top, bottom, left, right] or 'same', got ${JSON.stringify(padding)}`,
    );
  const [top, bottom, left, right] = sides;
  const outHeight = Math.floor((height + top + bottom - kernelHeight) / strideY) + 1;
  const outWidth = Math.floor((width + left + right - kernelWidth) / strideX) + 1;
  if (outHeight < 1 || outWidth < 1)
    fail(
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

const source = fromBuffers(conv2dWgsl);
const prelude = (channels: number) => `alias value = ${channels % 4 ? 'f32' : 'vec4f'};`;

/** The uniform block of shaders/conv2d.wgsl. */
const block = (
  g: Partial<Geometry> & { outChannels?: number },
  { relu = 0, hasBias = 0, splits = 1, chunk = 0, columns = 0, pitch = 0, count = 0 } = {},
) => ({
  batch: g.batch ?? 0,
  height: g.height ?? 0,
  width: g.width ?? 0,
  channels: g.channels ?? 0,
  outHeight: g.outHeight ?? 0,
  outWidth: g.outWidth ?? 0,
  outChannels: g.outChannels ?? 0,
  kernelHeight: g.kernelHeight ?? 0,
  kernelWidth: g.kernelWidth ?? 0,
  strideY: g.strideY ?? 0,
  strideX: g.strideX ?? 0,
  top: g.top ?? 0,
  left: g.left ?? 0,
  ...{ relu, hasBias, splits, chunk, columns, pitch, count },
});

/** Fewer invocations than this leave a GPU idle: then smaller tiles are better. */
const FEW = 4096;

/** Results from which tiles of 16 x 16 still give every core of llvmpipe work. */
const LARGE = 32768;

const FORWARD_16 = 'conv2d_forward_16x16';
const INPUT_16 = 'conv2d_input_gradient_16x16';
const FILTER_16 = 'conv2d_filter_gradient_16x16';

interface Tile {
  entry: string;
  /** Pixels (or filter rows) and channels of one invocation. */
  rows: number;
  columns: number;
}

// ---- forward ----

function forwardTile(channels: number, { shape, size }: Tensor, { largeTiles }: Target): Tile {
  const [batch, , , outChannels] = shape;
  const narrow = channels % 4 !== 0;
  if (largeTiles < Infinity && batch % 16 === 0 && outChannels % 16 === 0 && size >= LARGE)
    return { entry: narrow ? 'conv2d_forward_narrow_16x16' : FORWARD_16, rows: 16, columns: 16 };
  if (outChannels % 8 === 0 && (narrow || size / 64 >= FEW))
    return { entry: narrow ? 'conv2d_forward_narrow_8x8' : 'conv2d_forward_8x8', rows: 8, columns: 8 };
  if (!narrow && outChannels % 4 === 0) return { entry: 'conv2d_forward_4x4', rows: 4, columns: 4 };
  return { entry: 'conv2d_forward_any', rows: 4, columns: 4 };
}

type Forward = Conv2dOptions;

const conv2dOp: Op<Forward> = {
  name: 'conv2d',
  shape: ([x, filter, bias], options) => {
    if (filter.shape.length !== 4)
      fail('conv2d', `expected a filter [KH, KW, C, O], got ${show(filter.shape)}`);
    const [, , C, O] = filter.shape;
    const g = geometryOf(x.shape, filter.shape, options);
    if (C !== g.channels)
      fail(
        'conv2d',
        `expected a filter for ${g.channels} channels of ${show(x.shape)}, got ${show(filter.shape)}`,
      );
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== O))
      fail('conv2d', `expected a bias [${O}], got ${show(bias.shape)}`);
    return [g.batch, g.outHeight, g.outWidth, O];
  },
  kernel: ({ inputs: [x, filter], outputs: [y] }, target) => {
    const [, , C, O] = filter!.shape;
    const { entry, rows, columns } = forwardTile(C, y, target);
    const from =
      entry === FORWARD_16
        ? operandsFrom(conv2dWgsl, { x: x!, filter: filter! }, y.size * (filter!.size / O), target)
        : { source };
    return {
      ...{ ...from, entry, prelude: prelude(O), inputs: ['x', 'filter', 'bias'], outputs: ['y'] },
      uniform: ({ inputs: [, , bias], options }) =>
        block(
          { ...geometryOf(x!.shape, filter!.shape, options), outChannels: O },
          { relu: Number(options.activation === 'relu'), hasBias: Number(bias !== null) },
        ),
      invocations: () => Math.ceil(y.size / O / rows) * Math.ceil(O / columns),
    };
  },
  vjp: (dy, { inputs: [x, filter, bias], outputs: [y], options }) => {
    const { dz, db } = throughEpilogue(dy, y, options, bias !== null);
    return [
      inputGradient(dz, filter!, { ...options, shape: x!.shape }),
      filterGradient(x!, dz, { ...options, shape: filter!.shape }),
      db,
    ];
  },
};

/**
 * 2-D convolution (cross-correlation), in one dispatch.
 * @param x images [N, H, W, C]
 * @param filter [KH, KW, C, O]
 * @param bias [O], or null
 * @param options `stride` (default 1), `padding` (default 0) and `activation` (default 'none')
 * @returns [N, OH, OW, O], OH = floor((H + top + bottom - KH) / stride) + 1
 * @throws ShapeError for shapes that do not fit each other, or a window larger than the padded image
 */
export function conv2d(x: Tensor, filter: Tensor, bias: Tensor | null, options: Conv2dOptions = {}): Tensor {
  const { stride = 1, padding = 0, activation = 'none' } = options;
  if (activation !== 'none' && activation !== 'relu')
    fail('conv2d', `expected activation 'none' or 'relu', got ${JSON.stringify(activation)}`);
  return call(conv2dOp, [x, filter, bias], { stride, padding, activation }).outputs[0];
}

// ---- backward ----

interface Backward extends Conv2dOptions {
  /** Of the result. */
  shape: Shape;
}

function inputTile({ shape, size }: Tensor, outChannels: number, { largeTiles }: Target): Tile {
  const [batch, , , channels] = shape;
  if (channels % 4 || outChannels % 4) return { entry: 'conv2d_input_gradient_any', rows: 4, columns: 4 };
  if (largeTiles < Infinity && batch % 16 === 0 && channels % 16 === 0 && size >= LARGE)
    return { entry: INPUT_16, rows: 16, columns: 16 };
  if (channels % 8 === 0 && size / 64 >= FEW)
    return { entry: 'conv2d_input_gradient_8x8', rows: 8, columns: 8 };
  return { entry: 'conv2d_input_gradient_4x4', rows: 4, columns: 4 };
}

/** dx from dz [N, OH, OW, O] and the filter; each input pixel gathers the taps that it was under. */
const inputGradient = op<[dz: Tensor, filter: Tensor], Backward>({
  name: 'conv2dInputGradient',
  shape: (_, { shape }) => shape,
  kernel: ({ inputs: [dz, filter], outputs: [dx] }, target) => {
    const [, , C, O] = filter!.shape;
    const { entry, rows, columns } = inputTile(dx, O, target);
    const from =
      entry === INPUT_16
        ? operandsFrom(conv2dWgsl, { dz: dz!, filter: filter! }, dz!.size * (filter!.size / O), target)
        : { source };
    const geometry = ({ options }: Call<Backward>) => geometryOf(options.shape, filter!.shape, options);
    return {
      ...{ ...from, entry, prelude: prelude(O), inputs: ['dz', 'filter'], outputs: ['dx'] },
      uniform: (c) => block({ ...geometry(c), outChannels: O }),
      invocations: (c) => {
        const { batch, height, width, strideY, strideX } = geometry(c);
        // Pixels that leave the same remainder by the strides meet the same taps: a tile has one kind only.
        let tiles = 0;
        for (let py = 0; py < strideY; py++) {
          for (let px = 0; px < strideX; px++) {
            const kind =
              Math.ceil(Math.max(0, height - py) / strideY) * Math.ceil(Math.max(0, width - px) / strideX);
            tiles += Math.ceil((batch * kind) / rows);
          }
        }
        return tiles * Math.ceil(C / columns);
      },
    };
  },
});

function filterTile(batch: number, channels: number, outChannels: number, { largeTiles }: Target): Tile {
  if (outChannels % 8) return { entry: 'conv2d_filter_gradient_any', rows: 4, columns: 4 };
  const large = largeTiles < Infinity && outChannels % 16 === 0;
  if (large && channels % 16 === 0 && batch % 4 === 0) return { entry: FILTER_16, rows: 16, columns: 16 };
  if (channels % 8 === 0) return { entry: 'conv2d_filter_gradient_8x8', rows: 8, columns: 8 };
  if (large) return { entry: 'conv2d_filter_gradient_narrow_12x16', rows: 12, columns: 16 };
  return { entry: 'conv2d_filter_gradient_narrow_8x8', rows: 8, columns: 8 };
}

/** Enough invocations for a GPU, of which each still does a sum worth its write. */
const ENOUGH = 16384;
const PARTIAL_BYTES = 1 << 25;
/** No sum of more terms: llvmpipe ends an invocation after 65,535 rounds of its loops, silently. */
const MOST_TERMS = 1 << 14;

/** Into how many sums the pixels are cut: from the shapes alone, so that the order of additions is too. */
function filterSplits([, OH, OW]: Shape, batch: number, filter: Shape): { splits: number; chunk: number } {
  const [KH, KW, C, O] = filter;
  const { rows, columns } = filterTile(batch, C, O, { largeTiles: Infinity });
  const tiles = Math.ceil((KH * KW * C) / rows) * Math.ceil(O / columns);
  const lines = batch * OH;
  const most = Math.min(256, Math.ceil((lines * OW) / 64), Math.floor(PARTIAL_BYTES / (4 * sizeOf(filter))));
  const least = Math.ceil((lines * OW) / MOST_TERMS);
  const wanted = Math.min(lines, Math.max(least, Math.min(Math.ceil(ENOUGH / tiles), most)));
  const chunk = Math.ceil(lines / wanted);
  return { splits: Math.ceil(lines / chunk), chunk };
}

const wholeVectors = (n: number) => Math.ceil(n / 4) * 4;

/** Partial sums of dfilter [splits, KH * KW * C * O] from x and dz. */
const filterPartials = op<[x: Tensor, dz: Tensor], Backward>({
  name: 'conv2dFilterGradient',
  shape: ([, dz], { shape }) => [
    filterSplits(dz.shape, dz.shape[0], shape).splits,
    wholeVectors(sizeOf(shape)),
  ],
  kernel: ({ inputs: [x, dz], options }, target) => {
    const { shape } = options;
    const [KH, KW, C, O] = shape;
    const { entry, rows, columns } = filterTile(x!.shape[0], C, O, target);
    const split = filterSplits(dz!.shape, dz!.shape[0], shape);
    const work = dz!.size * KH * KW * C;
    const from =
      entry === FILTER_16 ? operandsFrom(conv2dWgsl, { x: x!, dz: dz! }, work, target) : { source };
    return {
      ...{ ...from, entry, prelude: prelude(O), inputs: ['x', 'dz'], outputs: ['partials'] },
      uniform: () => block({ ...geometryOf(x!.shape, shape, options), outChannels: O }, split),
      invocations: () => split.splits * Math.ceil((KH * KW * C) / rows) * Math.ceil(O / columns),
    };
  },
});

/** [splits, length] -> shape: sums over the splits, always in the same order. */
const sumPartials = op<[partials: Tensor], { shape: Shape }>({
  name: 'conv2dSumPartials',
  shape: (_, { shape }) => shape,
  kernel: {
    ...{ source, entry: 'conv2d_sum_partials', prelude: prelude(4), inputs: ['partials'], outputs: ['sum'] },
    uniform: ({ inputs: [partials], outputs: [sum] }) =>
      block({}, { splits: partials!.shape[0], count: sum.size }),
    invocations: ({ outputs: [sum] }) => Math.ceil(sum.size / 4),
  },
});

const filterGradient = (x: Tensor, dz: Tensor, options: Backward): Tensor =>
  sumPartials(filterPartials(x, dz, options), { shape: options.shape });

// The epilogue: the cotangent before the activation, and the bias's.

function biasSplits([N, OH, OW, O]: Shape) {
  const rows = N * OH * OW;
  const columns = O % 4 ? O : O / 4;
  const least = Math.ceil(rows / MOST_TERMS);
  const wanted = Math.max(least, Math.min(256, Math.ceil(ENOUGH / columns), Math.ceil(rows / 16)));
  const chunk = Math.ceil(rows / wanted);
  return { splits: Math.ceil(rows / chunk), chunk, columns, pitch: O % 4 ? wholeVectors(O) : columns };
}

const streamKernel = ({ shape }: Tensor): Omit<Kernel, 'entry'> => {
  const [batch, outHeight, outWidth, outChannels] = shape;
  const split = biasSplits(shape);
  return {
    ...{ source, prelude: prelude(outChannels) },
    uniform: () => block({ batch, outHeight, outWidth, outChannels }, split),
    invocations: () => split.splits * split.columns,
  };
};

const biasPartials = op<[dz: Tensor]>({
  name: 'conv2dBiasGradient',
  shape: ([dz]) => [biasSplits(dz.shape).splits, wholeVectors(dz.shape[3])],
  kernel: ({ inputs: [dz] }) => ({
    ...streamKernel(dz!),
    ...{ entry: 'conv2d_bias_gradient', inputs: ['dz'], outputs: ['sums'] },
  }),
});

const activationGradient: Op = {
  name: 'conv2dActivationGradient',
  shape: ([dy]) => [{ shape: dy.shape }, { shape: [biasSplits(dy.shape).splits, wholeVectors(dy.shape[3])] }],
  kernel: ({ inputs: [dy] }) => ({
    ...streamKernel(dy!),
    ...{ entry: 'conv2d_activation_gradient', inputs: ['dy', 'y'], outputs: ['dz', 'sums'] },
  }),
};

function throughEpilogue(dy: Tensor, y: Tensor, { activation }: Conv2dOptions, hasBias: boolean) {
  const shape = [dy.shape[3]];
  if (activation !== 'relu') return { dz: dy, db: hasBias ? sumPartials(biasPartials(dy), { shape }) : null };
  const [dz, sums] = call(activationGradient, [dy, y], {}).outputs;
  return { dz, db: hasBias ? sumPartials(sums, { shape }) : null };
}
