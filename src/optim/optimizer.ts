import gridWgsl from '../../shaders/lib/grid.wgsl' with { type: 'text' };
import optimizerWgsl from '../../shaders/optimizer.wgsl' with { type: 'text' };
import { checkFunction, checkOptions, shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { checkTensor, checkTensors, checkVariables } from '../graph/check.ts';
import { grad } from '../graph/gradient.ts';
import { op } from '../graph/op.ts';
import {
  assertInStep,
  constant,
  flatten,
  PART,
  pack,
  type Scalar,
  sameShape,
  settle,
  show,
  Tensor,
  throwShapeError,
  type Variable,
  variable,
} from '../graph/tensor.ts';
import { checkOn } from '../runtime/check.ts';
import { readVariable } from '../runtime/variables.ts';

/** Options of all optimisers. */
export interface OptimizerOptions {
  /** Size of a step: a number, or a scalar input of the step, so that a schedule can change it. */
  learningRate: Scalar;
  /** Pulls weights towards 0. Default 0; AdamW .01. */
  weightDecay?: Scalar;
  /** Variables without weight decay (LARS: and without adaptation). Default: rank 1 and less, biases and norms. */
  exclude?: (variable: Variable) => boolean;
  /** Factor of the learning rate for a variable; 0 freezes it. Default 1. */
  learningRateFactor?: (variable: Variable) => number;
  /** Prefix of the names of its state, for a checkpoint with several optimisers. Default: the rule's name. */
  name?: string;
  /** Largest norm of the whole gradient; a longer one is scaled down to it. Default: no clipping. */
  clip?: number;
}

export interface Optimizer {
  /** The flat variable that holds the parameters. */
  readonly parameters: Variable;
  /** Counters and the last gradient norm, f32 [8]: see {@link optimizerStatus}. */
  readonly header: Variable;
  /** The variables that a checkpoint must save besides the parameters: the header and the moments. */
  readonly state: readonly Variable[];
  /** Inside a step: updates the parameters to reduce `loss`, a scalar. */
  minimize(loss: Tensor): void;
  /** Inside a step: updates the parameters with given gradients, in the order of the parameters, or packed into one tensor. */
  update(gradients: readonly Tensor[] | Tensor): void;
}

/** The options of an update, which are the fields of its uniform block. */
export type Rates = Record<string, Scalar>;

/** What differs between optimisers. */
interface Rule {
  name: string;
  /** Names of the moments, each a flat variable that is laid out like the parameters. */
  moments: readonly string[];
  /** Adam's, for the bias correction. */
  betas?: readonly [number, number];
  /** The dispatch that sums squares; its first output are the partial sums of the gradient. */
  norm?: (parts: Parts) => Tensor[];
  update: (parts: Parts) => void;
}

/** The variables and tensors of an optimiser's kernels. */
export interface Parts {
  parameters: Variable;
  moments: readonly Variable[];
  gradient: Tensor;
  header: Variable;
  /** For each 64 elements: 1 where weight decay applies, else 0; factor of the learning rate. */
  table: Tensor;
  sums: readonly Tensor[];
}

const source = [optimizerWgsl, gridWgsl];
/** The number of threads that sum squares: enough for a GPU, few enough for the one workgroup that adds up their sums. */
const normThreads = (vectors: number) => Math.min(16384, 256 * Math.ceil(vectors / (256 * 16)));

const gradientNorm = op({
  name: 'gradientNorm',
  shape: ([gradient]: [gradient: Tensor]) => [normThreads(gradient.size / 4)],
  kernel: {
    source,
    entry: 'optimizer_norm',
    inputs: ['gradient'],
    outputs: ['partials'],
    workgroupSize: 256,
    uniform: ({ inputs: [gradient], outputs: [partials] }) => ({
      ...{ count: gradient.size / 4, stride: partials.size },
      ...{ clip: 0, first: 0, second: 0 },
    }),
    rounds: ({ inputs: [gradient], outputs: [partials] }) => Math.ceil(gradient.size / 4 / partials.size),
    invocations: ({ outputs }) => outputs[0].size,
  },
});

const updateHeader = op({
  name: 'optimizerHeader',
  shape: (_: [sums: Tensor], _options: { clip: number; betas: readonly [number, number] }) => [],
  kernel: {
    source,
    entry: 'optimizer_header',
    inputs: ['sums'],
    state: ['header'],
    uniform: ({ inputs, options: { clip, betas } }) => ({
      count: inputs[0].size,
      stride: 0,
      clip: clip,
      // log(0) would be -infinity
      first: Math.log(Math.max(betas[0], 1e-30)),
      second: Math.log(Math.max(betas[1], 1e-30)),
    }),
    rounds: ({ inputs }) => Math.ceil(inputs[0].size / 64) + 64,
    invocations: () => 64,
  },
});

export const excludedByDefault = (v: Variable): boolean => v.shape.length <= 1;

/** Checks that a number is in a range; the values of scalar inputs are not known yet. @throws InputError */
export function checkNumber(what: string, value: Scalar, low: number, high = Number.POSITIVE_INFINITY): void {
  if (value instanceof Tensor) {
    if (value.node.kind !== 'scalar')
      throw new InputError(`${what}: expected a number or a scalar input, got a tensor ${show(value.shape)}`);
  } else if (typeof value !== 'number' || !Number.isFinite(value) || value < low || value > high)
    throw new InputError(
      `${what}: expected a number ${Number.isFinite(high) ? `from ${low} to ${high}` : `of at least ${low}`}, got ${shown(value)}`,
    );
}

/**
 * Checks the arguments of an optimiser.
 * @param own its additional options, separated by spaces
 * @throws ShapeError unless the parameters are variables; InputError for an unknown option
 */
export function checkOptimizer(name: string, parameters: unknown, options: unknown, own: string): void {
  checkVariables(name, 'parameters', parameters);
  checkOptions(name, options, [...COMMON, ...own.split(' ')]);
  const { exclude = excludedByDefault, learningRateFactor = excludedByDefault } = options as OptimizerOptions;
  for (const [key, f] of Object.entries({ exclude, learningRateFactor })) checkFunction(name, key, f);
}
const COMMON = ['learningRate', 'weightDecay', 'exclude', 'learningRateFactor', 'name', 'clip'];

/** The flat variable with exactly these members; made if there is none. */
export function flatOf(variables: readonly Variable[], name: string): Variable {
  const flat = variables[0]?.home?.flat;
  if (flat && flat.members.length === variables.length && variables.every((v, i) => v === flat.members[i]))
    return flat;
  return flatten(variables, name);
}

/**
 * Builds an optimiser from its rule: the parameters in one flat variable, the moments laid out like them. Parameters that
 * several optimisers share move, with their values, to the optimiser whose step runs.
 */
export function makeOptimizer(
  parameters: readonly Variable[],
  options: OptimizerOptions,
  { name, moments: momentNames, betas = [0, 0], norm, update: rule }: Rule,
): Optimizer {
  const { exclude = excludedByDefault, learningRateFactor = () => 1, clip } = options;
  const variables = [...new Set(parameters)];
  if (!variables.length) throw new InputError(`${name}: expected at least one parameter, got none`);
  const wrong = variables.find((v) => v.dtype !== 'f32');
  if (wrong) throw new InputError(`${name}: expected f32 parameters, got ${wrong.dtype} "${wrong.name}"`);
  checkNumber(`${name}: learningRate`, options.learningRate, 0);
  checkNumber(`${name}: weightDecay`, options.weightDecay ?? 0, 0);
  if (clip !== undefined && !(Number.isFinite(clip) && clip > 0))
    throw new InputError(`${name}: clip: expected a norm above 0, got ${shown(clip)}`);

  const flat = flatOf(variables, 'parameters');
  const moments = momentNames.map((moment) =>
    flatten(
      variables.map((v) =>
        variable(v.shape, { name: `${options.name ? `${options.name}.` : ''}${v.name}.${moment}` }),
      ),
      `${options.name ?? name}.${moment}`,
    ),
  );
  const header = variable([8], { name: `${options.name ?? name}.header` });
  const table = blockTable(flat, exclude, learningRateFactor);

  const update = (gradients: readonly Tensor[] | Tensor) => {
    if (!(gradients instanceof Tensor)) checkTensors(name, 'gradients', gradients);
    assertInStep(name);
    settle(flat);
    const gradient = gradients instanceof Tensor ? gradients : packed(name, gradients, variables);
    if (!sameShape(gradient.shape, flat.shape))
      throwShapeError(name, `expected packed gradients ${show(flat.shape)}, got ${show(gradient.shape)}`);
    const parts: Parts = { parameters: flat, moments, gradient, header, table, sums: [] };
    const sums = norm ? norm(parts) : [gradientNorm([gradient])];
    updateHeader([sums[0]], { clip: clip ?? 0, betas }, [header]);
    rule({ ...parts, sums });
  };
  return {
    parameters: flat,
    header,
    state: [header, ...moments],
    update,
    minimize(loss) {
      checkTensor(`${name}.minimize`, 'loss', loss);
      if (loss.size !== 1)
        throwShapeError(`${name}.minimize`, `expected a scalar loss, got ${show(loss.shape)}`);
      update(grad(loss, variables));
    },
  };
}

function packed(name: string, gradients: readonly Tensor[], variables: readonly Variable[]): Tensor {
  if (gradients.length !== variables.length)
    throwShapeError(
      name,
      `expected ${variables.length} gradients, one for each parameter, got ${gradients.length}`,
    );
  for (const [i, v] of variables.entries()) {
    if (!sameShape(gradients[i].shape, v.shape))
      throwShapeError(
        name,
        `expected a gradient ${show(v.shape)} for "${v.name}", got ${show(gradients[i].shape)}`,
      );
  }
  return pack(gradients);
}

/** The number of blocks of 64 elements that a variable takes in a flat buffer. */
export const blocksOf = (v: Variable): number => Math.ceil(v.size / PART);

/** Two numbers for each block: whether it decays, and the factor of its learning rate. */
function blockTable(
  flat: Variable,
  exclude: (v: Variable) => boolean,
  factor: (v: Variable) => number,
): Tensor {
  const table = new Float32Array((2 * flat.size) / PART);
  let at = 0;
  for (const v of flat.members) {
    const pair = [exclude(v) ? 0 : 1, factor(v)];
    for (const end = at + 2 * blocksOf(v); at < end; at++) table[at] = pair[at % 2];
  }
  return constant(table, [at]);
}

/** The counters in the header of an optimiser. */
export interface OptimizerStatus {
  /** Updates done; what Adam calls t. Counted in f32: exact up to 16,777,216. */
  updates: number;
  /** Updates skipped because the gradient was not finite. */
  skipped: number;
  /** Euclidean norm of the last gradient, before clipping; not finite when that update was skipped. */
  gradientNorm: number;
  /** Whether the last update was done. */
  applied: boolean;
}

/** Reads the counters of an optimiser. */
export async function optimizerStatus(device: Device, optimizer: Optimizer): Promise<OptimizerStatus> {
  const { header } = (optimizer ?? {}) as Optimizer;
  checkOn('optimizerStatus', device, header);
  const [updates, skipped, gradientNorm, applied] = await readVariable(device, header);
  return { updates, skipped, gradientNorm, applied: applied !== 0 };
}
