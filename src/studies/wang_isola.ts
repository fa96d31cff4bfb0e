// Wang & Isola 2020, arXiv 2005.10242, Section 5: over many encoders, accuracy against alignment and uniformity.

import { sampleRankCorrelation } from 'simple-statistics';
import { chart, linear, path, px, scale, viridis } from '../cli/chart.ts';
import { html } from '../cli/html.ts';
import { evaluate } from '../metrics/evaluate.ts';
import { formatMetric, formatNumber, significant } from '../metrics/format.ts';
import { uniformityOptimum } from '../metrics/uniformity.ts';
import { freeVariables } from '../runtime/variables.ts';
import { represent } from '../train/images.ts';
import { colours, figure, mark, type Shape } from './figure.ts';
import { interval, partialSpearman } from './statistics.ts';
import { type Lab, probeOf, type Study, trained } from './study.ts';

/** One trained encoder. Accuracies are shares; alignment and uniformity are of z, as evaluate() defines them. */
export interface Run {
  /** The arguments of `npm start` that train it. */
  args: string;
  alignment: number;
  uniformity: number;
  /** Accuracy of a linear probe of h, with all labels. */
  linearProbe: number;
  knn: number;
  knnZ: number;
}

const PROTOCOL = '--encoder mlp-small --epochs 3';
const contrastive = (temperature: number, batch = 256) =>
  `--method simclr --temperature ${temperature} --batch ${batch}`;
const alignUniform = (align: number, uniform: number, batch = 256) =>
  `--method alignUniform --align-weight ${align} --uniform-weight ${uniform} --batch ${batch}`;

/** The runs, by the options in which they differ. */
const GRID = [
  ...[0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2].map((temperature) => contrastive(temperature)),
  ...[0.1, 0.25, 0.5, 1, 2, 3, 5, 10].map((weight) => alignUniform(weight, 1)),
  '--method alignment --batch 256',
  '--method uniformity --batch 256',
  ...[0.2, 0.5].flatMap((temperature) => [64, 128, 512].map((batch) => contrastive(temperature, batch))),
  ...[1, 2].flatMap((weight) => [64, 128, 512].map((batch) => alignUniform(weight, 1, batch))),
];
/** More seeds of the best run of each family: the best of many runs with one seed was also lucky. */
const FRESH_SEEDS = [1, 2, 3];

const families = {
  simclr: { name: 'NT-Xent', shape: 'circle' },
  alignUniform: { name: 'align + uniform', shape: 'diamond' },
  alignment: { name: 'alignment only', shape: 'up' },
  uniformity: { name: 'uniformity only', shape: 'down' },
} as const satisfies Record<string, { name: string; shape: Shape }>;
type Family = keyof typeof families;

const option = ({ args }: Run, name: string): string => new RegExp(`--${name} (\\S+)`).exec(args)?.[1] ?? '';
const familyOf = (run: Run) => option(run, 'method') as Family;
const seedOf = (run: Run) => option(run, 'seed');
const grid = (runs: readonly Run[]) => runs.filter((run) => seedOf(run) === '0');
const best = (runs: readonly Run[], family: Family): Run | undefined =>
  grid(runs)
    .filter((run) => familyOf(run) === family)
    .sort((a, b) => b.linearProbe - a.linearProbe)[0];
const withSeed = ({ args }: Run, seed: number) => args.replace(/--seed \d+/, `--seed ${seed}`);

async function* measure(lab: Lab, runs: readonly Run[]) {
  const missing = (args: string) => !runs.some((run) => run.args === args);
  for (const args of GRID.map((what) => `${what} ${PROTOCOL} --seed 0`).filter(missing))
    yield await one(lab, args);
  const winners = (['simclr', 'alignUniform'] as const).map((family) => best(runs, family)!);
  const again = winners.flatMap((run) => FRESH_SEEDS.map((seed) => withSeed(run, seed)));
  for (const args of again.filter(missing)) yield await one(lab, args);
}

