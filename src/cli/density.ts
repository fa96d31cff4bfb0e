// Noise-contrastive estimation of a density on the plane: a run of its own, which needs no images and takes seconds.
import { saveVariables } from '../data/safetensors.ts';
import { type Device, openDevice } from '../gpu/device.ts';
import { compile } from '../graph/compile.ts';
import { constant, scalar, type Tensor, type Variable, variable } from '../graph/tensor.ts';
import { readVariable } from '../graph/variables.ts';
import { nceLoss } from '../methods/nce.ts';
import { methods } from '../methods/registry.ts';
import { linear, sequential } from '../nn/layers.ts';
import { add, mul, sub } from '../ops/binary.ts';
import { matmul } from '../ops/matmul.ts';
import { normal, permutation } from '../ops/random.ts';
import { sum } from '../ops/reduce.ts';
import { gather, slice } from '../ops/shape.ts';
import { logSumExp } from '../ops/softmax.ts';
import { square } from '../ops/unary.ts';
import { adam, cosineSchedule } from '../optim/index.ts';
import { type Density, densities, logDensity, samplePoints } from './densities.ts';
import { renderDensityReport } from './density_report.ts';
import { createRunFolder, lines, pointLatest, reason, runChoices } from './files.ts';
import { checkPlan } from './needs.ts';
import type { RunOptions } from './options.ts';
import { createProgress } from './progress.ts';
import { columns, print } from './terminal.ts';
import { NonFiniteError } from './train.ts';

/** Points there are, and how many of them a step sees. */
const POINTS = 4000;
const BATCH = 500;
/** Cells of the grid along each axis; it reaches 3 standard deviations of the noise. */
const CELLS = 256;
const LOOKS = 60;

/** After `step` updates: the learned constant, and what it should be: minus the log of the energy's integral. */
export interface DensityMetrics {
  step: number;
  loss: number;
  c: number;
  minusLogZ: number;
}

/** What report.json holds. */
export interface DensityReport {
  method: string;
  density: string;
  seed: number;
  steps: number;
  seconds: number;
  adapter: string;
  loss: number;
  c: number;
  /** Of the learned energy, by the grid. */
  minusLogZ: number;
  /** Of the true density in the model's form, where that is known: a Gaussian's. */
  trueC: number | null;
  mean: [number, number] | null;
  trueMean: [number, number] | null;
  /** KL(truth || model), by the grid, in nats. */
  divergence: number;
  /** How far from the middle that grid reaches: three times the noise, or beyond all data. */
  grid: number;
  options: Record<string, unknown>;
  verdict: string;
}

/** A log density without its constant. x: [N, 2] -> [N] */
interface Energy {
  log: (x: Tensor) => Tensor;
  parameters: Variable[];
  /** Of a Gaussian. */
  mean?: Variable;
}

const squares = (x: Tensor) => sum(square(x), { axes: [1] });

/** -|(x - mean) W|^2 / 2: six numbers, which reach the truth of any Gaussian. */
function gaussianEnergy(): Energy {
  const mean = variable([2], { name: 'energy.mean' });
  const factor = variable([2, 2], { name: 'energy.factor', initial: Float32Array.of(0.5, 0, 0, 0.5) });
  return { log: (x) => mul(squares(matmul(sub(x, mean), factor)), -0.5), parameters: [mean, factor], mean };
}

/** A small network; what is added lets its integral be finite. The constant is c's alone: the last layer has no bias. */
function networkEnergy(seed: number, noise: number): Energy {
  const hidden = (inputs: number) => linear({ inputs, outputs: 64, activation: 'silu', seed });
  const layers = sequential('energy', [
    hidden(2),
    hidden(64),
    linear({ inputs: 64, outputs: 1, bias: false, seed }),
  ]);
  return {
    log: (x) => sub(sum(layers(x), { axes: [1] }), mul(squares(x), 0.5 / noise ** 2)),
    parameters: layers.parameters,
  };
}

interface Knobs {
  k: number;
  noise: number;
  steps: number;
}

interface Fitted {
  metrics: DensityMetrics[];
  parameters: Variable[];
  mean: [number, number] | null;
  /** The learned density at the cells of the grid, row by row from below. */
  density: Float64Array;
}

