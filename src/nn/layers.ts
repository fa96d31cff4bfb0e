import { checkFunction, checkName, checkNumber, checkOptions, LARGEST_U32, shown } from '../gpu/check.ts';
import { checkCall, checkFlag, checkVariables } from '../graph/check.ts';
import {
  checkShape,
  reshape,
  type Scalar,
  layer as scope,
  type Tensor,
  throwShapeError,
  type Variable,
  variable,
  where,
} from '../graph/tensor.ts';
import { batchNorm as batchNormOp } from '../ops/batch_norm.ts';
import { conv2d as conv2dOp } from '../ops/conv2d.ts';
import { layerNorm as layerNormOp } from '../ops/layer_norm.ts';
import { linear as linearOp } from '../ops/matmul.ts';
import { globalAveragePool as globalAveragePoolOp } from '../ops/pool.ts';
import * as unary from '../ops/unary.ts';
import { he, type Initializer } from './init.ts';

/** Options of an application of a layer. */
export interface Mode {
  /** Batch norm normalises by the batch and updates its running statistics, instead of normalising by those. Default false. */
  training?: boolean;
  /** Weight of the batch in the running statistics, in place of each batch norm's own. */
  momentum?: Scalar;
  /** The number of the step, u32, which dropout needs in training: applications of one step drop the same elements. */
  step?: Scalar;
  /** How many tokens each sample has, u32 [N]: those after them are padding, which attention leaves out. Default: all. */
  lengths?: Tensor;
}

/** A function of tensors, with its variables. All its applications share them. */
export type Layer = ((x: Tensor, mode?: Mode) => Tensor) & {
  /** The layer's name; '' if unnamed. Inside a sequential, names are joined with dots. */
  readonly name: string;
  /** The variables that an optimiser trains, in order. */
  readonly parameters: Variable[];
  /** The variables that training changes without an optimiser: running means and variances. */
  readonly statistics: Variable[];
};

const activations = {
  relu: (x: Tensor) => unary.relu(x),
  leakyRelu: (x: Tensor) => unary.leakyRelu(x),
  gelu: (x: Tensor) => unary.gelu(x),
  silu: (x: Tensor) => unary.silu(x),
  sigmoid: (x: Tensor) => unary.sigmoid(x),
  tanh: (x: Tensor) => unary.tanh(x),
  softplus: (x: Tensor) => unary.softplus(x),
};

/** The function that a layer applies to its result. */
export type Activation = 'none' | keyof typeof activations;

/** An activation as a function. @throws ShapeError */
export function functionOf(name: string, activation: Activation): (x: Tensor) => Tensor {
  if (typeof activation !== 'string' || (activation !== 'none' && !Object.hasOwn(activations, activation)))
    throwShapeError(
      name,
      `expected an activation of none, ${Object.keys(activations).join(', ')}, got ${shown(activation)}`,
    );
  return activation === 'none' ? (x) => x : activations[activation];
}

/** Splits an activation into the part that the op computes itself and the rest, as a function. */
function split(name: string, activation: Activation) {
  const rest = functionOf(name, activation === 'relu' ? 'none' : activation);
  return { fused: activation === 'relu' ? ('relu' as const) : ('none' as const), rest };
}

/** Options of layers with weights. */
export interface WeightOptions {
  activation?: Activation;
  /** Prefix of its variables' names: `name.weight`. Not needed inside a sequential, which names layers by position. */
  name?: string;
  /** Default 0. */
  seed?: number;
  /** Default {@link he}. */
  init?: Initializer;
}

/** Checks the options of a layer: their names, sizes, flags, and those that all layers share. */
export function checkLayer(kind: string, options: unknown, names: string, sizes: string): void {
  checkOptions(where(kind), options, [...names.split(' '), 'name']);
  const { name = '', seed = 0, init = he, ...rest } = options as Record<string, unknown>;
  checkName(where(kind), name);
  checkFunction(where(kind), 'init', init);
  checkNumber(where(kind), 'seed', seed, { least: 0, most: LARGEST_U32, whole: true });
  for (const size of sizes ? sizes.split(' ') : [])
    checkNumber(where(kind), size, rest[size], { least: 1, most: 2 ** 31, whole: true });
  for (const flag of ['bias', 'affine']) if (flag in rest) checkFlag(kind, flag, rest[flag] ?? true);
}

export const joined = (...names: string[]) => names.filter(Boolean).join('.');

