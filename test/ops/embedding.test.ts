import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { input, variable } from '../../src/graph/tensor.ts';
import { embedding } from '../../src/ops/embedding.ts';
import { gather } from '../../src/ops/shape.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

test('rows of a table and their gradient', async () => {
  for (const [V, D, N] of [
    [1, 4, 2],
    [5, 3, 9],
    [7, 8, 65],
    [64, 1, 3],
    [255, 5, 127],
    [256, 4, 128],
    [257, 4, 129],
    [600, 12, 300],
  ])
    await checkOp({
      inputs: {
        table: [V, D],
        ids: { shape: [N], dtype: 'u32', values: (draw, n) => draw.integers(n, 0, V) },
      },
      build: ({ table, ids }) => embedding(table, ids),
      reference: ({ table, ids }) => reference.gatherRows(table, ids.data),
      what: `[${V}, ${D}] by [${N}]`,
    });
});

test('large tables, ids outside of them; the bits are those of gather', async () => {
  // The last needs chunks of more than 128 ids.
  for (const [V, D, N, span] of [
    [1037, 3, 1031, 1037],
    [257, 4, 4099, 300],
    [2 ** 15, 4, 20_001, 2 ** 16],
  ]) {
    const draw = random(freshSeed());
    const ids = Uint32Array.from(draw.integers(N, 0, span));
    const [values, dy] = [draw.normal(V * D), draw.normal(N * D)];
    const found = await evaluate(
      { ids: input([1, N], 'u32'), dy: input([1, N, D]), table: input([V, D]) },
      ({ ids, dy, table }) => {
        const [y, other] = [embedding(table, ids), gather(table, ids)];
        const [d] = grad(y, [table], dy);
        return { y, other, d, ...(V * N < 2 ** 24 && { gathered: grad(other, [table], dy)[0] }) };
      },
      { ids, dy, table: values },
    );
    assert.equal(found.y, found.other);
    const expected = new Float64Array(V * D);
    for (const [n, id] of ids.entries())
      if (id < V) for (let k = 0; k < D; k++) expected[id * D + k] += dy[n * D + k];
    close(found.d, expected, { rel: 1e-6, what: `[${V}, ${D}] by [${N}]` });
    if (found.gathered) assert.equal(found.d, found.gathered);
  }
});

test('errors', () => {
  const table = variable([4, 3], { name: 'table' });
  throws(() => embedding(table, input([2])), /embedding: expected a u32 tensor for "ids"/);
  throws(() => embedding(input([4, 3, 2]), input([2], 'u32')), /an f32 tensor of 2 dimensions for "table"/);
});
