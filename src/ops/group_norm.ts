import groupNormWgsl from '../../shaders/group_norm.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import lanes1Wgsl from '../../shaders/lib/lanes1.wgsl' with { type: 'text' };
import lanes4Wgsl from '../../shaders/lib/lanes4.wgsl' with { type: 'text' };
import rowsWgsl from '../../shaders/lib/rows.wgsl' with { type: 'text' };
import columnSumsWgsl from '../../shaders/lib/sums_columns.wgsl' with { type: 'text' };
import workgroupWgsl from '../../shaders/lib/sums_workgroup.wgsl' with { type: 'text' };
import wholeWgsl from '../../shaders/lib/sums_workgroup_64.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import { checkCall, checkChoice, checkFloat } from '../graph/check.ts';
import { type Kernel, op } from '../graph/op.ts';
import { type Shape, show, type Tensor, throwShapeError, where } from '../graph/tensor.ts';

export interface GroupNormOptions {
  /** How many groups the channels are divided into, in order. */
  groups: number;
  /** Added to the variance. Default 1e-5 (PyTorch). */
  epsilon?: number;
  /** Applied in the same dispatch. Default 'none'. */
  activation?: 'none' | 'silu';
}

interface Settings {
  groups: number;
  epsilon: number;
  silu: boolean;
  hasGamma: boolean;
  hasBeta: boolean;
}

/** Sizes as the kernels need them. */
function layoutOf(shape: Shape, groups: number) {
  const [samples, C] = [shape[0], shape.at(-1)!];
  const lanes = (C / groups) % 4 ? 1 : 4;
  const pixels = shape.slice(1, -1).reduce((a, b) => a * b, 1);
  return { lanes, samples, pixels, columns: C / lanes, groups, width: C / groups / lanes };
}
type Layout = ReturnType<typeof layoutOf>;

/** Invocations that go through up to 8 pixels of a column, and those of workgroups that sum 4 columns. */
const perStrip = ({ samples, pixels, columns }: Layout) => samples * Math.ceil(pixels / 8) * columns;
const perSum = (columns: number) => 64 * Math.ceil(columns / 4);

/** A kernel of shaders/group_norm.wgsl. `sharers`: the invocations that share a group. */
function kernel(
  shape: Shape,
  { groups, epsilon, silu, hasGamma, hasBeta }: Settings,
  names: Pick<Kernel, 'entry' | 'inputs' | 'outputs'>,
  work: { rounds: (l: Layout) => number; invocations: (l: Layout) => number },
  sharers = 8,
): Kernel {
  const { lanes, ...sizes } = layoutOf(shape, groups);
  const l = { lanes, ...sizes };
  const sums = sharers === 8 ? workgroupWgsl : wholeWgsl;
  return {
    ...names,
    source: [groupNormWgsl, rowsWgsl, sums, columnSumsWgsl, gridWgsl, lanes === 1 ? lanes1Wgsl : lanes4Wgsl],
    uniform: () => ({
      ...sizes,
      ...{ silu: Number(silu), hasGamma: Number(hasGamma), hasBeta: Number(hasBeta), epsilon },
    }),
    rounds: () => work.rounds(l),
    invocations: () => work.invocations(l),
  };
}

const statisticsOp = op({
  name: 'groupNormStatistics',
  shape: ([x]: [x: Tensor], { groups }: Settings) => [x.shape[0], groups, 2],
  kernel: ({ inputs: [x], options }, target) => {
    const sharers = target.workgroupTiles ? 64 : 8;
    return kernel(
      x.shape,
      options,
      { entry: 'group_norm_statistics', inputs: ['x'], outputs: ['statistics'] },
      {
        rounds: ({ pixels, width }) => 2 * (Math.ceil(pixels / sharers) * (width + 2) + 1),
        invocations: ({ samples, groups }) => sharers * samples * groups,
      },
      sharers,
    );
  },
});

/** What the gradients read. */
type Forward = [x: Tensor, statistics: Tensor, gamma: Tensor | null, beta: Tensor | null];
const FORWARD = ['x', 'statistics', 'gamma', 'beta'];

const columnSums = op({
  name: 'groupNormColumnSums',
  shape: ([x]: [...Forward, dy: Tensor], _: Settings) => [x.shape[0], 2, x.shape.at(-1)!],
  kernel: ({ inputs: [x], options }) =>
    kernel(
      x.shape,
      options,
      { entry: 'group_norm_column_sums', inputs: [...FORWARD, 'dy'], outputs: ['sums'] },
      {
        rounds: ({ pixels }) => Math.ceil(pixels / 16) + 40,
        invocations: ({ samples, columns }) => perSum(samples * columns),
      },
    ),
});