/** Trains one encoder and measures it. */
async function one(lab: Lab, args: string): Promise<Run> {
  const { device, data } = lab;
  const model = await trained(lab, args);
  const found = await evaluate(device, data, (x) => represent(model, x), { probes: false });
  const linearProbe = await probeOf(device, data, (x) => model.encoder(x));
  freeVariables(device, model.variables);
  const run = {
    args,
    alignment: significant(found.alignment!),
    uniformity: significant(found.uniformity!),
    linearProbe,
    knn: found.knn!,
    knnZ: found.knnZ!,
  };
  lab.say(
    `  probe ${percent(run.linearProbe)}, alignment ${run.alignment}, uniformity ${run.uniformity}: ${args}`,
  );
  return run;
}

const percent = (share: number) => formatMetric(share, 'accuracy');

/** "temperature 0.2, batch 256" */
const settings = (run: Run): string =>
  (['temperature', 'align-weight', 'batch'] as const)
    .flatMap((name) => (option(run, name) ? [`${name.replace('-', ' ')} ${option(run, name)}`] : []))
    .join(', ');

const outcomes = { linearProbe: 'linear probe on h', knn: 'k-NN on h', knnZ: 'k-NN on z' } as const;

/** Rank correlations of an accuracy, positive where a better metric goes with a higher accuracy. */
export function correlations(runs: readonly Run[], outcome: keyof typeof outcomes = 'linearProbe') {
  const [accuracy, align, uniform, both] = [
    runs.map((run) => run[outcome]),
    runs.map((run) => -run.alignment),
    runs.map((run) => -run.uniformity),
    runs.map((run) => -run.alignment - run.uniformity),
  ];
  return {
    alignment: sampleRankCorrelation(accuracy, align),
    uniformity: sampleRankCorrelation(accuracy, uniform),
    'their sum': sampleRankCorrelation(accuracy, both),
    'alignment, uniformity fixed': partialSpearman(accuracy, align, uniform),
    'uniformity, alignment fixed': partialSpearman(accuracy, uniform, align),
  };
}

const signed = (value: number) => `${value < 0 ? '' : '+'}${formatNumber(value, 2)}`;

/** A table of rank correlations with their 95 % intervals, and the best runs. */
function summary(runs: readonly Run[]): string {
  const all = grid(runs);
  const of = (...which: Family[]) => all.filter((run) => which.includes(familyOf(run)));
  const groups = {
    all,
    'NT-Xent and align + uniform': of('simclr', 'alignUniform'),
    'NT-Xent': of('simclr'),
    'align + uniform': of('alignUniform'),
  };
  const keys = Object.keys(outcomes) as (keyof typeof outcomes)[];
  const lines = Object.entries(groups)
    .filter(([, some]) => some.length > 3)
    .flatMap(([name, some]) =>
      keys.map((key) => {
        const cells = Object.entries(correlations(some, key)).map(([which, value]) => {
          // A partial correlation has one observation less.
          const [low, high] = interval(value, some.length - Number(/fixed$/.test(which)));
          return `${signed(value)} (${signed(low)} to ${signed(high)})`;
        });
        return `| ${name} (${some.length}) | ${outcomes[key]} | ${cells.join(' | ')} |`;
      }),
    );
  const head = ['runs', 'accuracy', ...Object.keys(correlations(all))];
  const winners = (['simclr', 'alignUniform'] as const).flatMap((family) => best(runs, family) ?? []);
  const fresh = winners.map((run) => {
    const again = FRESH_SEEDS.flatMap((seed) => runs.filter(({ args }) => args === withSeed(run, seed)));
    const others = again.map((other) => percent(other.linearProbe)).join(', ') || 'not run';
    return `best ${families[familyOf(run)].name} (${settings(run)}): ${percent(run.linearProbe)}; other seeds: ${others}`;
  });
  return [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...lines, '', ...fresh].join('\n');
}

// ---- the picture ----

const colour = (share: number) => `rgb(${viridis(share).join(' ')})`;

/** Larger batches are larger marks. */
const radius = (run: Run) => 2.5 + Math.log2(Number(option(run, 'batch')) / 16);

