import { isFunction, shown } from '../gpu/check.ts';
import type { Target } from '../gpu/target.ts';
import { checkTensors, checkVariables } from './check.ts';
import {
  addEffect,
  checkShape,
  type DType,
  makeNode,
  type Node,
  type Shape,
  Tensor,
  throwShapeError,
  type Variable,
} from './tensor.ts';

export type { Target };

/** The value of a uniform field: a number, a scalar input, which is read at each run, or an array of these for a vector. */
export type UniformValue = number | Tensor | readonly (number | Tensor)[];

/** The inputs of an op, in the order of its kernel's `inputs`; null for an omitted one. */
export type Inputs = readonly (Tensor | null)[];

/** One call of an op: the argument of a kernel's functions. */
// biome-ignore lint/suspicious/noExplicitAny: each op knows its own options
export interface Call<O = any, I extends Inputs = Inputs> {
  readonly inputs: I;
  readonly state: readonly Variable[];
  readonly outputs: readonly Tensor[];
  readonly options: O;
}

/**
 * How an op runs: one dispatch. Binding 0 is the uniform block, then come `inputs` (read), `state` (read-write) and
 * `outputs` (read-write), one binding each, in this order. A null input is bound to 16 bytes of zeros.
 */
// biome-ignore lint/suspicious/noExplicitAny: each op knows its own options
export interface Kernel<O = any, I extends Inputs = Inputs> {
  /** Whole WGSL files, joined: the kernel first. */
  source: string | readonly string[];
  /** Lines of WGSL that are added to the source (`const TILE = 8;`), for sizes that an override cannot set. */
  prelude?: string;
  entry: string;
  inputs?: readonly string[];
  state?: readonly string[];
  outputs?: readonly string[];
  /** Inputs that only the gradient needs: their bindings hold zeros. */
  unread?: readonly string[];
  /** The inputs and outputs that are not storage buffers, with their letters in `PipelineKey.access` (src/gpu/kernel.ts). */
  access?: Readonly<Record<string, string>>;
  /** Its inputs with the rows of the textures that it reads as their first axis. Default: as they are. */
  rowsOf?: (x: Tensor) => Tensor;
  /** The fields of the struct that the WGSL binds as its uniform block, by their names. */
  uniform?: (call: Call<O, I>) => Record<string, UniformValue>;
  /** Values of WGSL `override`s. */
  constants?: (call: Call<O, I>) => Record<string, number>;
  /**
   * The most rounds that all loops of one invocation make together, plus one for the end of each loop. llvmpipe silently ends an
   * invocation after 65,535 rounds, so the plan refuses a kernel that needs more there. Default: none, or few at any size.
   */
  rounds?: (call: Call<O, I>) => number | Rounds;
  /** The number of invocations. The grid is folded and rounded up, so the kernel checks its index. */
  invocations: (call: Call<O, I>) => number;
  /** The workgroup size of the WGSL. Default 64. */
  workgroupSize?: number;
  /** An entry point that writes its output over the first input, in one binding. */
  inPlace?: string;
  /** Its name among the kernels of one call that share an entry point. Default: `entry`. */
  variant?: string;
}

/** Rounds of a kernel's loops that depend on one size. */
export interface Rounds {
  size: number;
  /** The rounds for any such size. */
  rounds: (size: number) => number;
  /** The size as text, with N for the largest allowed: `rows of at most N numbers`. */
  expected: string;
}

/** The shape and type of one output. */
export interface Output {
  shape: Shape;
  /** Default: the op's. */
  dtype?: DType;
}
/** The result of a shape rule: one output, as a shape if it has the op's type, or a list of outputs. */
export type Outputs = Shape | Output | readonly Output[];

