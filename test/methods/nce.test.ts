import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { input, scalar } from '../../src/graph/tensor.ts';
import { nce, nceLoss } from '../../src/methods/nce.ts';
import { add } from '../../src/ops/binary.ts';
import { compile } from '../../src/runtime/compile.ts';
import type { MethodStudy } from '../../src/studies/method_study.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import { checkOp, evaluate } from '../ops/check.ts';
import * as reference from '../reference.ts';

export const study = {
  method: nce,
  without: 'it fits densities of points on the plane: test/slow/density.deno.test.ts trains it',
} satisfies MethodStudy<typeof nce>;

test('value and gradients', async () => {
  for (const [N, M] of [
    [1, 1],
    [3, 15],
    [64, 65],
    [257, 100],
  ])
    await checkOp({
      inputs: { a: [N], b: [M], c: [N], d: [M] },
      build: ({ a, b, c, d }) => nceLoss(a, b, c, d),
      reference: ({ a, b, c, d }) => reference.nce([a, c], [b, d], M / N),
      what: `${N} and ${M}`,
    });
});

test('log densities far apart: a straight line, finite', async () => {
  const { loss, da } = await evaluate(
    { a: input([2]), zero: input([2]) },
    ({ a, zero }) => {
      const loss = nceLoss(a, zero, zero, zero, { k: 1 });
      return { loss, da: grad(loss, [a])[0] };
    },
    { a: [-2000, 2000], zero: [0, 0] },
  );
  close(loss, [1000 + Math.log(2)], { rel: 1e-6 });
  close(da, [-0.5, 0], { abs: 1e-6 });
});

test('where model and noise agree, nothing pulls at the constant: without log k it would go off by log k', async () => {
  const [N, k] = [400, 5];
  const draw = random(freshSeed());
  const log = draw.normal(N);
  const noise = Float32Array.from({ length: k * N }, (_, i) => log[i % N]);
  const step = await compile(
    await device(),
    ({ c, data, noise }) => {
      const loss = nceLoss(add(data, c), add(noise, c), data, noise, { k });
      const off = nceLoss(add(data, c), add(noise, c), data, noise, { k: 1 });
      return { loss, dc: grad(loss, [c])[0], off: grad(off, [c])[0] };
    },
    { inputs: { c: input([1]), data: input([N]), noise: input([k * N]) } },
  );
  await step.run({ c: Float32Array.of(0), data: log, noise });
  close(await step.read('loss'), [(k + 1) * Math.log(k + 1) - k * Math.log(k)], { rel: 1e-5 });
  close(await step.read('dc'), [0], { abs: 1e-5 });
  for (const [c, sign] of [
    [1, 1],
    [-1, -1],
  ]) {
    await step.run({ c: Float32Array.of(c), data: log, noise });
    assert.ok((await step.read('dc'))[0] * sign > 0.1, `at c = ${c}`);
  }
  step.dispose();
});

test('errors', () => {
  const [n, m] = [input([4]), input([8])];
  throws(() => nceLoss(n, m, m, m), /nceLoss: expected log densities \[N\] and \[N\], got \[4\] and \[8\]/);
  throws(() => nceLoss(n, scalar(), n, scalar()), /nceLoss/);
});
