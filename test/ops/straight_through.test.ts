import { grad } from '../../src/graph/gradient.ts';
import { input } from '../../src/graph/tensor.ts';
import { mul } from '../../src/ops/binary.ts';
import { sum } from '../../src/ops/reduce.ts';
import { straightThrough } from '../../src/ops/straight_through.ts';
import { close, freshSeed, random, test, throws } from '../harness.ts';
import { evaluate } from './check.ts';

for (const n of [1, 7, 64, 65, 1023]) {
  test(`straightThrough: the bits of hard, the gradient to soft: ${n}`, async () => {
    const r = random(freshSeed());
    // soft + (hard - soft) would lose all bits of hard.
    const soft = r.normal(n).map((v) => 1e9 * v);
    const [hard, w] = [r.normal(n).map((v) => 1e-3 * v), r.normal(n)];
    const found = await evaluate(
      { hard: input([n]), soft: input([n]), w: input([n]) },
      ({ hard, soft, w }) => {
        const y = straightThrough(hard, soft);
        const [ofHard, ofSoft] = grad(sum(mul(y, w)), [hard, soft]);
        return { y, ofHard, ofSoft };
      },
      { hard, soft, w },
    );
    close(new Uint32Array(found.y.buffer), new Uint32Array(hard.buffer), { rel: 0, abs: 0 });
    close(found.ofHard, new Float32Array(n), { rel: 0, abs: 0 });
    close(found.ofSoft, w, { rel: 0, abs: 0 });
  });
}

test('hard that is computed from soft: all gradient goes to soft, once', async () => {
  const found = await evaluate(
    { x: input([3]) },
    ({ x }) => ({ dx: grad(sum(straightThrough(mul(x, 5), x)), [x])[0] }),
    { x: [1, 2, 3] },
  );
  close(found.dx, [1, 1, 1]);
});

test('errors of straightThrough', () => {
  throws(
    () => straightThrough(input([2]), input([3])),
    /straightThrough: expected "soft" \[2\] like "hard", got \[3\]/,
  );
  throws(
    () => straightThrough(input([2], 'u32'), input([2])),
    /straightThrough: expected an f32 tensor for "hard"/,
  );
});
