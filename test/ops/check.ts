// One helper for every op: value and all gradients against the float64 reference, on fresh random inputs.

import { grad } from '../../src/graph/gradient.ts';
import { type DType, input, type Tensor } from '../../src/graph/tensor.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random } from '../harness.ts';
import type { Ref } from '../reference.ts';
import * as reference from '../reference.ts';

type Random = ReturnType<typeof random>;

/** An input: its shape alone (normal f32 values), or how to make its elements. */
export type InputSpec =
  | readonly number[]
  | {
      shape: readonly number[];
      dtype?: DType;
      /** Elements, or how to draw `count` of them. Default: normal. */
      values?: ArrayLike<number> | ((draw: Random, count: number) => ArrayLike<number>);
      /** Leaves its gradient out. Default: true for f32, false otherwise. */
      gradient?: boolean;
    };

export interface OpCheck<K extends string> {
  inputs: Record<K, InputSpec>;
  build: (t: Record<K, Tensor>) => Tensor;
  /** The same by the reference; integers are in `.data`. */
  reference: (r: Record<K, Ref>) => Ref;
  /** Allowed error, relative to the largest expected number. Default 1e-5 and 1e-6. */
  rel?: number;
  abs?: number;
  /** Whether gradients are compared too. Default true. */
  gradient?: boolean;
  what?: string;
}

const SPAN: Record<DType, (draw: Random, count: number) => ArrayLike<number>> = {
  f32: (draw, count) => draw.normal(count),
  u32: (draw, count) => draw.integers(count, 0, 1000),
  u8: (draw, count) => draw.integers(count, 0, 256),
};
const ARRAYS = { f32: Float32Array, u32: Uint32Array, u8: Uint8Array };

/**
 * Compiles an op with its gradients for a random cotangent and compares all with the reference. Runs on NaN first, so
 * that what a kernel leaves unwritten is seen.
 * @returns the dispatches of a step, and the largest error relative to the largest number, of the value and the gradients
 */
export async function checkOp<K extends string>(
  check: OpCheck<K>,
): Promise<{ dispatches: number; value: number; gradient: number }> {
  const { build, rel = 1e-5, abs = 1e-6, gradient = true, what = '' } = check;
  const draw = random(freshSeed());
  const names = Object.keys(check.inputs) as K[];
  const tensors = {} as Record<K, Tensor>;
  const refs = {} as Record<K, Ref>;
  const values: Record<string, Float32Array | Uint32Array | Uint8Array> = {};
  const poison: typeof values = {};
  const wanted: K[] = [];
  for (const name of names) {
    const given: InputSpec = check.inputs[name];
    const spec: Exclude<InputSpec, readonly number[]> =
      'shape' in given ? given : { shape: given as readonly number[] };
    const { shape, dtype = 'f32' } = spec;
    const count = reference.sizeOf(shape);
    const make = spec.values ?? SPAN[dtype];
    values[name] = ARRAYS[dtype].from(typeof make === 'function' ? make(draw, count) : make);
    poison[name] = new ARRAYS[dtype](count).fill(dtype === 'f32' ? Number.NaN : 0);
    tensors[name] = input(shape, dtype);
    refs[name] = reference.leaf(shape, values[name]);
    if (gradient && dtype === 'f32' && spec.gradient !== false) wanted.push(name);
  }
  const expected = check.reference(refs);
  const cotangent = draw.normal(expected.data.length);
  const inputs: Record<string, Tensor> = wanted.length
    ? { ...tensors, cotangent: input(expected.shape) }
    : tensors;
  const gpu = await device();
  const step = await compile(
    gpu,
    (): Record<string, Tensor> => {
      const y = build(tensors);
      if (`${y.shape}` !== `${expected.shape}`)
        throw new Error(`${what || 'output'}: expected shape [${expected.shape}], got [${y.shape}]`);
      const xs = wanted.map((name) => tensors[name]);
      const grads = wanted.length ? grad(y, xs, inputs.cotangent) : [];
      return { y, ...Object.fromEntries(wanted.map((name, i) => [`gradient of ${name}`, grads[i]])) };
    },
    { inputs },
  );
  try {
    if (wanted.length) {
      values.cotangent = cotangent;
      poison.cotangent = new Float32Array(cotangent.length).fill(Number.NaN);
    }
    await step.run(poison);
    await step.run(values);
    const found = { dispatches: step.stats.dispatches, value: 0, gradient: 0 };
    const compare = async (name: string, theirs: Float64Array) => {
      const ours = await step.read(name);
      close(ours, theirs, { rel, abs, what: `${what} ${name}`.trim() });
      const field = name === 'y' ? 'value' : 'gradient';
      found[field] = Math.max(found[field], relativeError(ours, theirs));
    };
    await compare('y', expected.data);
    const grads = reference.gradient(
      expected,
      wanted.map((name) => refs[name]),
      cotangent,
    );
    for (const [i, name] of wanted.entries()) await compare(`gradient of ${name}`, grads[i]);
    return found;
  } finally {
    step.dispose();
  }
}

/** The largest distance over the largest finite number. */
function relativeError(ours: ArrayLike<number>, theirs: ArrayLike<number>): number {
  let [distance, size] = [0, 1e-30];
  for (let i = 0; i < theirs.length; i++) {
    if (!Number.isFinite(theirs[i])) continue;
    distance = Math.max(distance, Math.abs(ours[i] - theirs[i]));
    size = Math.max(size, Math.abs(theirs[i]));
  }
  return distance / size;
}

/** Runs a graph once and reads its outputs. */
export async function evaluate<I extends Record<string, Tensor>, O extends Record<string, Tensor>>(
  inputs: I,
  step: (inputs: I) => O,
  values: { [K in keyof I]?: number | ArrayLike<number> } = {},
): Promise<{ [K in keyof O]: Float32Array } & { dispatches: number }> {
  let names: string[] = [];
  const traced = (given: I): O => {
    const outputs = step(given);
    names = Object.keys(outputs);
    return outputs;
  };
  const compiled = await compile(await device(), traced, { inputs });
  const arrays = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === 'number' ? value : ARRAYS[inputs[name].dtype].from(value as ArrayLike<number>),
    ]),
  );
  await compiled.run(arrays as never);
  const result: Record<string, unknown> = { dispatches: compiled.stats.dispatches };
  for (const name of names) result[name] = await compiled.read(name);
  compiled.dispose();
  return result as { [K in keyof O]: Float32Array } & { dispatches: number };
}
