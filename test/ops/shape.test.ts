import { grad } from '../../src/graph/gradient.ts';
import { constant, constantValue, input, reshape } from '../../src/graph/tensor.ts';
import * as ops from '../../src/ops/shape.ts';
import { close, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

const count = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

test('transpose', async () => {
  const cases: [number[], number[]?][] = [
    [[3, 5]],
    [[64, 65]],
    [[127, 4]],
    [[12, 68]],
    [
      [3, 8, 20],
      [0, 2, 1],
    ],
    [
      [2, 4, 8, 4],
      [2, 3, 0, 1],
    ],
    [[2, 3, 4]],
    [
      [2, 3, 4, 5],
      [0, 2, 1, 3],
    ],
    [
      [2, 3, 4, 8],
      [0, 2, 1, 3],
    ],
    [
      [2, 3, 4, 5],
      [3, 1, 0, 2],
    ],
    [
      [2, 3, 4, 5],
      [0, 2, 3, -3],
    ],
    [
      [2, 2, 2, 2, 3],
      [0, 1, 4, 2, 3],
    ],
    [[7]],
  ];
  for (const [shape, permutation] of cases) {
    await checkOp({
      inputs: { x: shape },
      build: ({ x }) => ops.transpose(x, permutation ? { permutation } : {}),
      reference: ({ x }) =>
        reference.transpose(
          x,
          permutation?.map((a) => (a + shape.length) % shape.length),
        ),
      rel: 0,
      abs: 0,
      what: `[${shape}] by [${permutation}]`,
    });
  }
  const x = input([3, 1, 4]);
  const free = ops.transpose(x, { permutation: [1, 0, 2] });
  if (free.node.kind !== 'view') throw new Error('moving an axis of size 1 should cost nothing');
});

test('slice', async () => {
  const cases: [number[], number[], number[]][] = [
    [[9], [2], [5]],
    [
      [5, 8],
      [1, 4],
      [3, 4],
    ],
    [
      [5, 8],
      [2, 0],
      [2, 8],
    ],
    [
      [5, 7],
      [2, 0],
      [3, 7],
    ],
    [
      [5, 7],
      [1, 3],
      [-1, -1],
    ],
    [
      [3, 4, 5, 6],
      [1, 0, 2, 3],
      [2, 4, 1, 2],
    ],
    [
      [2, 3, 2, 3, 2, 3],
      [0, 1, 0, 0, 1, 0],
      [2, 2, 2, 3, 1, 3],
    ],
  ];
  for (const [shape, starts, sizes] of cases) {
    await checkOp({
      inputs: { x: shape },
      build: ({ x }) => ops.slice(x, { starts, sizes }),
      reference: ({ x }) =>
        reference.slice(
          x,
          starts,
          sizes.map((n, axis) => (n < 0 ? shape[axis] - starts[axis] : n)),
        ),
      rel: 0,
      abs: 0,
      what: `[${shape}] from [${starts}]`,
    });
  }
});

test('pad', async () => {
  const cases: [number[], number[], number[], number][] = [
    [[5], [2], [0], 0],
    [[3, 4], [0, 0], [2, 0], -1.5],
    [[3, 4], [1, 2], [0, 3], 7],
    [[2, 3, 4, 5], [0, 1, 2, 0], [0, 1, 0, 0], 0],
    [[2, 3, 4, 5], [1, 1, 1, 1], [1, 0, 1, 2], 3],
  ];
  for (const [shape, before, after, value] of cases) {
    await checkOp({
      inputs: { x: shape },
      build: ({ x }) => ops.pad(x, { before, after, value }),
      reference: ({ x }) => reference.pad(x, before, after, value),
      rel: 0,
      abs: 0,
      what: `[${shape}] by [${before}] and [${after}]`,
    });
  }
});

test('broadcastTo', async () => {
  const cases: [number[], number[]][] = [
    [[], [5]],
    [[1], [3, 3]],
    [[8], [5, 8]],
    [[7], [5, 7]],
    [
      [5, 1],
      [5, 7],
    ],
    [
      [3, 1, 4],
      [3, 5, 4],
    ],
    [
      [1, 3, 1],
      [2, 3, 5],
    ],
    [
      [3, 1, 5, 1],
      [3, 2, 5, 3],
    ],
    [
      [3, 4],
      [1, 3, 4],
    ],
  ];
  for (const [start, shape] of cases) {
    await checkOp({
      inputs: { x: start },
      build: ({ x }) => ops.broadcastTo(x, shape),
      reference: ({ x }) =>
        reference.mul(x, reference.leaf(shape, new Array(reference.sizeOf(shape)).fill(1))),
      what: `[${start}] to [${shape}]`,
    });
  }
  close([constantValue(ops.broadcastTo(constant(3), [4, 4]))!], [3]);
});

test('concatenate', async () => {
  const cases: [number[][], number][] = [
    [[[3], [5]], 0],
    [
      [
        [4, 8],
        [2, 8],
        [1, 8],
      ],
      0,
    ],
    [
      [
        [4, 8],
        [4, 4],
        [4, 12],
        [4, 4],
      ],
      1,
    ],
    [
      [
        [3, 5],
        [3, 1],
        [3, 2],
      ],
      -1,
    ],
    [
      [
        [2, 3, 4],
        [2, 1, 4],
      ],
      1,
    ],
    [[[1], [2], [3], [4], [5], [6]], 0],
    [[[3, 3]], 0],
  ];
  for (const [shapes, axis] of cases) {
    const names = shapes.map((_, i) => `x${i}`);
    await checkOp({
      inputs: Object.fromEntries(names.map((name, i) => [name, shapes[i]])),
      build: (t) =>
        ops.concatenate(
          names.map((name) => t[name]),
          { axis },
        ),
      reference: (r) =>
        reference.concatenate(
          names.map((name) => r[name]),
          axis,
        ),
      rel: 0,
      abs: 0,
      what: shapes.map((s) => `[${s}]`).join(' '),
    });
  }
});

test('gather', async () => {
  for (const [V, D, N] of [
    [5, 3, 9],
    [7, 8, 65],
    [64, 1, 3],
    [1, 4, 2],
  ]) {
    await checkOp({
      inputs: {
        table: [V, D],
        ids: { shape: [N], dtype: 'u32', values: (draw, n) => draw.integers(n, 0, V) },
      },
      build: ({ table, ids }) => ops.gather(table, ids),
      reference: ({ table, ids }) => reference.gatherRows(table, ids.data),
      what: `[${V}, ${D}] by [${N}]`,
    });
  }
});

test('an id outside of the table gives zeros and no gradient', async () => {
  const { y, d } = await evaluate(
    { table: input([2, 4]), ids: input([2, 2], 'u32') },
    ({ table, ids }) => {
      const y = ops.gather(table, ids);
      close(y.shape, [2, 2, 4]);
      return { y, d: grad(y, [table], constant(1, y.shape))[0] };
    },
    { table: count(8), ids: [1, 2, 0xffffffff, 1] },
  );
  close(y, [5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 5, 6, 7, 8]);
  close(d, [0, 0, 0, 0, 2, 2, 2, 2]);
});

test('u32 words move as they are', async () => {
  // As floats these are NaN, infinity and denormal: nothing may be computed with them.
  const x = [0xffffffff, 0x7f800001, 1, 0x80000000, 5, 0xff800000];
  const found = await evaluate(
    { x: input([2, 3], 'u32'), ids: input([2], 'u32') },
    ({ x, ids }) => ({
      t: ops.transpose(x),
      s: ops.slice(x, { starts: [0, 1], sizes: [2, 2] }),
      c: ops.concatenate([x, x], { axis: 1 }),
      g: ops.gather(x, ids),
      p: ops.pad(x, { before: [0, 0], after: [0, 1], value: 9 }),
      b: ops.broadcastTo(reshape(x, [2, 1, 3]), [2, 2, 3]),
    }),
    { x, ids: [1, 0] },
  );
  const [a, b, c, d, e, f] = x;
  close(found.t, [a, d, b, e, c, f]);
  close(found.s, [b, c, e, f]);
  close(found.c, [a, b, c, a, b, c, d, e, f, d, e, f]);
  close(found.g, [d, e, f, a, b, c]);
  close(found.p, [a, b, c, 9, d, e, f, 9]);
  close(found.b, [a, b, c, a, b, c, d, e, f, d, e, f]);
});

test('errors name the op', () => {
  const x = input([2, 3]);
  throws(() => ops.transpose(x, { permutation: [0] }), /transpose: expected a permutation of 2 axes/);
  throws(() => ops.transpose(x, { permutation: [0, 0] }), /transpose: expected different axes/);
  throws(() => ops.slice(x, { starts: [0, 2], sizes: [2, 2] }), /slice: expected a block inside \[2, 3\]/);
  throws(() => ops.pad(x, { before: [0], after: [0, 0] }), /pad: expected 2 counts/);
  throws(() => ops.broadcastTo(x, [3, 3]), /broadcastTo: expected a shape that broadcasts to \[3, 3\]/);
  throws(() => ops.broadcastTo(input([3, 1, 5, 1]), [2, 3, 2, 5, 3]), /expected at most 4 axes/);
  throws(() => ops.concatenate([x, input([3, 2])]), /concatenate: expected f32 \[2, 3\] but for axis 0/);
  throws(() => ops.concatenate([]), /concatenate: expected at least one/);
  throws(() => ops.gather(x, input([2])), /gather: expected u32 ids/);
  throws(
    () => ops.slice(input([4], 'u8'), { starts: [0], sizes: [2] }),
    /slice: expected an f32 or u32 tensor/,
  );
});
