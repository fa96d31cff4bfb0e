import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { constant, initialOf, input, scalar, type Variable } from '../../src/graph/tensor.ts';
import { reshape } from '../../src/index.ts';
import { maskedLanguageLoss, maskedLanguage as method } from '../../src/methods/masked_language.ts';
import { maskTokens } from '../../src/ops/mask_tokens.ts';
import { takeTokens } from '../../src/ops/tokens.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';
import { builtFor, special, trainOnTexts } from './texts.ts';

export const study = {
  method,
  without: 'it trains on texts: the study of language trains it',
} satisfies MethodStudy<typeof method>;

const NONE = 0xffffffff;

/** The loss in float64: rows without a label are left out. */
function expected(logits: reference.Ref, labels: readonly number[]): reference.Ref {
  const rows = labels.flatMap((label, i) => (label < logits.shape[1] ? [i] : []));
  if (!rows.length) return reference.mul(reference.sum(logits), 0);
  const some = reference.gatherRows(logits, rows);
  return reference.mean(
    reference.crossEntropy(
      some,
      rows.map((i) => labels[i]),
    ),
  );
}

for (const [M, V] of [
  [1, 1],
  [2, 3],
  [9, 8],
  [65, 63],
  [7, 4001],
])
  test(`maskedLanguageLoss of ${M} tokens of ${V}: value and gradient, some and all left out`, async () => {
    const drawn = [...random(freshSeed()).integers(M, 0, V)];
    for (const labels of [
      drawn,
      drawn.map((id, i) => (i % 3 ? id : i % 2 ? NONE : V)),
      drawn.map(() => NONE),
    ])
      await checkOp({
        inputs: { logits: [M, V] },
        build: ({ logits }) => maskedLanguageLoss(logits, constant(Uint32Array.from(labels), [M], 'u32')),
        reference: ({ logits }) => expected(logits, labels),
        what: `labels ${labels.slice(0, 4)}`,
      });
  });

const valuesOf = (v: Variable) => {
  const initial = initialOf(v);
  return typeof initial === 'number' ? new Float32Array(v.size).fill(initial) : initial;
};

test('a step: hidden tokens, the logits of chosen places from the tied table, its gradient, the curves', async () => {
  const [N, T, V, D] = [9, 12, 30, 8];
  const draw = random(freshSeed());
  const ids = Uint32Array.from(draw.integers(N * T, 5, V - 2));
  // The first text is empty, and others have padding at their ends.
  for (let n = 0; n < N; n++) ids.fill(special.pad, n * T + (n && 3 + n), (n + 1) * T);
  const own = { rate: 0.5, masked: 0.75, random: 0.125 };
  const { encoder, recipe, counts } = builtFor(method, V, own);
  const [weight, bias, gamma, beta, tokenBias] = recipe.parameters!;
  const found = await evaluate(
    { ids: input([N, T], 'u32'), step: scalar('u32') },
    ({ ids, step }) => {
      const loss = recipe.loss({ ids, step });
      const choice = { vocabulary: V, special: Object.values(special), mask: special.mask, seed: 7, ...own };
      const { hidden, places, labels } = maskTokens(ids, { ...choice, step });
      const tokens = takeTokens(encoder.tokens(hidden), places);
      const [ofTable, ofBias] = grad(loss, [encoder.table, tokenBias]);
      return { loss, ...recipe.curves!(), hidden, labels, tokens: reshape(tokens, [-1, D]), ofTable, ofBias };
    },
    { ids, step: 5 },
  );
  const curves = found as unknown as Record<string, Float32Array>;
  const labels = [...found.labels];
  const M = labels.length;
  const leaf = (v: Variable) => reference.leaf(v.shape, valuesOf(v));
  const dense = reference.gelu(
    reference.linear(reference.leaf([M, D], found.tokens), leaf(weight), leaf(bias)),
  );
  const features = reference.layerNorm(dense, leaf(gamma), leaf(beta));
  const [table, free] = [leaf(encoder.table), leaf(tokenBias)];
  const logits = reference.add(reference.matmul(features, table, { transposeB: true }), free);
  const loss = expected(logits, labels);
  close(found.loss, loss.data, { rel: 2e-5 });
  const [ofTable, ofBias] = reference.gradient(loss, [table, free]);
  close(found.ofBias, ofBias, { rel: 1e-4, abs: 1e-6 });
  // What no text has gets its gradient from the output alone.
  const seen = new Set(found.hidden);
  const unseen = Array.from({ length: V }, (_, id) => id).filter((id) => !seen.has(id));
  assert.ok(unseen.includes(special.end) && unseen.includes(V - 1));
  for (const id of unseen) {
    const row = (all: ArrayLike<number>) => Array.from({ length: D }, (_, d) => all[id * D + d]);
    close(row(found.ofTable), row(ofTable), { rel: 1e-4, abs: 1e-6, what: `table, ${id}` });
  }
  const chosen = labels.flatMap((label, m) => (label < V ? [{ label, m }] : []));
  const best = (m: number) => {
    const row = [...logits.data.subarray(m * V, (m + 1) * V)];
    return row.indexOf(Math.max(...row));
  };
  close(curves.accuracy, [chosen.filter(({ label, m }) => best(m) === label).length / chosen.length]);
  const total = counts.reduce((a, b) => a + b);
  const unigram = chosen.reduce((sum, { label }) => sum + Math.log(total / counts[label]), 0);
  close(curves.unigram, [unigram / chosen.length], { rel: 1e-5 });
  freeVariables(await device(), [...encoder.parameters, ...recipe.parameters!]);
});

