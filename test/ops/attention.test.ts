import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { plan } from '../../src/graph/plan.ts';
import { input, trace } from '../../src/graph/tensor.ts';
import { attention } from '../../src/ops/attention.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';
import { GPU, softwareTarget, withLargeTiles, withTarget } from './tiles.ts';

interface Case {
  N: number;
  T: number;
  S?: number;
  heads?: number;
  /** Of a head. */
  width: number;
  causal?: boolean;
  lengths?: readonly number[];
  scale?: number;
}

/** Value and gradients against the reference. */
function check({ N, T, S = T, heads = 1, width, causal, lengths, scale }: Case) {
  const options = { heads, causal, ...(scale !== undefined && { scale }) };
  const D = heads * width;
  return checkOp({
    inputs: {
      ...{ q: [N, T, D], k: [N, S, D], v: [N, S, D] },
      lengths: { shape: [N], dtype: 'u32', values: lengths ?? new Array(N).fill(S) },
    },
    build: ({ q, k, v, lengths: l }) => attention(q, k, v, { ...options, ...(lengths && { lengths: l }) }),
    reference: ({ q, k, v }) => reference.attention(q, k, v, { ...options, lengths }),
    what: `${N} x ${heads} x ${T} x ${S} x ${width}`,
  });
}

/** A test of numbers, in the tiles of this adapter and in those of a GPU; `textures`: and with rows in textures. */
function testForms(name: string, body: () => Promise<unknown>, textures = false) {
  test(name, body, COMPILING);
  test(`${name}, in workgroup memory`, () => withTarget(GPU, body), COMPILING);
  if (!textures) return;
  test(`${name}, in textures`, () => withLargeTiles(true, body), COMPILING);
}

/** Each mask and width has kernels of its own, which software adapters compile for seconds. */
const COMPILING = { timeout: 180_000 };

testForms(
  'token counts around the tiles',
  async () => {
    for (const T of [1, 7, 8, 9, 49, 64, 65]) await check({ N: 2, T, heads: 2, width: 16 });
    await check({ N: 1, T: 197, width: 32 });
  },
  true,
);

test(
  'more rows than a texture has',
  () => withLargeTiles(100, () => check({ N: 2, T: 65, heads: 2, width: 16 })),
  COMPILING,
);

test('rows are read from textures where a product of theirs would be', () => {
  const [q, k] = [input([64, 49, 64]), input([64, 8, 64])];
  const build = () => ({ small: attention(q, k, k, { heads: 4 }), large: attention(q, q, q, { heads: 4 }) });
  const { result, effects } = trace(build);
  const { dispatches } = plan(result, effects, { target: softwareTarget({ largeTiles: 2 ** 22 }) });
  assert.equal(
    dispatches.map(({ op, kernel }) => `${op.name} ${Object.keys(kernel.access ?? {}).join(' ')}`.trim()),
    ['toTextures x_of_1', 'attention', 'attention q k v'],
  );
});

testForms('widths of a head: padded, one part, several parts', async () => {
  for (const width of [1, 3, 4, 16, 20, 32, 36, 64, 72]) await check({ N: 2, T: 11, heads: 3, width });
});

testForms('more queries than keys, and fewer', async () => {
  await check({ N: 3, T: 5, S: 21, heads: 2, width: 8 });
  await check({ N: 3, T: 21, S: 5, heads: 2, width: 8 });
  await check({ N: 2, T: 1, S: 64, width: 12 });
});

testForms('a causal mask', async () => {
  for (const T of [1, 7, 8, 17, 65]) await check({ N: 2, T, heads: 2, width: 8, causal: true });
});

testForms('lengths: padded keys, none, one; with a causal mask', async () => {
  await check({ N: 4, T: 13, heads: 2, width: 8, lengths: [13, 5, 1, 8] });
  await check({ N: 3, T: 10, width: 8, lengths: [0, 10, 3] });
  await check({ N: 3, T: 10, width: 8, lengths: [0, 10, 3], causal: true });
  // Lengths past the end mean all keys.
  await check({ N: 2, T: 6, S: 9, width: 4, lengths: [9, 9] });
});

