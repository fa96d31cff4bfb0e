// A run on points of the plane: the density that was learned, its numbers and its report.

import { densities, samplePoints } from '../data/plane.ts';
import { saveVariables } from '../data/safetensors.ts';
import { type Scalar, scalar, trace } from '../graph/tensor.ts';
import { allMethods } from '../methods/index.ts';
import type { PlaneMethod } from '../methods/method.ts';
import { formatNumber, significant } from '../metrics/format.ts';
import { readVariable } from '../runtime/variables.ts';
import {
  densityAt,
  densityOn,
  divergenceOf,
  type Grid,
  gridOf,
  type PlaneMetrics,
  type PlaneRun,
  planeTask,
} from '../train/plane.ts';
import type { Logged } from '../train/run.ts';
import { documentOf, pageStyle } from './document.ts';
import { reason, sha256 } from './files.ts';
import { factsList, type Html, html } from './html.ts';
import type { Job } from './job.ts';
import { checkPlan } from './needs.ts';
import type { PlaneOptions } from './options.ts';
import { curvesPanel, heatMapsPanel } from './panels.ts';
import { print } from './terminal.ts';

/** Number of points of a run. */
const POINTS = 4000;

/** The contents of report.json. */
export interface PlaneReport extends PlaneMetrics {
  method: string;
  density: string;
  seed: number;
  steps: number;
  seconds: number;
  adapter: string;
  loss: number;
  /** The constant and the mean of the true density in the model's form, where these are known: for a Gaussian. */
  trueC?: number;
  mean?: [number, number];
  trueMean?: [number, number];
  /** KL(truth || model) on the grid, in nats. */
  divergence: number;
  /** Half the width of that grid. */
  grid: number;
  options: Record<string, unknown>;
  verdict: string;
}

/** Draws the points of a run. */
export async function planeJob(
  options: PlaneOptions,
): Promise<Job<PlaneMetrics, ReturnType<typeof planeTask>>> {
  const { method, density: name, seed, steps, learningRate, hyperparameters } = options;
  const density = densities[name];
  const points = samplePoints(density, POINTS, seed);
  const planeRun: PlaneRun = {
    ...{ method: allMethods[method] as PlaneMethod, hyperparameters, points, steps, learningRate, seed },
    gaussian: density.centres.length === 1,
  };
  const { title, paper, year } = allMethods[method];
  return {
    title: `${title}, ${paper} ${year}: the density "${name}"`,
    ...{ steps, samplesPerStep: 0, recorded: { ...options } },
    dataDigest: sha256(points),
    async check(device) {
      const { build, schedules, variables } = planeTask(planeRun);
      const scalars = Object.keys(schedules).map((key): [string, Scalar] => [key, scalar()]);
      await checkPlan(
        device,
        trace(() => build(scalar('u32'), Object.fromEntries(scalars))),
      );
      return variables;
    },
    task: () => planeTask(planeRun),
    shown: ({ loss }) => ({ loss }),
    async save({ folder, device }, { task: { model } }) {
      folder.write('energy.safetensors', await saveVariables(device(), model.parameters ?? []));
    },
    async report({ folder, device, progress }, { task: { model }, metrics }, seconds) {
      const grid = gridOf(planeRun);
      const [learned, truth] = [await densityOn(device(), model, grid), densityAt(density, grid)];
      const { loss, c, minusLogZ } = metrics.at(-1)!;
      const mean = model.mean && (Array.from(await readVariable(device(), model.mean)) as [number, number]);
      const [{ 0: x, 1: y }] = density.centres;
      const [a, , b] = density.factor;
      const report: PlaneReport = {
        ...{ method, density: name, seed, steps, seconds: Number(seconds.toFixed(1)) },
        ...{ adapter: device().adapter, loss, c, minusLogZ },
        ...(mean && { trueC: -Math.log(2 * Math.PI * a * b), mean, trueMean: [x, y] }),
        divergence: divergenceOf(truth, learned, grid, { c, minusLogZ }),
        ...{ grid: grid.half, options: { ...options }, verdict: '' },
      };
      report.verdict = verdictOf(report);
      folder.write('report.json', `${JSON.stringify(report, null, 2)}\n`);
      progress.end();
      print(`\n${report.verdict}\n\nFitted in ${seconds.toFixed(0)} s.`);
      try {
        folder.write('report.html', renderPage(report, metrics, mapsOf(points, grid, learned, truth)));
        print(` Look at ${folder.path}/report.html\n`);
      } catch (error) {
        print(` The numbers are in ${folder.path}; report.html could not be written: ${reason(error)}\n`);
      }
      return 0;
    },
  };
}