/** The record of an op. */
// biome-ignore lint/suspicious/noExplicitAny: each op knows its own inputs and options
export interface Op<O = any, I extends Inputs = any, S extends Outputs = Outputs> {
  name: string;
  /** The output, or a list of outputs; `[]` for an op that only changes variables. Throws with `throwShapeError`. */
  shape: (inputs: I, options: O) => S;
  /** The type of the outputs. Default f32. */
  dtype?: DType;
  /** Mixed precision may store the first output as f16. Default false. */
  half?: boolean;
  /** It copies each input to an output: mixed precision stores both alike. Default false. */
  copies?: boolean;
  /**
   * One kernel, or a function that chooses by shape and adapter. The first of several is the default, and tuning may choose another:
   * they must add in the same order, so that the bits are equal.
   */
  kernel: Kernel<O, I> | ((call: Call<O, I>, target: Target) => Kernel<O, I> | Kernel<O, I>[]);
  /**
   * Cotangents of the inputs from that of the first output; null for an input that cannot be differentiated.
   * Without a vjp the op has no gradient, and asking for one is an error.
   */
  vjp?: (dy: Tensor, call: Call<O, I>) => (Tensor | null)[];
  /** A cheaper call that computes one of the inputs and this call together, if there is one. */
  fuse?: (call: Call<O, I>, context: FusionContext) => Replacement | null;
  /** Fuses the gradient of a ReLU: the inputs with which the first output is 0 wherever `gate` <= 0; null if the op cannot. */
  gated?: (call: Call<O, I>, gate: Tensor) => Inputs | null;
}

/** A call that replaces another. */
export interface Replacement {
  op: Op;
  inputs: Inputs;
  options: unknown;
}

/** The context of `fuse`. */
export interface FusionContext {
  /** The call that makes a tensor, if nothing else reads that tensor; else null. */
  only(x: Tensor | null): (Call & { op: Op }) | null;
}

// biome-ignore lint/complexity/noBannedTypes: options that may all be left out
type Rest<O> = {} extends O ? [options?: O] : [options: O];
/** An op as a function of its inputs, its options and the variables it changes. It returns the output, or a list of outputs. */
export type OpFunction<O, I extends Inputs, S extends Outputs = Shape> = {
  (inputs: I, ...rest: Rest<O>): S extends readonly Output[] ? Tensor[] : Tensor;
  (inputs: I, options: O, state: readonly Variable[]): S extends readonly Output[] ? Tensor[] : Tensor;
  op: Op<O, I, S>;
};

/**
 * Makes a function of tensors from the record of an op. The types of its inputs and options are those of the shape rule.
 *
 * ```ts
 * const double = op({ name: 'double', shape: ([x]: [Tensor]) => x.shape, kernel: {...}, vjp: (dy) => [mul(dy, 2)] });
 * const y = double([x]);
 * ```
 */
/* @__NO_SIDE_EFFECTS__ */
export function op<I extends Inputs, O, S extends Outputs>(spec: Op<O, I, S>): OpFunction<O, I, S> {
  const { name, shape, kernel } = (spec ?? {}) as Partial<Op>;
  if (typeof name !== 'string' || !isFunction(shape) || !kernel)
    throwShapeError('op', `expected a record with name, shape and kernel, got ${shown(spec)}`);
  const apply = (inputs: I, options = {} as O, state: readonly Variable[] = []) => {
    checkTensors(name, 'inputs', inputs, true);
    checkVariables(name, 'state', state);
    const made = spec.shape(inputs, options);
    const { outputs } = call(spec, inputs, options, state, made);
    return isList(made) ? outputs : outputs[0];
  };
  return Object.assign(apply, { op: spec }) as OpFunction<O, I, S>;
}

const isList = (made: Outputs): made is readonly Output[] =>
  Array.isArray(made) && typeof made[0] === 'object';

/** Records a call of an op in the graph; `state` are the variables it changes. */
export function call(
  spec: Op,
  inputs: Inputs,
  options: unknown,
  state: readonly Variable[] = [],
  made: Outputs = spec.shape(inputs, options),
): Node {
  const node = makeNode({ kind: 'op', op: spec, inputs: [...inputs], options, state });
  const none = state.length > 0 && Array.isArray(made) && made.length === 0;
  for (const [i, { shape, dtype }] of (none ? [] : outputsOf(spec, made)).entries())
    node.outputs.push(new Tensor(node, i, shape, dtype));
  if (state.length) addEffect(node);
  return node;
}

