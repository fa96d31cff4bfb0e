import resultWgsl from '../../shaders/lib/result_buffer.wgsl' with { type: 'text' };
import forwardWgsl from '../../shaders/software/conv2d.wgsl' with { type: 'text' };
import filterWgsl from '../../shaders/software/conv2d_filter_gradient.wgsl' with { type: 'text' };
import inputWgsl from '../../shaders/software/conv2d_input_gradient.wgsl' with { type: 'text' };
import imagesWgsl from '../../shaders/software/lib/conv2d_images.wgsl' with { type: 'text' };
import { MOST_ROUNDS } from '../gpu/target.ts';
import { type Call, type Kernel, kernelOf, type Op, type PlanTarget } from '../graph/op.ts';
import { reshape, type Tensor } from '../graph/tensor.ts';
import type { Shared } from './quads.ts';
import type { Settings } from './settings.ts';
import { onOperands, withQuads } from './texture_operands.ts';

/** Results from which tiles of 16 x 16 still give every core of llvmpipe work. */
const LARGE = 32768;

/** Whether a result [N, H, W, C] is worth tiles of 16 images. */
export const isLarge = ({ shape: [N], size }: Tensor, settings: Settings): boolean =>
  settings.largeTiles < Infinity && N >= 16 && size >= LARGE;

/** How many tiles make a result. */
const tilesOf = ({ shape: [N, H, W, C] }: Tensor) => H * W * Math.ceil(N / 16) * Math.ceil(C / 16);

/** The WGSL of passes: those that write images do it by `put_c`, behind three inputs. */
const writing = [imagesWgsl, 'const RESULT = 4u;', resultWgsl];
const WGSL = {
  forward: [forwardWgsl, ...writing],
  input: [inputWgsl, ...writing],
  filter: [],
};

/** Images, or a filter, with lines or taps as rows: wide images fit into a texture by lines only. */
const rowsOf = (x: Tensor): Tensor =>
  x.shape.length === 4 ? reshape(x, [x.shape[0] * x.shape[1], x.shape[2] * x.shape[3]]) : x;

/** Completes convolutions of quads: `Shared.convolution` of quads.ts. */
export const convolutionOf =
  (settings: Settings): Shared['convolution'] =>
  (own, { inputs, ...call }, pass, work, quads) => {
    const rows = { ...call, inputs: inputs.map((x) => x && rowsOf(x)) };
    const { kernel } = onOperands(own, rows, work, settings, { more: [...WGSL[pass], ...quads] });
    return { ...kernel, source: withQuads(kernel.source as string[]), rowsOf };
  };

export function largeForward(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [, filter] = call.inputs as Tensor[];
  const [y] = call.outputs;
  const [, , C, O] = filter.shape;
  if (O % 16 || !isLarge(y, settings)) return own;
  const narrow = C % 4 !== 0;
  const work = narrow ? 0 : y.size * (filter.size / O);
  const entry = narrow ? 'conv2d_forward_narrow_16x16' : 'conv2d_forward_16x16';
  const { kernel } = onOperands(own[0], call, work, settings, { more: WGSL.forward });
  return [{ ...kernel, entry, invocations: () => tilesOf(y) }];
}

export function largeInputGradient(own: Kernel[], call: Call, settings: Settings): Kernel[] {
  const [dz, filter] = call.inputs as Tensor[];
  const [dx] = call.outputs;
  if (dx.shape[3] % 16 || !isLarge(dx, settings)) return own;
  const work = dz.size * (filter.size / filter.shape[3]);
  const { kernel } = onOperands(own[0], call, work, settings, { more: WGSL.input });
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
  const { splits: most, hasBias } = kernel.uniform!(call) as Record<string, number>;
  const invocations = (splits: number, rows: number) =>
    splits * (Math.ceil((KH * KW * C) / rows) * (O / 16) + hasBias * (O / 4));
  const more = [filterWgsl, imagesWgsl];
  // A split of the large tile is at least four images: often fewer sums than a GPU needs.
  if (C % 16 === 0 && N % 4 === 0 && H * W <= MOST_TERMS) {
    const fours = Math.ceil(N / 4 / most);
    const splits = Math.ceil(N / 4 / fours);
    return [
      {
        ...onOperands(kernel, call, dz.size * KH * KW * C, settings, { more }).kernel,
        entry: 'conv2d_filter_gradient_16x16',
        uniform: (c) => ({ ...kernel.uniform!(c), splits }),
        rounds: () => fours * (H * (W + 2) + 2) + 32,
        invocations: () => invocations(splits, 16),
      },
    ];
  }
  if (C % 8 === 0) return own;
  const narrow = onOperands(kernel, call, 0, settings, { more }).kernel;
  const entry = 'conv2d_filter_gradient_narrow_12x16';
  return [{ ...narrow, entry, invocations: () => invocations(most, 12) }];
}

/** Adds up only the sums that the kernel of the filter's gradient writes. */
export function writtenSums([own]: Kernel[], call: Call, _: Settings, target: PlanTarget): Kernel[] {
  const { node } = call.inputs[0]!;
  if (!node.op) return [own];
  const { uniform } = kernelOf(node.op as Op, node, target);
  return [{ ...own, uniform: (c) => ({ ...own.uniform!(c), splits: uniform!(node).splits }) }];
}
