import { shownList } from '../gpu/check.ts';
import { checkCall, checkFloat } from '../graph/check.ts';
import { op } from '../graph/op.ts';
import { type Shape, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import { add } from './binary.ts';
import {
  type Backward,
  conv2dOp,
  filterGradient,
  inputGradient,
  missing,
  type WindowOptions,
  widened,
} from './conv2d.ts';
import { slice } from './shape.ts';

export interface ConvTranspose2dOptions {
  /** Pixels of the result from one window to the next: one number, or [y, x]. Default 1. */
  stride?: number | readonly [y: number, x: number];
  /** Pixels cut off around the result: one number, or [top, bottom, left, right]. Default 0. */
  padding?: number | readonly [top: number, bottom: number, left: number, right: number];
  /** Pixels added at the bottom and the right, fewer than the stride: one number, or [y, x]. Default 0. */
  outputPadding?: number | readonly [y: number, x: number];
}

/** The input gradient of a convolution, run forward; its own gradients are the convolution and that of the filter. */
const transposed = op({
  ...inputGradient.op,
  name: 'convTranspose2d',
  half: true,
  vjp: (dy, { inputs: [x, filter], options: { shape: _, ...window } }) => [
    conv2dOp([dy, filter, null], window),
    filterGradient(dy, x, { ...window, shape: filter.shape, bias: false })[0],
    null,
  ],
});

/** One number or two, as two. */
const pair = (name: string, value: unknown, least: number): readonly [number, number] => {
  const list: unknown[] = Array.isArray(value) ? value : [value, value];
  if (list.length !== 2 || !list.every((n) => Number.isInteger(n) && (n as number) >= least))
    throwShapeError(
      'convTranspose2d',
      `expected a whole number of ${least} or more, or [y, x], for "${name}", got ${shownList(value)}`,
    );
  return list as [number, number];
};

/** The shape of the result, which the convolution of these options maps to the shape of x. */
function outputShape(
  x: Tensor,
  filter: Tensor,
  bias: Tensor | null,
  options: Required<ConvTranspose2dOptions>,
): Shape {
  const fail = (text: string) => throwShapeError('convTranspose2d', text);
  if (x.shape.length !== 4) fail(`expected images [N, H, W, C], got ${show(x.shape)}`);
  if (filter.shape.length !== 4) fail(`expected a filter [KH, KW, O, C], got ${show(filter.shape)}`);
  const [N, H, W, C] = x.shape;
  const [KH, KW, O, I] = filter.shape;
  if (I !== C) fail(`expected a filter for ${C} channels of ${show(x.shape)}, got ${show(filter.shape)}`);
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== O))
    fail(`expected a bias [${O}], got ${show(bias.shape)}`);
  const stride = pair('stride', options.stride, 1);
  const more = pair('outputPadding', options.outputPadding, 0);
  if (more.some((n, axis) => n >= stride[axis]))
    fail(`expected an outputPadding below the stride ${show(stride)}, got ${show(more)}`);
  const { padding } = options;
  const sides: readonly number[] = Array.isArray(padding) ? padding : new Array(4).fill(padding);
  if (sides.length !== 4 || !sides.every((n) => Number.isInteger(n) && n >= 0))
    fail(`expected a padding of 0 or more, or [top, bottom, left, right], got ${shownList(padding)}`);
  const height = (H - 1) * stride[0] + KH + more[0] - sides[0] - sides[1];
  const width = (W - 1) * stride[1] + KW + more[1] - sides[2] - sides[3];
  if (height < 1 || width < 1)
    fail(`expected less padding than the result has pixels, got ${shownList(padding)} for ${show(x.shape)}`);
  return [N, height, width, O];
}

/**
 * Transposed 2-D convolution: the gradient of {@link conv2d} by its input, used forward. Each pixel of x adds its multiple of the
 * filter to the result, `stride` pixels apart. The filter is laid out as that of the convolution, as in TensorFlow.
 * @param x images [N, H, W, C]
 * @param filter [KH, KW, O, C]
 * @param bias [O], or null
 * @param options `stride` (default 1), `padding` (default 0) and `outputPadding` (default 0), as in PyTorch
 * @returns [N, OH, OW, O], OH = (H - 1) stride + KH + outputPadding - top - bottom
 * @throws ShapeError for shapes that do not fit each other, or an outputPadding that is not below the stride
 */
export function convTranspose2d(
  x: Tensor,
  filter: Tensor,
  bias: Tensor | null = null,
  options: ConvTranspose2dOptions = {},
): Tensor {
  const name = 'convTranspose2d';
  checkCall(
    name,
    bias === null ? { x, filter } : { x, filter, bias },
    options,
    'stride padding outputPadding',
  );
  for (const each of [x, filter, bias]) if (each) checkFloat(name, each);
  const { stride = 1, padding = 0, outputPadding = 0 } = options;
  const shape = outputShape(x, filter, bias, { stride, padding, outputPadding });
  const [N, H, W, O] = shape;
  // The kernels take whole vec4s of output channels and 8 input channels or more.
  const [inputs, outputs] = [missing(x.shape[3], 8), missing(O, 4)];
  const window: WindowOptions = { stride, padding };
  const settings: Backward = { ...window, shape: [N, H, W, O + outputs] };
  const y = transposed([widened(x, inputs), widened(filter, outputs, inputs), null], settings);
  const whole = slice(y, { starts: [0, 0, 0, 0], sizes: shape });
  return bias ? add(whole, bias) : whole;
}
