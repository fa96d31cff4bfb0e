import { input, scalar, type Variable, variable } from '../../src/graph/tensor.ts';
import { ema, risingMomentum } from '../../src/optim/ema.ts';
import { sgd } from '../../src/optim/sgd.ts';
import { compile } from '../../src/runtime/compile.ts';
import { readVariable } from '../../src/runtime/variables.ts';
import { close, device, freshSeed, random, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';
import { gapsAreZero, SHAPES } from './check.ts';

const make = (name: string, shapes = SHAPES) => {
  const draw = random(freshSeed());
  return shapes.map((shape, i) =>
    variable(shape, { name: `${name}${i}`, initial: draw.normal(shape.reduce((a, b) => a * b, 1)) }),
  );
};

/** Runs the average once with each momentum and compares; returns how many dispatches a step takes. */
async function check(
  targets: Variable[],
  onlines: Variable[],
  step: (momentum: ReturnType<typeof scalar>) => void,
) {
  const gpu = await device();
  const expected = targets.map((t) => Float64Array.from(t.initial as Float32Array));
  const compiled = await compile(
    gpu,
    ({ momentum }) => {
      step(momentum);
      return {};
    },
    { inputs: { momentum: scalar() } },
  );
  for (const momentum of [0.9, 1, 0.25]) {
    await compiled.run({ momentum });
    for (const [i, o] of onlines.entries())
      reference.ema(expected[i], o.initial as Float32Array, Math.fround(momentum));
  }
  for (const [i, t] of targets.entries())
    close(await readVariable(gpu, t), expected[i], { rel: 1e-6, what: t.name });
  const before = await Promise.all(onlines.map((o) => readVariable(gpu, o)));
  await compiled.run({ momentum: 0 });
  for (const [i, t] of targets.entries()) close(await readVariable(gpu, t), before[i], { rel: 0, abs: 0 });
  const { dispatches } = compiled.stats;
  compiled.dispose();
  return dispatches;
}

const dispatches = (got: number, expected: number) => {
  if (got !== expected) throw new Error(`expected ${expected} dispatches, got ${got}`);
};

test('ema: two lists, one dispatch, exact copy with momentum 0', async () => {
  const [t, o] = [make('t'), make('o')];
  dispatches(await check(t, o, (m) => ema(t, o, m)), 1);
  await gapsAreZero(t[0].home!.flat);
});

test('ema: a target of the middle of what an optimiser trains', async () => {
  const [t, o, first, last] = [make('t'), make('o'), make('first', [[5]]), make('last', [[6]])];
  sgd([...first, ...o, ...last], { learningRate: 1 });
  dispatches(await check(t, o, (m) => ema(t, o, m)), 1);
});

test('ema: runs that lie apart take a dispatch each', async () => {
  const [t, o] = [make('t'), make('o')];
  sgd([o[4], o[5], o[6], o[7], o[0], o[1], o[2], o[3]], { learningRate: 1 });
  dispatches(await check(t, o, (m) => ema(t, o, m)), 2);
});

test('ema: single variables and flat ones', async () => {
  const [t, o] = [make('t', [[3, 3]]), make('o', [[3, 3]])];
  dispatches(await check(t, o, (m) => ema(t[0], o[0], m)), 1);
  const [a, b] = [make('a'), make('b')];
  const [fa, fb] = [sgd(a, { learningRate: 1 }).parameters, sgd(b, { learningRate: 1 }).parameters];
  dispatches(await check(a, b, (m) => ema(fa, fb, m)), 1);
});

test('ema: errors', () => {
  const [t, o] = [make('t'), make('o')];
  throws(() => ema(t, o.slice(1), 0.5), /as many target as online variables, got 8 and 7/);
  throws(() => ema(t, [...o].reverse(), 0.5), /variables of one shape, got "t0" f32 \[3\] and "o7"/);
  throws(() => ema(t, o, 1.5), /momentum: .*0 to 1, got 1.5/);
  throws(() => ema(t, o, input([2])), /momentum/);
  throws(() => ema(t, o, 0.5), /only inside compile/);
});

test('risingMomentum: from the first number to 1 along a cosine', () => {
  const at = risingMomentum(0.9);
  close([at(0), at(0.5), at(1)], [0.9, 0.95, 1], { abs: 1e-12 });
  throws(() => risingMomentum(1.5), /risingMomentum: first: .*0 to 1, got 1.5/);
});
