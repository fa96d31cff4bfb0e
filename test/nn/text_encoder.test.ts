import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { initialOf, input, scalar, type Tensor, type Variable } from '../../src/graph/tensor.ts';
import { isTextEncoder, isTokenEncoder, linear, textEncoder, vitEncoder } from '../../src/nn/index.ts';
import { streamOf } from '../../src/nn/init.ts';
import { crossEntropy } from '../../src/ops/cross_entropy.ts';
import { threefry, unit } from '../../src/ops/random.ts';
import { mean } from '../../src/ops/reduce.ts';
import { adam } from '../../src/optim/adam.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';

type Leaves = Record<string, reference.Ref>;

function leavesOf(parameters: readonly Variable[]): Leaves {
  const leaf = (v: Variable) => {
    const initial = initialOf(v);
    const data = typeof initial === 'number' ? new Float32Array(v.size).fill(initial) : initial;
    return reference.leaf(v.shape, data);
  };
  return Object.fromEntries(parameters.map((v) => [v.name.replace('encoder.', ''), leaf(v)]));
}

/** What dropout multiplies [N T D] numbers by, in the layer of a name. */
function factors(shape: readonly number[], rate: number, seed: number, step: number, name: string) {
  const [a, b] = threefry(seed, streamOf(`dropout "${name}"`), step, 2);
  const keep = (i: number) => unit(threefry(a, b, Math.floor(i / 2), 0)[i % 2]) >= Math.fround(rate);
  const n = reference.sizeOf(shape);
  return reference.leaf(
    shape,
    Float64Array.from({ length: n }, (_, i) => (keep(i) ? 1 / (1 - rate) : 0)),
  );
}

interface Case {
  T: number;
  width: number;
  heads: number;
  depth: number;
  pad?: number;
  causal?: boolean;
  /** Dropout in training, at this step. */
  training?: { rate: number; seed: number; step: number };
}

/** h in float64, in the order of the paper; padding is left out of each text rather than masked. */
function encode(ids: Uint32Array, leaves: Leaves, { T, width, heads, depth, pad, causal, training }: Case) {
  const N = ids.length / T;
  const lengths = Array.from({ length: N }, (_, n) => {
    const row = ids.subarray(n * T, (n + 1) * T);
    const end = pad === undefined ? -1 : row.indexOf(pad);
    return end < 0 ? T : end;
  });
  const drop = (x: reference.Ref, name: string) =>
    training ? reference.mul(x, factors(x.shape, training.rate, training.seed, training.step, name)) : x;
  const apply = (x: reference.Ref, name: string) =>
    reference.linear(x, leaves[`${name}.weight`], leaves[`${name}.bias`]);
  const norm = (x: reference.Ref, name: string) =>
    reference.layerNorm(x, leaves[`${name}.gamma`], leaves[`${name}.beta`]);
  const rows = reference.reshape(reference.gatherRows(leaves.tokens, ids), [N, T, width]);
  const places = reference.slice(leaves.positions, [0, 0], [T, width]);
  let x = drop(reference.add(rows, reference.reshape(places, [1, T, width])), 'encoder.embed.dropout');
  for (let i = 0; i < depth; i++) {
    const name = `blocks.${i}`;
    const [q, k, v] = ['query', 'key', 'value'].map((of) =>
      apply(norm(x, `${name}.attentionNorm`), `${name}.attention.${of}`),
    );
    const attended = reference.attention(q, k, v, { heads, causal, lengths });
    x = reference.add(
      x,
      drop(apply(attended, `${name}.attention.output`), `encoder.${name}.attentionDropout`),
    );
    const hidden = reference.gelu(apply(norm(x, `${name}.mlpNorm`), `${name}.hidden`));
    x = reference.add(x, drop(apply(hidden, `${name}.output`), `encoder.${name}.mlpDropout`));
  }
  x = norm(x, 'blocks.norm');
  const weights = ids.length
    ? Float64Array.from({ length: N * T }, (_, i) =>
        i % T < lengths[Math.floor(i / T)] ? 1 / lengths[Math.floor(i / T)] : 0,
      )
    : [];
  return reference.sum(reference.mul(x, reference.leaf([N, T, 1], weights)), 1);
}

/** Texts of these lengths, of tokens 0 to V - 2; the padding is V - 1. */
function drawTexts(lengths: readonly number[], T: number, V: number): Uint32Array {
  const draw = random(freshSeed());
  const ids = new Uint32Array(lengths.length * T).fill(V - 1);
  for (const [n, length] of lengths.entries()) ids.set(draw.integers(length, 0, V - 1), n * T);
  return ids;
}

