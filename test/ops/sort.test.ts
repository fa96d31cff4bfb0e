import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { mul } from '../../src/ops/binary.ts';
import { sum } from '../../src/ops/reduce.ts';
import { sort } from '../../src/ops/sort.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

type Draw = ReturnType<typeof random>;
const exact = { rel: 0, abs: 0 };
const normal = (draw: Draw, count: number): Float32Array => draw.normal(count);
/** Whole numbers: nearly all are equal to others. */
const few = (draw: Draw, count: number) => Float32Array.from(draw.integers(count, 0, 5), (v) => v - 2);
const SPECIAL = [NaN, Infinity, -Infinity, 0, -0, 1e-45, -1e-45, 3.4028234e38, -3.4028234e38, 1.5, -1.5];
const special = (draw: Draw, count: number) =>
  Float32Array.from(draw.integers(count, 0, SPECIAL.length), (i) => SPECIAL[i]);

/** The sorted bits and the indices of numbers, against those in float64. */
async function checkIndices(shape: number[], axis: number, data: Float32Array, what: string): Promise<void> {
  const found = await evaluate({ x: input(shape) }, ({ x }) => ({ ...sort(x, { axis }) }), { x: data });
  const leaf = reference.leaf(shape, data);
  close(found.indices, reference.sortIndices(leaf, axis), { ...exact, what: `${what}: indices` });
  const expected = Float32Array.from(reference.sort(leaf, axis).data);
  for (const [i, v] of found.values.entries())
    if (!Object.is(v, expected[i])) throw new Error(`${what}: [${i}] is ${v}, expected ${expected[i]}`);
}

for (const n of [1, 2, 7, 63, 64, 65, 255, 256, 257, 1000]) {
  test(`${n} numbers along each axis: values, indices and gradient`, async () => {
    for (const [shape, axis] of [
      [[n], 0],
      [[5, n], 1],
      [[n, 9], 0],
      [[2, n, 3], 1],
    ] as const) {
      const what = `[${shape}] along ${axis}`;
      await checkOp({
        what,
        inputs: { x: shape },
        build: ({ x }) => sort(x, { axis }).values,
        reference: ({ x }) => reference.sort(x, axis),
        ...exact,
      });
      const draw = random(freshSeed());
      for (const make of [normal, few, special])
        await checkIndices([...shape], axis, make(draw, reference.sizeOf(shape)), `${make.name} ${what}`);
    }
  });
}

for (const [shape, axis] of [
  [[65_536], 0],
  [[70_001], 0],
  [[3, 5000], 1],
  [[1025, 7], 0],
  [[256, 4096], 0],
] as const) {
  test(`[${shape}] along ${axis}, in several passes or of many columns: values, indices and gradient`, async () => {
    await checkOp({
      inputs: { x: shape },
      build: ({ x }) => sort(x, { axis }).values,
      reference: ({ x }) => reference.sort(x, axis),
      ...exact,
    });
    await checkIndices([...shape], axis, few(random(freshSeed()), reference.sizeOf(shape)), 'ties');
  });
}

test('sorted, reversed and equal numbers; the last axis is the default', async () => {
  const n = 700;
  const rows = [(i: number) => i, (i: number) => -i, () => 3, () => NaN];
  const data = Float32Array.from({ length: 4 * n }, (_, i) => rows[Math.floor(i / n)](i % n));
  await checkIndices([4, n], 1, data, 'rows');
  const { values } = await evaluate({ x: input([4, n]) }, ({ x }) => ({ values: sort(x).values }), {
    x: data,
  });
  close(values, reference.sort(reference.leaf([4, n], data), 1).data, exact);
});

test('the gradient of numbers beside NaN and infinities goes back to where they were', async () => {
  const x = Float32Array.of(NaN, 2, Infinity, -1, 2, -Infinity, NaN);
  const dy = Float32Array.of(1, 2, 3, 4, 5, 6, 7);
  const { dx } = await evaluate(
    { x: input([7]), dy: input([7]) },
    ({ x, dy }) => ({ dx: grad(sort(x).values, [x], dy)[0] }),
    { x, dy },
  );
  close(dx, [6, 3, 5, 2, 4, 1, 7], exact);
});

for (const n of [9, 600]) {
  test(`a second derivative of ${n} numbers: the gradient's gradient is gathered`, async () => {
    const draw = random(freshSeed());
    const [x, w, v] = [draw.normal(n * 3), draw.normal(n * 3), draw.normal(n * 3)];
    const inputs = { x: input([n, 3]), w: input([n, 3]), v: input([n, 3]) };
    const of = ({ x, w, v }: Record<string, Tensor>) => {
      const y = sort(x, { axis: 0 }).values;
      const [dx] = grad(sum(mul(mul(y, y), w)), [x]);
      // dx = 2 x w[rank of x]: with v it is linear in x and in w.
      return { dv: grad(sum(mul(dx, v)), [x])[0], dw: grad(sum(mul(dx, v)), [w])[0] };
    };
    const { dv, dw } = await evaluate(inputs, of, { x, w, v });
    const from = reference.sortIndices(reference.leaf([n, 3], x), 0);
    const [wantedX, wantedW] = [new Float64Array(n * 3), new Float64Array(n * 3)];
    for (let i = 0; i < n * 3; i++) {
      const at = from[i] * 3 + (i % 3);
      wantedX[at] = 2 * w[i] * v[at];
      wantedW[i] = 2 * x[at] * v[at];
    }
    close(dv, wantedX, { rel: 1e-6 });
    close(dw, wantedW, { rel: 1e-6 });
  });
}

test('one dispatch up to 256 numbers, and one more for each doubling', async () => {
  const dispatches = async (n: number) =>
    (await evaluate({ x: input([n]) }, ({ x }) => ({ ...sort(x) }), { x: new Float32Array(n) })).dispatches;
  assert.equal(await Promise.all([1, 256, 257, 512, 513, 65_536].map(dispatches)), [1, 1, 2, 2, 3, 9]);
});

test('errors', () => {
  throws(() => sort(input([2, 3], 'u32')), /sort: expected .*f32.*"x"/);
  throws(() => sort(input([2, 3]), { axis: 2 }), /sort: expected different axes of a tensor of rank 2, got/);
  throws(() => sort(input([])), /sort: expected different axes of a tensor of rank 0/);
});
