/**
 * Kernels for adapters on which the invocations of a quad exchange values faster than they load them. Only `settings.ts` loads this
 * file, and only there. It imports nothing that others import, so that bundlers put it into one file that no other adapter loads.
 */
import foursWgsl from '../../shaders/software/lib/fours_quad.wgsl' with { type: 'text' };
import sharedWgsl from '../../shaders/software/lib/quads_shared.wgsl' with { type: 'text' };
import winogradWgsl from '../../shaders/software/lib/quads_winograd.wgsl' with { type: 'text' };
import columnSumsWgsl from '../../shaders/software/lib/sums_columns_quad.wgsl' with { type: 'text' };
import rowSumsWgsl from '../../shaders/software/lib/sums_quad.wgsl' with { type: 'text' };
import forwardWgsl from '../../shaders/software/quads/conv2d.wgsl' with { type: 'text' };
import filterWgsl from '../../shaders/software/quads/conv2d_filter_gradient.wgsl' with { type: 'text' };
import inputWgsl from '../../shaders/software/quads/conv2d_input_gradient.wgsl' with { type: 'text' };
import matmulWgsl from '../../shaders/software/quads/matmul.wgsl' with { type: 'text' };
import type { Call, Kernel } from '../graph/op.ts';
import type { Tensor } from '../graph/tensor.ts';

/** What these kernels share with those of index.ts, which passes it. */
export interface Shared {
  /** The source of a kernel with the WGSL of sums by rows or columns replaced by that of quads. */
  sums: (own: Kernel, axis: 'rows' | 'columns', quad: string) => string[];
  /** Whether there are large tiles at all. */
  largeTiles: boolean;
  /** Whether a convolution's result [N, H, W, C] is worth them. */
  isLarge: (result: Tensor) => boolean;
  /** Completes a convolution of so many multiply-adds: its images are read by lines, its filter by taps. */
  convolution: (own: Kernel, call: Call, pass: Pass, work: number, quads: string[]) => Kernel;
}

type Pass = 'forward' | 'input' | 'filter';

/** The kernel of a call that is derived from the op's own, or null. */
type Choice = (own: Kernel, call: Call, shared: Shared) => Kernel | null;

/** A kernel of whose invocations `sharers` share a sum, with a quad for each sum. */
const sums =
  (axis: 'rows' | 'columns', quad: string, sharers: number): Choice =>
  (own, _, shared) => {
    const times = sharers / 4;
    return {
      ...own,
      source: shared.sums(own, axis, quad),
      // Fewer invocations take more rounds.
      rounds: (c) => {
        const stated = own.rounds!(c);
        if (typeof stated === 'number') return times * stated;
        return { ...stated, rounds: (n) => times * stated.rounds(n) };
      },
      invocations: (c) => own.invocations(c) / times,
    };
  };
const rows = sums('rows', rowSumsWgsl, 8);
const columns = sums('columns', columnSumsWgsl, 16);

/** The multiply-adds of a convolution, if Winograd's transforms compute it: 3 x 3 taps, and images keep their size. Else 0. */
function winogradWork(own: Kernel, call: Call): number {
  const g = own.uniform!(call) as Record<string, number>;
  const { kernelHeight, kernelWidth, strideY, strideX, top, left } = g;
  const same = g.height === g.outHeight && g.width === g.outWidth && g.width >= 4;
  return same && [kernelHeight, kernelWidth, strideY, strideX, top, left].join() === '3,3,1,1,1,1'
    ? 9 * g.batch * g.height * g.width * g.channels * g.outChannels
    : 0;
}

/** `conv2d_winograd`: a quad makes 4 pixels of 16 images x 16 channels. */
const winograd =
  (pass: Pass, wgsl: string): Choice =>
  (own, call, { convolution, isLarge }) => {
    const [, { shape: filter }] = call.inputs as Tensor[];
    const [result] = call.outputs;
    const [N, H, W, C] = result.shape;
    const summed = filter[pass === 'forward' ? 2 : 3];
    const work = C % 8 || summed % 4 || !isLarge(result) ? 0 : winogradWork(own, call);
    if (!work) return null;
    const quads = Math.ceil(N / 16) * H * Math.ceil(W / 4) * Math.ceil(C / 16);
    return {
      ...convolution(own, call, pass, work, [sharedWgsl, winogradWgsl, wgsl]),
      entry: 'conv2d_winograd',
      invocations: () => 4 * quads,
    };
  };

/** Quads that keep the cores of a CPU evenly busy: more sums than these need cost more to write than they gain. */
const ENOUGH_QUADS = 512;

/** `conv2d_filter_gradient_winograd`: a quad makes a line of taps of 16 channels x 16 out channels. */
const winogradFilter: Choice = (own, call, { convolution, largeTiles }) => {
  const [, dz] = call.inputs as Tensor[];
  const [, , C, O] = call.options.shape as number[];
  const [N, H, W] = dz.shape;
  const work = !largeTiles || C % 8 || O % 8 || N % 8 ? 0 : winogradWork(own, call);
  if (!work) return null;
  const quads = 3 * Math.ceil(C / 16) * Math.ceil(O / 16);
  const { splits: most, hasBias } = own.uniform!(call) as Record<string, number>;
  const splits = Math.min(most, Math.ceil(ENOUGH_QUADS / quads));
  return {
    ...convolution(own, call, 'filter', work, [sharedWgsl, filterWgsl]),
    entry: 'conv2d_filter_gradient_winograd',
    uniform: (c) => ({ ...own.uniform!(c), splits }),
    rounds: () => Math.ceil(((N / 8) * H) / splits) * (W + 1) + 32,
    invocations: () => splits * (4 * quads + hasBias * (O / 4)),
  };
};

/** By name of op. */
const choices = new Map<string, Choice>([
  ['conv2d', winograd('forward', forwardWgsl)],
  ['conv2dInputGradient', winograd('input', inputWgsl)],
  ['convTranspose2d', winograd('input', inputWgsl)],
  ['conv2dFilterGradient', winogradFilter],
  ['softmax', rows],
  ['softmaxGradient', rows],
  ['logSoftmax', rows],
  ['logSoftmaxGradient', rows],
  ['logSumExp', rows],
  ['crossEntropy', rows],
  ['layerNorm', rows],
  ['layerNormGradient', rows],
  ['groupNormStatistics', rows],
  ['groupNormColumnSums', columns],
  ['groupNormParameterGradient', columns],
  ['l2Normalize', rows],
  ['l2NormalizeGradient', rows],
]);

/** What only these adapters run: kernels by name of op, `four_of_a` by quads, and `matmul_32x16`. */
export const quads = { choices, foursWgsl, matmulWgsl };
export type Quads = typeof quads;
