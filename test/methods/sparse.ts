// What sparse autoencoders share in tests: float64 references, one update beside them, and rows made of known atoms.
import * as assert from 'uvu/assert';
import { scalar, type Tensor, variable } from '../../src/graph/tensor.ts';
import { buildMethod, defaultsOf, type RowsMethod } from '../../src/methods/method.ts';
import { mmcs } from '../../src/metrics/mmcs.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable, writeVariable } from '../../src/runtime/variables.ts';
import { rowsTask } from '../../src/train/rows.ts';
import { openSession } from '../../src/train/session.ts';
import { close, device, freshSeed, random } from '../harness.ts';
import * as ref from '../reference.ts';

type Ref = ref.Ref;

/** The parameters of a sparse autoencoder: W_e [d, m], b_e [m], W_d [m, d], b [d]. */
export type Weights = [encoder: Ref, encoderBias: Ref, decoder: Ref, bias: Ref];

/** Mean over the rows of the squares of y. */
const size = (y: Ref) => ref.mean(ref.sum(ref.square(y), 1));

export const squaredError = (x: Ref, predicted: Ref): Ref => size(ref.sub(x, predicted));

export const activations = (x: Ref, [encoder, encoderBias, , bias]: Weights): Ref =>
  ref.relu(ref.add(ref.matmul(ref.sub(x, bias), encoder), encoderBias));

export const decode = (f: Ref, [, , decoder, bias]: Weights): Ref => ref.add(ref.matmul(f, decoder), bias);

/** AuxK, with the floor of the code. */
export function auxiliary(residual: Ref, revived: Ref): Ref {
  if (revived.data.every((value) => value === 0)) return ref.leaf([], [0]);
  const e = ref.stopGradient(residual);
  const variance = size(ref.sub(e, ref.mean(e, 0, { keepDims: true }))).data[0];
  return ref.div(squaredError(e, revived), variance + 1e-6 * size(e).data[0] + 1e-12);
}

export const sae = (x: Ref, predicted: Ref, revived: Ref, alpha = 1 / 32): Ref =>
  ref.add(squaredError(x, predicted), ref.mul(auxiliary(ref.sub(x, predicted), revived), alpha));

/** What the largest d / 2 latents of those that are dead say, without the bias. */
export function revivedBy(a: Ref, idle: ArrayLike<number>, rows: number, weights: Weights): Ref {
  const [, m] = a.shape;
  const width = weights[2].shape[1];
  const dead = ref.leaf(
    [m],
    Float64Array.from(idle, (n) => Number(n >= rows)),
  );
  const k = Math.min(m, Math.max(1, Math.floor(width / 2)));
  return ref.matmul(ref.keepLargest(ref.mul(a, dead), k), weights[2]);
}

export interface Case {
  N: number;
  d: number;
  m: number;
  hyperparameters: Record<string, number>;
  /** Rows since each latent fired; of 100 rows an epoch. Default: 0. */
  idle?: (j: number) => number;
  /** Default: normal. */
  x?: (i: number, d: number) => number;
  expected: (x: Ref, weights: Weights, idle: Float32Array) => Ref;
  what?: string;
}

/** Rows of an epoch in {@link checkUpdate}. */
export const EPOCH = 100;

/** Loss and gradients of random parameters beside the reference, whose decoder gradient loses its part along each row; then `after`. */
// biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
export async function checkUpdate(method: RowsMethod<any>, given: Case): Promise<void> {
  const { N, d, m, what = `${given.N} rows of ${given.d}, ${given.m} latents` } = given;
  const gpu = await device();
  const draw = random(freshSeed());
  const hyperparameters = { ...defaultsOf(method.hyperparameters), latents: m, ...given.hyperparameters };
  const recipe = buildMethod(method, {
    ...{ width: d, count: EPOCH, center: new Float32Array(d), seed: 1, hyperparameters },
  });
  const [encoder, encoderBias, decoder, bias] = recipe.parameters!;
  const idleVariable = recipe.state?.find(({ name }) => name === 'sae.idle');
  const data = variable([N, d], { name: 'rows' });
  const x = given.x
    ? Float32Array.from({ length: N * d }, (_, i) => given.x!(Math.floor(i / d), i % d))
    : draw.normal(N * d);
  const idle = Float32Array.from({ length: m }, (_, j) => given.idle?.(j) ?? 0);
  const values = new Map([
    [encoder, draw.normal(d * m)],
    [encoderBias, draw.normal(m)],
    [bias, draw.normal(d)],
    [data, x],
    ...(idleVariable ? [[idleVariable, idle] as const] : []),
  ]);
  for (const [v, numbers] of values) writeVariable(gpu, v, numbers);
  const unit = (await readVariable(gpu, decoder)) as Float32Array;
  for (let j = 0; j < m; j++)
    close([Math.hypot(...unit.subarray(j * d, (j + 1) * d))], [1], {
      rel: 1e-6,
      what: `${what}: first length`,
    });
  const step = await compile(gpu, () => {
    const { loss, gradients } = recipe.gradients!({ x: data, step: 0 });
    return { loss, ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) } as Record<string, Tensor>;
  });
  await step.run();
  const leaves = [encoder, encoderBias, decoder, bias].map((v) =>
    ref.leaf(v.shape, v === decoder ? unit : values.get(v)!),
  ) as Weights;
  const loss = given.expected(ref.leaf([N, d], x), leaves, idle);
  close(await step.read('loss'), loss.data, { rel: 2e-5, abs: 1e-6, what: `${what}: loss` });
  const wanted = ref.gradient(loss, leaves);
  for (let j = 0; j < m; j++) {
    const along = unit.subarray(j * d, (j + 1) * d).reduce((sum, w, i) => sum + w * wanted[2][j * d + i], 0);
    for (let i = 0; i < d; i++) wanted[2][j * d + i] -= along * unit[j * d + i];
  }
  const scale = Math.max(...wanted.flatMap((g) => [...g].map(Math.abs)));
  for (const [i, g] of wanted.entries())
    close(await step.read(`g${i}`), g, { rel: 1e-4, abs: 2e-6 * scale, what: `${what}: gradient ${i}` });
  step.dispose();
  freeVariables(gpu, [...values.keys(), decoder]);
}