/** The outputs that a shape rule returned, with their types. */
export const outputsOf = (spec: Op, made: Outputs): Required<Output>[] =>
  (isList(made) ? made : [made]).map((y) => {
    const { shape, dtype = spec.dtype ?? 'f32' } = 'shape' in y ? y : { shape: y };
    return { shape: checkShape(spec.name, '', shape), dtype };
  });

/** A call of an op on its way through the passes of a plan to a dispatch; a pack has no op. */
export interface PlannedCall extends Call {
  op: Op | null;
  /** The kernel that it runs with, once that is decided. */
  kernel?: Kernel;
  inputs: (Tensor | null)[];
  outputs: Tensor[];
  layer: string;
}

/** A texture, in texels of a vec4. */
export interface Texture {
  width: number;
  height: number;
  half: boolean;
  bytes: number;
  label: string;
}

/** Textures that hold several tensors, one after the other. */
export interface TexturePool {
  textures: Texture[];
  /** The number of a free texture of the size and format of a tensor, or of a new one. */
  take(x: Tensor): number;
  release(texture: number): void;
}

/** What differs in plans for software adapters: src/software, which only they load. */
export interface Software {
  /** The kernels of a call in the place of the op's own, the default first. */
  kernels(op: Op, c: Call, own: Kernel[]): Kernel[];
  /**
   * A pass of the plan: gives kernels the textures that they read.
   * @param buffers tensors that must lie in a buffer; `null` for all
   */
  rewrite(calls: PlannedCall[], target: PlanTarget, buffers: Set<Tensor> | null): PlannedCall[];
  /** The textures of a plan. */
  pool(): TexturePool;
  /**
   * How many dispatches at the start of a plan are copies to textures that need no kernel: the GPU's own do.
   * @param external tensors whose buffers may not allow it
   */
  movesOf(dispatches: readonly (Call & { op: Op })[], external: Set<Tensor>): number;
}

/** What a plan may know of its adapter. */
export interface PlanTarget extends Target {
  /** Set on software adapters, once it is loaded. */
  software?: Software;
}

/** The kernels that a call may run with, the default first. */
export function kernelsOf(spec: Op, c: Call, target: PlanTarget): Kernel[] {
  const { kernel } = spec;
  const own = [typeof kernel === 'function' ? kernel(c, target) : kernel].flat();
  return target.software?.kernels(spec, c, own) ?? own;
}

/** The name of a kernel in a table of choices. */
export const variantOf = ({ variant, entry }: Kernel): string => variant ?? entry;

/** The key of a choice: the op, its shapes and options, and its candidate kernels. */
export function keyOf({ name }: Op, { inputs, options }: Call, kernels: readonly Kernel[]): string {
  // Without the outputs: they follow from the inputs, and a plan may add a texture to them.
  const shapes = inputs.map((x) => x && [x.dtype, ...x.shape].join(' '));
  const plain = (_: string, value: unknown) => (value instanceof Tensor ? value.shape : value);
  return JSON.stringify([name, shapes, options, kernels.map(variantOf)], plain);
}

/** The kernel that a call runs with. */
export function kernelOf(spec: Op, c: Call, target: PlanTarget): Kernel {
  const kernels = kernelsOf(spec, c, target);
  const chosen = kernels.length > 1 && target.choice?.(keyOf(spec, c, kernels));
  return kernels.find((kernel) => variantOf(kernel) === chosen) ?? kernels[0];
}

/** The WGSL of a kernel, whole. Kernel first, so that a compiler's line numbers are those of its file. */
export const sourceOf = (k: Kernel): string => {
  const text = [k.source].flat().join('\n');
  return k.prelude ? `${text}\n${k.prelude}` : text;
};
