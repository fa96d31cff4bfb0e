import batchNormWgsl from '../../shaders/batch_norm.wgsl' with { type: 'text' };
import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import { checkNumber } from '../gpu/check.ts';
import {
  checkCall,
  checkChoice,
  checkFlag,
  checkFloat,
  checkScalar,
  checkVariables,
} from '../graph/check.ts';
import { type Kernel, op } from '../graph/op.ts';
import {
  type Scalar,
  type Shape,
  show,
  sizeOf,
  type Tensor,
  throwShapeError,
  type Variable,
  where,
} from '../graph/tensor.ts';

export interface BatchNormOptions {
  /** Normalise by the batch (true) or by the running statistics (false). Default true. */
  training?: boolean;
  /** [C]; updated by each training step, read in inference. */
  runningMean?: Variable;
  /** [C]; updated with the unbiased variance, as PyTorch does. Start it from 1. */
  runningVariance?: Variable;
  /** The weight of the new batch in the running statistics. Default 0.1 (PyTorch). */
  momentum?: Scalar;
  /** Added to the variance. Default 1e-5 (PyTorch). */
  epsilon?: number;
  /** Applied in the same dispatch. Default 'none'. */
  activation?: 'none' | 'relu';
}

interface Settings {
  training: boolean;
  epsilon: number;
  relu: boolean;
  hasGamma: boolean;
  hasBeta: boolean;
}

/** With at most this many rows, sums take one dispatch instead of two. */
const FEW_ROWS = 1024;
/** Enough invocations for a GPU to be busy with partial sums. */
const ENOUGH = 16384;
const ROWS_PER_INVOCATION = 8;

const values = (C: number) => (C % 4 ? C : C / 4);

/** The division of the rows into partial sums. It depends on the shape alone, so the order of additions does, too. */
function layoutOf(shape: Shape) {
  const C = shape.at(-1)!;
  const rows = sizeOf(shape) / C;
  const columns = values(C);
  const wanted = Math.max(1, Math.min(1024, Math.ceil(ENOUGH / columns), Math.ceil(rows / 32)));
  const chunk = Math.ceil(rows / wanted);
  return { rows, columns, chunk, splits: Math.ceil(rows / chunk) };
}

type Layout = ReturnType<typeof layoutOf>;

/** How many invocations a kernel has, in workgroups of which size. */
const PER_SPLIT = { size: 64, invocations: ({ splits, columns }: Layout) => splits * columns };
const PER_COLUMN = { size: 64, invocations: ({ columns }: Layout) => Math.ceil(columns / 4) * 64 };
const PER_ROWS = {
  size: 256,
  invocations: ({ rows, columns }: Layout) => Math.ceil(rows / ROWS_PER_INVOCATION) * columns,
};

/** A kernel of shaders/batch_norm.wgsl; `shape` is the shape of x. */
function kernel(
  shape: Shape,
  entry: string,
  { size, invocations }: { size: number; invocations: (l: Layout) => number },
  names: Pick<Kernel, 'inputs' | 'state' | 'outputs'>,
  { relu = false, hasGamma = false, hasBeta = false, epsilon = 0 }: Partial<Settings> = {},
  momentum: Scalar = 0,
): Kernel {
  const l = layoutOf(shape);
  return {
    ...names,
    ...{ source: [batchNormWgsl, gridWgsl], entry, workgroupSize: size },
    prelude: `alias value = ${shape.at(-1)! % 4 ? 'f32' : 'vec4f'};`,
    uniform: () => ({
      ...l,
      ...{ relu: Number(relu), hasGamma: Number(hasGamma), hasBeta: Number(hasBeta) },
      ...{ epsilon, momentum },
    }),
    // Kernels that add up all rows in one step have few rows; the last sums are of 16 lanes, twice.
    rounds: () =>
      Math.max(l.chunk, 2 * Math.ceil(Math.max(l.splits, l.rows <= FEW_ROWS ? l.rows : 0) / 16)) + 38,
    invocations: () => invocations(l),
  };
}

/** Whether sums over the rows take one step; else they start with partial sums. */
const isFew = (shape: Shape) => layoutOf(shape).rows <= FEW_ROWS;

// ---- statistics ----