/** Where a run's points lie, and the grid that densities are drawn on. */
interface Plane {
  points: Float32Array;
  grid: Float32Array;
  /** Of a cell. */
  area: number;
}

/** What is fitted, and the graph of a step: it draws data points anew from those there are, and noise. */
function fitting({ seed, density }: RunOptions, { k, noise }: Knobs, { points }: Plane) {
  const energy = density === 'gaussian' ? gaussianEnergy() : networkEnergy(seed, noise);
  const c = variable([1], { name: 'c' });
  const parameters = [...energy.parameters, c];
  const learningRate = scalar();
  const optimizer = adam(parameters, { learningRate });
  const logModel = (x: Tensor) => add(energy.log(x), c);
  const logNoise = (x: Tensor) => sub(mul(squares(x), -0.5 / noise ** 2), Math.log(2 * Math.PI * noise ** 2));
  const build = ({ step }: { step: Tensor }) => {
    const order = permutation(POINTS, { seed, epoch: step });
    const x = gather(constant(points, [POINTS, 2]), slice(order, { starts: [0], sizes: [BATCH] }));
    const y = mul(normal([k * BATCH, 2], { seed: ~seed >>> 0, stream: step }), noise);
    const loss = nceLoss(logModel(x), logModel(y), logNoise(x), logNoise(y), { k });
    optimizer.minimize(loss);
    return { loss };
  };
  return { energy, c, parameters, build, inputs: { step: scalar('u32'), learningRate } };
}

/** Trains on the GPU. */
async function fit(
  device: Device,
  options: RunOptions,
  knobs: Knobs,
  data: Plane,
  onLook: (metrics: DensityMetrics[]) => void,
): Promise<Fitted> {
  const { steps } = knobs;
  const { energy, c, parameters, build, inputs } = fitting(options, knobs, data);
  // Steps are short, and Deno looks for their end only every 10 ms.
  const step = await compile(device, build, { inputs, stepsInFlight: 50 });
  const onGrid = await compile(device, () => {
    const log = energy.log(constant(data.grid, [data.grid.length / 2, 2]));
    return { log, total: logSumExp(log) };
  });
  const rate = cosineSchedule({ steps, base: options.learningRate });
  const metrics: DensityMetrics[] = [];
  for (let at = 0; at < steps; at++) {
    await step.run({ step: at, learningRate: rate(at) });
    if ((at + 1) % Math.ceil(steps / LOOKS) && at + 1 < steps) continue;
    await onGrid.run();
    const [[loss], [constant], [total]] = await Promise.all([
      step.read('loss'),
      readVariable(device, c),
      onGrid.read('total'),
    ]);
    if (![loss, constant, total].every(Number.isFinite))
      throw new NonFiniteError(
        `The loss, the constant or the density is not finite at step ${at + 1}: try a smaller learning rate.`,
      );
    metrics.push({ step: at + 1, loss, c: constant, minusLogZ: -(total + Math.log(data.area)) });
    onLook(metrics);
  }
  const log = await onGrid.read('log');
  const [x, y] = energy.mean ? await readVariable(device, energy.mean) : [];
  step.dispose();
  onGrid.dispose();
  return {
    metrics,
    parameters,
    mean: energy.mean ? [x, y] : null,
    density: Float64Array.from(log, (value) => Math.exp(value + metrics.at(-1)!.c)),
  };
}

/** What counts as no density at all. */
const KL_FLOOR = 1e-12;

