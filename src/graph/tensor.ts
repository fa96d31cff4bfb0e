import { checkFunction, checkName, checkOptions, shown, shownList } from '../gpu/check.ts';
import { ShapeError } from '../gpu/errors.ts';

/** f32 for arithmetic; u32 for indices and labels; u8 for data, packed four to a 32-bit word. */
export type DType = 'f32' | 'u32' | 'u8';
export type Shape = readonly number[];
/** A number, which is fixed in the plan, or a scalar input, which is written at each run. */
export type Scalar = number | Tensor;

/** The part of an op that the graph needs; `Op` in op.ts is the whole. */
export interface Differentiable {
  name: string;
  /** Cotangents of the inputs from that of the first output. */
  vjp?: (dy: Tensor, node: Node) => (Tensor | null)[];
}

/** A node of the graph: what makes one or more tensors. */
export interface Node {
  readonly id: number;
  readonly kind: 'op' | 'view' | 'pack' | 'input' | 'scalar' | 'constant' | 'variable';
  readonly op: Differentiable | null;
  readonly inputs: readonly (Tensor | null)[];
  /** Variables that this node changes. */
  readonly state: readonly Variable[];
  // biome-ignore lint/suspicious/noExplicitAny: each op knows its own options
  readonly options: any;
  readonly outputs: Tensor[];
  /** The layer it was built in, for messages. */
  readonly layer: string;
}

/** A value of the graph. It owns no GPU memory. */
export class Tensor {
  /** For messages; literal, because a bundler shortens the names of classes. */
  static readonly name: string = 'Tensor';
  readonly node: Node;
  readonly index: number;
  readonly shape: Shape;
  readonly dtype: DType;
  /** A plan stores it as f16 (graph/mixed.ts). */
  readonly half: boolean;
  constructor(node: Node, index: number, shape: Shape, dtype: DType, half = false) {
    this.node = node;
    this.index = index;
    this.shape = shape;
    this.dtype = dtype;
    this.half = half;
  }
  /** The number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }
  /** The number of bytes; u8 and f16 are padded to a multiple of 4. */
  get bytes(): number {
    return Math.ceil(this.size / (this.dtype === 'u8' ? 4 : this.half ? 2 : 1)) * 4;
  }
}

export type TypedArray = Float32Array | Uint32Array | Uint8Array;
const ARRAYS = { f32: Float32Array, u32: Uint32Array, u8: Uint8Array } as const;
const mistyped = (data: unknown, dtype: DType) =>
  `expected a ${ARRAYS[dtype].name} for ${dtype}, got ${shown(data)}`;

function checkDType(op: string, dtype: unknown, types: readonly string[] = Object.keys(ARRAYS)): void {
  if (!types.includes(dtype as string))
    throwShapeError(op, `expected a type of ${types.join(', ')}, got ${shown(dtype)}`);
}

/**
 * A tensor that keeps its value from step to step: a parameter, a moment, a running statistic, a queue, a data set.
 * Each device that uses it has its own value; this object has only the initial one.
 */
export class Variable extends Tensor {
  static override readonly name: string = 'Variable';
  readonly name: string;
  /** Its initial value: one number for all elements, the elements, or a function that makes them. */
  readonly initial: number | TypedArray | (() => TypedArray);
  /** Its place if it is part of a flat variable; offset in elements. It changes when another flat variable takes it over. */
  home: { flat: Variable; offset: number } | null = null;
  /** The parts of a flat variable, in order; some may be in another flat variable at the moment. */
  readonly members: Variable[] = [];
  /** The offset of each part in this variable, in elements. */
  readonly offsets = new Map<Variable, number>();
  constructor(name: string, shape: Shape, dtype: DType, initial: Variable['initial']) {
    super(makeNode({ kind: 'variable' }), 0, checkShape('variable', name, shape), dtype);
    this.node.outputs.push(this);
    this.name = name;
    this.initial = initial;
  }
}

let nodes = 0;
const layers: string[] = [];
let effects: Node[] | null = null;

export function makeNode(fields: Partial<Node> & Pick<Node, 'kind'>): Node {
  return {
    id: nodes++,
    op: null,
    inputs: [],
    state: [],
    options: {},
    outputs: [],
    layer: layers.join('.'),
    ...fields,
  };
}

export const sizeOf = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
export const show = (shape: Shape): string => `[${Array.from(shape, shown).join(', ')}]`;
export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);

/** An op and its layer, for messages: `matmul "encoder.1"`. */
export const labelOf = (op: string, layer: string): string => (layer ? `${op} "${layer}"` : op);

/** The op that is being built, and the layer that it is in. */
export const where = (op: string): string => labelOf(op, layers.join('.'));