const inputGradient = op({
  name: 'groupNormGradient',
  shape: ([x]: [...Forward, dy: Tensor, sums: Tensor], _: Settings) => x.shape,
  kernel: ({ inputs: [x], options }) =>
    kernel(
      x.shape,
      options,
      { entry: 'group_norm_gradient', inputs: [...FORWARD, 'dy', 'sums'], outputs: ['dx'] },
      { rounds: ({ width }) => width + 10, invocations: perStrip },
    ),
});

const parameterGradient = op({
  name: 'groupNormParameterGradient',
  shape: ([sums]: [sums: Tensor], _: Settings) => {
    const shape = [sums.shape[2]];
    return [{ shape }, { shape }];
  },
  kernel: ({ inputs: [sums], options }) =>
    kernel(
      [sums.shape[0], sums.shape[2]],
      options,
      { entry: 'group_norm_parameter_gradient', inputs: ['sums'], outputs: ['dgamma', 'dbeta'] },
      {
        rounds: ({ samples }) => Math.ceil(samples / 16) + 40,
        invocations: ({ columns }) => perSum(columns),
      },
    ),
});

const normalizeOp = op({
  name: 'groupNorm',
  half: true,
  shape: ([x]: Forward, _: Settings) => x.shape,
  kernel: ({ inputs: [x], options }) =>
    kernel(
      x.shape,
      options,
      { entry: 'group_norm_forward', inputs: FORWARD, outputs: ['y'] },
      { rounds: () => 10, invocations: perStrip },
    ),
  vjp: (dy, { inputs, options }) => {
    const sums = columnSums([...inputs, dy], options);
    // dx includes the gradient through the statistics.
    const dx = inputGradient([...inputs, dy, sums], options);
    if (!options.hasGamma && !options.hasBeta) return [dx, null, null, null];
    const [dgamma, dbeta] = parameterGradient([sums], options);
    return [dx, null, options.hasGamma ? dgamma : null, options.hasBeta ? dbeta : null];
  },
});

/**
 * Group normalisation (Wu & He 2018, arXiv 1803.08494): mean 0 and variance 1 for each sample and group of channels, over the pixels
 * and the channels of the group; then scale and shift by channel. Two dispatches, and three for all gradients.
 * @param x [N, H, W, C], or [N, ..., C]
 * @param gamma [C], or null for 1
 * @param beta [C], or null for 0
 * @param options `groups`, which divides C; `epsilon` (default 1e-5, PyTorch) and `activation` (default 'none')
 * @returns the shape of x
 * @throws ShapeError for shapes that do not fit each other, or groups that do not divide the channels
 */
export function groupNorm(
  x: Tensor,
  gamma: Tensor | null,
  beta: Tensor | null,
  options: GroupNormOptions,
): Tensor {
  const name = 'groupNorm';
  const affine = { ...(gamma !== null && { gamma }), ...(beta !== null && { beta }) };
  checkCall(name, { x, ...affine }, options, 'groups epsilon activation');
  checkFloat(name, x);
  const { groups, epsilon = 1e-5, activation = 'none' } = options;
  if (x.shape.length < 2) throwShapeError(name, `expected x [N, ..., C], got ${show(x.shape)}`);
  checkNumber(where(name), 'groups', groups, { least: 1, whole: true });
  checkNumber(where(name), 'epsilon', epsilon, { least: 0 });
  checkChoice(name, 'activation', activation, ['none', 'silu']);
  const C = x.shape.at(-1)!;
  if (C % groups)
    throwShapeError(name, `expected groups that divide the ${C} channels of ${show(x.shape)}, got ${groups}`);
  for (const [what, v] of Object.entries(affine))
    if (v.dtype !== 'f32' || v.shape.length !== 1 || v.shape[0] !== C)
      throwShapeError(
        name,
        `expected ${what} [${C}] for x ${show(x.shape)}, got ${v.dtype} ${show(v.shape)}`,
      );
  const settings: Settings = {
    ...{ groups, epsilon, silu: activation === 'silu' },
    ...{ hasGamma: gamma !== null, hasBeta: beta !== null },
  };
  return normalizeOp([x, statisticsOp([x], settings), gamma, beta], settings);
}
