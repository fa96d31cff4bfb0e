// The layer curve in a report: what each layer is worth, from the pixels to the embedding.
import { formatMetric, isNumber } from '../metrics/format.ts';
import { type LayerMetric, layerMetrics } from '../metrics/layer_curve.ts';
import { type Axis, chart, linear, path, px, spaced } from './chart.ts';
import { type Html, html, type Section } from './html.ts';
import type { ReportedLayer, ReportedLayers } from './report.ts';
import { thousands } from './report_neighbours.ts';

/** What some ops are called in words. */
const opNames: Record<string, string> = {
  input: 'the image',
  conv2d: 'convolution',
  batchNorm: 'batch norm',
  layerNorm: 'layer norm',
  groupNorm: 'group norm',
  add: 'sum',
  averagePool2d: 'average pool',
  globalAveragePool: 'average pool',
};

const metrics = Object.entries(layerMetrics) as [LayerMetric, (typeof layerMetrics)[LayerMetric]][];

/** The metrics that at least one layer has. */
const measuredMetrics = (rows: readonly ReportedLayer[]) =>
  metrics.filter(([key]) => rows.some((row) => isNumber(row[key])));

/** Of a layer, not of h. */
const nameOf = (key: LayerMetric) =>
  key === 'effectiveRank' ? 'effective rank' : (layerMetrics[key].short ?? layerMetrics[key].name);