/** Fits the density of a command line, writes its run folder, prints what came out. */
export async function runDensity(options: RunOptions): Promise<number> {
  const { k, noise, steps } = options.knobs;
  const knobs: Knobs = { k, noise, steps };
  const name = options.density!;
  const density = densities[name];
  const points = samplePoints(density, POINTS, options.seed);
  // Where the data are, and where the noise is.
  const farthest = points.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const half = Math.max(3 * noise, 1.15 * farthest);
  const cell = (2 * half) / CELLS;
  const place = (i: number) => cell * (i + 0.5) - half;
  const grid = Float32Array.from({ length: 2 * CELLS * CELLS }, (_, i) =>
    place(i % 2 ? Math.floor(i / 2 / CELLS) : (i >> 1) % CELLS),
  );
  const data: Plane = { points, grid, area: cell ** 2 };
  const { tune: budget } = options;
  const device = await openDevice({
    tune: budget === undefined || budget === false ? budget : { budgetMs: budget },
    choices: runChoices(() => folder, false),
  });
  const planned = fitting(options, knobs, data);
  await checkPlan(device, () => planned.build(planned.inputs));
  const folder = createRunFolder(options.out, options.method, new Date());
  try {
    const { method, seed, learningRate, out } = options;
    const given = { method, density: name, seed, learningRate, knobs: options.knobs, out };
    folder.write('options.json', `${JSON.stringify(given, null, 2)}\n`);
    const progress = createProgress({ write: print, terminal: Deno.stdout.isTerminal(), columns });
    const { title, paper, year } = methods[method];
    progress.say(`${title}, ${paper} ${year}: the density "${name}" on ${device.adapter}`);
    progress.say(`Writing to ${folder.path}`);

    const started = performance.now();
    const fitted = await fit(device, options, knobs, data, (metrics) => {
      const { step, loss } = metrics.at(-1)!;
      progress.training({ step, steps: knobs.steps, loss });
      folder.write('metrics.jsonl', lines(metrics));
    });
    const seconds = (performance.now() - started) / 1000;
    folder.write('energy.safetensors', await saveVariables(device, fitted.parameters));
    const left = pointLatest(folder);
    if (left) progress.say(left);
    progress.end();

    const truth = Float64Array.from({ length: CELLS * CELLS }, (_, i) =>
      Math.exp(logDensity(density, grid[2 * i], grid[2 * i + 1])),
    );
    const last = fitted.metrics.at(-1)!;
    // The learned density has the mass exp(c + log Z), which is divided out.
    const divergence = truth.reduce(
      (total, p, i) => total + (p > KL_FLOOR ? p * Math.log(p / fitted.density[i]) * cell ** 2 : 0),
      last.c - last.minusLogZ,
    );
    const report: DensityReport = {
      method,
      density: name,
      seed,
      steps: knobs.steps,
      seconds: Number(seconds.toFixed(1)),
      adapter: device.adapter,
      ...{ loss: last.loss, c: last.c, minusLogZ: last.minusLogZ },
      ...truthOf(density, fitted.mean),
      mean: fitted.mean,
      ...{ divergence, grid: half },
      options: given,
      verdict: '',
    };
    report.verdict = verdictOf(report);
    folder.write('report.json', `${JSON.stringify(report, null, 2)}\n`);
    print(`\n${report.verdict}\n\nFitted in ${seconds.toFixed(0)} s.`);
    const pictures = { points, half, cells: CELLS, truth, learned: fitted.density };
    try {
      folder.write('report.html', renderDensityReport(report, fitted.metrics, pictures));
      print(` Look at ${folder.path}/report.html\n`);
    } catch (error) {
      print(` The numbers are in ${folder.path}; there is no report.html: ${reason(error)}\n`);
    }
    return 0;
  } finally {
    device.dispose();
  }
}

/** What a Gaussian should come out as. */
function truthOf({ centres, factor: [a, , c] }: Density, mean: Fitted['mean']) {
  if (!mean) return { trueC: null, trueMean: null };
  const [[x, y]] = centres;
  return { trueC: -Math.log(2 * Math.PI * a * c), trueMean: [x, y] as [number, number] };
}

const show = (x: number, digits = 3) => x.toFixed(digits).replace('-', '−');

function verdictOf({ c, minusLogZ, trueC, mean, trueMean, divergence }: DensityReport): string {
  const off = Math.abs(c - minusLogZ);
  const pair = ([x, y]: readonly number[]) => `(${show(x)}, ${show(y)})`;
  return [
    `The learned constant is ${show(c)}; the learned energy needs ${show(minusLogZ)} to integrate to 1: ${off < 0.05 ? 'noise-contrastive estimation normalised the model by itself' : 'the model is not normalised: train longer, or with noise nearer to the data'}.`,
    trueC !== null && `The true constant is ${show(trueC)}.`,
    mean && trueMean && `The mean is ${pair(mean)}, the true one ${pair(trueMean)}.`,
    `The divergence of the model from the truth, KL(truth || model), is ${show(divergence)} nats.`,
  ]
    .filter(Boolean)
    .join(' ');
}