async function check(given: Case, lengths: readonly number[], V: number) {
  const { T, width, heads, depth, pad, causal, training } = given;
  const ids = drawTexts(lengths, T, V);
  const N = lengths.length;
  const seed = training?.seed ?? 3;
  const encoder = textEncoder({
    ...{ seed, vocabulary: V, length: T + 2, dimensions: width, heads, depth, causal, pad },
    ...(training && { dropout: training.rate }),
  });
  const leaves = leavesOf(encoder.parameters);
  const expected = encode(ids, leaves, given);
  const dy = random(freshSeed()).normal(N * width);
  const names = Object.keys(leaves);
  const theirs = reference.gradient(
    expected,
    names.map((name) => leaves[name]),
    dy,
  );
  const found = await evaluate(
    { ids: input([N, T], 'u32'), dy: input([N, width]), step: scalar('u32') },
    ({ ids, dy, step }): Record<string, Tensor> => {
      const h = encoder(ids, training && { training: true, step });
      const all = grad(h, encoder.parameters, dy);
      return { h, ...Object.fromEntries(all.map((dx, i) => [names[i], dx])) };
    },
    { ids, dy, step: training?.step ?? 0 },
  );
  close(found.h, expected.data, { rel: 3e-5, what: 'h' });
  for (const [i, name] of names.entries())
    close(found[name], theirs[i], { rel: 5e-5, abs: 3e-6, what: name });
  freeVariables(await device(), encoder.parameters);
  return found.h;
}

test('h and all gradients are those of float64', async () => {
  await check({ T: 9, width: 12, heads: 3, depth: 2, pad: 16 }, [9, 1, 4, 8], 17);
  await check({ T: 5, width: 7, heads: 1, depth: 1, pad: 4, causal: true }, [2, 5, 3], 5);
  await check({ T: 1, width: 8, heads: 2, depth: 1 }, [1, 1], 65);
});

test('dropout in training: after the embeddings and the parts of each block, other numbers for each text', async () => {
  const training = { rate: 0.3, seed: freshSeed(), step: 7 };
  await check({ T: 6, width: 8, heads: 2, depth: 2, pad: 8, training }, [6, 3, 1], 9);
});

test('a text without tokens has h 0, and no number is NaN', async () => {
  const h = await check({ T: 4, width: 8, heads: 2, depth: 1, pad: 8 }, [0, 2, 4, 0], 9);
  assert.ok(h.subarray(0, 8).every((x) => x === 0) && h.subarray(24).every((x) => x === 0));
  assert.ok(h.subarray(8, 24).every((x) => Number.isFinite(x) && x !== 0));
});

test('padding, other texts and unknown ids change nothing', async () => {
  const [V, T] = [20, 7];
  const encoder = textEncoder({ vocabulary: V, length: T, pad: V - 1, dimensions: 16, depth: 2 });
  const text = [3, 1, 4];
  const run = async (rows: number[][], length: number) => {
    const ids = Uint32Array.from(
      rows.flatMap((row) => [...row, ...new Array(length - row.length).fill(V - 1)]),
    );
    const { h, present, lengths } = await evaluate(
      { ids: input([rows.length, length], 'u32') },
      ({ ids }) => ({ h: encoder(ids), present: encoder.present(ids), lengths: encoder.lengths(ids) }),
      { ids },
    );
    return { h: h.subarray(0, 16), present, lengths };
  };
  const alone = await run([text], 3);
  const padded = await run([text, [5, 5, 5, 5, 5, 5, 5], []], T);
  close(padded.h, alone.h, { rel: 1e-6 });
  assert.equal(Array.from(padded.lengths), [3, 7, 0]);
  assert.equal(Array.from(padded.present.subarray(0, 7)), [1, 1, 1, 0, 0, 0, 0]);
  // An id that no token has counts as padding.
  const beyond = await run([[...text, 1000, V]], T);
  close(beyond.h, alone.h, { rel: 1e-6 });
  freeVariables(await device(), encoder.parameters);
});

