import resultWgsl from '../../shaders/lib/result_buffer.wgsl' with { type: 'text' };
import forwardWgsl from '../../shaders/software/conv2d.wgsl' with { type: 'text' };
import filterWgsl from '../../shaders/software/conv2d_filter_gradient.wgsl' with { type: 'text' };
import inputWgsl from '../../shaders/software/conv2d_input_gradient.wgsl' with { type: 'text' };
import winogradWgsl from '../../shaders/software/lib/conv2d_winograd.wgsl' with { type: 'text' };
import quadsWgsl from '../../shaders/software/lib/conv2d_quads.wgsl' with { type: 'text' };
import winogradFilterWgsl from '../../shaders/software/lib/conv2d_winograd_filter.wgsl' with { type: 'text' };
import imagesWgsl from '../../shaders/software/lib/conv2d_images.wgsl' with { type: 'text' };
import { MOST_ROUNDS } from '../gpu/target.ts';
import type { Call, Kernel } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Settings } from './settings.ts';
import { linesOf } from './texels.ts';
import { onOperands, withQuads } from './texture_operands.ts';

/** Results from which tiles of 16 x 16 still give every core of llvmpipe work. */
const LARGE = 32768;

/** Whether a result [N, H, W, C] is worth tiles of 16 images x 16 channels. */
const isLarge = ({ shape, size }: Tensor, settings: Settings) =>
  settings.largeTiles < Infinity && shape[0] >= 16 && shape[3] % 16 === 0 && size >= LARGE;

/** How many tiles make a result. */
const tilesOf = ({ shape: [N, H, W, C] }: Tensor) => H * W * Math.ceil(N / 16) * Math.ceil(C / 16);

/** The WGSL of a pass that writes images by `put_c`, behind three inputs. */
const writing = (wgsl: string) => [wgsl, imagesWgsl, 'const RESULT = 4u;', resultWgsl];

/** Whether a convolution has 3 x 3 taps and keeps the size of its images, which Winograd's kernels take by lines, in quads. */
function isWinograd(kernel: Kernel, call: Call, { quads }: Settings): boolean {
  const { kernelHeight, kernelWidth, strideY, strideX, top, left, ...g } = kernel.uniform!(call) as Record<
    string,
    number
  >;
  const same = g.height === g.outHeight && g.width === g.outWidth && g.width >= 4;
  return quads && same && kernelHeight * kernelWidth === 9 && [kernelHeight, strideY, strideX, top, left].join() === '3,1,1,1,1';
}

/** A kernel of Winograd's products of lines, whose quads make `rows` quads. */
function byLines(own: Kernel, call: Call, work: number, settings: Settings, more: string[]): Kernel {
  const lines = { ...call, inputs: call.inputs.map((x, i) => x && (i < 2 ? linesOf(x) : x)) };
  const { kernel } = onOperands(own, lines, work, settings, { more: [...more, quadsWgsl] });
  return { ...kernel, source: withQuads([kernel.source].flat()), lines: true };
}

/** The quads that make a result [N, H, W, C], 4 pixels of 16 images x 16 channels each. */
const quadsOf = ({ shape: [N, H, W, C] }: Tensor) => Math.ceil(N / 16) * H * Math.ceil(W / 4) * (C / 16);

export function largeForward(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [, filter] = call.inputs as Tensor[];
  const [y] = call.outputs;
  if (!isLarge(y, settings)) return own;
  const [, , C, O] = filter.shape;
  const narrow = C % 4 !== 0;
  const work = narrow ? 0 : y.size * (filter.size / O);
  if (!narrow && isWinograd(own[0], call, settings)) {
    const kernel = byLines(own[0], call, work, settings, [...writing(forwardWgsl), winogradWgsl]);
    return [{ ...kernel, entry: 'conv2d_winograd', invocations: () => 4 * quadsOf(y) }];
  }
  const entry = narrow ? 'conv2d_forward_narrow_16x16' : 'conv2d_forward_16x16';
  const { kernel } = onOperands(own[0], call, work, settings, { more: writing(forwardWgsl) });
  return [{ ...kernel, entry, invocations: () => tilesOf(y) }];
}

export function largeInputGradient(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [dz, filter] = call.inputs as Tensor[];
  const [dx] = call.outputs;
  if (!isLarge(dx, settings)) return own;
  const work = dz.size * (filter.size / filter.shape[3]);
  if (isWinograd(own[0], call, settings)) {
    const kernel = byLines(own[0], call, work, settings, [...writing(inputWgsl), winogradWgsl]);
    return [{ ...kernel, entry: 'conv2d_winograd', invocations: () => 4 * quadsOf(dx) }];
  }
  const { kernel } = onOperands(own[0], call, work, settings, { more: writing(inputWgsl) });
  return [{ ...kernel, entry: 'conv2d_input_gradient_16x16', invocations: () => tilesOf(dx) }];
}

/** The most terms of one sum. */
const MOST_TERMS = Math.ceil(MOST_ROUNDS / 4);

export function largeFilterGradient(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [kernel] = own;
  const [, dz] = call.inputs as Tensor[];
  const [KH, KW, C, O] = call.options.shape as number[];
  const [N, H, W] = dz.shape;
  if (settings.largeTiles === Infinity || O % 16) return own;
  const { splits, chunk, hasBias } = kernel.uniform!(call) as Record<string, number>;
  const tiles = (rows: number) =>
    splits * Math.ceil((KH * KW * C) / rows) * (O / 16) + splits * hasBias * (O / 4);
  const more = [filterWgsl, imagesWgsl];
  if (C % 16 === 0 && O % 16 === 0 && N % 8 === 0 && isWinograd(kernel, call, settings)) {
    const quads = 3 * splits * (C / 16) * (O / 16);
    const invocations = 4 * quads + splits * hasBias * (O / 4);
    const winograd = byLines(kernel, call, dz.size * KH * KW * C, settings, [winogradFilterWgsl]);
    return [{ ...winograd, entry: 'conv2d_filter_gradient_winograd', invocations: () => invocations }];
  }
  // A split of the large tile is at least four images.
  if (C % 16 === 0 && N % 4 === 0 && H * W <= MOST_TERMS) {
    const images = Math.ceil(N / 4 / splits) * (H * (W + 2) + 2);
    return [
      {
        ...onOperands(kernel, call, dz.size * KH * KW * C, settings, { more }).kernel,
        entry: 'conv2d_filter_gradient_16x16',
        rounds: () => Math.max(Math.ceil((chunk * W) / 4), images) + 32,
        invocations: () => tiles(16),
      },
    ];
  }
  if (C % 8 === 0) return own;
  const narrow = onOperands(kernel, call, 0, settings, { more }).kernel;
  return [{ ...narrow, entry: 'conv2d_filter_gradient_narrow_12x16', invocations: () => tiles(12) }];
}