/** Makes a layer from a function and its variables, also for custom layers. Errors inside it name the layer. */
export function makeLayer(
  name: string,
  forward: (x: Tensor, mode: Mode) => Tensor,
  parameters: readonly Variable[] = [],
  statistics: readonly Variable[] = [],
): Layer {
  checkName('makeLayer', name);
  checkFunction('makeLayer', 'forward', forward);
  checkVariables('makeLayer', 'parameters', parameters);
  checkVariables('makeLayer', 'statistics', statistics);
  const apply = (x: Tensor, mode: Mode = {}) => {
    checkCall(name || 'layer', { x }, mode, 'training momentum step lengths');
    return name ? scope(name, () => forward(x, mode)) : forward(x, mode);
  };
  Object.defineProperty(apply, 'name', { value: name });
  return Object.assign(apply, { parameters: [...parameters], statistics: [...statistics] }) as Layer;
}

/** The weights of a layer. They are drawn when first needed, since a sequential may still change their name before. */
export function weights(
  kind: string,
  shape: number[],
  { name = '', seed = 0, init = he }: WeightOptions,
  fanIn: number,
  fanOut: number,
): Variable {
  checkShape(kind, '', shape);
  const v: Variable = variable(shape, {
    name: joined(name, 'weight'),
    initial: () => {
      // Otherwise two unnamed layers of one seed would get the same weights.
      if (v.name === 'weight')
        throwShapeError(
          kind,
          'expected a `name` outside of a sequential: weights are drawn by seed and name',
        );
      return init({ size: v.size, fanIn, fanOut, seed, name: v.name });
    },
  });
  return v;
}

export const vector = (size: number, layerName: string, name: string, initial = 0) =>
  variable([size], { name: joined(layerName, name), initial });

/**
 * y = activation(x W + b). x: [..., inputs] -> [..., outputs]
 * @param options.bias Default true; starts at 0. Leave it out before a batch norm.
 */
export function linear(options: WeightOptions & { inputs: number; outputs: number; bias?: boolean }): Layer {
  checkLayer('linear', options, 'inputs outputs bias activation seed init', 'inputs outputs');
  const { inputs, outputs, bias = true, activation = 'none', name = '' } = options;
  const { fused, rest } = split('linear', activation);
  const weight = weights('linear', [inputs, outputs], options, inputs, outputs);
  const b = bias ? vector(outputs, name, 'bias') : null;
  return makeLayer(
    name,
    (x) => rest(linearOp(x, weight, b, { activation: fused })),
    b ? [weight, b] : [weight],
  );
}

/**
 * A 2-D convolution. x: [N, H, W, inputs] -> [N, H', W', outputs], H' = floor((H + 2 padding - kernel) / stride) + 1
 * @param options.kernel Side of the window. Default 3.
 * @param options.stride Default 1.
 * @param options.padding Default 1.
 * @param options.bias Default true; starts at 0. Leave it out before a batch norm.
 */
export function conv2d(
  options: WeightOptions & {
    inputs: number;
    outputs: number;
    kernel?: number;
    stride?: number;
    padding?: number;
    bias?: boolean;
  },
): Layer {
  const names = 'inputs outputs kernel stride padding bias activation seed init';
  checkLayer(
    'conv2d',
    options && { kernel: 3, stride: 1, ...options },
    names,
    'inputs outputs kernel stride',
  );
  const { inputs, outputs, kernel = 3, stride = 1, padding = 1, bias = true, name = '' } = options;
  checkNumber(where('conv2d'), 'padding', padding, { least: 0, whole: true });
  const { activation = 'none' } = options;
  const activate = functionOf('conv2d', activation);
  const area = kernel * kernel;
  const weight = weights('conv2d', [kernel, kernel, inputs, outputs], options, area * inputs, area * outputs);
  const b = bias ? vector(outputs, name, 'bias') : null;
  return makeLayer(
    name,
    (x) => activate(conv2dOp(x, weight, b, { stride, padding })),
    b ? [weight, b] : [weight],
  );
}

/**
 * Batch normalisation over all axes but the last. x: [..., features]
 * In training it normalises by the batch and updates its running statistics; otherwise it normalises by those.
 * @param options.affine With gamma and beta. Default true.
 * @param options.momentum Weight of the new batch in the running statistics. Default .1 (PyTorch).
 * @param options.epsilon Default 1e-5.
 */
