// Diffusion models and flows: noise schedules, and the trajectories of samples between data and noise.
import type { Device } from '../../gpu/device.ts';
import { assign } from '../../graph/basic.ts';
import { constant, reshape, type Scalar, scalar, type Tensor, variable } from '../../graph/tensor.ts';
import { add, div, mul, sub } from '../../ops/binary.ts';
import { normal, permutation } from '../../ops/random.ts';
import { gather, slice } from '../../ops/shape.ts';
import { clamp, sigmoid } from '../../ops/unary.ts';
import { compile } from '../../runtime/compile.ts';
import { freeVariables, readVariable, writeVariable } from '../../runtime/variables.ts';

/** A network that looks at noisy samples x [N, ...] at times t [N], and returns a tensor like x: the noise, or a velocity. */
export type Denoiser = (x: Tensor, t: Tensor) => Tensor;

/** A time t, and what a sample consists of then: `x_t = signal x_0 + noise eps`, with standard normal eps. */
export interface Moment<S extends Scalar = number> {
  t: S;
  signal: S;
  noise: S;
}

/** What moves samples between data and noise, along an ordinary differential equation. */
export interface Generator {
  /** The shape of a sample: [H, W, C] of an image, [2] of a point. */
  shape: readonly number[];
  /** The largest number of steps of a trajectory. */
  mostSteps: number;
  /** The moments of a trajectory of so many steps: data first, noise last. */
  moments: (steps: number) => Moment[];
  /** One step towards data or towards noise: x [N, ...] at one moment to x at another. */
  move: (x: Tensor, from: Moment<Tensor>, to: Moment<Tensor>, towards: Direction) => Tensor;
  /** Batches as the method gets them to samples as the network sees them, in about [-1, 1], and back. */
  scaled: (x: Tensor) => Tensor;
  unscaled: (x: Tensor) => Tensor;
  /** Of a U-Net: what its middle block makes of samples, as the network sees them, at a time of 0 ... 1000: rows [N, D]. */
  features?: (x: Tensor, t: number) => Tensor;
}

/** Where a trajectory leads. */
export type Direction = 'data' | 'noise';

/** The betas of T steps: linear from 1e-4 to .02 for T = 1000, scaled by 1000 / T (Ho et al. 2020, Section 4; improved_diffusion). */
const linearBetas = (T: number) =>
  Array.from({ length: T }, (_, i) => {
    const share = T === 1 ? 0 : i / (T - 1);
    return Math.min(0.999, (1000 / T) * (1e-4 + share * (0.02 - 1e-4)));
  });

