import { grad } from '../../src/graph/gradient.ts';
import { input, type Tensor } from '../../src/graph/tensor.ts';
import { averagePool2d, globalAveragePool, maxPool2d } from '../../src/ops/pool.ts';
import { relu } from '../../src/ops/unary.ts';
import { compile } from '../../src/runtime/compile.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

async function check(
  shape: number[],
  build: (x: Tensor) => Tensor,
  of: (x: reference.Ref) => reference.Ref,
  x = random(freshSeed()).normal(reference.sizeOf(shape)),
) {
  const leaf = reference.leaf(shape, x);
  const expected = of(leaf);
  const dy = random(freshSeed()).normal(expected.data.length);
  const inputs = { x: input(shape), dy: input(expected.shape) };
  const step = await compile(
    await device(),
    (t) => {
      const y = build(t.x);
      return { y, dx: grad(y, [t.x], t.dy)[0] };
    },
    { inputs },
  );
  try {
    await step.run({ x, dy });
    close(await step.read('y'), expected.data, { what: `y [${shape}]`, rel: 1e-6 });
    close(await step.read('dx'), reference.gradient(expected, [leaf], dy)[0], {
      what: `dx [${shape}]`,
      rel: 1e-6,
    });
  } finally {
    step.dispose();
  }
}

const cases: { shape: number[]; options: reference.Pool }[] = [
  { shape: [1, 1, 1, 1], options: { kernel: 1 } },
  { shape: [2, 6, 8, 4], options: { kernel: 2 } },
  { shape: [3, 7, 5, 3], options: { kernel: 2 } },
  { shape: [2, 7, 7, 8], options: { kernel: 3, stride: 2, padding: 1 } },
  { shape: [2, 9, 6, 5], options: { kernel: [3, 2], stride: [1, 3], padding: [1, 2, 0, 1] } },
  { shape: [65, 4, 4, 12], options: { kernel: 3, stride: 1, padding: 1 } },
  { shape: [1, 7, 7, 7], options: { kernel: 2, stride: 3 } },
];
for (const { shape, options } of cases) {
  const name = `[${shape}] ${JSON.stringify(options)}`;
  test(`maxPool2d ${name}`, () =>
    check(
      shape,
      (x) => maxPool2d(x, options),
      (x) => reference.maxPool2d(x, options),
    ));
  for (const countPadding of [false, true])
    test(`averagePool2d ${name}${countPadding ? ' countPadding' : ''}`, () =>
      check(
        shape,
        (x) => averagePool2d(x, { ...options, countPadding }),
        (x) => reference.averagePool2d(x, { ...options, countPadding }),
      ));
}

test('maxPool2d: the gradient goes to the first of equal values, all of them below 0', () =>
  check(
    [3, 6, 6, 4],
    (x) => maxPool2d(x, { kernel: 3, stride: 2, padding: 1 }),
    (x) => reference.maxPool2d(x, { kernel: 3, stride: 2, padding: 1 }),
    Float32Array.from(random(freshSeed()).integers(3 * 36 * 4, 0, 3), (n) => n - 5),
  ));

for (const shape of [
  [1, 1, 1, 1],
  [5, 4, 4, 32],
  [65, 3, 5, 7],
])
  test(`globalAveragePool [${shape}]`, () => check(shape, globalAveragePool, reference.globalAveragePool));

for (const { shape, options } of cases) {
  const name = `[${shape}] ${JSON.stringify(options)}`;
  test(`pools behind a relu ${name}: the gradient of the relu costs no dispatch`, async () => {
    for (const [ours, theirs] of [
      [maxPool2d, reference.maxPool2d],
      [averagePool2d, reference.averagePool2d],
    ] as const) {
      const { dispatches } = await checkOp({
        inputs: { x: shape },
        build: ({ x }) => ours(relu(x), options),
        reference: ({ x }) => theirs(reference.relu(x), options),
      });
      if (dispatches !== 3) throw new Error(`expected 3 dispatches, got ${dispatches}`);
    }
  });
}

test('pools behind a relu: what is not finite stays behind a closed gate', async () => {
  const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
  const x = [1, 0, -1, nan, inf, -inf, -0, 2];
  for (const pool of [maxPool2d, averagePool2d])
    for (const dy of [inf, nan, -1]) {
      const inputs = { x: input([1, 8, 1, 1]), dy: input([1, 8, 1, 1]) };
      const { dx, dispatches } = await evaluate(
        inputs,
        (t) => ({ dx: grad(pool(relu(t.x), { kernel: 1 }), [t.x], t.dy)[0] }),
        { x, dy: new Array(8).fill(dy) },
      );
      close(
        dx,
        x.map((v) => (v > 0 ? dy : 0)),
        { rel: 0, abs: 0, what: `${dy}` },
      );
      if (dispatches > 3) throw new Error(`${dispatches} dispatches`);
    }
});

test('pools: shapes that do not fit are named', () => {
  const x = input([2, 5, 5, 3]);
  throws(() => maxPool2d(input([5, 5]), { kernel: 2 }), /maxPool2d: expected images/);
  throws(() => averagePool2d(x, { kernel: 6 }), /averagePool2d: expected a window no larger/);
  throws(
    () => maxPool2d(x, { kernel: 2, padding: 2 }),
    /maxPool2d: expected less padding than the window \[2, 2\], got 2/,
  );
  throws(() => averagePool2d(x, { kernel: 0 }), /expected a (stride|window) of 1 or more/);
  throws(() => globalAveragePool(input([2, 3])), /globalAveragePool: expected images/);
});
