import { isFunction, shown } from '../gpu/check.ts';
import type { Target } from '../gpu/target.ts';
import { checkTensor, checkTensors, checkVariables } from './check.ts';
import {
  addEffect,
  checkShape,
  type DType,
  fail,
  makeNode,
  type Node,
  type Shape,
  Tensor,
  type Variable,
} from './tensor.ts';

export type { Target };

/** A value of the uniform block: a plain number is u32; wrap floats in {@link f32}; an input is read each step. */
export type UniformValue = number | Float | Tensor | readonly number[];
export interface Float {
  f32: number | Tensor;
}

/** Marks a uniform value as f32. A scalar input passes through, with its own type. */
export const f32 = (value: number | Tensor): UniformValue => {
  if (typeof value !== 'number') checkTensor('f32', 'value', value);
  return value instanceof Tensor ? value : { f32: value };
};

/** What a kernel's functions are told: one application of an op. */
// biome-ignore lint/suspicious/noExplicitAny: each op knows its own options
export interface Call<O = any> {
  readonly inputs: readonly (Tensor | null)[];
  readonly state: readonly Variable[];
  readonly outputs: readonly Tensor[];
  readonly options: O;
}

/**
 * How an op runs: one dispatch. Binding 0 is the uniform block, then come `inputs` (read), `state` (read-write) and
 * `outputs` (read-write), one binding each, in this order. An input that is null is bound to four zero words.
 */
// biome-ignore lint/suspicious/noExplicitAny: each op knows its own options
export interface Kernel<O = any> {
  /** Whole WGSL files, joined: the kernel first. */
  source: string | readonly string[];
  /** Lines of WGSL before it (`const TILE = 8;`), for what an override may not size. */
  prelude?: string;
  entry: string;
  inputs?: readonly string[];
  state?: readonly string[];
  outputs?: readonly string[];
  /** Inputs that only the gradient is about: their bindings hold zeros. */
  unread?: readonly string[];
  /**
   * Which of them are bound as textures of vec4s, what lies at one place of the first axis being a row of texels; rows end
   * in zeros, and up to three rows of zeros follow, so that whole blocks of 4 x 4 can be read. An input is bound
   * as `texture_storage_2d<rgba32float, read>`, of which the plan makes a copy, shared by all kernels that want it.
   */
  textures?: readonly string[];
  /**
   * The same kernel with its first output as a texture, laid out like those it reads: in the place of the buffer, or
   * beside it as one more output. Null: it cannot.
   */
  toTexture?: (where: 'texture' | 'both') => Kernel<O> | null;
  /** The textures that it reads are `texture_2d<f32>`. */
  sampled?: boolean;
  /** It exchanges values among the invocations of a quad, in control flow that only the host knows to be uniform there. */
  quads?: boolean;
  /** Fields of the uniform block in the order of the WGSL struct: u32, `f32(x)`, or 2 or 4 u32 for a vector. */
  uniform?: (call: Call<O>) => Record<string, UniformValue>;
  /** Values of WGSL `override`s. */
  constants?: (call: Call<O>) => Record<string, number>;
  /**
   * How many rounds all loops of one invocation make together, at most, with one more for the end of each: llvmpipe ends it
   * after 65,535, silently, so that a kernel that needs more is refused there. Left out: none, or few whatever the sizes.
   */
  rounds?: (call: Call<O>) => number | Rounds;
  /** How many invocations; the kernel guards, since the grid is folded and rounded up. */
  invocations: (call: Call<O>) => number;
  /** As in the WGSL; 64 unless told. */
  workgroupSize?: number;
  /** An entry point that reads and writes the first input in one binding, in the place of the output. */
  inPlace?: string;
  /** What a table of choices calls it, where kernels of one call share their entry point. Default: `entry`. */
  variant?: string;
}

/** Rounds of a kernel's loops that follow from one size. */
export interface Rounds {
  size: number;
  /** The rounds for any such size. */
  rounds: (size: number) => number;
  /** What the size is, with N for the most allowed: `rows of at most N numbers`. */
  expected: string;
}

// biome-ignore lint/suspicious/noExplicitAny: each op knows its own options
export interface Op<O = any> {
  name: string;
  /** The shape of the output, or of each output. Throws ShapeError through `fail`. */
  shape: (inputs: readonly Tensor[], options: O) => Shape | { shape: Shape; dtype?: DType }[];
  /** Of the output. f32 unless told. */
  dtype?: DType;
  /**
   * One kernel, or a choice by shape and adapter. Of several the first is the default, and measuring may choose another:
   * they must add in the same order, so that the bits are the same.
   */
  kernel: Kernel<O> | ((call: Call<O>, target: Target) => Kernel<O> | Kernel<O>[]);
  /**
   * Cotangents of the inputs from that of the first output; null for an input that cannot be differentiated.
   * Without a vjp the op has no gradient, and asking for one is an error.
   */
  vjp?: (dy: Tensor, call: Node) => (Tensor | null)[];
  /** A cheaper call that does this one and the making of one of its inputs, if there is one. */
  fuse?: (call: Call<O>, look: Look) => Instead | null;
  /** The call that makes the first output where `gate` > 0, else 0, if there is one: it takes in a ReLU's gradient. */
  gated?: (call: Call<O>, gate: Tensor) => Instead | null;
}