/** Those whose products follow `cos^2((t + .008) / 1.008 pi / 2)`, at most .999 (Nichol & Dhariwal 2021, arXiv 2102.09672, Equation 17). */
function cosineBetas(T: number): number[] {
  const f = (t: number) => Math.cos((((t / T + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Array.from({ length: T }, (_, i) => Math.min(0.999, 1 - f(i + 1) / f(i)));
}

/** The products `alphaBar_t = (1 - beta_1) ... (1 - beta_t)`, t = 0 ... T: the share of variance that is signal, 1 at t = 0. */
export function noiseSchedule(kind: 'linear' | 'cosine', T: number): Float64Array {
  const betas = kind === 'linear' ? linearBetas(T) : cosineBetas(T);
  const alphaBar = new Float64Array(T + 1).fill(1);
  for (const [i, beta] of betas.entries()) alphaBar[i + 1] = alphaBar[i] * (1 - beta);
  return alphaBar;
}

/** A tensor [N] as [N, 1, ...], for a product with x [N, ...]. */
const perSample = (v: Tensor, { shape: [N, ...rest] }: Tensor): Tensor =>
  reshape(v, [N, ...rest.map(() => 1)]);

/** Forward noising: `x_t = sqrt(alphaBar_t) x_0 + sqrt(1 - alphaBar_t) eps`, Ho et al. 2020, Equation 4. @param signal [N], `noise` [N] */
export const noised = (x0: Tensor, eps: Tensor, signal: Tensor, noise: Tensor): Tensor =>
  add(mul(x0, perSample(signal, x0)), mul(eps, perSample(noise, x0)));

/** Standard normal noise like x, which the seed and the step choose. */
const noiseLike = ({ shape }: Tensor, seed: number, step: Scalar): Tensor =>
  normal(shape, { seed: ~seed >>> 0, stream: step });

/** Another key of random numbers than those of batches and of noise. */
const timesOf = (seed: number) => (seed ^ 0x7f4a7c15) >>> 0;

/** Samples on their way to noise: x_t [N, ...], the noise in it, and its time, [N], as the network sees it. */
interface OnTheWay {
  xt: Tensor;
  eps: Tensor;
  t: Tensor;
}

/** The velocity of a sample on its way to noise: `v = signal eps - noise x_0`, Salimans & Ho 2022, arXiv 2202.00512, Appendix D. */
export const velocity = (x0: Tensor, eps: Tensor, { signal, noise }: Moment<Tensor>): Tensor =>
  noised(eps, mul(x0, -1), signal, noise);

/** The noise in x_t that its velocity implies: `eps = noise x_t + signal v`. */
export const noiseOf = (xt: Tensor, v: Tensor, { signal, noise }: Moment<Tensor>): Tensor =>
  noised(v, xt, signal, noise);

/**
 * A batch of DDPM's training: data noised to random t = 1 ... T, chosen by the seed and the step. Each t is drawn at most once, if T
 * allows, else about equally often: the loss of a batch then varies less than with independent times, of which each is as likely.
 */
export function diffused(
  alphaBar: Float64Array,
  x0: Tensor,
  seed: number,
  step: Scalar,
): OnTheWay & Moment<Tensor> {
  const [N] = x0.shape;
  const T = alphaBar.length - 1;
  const rows = T * Math.ceil(N / T);
  const table = Float32Array.from({ length: rows * 3 }, (_, at) => {
    const { t, signal, noise } = momentAt(alphaBar, 1 + (Math.floor(at / 3) % T));
    return [t, signal, noise][at % 3];
  });
  const order = permutation(rows, { seed: timesOf(seed), epoch: step });
  const drawn = gather(constant(table, [rows, 3]), slice(order, { starts: [0], sizes: [N] }));
  const [t, signal, noise] = [0, 1, 2].map((column) =>
    reshape(slice(drawn, { starts: [0, column], sizes: [N, 1] }), [N]),
  );
  const eps = noiseLike(x0, seed, step);
  return { xt: noised(x0, eps, signal, noise), eps, t, signal, noise };
}

/**
 * A batch of rectified flow's training: points of the straight lines from data to noise, at times that are the logistic function of
 * N(-.4, 1) (arXiv 2505.13447), which prefers the middle, and less noise.
 */
export function onLines(x0: Tensor, seed: number, step: Scalar): OnTheWay {
  const t = sigmoid(add(normal([x0.shape[0]], { seed: timesOf(seed), stream: step }), -0.4));
  const eps = noiseLike(x0, seed, step);
  return { xt: noised(x0, eps, sub(1, t), t), eps, t };
}

/** The network sees t as if T were 1000. At t = 0, where there is nothing to predict, it sees the first t. */
const momentAt = (alphaBar: Float64Array, t: number): Moment => ({
  t: (1000 * Math.max(t, 1)) / (alphaBar.length - 1),
  signal: Math.sqrt(alphaBar[t]),
  noise: Math.sqrt(1 - alphaBar[t]),
});

/**
 * A step of DDIM without noise, Song et al. 2020, arXiv 2010.02502, Equation 12 with sigma 0: the data that eps implies, noised with the
 * same eps to another moment. With eps at the earlier moment it is a step of the inversion (Section 4.3).
 * @param clip keeps the implied data within -clip to clip (Ho et al.'s code), and takes the eps that implies the rest: for sampling
 */
export function ddimStep(
  x: Tensor,
  eps: Tensor,
  from: Moment<Scalar>,
  to: Moment<Scalar>,
  clip = Number.POSITIVE_INFINITY,
): Tensor {
  let x0 = div(sub(x, mul(eps, from.noise)), from.signal);
  if (Number.isFinite(clip)) {
    x0 = clamp(x0, -clip, clip);
    eps = div(sub(x, mul(x0, from.signal)), from.noise);
  }
  return add(mul(x0, to.signal), mul(eps, to.noise));
}

/** Heun's step of `dx / dt = v(x, t)` from one time to another, forwards or backwards: the mean of the slopes at both ends. */
export function heunStep(v: Denoiser, x: Tensor, from: Tensor, to: Tensor): Tensor {
  const [N] = x.shape;
  const at = (t: Tensor) => mul(constant(1, [N]), t);
  const dt = sub(to, from);
  const first = v(x, at(from));
  const second = v(add(x, mul(first, dt)), at(to));
  return add(x, mul(add(first, second), mul(dt, 0.5)));
}

/** Below this share of signal, x says nothing of the data in f32: dividing by its root amplifies errors beyond use. */
const LEAST_SIGNAL = 1e-5;

/**
 * DDIM: T steps or any smaller number of them, evenly spaced.
 * @param predict eps of x [N, ...] at times t [N], and the signal and the noise then, [N]
 * @param clip the largest number in the data: what eps implies is clipped to it when sampling, not when inverting. Default: none
 */
export function ddim(
  alphaBar: Float64Array,
  predict: (x: Tensor, t: Tensor, at: Moment<Tensor>) => Tensor,
  clip?: number,
): Pick<Generator, 'mostSteps' | 'moments' | 'move'> {
  let last = alphaBar.length - 1;
  while (last > 1 && alphaBar[last] < LEAST_SIGNAL) last--;
  return {
    mostSteps: last,
    moments: (steps) =>
      Array.from({ length: steps + 1 }, (_, i) => momentAt(alphaBar, Math.round((i * last) / steps))),
    move(x, from, to, towards) {
      const each = (value: Tensor) => mul(constant(1, [x.shape[0]]), value);
      const at = { t: each(from.t), signal: each(from.signal), noise: each(from.noise) };
      const eps = predict(x, at.t, at);
      return ddimStep(x, eps, from, to, towards === 'data' ? clip : undefined);
    },
  };
}

/** Heun's method for the flow of a velocity `v(x, t)` from data at t = 0 to noise at t = 1, with `x_t = (1 - t) x_0 + t eps`. */
export function heunFlow(v: Denoiser): Pick<Generator, 'mostSteps' | 'moments' | 'move'> {
  return {
    mostSteps: 1000,
    moments: (steps) =>
      Array.from({ length: steps + 1 }, (_, i) => ({
        t: i / steps,
        signal: 1 - i / steps,
        noise: i / steps,
      })),
    move: (x, from, to) => heunStep(v, x, from.t, to.t),
  };
}

/** The moments of a trajectory in the order in which it passes them. */
function passed({ moments }: Generator, steps: number, towards: Direction): Moment[] {
  const all = moments(steps);
  return towards === 'noise' ? all : all.reverse();
}

/** All states of a trajectory, within one graph: x itself, and x after each of the steps. For few steps, or small networks. */
export function trajectory(generator: Generator, x: Tensor, steps: number, towards: Direction): Tensor[] {
  const [first, ...others] = passed(generator, steps, towards).map(({ t, signal, noise }) => ({
    ...{ t: constant(t), signal: constant(signal), noise: constant(noise) },
  }));
  const states = [x];
  let from = first;
  for (const to of others) {
    states.push(generator.move(states[states.length - 1], from, to, towards));
    from = to;
  }
  return states;
}

/** A compiled trajectory. */
export interface Trajectory {
  /**
   * Moves samples [count, ...shape], as the network sees them, to the other end.
   * @param steps default: 100, or as many as the generator has
   */
  run(x: Float32Array, steps?: number): Promise<Float32Array>;
  dispose(): void;
}

/**
 * Compiles a trajectory as one step that is run again and again on samples that stay on the device; only the result is read. Its graph is
 * that of one step, however many there are.
 * @param options.count samples that move at once
 * @param options.towards 'data': sampling; 'noise': inversion
 */
export async function compileTrajectory(
  device: Device,
  generator: Generator,
  options: { count: number; towards: Direction },
): Promise<Trajectory> {
  const { count, towards } = options;
  const state = variable([count, ...generator.shape], { name: 'trajectory' });
  const names = ['from', 'to'].flatMap((end) => ['t', 'signal', 'noise'].map((part) => `${end}.${part}`));
  const inputs = Object.fromEntries(names.map((name) => [name, scalar()]));
  const at = (end: string): Moment<Tensor> => ({
    ...{ t: inputs[`${end}.t`], signal: inputs[`${end}.signal`], noise: inputs[`${end}.noise`] },
  });
  const step = await compile(
    device,
    () => {
      assign(state, generator.move(state, at('from'), at('to'), towards));
      return {};
    },
    { inputs },
  );
  return {
    async run(x, steps = Math.min(100, generator.mostSteps)) {
      const moments = passed(generator, steps, towards);
      writeVariable(device, state, x as Float32Array<ArrayBuffer>);
      for (let i = 0; i < steps; i++) {
        const ends = { from: moments[i], to: moments[i + 1] };
        const values = Object.entries(ends).flatMap(([end, moment]) =>
          Object.entries(moment).map(([part, value]): [string, number] => [`${end}.${part}`, value]),
        );
        await step.run(Object.fromEntries(values));
      }
      return (await readVariable(device, state)) as Float32Array;
    },
    dispose() {
      step.dispose();
      freeVariables(device, [state]);
    },
  };
}
