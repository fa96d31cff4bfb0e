// Schedules, steps and trajectories, against what is known of data that are one Gaussian.
import * as assert from 'uvu/assert';
import { constant, input, reshape, scalar, type Tensor } from '../../../src/graph/tensor.ts';
import {
  compileTrajectory,
  type Denoiser,
  type Direction,
  ddim,
  ddimStep,
  diffused,
  type Generator,
  heunFlow,
  noiseOf,
  noiseSchedule,
  onLines,
  trajectory,
  velocity,
} from '../../../src/methods/parts/diffusion.ts';
import { add, div, equal, mul, sub } from '../../../src/ops/binary.ts';
import { sum } from '../../../src/ops/reduce.ts';
import { square } from '../../../src/ops/unary.ts';
import { close, device, freshSeed, random, test } from '../../harness.ts';
import { evaluate } from '../../ops/check.ts';

/** Mean and deviation of the data. */
const [M, S] = [0.3, 0.4];
const units = { shape: [2], scaled: (x: Tensor) => x, unscaled: (x: Tensor) => x };

/** E[eps | x_t] and E[x_0 | x_t], where `x_t = a x_0 + b eps`. */
function expectations(x: Tensor, a: Tensor, b: Tensor) {
  const off = sub(x, mul(a, M));
  const whitened = div(off, add(mul(square(a), S ** 2), square(b)));
  return { eps: mul(b, whitened), x0: add(mul(mul(a, S ** 2), whitened), M) };
}

/** The best that a network can predict, by the table of a schedule. */
const bestNoise =
  (alphaBar: Float64Array): Denoiser =>
  (x, t) => {
    const T = alphaBar.length - 1;
    const table = (of: (t: number) => number) =>
      constant(
        Float32Array.from({ length: T }, (_, i) => of(i + 1)),
        [1, T],
      );
    const here = equal(
      reshape(t, [-1, 1]),
      table((t) => (1000 * t) / T),
    );
    const at = (of: (t: number) => number) => sum(mul(here, table(of)), { axes: 1, keepDims: true });
    return expectations(
      x,
      at((t) => Math.sqrt(alphaBar[t])),
      at((t) => Math.sqrt(1 - alphaBar[t])),
    ).eps;
  };

const bestVelocity: Denoiser = (x, t) => {
  const b = reshape(t, [-1, 1]);
  const { eps, x0 } = expectations(x, sub(1, b), b);
  return sub(eps, x0);
};

/** Where the exact flow takes x from one moment to another: the deviation changes, the place within it does not. */
const exact = (x: Float32Array, from: [a: number, b: number], to: [a: number, b: number]) => {
  const deviation = ([a, b]: [number, number]) => Math.hypot(a * S, b);
  return x.map((v) => M * to[0] + ((v - M * from[0]) / deviation(from)) * deviation(to));
};

const rmse = (a: Float32Array, b: Float32Array) =>
  Math.sqrt(a.reduce((total, v, i) => total + (v - b[i]) ** 2, 0) / a.length);

async function moved(generator: Generator, x: Float32Array, steps: number, towards: Direction) {
  const { y } = await evaluate(
    { x: input([x.length / 2, 2]) },
    ({ x }) => ({ y: trajectory(generator, x, steps, towards).at(-1)! }),
    { x },
  );
  return y;
}

const data = (N: number) => Float32Array.from(random(freshSeed()).normal(2 * N), (v) => M + S * v);

