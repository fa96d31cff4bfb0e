import resultWgsl from '../../shaders/lib/result_buffer.wgsl' with { type: 'text' };
import forwardWgsl from '../../shaders/software/conv2d.wgsl' with { type: 'text' };
import filterWgsl from '../../shaders/software/conv2d_filter_gradient.wgsl' with { type: 'text' };
import inputWgsl from '../../shaders/software/conv2d_input_gradient.wgsl' with { type: 'text' };
import imagesWgsl from '../../shaders/software/lib/conv2d_images.wgsl' with { type: 'text' };
import quadsWgsl from '../../shaders/software/lib/quads_conv2d.wgsl' with { type: 'text' };
import winogradWgsl from '../../shaders/software/lib/quads_winograd.wgsl' with { type: 'text' };
import winogradFilterWgsl from '../../shaders/software/lib/quads_winograd_filter.wgsl' with { type: 'text' };
import { MOST_ROUNDS } from '../gpu/target.ts';
import type { Call, Kernel, Op } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Settings } from './settings.ts';
import { linesOf } from './texels.ts';
import { onOperands, withQuads } from './texture_operands.ts';

/** Results from which tiles of 16 x 16 still give every core of llvmpipe work. */
const LARGE = 32768;

/** Whether a result [N, H, W, C] is worth tiles of 16 images x `channels`. */
const isLarge = ({ shape, size }: Tensor, settings: Settings, channels = 16) =>
  settings.largeTiles < Infinity && shape[0] >= 16 && shape[3] % channels === 0 && size >= LARGE;

/** How many tiles make a result. */
const tilesOf = ({ shape: [N, H, W, C] }: Tensor) => H * W * Math.ceil(N / 16) * Math.ceil(C / 16);

/** The WGSL of a pass that writes images by `put_c`, behind three inputs. */
const writingImages = (wgsl: string) => [wgsl, imagesWgsl, 'const RESULT = 4u;', resultWgsl];

/** Whether quads compute a convolution by Winograd's transforms: 3 x 3 taps, and images keep their size. */
function isWinograd(kernel: Kernel, call: Call, { quads, largeTiles }: Settings): boolean {
  const g = kernel.uniform!(call) as Record<string, number>;
  const { kernelHeight, kernelWidth, strideY, strideX, top, left } = g;
  const same = g.height === g.outHeight && g.width === g.outWidth && g.width >= 4;
  const window = [kernelHeight, kernelWidth, strideY, strideX, top, left].join();
  return quads && largeTiles < Infinity && same && window === '3,3,1,1,1,1';
}

/** A kernel of `quads_conv2d.wgsl`, which reads images by lines and the filter by taps. */
function inQuads(own: Kernel, call: Call, work: number, settings: Settings, more: string[]): Kernel {
  const lines = { ...call, inputs: call.inputs.map((x, i) => x && (i < 2 ? linesOf(x) : x)) };
  const { kernel } = onOperands(own, lines, work, settings, { more: [...more, quadsWgsl] });
  return { ...kernel, source: withQuads([kernel.source].flat()), lines: true };
}

/** `conv2d_winograd`, joined to the WGSL of a pass; a quad makes 4 pixels of 16 images x 16 channels. */
function winograd(own: Kernel, call: Call, work: number, settings: Settings, wgsl: string): Kernel[] {
  const [N, H, W, C] = call.outputs[0].shape;
  const quads = Math.ceil(N / 16) * H * Math.ceil(W / 4) * Math.ceil(C / 16);
  const kernel = inQuads(own, call, work, settings, [...writingImages(wgsl), winogradWgsl]);
  return [{ ...kernel, entry: 'conv2d_winograd', invocations: () => 4 * quads }];
}

export function largeForward(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [, filter] = call.inputs as Tensor[];
  const [y] = call.outputs;
  const [, , C, O] = filter.shape;
  const narrow = C % 4 !== 0;
  const work = narrow ? 0 : y.size * (filter.size / O);
  if (!narrow && isLarge(y, settings, 8) && isWinograd(own[0], call, settings))
    return winograd(own[0], call, work, settings, forwardWgsl);
  if (!isLarge(y, settings)) return own;
  const entry = narrow ? 'conv2d_forward_narrow_16x16' : 'conv2d_forward_16x16';
  const { kernel } = onOperands(own[0], call, work, settings, { more: writingImages(forwardWgsl) });
  return [{ ...kernel, entry, invocations: () => tilesOf(y) }];
}

