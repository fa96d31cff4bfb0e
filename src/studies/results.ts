// docs/results.md and its pictures, from docs/results.json.

import { max, meanSimple, min } from 'simple-statistics';
import { FASHION_CLASSES, readData } from '../cli/files.ts';
import { escapeHtml } from '../cli/html.ts';
import { allMethods } from '../methods/index.ts';
import { THRESHOLDS } from '../metrics/alarm.ts';
import { formatNumber, isNumber } from '../metrics/format.ts';
import type { metricGroups } from '../metrics/metric.ts';
import { evaluationMetrics } from '../metrics/table.ts';
import { gatesOf } from './gates.ts';
import { type Case, numberOf, type Result } from './method_study.ts';
import { fit } from './thresholds.ts';

interface Column {
  name: string;
  digits: number;
  value: (run: Result) => unknown;
}

const DIGITS = { accuracy: 3, number: 3, rank: 1 };
type MetricGroup = keyof typeof metricGroups;

/** The metrics of some groups, in the order of the tables. */
const columnsOf = (...groups: MetricGroup[]): Column[] =>
  groups.flatMap((name) =>
    evaluationMetrics
      .filter(({ group }) => group === name)
      .map(({ key, name, short = name, kind }) => ({
        ...{ name: short, digits: DIGITS[kind] },
        value: ({ metrics }) => metrics[key],
      })),
  );
/** A metric that only studies have. */
const ofStudy = (key: string, name: string, digits = 3): Column => ({
  ...{ name, digits },
  value: ({ metrics }) => metrics[key],
});

const ACCURACIES = columnsOf('accuracy', 'embedding');
const ROBUSTNESS = columnsOf('shift', 'views');
const GEOMETRY: Column[] = [
  ...columnsOf('spread'),
  ofStudy('correlationDiagonal', 'C diagonal'),
  ofStudy('correlationRest', 'C rest'),
  { name: 'loss', digits: 3, value: ({ loss }) => loss },
];
const OTHERS: Column[] = [
  ...columnsOf('structure', 'spectrum'),
  ofStudy('ckaUntrained', 'CKA with the untrained h', 2),
  ofStudy('ckaPixels', 'CKA with the pixels', 2),
  ofStudy('linearProbeZ', 'linear probe of z', 2),
];

/** Runs of one method and variant. */
interface Group {
  method: string;
  variant: string;
  runs: Result[];
}

function groupsOf(results: readonly Result[], cases: readonly Case[]): Group[] {
  const order = ['raw pixels', 'untrained', ...cases.map(({ method }) => method)];
  return [...Map.groupBy(results, ({ method, variant }) => `${method}|${variant}`).values()]
    .map((runs) => ({ ...runs[0], runs: runs.sort((a, b) => a.seed - b.seed) }))
    .sort((a, b) => order.indexOf(a.method) - order.indexOf(b.method));
}

const nameOf = ({ method, variant }: { method: string; variant: string }) =>
  [allMethods[method]?.title ?? method, variant].filter(Boolean).join(', ');

/** The numbers of the methods' own curves at the end of training, a line for each method and variant that has some. */
function ownNumbers(groups: readonly Group[]): string {
  const lines = groups.flatMap((group) => {
    const texts = (allMethods[group.method]?.curves ?? []).map(
      ({ key, name, digits }) =>
        `${name} ${cell(
          group.runs.map((run) => numberOf(run, key)),
          digits,
        )}`,
    );
    return texts.length ? [`- **${nameOf(group)}**: ${texts.join(', ')}`] : [];
  });
  return lines.join('\n');
}

/** The settings of methods that the small protocol does not suit, a line each. */
function ownProtocols(cases: readonly Case[]): string {
  const lines = cases.flatMap(({ method, variant, protocol }) => {
    if (!protocol || variant) return [];
    const { encoder, epochs, batch, learningRate } = protocol;
    const settings = [
      encoder && `encoder ${encoder}`,
      epochs && `${epochs} epochs`,
      batch && `batches of ${batch}`,
      learningRate && `learning rate ${learningRate}`,
    ];
    return [`${allMethods[method].title}: ${settings.filter(Boolean).join(', ')}`];
  });
  return lines.length
    ? `Methods that this does not suit have settings of their own. ${lines.join('; ')}.`
    : '';
}