const partialStatistics = op({
  name: 'batchNormPartialStatistics',
  shape: ([x]: [x: Tensor]) => [layoutOf(x.shape).splits, 2, x.shape.at(-1)!],
  kernel: ({ inputs: [x] }) =>
    kernel(x.shape, 'batch_norm_partial_statistics', PER_SPLIT, { inputs: ['x'], outputs: ['partials'] }),
});

/** Mean and biased variance of each column of a tensor of this shape: from x if it has few rows, else from partial statistics. */
const statisticsOp = op({
  name: 'batchNormStatistics',
  shape: (_: [x: Tensor], { shape }: { shape: Shape }) => {
    const column = { shape: [shape.at(-1)!] };
    return [column, column];
  },
  kernel: ({ options: { shape } }) => {
    const entry = isFew(shape) ? 'batch_norm_few_statistics' : 'batch_norm_statistics';
    return kernel(shape, entry, PER_COLUMN, { inputs: ['x'], outputs: ['mean', 'variance'] });
  },
});

const statistics = (x: Tensor) =>
  statisticsOp([isFew(x.shape) ? x : partialStatistics([x])], { shape: x.shape });

const runningOp = op({
  name: 'batchNormRunning',
  shape: (_: [mean: Tensor, variance: Tensor], _options: { shape: Shape; momentum: Scalar }) => [],
  kernel: ({ options: { shape, momentum } }) => {
    const names = { inputs: ['mean', 'variance'], state: ['runningMean', 'runningVariance'] };
    return kernel(
      shape,
      'batch_norm_running',
      { size: 64, invocations: (l) => l.columns },
      names,
      {},
      momentum,
    );
  },
});

// ---- gradients ----

/** The inputs of the gradient; y only where a ReLU was applied. After partial sums these stand for x, and dy and y are null. */
type GradientInputs = [x: Tensor, dy: Tensor | null, y: Tensor | null, mean: Tensor, variance: Tensor];
const GRADIENT_INPUTS = ['x', 'dy', 'y', 'mean', 'variance'];

const partialGradient = op({
  name: 'batchNormPartialGradient',
  shape: ([x]: GradientInputs, _: Settings) => [layoutOf(x.shape).splits, 2, x.shape.at(-1)!],
  kernel: ({ inputs: [x], options }) => {
    const names = { inputs: GRADIENT_INPUTS, outputs: ['partials'] };
    return kernel(x.shape, 'batch_norm_partial_gradient', PER_SPLIT, names, options);
  },
});

/** The gradients of gamma and beta, and what the gradient of x needs of each column; as `statisticsOp`. */
const parameterGradientOp = op({
  name: 'batchNormParameterGradient',
  shape: (_: GradientInputs, { shape }: Settings & { shape: Shape }) => {
    const C = shape.at(-1)!;
    return [{ shape: [C] }, { shape: [C] }, { shape: [4, C] }];
  },
  kernel: ({ options: { shape, ...settings } }) => {
    const entry = isFew(shape) ? 'batch_norm_few_parameter_gradient' : 'batch_norm_parameter_gradient';
    const names = { inputs: GRADIENT_INPUTS, outputs: ['dgamma', 'dbeta', 'factors'] };
    return kernel(shape, entry, PER_COLUMN, names, settings);
  },
});

const inputGradient = op({
  name: 'batchNormGradient',
  shape: (
    [x]: [x: Tensor, dy: Tensor, y: Tensor | null, factors: Tensor, gamma: Tensor | null],
    _: Settings,
  ) => x.shape,
  kernel: ({ inputs: [x], options }) => {
    const names = { inputs: ['x', 'dy', 'y', 'factors', 'gamma'], outputs: ['dx'] };
    return kernel(x.shape, 'batch_norm_gradient', PER_ROWS, names, options);
  },
});

const inferenceGradient = op({
  name: 'batchNormInferenceGradient',
  shape: (
    [, dy]: [x: null, dy: Tensor, y: Tensor | null, variance: Tensor, gamma: Tensor | null],
    _: Settings,
  ) => dy.shape,
  kernel: ({ inputs: [, dy], options }) => {
    const names = { inputs: ['x', 'dy', 'y', 'variance', 'gamma'], outputs: ['dx'] };
    return kernel(dy.shape, 'batch_norm_inference_gradient', PER_ROWS, names, options);
  },
});

// ---- forward ----