/** Rows that are sums of k of `atoms` random unit vectors [d], with weights of 0.5 to 1.5, centred and of total variance 1. */
export function atomRows({ N, d, atoms, k, seed }: Record<'N' | 'd' | 'atoms' | 'k' | 'seed', number>) {
  const draw = random(seed);
  const truth = draw.normal(atoms * d);
  for (let a = 0; a < atoms; a++) {
    const row = truth.subarray(a * d, (a + 1) * d);
    const length = Math.hypot(...row);
    for (let i = 0; i < d; i++) row[i] /= length;
  }
  const data = new Float32Array(N * d);
  for (let n = 0; n < N; n++) {
    const chosen = new Set<number>();
    while (chosen.size < k) chosen.add(draw.integers(1, 0, atoms)[0]);
    for (const a of chosen) {
      const [weight] = draw.uniform(1, 0.5, 1.5);
      for (let i = 0; i < d; i++) data[n * d + i] += weight * truth[a * d + i];
    }
  }
  const mean = new Float64Array(d);
  for (const [i, value] of data.entries()) mean[i % d] += value / N;
  const spread = data.reduce((sum, value, i) => sum + (value - mean[i % d]) ** 2, 0) / N;
  return { truth, data: data.map((value, i) => (value - mean[i % d]) / Math.sqrt(spread)) };
}

/** Trains on rows of known atoms: how many of them were found (MMCS), and the metrics on held-out rows. */
export async function learnsAtoms(
  // biome-ignore lint/suspicious/noExplicitAny: each method knows its own hyperparameters
  method: RowsMethod<any>,
  {
    hyperparameters = {},
    steps = 1000,
    learningRate = 5e-3,
    seed = 1,
  }: { hyperparameters?: Record<string, number>; steps?: number; learningRate?: number; seed?: number } = {},
) {
  const gpu = await device();
  const [d, atoms, k, batch] = [16, 32, 3, 256];
  const { truth, data } = atomRows({ N: 6000, d, atoms, k, seed });
  const train = variable([5120, d], { name: 'rows', initial: data.slice(0, 5120 * d) });
  const validation = variable([880, d], { name: 'held-out rows', initial: data.slice(5120 * d) });
  const task = rowsTask({
    ...{ method, data: train, validation, center: new Float32Array(d), batch, learningRate, seed },
    hyperparameters: { ...defaultsOf(method.hyperparameters), latents: 2 * atoms, ...hyperparameters },
    epochs: steps / 20,
  });
  assert.is(task.steps, steps);
  const inputs = Object.fromEntries(Object.keys(task.schedules).map((name) => [name, scalar()]));
  const session = await openSession(gpu, {
    inputs: { ...inputs, learningRate: task.rate },
    build: ({ step }) => task.build(step, inputs),
    watch: () => task.watch(gpu),
    ...{ optimizers: task.optimizers, variables: task.variables, stepsInFlight: task.stepsInFlight },
  });
  for (let i = 0; i < steps; i++) {
    const values = Object.entries(task.schedules).map(([name, valueAt]) => [name, valueAt(i / steps)]);
    const rate = (learningRate / 2) * (1 + Math.cos((Math.PI * i) / steps));
    await session.advance({ ...Object.fromEntries(values), learningRate: rate });
  }
  const { metrics } = await session.look();
  session.dispose();
  const decoder = (await readVariable(gpu, task.model.parameters![2])) as Float32Array;
  const lengths = Array.from({ length: 2 * atoms }, (_, j) =>
    Math.hypot(...decoder.subarray(j * d, (j + 1) * d)),
  );
  close(
    lengths,
    lengths.map(() => 1),
    { rel: 1e-5, what: 'lengths of the decoder' },
  );
  const found = await mmcs(gpu, { data: truth, shape: [atoms, d] }, { data: decoder, shape: [2 * atoms, d] });
  freeVariables(gpu, [...task.variables, train, validation]);
  return { found, ...metrics };
}