/** Throws a ShapeError that names the op and the layer: `matmul "encoder.1": expected ...`. */
export function throwShapeError(op: string, message: string): never {
  throw new ShapeError(`${where(op)}: ${message}`.slice(0, 1500));
}

/** The most elements of a tensor: indices are u32, and their bytes must not wrap. */
const MOST = 2 ** 31;

/** A copy of a shape. @throws ShapeError unless its sizes are positive whole numbers of at most 2^31 elements */
export function checkShape(op: string, name: string, shape: Shape): Shape {
  const what = name ? `${op} "${name}"` : where(op);
  if (!Array.isArray(shape) || ![...shape].every((n) => Number.isInteger(n) && n > 0)) {
    throw new ShapeError(`${what}: expected positive whole sizes, got ${shownList(shape)}`);
  }
  if (sizeOf(shape) > MOST)
    throw new ShapeError(`${what}: expected at most ${MOST} elements, got ${show(shape)}`);
  return [...shape];
}

/** Sets the name of the layer for ops that `build` creates, for error messages. Layers can be nested. */
export function layer<T>(name: string, build: () => T): T {
  checkName(where('layer'), name);
  checkFunction(where('layer'), 'build', build);
  layers.push(name);
  try {
    return build();
  } finally {
    layers.pop();
  }
}

/** Runs `build` and returns the effects (updates of variables) that it recorded, in order. */
export function trace<T>(build: () => T): { result: T; effects: Node[] } {
  const outer = effects;
  const mine: Node[] = [];
  effects = mine;
  try {
    return { result: build(), effects: mine };
  } finally {
    effects = outer;
  }
}

/** Throws a ShapeError outside of a step, where variables cannot be changed. */
export function assertInStep(op: string): void {
  if (!effects) throwShapeError(op, 'a variable can be changed only inside compile(device, step)');
}

/** Records a node that changes variables. */
export function addEffect(node: Node): void {
  assertInStep(node.op?.name ?? node.kind);
  effects!.push(node);
}

const single = (kind: Node['kind'], shape: Shape, dtype: DType, fields: Partial<Node> = {}): Tensor => {
  const node = makeNode({ kind, ...fields });
  const tensor = new Tensor(node, 0, checkShape(kind, String(fields.options?.name ?? ''), shape), dtype);
  node.outputs.push(tensor);
  return tensor;
};

/**
 * A tensor that keeps its value from step to step.
 * @param initial one number for all elements, the elements, or a function that makes them. Default 0.
 */
export function variable(
  shape: Shape,
  options: { name?: string; initial?: Variable['initial']; dtype?: DType } = {},
): Variable {
  checkOptions('variable', options, ['name', 'initial', 'dtype']);
  const { name = 'variable', initial = 0, dtype = 'f32' } = options;
  checkName(where('variable'), name);
  checkDType(`variable "${name}"`, dtype);
  if (typeof initial !== 'number' && typeof initial !== 'function' && !ArrayBuffer.isView(initial))
    throwShapeError(
      `variable "${name}"`,
      `expected a number, elements or a function for "initial", got ${shown(initial)}`,
    );
  return new Variable(name, shape, dtype, initial);
}

/** A tensor given to every `run()`: an array of its elements, or a GPUBuffer bound at compile time. */
export function input(shape: Shape, dtype: DType = 'f32'): Tensor {
  checkDType('input', dtype);
  return single('input', shape, dtype);
}

/** A number given to every `run()`. It is stored in the uniform block, so it can be used wherever an op takes a `Scalar`. */
export function scalar(dtype: 'f32' | 'u32' = 'f32'): Tensor {
  checkDType('scalar', dtype, ['f32', 'u32']);
  return single('scalar', [], dtype);
}

/** A tensor whose elements are known: one number for all of them, or an array. */
export function constant(value: number | TypedArray, shape: Shape = [], dtype: DType = 'f32'): Tensor {
  checkDType('constant', dtype);
  if (typeof value !== 'number') {
    if (!(value instanceof ARRAYS[dtype])) throwShapeError('constant', mistyped(value, dtype));
    const size = sizeOf(checkShape('constant', '', shape));
    if (value.length !== size)
      throwShapeError('constant', `expected ${size} elements for ${show(shape)}, got ${value.length}`);
  }
  return single('constant', shape, dtype, { options: { value } });
}

/** The tensor that a view shows; x itself if it is no view. */
export function viewRoot(x: Tensor): Tensor {
  let root = x;
  while (root.node.kind === 'view') root = root.node.inputs[0]!;
  return root;
}

/** The variable whose buffer holds the elements of a variable. */
export const home = (v: Variable): Variable => v.home?.flat ?? v;

/** The number that all elements of a constant tensor have, or null. */
export const constantValue = (x: Tensor): number | null =>
  x.node.kind === 'constant' && typeof x.node.options.value === 'number' ? x.node.options.value : null;

