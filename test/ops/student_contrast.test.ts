import { input, scalar } from '../../src/graph/tensor.ts';
import { mean } from '../../src/ops/reduce.ts';
import { studentContrast } from '../../src/ops/student_contrast.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

const exact = { rel: 0, abs: 0 };

for (const [N, D, pairOffset] of [
  [2, 1, 1],
  [2, 2, 1],
  [3, 2, 2],
  [7, 3, 3],
  [8, 4, 4],
  [9, 5, 20],
  [63, 2, 31],
  [64, 2, 32],
  [65, 2, 64],
  [130, 8, 65],
  [512, 2, 256],
])
  test(`rows [${N}, ${D}], pairs ${pairOffset} apart, of 0.3, 1 and 40 degrees of freedom`, async () => {
    for (const nu of [0.3, 1, 40])
      await checkOp({
        inputs: { x: { shape: [N, D], values: (draw, n) => draw.normal(n).map((v) => 2 * v) } },
        build: ({ x }) => studentContrast(x, { nu, pairOffset }),
        reference: ({ x }) => reference.studentContrast(x, nu, pairOffset),
        rel: 2e-5,
        what: `nu ${nu}`,
      });
  });

test('close rows far from the origin, and rows far apart, keep their digits', async () => {
  const [N, D] = [40, 2];
  const check = (what: string, values: (draw: ReturnType<typeof random>, n: number) => Float32Array) =>
    checkOp({
      inputs: { x: { shape: [N, D], values } },
      build: ({ x }) => studentContrast(x, { pairOffset: 20 }),
      reference: ({ x }) => reference.studentContrast(x, 1, 20),
      rel: 2e-5,
      // Pulls of close rows are as short as their distances.
      abs: 1e-9,
      what,
    });
  await check('close', (draw, n) => draw.normal(n).map((v) => 100 + 1e-3 * v));
  await check('far', (draw, n) => draw.normal(n).map((v) => 1e4 * v));
  await check('a few pairs close, all else far', (draw, n) => {
    const far = draw.normal(n).map((v) => 1e3 * v);
    const near = draw.normal(n);
    return far.map((_, i) => far[i % (n / 2)] + 1e-2 * near[i]);
  });
});

test('rows that coincide: log(N - 1), and no gradient; two rows have only each other', async () => {
  for (const [N, D] of [
    [2, 2],
    [9, 3],
    [64, 2],
  ]) {
    const x = Float32Array.from({ length: N * D }, (_, i) => [0.7, -3, 1e3][i % D]);
    for (const values of [x, new Float32Array(N * D)])
      await checkOp({
        inputs: { x: { shape: [N, D], values } },
        build: ({ x }) => studentContrast(x, { pairOffset: 1 }),
        reference: ({ x }) => reference.studentContrast(x, 1, 1),
        abs: 0,
        what: `[${N}, ${D}]`,
      });
  }
  const two = random(freshSeed()).normal(4);
  const { y } = await evaluate(
    { x: input([2, 2]) },
    ({ x }) => ({ y: studentContrast(x, { pairOffset: 1 }) }),
    {
      x: two,
    },
  );
  close(y, [0, 0], exact);
});

test('nu as a scalar input, the same bits again, and what is weighted by a cotangent', async () => {
  const [N, D] = [33, 2];
  const x = random(freshSeed()).normal(N * D);
  const inputs = { x: input([N, D]), nu: scalar() };
  const build = ({ x, nu }: typeof inputs) => ({ y: mean(studentContrast(x, { nu, pairOffset: 16 })) });
  const [first, again] = [
    await evaluate(inputs, build, { x, nu: 3 }),
    await evaluate(inputs, build, { x, nu: 3 }),
  ];
  close(first.y, again.y, exact);
  const fixed = await evaluate(
    { x: input([N, D]) },
    ({ x }) => ({ y: mean(studentContrast(x, { nu: 3, pairOffset: 16 })) }),
    { x },
  );
  close(fixed.y, first.y, exact);
});

test('errors of studentContrast', () => {
  const x = input([4, 2]);
  throws(() => studentContrast(input([1, 2]), { pairOffset: 1 }), /studentContrast: expected 2 rows or more/);
  throws(() => studentContrast(input([4]), { pairOffset: 1 }), /studentContrast: expected .*"x"/);
  for (const pairOffset of [0, 4, 8, -1, 0.5])
    throws(
      () => studentContrast(x, { pairOffset }),
      /studentContrast: expected a whole pairOffset .* 4 rows/,
    );
  throws(() => studentContrast(x, { pairOffset: 1, nu: 0 }), /studentContrast: expected .*"nu", got 0/);
});
