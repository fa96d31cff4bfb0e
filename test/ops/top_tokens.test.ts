import { input } from '../../src/graph/tensor.ts';
import { topTokens } from '../../src/ops/top_tokens.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from './check.ts';

const exact = { rel: 0, abs: 0 };

for (const [N, T, K] of [
  [1, 1, 1],
  [3, 7, 4],
  [5, 8, 8],
  [2, 49, 20],
  [3, 64, 63],
  [7, 65, 9],
])
  test(`the ${K} largest positive keys of ${N} rows of ${T}`, async () => {
    const draw = random(freshSeed());
    // Halves, so that some are equal and some are 0.
    const keys = Float32Array.from(draw.integers(N * T, -4, 5), (k) => k / 2);
    // A row without a positive key, and one without another.
    keys.subarray(0, T).fill(N === 1 ? 1 : -1);
    keys.subarray((N - 1) * T).fill(2);
    const found = await evaluate({ keys: input([N, T]) }, ({ keys }) => topTokens(keys, { count: K }), {
      keys,
    });
    for (let n = 0; n < N; n++) {
      const row = [...keys.subarray(n * T, (n + 1) * T)];
      const chosen = [...row.keys()].filter((t) => row[t] > 0).sort((a, b) => row[b] - row[a] || a - b);
      const ids = Array.from({ length: K }, (_, k) => chosen[k] ?? T);
      close(found.ids.subarray(n * K, (n + 1) * K), ids, exact);
      close([found.lengths[n]], [Math.min(K, chosen.length)], exact);
    }
  });

test('errors', () => {
  throws(() => topTokens(input([2, 3], 'u32'), { count: 1 }), /topTokens: .*f32.*"keys"/);
  throws(() => topTokens(input([3]), { count: 1 }), /topTokens: .*2 dimensions.*"keys"/);
  for (const count of [0, 4, 1.5])
    throws(() => topTokens(input([2, 3]), { count }), /topTokens: .*1 to 3.*"count"/);
});