test('texts of padding and special tokens alone: loss 0, and no gradient', async () => {
  const { encoder, recipe } = builtFor(method, 9);
  const found = await evaluate(
    { ids: input([3, 4], 'u32') },
    ({ ids }) => {
      const loss = recipe.loss({ ids, step: 0 });
      const gradients = grad(loss, [...encoder.parameters, ...recipe.parameters!]);
      return { loss, ...recipe.curves!(), ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g])) };
    },
    { ids: [0, 0, 0, 0, 2, 0, 0, 0, 3, 1, 4, 0] },
  );
  for (const [name, values] of Object.entries(found))
    if (name !== 'dispatches')
      close(values as Float32Array, new Float32Array((values as Float32Array).length), { what: name });
  freeVariables(await device(), [...encoder.parameters, ...recipe.parameters!]);
});

test(
  'it guesses words that the rest of a text determines, which their frequencies do not',
  async () => {
    const draw = random(1);
    // Three words, three times: a hidden one can be read elsewhere.
    const texts = Array.from({ length: 512 }, () => {
      const [a, b, c] = draw.integers(3, 0, 8);
      return Array(3).fill(`a${a} b${b} c${c}`).join(' ');
    });
    const options = { texts, steps: 250, batch: 64, learningRate: 5e-3 };
    const numbers = await trainOnTexts(method, options, async ({ recipe }, data) => {
      const [panel] = recipe.textPanels!;
      const some = (data.ids.shape[1] * 20) as number;
      const shown = data.texts.slice(0, 20).flatMap((text) => [...data.tokenizer.encode(text)]);
      const ids = Uint32Array.from({ length: some }, (_, i) => {
        const [n, t] = [Math.floor(i / 12), i % 12];
        return t < 9 ? shown[9 * n + t] : data.tokenizer.special.pad;
      });
      const found = await evaluate({ ids: input([20, 12], 'u32') }, ({ ids }) => panel.tokens(ids), { ids });
      const [text, guessed] = [found.ids.subarray(0, 240), found.ids.subarray(240)];
      close(text, ids, { rel: 0, abs: 0, what: 'texts as they are' });
      let [marked, right] = [0, 0];
      for (const [i, mark] of found.marked.entries()) {
        marked += mark;
        right += Number(mark === 1 && guessed[i] === ids[i]);
        if (!mark) assert.is(guessed[i], ids[i]);
      }
      assert.ok(Math.abs(marked - 0.15 * 180) < 20 && right > 0.8 * marked, `${right} of ${marked} guessed`);
    });
    const { loss, accuracy, unigram } = numbers;
    assert.ok(accuracy > 0.85 && loss < unigram / 4, `${accuracy}, loss ${loss}, unigram ${unigram}`);
    close([unigram], [Math.log(24)], { abs: 0.05 });
  },
  { training: true, timeout: 180_000 },
);

test('errors', () => {
  const logits = input([4, 3]);
  throws(
    () => maskedLanguageLoss(logits, input([3], 'u32')),
    /expected logits \[M, V\] and labels \[M\], got \[4, 3\] and \[3\]/,
  );
  throws(() => maskedLanguageLoss(logits, input([4])), /maskedLanguageLoss: .*u32.*"labels"/);
  throws(() => builtFor(method, 9, { rate: 2 }), /Masked language model: .*0 to 1.*"rate", got 2/);
});