testForms('a scale of its own, also 0 and negative', async () => {
  for (const scale of [0, -0.3, 2]) await check({ N: 1, T: 9, width: 8, scale });
});

test('a query without keys gives zeros and gradients of zero', async () => {
  const shape = [2, 3, 4];
  const inputs = { q: input(shape), k: input(shape), v: input(shape), lengths: input([2], 'u32') };
  const draw = random(freshSeed());
  const x = () => draw.normal(24);
  const { y, dq, dk, dv } = await evaluate(
    inputs,
    ({ q, k, v, lengths }) => {
      const y = attention(q, k, v, { lengths });
      const [dq, dk, dv] = grad(y, [q, k, v], q);
      return { y, dq, dk, dv };
    },
    { q: x(), k: x(), v: x(), lengths: [0, 3] },
  );
  for (const all of [y, dq, dk, dv]) {
    close(all.subarray(0, 12), new Array(12).fill(0), { abs: 0, rel: 0 });
    assert.ok(all.every(Number.isFinite));
  }
  assert.ok(y.subarray(12).some((value) => value !== 0));
});

test('large scores: the weight of the nearest key is 1, and nothing overflows', async () => {
  const shape = [1, 4, 4];
  const unit = Float32Array.from({ length: 16 }, (_, i) => Number(i % 5 === 0) * 1e4);
  const { y } = await evaluate(
    { q: input(shape), k: input(shape), v: input(shape) },
    ({ q, k, v }) => ({ y: attention(q, k, v) }),
    { q: unit, k: unit, v: unit },
  );
  close(y, unit, { rel: 1e-6 });
});

test('same inputs, same bits; four dispatches with gradients, and no buffer of tokens times tokens', async () => {
  const [N, T, D] = [2, 65, 32];
  const inputs = { q: input([N, T, D]), k: input([N, T, D]), v: input([N, T, D]) };
  const draw = random(freshSeed());
  const values = { q: draw.normal(N * T * D), k: draw.normal(N * T * D), v: draw.normal(N * T * D) };
  const run = () =>
    evaluate(
      inputs,
      ({ q, k, v }) => {
        const y = attention(q, k, v, { heads: 2 });
        const [dq, dk, dv] = grad(y, [q, k, v], q);
        return { y, dq, dk, dv };
      },
      values,
    );
  const [a, b] = [await run(), await run()];
  for (const name of ['y', 'dq', 'dk', 'dv'] as const) assert.equal(a[name], b[name], name);
  assert.is(a.dispatches, 4);
});

test('errors name the op', () => {
  const [q, k] = [input([2, 3, 4]), input([2, 5, 4])];
  throws(
    () => attention(q, k, q),
    /attention: expected \[N, T, D\], \[N, S, D\] and \[N, S, D\], got \[2, 3, 4\], \[2, 5, 4\] and \[2, 3, 4\]/,
  );
  throws(() => attention(input([3, 4]), k, k), /attention: .*"q"/);
  throws(
    () => attention(q, q, q, { heads: 3 }),
    /attention: expected rows that 3 heads can share, got \[2, 3, 4\]/,
  );
  throws(() => attention(q, k, k, { causal: true }), /as many keys as queries with "causal", got 5 and 3/);
  throws(() => attention(q, q, q, { lengths: input([3], 'u32') }), /expected lengths \[2\], got \[3\]/);
  throws(() => attention(q, q, q, { lengths: input([2]) }), /attention: .*"lengths"/);
  throws(() => attention(q, q, q, { heads: 0 }), /attention: .*"heads"/);
  throws(() => attention(q, q, q, { scale: Number.NaN }), /expected a finite scale, got NaN/);
});
