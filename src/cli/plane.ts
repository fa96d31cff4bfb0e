// A run on points of the plane: what was learned, its numbers and its report.

import { densities, samplePoints } from '../data/plane.ts';
import { saveVariables } from '../data/safetensors.ts';
import { type Scalar, scalar, trace } from '../graph/tensor.ts';
import { allMethods } from '../methods/index.ts';
import type { PlaneMethod } from '../methods/method.ts';
import { significant } from '../metrics/format.ts';
import type { DensityMetrics } from '../train/density.ts';
import { type PlaneMetrics, type PlaneRun, planeTask } from '../train/plane.ts';
import type { Logged } from '../train/run.ts';
import { densityFindings } from './density_report.ts';
import { documentOf, pageStyle } from './document.ts';
import { reason, sha256 } from './files.ts';
import { generatorFindings } from './generator_report.ts';
import { factsList, type Html, html } from './html.ts';
import type { Job } from './job.ts';
import { checkPlan } from './needs.ts';
import type { PlaneOptions } from './options.ts';
import { print } from './terminal.ts';

/** Number of points of a run. */
const POINTS = 4000;

/** The contents of report.json: what all runs have, and the numbers of {@link PlaneFindings}. */
export interface PlaneReport {
  method: string;
  density: string;
  seed: number;
  steps: number;
  seconds: number;
  adapter: string;
  loss: number;
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
      const name = 'log' in model ? 'energy' : 'generator';
      folder.write(`${name}.safetensors`, await saveVariables(device(), model.parameters ?? []));
    },
    async report({ folder, device, progress }, { task: { model }, metrics }, seconds) {
      const { numbers, verdict, sections } =
        'log' in model
          ? await densityFindings(
              device(),
              model,
              { points, density, spread: planeRun.method.spread?.(hyperparameters) ?? 0 },
              metrics as Logged<DensityMetrics>[],
            )
          : await generatorFindings(device(), model.generator, { points, density, seed }, metrics);
      const report: PlaneReport = {
        ...{ method, density: name, seed, steps, seconds: Number(seconds.toFixed(1)) },
        ...{ adapter: device().adapter, loss: metrics.at(-1)!.loss, ...numbers },
        ...{ options: { ...options }, verdict },
      };
      folder.write('report.json', `${JSON.stringify(report, null, 2)}\n`);
      progress.end();
      print(`\n${report.verdict}\n\nFitted in ${seconds.toFixed(0)} s.`);
      try {
        folder.write('report.html', renderPage(report, sections()));
        print(` Look at ${folder.path}/report.html\n`);
      } catch (error) {
        print(` The numbers are in ${folder.path}; report.html could not be written: ${reason(error)}\n`);
      }
      return 0;
    },
  };
}

/** The report. */
function renderPage(report: PlaneReport, sections: Html): string {
  const body = html`<header>
<p class="eyebrow">Hypersphere · ${allMethods[report.method].title}</p>
<h1>${report.density}</h1>
<p class="lead">${report.verdict}</p>
</header>
<main>
${sections}
<section><h2>The run</h2>${factsOf(report)}</section>
</main>
`;
  return documentOf(report.method, [pageStyle()], body);
}

function factsOf({ options, verdict: _, ...report }: PlaneReport): Html {
  const text = (value: unknown) => {
    if (typeof value === 'number') return significant(value);
    if (Array.isArray(value)) return value.map((x: number) => significant(x)).join(', ');
    if (typeof value !== 'object' || value === null) return String(value);
    return Object.entries(value)
      .map(([key, x]) => `${key}: ${significant(x)}`)
      .join(', ');
  };
  const all = [...Object.entries(report), ...Object.entries(options.hyperparameters as object)];
  return factsList(all.map(([name, value]) => [name, text(value)]));
}