test('schedules: the linear one of DDPM, scaled with T; the cosine one follows its curve', () => {
  const linear = noiseSchedule('linear', 1000);
  assert.is(linear.length, 1001);
  close([linear[0], linear[1], linear[1000]], [1, 1 - 1e-4, 4.0358e-5], { rel: 1e-4 });
  const f = (share: number) => Math.cos((((share + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  for (const T of [50, 100, 1000]) {
    const cosine = noiseSchedule('cosine', T);
    for (const t of [1, T / 2, T - 2]) close([cosine[t]], [f(t / T) / f(0)], { rel: 1e-9 });
    // The last beta is kept at .999.
    close([cosine[T] / cosine[T - 1]], [0.001], { rel: 1e-9 });
    for (const kind of ['linear', 'cosine'] as const) {
      const all = noiseSchedule(kind, T);
      assert.ok(
        all.every((a, t) => t === 0 || (a < all[t - 1] && a > 0)),
        `${kind}, T = ${T}`,
      );
      if (kind === 'linear') assert.ok(all[T] < 1e-4, `${T}: ${all[T]}`);
    }
  }
});

test('a velocity: signal eps - noise x_0, and it implies the noise in x_t', async () => {
  const [N, T] = [33, 50];
  const alphaBar = noiseSchedule('cosine', T);
  const x = random(freshSeed()).normal(2 * N);
  const found = await evaluate(
    { x: input([N, 2]), step: scalar('u32') },
    ({ x, step }) => {
      const { xt, eps, ...at } = diffused(alphaBar, x, 3, step);
      const v = velocity(x, eps, at);
      return { ...at, eps, v, again: noiseOf(xt, v, at) };
    },
    { x, step: 4 },
  );
  const { eps, v, again, signal, noise } = found;
  const row = (i: number) => Math.floor(i / 2);
  close(
    v,
    v.map((_, i) => signal[row(i)] * eps[i] - noise[row(i)] * x[i]),
    { rel: 1e-5, abs: 1e-5 },
  );
  close(again, eps, { rel: 1e-5, abs: 1e-5 });
});

test('a batch to train on: all t equally often, x_t of the schedule, normal eps', async () => {
  const [N, T] = [120, 40];
  const alphaBar = noiseSchedule('linear', T);
  const x = random(freshSeed()).normal(3 * N);
  const { xt, eps, t } = await evaluate(
    { x: input([N, 3]), step: scalar('u32') },
    ({ x, step }) => ({ ...diffused(alphaBar, x, 5, step) }),
    { x, step: 9 },
  );
  const counts = new Array(T + 1).fill(0);
  for (const time of t) counts[Math.round((time * T) / 1000)]++;
  assert.equal(counts, [0, ...new Array(T).fill(3)]);
  const expected = xt.map((_, i) => {
    const a = alphaBar[Math.round((t[Math.floor(i / 3)] * T) / 1000)];
    return Math.sqrt(a) * x[i] + Math.sqrt(1 - a) * eps[i];
  });
  close(xt, expected, { rel: 1e-5, abs: 1e-6 });
  const mean = eps.reduce((a, b) => a + b) / eps.length;
  const variance = eps.reduce((a, b) => a + (b - mean) ** 2, 0) / eps.length;
  assert.ok(Math.abs(mean) < 0.25 && Math.abs(variance - 1) < 0.35, `mean ${mean}, variance ${variance}`);
});

test('points of straight lines: x + t (eps - x), logit-normal t', async () => {
  const N = 500;
  const x = random(freshSeed()).normal(2 * N);
  const { xt, eps, t } = await evaluate(
    { x: input([N, 2]), step: scalar('u32') },
    ({ x, step }) => ({ ...onLines(x, 5, step) }),
    { x, step: 9 },
  );
  close(
    xt,
    xt.map((_, i) => x[i] + t[i >> 1] * (eps[i] - x[i])),
    { rel: 1e-5, abs: 1e-6 },
  );
  const logits = [...t].map((p) => Math.log(p / (1 - p)));
  const mean = logits.reduce((a, b) => a + b) / N;
  const std = Math.sqrt(logits.reduce((a, b) => a + (b - mean) ** 2, 0) / N);
  assert.ok(Math.abs(mean + 0.4) < 0.25 && Math.abs(std - 1) < 0.2, `mean ${mean}, std ${std}`);
});

test('a step of DDIM with the true noise is exact; clipped, the data that it implies stay in [-1, 1]', async () => {
  const [x0, eps] = [0, 1].map(() => random(freshSeed()).normal(60));
  const [from, to] = [
    { t: 500, signal: 0.6, noise: 0.8 },
    { t: 200, signal: 0.96, noise: 0.28 },
  ];
  const at = (x: ArrayLike<number>, { signal, noise }: typeof from, of: ArrayLike<number> = eps) =>
    Float32Array.from(x, (v, i) => signal * v + noise * of[i]);
  const x = at(x0, from);
  const { plain, clipped } = await evaluate(
    { x: input([60]), eps: input([60]) },
    ({ x, eps }) => ({ plain: ddimStep(x, eps, from, to), clipped: ddimStep(x, eps, from, to, 1) }),
    { x, eps },
  );
  close(plain, at(x0, to), { rel: 1e-5, abs: 1e-5 });
  const inside = x0.map((v) => Math.min(1, Math.max(-1, v)));
  const rest = inside.map((v, i) => (x[i] - from.signal * v) / from.noise);
  close(clipped, at(inside, to, rest), { rel: 1e-5, abs: 1e-5 });
});

test(
  'DDIM of a Gaussian: to noise, and back, up to an error that falls with the number of steps',
  async () => {
    const alphaBar = noiseSchedule('linear', 1000);
    const generator: Generator = { ...units, ...ddim(alphaBar, bestNoise(alphaBar), 1) };
    const x = data(50).map((v) => Math.min(0.99, Math.max(-0.99, v)));
    const last = alphaBar[1000];
    const truth = exact(x, [1, 0], [Math.sqrt(last), Math.sqrt(1 - last)]);
    const errors: { steps: number; there: number; back: number }[] = [];
    for (const steps of [20, 200]) {
      const noise = await moved(generator, x, steps, 'noise');
      errors.push({
        steps,
        there: rmse(noise, truth),
        back: rmse(await moved(generator, noise, steps, 'data'), x),
      });
    }
    const [few, many] = errors;
    const shown = JSON.stringify(errors);
    assert.ok(many.there < 0.02 && many.back < 0.02, shown);
    assert.ok(many.there < few.there / 5 && many.back < few.back / 5, shown);
  },
  { training: true },
);

test("Heun's flow of a Gaussian: the error is of second order, there and back", async () => {
  const generator: Generator = { ...units, ...heunFlow(bestVelocity) };
  const x = data(50);
  const truth = exact(x, [1, 0], [0, 1]);
  const there: number[] = [];
  const back: number[] = [];
  for (const steps of [10, 40]) {
    const noise = await moved(generator, x, steps, 'noise');
    there.push(rmse(noise, truth));
    back.push(rmse(await moved(generator, noise, steps, 'data'), x));
  }
  assert.ok(there[1] < 0.005 && there[1] < there[0] / 10, `${there}`);
  assert.ok(back[1] < 0.001 && back[1] < back[0] / 10, `${back}`);
});

test('where the cosine schedule leaves no signal, trajectories begin earlier: there and back stays near', async () => {
  const alphaBar = noiseSchedule('cosine', 100);
  const generator: Generator = { ...units, ...ddim(alphaBar, bestNoise(alphaBar), 1) };
  assert.is(generator.mostSteps, 99);
  const x = data(50).map((v) => Math.min(0.99, Math.max(-0.99, v)));
  const noise = await moved(generator, x, 99, 'noise');
  const error = rmse(await moved(generator, noise, 99, 'data'), x);
  assert.ok(error < 0.05, `${error}`);
});

test('a compiled trajectory, run step by step on the device, is the one within a graph', async () => {
  const gpu = await device();
  const alphaBar = noiseSchedule('linear', 100);
  const generators: Generator[] = [
    { ...units, ...ddim(alphaBar, bestNoise(alphaBar), 1) },
    { ...units, ...heunFlow(bestVelocity) },
  ];
  for (const generator of generators)
    for (const towards of ['data', 'noise'] as const) {
      const x = random(freshSeed()).normal(14);
      const compiled = await compileTrajectory(gpu, generator, { count: 7, towards });
      // Twice: the second run must not go on from the first.
      await compiled.run(x, 3);
      close(await compiled.run(x, 12), await moved(generator, x, 12, towards), { rel: 1e-5, abs: 1e-5 });
      compiled.dispose();
    }
});