const normalizeOp = op({
  name: 'batchNorm',
  half: true,
  shape: (
    [x]: [x: Tensor, mean: Tensor, variance: Tensor, gamma: Tensor | null, beta: Tensor | null],
    _: Settings,
  ) => x.shape,
  kernel: ({ inputs: [x], options }) => {
    const names = { inputs: ['x', 'mean', 'variance', 'gamma', 'beta'], outputs: ['y'] };
    return kernel(x.shape, 'batch_norm_forward', PER_ROWS, names, options);
  },
  vjp: (dy, { inputs: [x, mean, variance, gamma], outputs, options }) => {
    const y = options.relu ? outputs[0] : null;
    const sums: GradientInputs = [x, dy, y, mean, variance];
    const [dgamma, dbeta, factors] = parameterGradientOp(
      isFew(x.shape) ? sums : [partialGradient(sums, options), null, null, mean, variance],
      { ...options, shape: x.shape },
    );
    const dx = options.training
      ? inputGradient([x, dy, y, factors, gamma], options)
      : inferenceGradient([null, dy, y, variance, gamma], options);
    // dx includes the gradient through the statistics.
    return [dx, null, null, options.hasGamma ? dgamma : null, options.hasBeta ? dbeta : null];
  },
});

const checkColumn = (what: string, v: Tensor | null | undefined, C: number) => {
  const shape: Shape | undefined = v?.shape;
  if (shape && (shape.length !== 1 || shape[0] !== C))
    throwShapeError('batchNorm', `expected ${what} [${C}], got ${show(shape)}`);
};

/**
 * Batch normalisation over all axes but the last (Ioffe & Szegedy 2015, arXiv 1502.03167).
 * y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, with the biased variance of the batch in training and with the
 * running statistics otherwise. In training, running statistics that are given are updated by the step (inside compile).
 * @param x [..., C]
 * @param gamma [C], or null for 1
 * @param beta [C], or null for 0
 * @returns [..., C]
 * @throws ShapeError for shapes that do not fit, one row in training, or inference without running statistics
 */
export function batchNorm(
  x: Tensor,
  gamma: Tensor | null = null,
  beta: Tensor | null = null,
  options: BatchNormOptions = {},
): Tensor {
  checkCall(
    'batchNorm',
    { x, ...(gamma !== null && { gamma }), ...(beta !== null && { beta }) },
    options,
    'training runningMean runningVariance momentum epsilon activation',
  );
  checkFloat('batchNorm', x);
  const { training = true, runningMean, runningVariance, momentum = 0.1, epsilon = 1e-5 } = options;
  const { activation = 'none' } = options;
  checkFlag('batchNorm', 'training', training);
  checkScalar('batchNorm', 'momentum', momentum, { least: 0, most: 1 });
  checkNumber(where('batchNorm'), 'epsilon', epsilon, { least: 0 });
  const running = [runningMean, runningVariance].filter((v) => v !== undefined);
  checkVariables('batchNorm', 'running statistics', running);
  if (x.shape.length < 2) throwShapeError('batchNorm', `expected x [..., C], got ${show(x.shape)}`);
  const C = x.shape.at(-1)!;
  checkColumn('gamma', gamma, C);
  checkColumn('beta', beta, C);
  checkColumn('runningMean', runningMean, C);
  checkColumn('runningVariance', runningVariance, C);
  checkChoice('batchNorm', 'activation', activation, ['none', 'relu']);
  if (!runningMean !== !runningVariance)
    throwShapeError('batchNorm', 'expected both of runningMean and runningVariance, or neither');
  const hasGamma = gamma !== null;
  const hasBeta = beta !== null;
  const settings: Settings = { training, epsilon, relu: activation === 'relu', hasGamma, hasBeta };
  if (!training) {
    if (!runningMean || !runningVariance)
      throwShapeError('batchNorm', 'expected runningMean and runningVariance when training is false');
    return normalizeOp([x, runningMean, runningVariance, gamma, beta], settings);
  }
  if (x.size === C)
    throwShapeError('batchNorm', `expected two rows or more in training, got ${show(x.shape)}`);
  const [mean, variance] = statistics(x);
  const y = normalizeOp([x, mean, variance, gamma, beta], settings);
  if (runningMean && runningVariance)
    runningOp([mean, variance], { shape: x.shape, momentum }, [runningMean, runningVariance]);
  return y;
}
