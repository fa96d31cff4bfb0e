// What the report of a method that generates points on the plane says: its samples, their ways, and how well they are inverted.
import { type Density, samplePoints } from '../data/plane.ts';
import type { Device } from '../gpu/device.ts';
import type { Generator } from '../methods/parts/diffusion.ts';
import { formatNumber } from '../metrics/format.ts';
import { modesOf, NEAR, planeNoise, type RoundTrip, roundTrips, statesOf } from '../train/generated.ts';
import type { Logged } from '../train/run.ts';
import { type Html, html } from './html.ts';
import type { PlaneFindings } from './job.ts';
import { curvesPanel, heatMapsPanel, pathsPanel } from './panels.ts';

/** Samples, and as many points that are inverted; of these so many are drawn as paths. */
const [SAMPLES, PATHS] = [2000, 150];
/** Numbers of steps of a round trip. */
const STEPS = [10, 20, 50, 100];
/** Densities of more Gaussians than this have no modes to count. */
const MOST_MODES = 16;

/** Measures a generator of points: on noise, and on points that it was not trained on. */
export async function generatorFindings(
  device: Device,
  generator: Generator,
  { points, density, seed }: { points: Float32Array; density: Density; seed: number },
  metrics: readonly Logged<object>[],
): Promise<PlaneFindings> {
  const steps = Math.min(100, generator.mostSteps);
  const heldOut = samplePoints(density, SAMPLES, ~seed >>> 0);
  const ways = await statesOf(device, generator, planeNoise(SAMPLES, seed), { steps, towards: 'data' });
  const inverse = await statesOf(device, generator, heldOut, { steps, towards: 'noise' });
  const trips = await roundTrips(device, generator, heldOut, [...STEPS.filter((n) => n < steps), steps]);
  const modes = density.centres.length;
  const { covered, near } = modesOf(ways[steps], density);
  const numbers = {
    ...(modes <= MOST_MODES && { modes, covered, near, nearOfData: modesOf(heldOut, density).near }),
    noiseStd: trips.at(-1)!.noiseStd,
    roundTrip: trips.at(-1)!.error,
    roundTrips: Object.fromEntries(trips.map(({ steps, error }) => [steps, error])),
  };
  return {
    numbers,
    verdict: verdictOf(numbers, steps),
    sections: () => sectionsOf(points, { ways, inverse, trips, steps }, metrics),
  };
}

const show = (x: number) => formatNumber(x, 3);

function verdictOf(
  found: {
    modes?: number;
    covered?: number;
    near?: number;
    nearOfData?: number;
    noiseStd: number;
    roundTrip: number;
  },
  steps: number,
): string {
  const { modes, covered, near, nearOfData, noiseStd, roundTrip } = found;
  return [
    modes !== undefined &&
      `The samples reach ${covered} of ${modes} modes; ${formatNumber(100 * near!, 1)} % are within ${NEAR} of one (${formatNumber(100 * nearOfData!, 1)} % of the data are).`,
    `Inverted, data become noise with a standard deviation of ${show(noiseStd)} (1 is right).`,
    `There and back in ${steps} steps each, a coordinate is off by ${formatNumber(roundTrip, 4)} (root mean square).`,
  ]
    .filter(Boolean)
    .join(' ');
}

interface Measured {
  ways: Float32Array[];
  inverse: Float32Array[];
  trips: readonly RoundTrip[];
  steps: number;
}

/** Cells of a heat map along each axis. */
const CELLS = 64;

function sectionsOf(
  points: Float32Array,
  { ways, inverse, trips, steps }: Measured,
  metrics: readonly Logged<object>[],
): Html {
  const reach = [points, ways[0], inverse[steps]].map((all) =>
    all.reduce((most, x) => Math.max(most, Math.abs(x)), 0),
  );
  const edge = 1.05 * Math.max(...reach);
  const near = 1.3 * reach[0];
  const maps = heatMapsPanel(
    [
      { name: `data: ${points.length / 2} points`, ...countsOf(points, near) },
      { name: `${SAMPLES} samples`, ...countsOf(ways[steps], near) },
      { name: 'noise they are made of', ...countsOf(ways[0], edge) },
      { name: 'noise of inverted data', ...countsOf(inverse[steps], edge) },
    ],
    `Numbers of points in cells; from −${near.toFixed(1)} to ${near.toFixed(1)} along both axes, the noise from −${edge.toFixed(1)} to ${edge.toFixed(1)}.`,
  );
  const path = (states: Float32Array[]) =>
    Array.from({ length: PATHS }, (_, i) => states.map((state) => [state[2 * i], state[2 * i + 1]] as const));
  const paths = [
    pathsPanel({
      title: 'From noise to data',
      paths: path(ways),
      caption: `The ways of ${PATHS} samples, in ${steps} steps; the dots are where they end.`,
    }),
    pathsPanel({
      title: 'From data to noise',
      paths: path(inverse),
      caption: `The ways of ${PATHS} points that the network was not trained on; the dots are the noise that they become.`,
    }),
  ];
  const loss = curvesPanel({
    title: 'loss',
    steps: metrics.map(({ step }) => step),
    series: [{ name: 'loss', style: 'line', values: metrics.map(({ loss }) => loss) }],
    caption: 'The loss of one batch. It stays above 0: what noise a point has can only be guessed.',
  });
  return html`<section><h2>Samples</h2>${maps}</section>
<section><h2>Trajectories</h2><div class="pair">${paths}</div></section>
<section><h2>There and back</h2><div class="scroll"><table class="numbers"><thead><tr><th scope="col">steps each way</th>${trips.map(({ steps }) => html`<th scope="col">${steps}</th>`)}</tr></thead>
<tbody><tr><th scope="row">error of a coordinate</th>${trips.map(({ error }) => html`<td>${formatNumber(error, 4)}</td>`)}</tr>
<tr><th scope="row">standard deviation of the noise</th>${trips.map(({ noiseStd }) => html`<td>${formatNumber(noiseStd, 3)}</td>`)}</tr></tbody></table></div>
<p>Data that were not trained on, inverted to noise and generated again; the root of the mean squared error, in units of the data.</p></section>
<section><h2>Training</h2>${loss}</section>`;
}

/** Numbers of points in the cells of a square from -half to half, for a heat map. */
function countsOf(points: Float32Array, half: number) {
  const values = new Float64Array(CELLS * CELLS);
  const at = (x: number) => Math.floor(((x + half) / (2 * half)) * CELLS);
  for (let i = 0; i < points.length; i += 2) {
    const [column, row] = [at(points[i]), at(points[i + 1])];
    if (Math.min(column, row) >= 0 && Math.max(column, row) < CELLS) values[row * CELLS + column]++;
  }
  return { side: CELLS, values, top: values.reduce((a, b) => Math.max(a, b)) };
}
