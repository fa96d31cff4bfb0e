import * as assert from 'uvu/assert';
import { input, scalar, variable } from '../../src/graph/tensor.ts';
import { buildMethod, defaultsOf } from '../../src/methods/method.ts';
import { sae as method, saeLoss } from '../../src/methods/sae.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables, readVariable, writeVariable } from '../../src/runtime/variables.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp } from '../ops/check.ts';
import * as reference from '../reference.ts';
import * as sparse from './sparse.ts';

export const study = {
  method,
  without: 'it codes the h of a trained encoder: test/slow/sparse.deno.test.ts trains it',
} satisfies MethodStudy<typeof method>;

test('saeLoss: value and gradients', async () => {
  for (const [N, d] of [
    [1, 1],
    [2, 3],
    [9, 8],
    [65, 33],
  ])
    for (const alpha of [0, 1 / 32, 2])
      await checkOp({
        inputs: { x: { shape: [N, d], gradient: false }, predicted: [N, d], revived: [N, d] },
        build: ({ x, predicted, revived }) => saeLoss(x, predicted, revived, { alpha }),
        reference: ({ x, predicted, revived }) => sparse.sae(x, predicted, revived, alpha),
        what: `${N} x ${d}, alpha ${alpha}`,
        // One row has no variance: the quotient is a million.
        ...(N === 1 && { abs: 0.1 }),
      });
});

/** The reference of a whole update: what is kept of the batch, nested prefixes, and what dead latents say. */
const expected =
  ({ k, groups = 1, deadEpochs = 1 }: Record<'k', number> & { groups?: number; deadEpochs?: number }) =>
  (x: reference.Ref, weights: sparse.Weights, idle: Float32Array) => {
    const a = sparse.activations(x, weights);
    const [N, m] = a.shape;
    const flat = reference.keepLargest(reference.reshape(a, [N * m]), Math.min(k * N, N * m));
    const f = reference.reshape(flat, [N, m]);
    const predictedBy = (count: number) => {
      const first = reference.leaf(
        [m],
        Float64Array.from({ length: m }, (_, j) => Number(j < count)),
      );
      return sparse.decode(reference.mul(f, first), weights);
    };
    const revived = sparse.revivedBy(a, idle, deadEpochs * sparse.EPOCH, weights);
    let loss = sparse.sae(x, predictedBy(m), revived);
    for (let g = 1; g < groups; g++) {
      const count = Math.floor((m * (2 ** g - 1)) / 2 ** groups);
      loss = reference.add(loss, sparse.squaredError(x, predictedBy(count)));
    }
    return loss;
  };

for (const [N, d, m] of [
  [1, 4, 8],
  [9, 7, 16],
  [33, 16, 65],
])
  test(`an update of ${N} rows of ${d} by ${m} latents: none dead, some, all; nested prefixes`, async () => {
    const base = { N, d, m };
    const check = (what: string, own: Record<string, number>, idle?: (j: number) => number) => {
      const hyperparameters = { k: 3, deadEpochs: 1, ...own };
      return sparse.checkUpdate(method, {
        ...{ ...base, hyperparameters, idle, what },
        expected: expected({ k: 3, ...own }),
      });
    };
    await check('none dead', {});
    await check('some dead', {}, (j) => (j % 3 ? 0 : sparse.EPOCH));
    await check('all dead', {}, () => sparse.EPOCH);
    await check('3 groups', { groups: 3 }, (j) => (j % 2 ? 50 : 150));
    await check('all kept', { k: m });
  });

test('edges: equal rows, rows of zeros, two rows, more than all latents', async () => {
  const all = { N: 6, d: 5, m: 12, hyperparameters: { k: 2, deadEpochs: 1 }, expected: expected({ k: 2 }) };
  await sparse.checkUpdate(method, { ...all, x: (_, i) => 0.5 * i - 1, what: 'equal rows' });
  await sparse.checkUpdate(method, { ...all, x: () => 0, what: 'zero rows' });
  await sparse.checkUpdate(method, { ...all, N: 2, what: 'two rows' });
  const many = { hyperparameters: { k: 50, deadEpochs: 1 }, expected: expected({ k: 50 }) };
  await sparse.checkUpdate(method, { ...all, ...many, what: 'k above m' });
});