export function batchNorm(options: {
  features: number;
  affine?: boolean;
  activation?: Activation;
  name?: string;
  momentum?: number;
  epsilon?: number;
}): Layer {
  checkLayer('batchNorm', options, 'features affine activation momentum epsilon', 'features');
  const { features, affine = true, activation = 'none', name = '', momentum = 0.1, epsilon = 1e-5 } = options;
  checkNumber(where('batchNorm'), 'momentum', momentum, { least: 0, most: 1 });
  checkNumber(where('batchNorm'), 'epsilon', epsilon, { least: 0 });
  const { fused, rest } = split('batchNorm', activation);
  const gamma = affine ? vector(features, name, 'gamma', 1) : null;
  const beta = affine ? vector(features, name, 'beta') : null;
  const runningMean = vector(features, name, 'runningMean');
  const runningVariance = vector(features, name, 'runningVariance', 1);
  const fixed = { runningMean, runningVariance, epsilon, activation: fused };
  return makeLayer(
    name,
    (x, { training = false, momentum: given = momentum }) =>
      rest(batchNormOp(x, gamma, beta, { ...fixed, training, momentum: given })),
    gamma && beta ? [gamma, beta] : [],
    [runningMean, runningVariance],
  );
}

/** Layer normalisation over the last axis. x: [..., features] @param options.epsilon Default 1e-5. */
export function layerNorm(options: {
  features: number;
  affine?: boolean;
  name?: string;
  epsilon?: number;
}): Layer {
  checkLayer('layerNorm', options, 'features affine epsilon', 'features');
  const { features, affine = true, name = '', epsilon = 1e-5 } = options;
  checkNumber(where('layerNorm'), 'epsilon', epsilon, { least: 0 });
  const gamma = affine ? vector(features, name, 'gamma', 1) : null;
  const beta = affine ? vector(features, name, 'beta') : null;
  return makeLayer(name, (x) => layerNormOp(x, gamma, beta, { epsilon }), gamma && beta ? [gamma, beta] : []);
}

/** [N, ...] -> [N, D]; costs no dispatch. */
export const flatten = (): Layer => makeLayer('', (x) => reshape(x, [x.shape[0], -1]));

/** [N, H, W, C] -> [N, C] */
export const globalAveragePool = (): Layer => makeLayer('', (x) => globalAveragePoolOp(x));

/** An activation as a layer: `activation('gelu')`. */
export const activation = (kind: Activation): Layer => makeLayer('', functionOf('activation', kind));

/** ReLU as a layer. */
export const relu = (): Layer => activation('relu');

/** Whether a value is a {@link Layer}. */
const isLayer = (value: unknown): value is Layer =>
  typeof value === 'function' && 'parameters' in value && 'statistics' in value;

/** What a layer is named and owns, whatever it is a function of. */
type Owner = Pick<Layer, 'name' | 'parameters' | 'statistics'>;

/** Layers whose variables a sequential has named: a shared one keeps its first name. */
const named = new WeakSet<Owner>();

/** Names the variables of a layer's parts by the layer's name and that of the part, or else its position. @returns those of all parts */
export function joinLayers(name: string, parts: readonly Owner[]) {
  for (const [i, child] of parts.entries()) {
    if (named.has(child)) continue;
    named.add(child);
    const prefix = joined(name, child.name ? '' : String(i));
    for (const v of [...child.parameters, ...child.statistics])
      (v as { name: string }).name = joined(prefix, v.name);
  }
  const all = (key: 'parameters' | 'statistics') => [...new Set(parts.flatMap((child) => child[key]))];
  return { parameters: all('parameters'), statistics: all('statistics') };
}

/**
 * Layers in sequence. Variables are named by the layer's name, or else its position, joined with dots:
 * `encoder.0.weight`, `encoder.head.bias`. A layer that occurs twice shares its variables.
 */
export function sequential(name: string, layers: readonly Layer[]): Layer {
  checkName(where('sequential'), name);
  const wrong = Array.isArray(layers) ? layers.findIndex((each) => !isLayer(each)) : -2;
  if (wrong !== -1)
    throwShapeError(
      `sequential "${name}"`,
      `expected an array of layers, got ${wrong < 0 ? shown(layers) : `one with ${shown(layers[wrong])}`}`,
    );
  const { parameters, statistics } = joinLayers(name, layers);
  return makeLayer(
    name,
    (x, mode) =>
      layers.reduce(
        (y, child, i) => (child.name ? child(y, mode) : scope(String(i), () => child(y, mode))),
        x,
      ),
    parameters,
    statistics,
  );
}