function draw(runs: readonly Run[]): string {
  const all = grid(runs);
  const box = { left: 72, top: 92, width: 520, height: 400 };
  const optimum = uniformityOptimum(64);
  const x = linear('← alignment: better to the left', [0, ...all.map((run) => run.alignment)]);
  const y = linear('← uniformity: better below', [0, optimum, ...all.map((run) => run.uniformity)]);
  const { atX, atY, grid: lines } = chart(box, x, y);
  const probe = linear(
    'linear probe on h, %',
    all.map((run) => 100 * run.linearProbe),
  );
  const share = scale(probe, 0, 1);
  const place = (run: Run) => [atX(run.alignment), atY(run.uniformity)] as const;
  const rho = Object.entries(correlations(all))
    .slice(0, 3)
    .map(([name, value]) => `${name} ${signed(value)}`);
  const winners = (['simclr', 'alignUniform'] as const).flatMap((family) => best(runs, family) ?? []);
  const bar = { left: 640, top: 132, width: 18, height: 320 };
  const atBar = scale(probe, bar.top + bar.height, bar.top);
  const used = (Object.keys(families) as Family[]).filter((family) =>
    all.some((run) => familyOf(run) === family),
  );
  const names = used.map((family, i) => {
    const { name, shape } = families[family];
    const [left, top] = [25 + 125 * i, 72];
    return html`${mark(shape, [left, top - 4], 5, 'none')}<text x="${left + 12}" y="${top}">${name}</text>`;
  });
  return figure(
    {
      title: `Alignment, uniformity and accuracy of ${all.length} encoders`,
      description: `Scatter plot after Wang and Isola's: alignment on x, uniformity on y, linear-probe accuracy as colour, from ${percent(Math.min(...all.map((r) => r.linearProbe)))} to ${percent(Math.max(...all.map((r) => r.linearProbe)))}. The most accurate encoders lie in the bend and below it. Spearman's rank correlation of accuracy with being better in ${rho.join(', ')}. ${winners.map((run) => `The best ${families[familyOf(run)].name} reaches ${percent(run.linearProbe)} (${settings(run)})`).join('; ')}.`,
      width: 740,
      height: 550,
    },
    [
      html`<text x="20" y="50">Spearman's ρ of accuracy with being better in ${rho.join(', ')}</text><text x="720" y="72" text-anchor="end">larger mark: larger batch</text>`,
      html`${names}`,
      lines,
      html`<path class="guide" d="M${box.left} ${px(atY(optimum))}h${box.width}"/><text x="${box.left + box.width - 4}" y="${px(atY(optimum) + 14)}" text-anchor="end">even over the sphere: ${formatNumber(optimum, 2)}</text>`,
      html`${winners.map((run, i) => {
        const [cx, cy] = place(run);
        const [tx, ty] = [box.left + 0.3 * box.width, box.top + box.height * (0.2 + 0.1 * i)];
        return html`<path d="${path([
          [tx - 6, ty - 4],
          [cx, cy],
        ])}" style="stroke:${colours[i]};fill:none"/><text class="label" x="${px(tx)}" y="${px(ty)}">best ${families[familyOf(run)].name}: ${percent(run.linearProbe)} (${settings(run)})</text>`;
      })}`,
      html`${[...all]
        .sort((a, b) => radius(b) - radius(a))
        .map((run) =>
          mark(families[familyOf(run)].shape, place(run), radius(run), colour(share(100 * run.linearProbe))),
        )}`,
      html`<text class="strong" x="${bar.left - 8}" y="${bar.top - 22}">linear probe</text><text x="${bar.left - 8}" y="${bar.top - 8}">on h, %</text>`,
      html`${Array.from({ length: 40 }, (_, i) => html`<rect x="${bar.left}" y="${px(bar.top + (bar.height * i) / 40)}" width="${bar.width}" height="${px(bar.height / 40 + 0.5)}" style="fill:${colour(1 - (i + 0.5) / 40)}"/>`)}`,
      html`${probe.ticks.map(({ at, text }) => html`<text x="${bar.left + bar.width + 6}" y="${px(atBar(at) + 4)}">${text}</text>`)}`,
    ],
  );
}

export const wangIsola: Study<Run> = { measure, draw, summary };