export function layerSection(curve: ReportedLayers | undefined): Section | undefined {
  if (!curve?.rows.length) return undefined;
  const { rows, train, test, notes } = curve;
  const shown = measuredMetrics(rows);
  const of = (kind: string) => shown.filter(([, row]) => row.kind === kind).map(([key]) => key);
  const charts = [
    layerChart('accuracy by layer', rows, of('accuracy'), { unit: 100, axis: 'accuracy, %' }),
    layerChart('invariance by layer', rows, of('number'), { unit: 1, axis: 'invariance' }),
  ];
  const body = html`<p class="prose">${conclusion(curve)}</p>
<div class="pair">${charts}</div>
<figure>${layerTable(rows, shown)}
<figcaption>Each layer’s output as a representation of its own, from the image to ${rows.at(-1)!.role === 'z' ? 'the embedding z' : 'the representation h'}. It is measured on ${thousands(train)} training and ${thousands(test)} test images, so that its accuracies are below those of the first table where that has more. Feature maps are flattened and tokens averaged; where two sizes are given, so many random sums of the output’s numbers stand for it.</figcaption>${notes.length > 0 && html`<ul class="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>`}
</figure>`;
  return { id: 'layers', title: 'Layer by layer', body };
}

const percent = (value: number) => formatMetric(value, 'accuracy').replace(' ', '\u00a0');
const points = (value: number) => `${(100 * value).toFixed(1)}\u00a0points`;

/** Which of h and z is better to classify by, and whether another layer is better than h. */
function conclusion({ rows, test }: ReportedLayers): string {
  const ofRole = (role: 'h' | 'z') => rows.find((row) => row.role === role);
  const [h, z] = [ofRole('h'), ofRole('z')];
  const sentences = Object.entries({ linearProbe: 'a linear probe', augKnn: 'augmented k-NN' }).flatMap(
    ([name, words]) => {
      const key = name as LayerMetric;
      const at = h?.[key];
      if (!isNumber(at)) return [];
      // Two standard errors of the difference of two shares of so many images.
      const noise = 2 * Math.sqrt((2 * at * (1 - at)) / test);
      const best = rows.reduce((a, b) => ((b[key] ?? -1) > (a[key] ?? -1) ? b : a));
      const above = best[key]! - at;
      const other =
        above > noise
          ? `${best.name} is the best layer with ${percent(best[key]!)}, ${points(above)} above h`
          : 'no layer is clearly better than h';
      return [`By ${words}, ${inWords(at, z?.[key], noise)}; ${other}.`];
    },
  );
  return sentences.join(' ') || 'Without labels, only invariance and effective rank are measured.';
}

/** h, compared with z where that is there. */
function inWords(h: number, z: number | null | undefined, noise: number): string {
  if (!isNumber(z)) return `h has ${percent(h)}`;
  const both = `h has ${percent(h)} and z ${percent(z)}`;
  if (Math.abs(h - z) <= noise) return `${both}, no clear difference on so few images`;
  return `${both}: ${h > z ? 'keep h' : 'z is the better one'}`;
}

/** The layers along the axis: the ends and h by name, others by their number. */
function layerAxis(rows: readonly ReportedLayer[]): Axis {
  const wanted = new Set(spaced([...rows.keys()], 16));
  const named = rows.flatMap(({ role, name }, at) => {
    const text = role ?? (at === 0 ? name : wanted.has(at) ? String(at) : undefined);
    return text === undefined ? [] : [{ at, text }];
  });
  return { name: 'layer', low: 0, high: Math.max(1, rows.length - 1), ticks: named };
}

function layerChart(
  title: string,
  rows: readonly ReportedLayer[],
  keys: readonly LayerMetric[],
  { unit, axis }: { unit: number; axis: string },
): Html | undefined {
  if (!keys.length) return undefined;
  const values = keys.flatMap((key) => rows.map((row) => row[key]).filter(isNumber));
  const box = { left: 52, top: 14, width: 394, height: 240 };
  const { atX, atY, grid } = chart(
    box,
    layerAxis(rows),
    linear(
      axis,
      values.map((value) => unit * value),
    ),
    39,
  );
  const lines = keys.map((key) => {
    const known = rows.flatMap((row, i) =>
      isNumber(row[key]) ? [[atX(i), atY(unit * row[key])] as const] : [],
    );
    return html`<path class="layer-${key}" d="${path(known)}"/>${known.map(([x, y]) => html`<circle class="layer-${key}" cx="${px(x)}" cy="${px(y)}" r="3"/>`)}`;
  });
  const said = keys.map((key) => {
    const ends = [rows[0], rows.at(-1)!].map((row) => formatMetric(row[key], layerMetrics[key].kind));
    return `${nameOf(key)} from ${ends[0]} at the pixels to ${ends[1]} at the last layer`;
  });
  const legend = html`<p class="legend">${keys.map((key) => html`<span><span class="layer-${key}" aria-hidden="true">━●━</span> ${nameOf(key)}</span>`)}</p>`;
  return html`<figure><h3>${title}</h3>${legend}
<svg class="plane" viewBox="0 0 460 300" role="img" aria-label="${title}: ${said.join('; ')}">
${grid}
${lines}
</svg></figure>`;
}

function layerTable(rows: readonly ReportedLayer[], shown: ReturnType<typeof measuredMetrics>): Html {
  const best = new Map(
    shown
      .filter(([, row]) => row.better)
      .map(([key]) => [key, Math.max(...rows.map((row) => row[key]).filter(isNumber))]),
  );
  const line = (row: ReportedLayer, i: number) => {
    const { name, op, role, shape, width } = row;
    const size = shape.join('\u00a0×\u00a0');
    const measured = width === shape.reduce((a, b) => a * b, 1) ? '' : `, as ${thousands(width)}`;
    return html`<tr><th scope="row">${i} <b>${name}</b>${role && html` <b class="best">${role}</b>`} <small>${opNames[op] ?? op}</small></th><td>${size}${shape.length !== 1 && measured}</td>${shown.map(([key, { kind }]) => html`<td class="${best.get(key) === row[key] ? 'best' : 'plain'}">${formatMetric(row[key], kind)}</td>`)}</tr>
`;
  };
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Table of layers"><table class="numbers layers"><thead><tr><th scope="col">layer</th><th scope="col">size of its output</th>${shown.map(([key, { text }]) => html`<th scope="col"><abbr title="${text}">${nameOf(key)}</abbr></th>`)}</tr></thead><tbody>${rows.map(line)}</tbody></table></div>`;
}
