import { grad } from '../../src/graph/gradient.ts';
import { input } from '../../src/graph/tensor.ts';
import { softplusPairs } from '../../src/ops/softplus_pairs.ts';
import { compile } from '../../src/runtime/compile.ts';
import { device, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp } from './check.ts';

const dense = ({ a, b, bias }: Record<'a' | 'b' | 'bias', reference.Ref>) =>
  reference.sum(reference.softplus(reference.add(reference.matmul(a, reference.transpose(b)), bias)));

for (const [M, N, D] of [
  [1, 1, 1],
  [2, 2, 3],
  [7, 9, 8],
  [64, 65, 16],
  [129, 63, 33],
  [511, 513, 5],
  [1030, 700, 4],
])
  test(`[${M}, ${D}] and [${N}, ${D}]: value and gradients, those of the bias too`, async () => {
    for (const bias of [-10, 0.5])
      await checkOp({
        inputs: { a: [M, D], b: [N, D], bias: { shape: [1], values: [bias] } },
        build: ({ a, b, bias }) => softplusPairs(a, b, bias),
        reference: dense,
        rel: 2e-5,
        what: `bias ${bias}`,
      });
  });

/** As above, with softplus(-x) for the pairs i = j. */
function pairwise({ a, b, bias }: Record<'a' | 'b' | 'bias', reference.Ref>) {
  const [N] = a.shape;
  const signs = reference.leaf(
    [N, N],
    Float64Array.from({ length: N * N }, (_, k) => (k % (N + 1) ? 1 : -1)),
  );
  const logits = reference.add(reference.matmul(a, reference.transpose(b)), bias);
  return reference.sum(reference.softplus(reference.mul(logits, signs)));
}

for (const [N, D] of [
  [1, 1],
  [2, 3],
  [65, 16],
  [513, 5],
  [1030, 4],
])
  test(`paired [${N}, ${D}]: value and gradients, those of the bias too`, async () => {
    for (const bias of [-10, 0.5])
      await checkOp({
        inputs: { a: [N, D], b: [N, D], bias: { shape: [1], values: [bias] } },
        build: ({ a, b, bias }) => softplusPairs(a, b, bias, { paired: true }),
        reference: pairwise,
        rel: 2e-5,
        what: `bias ${bias}`,
      });
  });

test('pairs of large similarity keep the digits of their small terms', () =>
  checkOp({
    inputs: {
      a: { shape: [2, 2], values: [10, 0, 0, 10] },
      b: { shape: [2, 2], values: [9, -4, -5, 10.1] },
      bias: { shape: [1], values: [-78.5] },
    },
    build: ({ a, b, bias }) => softplusPairs(a, b, bias, { paired: true }),
    reference: pairwise,
    rel: 1e-5,
  }));

test('rows of zeros, equal rows, and similarities far from 0', async () => {
  const shapes = { b: [5, 4], bias: { shape: [1], values: [-3] } };
  for (const [what, values] of Object.entries({
    zeros: new Array(20).fill(0),
    equal: Array.from({ length: 20 }, (_, i) => i % 4),
    large: Array.from({ length: 20 }, (_, i) => 40 * Math.cos(i)),
  }))
    await checkOp({
      inputs: { a: { shape: [5, 4], values }, ...shapes },
      build: ({ a, b, bias }) => softplusPairs(a, b, bias),
      reference: dense,
      what,
    });
});

test('memory grows with the rows, not with their square', async () => {
  const plannedAt = async (N: number) => {
    const inputs = { a: input([N, 32]), b: input([N, 32]), bias: input([1]) };
    const build = ({ a, b, bias }: typeof inputs) => {
      const y = softplusPairs(a, b, bias);
      const [da, db, dbias] = grad(y, [a, b, bias]);
      return { y, da, db, dbias };
    };
    const step = await compile(await device(), build, { inputs, warmUp: false });
    step.dispose();
    return step.stats.plannedBytes;
  };
  const [half, full] = [await plannedAt(4096), await plannedAt(8192)];
  if (full > (4 * 8192 ** 2) / 4) throw new Error(`${full} bytes planned, N^2 is ${4 * 8192 ** 2}`);
  if (full > 2.2 * half) throw new Error(`${half} bytes at 4096, ${full} at 8192`);
});

test('errors', () => {
  const [a, bias] = [input([4, 3]), input([1])];
  throws(() => softplusPairs(a, input([4, 2]), bias), /softplusPairs: expected \[M, D\], \[N, D\] and \[1\]/);
  throws(() => softplusPairs(a, a, input([2])), /softplusPairs: .*got \[4, 3\], \[4, 3\], \[2\]/);
  throws(() => softplusPairs(a, input([4, 3], 'u32'), bias), /softplusPairs: .*"b"/);
  throws(() => softplusPairs(a, input([5, 3]), bias, { paired: true }), /softplusPairs: .*got 4 and 5/);
  throws(() => softplusPairs(a, a, 1 as never), /softplusPairs: .*"bias"/);
});