/** A call in the place of another. */
export interface Instead {
  op: Op;
  inputs: (Tensor | null)[];
  options: unknown;
}

/** What `fuse` may look at. */
export interface Look {
  /** The call that makes a tensor which nobody else reads, or null. */
  only(x: Tensor | null): (Call & { op: Op }) | null;
}

type Arguments<I extends readonly (Tensor | null)[], O> = O extends undefined ? [...I] : [...I, options?: O];
export type OpFunction<I extends readonly (Tensor | null)[], O> = ((...args: Arguments<I, O>) => Tensor) & {
  op: Op;
};

/**
 * Makes a function of tensors from an op's record. The last argument of the function may be the op's options.
 *
 * ```ts
 * const double = op<[x: Tensor]>({ name: 'double', shape: ([x]) => x.shape, kernel: {...}, vjp: (dy) => [double(dy)] });
 * ```
 */
// biome-ignore lint/suspicious/noExplicitAny: options are the op's own
export function op<I extends readonly (Tensor | null)[], O = any>(spec: Op<O>): OpFunction<I, O> {
  checkSpec('op', spec);
  const apply = (...args: unknown[]): Tensor => {
    const last = args.at(-1);
    const hasOptions = args.length > 0 && last !== null && !(last instanceof Tensor);
    const inputs = (hasOptions ? args.slice(0, -1) : args) as (Tensor | null)[];
    return call(spec, inputs, ((hasOptions ? last : undefined) ?? {}) as O).outputs[0];
  };
  return Object.assign(apply, { op: spec as Op }) as unknown as OpFunction<I, O>;
}

/** Throws unless this is the record of an op. */
function checkSpec(where: string, spec: unknown): void {
  const { name, shape, kernel } = (spec ?? {}) as Partial<Op>;
  if (typeof name !== 'string' || !isFunction(shape) || !kernel)
    fail(where, `expected a record of an op with name, shape and kernel, got ${shown(spec)}`);
}

/** Applies an op; `state` names the variables it changes. */
export function call<O>(
  spec: Op<O>,
  inputs: readonly (Tensor | null)[],
  options: O,
  state: readonly Variable[] = [],
): Node {
  checkSpec('call', spec);
  checkTensors(spec.name, 'inputs', inputs, true);
  checkVariables(spec.name, 'state', state);
  const node = makeNode({ kind: 'op', op: spec as Op, inputs: [...inputs], options, state });
  for (const [i, { shape, dtype }] of outputsOf(
    spec,
    inputs as Tensor[],
    options,
    state.length > 0,
  ).entries()) {
    node.outputs.push(new Tensor(node, i, shape, dtype));
  }
  if (state.length) addEffect(node);
  return node;
}

/** Shapes and types of what an op makes; an op that only changes variables may say `[]`. */
export function outputsOf<O>(
  spec: Op<O>,
  inputs: readonly Tensor[],
  options: O,
  changes = false,
): { shape: Shape; dtype: DType }[] {
  const made = spec.shape(inputs, options);
  const typed = (shape: Shape, dtype: DType = spec.dtype ?? 'f32') => ({
    shape: checkShape(spec.name, '', shape),
    dtype,
  });
  if (typeof made[0] === 'object')
    return (made as { shape: Shape; dtype?: DType }[]).map((y) => typed(y.shape, y.dtype));
  return changes && made.length === 0 ? [] : [typed(made as Shape)];
}

/** The kernels that a call may run with, the default first. */
export const kernelsOf = ({ kernel }: Op, c: Call, target: Target): Kernel[] =>
  [typeof kernel === 'function' ? kernel(c, target) : kernel].flat();

/** What a table of choices calls a kernel. */
export const variantOf = ({ variant, entry }: Kernel): string => variant ?? entry;

/** What a choice is remembered by: the op, its shapes and options, and the kernels there were to choose from. */
export function keyOf({ name }: Op, { inputs, options }: Call, kernels: readonly Kernel[]): string {
  // Not of the outputs: these follow, and a plan may add a texture to them.
  const shapes = inputs.map((x) => x && [x.dtype, ...x.shape].join(' '));
  const plain = (_: string, value: unknown) => (value instanceof Tensor ? value.shape : value);
  return JSON.stringify([name, shapes, options, kernels.map(variantOf)], plain);
}

/** The kernel that a call runs with. */
export function kernelOf(spec: Op, c: Call, target: Target): Kernel {
  const kernels = kernelsOf(spec, c, target);
  const chosen = kernels.length > 1 && target.choice?.(keyOf(spec, c, kernels));
  return kernels.find((kernel) => variantOf(kernel) === chosen) ?? kernels[0];
}
