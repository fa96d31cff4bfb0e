import { grad } from '../../src/graph/gradient.ts';
import { constant, input } from '../../src/graph/tensor.ts';
import { topKSimilar } from '../../src/ops/top_k.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';

/** The k best in float64; ties by index. */
function reference(q: Float32Array, g: Float32Array, [M, N, D, k]: number[]) {
  const indices: number[] = [];
  const similarities: number[] = [];
  for (let i = 0; i < M; i++) {
    const s = new Float64Array(N);
    for (let j = 0; j < N; j++) for (let d = 0; d < D; d++) s[j] += q[i * D + d] * g[j * D + d];
    const order = Array.from(s.keys())
      .sort((a, b) => s[b] - s[a] || a - b)
      .slice(0, k);
    indices.push(...order);
    similarities.push(...order.map((j) => s[j]));
  }
  return { indices, similarities };
}

const unitRows = (x: Float32Array, D: number) => {
  for (let i = 0; i < x.length; i += D) {
    const norm = Math.hypot(...x.subarray(i, i + D));
    for (let d = 0; d < D; d++) x[i + d] /= norm;
  }
  return x;
};

async function run(q: Float32Array, g: Float32Array, [M, N, D, k]: number[]) {
  const inputs = { q: input([M, D]), g: input([N, D]) };
  const step = await compile(await device(), ({ q, g }) => ({ ...topKSimilar(q, g, { k }) }), { inputs });
  await step.run({ q, g });
  const result = { indices: await step.read('indices'), similarities: await step.read('similarities') };
  step.dispose();
  return result;
}

for (const sizes of [
  [1, 1, 1, 1],
  [1, 3, 2, 3],
  [3, 7, 5, 2],
  [4, 8, 4, 8],
  [5, 65, 64, 20],
  [7, 1000, 3, 32],
  [64, 127, 65, 5],
  [65, 2051, 12, 20],
  [127, 300, 33, 32],
  [9, 131, 8, 1],
  [63, 127, 64, 5],
  [13, 1003, 100, 32],
]) {
  test(`[M, N, D, k] = [${sizes}]: as sorting in float64`, async () => {
    const [M, N, D, k] = sizes;
    const r = random(freshSeed());
    const q = unitRows(r.normal(M * D), D);
    const g = unitRows(r.normal(N * D), D);
    const expected = reference(q, g, sizes);
    const { indices, similarities } = await run(q, g, sizes);
    close(similarities, expected.similarities, { rel: 0, abs: 2e-6, what: 'similarities' });
    // The chosen rows, by their similarity: two that differ by rounding alone may change places.
    for (let i = 0; i < M; i++) {
      const chosen = indices.subarray(i * k, i * k + k);
      if (new Set(chosen).size !== k || chosen.some((j) => j >= N))
        throw new Error(`query ${i}: indices ${chosen}`);
      const s = Array.from(chosen, (j) => {
        let sum = 0;
        for (let d = 0; d < D; d++) sum += q[i * D + d] * g[j * D + d];
        return sum;
      });
      close(s, expected.similarities.slice(i * k, i * k + k), { rel: 0, abs: 2e-6, what: `query ${i}` });
    }
    const same = indices.reduce((n, j, i) => n + Number(j === expected.indices[i]), 0);
    if (same < 0.98 * M * k) throw new Error(`only ${same} of ${M * k} indices agree`);
  });
}

test('ties: the smaller index first, within a chunk and across chunks', async () => {
  for (const [M, D] of [
    [3, 4],
    [3, 3],
    [9, 4],
  ]) {
    const [N, k] = [3000, 32];
    const r = random(freshSeed());
    const q = new Float32Array(M * D).map(() => 1);
    // Small whole numbers: sums are exact, and nearly all rows tie.
    const g = Float32Array.from(r.integers(N * D, 0, 2));
    const expected = reference(q, g, [M, N, D, k]);
    const { indices, similarities } = await run(q, g, [M, N, D, k]);
    close(indices, expected.indices, { rel: 0, abs: 0, what: 'indices' });
    close(similarities, expected.similarities, { rel: 0, abs: 0, what: 'similarities' });
  }
});

test('all similarities negative, rising and falling galleries: the list is filled and sorted', async () => {
  const [M, N, D, k] = [2, 777, 1, 31];
  const q = new Float32Array([-1, 1]);
  const g = new Float32Array(N).map((_, i) => i - 1000);
  const expected = reference(q, g, [M, N, D, k]);
  const { indices, similarities } = await run(q, g, [M, N, D, k]);
  close(indices, expected.indices, { rel: 0, abs: 0, what: 'indices' });
  close(similarities, expected.similarities, { rel: 0, abs: 0, what: 'similarities' });
});

test('errors: shapes, k, and a gradient', () => {
  const [q, g] = [input([4, 8]), input([5, 8])];
  throws(() => topKSimilar(q, input([5, 9])), /topKSimilar: expected rows of one length, got \[4, 8\] and/);
  throws(() => topKSimilar(input([4]), g), /topKSimilar: expected two f32 matrices, got f32 \[4\]/);
  throws(() => topKSimilar(q, g, { k: 6 }), /topKSimilar: expected k of 1 to 5 for a gallery of 5, got 6/);
  throws(() => topKSimilar(q, g, { k: 0 }), /got 0/);
  const { similarities } = topKSimilar(q, g, { k: 2 });
  throws(() => grad(similarities, [q], constant(1, similarities.shape)), /topK.*: this op has no gradient/);
});
