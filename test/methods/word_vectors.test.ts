import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { initialOf, input, scalar } from '../../src/graph/tensor.ts';
import { wordVectors as method, wordVectorsLoss } from '../../src/methods/word_vectors.ts';
import { skipGrams } from '../../src/ops/skip_grams.ts';
import { freeVariables, writeVariable } from '../../src/runtime/variables.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { builtFor, special, trainOnTexts } from './texts.ts';

export const study = {
  method,
  without: 'it trains on texts: the study of language trains it',
} satisfies MethodStudy<typeof method>;

/** Equation 4 in float64, pair by pair. */
function expected(
  centers: reference.Ref,
  contexts: reference.Ref,
  negatives: reference.Ref,
  pairs: ArrayLike<number>,
  some: ArrayLike<number>,
): reference.Ref {
  const [M, K, D] = negatives.shape;
  const { add, mul, neg, reshape, softplus, sum } = reference;
  const near = softplus(neg(sum(mul(centers, contexts), 1)));
  const far = softplus(sum(mul(reshape(centers, [M, 1, D]), negatives), 2));
  const each = add(near, sum(mul(far, reference.leaf([M, K], some)), 1));
  const count = Array.from(pairs).reduce((a, b) => a + b, 0);
  return mul(sum(mul(each, reference.leaf([M], pairs))), 1 / Math.max(1, count));
}

for (const [M, K, D] of [
  [1, 1, 1],
  [2, 5, 3],
  [9, 4, 8],
  [65, 5, 63],
])
  test(`wordVectorsLoss of ${M} pairs with ${K} negatives in ${D} dimensions: value and gradients`, async () => {
    const draw = random(freshSeed());
    const ones = (n: number) => new Array<number>(n).fill(1);
    const half = (n: number) => draw.integers(n, 0, 2);
    const shapes = { centers: [M, D], contexts: [M, D], negatives: [M, K, D] };
    await checkOp({
      inputs: shapes,
      build: (t) => wordVectorsLoss(t.centers, t.contexts, t.negatives),
      reference: (t) => expected(t.centers, t.contexts, t.negatives, ones(M), ones(M * K)),
      what: 'all',
    });
    for (const [what, pairs, some] of [
      ['some', half(M), half(M * K)],
      ['no pair', ones(M).fill(0), ones(M * K)],
      ['no negative', ones(M), ones(M * K).fill(0)],
    ] as const)
      await checkOp({
        inputs: {
          ...shapes,
          pairs: { shape: [M], values: pairs, gradient: false },
          some: { shape: [M, K], values: some, gradient: false },
        },
        build: (t) =>
          wordVectorsLoss(t.centers, t.contexts, t.negatives, { pairs: t.pairs, negatives: t.some }),
        reference: (t) => expected(t.centers, t.contexts, t.negatives, pairs, some),
        what,
      });
  });

test('large scores stay finite, and a negative that equals the centre pushes the two apart', async () => {
  const found = await evaluate(
    { v: input([2, 1]), u: input([2, 1]), n: input([2, 1, 1]) },
    ({ v, u, n }) => {
      const loss = wordVectorsLoss(v, u, n);
      const [g] = grad(loss, [v]);
      return { loss, g };
    },
    { v: [100, 0.5], u: [-100, 0], n: [100, 0.5] },
  );
  // 10,000 twice, and 2 log 2-like terms; d/dv softplus(v n) = n s(v n).
  const s = (x: number) => 1 / (1 + Math.exp(-x));
  close(found.loss, [(20_000 + Math.log(2) + Math.log1p(Math.exp(0.25))) / 2], { rel: 1e-6 });
  close(found.g, [100, 0.5 * 0.5 * s(0.25)], { rel: 1e-5 });
});

