import logisticWgsl from '../../shaders/logistic.wgsl' with { type: 'text' };
import type { Device } from '../gpu/device.ts';
import { type Call, type Inputs, type Kernel, type Outputs, op } from '../graph/op.ts';
import { constant, reshape, type Tensor, type Variable, variable } from '../graph/tensor.ts';
import { mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { fromOperands } from '../ops/operands.ts';
import { sum } from '../ops/reduce.ts';
import { compile } from '../runtime/compile.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';
import { invertPositiveDefinite } from './eigen.ts';

/** The sizes of a batch of problems; see logistic.wgsl. */
interface Sizes {
  problems: number;
  rows: number;
  used: number;
  features: number;
  width: number;
  classes: number;
  lanes: number;
  splits: number;
  lambda: number;
}
interface Options extends Sizes {
  parts?: number;
  size?: number;
}

const source = fromOperands(logisticWgsl);
const uniform = ({ options }: Call<Options>) => ({ parts: 1, size: 0, ...options });

/** One op of logistic.wgsl: what it reads, changes and makes, and a count of invocations. */
/* @__NO_SIDE_EFFECTS__ */
function logisticOp<S extends Outputs>(
  entry: string,
  invocations: (o: Options) => number,
  shape: (inputs: Inputs, o: Options) => S,
  bind: Pick<Kernel<Options>, 'inputs' | 'state' | 'outputs' | 'workgroupSize'>,
  rounds?: (o: Options) => number,
) {
  const name = entry.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const kernel = {
    source,
    entry,
    uniform,
    rounds: rounds && ((c: Call<Options>) => rounds(c.options)),
    invocations: (c: Call<Options>) => invocations(c.options),
    ...bind,
  };
  return op({ name, shape, kernel });
}

/** Rows of a part of the moments: CHUNK of logistic.wgsl. */
const CHUNK = 128;
const weightVectors = (o: Sizes) => (o.problems * o.lanes * o.width) / 4;
const none = () => [];

const momentsOp = logisticOp(
  'logistic_moments',
  (o) => o.problems * o.parts! * o.features,
  (_, o) => [o.problems, o.parts!, o.features, 4],
  { inputs: ['source', 'indices'], outputs: ['moments'] },
  () => 3 * CHUNK + 3,
);
const scalesOp = logisticOp(
  'logistic_scales',
  (o) => o.problems * o.features,
  (_, o) => [{ shape: [o.problems, o.features] }, { shape: [o.problems, o.features] }],
  { inputs: ['source', 'indices', 'all_moments'], outputs: ['means', 'scales'] },
  (o) => 2 * o.parts! + 2,
);
const standardizeOp = logisticOp('logistic_standardize', (o) => (o.problems * o.rows * o.width) / 4, none, {
  inputs: ['source', 'indices', 'mean_of', 'scale_of'],
  state: ['standardized'],
  workgroupSize: 256,
});
const residualOp = logisticOp(
  'logistic_residual',
  (o) => o.problems * o.rows,
  (_, o) => [{ shape: [o.problems, o.rows, o.lanes] }, { shape: [o.problems, o.rows] }],
  { inputs: ['logits', 'labels'], outputs: ['residual', 'loss'] },
  (o) => o.lanes + 4,
);
const gradientOp = logisticOp(
  'logistic_gradient',
  weightVectors,
  (_, o) => [o.problems, o.lanes, o.width],
  { inputs: ['partial_products', 'weights'], outputs: ['gradient'] },
  (o) => o.splits + 1,
);
const dotsOp = logisticOp(
  'logistic_dots',
  (o) => o.problems * o.parts!,
  (_, o) => [o.problems, o.parts!, 8],
  { inputs: ['g', 'z', 'old_g', 'd', 'w'], outputs: ['dots'] },
  (o) => Math.ceil((o.lanes * o.width) / o.parts!) + 1,
);
const directionOp = logisticOp(
  'logistic_direction',
  (o) => o.problems,
  none,
  { inputs: ['all_dots'], state: ['search'] },
  (o) => o.parts! + 1,
);
const turnOp = logisticOp('logistic_turn', weightVectors, none, {
  inputs: ['g', 'z', 'found'],
  state: ['direction', 'kept'],
});
const slopesOp = logisticOp(
  'logistic_slopes',
  (o) => o.problems * o.parts!,
  (_, o) => [o.problems, o.parts!, 2],
  { inputs: ['logits', 'along', 'classes_of', 'tried'], outputs: ['slopes'] },
  (o) => Math.ceil(o.used / o.parts!) * (o.lanes / 2 + 3) + 1,
);
const searchOp = logisticOp(
  'logistic_search',
  (o) => o.problems,
  none,
  { inputs: ['all_slopes'], state: ['search'] },
  (o) => o.parts! + 1,
);
const advanceOp = logisticOp('logistic_advance', (o) => (o.problems * o.size!) / 4, none, {
  inputs: ['change', 'lengths'],
  state: ['value'],
  workgroupSize: 256,
});

/** Products for 12 lanes. */
const PRODUCT = { inputs: ['x', 'y'], outputs: ['product'] };
const logitsOp = logisticOp(
  'logistic_logits',
  (o) => (o.problems * o.rows) / 16,
  (_, o) => [o.problems, o.rows, 12],
  PRODUCT,
  (o) => o.width / 4 + 1,
);
const productsOp = logisticOp(
  'logistic_products',
  (o) => o.problems * o.splits * Math.ceil(o.width / 16),
  (_, o) => [o.problems * o.splits, 12, o.width],
  PRODUCT,
  (o) => o.rows / o.splits + 5,
);

/** [a, b, c] as [a b, c] */
const flat = (t: Tensor) => reshape(t, [-1, t.shape[2]]);

/** x d^T: [problems, rows, lanes] */
function alongOf(x: Tensor, d: Tensor, sizes: Sizes): Tensor {
  if (sizes.lanes === 12) return logitsOp([flat(x), flat(d)], sizes);
  return matmul(x, d, { transposeB: true });
}

/** r^T x over each split: [problems * splits, lanes, width] */
function productsOf(r: Tensor, x: Tensor, sizes: Sizes): Tensor {
  if (sizes.lanes === 12) return productsOp([flat(x), flat(r)], sizes);
  const split = (t: Tensor) => reshape(t, [sizes.problems * sizes.splits, sizes.rows / sizes.splits, -1]);
  return matmul(split(r), split(x), { transposeA: true });
}

/** The results of {@link fitLogistic}, for each problem. */
export interface LogisticFit {
  /** On the features as given, not standardised: [problems, classes, features] and [problems, classes]. */
  weights: Float32Array;
  biases: Float32Array;
  /** Mean cross-entropy + lambda/2 |W|^2 with W on standardised features. */
  objectives: Float64Array;
  /** The weights on standardised features, [problems, classes, features], and their biases. */
  standardized: { weights: Float32Array; biases: Float32Array };
  iterations: number;
}

export interface LogisticOptions {
  classes: number;
  /** The rows of each problem, u32 [problems, used]. */
  indices: Uint32Array;
  problems: number;
  /** Default 10 / used (scikit-learn's C = .1). */
  lambda?: number;
  /** The most iterations, default 200. The solver stops when the objective is within about 1e-4 of its minimum. */
  iterations?: number;
  /** Called with the share of the iterations that is done. */
  onProgress?: (fraction: number) => void;
}

/** How much of the curvature bound the preconditioner assumes: p (1 - p) is far below its bound for most rows. */
const CURVATURE = 0.01;
const NEWTON_STEPS = 3;
const largestDivisor = (n: number, most: number): number => (n % most ? largestDivisor(n, most - 1) : most);

/** The sizes to which a fit of `used` rows of D features pads its arrays. */
export function paddedSizes(used: number, D: number, classes: number) {
  const splits = Math.ceil(used / 1024);
  const [width, lanes] = [D + 1, classes].map((n) => 4 * Math.ceil(n / 4));
  return { splits, rows: splits * 16 * Math.ceil(used / splits / 16), width, lanes };
}

/**
 * Multinomial logistic regression of several subsets of the same rows at once, on features standardised over each
 * subset (constant columns dropped): minimises mean cross-entropy + lambda/2 |W|^2, bias free. Conjugate gradients
 * (Polak-Ribiere), preconditioned with the inverse of c X^T X / n + lambda I, with a Newton line search along X d, so
 * that an iteration costs one product with X and one with its transpose. All on the GPU; the inverse is made on the
 * CPU. With fewer rows than features the inverse is applied through rows (Woodbury), each problem with its own;
 * otherwise the problems share that of their mean.
 *
 * @param features f32 [N, D]
 * @param labels of all rows
 */
export async function fitLogistic(
  device: Device,
  features: Variable,
  labels: ArrayLike<number>,
  { classes, indices, problems, iterations = 200, onProgress, ...options }: LogisticOptions,
): Promise<LogisticFit> {
  const used = indices.length / problems;
  const lambda = options.lambda ?? 10 / used;
  const [, D] = features.shape;
  const sizes: Sizes = { problems, used, features: D, classes, lambda, ...paddedSizes(used, D, classes) };
  const { rows, width } = sizes;

  const state = stateOf(sizes, indices, labels);
  const { x, y, w, search } = state;
  const made: Variable[] = Object.values(state);
  const steps: { dispose(): void }[] = [];
  const compileOnce = async <O extends Record<string, Tensor>>(build: () => O) => {
    const step = await compile(device, build, { warmUp: false });
    steps.push(step);
    return step;
  };

  try {
    const dual = used < D;
    const prepare = await compileOnce(() => {
      const chosen = constant(indices, [problems, used], 'u32');
      const parts = Math.ceil(used / CHUNK);
      const moments = momentsOp([features, chosen], { ...sizes, parts });
      const [mean, scale] = scalesOp([features, chosen, moments], { ...sizes, parts });
      standardizeOp([features, chosen, mean, scale], sizes, [x]);
      const all = reshape(x, [problems * rows, width]);
      const gram = dual ? matmul(x, x, { transposeB: true }) : matmul(all, all, { transposeA: true });
      return { mean, scale, gram };
    });
    await prepare.run();
    const names = ['mean', 'scale', 'gram'] as const;
    const [mean, scale, gram] = await Promise.all(names.map((name) => prepare.read(name)));
    const inverse = dual
      ? dualInverses(gram, problems, rows, (lambda * used) / CURVATURE)
      : sharedInverse(gram, width, CURVATURE / (problems * used), lambda);
    const side = dual ? rows : width;
    const p = variable(dual ? [problems, side, side] : [side, side], {
      name: 'logistic.preconditioner',
      initial: inverse,
    });
    made.push(p);
    onProgress?.(0.1);

    // Several iterations a step share what it copies.
    const together = largestDivisor(iterations, 10);
    const iterate = await compileOnce(() => {
      for (let i = 0; i < together; i++) descend(state, p, sizes, dual);
      return {};
    });
    let done = 0;
    while (done < iterations) {
      await iterate.run();
      done += together;
      const found = await readVariable(device, search);
      onProgress?.(0.1 + (0.9 * done) / iterations);
      // |gradient|^2 in the metric of the preconditioner is about how far above its minimum the objective is.
      if (Array.from({ length: problems }, (_, b) => found[8 * b + 5]).every((gz) => gz < TOLERANCE)) break;
    }

    const finish = await compileOnce(() => {
      const loss = residualOp([alongOf(x, w, sizes), y], sizes)[1];
      return { loss: sum(loss, { axes: [1] }) };
    });
    await finish.run();
    const [loss, weights] = await Promise.all([finish.read('loss'), readVariable(device, w)]);
    return { ...unfold(weights as Float32Array, mean, scale, loss, sizes), iterations: done };
  } finally {
    for (const step of steps) step.dispose();
    freeVariables(device, made);
  }
}

/** The state of a fit between iterations. */
interface State {
  /** Standardised rows [problems, rows, width], and their labels. */
  x: Variable;
  y: Variable;
  /** Weights, search direction and last gradient, [problems, lanes, width]. */
  w: Variable;
  d: Variable;
  oldG: Variable;
  /** [problems, rows, lanes] */
  logits: Variable;
  /** Numbers of the line search, [problems, 8]. */
  search: Variable;
}

function stateOf(sizes: Sizes, indices: Uint32Array, labels: ArrayLike<number>): State {
  const { problems, rows, width, lanes, used } = sizes;
  const state = (name: string, ...shape: number[]) => variable(shape, { name: `logistic.${name}` });
  const rowLabels = new Uint32Array(problems * rows);
  for (let i = 0; i < indices.length; i++)
    rowLabels[Math.floor(i / used) * rows + (i % used)] = labels[indices[i]];
  return {
    x: state('x', problems, rows, width),
    w: state('weights', problems, lanes, width),
    logits: state('logits', problems, rows, lanes),
    d: state('direction', problems, lanes, width),
    oldG: state('oldGradient', problems, lanes, width),
    search: state('search', problems, 8),
    y: variable([problems, rows], { name: 'logistic.labels', initial: rowLabels, dtype: 'u32' }),
  };
}

/** One iteration: gradient, preconditioned direction, line search, step. @param p the preconditioner */
function descend(
  { x, y, w, d, oldG, logits, search }: State,
  p: Variable,
  sizes: Sizes,
  dual: boolean,
): void {
  const { rows, used, width, lanes, lambda } = sizes;
  const [residual] = residualOp([logits, y], sizes);
  const products = productsOf(residual, x, sizes);
  const g = gradientOp([products, w], sizes);
  const z = dual ? throughRows(g, x, p, lambda) : reshape(matmul(reshape(g, [-1, width]), p), g.shape);
  const parts = Math.min(64, Math.ceil((lanes * width) / 64));
  const dots = dotsOp([g, z, oldG, d, w], { ...sizes, parts });
  directionOp([dots], { ...sizes, parts }, [search]);
  turnOp([g, z, search], sizes, [d, oldG]);
  const along = alongOf(x, d, sizes);
  for (let s = 0; s < NEWTON_STEPS; s++) {
    const of = { ...sizes, parts: Math.min(256, Math.ceil(used / 8)) };
    const slopes = slopesOp([logits, along, y, search], of);
    searchOp([slopes], of, [search]);
  }
  advanceOp([along, search], { ...sizes, size: rows * lanes }, [logits]);
  advanceOp([d, search], { ...sizes, size: lanes * width }, [w]);
}

/**
 * The solver stops when |gradient|^2, in the metric of the preconditioner, is below this. The objective is 1e-4 of itself above its minimum
 * at 1.3e-5 with 1,000 labels and at 8e-6 with 10,000 (raw pixels, float64, against 450 iterations).
 */
const TOLERANCE = 8e-6;

/** z = (c X^T X / n + lambda I)^-1 g = (g - X^T (X X^T + lambda n / c I)^-1 X g) / lambda */
function throughRows(g: Tensor, x: Tensor, inverse: Tensor, lambda: number): Tensor {
  const seen = matmul(matmul(g, x, { transposeB: true }), inverse);
  return mul(sub(g, matmul(seen, x)), 1 / lambda);
}

function sharedInverse(gram: ArrayLike<number>, n: number, factor: number, lambda: number): Float32Array {
  const matrix = Float64Array.from(gram, (v) => v * factor);
  for (let i = 0; i < n; i++) matrix[i * n + i] += lambda;
  return invertPositiveDefinite(matrix, n);
}

function dualInverses(grams: Float32Array, problems: number, n: number, ridge: number): Float32Array {
  const all = new Float32Array(problems * n * n);
  for (let b = 0; b < problems; b++) {
    const gram = grams.subarray(b * n * n, (b + 1) * n * n);
    all.set(sharedInverse(gram, n, 1, ridge), b * n * n);
  }
  return all;
}

/** Weights on the features as given, and the objective. */
function unfold(
  w: Float32Array,
  mean: Float32Array,
  scale: Float32Array,
  loss: Float32Array,
  { problems, lanes, width, classes, features: D, used, lambda }: Sizes,
): Omit<LogisticFit, 'iterations'> {
  const weights = new Float32Array(problems * classes * D);
  const standardized = {
    weights: new Float32Array(weights.length),
    biases: new Float32Array(problems * classes),
  };
  const biases = new Float32Array(problems * classes);
  const objectives = new Float64Array(problems);
  for (let b = 0; b < problems; b++) {
    let squares = 0;
    for (let c = 0; c < classes; c++) {
      const from = (b * lanes + c) * width;
      const to = b * classes + c;
      let bias = w[from + D];
      standardized.biases[to] = bias;
      for (let j = 0; j < D; j++) {
        const v = w[from + j];
        standardized.weights[to * D + j] = v;
        squares += v * v;
        weights[to * D + j] = v * scale[b * D + j];
        bias -= v * scale[b * D + j] * mean[b * D + j];
      }
      biases[to] = bias;
    }
    objectives[b] = loss[b] / used + (lambda / 2) * squares;
  }
  return { weights, biases, objectives, standardized };
}
