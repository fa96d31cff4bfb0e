import * as assert from 'uvu/assert';
import { input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import { threefry, unit } from '../../src/ops/random.ts';
import { type SkipGramsOptions, skipGrams } from '../../src/ops/skip_grams.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from './check.ts';

const exact = { rel: 0, abs: 0 };
const NONE = 0xffffffff;
type Options = { [K in keyof SkipGramsOptions]: Exclude<SkipGramsOptions[K], Tensor> };
interface Given {
  ids: Uint32Array;
  T: number;
  kept: Float32Array;
  cumulative: Float32Array;
}

const drawn = ({ ids, T, kept, cumulative }: Given, { step, ...options }: Options) =>
  evaluate(
    {
      ...{ ids: input([ids.length / T, T], 'u32'), step: scalar('u32') },
      ...{ kept: input([kept.length]), cumulative: input([kept.length]) },
    },
    (t) => skipGrams(t.ids, t.kept, t.cumulative, { ...options, step: t.step }),
    { ids, kept, cumulative, step },
  );

/** The same, by the description of the op. */
function expected({ ids, T, kept, cumulative }: Given, options: Options) {
  const { seed, step, stream = 0, pairs = 1, window = 5, negatives = 5 } = options;
  const key = threefry(seed, stream, step, 0x736b6970);
  const below = (bits: number, n: number) => Math.floor(Math.fround(unit(bits) * n));
  const N = ids.length / T;
  const centers: number[] = [];
  const contexts: number[] = [];
  for (let i = 0; i < N * pairs; i++) {
    const start = Math.floor(i / pairs) * T;
    const words = [...ids.subarray(start, start + T)].filter(
      (id, t) => unit(threefry(...key, start + t, 0)[0]) < (kept[id] ?? 0),
    );
    const [[a, b], [c]] = [threefry(...key, i, 1), threefry(...key, i, 2)];
    const at = below(a, words.length);
    const reach = 1 + below(b, window);
    const near = words.flatMap((id, j) => (j !== at && Math.abs(j - at) <= reach ? [id] : []));
    centers.push(words.length > 1 ? words[at] : NONE);
    contexts.push(words.length > 1 ? near[below(c, near.length)] : NONE);
  }
  const draws = Array.from({ length: N * pairs * negatives }, (_, i) => {
    const u = unit(threefry(...key, i, 3)[0]);
    const word = cumulative.findIndex((sum) => sum > u);
    return word === contexts[Math.floor(i / negatives)] ? NONE : word;
  });
  return { centers, contexts, negatives: draws };
}

const sums = (shares: readonly number[]) => {
  const total = shares.reduce((a, b) => a + b);
  let sum = 0;
  return Float32Array.from(shares, (share) => {
    sum += share;
    return sum / total;
  });
};

for (const [N, T, V] of [
  [1, 1, 1],
  [1, 2, 2],
  [3, 7, 9],
  [5, 24, 65],
  [33, 65, 4000],
])
  for (const [pairs, window, negatives] of [
    [1, 5, 5],
    [3, 1, 2],
    [2, 100, 1],
  ])
    test(`${pairs} pairs of each of ${N} x ${T} of ${V} words, window ${window}, ${negatives} negatives`, async () => {
      const draw = random(freshSeed());
      const given = {
        // Some are no words: their ids are V and more.
        ids: Uint32Array.from(draw.integers(N * T, 0, V + 3)),
        T,
        kept: Float32Array.from(draw.uniform(V, 0, 1.5)),
        cumulative: sums([...draw.integers(V - 1, 0, 4), 1]),
      };
      const options = { seed: freshSeed(), step: freshSeed(), stream: freshSeed(), pairs, window, negatives };
      const [found, wanted] = [await drawn(given, options), expected(given, options)];
      for (const name of ['centers', 'contexts', 'negatives'] as const)
        close(found[name], wanted[name], { ...exact, what: name });
    });

test('centres, distances and negatives are distributed as described', async () => {
  const [N, T, window] = [20_000, 9, 3];
  // Each word tells its place; the last two places are padding.
  const ids = Uint32Array.from({ length: N * T }, (_, i) => (i % T < 7 ? i % T : 7));
  const kept = Float32Array.from({ length: 8 }, (_, id) => Number(id < 7));
  const cumulative = sums([4, 0, 1, 1, 0, 0, 2, 0]);
  const { centers, contexts, negatives } = await drawn(
    { ids, T, kept, cumulative },
    { seed: 1, step: 0, window, negatives: 3 },
  );
  const counted = (n: number) => new Float64Array(n);
  const [ofCenters, ofPairs, ofNegatives] = [counted(7), counted(49), counted(8)];
  for (const [i, center] of centers.entries()) {
    ofCenters[center]++;
    ofPairs[7 * center + contexts[i]]++;
  }
  let free = 0;
  for (const [i, id] of negatives.entries()) {
    // Where the context is none that could be drawn, all are there.
    if (![1, 4, 5].includes(contexts[Math.floor(i / 3)])) continue;
    free++;
    ofNegatives[id]++;
  }
  const check = (found: Float64Array, share: (i: number) => number, of: number, what: string) => {
    for (const [i, n] of found.entries()) {
      const p = share(i);
      const most = 5 * Math.sqrt(of * p * (1 - p));
      assert.ok(Math.abs(n - of * p) <= most, `${what} ${i}: ${n} of ${of}, expected ${p}`);
    }
  };
  check(ofCenters, () => 1 / 7, N, 'centre');
  check(ofNegatives, (id) => [4, 0, 1, 1, 0, 0, 2, 0][id] / 8, free, 'negative');
  const inReach = (center: number, b: number) => Math.min(6, center + b) - Math.max(0, center - b);
  const share = (i: number) => {
    const [center, distance] = [Math.floor(i / 7), Math.abs(Math.floor(i / 7) - (i % 7))];
    let sum = 0;
    for (let b = 1; b <= window; b++) if (distance && distance <= b) sum += 1 / inReach(center, b);
    return sum / window / 7;
  };
  check(ofPairs, share, N, 'pair');
});

test('a text of which one word or none is kept gives no pairs; steps and streams differ', async () => {
  const kept = Float32Array.of(1, 1, 0);
  const cumulative = sums([1, 1, 1]);
  const given = { ids: Uint32Array.of(0, 2, 2, 2, 2, 2, 0, 0, 1), T: 3, kept, cumulative };
  const { centers, contexts } = await drawn(given, { seed: freshSeed(), step: 0, pairs: 4 });
  close(centers.subarray(0, 8), Array(8).fill(NONE), exact);
  close(contexts.subarray(0, 8), Array(8).fill(NONE), exact);
  assert.ok(centers.subarray(8).every((id, i) => id < 2 && contexts[8 + i] < 2));
  const long = { ...given, ids: new Uint32Array(64).map((_, i) => i % 2), T: 64 };
  const options = { seed: freshSeed(), step: 1, pairs: 64 };
  const different = [options, { ...options, step: 2 }, { ...options, stream: 1 }, { ...options, seed: 0 }];
  const all = await Promise.all(different.map((each) => drawn(long, each)));
  assert.is(new Set(all.map((each) => String(each.negatives))).size, 4);
  assert.is(new Set(all.map((each) => String(each.centers))).size, 4);
});

test('errors', () => {
  const ids = input([2, 3], 'u32');
  const five = input([5]);
  const good = { seed: 1, step: 1 };
  throws(() => skipGrams(input([2, 3]), five, five, good), /skipGrams: .*u32.*"ids"/);
  throws(() => skipGrams(ids, input([5, 1]), five, good), /skipGrams: .*1 dimension.*"kept"/);
  throws(() => skipGrams(ids, five, input([4]), good), /skipGrams: .*one length, got \[5\] and \[4\]/);
  for (const name of ['pairs', 'window', 'negatives'])
    throws(
      () => skipGrams(ids, five, five, { ...good, [name]: 0 }),
      new RegExp(`skipGrams.*"${name}", got 0`),
    );
  throws(() => skipGrams(ids, five, five, { ...good, step: 0.5 }), /skipGrams.*"step", got 0.5/);
});
