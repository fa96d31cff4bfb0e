import { grad } from '../../src/graph/gradient.ts';
import { input, scalar } from '../../src/graph/tensor.ts';
import { dropout } from '../../src/ops/dropout.ts';
import { threefry, unit } from '../../src/ops/random.ts';
import { close, freshSeed, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

/** What each element is multiplied by. */
function factors(n: number, rate: number, seed: number, step: number, stream = 0): Float64Array {
  const [a, b] = threefry(seed, stream, step, 2);
  const keep = (i: number) => unit(threefry(a, b, Math.floor(i / 2), 0)[i % 2]) >= Math.fround(rate);
  return Float64Array.from({ length: n }, (_, i) => (keep(i) ? 1 / (1 - rate) : 0));
}

for (const shape of [[1], [7], [3, 5, 7, 3], [64, 65]])
  test(`dropout [${shape}]`, async () => {
    const options = { rate: 0.3, seed: freshSeed(), step: 7, stream: 3 };
    const n = reference.sizeOf(shape);
    const { dispatches } = await checkOp({
      inputs: { x: shape },
      build: ({ x }) => dropout(x, options),
      reference: ({ x }) => reference.mul(x, reference.leaf(shape, factors(n, 0.3, options.seed, 7, 3))),
      rel: 1e-6,
    });
    if (dispatches !== 2) throw new Error(`${dispatches} dispatches`);
  });

test('dropout: the share that is dropped; each step, stream and seed drops others', async () => {
  const n = 40_000;
  const same = (a: ArrayLike<number>, b: ArrayLike<number>) =>
    Array.from(a).filter((v, i) => (v === 0) === (b[i] === 0)).length / n;
  const given = { x: input([n]), step: scalar('u32'), rate: scalar() };
  const one = { seed: 5, step: 1, rate: 0.2 };
  const { a, again, step, stream, seed, dx } = await evaluate(
    given,
    (t) => {
      const a = dropout(t.x, { ...one, rate: t.rate, step: t.step });
      return {
        a,
        again: dropout(t.x, one),
        step: dropout(t.x, { ...one, step: 2 }),
        stream: dropout(t.x, { ...one, stream: 1 }),
        seed: dropout(t.x, { ...one, seed: 6 }),
        dx: grad(a, [t.x], t.x)[0],
      };
    },
    { x: new Float32Array(n).fill(1), step: 1, rate: 0.2 },
  );
  close(a, again, { rel: 1e-6 });
  close(dx, a, { rel: 0, abs: 0 });
  // Four standard deviations.
  const dropped = a.filter((v) => v === 0).length / n;
  if (Math.abs(dropped - 0.2) > 0.008) throw new Error(`${dropped} dropped`);
  for (const other of [step, stream, seed]) {
    const share = same(a, other);
    if (Math.abs(share - 0.68) > 0.01) throw new Error(`${share} alike`);
  }
});

test('dropout: what is dropped is 0, whatever it was', async () => {
  const x = new Float32Array(8).fill(Number.NaN);
  const { y } = await evaluate(
    { x: input([8]) },
    (t) => ({ y: dropout(t.x, { rate: 0.5, seed: 1, step: 0 }) }),
    { x },
  );
  const expected = factors(8, 0.5, 1, 0).map((v) => (v ? Number.NaN : 0));
  if (`${y}` !== `${expected}`) throw new Error(`${y}, expected ${expected}`);
});

test('dropout: what does not fit is named', () => {
  const x = input([3]);
  throws(
    () => dropout(x, { rate: 1, seed: 1, step: 0 }),
    /dropout: expected a number .*0.999.*"rate", got 1/,
  );
  throws(() => dropout(x, { rate: 0.1, seed: 1 } as never), /dropout: .*"step", got undefined/);
  throws(() => dropout(x, { rate: 0.1, seed: 1.5, step: 0 }), /dropout: .*"seed", got 1.5/);
  if (dropout(x, { rate: 0, seed: 1, step: 0 }) !== x) throw new Error('a rate of 0 is no identity');
});