test('after an update: unit rows, latents that idle, and a threshold that follows the smallest kept latent', async () => {
  const gpu = await device();
  const [N, d, m, k] = [24, 6, 16, 2];
  const draw = random(freshSeed());
  const hyperparameters = { ...defaultsOf(method.hyperparameters), latents: m, k };
  const setting = { width: d, count: 100, center: new Float32Array(d), seed: 3, hyperparameters };
  const recipe = buildMethod(method, setting);
  const x = variable([N, d], { initial: draw.normal(N * d) });
  const [encoder, encoderBias, decoder, bias] = recipe.parameters!;
  const [threshold, idle] = recipe.state!;
  for (const v of [decoder, encoder]) writeVariable(gpu, v, draw.normal(d * m));
  // One latent never fires.
  const biases = Float32Array.from({ length: m }, (_, j) => (j === 3 ? -1e3 : 0));
  writeVariable(gpu, encoderBias, biases);
  writeVariable(gpu, threshold, Float32Array.of(0.25));
  writeVariable(gpu, idle, new Float32Array(m).fill(7));
  const rate = scalar();
  const step = await compile(
    gpu,
    ({ rate }) => {
      const loss = recipe.loss({ x, step: 0 });
      recipe.after!({ rate });
      return { loss };
    },
    { inputs: { rate }, warmUp: false },
  );
  await step.run({ rate: 0.1 });
  const leaves = [];
  for (const v of [encoder, encoderBias, decoder, bias])
    leaves.push(reference.leaf(v.shape, (await readVariable(gpu, v)) as Float32Array));
  const given = reference.leaf([N, d], (await readVariable(gpu, x)) as Float32Array);
  const a = sparse.activations(given, leaves as unknown as sparse.Weights).data;
  const least = Float64Array.from(a)
    .sort()
    .at(-k * N)!;
  close(await readVariable(gpu, threshold), [0.25 + 0.1 * (least - 0.25)], { rel: 1e-5 });
  const fired = Array.from({ length: m }, (_, j) => a.some((value, i) => i % m === j && value >= least));
  assert.ok(fired.includes(false) && fired.includes(true));
  close(
    await readVariable(gpu, idle),
    fired.map((did) => (did ? 0 : 7 + N)),
    { rel: 0, abs: 0 },
  );
  const rows = (await readVariable(gpu, decoder)) as Float32Array;
  for (let j = 0; j < m; j++) close([Math.hypot(...rows.subarray(j * d, (j + 1) * d))], [1], { rel: 1e-6 });
  // Nothing fires: the threshold stays.
  writeVariable(gpu, encoderBias, new Float32Array(m).fill(-1e3));
  const before = await readVariable(gpu, threshold);
  await step.run({ rate: 1 });
  close(await readVariable(gpu, threshold), before, { rel: 0, abs: 0 });
  step.dispose();
  freeVariables(gpu, [x, encoder, encoderBias, decoder, bias, threshold, idle]);
});

test(
  'it finds the atoms that rows are made of: MMCS at least .95',
  async () => {
    const { found, l0, fvu } = await sparse.learnsAtoms(method, { hyperparameters: { k: 3 } });
    assert.ok(found >= 0.95, `MMCS ${found}`);
    assert.ok(Math.abs(l0 - 3) < 0.3 && fvu < 0.15, `L0 ${l0}, FVU ${fvu}`);
  },
  { training: true, timeout: 180_000 },
);

test('errors', () => {
  const x = input([4, 3]);
  throws(() => saeLoss(x, input([4, 2]), x), /saeLoss: expected rows of one shape, got \[4, 3\],\[4, 2\]/);
  throws(() => saeLoss(x, x, input([12])), /saeLoss: .*"revived"/);
  throws(() => saeLoss(x, x, x, { alpha: -1 }), /saeLoss: .*"alpha"/);
  const setting = { width: 3, count: 10, center: new Float32Array(3), seed: 1, hyperparameters: {} };
  throws(() => buildMethod(method, { ...setting, center: new Float32Array(2) }), /"center"/);
  throws(() => buildMethod(method, { ...setting, width: 0 }), /"width"/);
});