/** The mean over seeds, ± half of their range. */
function cell(values: readonly unknown[], digits: number): string {
  const numbers = values.filter(isNumber);
  if (!numbers.length) return '–';
  const half = (max(numbers) - min(numbers)) / 2;
  return formatNumber(meanSimple(numbers), digits) + (numbers.length > 1 ? ` ±${half.toFixed(digits)}` : '');
}

function table(
  groups: readonly Group[],
  columns: readonly Column[],
  last?: [string, (g: Group) => string],
): string {
  const header = ['method', ...columns.map(({ name }) => name), ...(last ? [last[0]] : [])];
  const rows = groups.map((group) => [
    nameOf(group),
    ...columns.map(({ value, digits }) => cell(group.runs.map(value), digits)),
    ...(last ? [last[1](group)] : []),
  ]);
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), line(header.map((_, i) => (i ? '--:' : '---'))), ...rows.map(line)].join('\n');
}

/** The outcome of every run whose collapses are known: named, missed, or a false alarm. */
function alarmSection(results: readonly Result[], cases: readonly Case[]): string {
  const judged = results.filter((run) => run.looks);
  const outcome = (runs: readonly Result[]) => {
    const collapsed = runs.filter((run) => run.expected.length);
    const hits = collapsed.filter((run) => run.expected.every((kind) => run.alarm.includes(kind))).length;
    const more = collapsed.filter((run) => run.alarm.some((kind) => !run.expected.includes(kind))).length;
    const healthy = runs.filter((run) => !run.expected.length);
    const falseAlarms = healthy.filter((run) => run.alarm.length || run.falseAlarmSteps?.length).length;
    return `${hits} of ${collapsed.length} collapses named correctly (${more} of them with a second kind), ${collapsed.length - hits} missed; false alarms at any evaluation in ${falseAlarms} of ${healthy.length} healthy runs`;
  };
  const { fitted } = fit(judged.filter(({ seed, shares }) => seed === 0 && shares));
  const rows = Object.entries(THRESHOLDS).map(
    ([name, value]) => `| ${name} | ${value} | ${fitted[name as keyof typeof fitted]} |`,
  );
  const words = groupsOf(judged, cases)
    .flatMap(({ runs }) => runs)
    .filter((run) => run.words.length && (run.seed === 0 || !run.expected.length))
    .map((run) => `- **${nameOf(run)}**${run.seed ? `, seed ${run.seed}` : ''}: ${run.words.join(' ')}`);
  return `## The alarm

Seed 0, on which the thresholds were fitted: ${outcome(judged.filter(({ seed }) => seed === 0))}.
Seeds 1 and 2: ${outcome(judged.filter(({ seed }) => seed > 0))}.

| share of | threshold | geometric mean of the worst healthy and the best collapsed run of seed 0 (their values) |
| --- | --: | --- |
${rows.join('\n')}

The participation ratio of 0.055 is that of VICReg without its covariance term on the 8 x 8 digits, seed 0. All other numbers are from this protocol.

What the alarm reports:

${words.join('\n')}`;
}

const COLOURS = [
  '#4e79a7',
  '#f28e2b',
  '#e15759',
  '#76b7b2',
  '#59a14f',
  '#edc948',
  '#b07aa1',
  '#ff9da7',
  '#9c755f',
  '#8a8a8a',
];

