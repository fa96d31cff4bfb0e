import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { input } from '../../src/graph/tensor.ts';
import { minedPairs } from '../../src/ops/mined_pairs.ts';
import { sum } from '../../src/ops/reduce.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

const NONE = 0xffffffff;
/** Epsilon and cosines are multiples of 1 / 1024, so that f32 and f64 mine the same pairs. */
const KNOBS = { ...reference.MULTI_SIMILARITY, epsilon: 102 / 1024 };
const cosines = (n: number) =>
  Float32Array.from(random(freshSeed()).integers(n, 0, 2049), (v) => (v - 1024) / 1024);

type Options = Partial<typeof KNOBS> & { values?: (n: number) => ArrayLike<number> };

async function check(labels: Uint32Array, of: Uint32Array, { values = cosines, ...knobs }: Options = {}) {
  const [M, N] = [labels.length, of.length];
  const options = { ...KNOBS, ...knobs };
  await checkOp({
    inputs: {
      s: { shape: [M, N], values: (_, n) => values(n) },
      a: { shape: [M], dtype: 'u32', values: labels },
      c: { shape: [N], dtype: 'u32', values: of },
    },
    build: ({ s, a, c }) => minedPairs(s, [a, c], options),
    reference: ({ s }) => reference.minedPairs(s, labels, of, options),
    what: `[${M}, ${N}] ${JSON.stringify(knobs)}`,
  });
}

const draw = (count: number, classes: number) => random(freshSeed()).integers(count, 0, classes);
/** Labels of anchors, and those with more candidates behind them. */
const labelsOf = (M: number, N: number, classes: number) => {
  const of = draw(N, classes);
  return [of.slice(0, M), of] as const;
};

test('as the dense sums in float64, in the batch and beside more candidates', async () => {
  for (const [M, N, classes] of [
    [1, 1, 1],
    [2, 2, 2],
    [3, 7, 2],
    [8, 8, 3],
    [9, 65, 4],
    [17, 33, 3],
    [63, 63, 5],
    [64, 64, 10],
    [65, 130, 5],
  ]) {
    const [labels, of] = labelsOf(M, N, classes);
    for (const knobs of [{}, { alpha: 7, beta: 3, lambda: 1 }, { epsilon: 0 }, { epsilon: 4, lambda: -0.5 }])
      await check(labels, of, knobs);
  }
});

test('similarities near 1: a collapsed batch', async () => {
  const [labels, of] = labelsOf(20, 31, 3);
  const values = (n: number) => Float32Array.from(draw(n, 5), (v) => 1 - v / 1024);
  await check(labels, of, { values });
  await check(labels, of, { values: (n) => new Float32Array(n).fill(1) });
});

test('steep slopes, whose exponentials leave f32', async () => {
  const [labels, of] = labelsOf(20, 31, 3);
  await check(labels, of, { alpha: 300, beta: 300, lambda: 0 });
});

test('one class only, all alone, and rows without a label', async () => {
  const alone = Uint32Array.from({ length: 13 }, (_, i) => i);
  await check(new Uint32Array(13), new Uint32Array(13));
  await check(alone, alone);
  const [, of] = labelsOf(13, 40, 3);
  const some = of.map((l, j) => (j % 3 ? l : NONE));
  await check(some.slice(0, 13), some);
  await check(
    of.slice(0, 13),
    of.map((l, j) => (j < 13 ? l : NONE)),
  );
});

test('a batch of which no pair is mined: loss and gradient are exactly 0', async () => {
  // Positives at 0.9, negatives at 0: too far apart for an epsilon of 0.1.
  const labels = Uint32Array.from({ length: 10 }, (_, i) => i % 2);
  const values = Float32Array.from({ length: 100 }, (_, k) =>
    Math.floor(k / 10) % 2 === (k % 10) % 2 ? 0.9 : 0,
  );
  const found = await gradientOf(values, labels, KNOBS.epsilon);
  assert.ok([...found.loss, ...found.gradient].every((v) => v === 0));
  // With an epsilon of 1 all are.
  const all = await gradientOf(values, labels, 1);
  assert.ok([...all.loss, ...all.gradient.filter((_, k) => k % 11)].every((v) => v !== 0));
});

/** The losses of the anchors, and the gradient of their sum. */
const gradientOf = (values: Float32Array, labels: Uint32Array, epsilon: number) =>
  evaluate(
    { s: input([labels.length, labels.length]), l: input([labels.length], 'u32') },
    ({ s, l }) => {
      const loss = minedPairs(s, [l, l], { ...KNOBS, epsilon });
      return { loss, gradient: grad(sum(loss), [s])[0] };
    },
    { s: values, l: labels },
  );

test('one anchor by hand', async () => {
  const inputs = { s: input([3, 3]), l: input([3], 'u32') };
  const values = { s: [1, 0.5, 0.45, 0.5, 1, 0.1, 0.45, 0.1, 1], l: [7, 7, 9] };
  const { y } = await evaluate(inputs, ({ s, l }) => ({ y: minedPairs(s, [l, l], KNOBS) }), values);
  // Row 0 mines both of its pairs. Row 1's negative is too far for either; row 2 has no positive.
  const first = Math.log(2) / 2 + Math.log1p(Math.exp(50 * (0.45 - 0.5))) / 50;
  close(y, [first, 0, 0], { rel: 1e-6 });
});

test('what does not fit is named', () => {
  const labels = input([4], 'u32');
  throws(
    () => minedPairs(input([5, 4]), [labels, labels], KNOBS),
    /minedPairs: expected similarities \[M, N\], M <= N/,
  );
  for (const bad of [null, [1], 's', -1])
    throws(
      () => minedPairs(bad as never, [labels, labels], KNOBS),
      /minedPairs: expected an f32 tensor of 2 dimensions for "similarities", got /,
    );
  throws(() => minedPairs(input([4, 40_000]), [labels, labels], KNOBS), /N <= 32766, got \[4, 40000\]/);
  throws(
    () => minedPairs(input([4, 5]), [labels, labels], KNOBS),
    /expected u32 labels \[5\], got u32 \[4\]/,
  );
  throws(
    () => minedPairs(input([4, 4]), [input([4]), labels], KNOBS),
    /expected u32 labels \[4\], got f32 \[4\]/,
  );
  for (const [name, value] of Object.entries({ alpha: 0, beta: -1, lambda: Number.NaN, epsilon: -0.1 }))
    throws(
      () => minedPairs(input([4, 4]), [labels, labels], { ...KNOBS, [name]: value }),
      new RegExp(`minedPairs: .*"${name}", got `),
    );
});
