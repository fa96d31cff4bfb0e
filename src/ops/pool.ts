import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import poolWgsl from '../../shaders/pool.wgsl' with { type: 'text' };
import { checkCall, checkFlag, checkTensor } from '../graph/check.ts';
import { type Call, type Kernel, op } from '../graph/op.ts';
import { reshape, type Shape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { type Geometry, type WindowOptions, windowGeometry } from './conv2d.ts';
import { mean } from './reduce.ts';

export interface PoolOptions extends WindowOptions {
  /** Pixels of a window: one number, or [y, x]. The stride defaults to it. */
  kernel: number | readonly [y: number, x: number];
}

export interface AveragePoolOptions extends PoolOptions {
  /** Divide by the size of the whole window even if a part of it is padding. Default false. */
  countPadding?: boolean;
}

interface Settings extends Required<AveragePoolOptions> {
  /** The shape of the images. */
  shape: Shape;
}

const geometryOf = (name: string, { kernel, shape, ...window }: Settings): Geometry => {
  const sizes = Array.isArray(kernel) ? (kernel as [number, number]) : ([kernel, kernel] as [number, number]);
  const g = windowGeometry(name, shape, sizes, window);
  const last = (out: number, stride: number, before: number) => (out - 1) * stride - before;
  // A window that is all padding has no pixel.
  if (
    g.top >= g.kernelHeight ||
    g.left >= g.kernelWidth ||
    last(g.outHeight, g.strideY, g.top) >= g.height ||
    last(g.outWidth, g.strideX, g.left) >= g.width
  )
    throwShapeError(
      name,
      `expected less padding than the window ${show(sizes)}, got ${JSON.stringify(window.padding)}`,
    );
  return g;
};

const settings = (name: string, x: Tensor, options: AveragePoolOptions): Settings => {
  checkCall(name, { x }, options, `kernel stride padding${name === 'maxPool2d' ? '' : ' countPadding'}`);
  const { kernel, stride = kernel, padding = 0, countPadding = false } = options;
  checkFlag(name, 'countPadding', countPadding);
  return { kernel, stride, padding, countPadding, shape: x.shape };
};

const values = (n: number) => (n % 4 ? n : n / 4);

/** One of the kernels of shaders/pool.wgsl. Gradients have a gate as their last input: dx is 0 unless it is positive. */
function kernel(
  name: string,
  { options, inputs: given, outputs: [out] }: Call<Settings>,
  entry: string,
  inputs: string[],
  outputs: string[],
): Kernel {
  const { channels, ...sizes } = geometryOf(name, options);
  const vector = channels % 4 === 0;
  return {
    ...{ source: [poolWgsl, gridWgsl], entry, inputs, outputs },
    prelude: `alias value = ${vector ? 'vec4f' : 'f32'}; alias choice = ${vector ? 'vec4u' : 'u32'};`,
    constants: () => ({ GATE: Number(inputs.at(-1) === 'gate' && given.at(-1) !== null) }),
    uniform: () => ({ ...sizes, columns: values(channels), countPadding: Number(options.countPadding) }),
    // A pixel is in at most as many windows as a window has pixels.
    rounds: () => ({
      size: sizes.kernelHeight * sizes.kernelWidth,
      rounds: (n: number) => n + 2 * sizes.kernelHeight + 1,
      expected: 'windows of at most N pixels',
    }),
    invocations: () => (out.size / channels) * values(channels),
  };
}

const outputShape = (name: string, options: Settings): Shape => {
  const g = geometryOf(name, options);
  return [g.batch, g.outHeight, g.outWidth, g.channels];
};

const maxGradient = op({
  name: 'maxPool2dGradient',
  shape: (_: [dy: Tensor, winner: Tensor, gate: Tensor | null], { shape }: Settings) => shape,
  kernel: (c) => kernel('maxPool2d', c, 'max_pool_2d_gradient', ['dy', 'winner', 'gate'], ['dx']),
  gated: ({ inputs: [dy, winner, gate] }, by) => (gate ? null : [dy, winner, by]),
});

/** Its second output is the winning pixel of each window. */
const maxOp = op({
  name: 'maxPool2d',
  half: true,
  shape: (_: [x: Tensor], options: Settings) => {
    const shape = outputShape('maxPool2d', options);
    return [{ shape }, { shape, dtype: 'u32' as const }];
  },
  kernel: (c) => kernel('maxPool2d', c, 'max_pool_2d_forward', ['x'], ['y', 'winner']),
  vjp: (dy, { outputs, options }) => [maxGradient([dy, outputs[1], null], options)],
});

/**
 * The largest value of each window. Padding never wins; the gradient goes to the first of equal values.
 * @param x images [N, H, W, C]
 * @param options `kernel`; `stride` (default: the kernel) and `padding` (default 0)
 * @returns [N, OH, OW, C]
 * @throws ShapeError for a window that is too large, or is entirely in the padding
 */
export const maxPool2d = (x: Tensor, options: PoolOptions): Tensor =>
  maxOp([x], settings('maxPool2d', x, options))[0];

const averageGradient = op({
  name: 'averagePool2dGradient',
  shape: (_: [dy: Tensor, winner: null, gate: Tensor | null], { shape }: Settings) => shape,
  kernel: (c) => kernel('averagePool2d', c, 'average_pool_2d_gradient', ['dy', 'winner', 'gate'], ['dx']),
  gated: ({ inputs: [dy, , gate] }, by) => (gate ? null : [dy, null, by]),
});

const averageOp = op({
  name: 'averagePool2d',
  half: true,
  shape: (_: [x: Tensor], options: Settings) => outputShape('averagePool2d', options),
  kernel: (c) => kernel('averagePool2d', c, 'average_pool_2d_forward', ['x'], ['y']),
  vjp: (dy, { options }) => [averageGradient([dy, null, null], options)],
});

/**
 * The mean of each window: over its pixels inside the image, or with `countPadding` over all of it (padding is 0).
 * @param x images [N, H, W, C]
 * @param options `kernel`; `stride` (default: the kernel), `padding` (default 0), `countPadding` (default false)
 * @returns [N, OH, OW, C]
 * @throws ShapeError for a window that is too large, or is entirely in the padding
 */
export const averagePool2d = (x: Tensor, options: AveragePoolOptions): Tensor =>
  averageOp([x], settings('averagePool2d', x, options));

/** The mean over all pixels: [N, H, W, C] -> [N, C]. */
export function globalAveragePool(x: Tensor): Tensor {
  checkTensor('globalAveragePool', 'x', x);
  if (x.shape.length !== 4)
    throwShapeError('globalAveragePool', `expected images [N, H, W, C], got ${show(x.shape)}`);
  const [N, H, W, C] = x.shape;
  // One invocation would exceed MOST_ROUNDS.
  if (H * W > 60_000) return mean(x, { axes: [1, 2] });
  return reshape(averagePool2d(x, { kernel: [H, W] }), [N, C]);
}
