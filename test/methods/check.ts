// What every loss of two views must be: right against the reference, indifferent to what it should not see, finite.

import { grad } from '../../src/graph/gradient.ts';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random } from '../harness.ts';
import * as reference from '../reference.ts';

export type Loss = (zA: Tensor, zB: Tensor, labels: Tensor) => Tensor;
export type RefLoss = (zA: reference.Ref, zB: reference.Ref, labels: ArrayLike<number>) => reference.Ref;

export interface Views {
  zA: Float32Array;
  zB: Float32Array;
  labels?: Uint32Array;
}

export interface Found extends Views {
  loss: number;
  gA: Float32Array;
  gB: Float32Array;
}

/** Of the loss relative to itself, and of the gradients relative to the largest of them (the project's tolerances). */
const LOSS = 2e-5;
const GRADIENT = 1e-4;

export type Draw = ReturnType<typeof random>;

/** Two views of samples: what they share, and noise. */
export function drawViews(
  draw: Draw,
  N: number,
  D: number,
  noise = 0.7,
): { zA: Float32Array; zB: Float32Array } {
  const shared = draw.normal(N * D);
  const view = () => draw.normal(N * D).map((v, i) => shared[i] + noise * v);
  return { zA: view(), zB: view() };
}

/** Rows about one direction, `width` wide in each dimension, and of any lengths: a collapse that begins. */
export function cone(draw: Draw, N: number, D: number, width: number): Float32Array {
  const axis = draw.normal(D);
  const noise = draw.normal(N * D);
  const lengths = draw.uniform(N, 0.5, 2);
  return noise.map((v, i) => lengths[Math.floor(i / D)] * (axis[i % D] + width * v));
}

/**
 * How far f32 may be off in a cone so wide, relative to the largest: the unit rows themselves are rounded to 2^-24, and only what is left of
 * them beside their mean tells them apart.
 */
export const coneError = (width: number): number => 2e-6 + 4e-7 / width;

/** Compiles a loss with its gradients once, for many values. */
export async function compileLoss(loss: Loss, N: number, D: number) {
  const step = await compile(
    await device(),
    ({ zA, zB, labels }) => {
      const y = loss(zA, zB, labels);
      if (y.shape.length) throw new Error(`expected a scalar loss, got [${y.shape}]`);
      const [gA, gB] = grad(y, [zA, zB]);
      return { loss: y, gA, gB };
    },
    { inputs: { zA: input([N, D]), zB: input([N, D]), labels: input([N], 'u32') } },
  );
  return {
    run: async (views: Views): Promise<Found> => {
      const labels = views.labels ?? new Uint32Array(N);
      await step.run({ ...views, labels });
      const [[value], gA, gB] = [await step.read('loss'), await step.read('gA'), await step.read('gB')];
      return { ...views, labels, loss: value, gA, gB };
    },
    dispose: () => step.dispose(),
  };
}

const row = (x: ArrayLike<number>, i: number, D: number) => Array.from({ length: D }, (_, d) => x[i * D + d]);
const dot = (a: number[], b: number[]) => a.reduce((sum, v, d) => sum + v * b[d], 0);
const length = (a: number[]) => Math.sqrt(dot(a, a));

/** The gradient is orthogonal to each row: a longer z is no better. */
function isOrthogonal({ zA, zB, gA, gB }: Found, N: number, D: number, what: string): void {
  const of = (z: Float32Array, g: Float32Array) =>
    Array.from({ length: N }, (_, i) => [row(z, i, D), row(g, i, D)] as const);
  const pairs = [...of(zA, gA), ...of(zB, gB)];
  const largest = Math.max(...pairs.map(([z, g]) => length(z) * length(g)), 0.1);
  for (const [i, [z, g]] of pairs.entries()) {
    const part = Math.abs(dot(z, g)) / largest;
    if (!(part < 1e-5)) throw new Error(`${what}: gradient of row ${i} has ${part} of the largest along z`);
  }
}

/**
 * The value and both gradients against the reference.
 * @param floor errors of gradients that are let through: where a loss has all but vanished, f32 has nothing to go by
 */
export function agrees(
  found: Found,
  expected: RefLoss,
  N: number,
  D: number,
  what: string,
  floor = 1e-6,
): void {
  const { zA, zB, labels } = found;
  const leaves = [reference.leaf([N, D], zA), reference.leaf([N, D], zB)];
  const y = expected(leaves[0], leaves[1], labels!);
  close([found.loss], y.data, { rel: LOSS, abs: 1e-6, what: `${what}: loss` });
  const [gA, gB] = reference.gradient(y, leaves);
  // Both views at once: an asymmetric loss may hardly move one of them.
  close([...found.gA, ...found.gB], [...gA, ...gB], { rel: GRADIENT, abs: floor, what: `${what}: gradient` });
}

