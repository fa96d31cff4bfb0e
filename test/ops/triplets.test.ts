import { input } from '../../src/graph/tensor.ts';
import { triplets } from '../../src/ops/triplets.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

const NONE = 0xffffffff;

/** The same by sorting, in float64: terms [M, N]. */
function dense(d: reference.Ref, labels: Uint32Array, of: Uint32Array, hard: boolean, margin: number) {
  const found = new Map(
    reference.mine(d.data, labels, of, hard, margin).map(({ positive, negative }) => [positive, negative]),
  );
  const at = (f: (k: number) => number) => Int32Array.from(d.data.keys(), f);
  const positive = reference.take(
    d,
    d.shape,
    at((k) => (found.has(k) ? k : -1)),
    -margin,
  );
  const negative = reference.take(
    d,
    d.shape,
    at((k) => found.get(k) ?? -1),
  );
  return reference.add(reference.sub(positive, negative), margin);
}

async function check(
  labels: Uint32Array,
  of: Uint32Array,
  hard: boolean,
  { margin = 0.2, values }: { margin?: number; values?: (n: number) => ArrayLike<number> } = {},
) {
  const [M, N] = [labels.length, of.length];
  await checkOp({
    inputs: {
      d: { shape: [M, N], values: values ? (_, n) => values(n) : (draw, n) => draw.uniform(n, 0, 1.5) },
      a: { shape: [M], dtype: 'u32', values: labels },
      c: { shape: [N], dtype: 'u32', values: of },
    },
    build: ({ d, a, c }) => triplets(d, [a, c], { margin, hard }),
    reference: ({ d }) => dense(d, labels, of, hard, margin),
    what: `[${M}, ${N}] ${hard ? 'hard' : 'semi-hard'}`,
  });
}

const draw = (count: number, classes: number) => random(freshSeed()).integers(count, 0, classes);
/** Labels of anchors, and those with more candidates behind them. */
const labelsOf = (M: number, N: number, classes: number) => {
  const of = draw(N, classes);
  return [of.slice(0, M), of] as const;
};

for (const hard of [false, true]) {
  const name = hard ? 'hard' : 'semi-hard';

  test(`${name}: as sorting in float64, in the batch and beside more candidates`, async () => {
    for (const [M, N, classes] of [
      [1, 1, 1],
      [2, 2, 2],
      [3, 7, 2],
      [8, 8, 3],
      [9, 65, 4],
      [17, 33, 3],
      [64, 64, 10],
      [65, 130, 5],
    ]) {
      const [labels, of] = labelsOf(M, N, classes);
      await check(labels, of, hard);
      await check(labels, of, hard, { margin: 3 });
    }
  });

  test(`${name}: of equal distances the first counts`, async () => {
    const [labels, of] = labelsOf(20, 31, 3);
    // Quarters: sums with the margin are exact.
    const values = (n: number) => draw(n, 5).map((v) => v / 4);
    for (const margin of [0.25, 1]) await check(labels, of, hard, { margin, values });
  });

  test(`${name}: one class only, all alone, and rows without a label`, async () => {
    const alone = Uint32Array.from({ length: 13 }, (_, i) => i);
    await check(new Uint32Array(13), new Uint32Array(13), hard);
    await check(alone, alone, hard);
    const [, of] = labelsOf(13, 40, 3);
    const some = of.map((l, j) => (j % 3 ? l : NONE));
    await check(some.slice(0, 13), some, hard);
    await check(
      of.slice(0, 13),
      of.map((l, j) => (j < 13 ? l : NONE)),
      hard,
    );
  });
}

test('one triplet by hand', async () => {
  const inputs = { d: input([3, 3]), l: input([3], 'u32') };
  const values = { d: [0, 0.5, 0.6, 0.5, 0, 0.4, 0.6, 0.4, 0], l: [7, 7, 9] };
  const run = (hard: boolean) =>
    evaluate(inputs, ({ d, l }) => ({ y: triplets(d, [l, l], { margin: 0.2, hard }) }), values);
  // Row 1's negative is nearer than its positive: too hard for the one, the very thing for the other.
  close((await run(false)).y, [0, 0.1, 0, 0, 0, 0, 0, 0, 0], { abs: 1e-6 });
  close((await run(true)).y, [0, 0.1, 0, 0.3, 0, 0, 0, 0, 0], { abs: 1e-6 });
});

test('what does not fit is named', () => {
  const labels = input([4], 'u32');
  const options = { margin: 0.2, hard: false };
  throws(
    () => triplets(input([5, 4]), [labels, labels], options),
    /triplets: expected distances \[M, N\], M <= N/,
  );
  for (const bad of [null, [1], 'd', -1])
    throws(
      () => triplets(bad as never, [labels, labels], options),
      /triplets: expected an f32 tensor for "distances", got /,
    );
  throws(() => triplets(input([4, 40_000]), [labels, labels], options), /N <= 32767, got \[4, 40000\]/);
  throws(
    () => triplets(input([4, 5]), [labels, labels], options),
    /expected u32 labels \[5\], got u32 \[4\]/,
  );
  throws(
    () => triplets(input([4, 4]), [input([4]), labels], options),
    /expected u32 labels \[4\], got f32 \[4\]/,
  );
});