test('a step: the loss of the pairs that are drawn, by both tables; h is the mean of the known words', async () => {
  const [N, T, V, D, pairs, K] = [7, 12, 30, 8, 3, 4];
  const draw = random(freshSeed());
  const ids = Uint32Array.from(draw.integers(N * T, 0, V));
  // One text has one word, and one has none: padding, an unknown word, one that never occurs in training, and an id that no token has.
  ids.set([9, ...Array(T - 1).fill(special.pad)], 0);
  ids.set([special.unknown, V - 1, V + 3, ...Array(T - 3).fill(special.pad)], T);
  const own = { dimensions: D, pairsPerText: pairs, negatives: K, window: 2, subsampling: 0.05 };
  const { recipe, counts } = builtFor(method, V, own);
  const encoder = recipe.model!.encoder!;
  const [[words], [contexts]] = [encoder.parameters, recipe.parameters!];
  // Contexts begin at 0, where words get no gradient.
  const given = draw.normal(V * D);
  writeVariable(await device(), contexts, given);
  const table = reference.leaf([V, D], initialOf(words) as Float32Array);
  const plain = counts.map((n, id) => (Object.values(special).includes(id) ? 0 : n));
  const total = plain.reduce((a, b) => a + b);
  const weights = Array.from(plain, (n) => n ** 0.75);
  const all = weights.reduce((a, b) => a + b);
  let sum = 0;
  const cumulative = weights.map((w) => (sum += w) / all);
  const kept = Array.from(plain, (n) => (n ? Math.min(1, Math.sqrt((0.05 * total) / n)) : 0));
  const found = await evaluate(
    {
      ...{ ids: input([N, T], 'u32'), step: scalar('u32') },
      ...{ kept: input([V]), cumulative: input([V]) },
    },
    ({ ids, step, kept, cumulative }) => {
      const loss = recipe.loss({ ids, step });
      const [ofWords, ofContexts] = grad(loss, [words, contexts]);
      const drawn = skipGrams(ids, kept, cumulative, { seed: 7, step, pairs, window: 2, negatives: K });
      return { loss, ofWords, ofContexts, ...recipe.curves!(), h: encoder(ids), ...drawn };
    },
    { ids, step: 3, kept, cumulative },
  );
  const known = (id: number) => Number(id < V && plain[id] > 0);
  const M = N * pairs;
  const others = reference.leaf([V, D], given);
  const rows = (from: reference.Ref, at: ArrayLike<number>, shape: number[]) =>
    reference.reshape(
      reference.gatherRows(
        from,
        Array.from(at, (id) => (id < V ? id : 0)),
      ),
      shape,
    );
  const loss = expected(
    rows(table, found.centers, [M, D]),
    rows(others, found.contexts, [M, D]),
    rows(others, found.negatives, [M, K, D]),
    Array.from(found.centers, known),
    Array.from(found.negatives, known),
  );
  close(found.centers.subarray(0, 2 * pairs), Array(2 * pairs).fill(0xffffffff), { rel: 0 });
  close(found.loss, loss.data, { rel: 2e-5 });
  const [ofWords, ofContexts] = reference.gradient(loss, [table, others]);
  close(found.ofWords, ofWords, { rel: 1e-4, abs: 1e-8, what: 'words' });
  close(found.ofContexts, ofContexts, { rel: 1e-4, abs: 1e-8, what: 'contexts' });
  const score = (m: number, id: number) =>
    Array.from({ length: D }, (_, d) => table.data[D * found.centers[m] + d] * given[D * id + d]).reduce(
      (a, b) => a + b,
    );
  const above = Array.from(found.negatives, (id, i) => {
    const m = Math.floor(i / K);
    if (!known(id) || !known(found.centers[m])) return [];
    return [Number(score(m, found.contexts[m]) > score(m, id))];
  }).flat();
  const { near } = found as unknown as Record<string, Float32Array>;
  close(near, [above.reduce((a, b) => a + b) / above.length], { rel: 1e-6 });
  for (let n = 0; n < N; n++) {
    const own = [...ids.subarray(n * T, (n + 1) * T)].filter(known);
    const h = Array.from({ length: D }, (_, d) =>
      own.reduce((sum, id) => sum + table.data[id * D + d] / own.length, 0),
    );
    close(found.h.subarray(n * D, (n + 1) * D), h, { rel: 1e-5, abs: 1e-7, what: `h of text ${n}` });
  }
  freeVariables(await device(), [words, contexts]);
});

test(
  'words of one subject come near each other',
  async () => {
    const draw = random(1);
    const texts = Array.from({ length: 1024 }, (_, i) =>
      Array.from(draw.integers(10, 0, 10), (word) => `${'abcd'[i % 4]}${word}`).join(' '),
    );
    const options = {
      texts,
      steps: 150,
      batch: 128,
      learningRate: 2e-2,
      hyperparameters: { subsampling: 1 },
    };
    const { near } = await trainOnTexts(method, options, async ({ encoder }, data) => {
      const { table } = await evaluate({}, () => ({ table: encoder.parameters[0] }));
      const D = encoder.parameters[0].shape[1];
      const vector = (word: string) => {
        const [id] = data.tokenizer.encode(word);
        return table.subarray(id * D, (id + 1) * D);
      };
      const cosine = (a: Float32Array, b: Float32Array) =>
        a.reduce((sum, x, i) => sum + x * b[i], 0) / Math.hypot(...a) / Math.hypot(...b);
      const all = [...'abcd'].flatMap((subject) => Array.from({ length: 10 }, (_, i) => `${subject}${i}`));
      for (const word of all) {
        const cosines = (own: boolean) =>
          all.flatMap((other) =>
            other !== word && (other[0] === word[0]) === own ? [cosine(vector(word), vector(other))] : [],
          );
        const [least, most] = [Math.min(...cosines(true)), Math.max(...cosines(false))];
        assert.ok(least > 0.9 && most < 0.6, `${word}: ${least} in its subject, ${most} outside`);
      }
    });
    // Of random words one in four is of the same subject, and no better than the context.
    assert.ok(near > 0.8, `${near}`);
  },
  { training: true, timeout: 180_000 },
);

test('errors', () => {
  const [v, n] = [input([4, 3]), input([4, 2, 3])];
  throws(() => wordVectorsLoss(v, input([4, 2]), n), /expected \[4, 3\] for "contexts", got \[4, 2\]/);
  throws(() => wordVectorsLoss(v, v, v), /wordVectorsLoss: .*3 dimensions.*"negatives"/);
  throws(
    () => wordVectorsLoss(v, v, n, { pairs: input([3]) }),
    /expected \[4\] for "counted.pairs", got \[3\]/,
  );
  throws(() => builtFor(method, 9, { subsampling: 0 }), /Word vectors.*"subsampling", got 0/);
});