const show = (x: number) => formatNumber(x, 3);

function verdictOf({ c, minusLogZ, trueC, mean, trueMean, divergence }: PlaneReport): string {
  const normalised = Math.abs(c - minusLogZ) < 0.05;
  const pair = ([x, y]: readonly number[]) => `(${show(x)}, ${show(y)})`;
  return [
    `The learned constant is ${show(c)}; the learned energy needs ${show(minusLogZ)} to integrate to 1: ${normalised ? 'the model normalised itself' : 'the model is not normalised: train longer, or with noise nearer to the data'}.`,
    trueC !== undefined && `The true constant is ${show(trueC)}.`,
    mean && trueMean && `The mean is ${pair(mean)}, the true one ${pair(trueMean)}.`,
    `The divergence of the model from the truth, KL(truth || model), is ${show(divergence)} nats.`,
  ]
    .filter(Boolean)
    .join(' ');
}

/** The data, the learned and the true density, without the margin that is far from all data. */
function mapsOf(points: Float32Array, grid: Grid, learned: Float64Array, truth: Float64Array): Html {
  const { half, cells } = grid;
  const cell = (2 * half) / cells;
  const reach = 1.15 * points.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const margin = Math.max(0, Math.floor((half - reach) / cell));
  const side = cells - 2 * margin;
  const inner = (values: ArrayLike<number>) =>
    Float64Array.from(
      { length: side * side },
      (_, i) => values[(margin + Math.floor(i / side)) * cells + margin + (i % side)],
    );
  const counts = new Float64Array(cells * cells);
  const at = (x: number) => Math.floor((x + half) / cell);
  for (let i = 0; i < points.length; i += 2) {
    const [column, row] = [at(points[i]), at(points[i + 1])];
    if (Math.min(column, row) >= 0 && Math.max(column, row) < cells) counts[row * cells + column]++;
  }
  const most = truth.reduce((a, b) => Math.max(a, b));
  const edge = (half - margin * cell).toFixed(1);
  return heatMapsPanel(
    [
      { name: `data: ${points.length / 2} points`, side, values: inner(counts), top: 3 },
      { name: 'learned density', side, values: inner(learned), top: most },
      { name: 'true density', side, values: inner(truth), top: most },
    ],
    `From −${edge} to ${edge} along both axes; the two densities on one scale of colours.`,
  );
}

/** The report. */
function renderPage(report: PlaneReport, metrics: readonly Logged<PlaneMetrics>[], maps: Html): string {
  const { trueC } = report;
  const steps = metrics.map(({ step }) => step);
  const constant = curvesPanel({
    title: 'c over training',
    steps,
    series: [
      { name: 'learned c', style: 'line', values: metrics.map(({ c }) => c) },
      {
        name: '−log Z of the energy at that step',
        style: 'dashed',
        values: metrics.map(({ minusLogZ }) => minusLogZ),
      },
      ...(trueC === undefined
        ? []
        : [{ name: 'truth', style: 'dotted' as const, values: metrics.map(() => trueC) }]),
    ],
    caption:
      'The model is an energy plus a free constant c. Distinguishing data from noise drives c (the thick line) to minus the logarithm of the energy’s integral (dashed; summed over a grid, for this picture only): the model normalises itself. The energy changes as well, so both curves may move.',
  });
  const loss = curvesPanel({
    title: 'loss',
    steps,
    series: [{ name: 'loss', style: 'line', values: metrics.map(({ loss }) => loss) }],
    caption:
      'The loss of one batch: how well data and noise are distinguished. It stays well above 0, since data and noise overlap.',
  });
  const body = html`<header>
<p class="eyebrow">Hypersphere · ${allMethods[report.method].title}</p>
<h1>${report.density}</h1>
<p class="lead">${report.verdict}</p>
</header>
<main>
<section><h2>The density</h2>${maps}</section>
<section><h2>The normalising constant</h2><div class="pair">${constant}${loss}</div></section>
<section><h2>The run</h2>${factsOf(report)}</section>
</main>
`;
  return documentOf(report.method, [pageStyle()], body);
}

function factsOf({ options, verdict: _, ...report }: PlaneReport): Html {
  const text = (value: unknown) => {
    if (typeof value === 'number') return significant(value);
    return Array.isArray(value) ? value.map((x: number) => significant(x)).join(', ') : String(value);
  };
  const all = [...Object.entries(report), ...Object.entries(options.hyperparameters as object)];
  return factsList(all.map(([name, value]) => [name, text(value)]));
}
