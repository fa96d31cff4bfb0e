import * as assert from 'uvu/assert';
import { grad } from '../../src/graph/gradient.ts';
import { constant, constantValue, input, scalar, type Tensor } from '../../src/graph/tensor.ts';
import * as ops from '../../src/ops/unary.ts';
import { close, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { checkOp, evaluate } from './check.ts';

const ours = { ...ops };
const theirs = { ...reference };

type Values = (draw: { normal: (n: number) => Float32Array }, n: number) => ArrayLike<number>;
const normal: Values = (draw, n) => draw.normal(n);
const wide: Values = (draw, n) => draw.normal(n).map((v) => 4 * v);
const positive: Values = (draw, n) => draw.normal(n).map((v) => Math.exp(v));
/** Far enough from a kink that float32 and float64 are on the same side. */
const apart: Values = (draw, n) => draw.normal(n).map((v) => v + Math.sign(v) * 1e-3);

type Row = [name: string, ours: (x: Tensor) => Tensor, theirs: (x: reference.Ref) => reference.Ref, Values];
const rows: Row[] = [
  ['neg', ops.neg, reference.neg, normal],
  ['exp', ops.exp, reference.exp, normal],
  ['log', ops.log, reference.log, positive],
  ['sqrt', ops.sqrt, reference.sqrt, positive],
  ['square', ops.square, reference.square, normal],
  ['abs', ops.abs, reference.abs, apart],
  ['power 3', (x) => ops.power(x, 3), (x) => reference.power(x, 3), normal],
  ['power -2', (x) => ops.power(x, -2), (x) => reference.power(x, -2), positive],
  ['power 1.7', (x) => ops.power(x, 1.7), (x) => reference.power(x, 1.7), positive],
  ['power 0.5', (x) => ops.power(x, 0.5), reference.sqrt, positive],
  ['clamp', (x) => ops.clamp(x, -0.5, 0.8), (x) => reference.clamp(x, -0.5, 0.8), normal],
  ['relu', ops.relu, reference.relu, apart],
  ['leakyRelu', ops.leakyRelu, (x) => reference.leakyRelu(x), apart],
  ['leakyRelu 0.2', (x) => ops.leakyRelu(x, { slope: 0.2 }), (x) => reference.leakyRelu(x, 0.2), apart],
  ['gelu', ops.gelu, reference.gelu, wide],
  ['gelu exact', (x) => ops.gelu(x, { exact: true }), (x) => reference.gelu(x, { exact: true }), wide],
  ['silu', ops.silu, reference.silu, wide],
  ['sigmoid', ops.sigmoid, reference.sigmoid, wide],
  ['tanh', ops.tanh, reference.tanh, wide],
  ['softplus', ops.softplus, reference.softplus, wide],
];
const shapes = [[], [3], [5, 7], [64], [1023], [1025], [3, 5, 7, 11]];

for (const [name, ours, theirs, values] of rows) {
  test(name, async () => {
    for (const shape of shapes) {
      await checkOp({
        inputs: { x: { shape, values } },
        build: ({ x }) => ours(x),
        reference: ({ x }) => theirs(x),
        rel: 5e-6,
        what: `[${shape}]`,
      });
    }
  });
}

test('large arguments neither overflow nor lose the small end', async () => {
  const x = [-1e30, -200, -100, -20, -10, 10, 20, 100, 200, 1e30];
  const names = ['sigmoid', 'softplus', 'tanh', 'silu', 'gelu'] as const;
  const found = await evaluate(
    { x: input([10]) },
    ({ x }) => Object.fromEntries(names.map((name) => [name, ours[name](x)])) as Record<string, Tensor>,
    { x },
  );
  for (const name of names) {
    const expected = theirs[name](reference.leaf([10], x)).data;
    // Each number on its own: 1e-5 of it.
    for (const [i, value] of expected.entries()) {
      const wanted = Number.isFinite(value) ? value : name === 'gelu' && x[i] > 0 ? x[i] : 0;
      close([found[name][i]], [wanted], {
        rel: 1e-5,
        abs: name === 'gelu' ? 1e-30 : 1e-37,
        what: `${name}(${x[i]})`,
      });
    }
  }
});

test('gelu by the error function is right to 1e-6', async () => {
  const n = 4001;
  const x = Float32Array.from({ length: n }, (_, i) => (i - 2000) / 250);
  const { y } = await evaluate({ x: input([n]) }, ({ x }) => ({ y: ops.gelu(x, { exact: true }) }), { x });
  close(y, reference.gelu(reference.leaf([n], x), { exact: true }).data, { rel: 0, abs: 1e-6 });
});

test('log and sqrt at the edge of their domain, power of negative numbers', async () => {
  const { l, s, p3, p2, p15, p0 } = await evaluate(
    { x: input([4]) },
    ({ x }) => ({
      l: ops.log(x),
      s: ops.sqrt(x),
      p3: ops.power(x, 3),
      p2: ops.power(x, -2),
      p15: ops.power(x, 1.5),
      p0: ops.power(x, 0),
    }),
    { x: [0, -2, 4, -0.5] },
  );
  close([l[0], l[2]], [-Infinity, Math.log(4)]);
  close([s[0], s[2]], [0, 2]);
  close(p3, [0, -8, 64, -0.125]);
  close([p2[1], p2[2], p2[3]], [0.25, 0.0625, 4]);
  close(p15, [0, Number.NaN, 8, Number.NaN]);
  close(p0, [1, 1, 1, 1]);
});

test('numbers of the step: power, clamp', async () => {
  const { y, z } = await evaluate(
    { x: input([3]), p: scalar(), hi: scalar() },
    ({ x, p, hi }) => ({ y: ops.power(x, p), z: ops.clamp(x, 0.5, hi) }),
    { x: [1, 2, 3], p: 3, hi: 2.5 },
  );
  close(y, [1, 8, 27], { rel: 1e-5 });
  close(z, [1, 2, 2.5]);
});

test('relu runs in place and keeps NaN', async () => {
  const { y, dispatches } = await evaluate({ x: input([5]) }, ({ x }) => ({ y: ops.relu(ops.neg(x)) }), {
    x: [1, -2, Number.NaN, 0, -4],
  });
  close(y, [0, 2, Number.NaN, 0, 4]);
  close([dispatches], [2]);
});

test('a constant is computed while the graph is built, but for what only activations need; that runs', async () => {
  const c = constant(0.3, [4]);
  const run: string[] = [];
  for (const [name, ours, theirs] of rows) {
    const value = constantValue(ours(c));
    if (value === null) run.push(name);
    const found =
      value === null ? [...(await evaluate({}, () => ({ y: ours(c) }), {})).y] : Array(4).fill(value);
    const { data } = theirs(reference.leaf([4], Array(4).fill(0.3)));
    close(found, data, { rel: 5e-6, what: name });
  }
  assert.equal(run, ['gelu', 'gelu exact', 'silu', 'sigmoid', 'tanh', 'softplus']);
});

test('a constant cotangent takes no dispatch and no buffer of its own', async () => {
  for (const [name, ours, theirs, values] of rows) {
    const x = Float32Array.from(
      values({ normal: (n) => new Float32Array(n).map((_, i) => (i - 2.5) / 2) }, 6),
    );
    const { dx } = await evaluate(
      { x: input([6]) },
      ({ x }) => ({ dx: grad(ours(x), [x], constant(2, [6]))[0] }),
      { x },
    );
    const leaf = reference.leaf([6], x);
    close(dx, reference.gradient(theirs(leaf), [leaf], new Array(6).fill(2))[0], { rel: 5e-6, what: name });
  }
});

test('errors name the op and the layer', () => {
  throws(() => ops.relu(input([3], 'u32')), /relu: expected an f32 tensor for "x", got u32 \[3\]/);
  throws(() => ops.clamp(input([3]), 1, 0), /clamp: expected lo <= hi/);
  throws(() => ops.power(input([3]), input([3])), /power: .*or an f32 scalar.*"exponent", got f32 \[3\]/);
  throws(
    () => ops.activationGradient(input([3]), input([4]), { activation: 'relu' }),
    /activationGradient: expected dy \[4\], got \[3\]/,
  );
});
