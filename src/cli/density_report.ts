// What the report of a learned density on the plane says: its constant, its divergence from the truth, and maps.
import type { Density } from '../data/plane.ts';
import type { Device } from '../gpu/device.ts';
import type { DensityRecipe } from '../methods/method.ts';
import { formatNumber } from '../metrics/format.ts';
import { readVariable } from '../runtime/variables.ts';
import {
  type DensityMetrics,
  densityAt,
  densityOn,
  divergenceOf,
  type Grid,
  gridOf,
} from '../train/density.ts';
import type { Logged } from '../train/run.ts';
import { type Html, html } from './html.ts';
import type { PlaneFindings } from './job.ts';
import { curvesPanel, heatMapsPanel } from './panels.ts';

/** The numbers of a learned density in report.json. */
interface DensityNumbers extends DensityMetrics {
  /** The constant and the mean of the true density in the model's form, where these are known: for a Gaussian. */
  trueC?: number;
  mean?: [number, number];
  trueMean?: [number, number];
  /** KL(truth || model) on the grid, in nats. */
  divergence: number;
  /** Half the width of that grid. */
  grid: number;
}

/** Compares a learned density with the true one, over the region of standard deviation `spread` and the points. */
export async function densityFindings(
  device: Device,
  model: DensityRecipe,
  { points, density, spread }: { points: Float32Array; density: Density; spread: number },
  metrics: readonly Logged<DensityMetrics>[],
): Promise<PlaneFindings> {
  const grid = gridOf(points, spread);
  const [learned, truth] = [await densityOn(device, model, grid), densityAt(density, grid)];
  const { c, minusLogZ } = metrics.at(-1)!;
  const mean = model.mean && (Array.from(await readVariable(device, model.mean)) as [number, number]);
  const [{ 0: x, 1: y }] = density.centres;
  const [a, , b] = density.factor;
  const numbers: DensityNumbers = {
    ...{ c, minusLogZ },
    ...(mean && { trueC: -Math.log(2 * Math.PI * a * b), mean, trueMean: [x, y] }),
    divergence: divergenceOf(truth, learned, grid, { c, minusLogZ }),
    grid: grid.half,
  };
  return {
    numbers: { ...numbers },
    verdict: verdictOf(numbers),
    sections: () => sectionsOf(numbers, metrics, mapsOf(points, grid, learned, truth)),
  };
}

const show = (x: number) => formatNumber(x, 3);

function verdictOf({ c, minusLogZ, trueC, mean, trueMean, divergence }: DensityNumbers): string {
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

function sectionsOf({ trueC }: DensityNumbers, metrics: readonly Logged<DensityMetrics>[], maps: Html): Html {
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
  return html`<section><h2>The density</h2>${maps}</section>
<section><h2>The normalising constant</h2><div class="pair">${constant}${loss}</div></section>`;
}
