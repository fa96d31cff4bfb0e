import { scalar } from '../../src/graph/tensor.ts';
import { permute, threefry } from '../../src/ops/random.ts';
import { tokenOrder } from '../../src/ops/token_order.ts';
import { close, freshSeed, test, throws } from '../harness.ts';
import { evaluate } from './check.ts';

const exact = { rel: 0, abs: 0 };
const order = async (samples: number, tokens: number, seed: number, at: number, stream = 0) =>
  (
    await evaluate(
      { step: scalar('u32') },
      ({ step }) => ({ y: tokenOrder({ samples, tokens, seed, step, stream }) }),
      { step: at },
    )
  ).y;
const rowsOf = (y: Float32Array, tokens: number) =>
  Array.from({ length: y.length / tokens }, (_, n) => [...y.subarray(n * tokens, (n + 1) * tokens)]);

for (const [N, T] of [
  [1, 1],
  [3, 2],
  [5, 7],
  [4, 16],
  [3, 49],
  [2, 64],
  [3, 65],
]) {
  test(`each of ${N} rows is a permutation of ${T}, the one that the CPU computes`, async () => {
    const [seed, stream] = [freshSeed(), freshSeed()];
    const y = await order(N, T, seed, 3, stream);
    for (const row of rowsOf(y, T))
      close(
        row.sort((a, b) => a - b),
        [...row.keys()],
        exact,
      );
    const key = threefry(seed, stream, 3, 0x746f6b65);
    const expected = Array.from(y, (_, i) =>
      [0, 1].reduce((at, k) => permute(at, T, threefry(...key, Math.floor(i / T), k)), i % T),
    );
    close(y, expected, exact);
  });
}

test('rows, steps, seeds and streams differ; the same arguments give the same bits', async () => {
  const seed = freshSeed();
  const [a, again, step, other, stream] = await Promise.all([
    order(4, 49, seed, 7),
    order(4, 49, seed, 7),
    order(4, 49, seed, 8),
    order(4, 49, (seed + 1) >>> 0, 7),
    order(4, 49, seed, 7, 1),
  ]);
  close(again, a, exact);
  const rows = [a, step, other, stream].flatMap((y) => rowsOf(y, 49).map(String));
  if (new Set(rows).size !== 16) throw new Error('two of 16 orders are equal');
  const fixed = await evaluate({}, () => ({ y: tokenOrder({ samples: 4, tokens: 49, seed, step: 7 }) }));
  close(fixed.y, a, exact);
});

for (const T of [2, 3, 4, 5, 6, 7, 8, 9, 16, 49]) {
  test(`each of ${T} tokens is at each place equally often, and so is each pair at two places`, async () => {
    const N = 20_000;
    const rows = rowsOf(await order(N, T, 1, 0), T);
    const at = new Float64Array(T * T);
    const pairs = new Float64Array(T * T);
    for (const row of rows) {
      for (const [place, token] of row.entries()) at[place * T + token]++;
      pairs[row[0] * T + row[1]]++;
    }
    const chi = (counts: Float64Array, expected: number) =>
      counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    // Mean and standard deviation of chi-square are its degrees of freedom f and sqrt(2 f); five of these, at a fixed seed.
    const most = (f: number) => f + 5 * Math.sqrt(2 * f);
    const found = chi(at, N / T);
    if (found > most((T - 1) ** 2)) throw new Error(`places: chi-square ${found}`);
    const off = pairs.filter((_, i) => Math.floor(i / T) !== i % T);
    const ofPairs = chi(off, N / off.length);
    if (ofPairs > most(off.length - 1)) throw new Error(`pairs: chi-square ${ofPairs}`);
  });
}

test('errors of tokenOrder', () => {
  const good = { samples: 2, tokens: 3, seed: 1, step: 0 };
  throws(() => tokenOrder({ ...good, tokens: 0 }), /tokenOrder: expected positive whole sizes, got \[2, 0\]/);
  throws(
    () => tokenOrder({ ...good, seed: -1 }),
    /tokenOrder: expected a whole number of 0 to .*"seed", got -1/,
  );
  throws(() => tokenOrder({ ...good, step: scalar() }), /tokenOrder: .*u32 scalar, for "step", got f32/);
});