/** Views and labels, drawn until they suit: where the loss chooses, rounding is to have no say. */
type Suits = (views: Required<Views>, D: number) => boolean;
const always: Suits = () => true;

function drawSuited(draw: Draw, N: number, D: number, classes: number, suits: Suits, noise = 0.7) {
  for (;;) {
    const views = { ...drawViews(draw, N, D, noise), labels: draw.integers(N, 0, classes) };
    if (suits(views, D)) return views;
  }
}

/** Value and gradients at sizes around tiles. `normalizes`: the loss is of directions only. */
export async function checkAgainst(
  loss: Loss,
  expected: RefLoss,
  {
    what = '',
    sizes = SIZES,
    classes = 3,
    noise = 0.7,
    floor = 1e-6,
    normalizes = true,
    suits = always,
  } = {},
): Promise<void> {
  for (const [N, D] of sizes) {
    const draw = random(freshSeed());
    const compiled = await compileLoss(loss, N, D);
    const found = await compiled.run(drawSuited(draw, N, D, classes, suits, noise));
    compiled.dispose();
    agrees(found, expected, N, D, `${what} [${N}, ${D}]`.trim(), floor);
    if (D > 1 && normalizes) isOrthogonal(found, N, D, what);
  }
}

const SIZES = [
  [2, 2],
  [3, 5],
  [8, 4],
  [17, 33],
  [65, 16],
  [100, 64],
];

/** A random rotation (or reflection) of D dimensions: rows of an orthogonal matrix. */
function rotation(draw: Draw, D: number): number[][] {
  const basis: number[][] = [];
  while (basis.length < D) {
    let v = [...draw.normal(D)];
    for (let pass = 0; pass < 2; pass++)
      for (const b of basis) {
        const along = dot(v, b);
        v = v.map((x, d) => x - along * b[d]);
      }
    const size = length(v);
    basis.push(v.map((x) => x / size));
  }
  return basis;
}

/** Rows in another order. */
const shuffled = (draw: Draw, N: number): number[] => {
  const keys = draw.uniform(N);
  return [...keys.keys()].sort((i, j) => keys[i] - keys[j]);
};

/**
 * Permuting the batch, rotating the space, scaling rows: the loss stays, the gradients go along.
 * @param paired whether row i of view B belongs to row i of view A; else it stays where it is
 */
export async function checkInvariants(
  loss: Loss,
  { N = 33, D = 12, rotates = true, normalizes = true, paired = true, suits = always } = {},
): Promise<void> {
  const draw = random(freshSeed());
  const compiled = await compileLoss(loss, N, D);
  const views = drawSuited(draw, N, D, 4, suits);
  const base = await compiled.run(views);
  const check = (what: string, found: Found, expected: { gA: ArrayLike<number>; gB: ArrayLike<number> }) => {
    close([found.loss], [base.loss], { rel: 5e-6, what: `${what}: loss` });
    close([...found.gA, ...Array.from(found.gB)], [...Array.from(expected.gA), ...Array.from(expected.gB)], {
      rel: 2e-5,
      abs: 1e-9,
      what: `${what}: gradient`,
    });
  };
  const mapRows = (x: Float32Array, f: (v: number[], i: number) => number[], order = [...Array(N).keys()]) =>
    Float32Array.from(order.flatMap((j, i) => f(row(x, j, D), i)));

  const order = shuffled(draw, N);
  const moved = (x: Float32Array) => mapRows(x, (v) => v, order);
  const movedB = (x: Float32Array) => (paired ? moved(x) : x);
  const permuted = await compiled.run({
    zA: moved(views.zA),
    zB: movedB(views.zB),
    labels: Uint32Array.from(order, (i) => views.labels[i]),
  });
  check('permutation', permuted, { gA: moved(base.gA), gB: movedB(base.gB) });

  if (rotates) {
    const Q = rotation(draw, D);
    const turn = (v: number[]) => Q.map((q) => dot(q, v));
    const turned = await compiled.run({ ...views, zA: mapRows(views.zA, turn), zB: mapRows(views.zB, turn) });
    check('rotation', turned, { gA: mapRows(base.gA, turn), gB: mapRows(base.gB, turn) });
  }

  if (!normalizes) return compiled.dispose();
  const factors = draw.uniform(N, 0.3, 3);
  const scaled = await compiled.run({
    ...views,
    zA: mapRows(views.zA, (v, i) => v.map((x) => x * factors[i])),
  });
  check('scale of rows', scaled, {
    gA: mapRows(base.gA, (v, i) => v.map((x) => x / factors[i])),
    gB: base.gB,
  });
  isOrthogonal(base, N, D, 'as drawn');
  compiled.dispose();
}

