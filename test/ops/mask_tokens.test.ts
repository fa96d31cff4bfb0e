import * as assert from 'uvu/assert';
import { input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { type MaskTokensOptions, maskTokens } from '../../src/ops/mask_tokens.ts';
import { permute, threefry, unit } from '../../src/ops/random.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from './check.ts';

const exact = { rel: 0, abs: 0 };
const NONE = 0xffffffff;
type Options = { [K in keyof MaskTokensOptions]: Exclude<MaskTokensOptions[K], Tensor> };

const masked = (ids: Uint32Array, T: number, { step, ...options }: Options) =>
  evaluate(
    { ids: input([ids.length / T, T], 'u32'), step: scalar('u32') },
    (t) => maskTokens(t.ids, { ...options, step: t.step }),
    { ids, step },
  );

/** The same, by the description of the op. */
function expected(ids: Uint32Array, T: number, options: Options) {
  const { vocabulary, mask, seed, step, stream = 0, rate = 0.15, masked = 0.8, random = 0.1 } = options;
  const special = [...new Set(options.special)].sort((a, b) => a - b);
  const K = Math.max(1, Math.ceil(rate * T));
  const key = threefry(seed, stream, step, 0x6d61736b);
  const hidden = ids.slice();
  const ordinary = Array.from({ length: vocabulary }, (_, id) => id).filter((id) => !special.includes(id));
  const rows = Array.from({ length: ids.length / T }, (_, n) => {
    const row = [...ids.subarray(n * T, (n + 1) * T)];
    const free = row.flatMap((id, t) => (id < vocabulary && !special.includes(id) ? [t] : []));
    const m = free.length;
    const wanted = Math.floor(rate * m + unit(threefry(...key, n, 0)[0]));
    return Array.from({ length: K }, (_, k) => {
      if (k >= Math.min(wanted, m)) return T;
      const place = free[[1, 2].reduce((at, c) => permute(at, m, threefry(...key, n, c)), k)];
      const at = n * T + place;
      const [a, b] = threefry(...key, at, 3);
      if (unit(a) < Math.fround(masked)) hidden[at] = mask;
      else if (unit(a) < Math.fround(Math.fround(masked) + Math.fround(random)))
        hidden[at] = ordinary[Math.floor(Math.fround(unit(b) * ordinary.length))];
      return place;
    });
  });
  const labels = rows.flatMap((row, n) => row.map((t) => (t < T ? ids[n * T + t] : NONE)));
  return { hidden, places: rows.flat(), labels };
}

/** Texts of random lengths with padding (id 0) at their ends; the first is nothing but padding. */
function someTexts(N: number, T: number, vocabulary: number): Uint32Array {
  const draw = random(freshSeed());
  const ids = Uint32Array.from(draw.integers(N * T, 0, vocabulary));
  for (let n = 0; n < N; n++) ids.fill(0, n * T + (n ? draw.integers(1, 0, T + 1)[0] : 0), (n + 1) * T);
  return ids;
}

for (const [N, T, vocabulary, special] of [
  [1, 1, 2, [0]],
  [2, 3, 9, [0, 4, 8]],
  [9, 7, 30, [29, 0, 3, 4, 3]],
  [5, 8, 300, [0, 10, 20, 30, 40, 50, 60, 299]],
  [3, 65, 4000, [0, 3996, 3997, 3998, 3999]],
  [33, 32, 70_000, []],
] as const)
  test(`${N} texts of ${T} tokens of ${vocabulary}, ${special.length} special: what the CPU computes`, async () => {
    const ids = someTexts(N, T, vocabulary);
    ids[ids.length - 1] = vocabulary + 5;
    // Numbers of f32 and float64 alike: elsewhere a number of tokens may be rounded the other way.
    for (const rate of [0, 0.25, 0.5, 1])
      for (const [hide, swap] of [
        [0.75, 0.125],
        [0, 1],
      ]) {
        const options = {
          ...{ vocabulary, special, mask: vocabulary - 1, seed: freshSeed(), step: freshSeed() },
          ...{ stream: freshSeed(), rate, masked: hide, random: swap },
        };
        const [found, wanted] = [await masked(ids, T, options), expected(ids, T, options)];
        for (const name of ['places', 'labels', 'hidden'] as const)
          close(found[name], wanted[name], { ...exact, what: `rate ${rate}: ${name}` });
      }
  });

test('shares at the defaults: 15 % of the tokens that are not special, of these 80 % masked and 10 % random', async () => {
  const [N, T, vocabulary, special, mask] = [4000, 24, 50, [0, 47, 48, 49], 48];
  const ids = someTexts(N, T, vocabulary);
  const options = { vocabulary, special, mask, seed: 3, step: 9 };
  const { places, labels, hidden } = await masked(ids, T, options);
  const K = places.length / N;
  assert.is(K, 4);
  const byPlace = new Float64Array(T);
  const random = new Float64Array(vocabulary);
  let [all, chosen, same, asMask] = [0, 0, 0, 0];
  const changed = new Set<number>();
  for (let n = 0; n < N; n++) {
    const row = [...ids.subarray(n * T, (n + 1) * T)];
    const free = row.filter((id) => !special.includes(id)).length;
    const own = [...places.subarray(n * K, (n + 1) * K)].filter((t) => t < T);
    all += free;
    chosen += own.length;
    assert.is(new Set(own).size, own.length, 'a token is chosen twice');
    assert.ok(Math.abs(own.length - 0.15 * free) < 1, `${own.length} of ${free} tokens`);
    for (const [k, t] of own.entries()) {
      const [was, is] = [ids[n * T + t], hidden[n * T + t]];
      assert.not(special.includes(was), 'a special token is chosen');
      assert.is(labels[n * K + k], was);
      changed.add(n * T + t);
      byPlace[t]++;
      same += Number(is === was);
      asMask += Number(is === mask);
      if (is !== was && is !== mask) random[is]++;
    }
  }
  for (const [i, id] of ids.entries()) if (!changed.has(i)) assert.is(hidden[i], id);
  // Five standard deviations, at a fixed seed; 1/46 of the random tokens is the one that was there.
  const near = (found: number, share: number, of: number) =>
    assert.ok(
      Math.abs(found / of - share) < 5 * Math.sqrt((share * (1 - share)) / of),
      `${found} of ${of}, not ${share}`,
    );
  near(chosen, 0.15, all);
  near(asMask, 0.8, chosen);
  near(same, 0.1 + 0.1 / 46, chosen);
  for (const id of special) assert.is(random[id], 0, 'a special token is put in');
  const others = random.filter((_, id) => !special.includes(id));
  const each = others.reduce((a, b) => a + b) / others.length;
  const chi = others.reduce((sum, n) => sum + (n - each) ** 2 / each, 0);
  assert.ok(chi < 45 + 5 * Math.sqrt(90), `random tokens: chi-square ${chi}`);
  const free = Array.from({ length: T }, (_, t) => {
    let count = 0;
    for (let n = 0; n < N; n++) count += Number(!special.includes(ids[n * T + t]));
    return count;
  });
  for (const [t, n] of byPlace.entries()) near(n, 0.15, free[t]);
});

test('steps, seeds and streams differ; the same arguments give the same bits', async () => {
  const ids = someTexts(8, 24, 50).fill(7);
  const options = { vocabulary: 50, special: [0], mask: 49, seed: freshSeed(), step: 1 };
  const { hidden } = await masked(ids, 24, options);
  close((await masked(ids, 24, options)).hidden, hidden, exact);
  const other = [{ step: 2 }, { seed: (options.seed + 1) >>> 0 }, { stream: 1 }];
  const all = await Promise.all(other.map((changed) => masked(ids, 24, { ...options, ...changed })));
  assert.is(new Set([hidden, ...all.map((each) => each.hidden)].map(String)).size, 4);
});

test('errors', () => {
  const ids = input([2, 3], 'u32');
  const good = { vocabulary: 9, special: [0], mask: 1, seed: 1, step: 1 };
  throws(() => maskTokens(input([2, 3]), good), /maskTokens: .*u32.*"ids"/);
  throws(() => maskTokens(input([3], 'u32'), good), /maskTokens: .*2 dimensions.*"ids"/);
  throws(() => maskTokens(ids, { ...good, mask: 9 }), /maskTokens.*0 to 8.*"mask", got 9/);
  throws(() => maskTokens(ids, { ...good, special: [9] }), /maskTokens.*0 to 8.*"special", got 9/);
  throws(
    () => maskTokens(ids, { ...good, special: Array(9).fill(0) }),
    /maskTokens.*at most 8 ids for "special"/,
  );
  throws(
    () => maskTokens(ids, { ...good, vocabulary: 2, special: [0, 1, 1] }),
    /maskTokens.*a token that is not special, got 2 special ones of 2/,
  );
  throws(() => maskTokens(ids, { ...good, rate: 1.5 }), /maskTokens.*0 to 1.*"rate", got 1.5/);
  throws(() => maskTokens(ids, { ...good, masked: -1 }), /maskTokens.*"masked", got -1/);
  throws(() => maskTokens(ids, { ...good, seed: -1 }), /maskTokens.*"seed", got -1/);
});