/** The same elements with another shape; no copy. One size may be -1. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const sizes = Array.isArray(shape) ? [...shape] : [null];
  if (
    !(x instanceof Tensor) ||
    !sizes.every((n) => Number.isInteger(n)) ||
    sizes.filter((n) => n === -1).length > 1
  )
    throwShapeError(
      'reshape',
      `expected a tensor and a shape with at most one -1, got ${x instanceof Tensor ? show(x.shape) : shown(x)} and ${shownList(shape)}`,
    );
  const known = sizeOf(shape.filter((n) => n !== -1));
  const full = shape.map((n) => (n === -1 ? x.size / known : n));
  if (sizeOf(full) !== x.size || full.some((n) => !Number.isInteger(n))) {
    throwShapeError('reshape', `expected ${x.size} elements as in ${show(x.shape)}, got ${show(shape)}`);
  }
  if (sameShape(full, x.shape)) return x;
  const value = constantValue(x);
  if (value !== null) return constant(value, full, x.dtype);
  return single('view', full, x.dtype, { inputs: [x] });
}

/** Parts of a flat buffer start at multiples of this many elements: 256 bytes, the alignment of a binding. */
export const PART = 64;

/** The offsets of parts that are placed one after the other, and the total length, in elements. */
export function layout(sizes: readonly number[]): { offsets: number[]; length: number } {
  let length = 0;
  const offsets = sizes.map((size) => {
    const offset = length;
    length += Math.ceil(size / PART) * PART;
    return offset;
  });
  return { offsets, length };
}

/**
 * Places tensors one after the other in one flat buffer, each at a multiple of 256 bytes; the gaps stay zero.
 * The plan lets their ops write there directly.
 * @param shape the shape of the result, for parts that leave no gaps. Default: that of the flat buffer
 */
export function pack(parts: readonly Tensor[], shape?: Shape): Tensor {
  const { length } = layout(parts.map((part) => part.size));
  if (
    shape &&
    (parts.slice(0, -1).some((part) => part.size % PART) ||
      sizeOf(shape) !== parts.reduce((n, part) => n + part.size, 0))
  ) {
    throwShapeError('pack', `internal: the parts leave gaps in ${show(shape)}`);
  }
  return single('pack', shape ?? [length], parts[0].dtype, { inputs: [...parts], options: { length } });
}

/** Counts how often a variable has moved to another flat buffer, so that a step can see at once that none has. */
export const homes = { changes: 0 };

/** Moves parts of a flat variable (back) to it. Their values follow on each device when the variable is next used there. */
export function settle(flat: Variable, members: Iterable<Variable> = flat.members): void {
  for (const member of members) {
    if (member.home?.flat === flat) continue;
    member.home = { flat, offset: flat.offsets.get(member)! };
    homes.changes++;
  }
}

/**
 * Puts variables into one flat variable, which optimisers update; each keeps its name and shape. Variables that are in another
 * flat variable move to this one with their values, and back when a step that was compiled with the other one runs.
 * @throws ShapeError unless they are f32
 */
export function flatten(variables: readonly Variable[], name = 'parameters'): Variable {
  const list: unknown = variables;
  checkName('flatten', name);
  if (!Array.isArray(list) || ![...list].every((v) => v instanceof Variable))
    throw new ShapeError(`flatten "${name}": expected an array of variables, got ${shown(list)}`);
  const wrong = variables.find((v) => v.dtype !== 'f32');
  if (wrong)
    throw new ShapeError(`flatten "${name}": expected f32 variables, got ${wrong.dtype} "${wrong.name}"`);
  const { offsets, length } = layout(variables.map((v) => v.size));
  const flat = new Variable(name, [Math.max(length, PART)], 'f32', 0);
  for (const [i, member] of variables.entries()) {
    flat.offsets.set(member, offsets[i]);
    flat.members.push(member);
  }
  settle(flat);
  return flat;
}

/** The initial elements of a variable. */
export function initialOf(v: Variable): TypedArray | number {
  if (v.members.length) {
    const data = new Float32Array(v.size);
    for (const member of v.members) {
      const part = initialOf(member);
      const offset = v.offsets.get(member)!;
      if (typeof part === 'number') data.fill(part, offset, offset + member.size);
      else data.set(part, offset);
    }
    return data;
  }
  const data = typeof v.initial === 'function' ? v.initial() : v.initial;
  if (typeof data === 'number') return data;
  if (!(data instanceof ARRAYS[v.dtype]))
    throw new ShapeError(`variable "${v.name}": ${mistyped(data, v.dtype)}`);
  if (data.length !== v.size)
    throw new ShapeError(
      `variable "${v.name}": expected ${v.size} elements for ${show(v.shape)}, got ${data.length}`,
    );
  return data;
}