/** The loss is another one in a rotated space, by more than a hundredth. */
export async function changesWhenRotated(loss: Loss, views: Views, N: number, D: number): Promise<void> {
  const compiled = await compileLoss(loss, N, D);
  const Q = rotation(random(freshSeed()), D);
  const turn = (x: Float32Array) =>
    Float32Array.from({ length: N * D }, (_, i) => dot(Q[i % D], row(x, Math.floor(i / D), D)));
  const still = await compiled.run(views);
  const turned = await compiled.run({ ...views, zA: turn(views.zA), zB: turn(views.zB) });
  compiled.dispose();
  if (!(Math.abs(turned.loss - still.loss) > 0.01 * Math.abs(still.loss)))
    throw new Error(`expected another loss in a rotated space, got ${turned.loss} for ${still.loss}`);
}

/** Value and gradient are finite on what batches may degenerate to. */
export async function checkEdges(
  loss: Loss,
  expected: RefLoss,
  { collapsed, floor }: { collapsed?: number; floor?: number } = {},
): Promise<void> {
  const [N, D] = [9, 8];
  const draw = random(freshSeed());
  const compiled = await compileLoss(loss, N, D);
  const finite = (found: Found, what: string) => {
    for (const [name, values] of Object.entries({ loss: [found.loss], gA: found.gA, gB: found.gB }))
      if (!Array.from(values).every(Number.isFinite))
        throw new Error(`${what}: ${name} is not finite: ${values}`);
  };

  const one = draw.normal(D);
  const rows = Float32Array.from({ length: N * D }, (_, i) => one[i % D]);
  const identical = await compiled.run({ zA: rows, zB: rows });
  finite(identical, 'identical rows');
  const leaf = reference.leaf([N, D], rows);
  const wanted = collapsed ?? expected(leaf, leaf, new Uint32Array(N)).data[0];
  close([identical.loss], [wanted], { rel: LOSS, abs: 2e-6, what: 'identical rows' });
  // All pulls cancel; what is left is rounding.
  close(identical.gA, new Float32Array(N * D), { abs: 1e-4, what: 'identical rows: gradient' });

  const zeros = new Float32Array(N * D);
  finite(await compiled.run({ zA: zeros, zB: zeros }), 'zero rows');

  const some = drawViews(draw, N, D);
  some.zA.fill(0, 3 * D, 4 * D);
  const withZero = await compiled.run(some);
  finite(withZero, 'a zero row');
  const leaves = [reference.leaf([N, D], some.zA), reference.leaf([N, D], some.zB)];
  const y = expected(leaves[0], leaves[1], new Uint32Array(N));
  close([withZero.loss], y.data, { rel: LOSS, what: 'a zero row' });
  // A row without a direction has no gradient, and the reference a huge one: the others by themselves.
  const [gA, gB] = reference.gradient(y, leaves);
  for (const g of [withZero.gA, gA]) g.fill(0, 3 * D, 4 * D);
  close([...withZero.gA, ...withZero.gB], [...gA, ...gB], {
    rel: GRADIENT,
    abs: 1e-6,
    what: 'beside a zero row: gradient',
  });

  const opposite = await compiled.run({ zA: some.zB, zB: some.zB.map((v) => -v) });
  finite(opposite, 'opposite views');
  const tiny = await compiled.run({ zA: some.zB.map((v) => v * 1e-9), zB: some.zB.map((v) => v * 1e9) });
  finite(tiny, 'very short and very long rows');
  compiled.dispose();

  const two = await compileLoss(loss, 2, D);
  const found = await two.run(drawViews(draw, 2, D));
  finite(found, 'N = 2');
  agrees(found, expected, 2, D, 'N = 2', floor);
  two.dispose();
}

/** Values of a tensor. */
export interface Values {
  shape: readonly number[];
  data: Float32Array;
}

/** A loss of so many tensors as there are values. */
type OfTensors<T> = (...x: never[]) => T;