export function largeInputGradient(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [dz, filter] = call.inputs as Tensor[];
  const [dx] = call.outputs;
  const work = dz.size * (filter.size / filter.shape[3]);
  if (isLarge(dx, settings, 8) && isWinograd(own[0], call, settings))
    return winograd(own[0], call, work, settings, inputWgsl);
  if (!isLarge(dx, settings)) return own;
  const { kernel } = onOperands(own[0], call, work, settings, { more: writingImages(inputWgsl) });
  return [{ ...kernel, entry: 'conv2d_input_gradient_16x16', invocations: () => tilesOf(dx) }];
}

/** The most terms of one sum. */
const MOST_TERMS = Math.ceil(MOST_ROUNDS / 4);

/** Quads that keep the cores of a CPU evenly busy: more sums than these need cost more to write than they gain. */
const ENOUGH_QUADS = 512;

/** Large tiles write fewer sums than a GPU needs: {@link writtenSums} adds up these alone. */
export function largeFilterGradient(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [kernel] = own;
  const [, dz] = call.inputs as Tensor[];
  const [KH, KW, C, O] = call.options.shape as number[];
  const [N, H, W] = dz.shape;
  const { splits: most, hasBias } = kernel.uniform!(call) as Record<string, number>;
  const work = dz.size * KH * KW * C;
  const writing = (entry: string, splits: number, invocations: number, rounds: number): Partial<Kernel> => ({
    entry,
    uniform: (c) => ({ ...kernel.uniform!(c), splits }),
    rounds: () => rounds + 32,
    invocations: () => splits * (invocations + hasBias * (O / 4)),
  });
  if (C % 8 === 0 && O % 8 === 0 && N % 8 === 0 && isWinograd(kernel, call, settings)) {
    const quads = 3 * Math.ceil(C / 16) * Math.ceil(O / 16);
    const splits = Math.min(most, Math.ceil(ENOUGH_QUADS / quads));
    const rounds = Math.ceil(((N / 8) * H) / splits) * (W + 1);
    return [
      {
        ...inQuads(kernel, call, work, settings, [winogradFilterWgsl]),
        ...writing('conv2d_filter_gradient_winograd', splits, 4 * quads, rounds),
      },
    ];
  }
  if (settings.largeTiles === Infinity || O % 16) return own;
  const more = [filterWgsl, imagesWgsl];
  const tiles = (rows: number) => Math.ceil((KH * KW * C) / rows) * (O / 16);
  // A split of the large tile is at least four images.
  if (C % 16 === 0 && N % 4 === 0 && H * W <= MOST_TERMS) {
    const fours = Math.ceil(N / 4 / most);
    const splits = Math.ceil(N / 4 / fours);
    return [
      {
        ...onOperands(kernel, call, work, settings, { more }).kernel,
        ...writing('conv2d_filter_gradient_16x16', splits, tiles(16), fours * (H * (W + 2) + 2)),
      },
    ];
  }
  if (C % 8 === 0) return own;
  const narrow = onOperands(kernel, call, 0, settings, { more }).kernel;
  return [
    {
      ...narrow,
      entry: 'conv2d_filter_gradient_narrow_12x16',
      invocations: () => most * (tiles(12) + hasBias * (O / 4)),
    },
  ];
}

/** Adds up only the sums that {@link largeFilterGradient} writes. */
export function writtenSums(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const { node } = call.inputs[0]!;
  const { kernel } = (node.op ?? {}) as Partial<Op>;
  if (typeof kernel !== 'function') return own;
  const [{ uniform }] = largeFilterGradient([kernel(node, {})].flat(), node, settings);
  const { splits } = uniform!(node);
  return own.map((sum) => ({ ...sum, uniform: (c) => ({ ...sum.uniform!(c), splits }) }));
}
