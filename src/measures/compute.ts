import type { Device } from '../gpu/device.ts';
import { compile } from '../graph/compile.ts';
import { constant, fail, sameShape, show, Tensor, Variable } from '../graph/tensor.ts';

/** Rows to measure, [N, D]: a variable on the GPU, or an array with its shape. */
export type Rows = Variable | { readonly data: Float32Array; readonly shape: readonly number[] };

/** Rows as a tensor of a graph. */
export function tensorOf(name: string, rows: Rows): Tensor {
  const x = rows instanceof Tensor ? rows : constant(rows.data, rows.shape);
  if (x.shape.length !== 2 || x.dtype !== 'f32')
    fail(name, `expected f32 rows [N, D], got ${x.dtype} ${show(x.shape)}`);
  return x;
}

/** Throws unless all have the shape of the first. */
export function sameShapes(name: string, ...[first, ...others]: readonly Rows[]): void {
  const other = others.find(({ shape }) => !sameShape(shape, first.shape));
  if (other) fail(name, `expected rows of one shape, got ${show(first.shape)} and ${show(other.shape)}`);
}

/** `count` of N rows, evenly spaced. */
export const spacedRows = (N: number, count: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, i) => Math.floor((i * N) / count));

/** Rows as a variable; `made` says whether it was made here, for freeing. */
export function variableOf(name: string, rows: Rows): { rows: Variable; made: boolean } {
  tensorOf(name, rows);
  if (rows instanceof Variable) return { rows, made: false };
  return { rows: new Variable(name, rows.shape, 'f32', rows.data), made: true };
}

/** Runs a graph once and reads its outputs. */
export async function compute<K extends string>(
  device: Device,
  build: () => Record<K, Tensor>,
): Promise<Record<K, Float32Array>> {
  let names: K[] = [];
  const step = await compile(
    device,
    () => {
      const outputs = build();
      names = Object.keys(outputs) as K[];
      return outputs;
    },
    { warmUp: false },
  );
  try {
    await step.run();
    const values = await Promise.all(names.map((name) => step.read(name)));
    return Object.fromEntries(names.map((name, i) => [name, values[i]])) as Record<K, Float32Array>;
  } finally {
    step.dispose();
  }
}