/** Compiles a loss of any tensors with its gradients by all of them, and runs it once. */
export async function evaluate(loss: OfTensors<Tensor>, values: readonly Values[]) {
  const inputs = Object.fromEntries(values.map(({ shape }, i) => [`x${i}`, input([...shape])]));
  const step = await compile(
    await device(),
    (x) => {
      const all = values.map((_, i) => x[`x${i}`]);
      const y = loss(...(all as never[]));
      const gradients = grad(y, all).map((g, i) => [`d${i}`, g]);
      return { loss: y, ...Object.fromEntries(gradients) } as Record<string, Tensor>;
    },
    { inputs },
  );
  await step.run(Object.fromEntries(values.map(({ data }, i) => [`x${i}`, data])));
  const [value] = await step.read('loss');
  const gradients: Float32Array[] = [];
  for (const i of values.keys()) gradients.push(await step.read(`d${i}`));
  step.dispose();
  return { value, gradients, finite: [value, ...gradients.flatMap((g) => [...g])].every(Number.isFinite) };
}

/** The value and the gradients by all tensors against the reference; from `constants` on they must be 0. */
export async function checkTensors(
  loss: OfTensors<Tensor>,
  expected: OfTensors<reference.Ref>,
  values: readonly Values[],
  { what = '', constants = values.length, rel = LOSS } = {},
): Promise<void> {
  const { value, gradients } = await evaluate(loss, values);
  const leaves = values.map(({ shape, data }) => reference.leaf(shape, data));
  const y = expected(...(leaves as never[]));
  close([value], y.data, { rel, abs: 1e-6, what: `${what}: loss` });
  const trained = gradients.slice(0, constants).flatMap((g) => [...g]);
  const wanted = reference.gradient(y, leaves.slice(0, constants)).flatMap((g) => [...g]);
  close(trained, wanted, { rel: GRADIENT, abs: 1e-6, what: `${what}: gradients` });
  for (const [i, g] of gradients.entries())
    if (i >= constants && g.some((v) => v !== 0))
      throw new Error(`${what}: a gradient flows into input ${i}`);
}

/**
 * A loss of any tensors stays, and its gradients go along, when the rows of the tensors of a group are put in another order (all in
 * the same), and when the space of the tensors `turned` is rotated.
 * @param directions tensors whose rows the loss takes the directions of: their gradients are orthogonal to them
 */
export async function checkSymmetries(
  loss: OfTensors<Tensor>,
  values: readonly Values[],
  { groups, turned = [], directions = [] }: { groups: number[][]; turned?: number[]; directions?: number[] },
): Promise<void> {
  const draw = random(freshSeed());
  const base = await evaluate(loss, values);
  const check = async (what: string, which: number[], change: (x: Float32Array) => Float32Array) => {
    const changed = values.map(({ shape, data }, i) => ({
      shape,
      data: which.includes(i) ? change(data) : data,
    }));
    const found = await evaluate(loss, changed);
    close([found.value], [base.value], { rel: 5e-6, what: `${what} of ${which}: loss` });
    const wanted = base.gradients.flatMap((g, i) => [...(which.includes(i) ? change(g) : g)]);
    const gradients = found.gradients.flatMap((g) => [...g]);
    close(gradients, wanted, { rel: 2e-5, abs: 1e-9, what: `${what} of ${which}: gradients` });
  };
  for (const group of groups) {
    const [N] = values[group[0]].shape;
    const order = shuffled(draw, N);
    await check('permutation', group, (x) =>
      x.map((_, i) => {
        const D = x.length / N;
        return x[order[Math.floor(i / D)] * D + (i % D)];
      }),
    );
  }
  if (turned.length) {
    const D = values[turned[0]].shape[1];
    const Q = rotation(draw, D);
    await check('rotation', turned, (x) => x.map((_, i) => dot(Q[i % D], row(x, Math.floor(i / D), D))));
  }
  for (const at of directions) {
    const {
      shape: [N, D],
      data,
    } = values[at];
    const g = base.gradients[at];
    const found = { loss: base.value, zA: data, zB: data, gA: g, gB: g };
    isOrthogonal(found, N, D, `tensor ${at}`);
  }
}

/** Random unit rows [N, D]. */
export function unitRows(draw: Draw, N: number, D: number): Float32Array {
  const x = draw.normal(N * D);
  return x.map((v, i) => v / length(row(x, Math.floor(i / D), D)));
}