/** Test embeddings on their principal plane, coloured by class, above the singular values; one cell for each method. */
function picturesOf(groups: readonly Group[], labels: ArrayLike<number>): string {
  const shown = groups
    .map(({ runs }) => runs.find(({ seed }) => seed === 0) ?? runs[0])
    .filter((run) => run.picture);
  const [width, height, columns] = [230, 300, 4];
  const cells = shown.map((run, i) => {
    const { x, y, spectrum } = run.picture!;
    const dots = x.map((px, j) => {
      const [cx, cy] = [115 + 95 * px, 130 - 95 * y[j]];
      return `<circle cx="${cx.toFixed(1)}" cy="${cy.toFixed(1)}" r="1.9" fill="${COLOURS[labels[j] % 10]}"/>`;
    });
    const top = Math.max(...spectrum, 1e-9);
    const bars = spectrum.map((value, j) => {
      const tall = Math.max(0.5, (34 * value) / top);
      return `<rect x="${19 + 3 * j}" y="${(276 - tall).toFixed(1)}" width="2.4" height="${tall.toFixed(1)}"/>`;
    });
    const state = run.alarm.length ? `alarm: ${run.alarm.join(', ')}` : 'alarm silent';
    const at = `translate(${(i % columns) * width}, ${24 + Math.floor(i / columns) * height})`;
    // Long names stay in their cell.
    const size = Math.min(12, 330 / nameOf(run).length);
    return `<g transform="${at}"><text x="12" y="14" class="name" style="font-size:${size.toFixed(1)}px">${escapeHtml(nameOf(run))}</text>
<text x="12" y="29"${run.alarm.length ? ' class="bad"' : ''}>${state}</text><circle cx="115" cy="130" r="95" class="edge"/>
${dots.join('')}
<g class="bars">${bars.join('')}</g></g>`;
  });
  const legend = FASHION_CLASSES.map(
    (name, i) =>
      `<g transform="translate(${12 + i * 91}, 0)"><circle cx="5" cy="11" r="4" fill="${COLOURS[i]}"/><text x="13" y="15">${escapeHtml(name)}</text></g>`,
  );
  const tall = 34 + Math.ceil(shown.length / columns) * height;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${columns * width} ${tall}" role="img" font-family="system-ui, sans-serif" font-size="11">
<title>Unit embeddings of 300 test images on their principal plane, and the singular values of z, for each method</title>
<style>svg{background:#fff;color:#222}text{fill:#222}.name{font-weight:600;font-size:12px}.bad{fill:#b3261e;font-weight:600}.edge{fill:none;stroke:#bbb}.bars rect{fill:#555}
@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6e6e6}.bad{fill:#ff8a80}.edge{stroke:#555}.bars rect{fill:#aaa}}</style>
${legend.join('')}
${cells.join('\n')}
</svg>
`;
}

/** Writes docs/results.md and its pictures. @returns the gates that are missed, a line each */
export async function render(
  results: readonly Result[],
  cases: readonly Case[],
  folder: URL,
): Promise<string[]> {
  const groups = groupsOf(results, cases);
  const gates = gatesOf(results, cases);
  const missed = gates.filter(({ ok }) => !ok).map(({ text }) => text);
  const alarmOf = ({ runs }: Group) => {
    const said = runs.filter((run) => run.looks).map((run) => run.alarm.join(', ') || 'silent');
    const count = (word: string) => said.filter((other) => other === word).length;
    return [...new Set(said)]
      .map((word) => (said.length > 1 ? `${word} ${count(word)}/${said.length}` : word))
      .join('; ');
  };
  const text = `# Results

All methods, trained with the small protocol on Fashion-MNIST: an MLP 784-256-128 gives h, a projector 128-128-64 gives z. Views are \`plainViews\` with noise of 0.1
(wider ones for rotation); Adam, learning rate 2e-3, 10 epochs of 39 steps with batch 256. \`npm run methods\` writes this file; each single run is in results.json.
Accuracies are on h unless z is named. On 2,000 test images an accuracy has a standard error of 0.0085, and seeds vary by about 0.006: differences
below 0.015 are noise. Where there are several seeds, a cell has their mean ± half of their range.
${ownProtocols(cases)}

## Accuracies

${table(groups, ACCURACIES, ['alarm', alarmOf])}

## Robustness

k-NN on h of test images under shifts that the training views lack, or have in a weaker form (noise). Invariance: how little augmentation changes h.
Equivariance: R² of a linear map from h of an image to h of the image turned by 90 degrees. Wrong turn: R² of the same prediction against the image turned by 180 degrees.

${table(groups, ROBUSTNESS)}

## Geometry of z

C is the correlation matrix of two views (Barlow Twins): the mean of its diagonal, and the root mean square of all other elements.

${table(groups, GEOMETRY)}

## Other metrics

${table(groups, OTHERS)}

## Numbers of single methods

Of the last training batch; \`--list\` and the reports say what they are.

${ownNumbers(groups)}

${alarmSection(results, cases)}

## Pictures

Unit embeddings of 300 test images on their principal plane (seed 0), inside the unit circle, and the singular values of z. Each collapsed variant is next to the healthy one.

![For each method a scatter of embeddings coloured by class and a bar chart of singular values](results.svg)

## Gates

The gates are calibrated (test/methods). For a method without calibration: AUG-k-NN on h at least 0.05 above the untrained encoder, and a silent alarm.

${gates.length - missed.length} of ${gates.length} met${missed.length ? `; missed:\n\n${missed.map((m) => `- ${m}`).join('\n')}` : '.'}
`;
  Deno.writeTextFileSync(new URL('results.md', folder), text);
  const { test } = await readData(null, null);
  Deno.writeTextFileSync(new URL('results.svg', folder), picturesOf(groups, test.labels!));
  return missed;
}
