import { grad } from '../../src/graph/gradient.ts';
import { constant, constantValue, input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import * as ops from '../../src/ops/binary.ts';
import { close, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

const ours = { ...ops };
const theirs = { ...reference };

const names = ['add', 'sub', 'mul', 'div', 'minimum', 'maximum'] as const;
/** Away from zero on both sides, for div. */
const values = (draw: { normal: (n: number) => Float32Array }, n: number) =>
  draw.normal(n).map((v) => v + 0.5 * Math.sign(v));

const shapes: [a: number[], b: number[]][] = [
  [[7], [7]],
  [[64], [64]],
  [
    [3, 343],
    [3, 343],
  ],
  [[5, 8], [8]],
  [[8], [5, 8]],
  [
    [5, 8],
    [5, 1],
  ],
  [
    [5, 1],
    [5, 8],
  ],
  [
    [5, 8],
    [1, 8],
  ],
  [
    [5, 1],
    [1, 8],
  ],
  [
    [1, 12],
    [5, 1],
  ],
  [[5, 7], [7]],
  [
    [5, 7],
    [5, 1],
  ],
  [[5, 7], []],
  [[1], [3, 3]],
  [[2, 3, 4, 4], [4]],
  [
    [2, 3, 4, 4],
    [3, 1, 1],
  ],
  [
    [2, 3, 4, 5],
    [2, 1, 4, 1],
  ],
  [
    [2, 1, 4, 1],
    [1, 3, 1, 5],
  ],
  [
    [2, 3, 1, 2, 2, 3],
    [1, 2, 2, 3],
  ],
];

for (const name of names) {
  test(name, async () => {
    for (const [a, b] of name === 'mul' ? shapes : shapes.filter((_, i) => i % 3 !== 1)) {
      await checkOp({
        inputs: { a: { shape: a, values }, b: { shape: b, values } },
        build: (t) => ours[name](t.a, t.b),
        reference: (r) => theirs[name](r.a, r.b),
        what: `[${a}] [${b}]`,
      });
    }
  });
  test(`${name} with numbers`, async () => {
    for (const shape of [[5], [3, 4]]) {
      for (const n of [0, 1, -0.75]) {
        if (n === 0 && name === 'div') continue;
        const { dispatches } = await checkOp({
          inputs: { x: { shape, values } },
          build: (t) => ours[name](t.x, n),
          reference: (r) => theirs[name](r.x, n),
          what: `x, ${n}`,
        });
        if (dispatches > 3) throw new Error(`expected at most 3 dispatches, got ${dispatches}`);
        await checkOp({
          inputs: { x: { shape, values } },
          build: (t) => ours[name](n, t.x),
          reference: (r) => theirs[name](n, r.x),
          what: `${n}, x`,
        });
      }
    }
  });
}

test('one tensor on both sides', async () => {
  for (const name of names) {
    await checkOp({
      inputs: { x: { shape: [9], values } },
      build: ({ x }) => ours[name](x, x),
      reference: ({ x }) => theirs[name](x, x),
      what: name,
    });
  }
});

test('a number of the step lies in the uniform block, and can be differentiated', async () => {
  const { y, ds } = await evaluate(
    { x: input([3]), s: scalar() },
    ({ x, s }) => {
      const y = ops.mul(x, s);
      return { y, ds: grad(y, [s], constant(1, [3]))[0] };
    },
    { x: [1, 2, 3], s: 4 },
  );
  close(y, [4, 8, 12]);
  close(ds, [6]);
});

test('what is trivial is no work', () => {
  const x = input([3, 4]);
  const same = [ops.add(x, 0), ops.add(0, x), ops.sub(x, 0), ops.mul(x, 1), ops.mul(1, x), ops.div(x, 1)];
  for (const [i, y] of same.entries()) if (y !== x) throw new Error(`case ${i} is not its operand`);
  close([constantValue(ops.mul(x, 0))!, constantValue(ops.div(0, x))!], [0, 0]);
  const folded = ops.add(ops.mul(constant(3, [2, 1]), constant(2, [4])), 1);
  close([constantValue(folded)!, ...folded.shape], [7, 2, 4]);
  const wide = ops.add(input([4]), constant(0, [3, 1]));
  close(wide.shape, [3, 4]);
});

test('add and mul run in place', async () => {
  const { y } = await evaluate(
    { a: input([5]), b: input([5]) },
    ({ a, b }) => ({ y: ops.mul(ops.add(ops.sub(a, b), b), ops.sub(b, a)) }),
    { a: [1, 2, 3, 4, 5], b: [5, 4, 3, 2, 2] },
  );
  close(y, [4, 4, 0, -8, -15]);
});

test('comparisons', async () => {
  const { g, ge, l, le, e, all } = await evaluate(
    { a: input([4]), b: input([4]) },
    ({ a, b }) => ({
      g: ops.greater(a, b),
      ge: ops.greaterEqual(a, b),
      l: ops.less(a, b),
      le: ops.lessEqual(a, b),
      e: ops.equal(a, b),
      all: ops.greater(a, 2),
    }),
    { a: [1, 2, 3, -1], b: [1, 3, 2, -1] },
  );
  const rows: [Float32Array, number[]][] = [
    [g, [0, 0, 1, 0]],
    [ge, [1, 0, 1, 1]],
    [l, [0, 1, 0, 0]],
    [le, [1, 1, 0, 1]],
    [e, [1, 0, 0, 1]],
    [all, [0, 0, 1, 0]],
  ];
  for (const [ours, theirs] of rows) close(ours, theirs);
});

type Side = readonly number[] | number;
const choices: [condition: number[], a: Side, b: Side][] = [
  [[37], [37], [37]],
  [[3, 5], [5], [3, 1]],
  [[4, 1], [4, 8], 0],
  [[6], 2, [6]],
  [[6], 2, -3],
  [[3, 1], 2, -3],
  [[2, 1, 3], [2, 4, 1], 5],
  [[4], [2, 4], [1]],
];
for (const dtype of ['f32', 'u32'] as const) {
  test(`select, ${dtype} condition`, async () => {
    for (const [condition, a, b] of choices) {
      const sides: Record<string, readonly number[]> = {};
      if (typeof a !== 'number') sides.a = a;
      if (typeof b !== 'number') sides.b = b;
      await checkOp<string>({
        inputs: {
          c: { shape: condition, dtype, gradient: false, values: (draw, n) => draw.integers(n, 0, 2) },
          ...sides,
        },
        build: (t) => ops.select(t.c, typeof a === 'number' ? a : t.a, typeof b === 'number' ? b : t.b),
        reference: (r) =>
          reference.select(r.c, typeof a === 'number' ? a : r.a, typeof b === 'number' ? b : r.b),
        what: `[${condition}]`,
      });
    }
  });
}

test('select keeps what is not chosen out of the gradient', async () => {
  const { dx, y } = await evaluate(
    { c: input([3]), x: input([3]) },
    ({ c, x }): Record<string, Tensor> => {
      const y = ops.select(c, ops.div(1, x), -Infinity);
      return { y, dx: grad(ops.select(c, x, 7), [x], constant(1, [3]))[0] };
    },
    { c: [1, 0, -0], x: [2, 0, 0] },
  );
  close(y, [0.5, -Infinity, -Infinity]);
  close(dx, [1, 0, 0]);
});

test('errors name the op', () => {
  throws(() => ops.add(input([3]), input([4])), /add: expected shapes that broadcast, got \[3\] and \[4\]/);
  throws(() => ops.mul(input([3], 'u32'), 2), /mul: expected an f32 tensor for "a", got u32 \[3\]/);
  throws(() => ops.select(input([3]), input([2]), 0), /select: expected shapes that broadcast/);
  throws(() => ops.select(input([4], 'u8'), 1, 0), /select: expected an f32 or u32 condition/);
});