test('two copies of a text: equal without training, different masks in it, the same bits again', async () => {
  const encoder = textEncoder({ vocabulary: 9, length: 4, pad: 8, dimensions: 16, depth: 1, dropout: 0.2 });
  const ids = Uint32Array.of(1, 2, 3, 8, 1, 2, 3, 8);
  const run = (step: number) =>
    evaluate(
      { ids: input([2, 4], 'u32'), step: scalar('u32') },
      ({ ids, step }) => ({ trained: encoder(ids, { training: true, step }), h: encoder(ids) }),
      { ids, step },
    );
  const [one, again, next] = [await run(1), await run(1), await run(2)];
  assert.equal(one.h.subarray(0, 16), one.h.subarray(16));
  assert.not.equal(one.trained.subarray(0, 16), one.trained.subarray(16));
  assert.equal(one.trained, again.trained);
  assert.not.equal(one.trained, next.trained);
  freeVariables(await device(), encoder.parameters);
});

test('names, sizes, kinds', () => {
  const encoder = textEncoder({ vocabulary: 30, length: 8, pad: 25, causal: true });
  assert.ok(isTextEncoder(encoder) && !isTokenEncoder(encoder) && !isTextEncoder(vitEncoder()));
  assert.equal(
    [encoder.outputs, encoder.vocabulary, encoder.mostTokens, encoder.pad, encoder.causal],
    [64, 30, 8, 25, true],
  );
  assert.is(encoder.table, encoder.parameters[0]);
  assert.equal(encoder.table.shape, [30, 64]);
  const names = encoder.parameters.map(({ name }) => name);
  assert.equal(names.slice(0, 3), [
    'encoder.tokens',
    'encoder.positions',
    'encoder.blocks.0.attentionNorm.gamma',
  ]);
  assert.is(names.length, 2 + 2 * 16 + 2);
  assert.is(textEncoder({ vocabulary: 3, length: 2 }).pad, null);
});

test('it learns which word a text has', async () => {
  const [N, T, V, classes] = [64, 8, 24, 4];
  const encoder = textEncoder({ vocabulary: V, length: T, pad: V - 1, dimensions: 16, heads: 2, seed: 2 });
  const head = linear({ name: 'head', inputs: 16, outputs: classes, seed: 2 });
  const optimizer = adam([...encoder.parameters, ...head.parameters], { learningRate: 3e-3 });
  const gpu = await device();
  const step = await compile(
    gpu,
    ({ ids, word, step }) => {
      const loss = mean(crossEntropy(head(encoder(ids, { training: true, step })), word));
      optimizer.minimize(loss);
      return { loss };
    },
    { inputs: { ids: input([N, T], 'u32'), word: input([N], 'u32'), step: scalar('u32') } },
  );
  const draw = random(7);
  const losses: number[] = [];
  for (let i = 0; i < 80; i++) {
    const word = Uint32Array.from(draw.integers(N, 0, classes));
    const ids = new Uint32Array(N * T).fill(V - 1);
    for (const [n, of] of word.entries()) {
      const length = draw.integers(1, 3, T + 1)[0];
      ids.set(draw.integers(length, classes, V - 1), n * T);
      ids[n * T + draw.integers(1, 0, length)[0]] = of;
    }
    await step.run({ ids, word, step: i });
    losses.push((await step.read('loss'))[0]);
  }
  step.dispose();
  freeVariables(gpu, [optimizer.parameters, ...optimizer.state]);
  assert.ok(losses[0] > 1.2 && losses[79] < 0.2, `from ${losses[0]} to ${losses[79]}`);
});

test('errors', () => {
  const options = { vocabulary: 9, length: 4, dimensions: 8 };
  throws(() => textEncoder({ ...options, vocabulary: 0 }), /textEncoder: .*"vocabulary"/);
  throws(() => textEncoder({ ...options, length: 1.5 }), /textEncoder: .*"length"/);
  throws(() => textEncoder({ ...options, pad: 9 }), /textEncoder: .*0 to 8.*"pad", got 9/);
  throws(() => textEncoder({ ...options, dropout: 1 }), /dropout: .*"rate"/);
  throws(() => textEncoder({ ...options, heads: 3 }), /a width that 3 heads can share, got 8/);
  throws(() => textEncoder({ ...options, ids: 3 } as never), /textEncoder: .*"ids"/);
  const encoder = textEncoder(options);
  throws(
    () => encoder(input([2, 5], 'u32')),
    /encoder.*: expected texts of at most 4 tokens, got ids \[2, 5\]/,
  );
  throws(() => encoder(input([2, 4])), /expected a u32 tensor of 2 dimensions for "ids"/);
  throws(() => encoder.present(input([4], 'u32')), /expected a u32 tensor of 2 dimensions for "ids"/);
  throws(
    () => encoder(input([2, 4], 'u32'), { training: true }),
    /expected the number of the step in the mode of training/,
  );
});
