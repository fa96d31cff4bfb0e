// The report of a run: one HTML file that needs no network and no other file.
import { type Collapse, describe } from '../measures/alarm.ts';
import type { SimilarityHistogram } from '../measures/similarity_histogram.ts';
import { fixed, least, most, spaced } from './axes.ts';
import { Html, html, inline, type Section, scriptJson, tableOf } from './html.ts';
import { type Images, sheetOf, spriteSheet } from './png.ts';
import { sphereSection } from './report_sphere.ts';
import {
  type Encoder,
  encoderNames,
  encoders,
  formatGauge,
  type GaugeRow,
  type GaugeSet,
  isNumber,
  type Mark,
  marks,
  measuredRows,
  noise,
  targetOf,
} from './table.ts';

export type { Images } from './png.ts';
export { principalPlane } from './principal_plane.ts';
export type { Gauge, GaugeSet, Gauges } from './table.ts';

/** What report.json holds. */
export interface Report {
  method: string;
  seed: number;
  steps: number;
  /** Training time. */
  seconds: number;
  /** The GPU, in its driver's words. */
  adapter: string;
  /** The last training loss. */
  loss: number | null;
  options: Record<string, unknown>;
  /** One sentence: see verdict() in table.ts. */
  verdict: string;
  /** What the alarm sees at the end; empty: nothing. */
  alarm: readonly Collapse[];
  gauges: GaugeSet;
}

/** One logged training step. */
export interface Metric {
  step: number;
  loss: number | null;
  alignment: number | null;
  uniformity: number | null;
  rank: number | null;
  std: number | null;
  /** Runs of older versions have none. */
  knn?: number | null;
  probe?: number | null;
}

/** Test embeddings on a plane, sample i at (x[i], y[i]); thumbnails in the same order. */
export interface EmbeddingMap {
  x: ArrayLike<number>;
  y: ArrayLike<number>;
  label: ArrayLike<number>;
  thumbnails: Images;
}

/** Indices into the gallery, nearest first. */
export interface Neighbours {
  query: number;
  trained: number[];
  raw: number[];
}

export interface RunReport {
  report: Report;
  metrics: Metric[];
  /** Singular values of z, largest first. */
  spectrum: { untrained: ArrayLike<number>; trained: ArrayLike<number> };
  similarities?: Partial<Record<'untrained' | 'trained', SimilarityHistogram>>;
  map?: EmbeddingMap;
  classNames: string[];
  /** The images that `neighbours` speaks of, no others, and their classes. */
  gallery?: Images & { label: ArrayLike<number> };
  neighbours?: Neighbours[];
}

export const read = (path: string) => Deno.readTextFileSync(new URL(path, import.meta.url));
const uplot = (file: string) => read(`../../node_modules/uplot/dist/${file}`);

// Nothing may be loaded from anywhere: even text that slipped through the escaping could not call home.
export const policy =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

/** The whole page. Every string of the run is escaped; numbers that are missing or not finite show as a dash. */
export function renderReport(run: RunReport): string {
  const { report } = run;
  const sections = [
    gaugeSection(report.gauges),
    curveSection(run),
    sphereSection(run, sorted(run.metrics)),
    mapSection(run),
    neighbourSection(run),
    runSection(report),
    glossarySection(report.gauges),
  ].filter((section) => section !== undefined);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Hypersphere">
<title>${report.method} – Hypersphere report</title>
<link rel="icon" href="data:,">
<style>${inline(uplot('uPlot.min.css'))}</style>
<style>${inline(read('report_page.css'))}</style>
<style>${sheetRule('map', run.map?.thumbnails)}${sheetRule('gallery', run.gallery)}</style>
</head>
<body>
<a class="skip" href="#${sections[0].id}">Skip to the results</a>
<header>
<p class="eyebrow">Hypersphere · self-supervised training report</p>
<h1>${report.method}</h1>
<p class="lead"><span class="visually-hidden">Verdict: </span>${report.verdict.replace(/(\d) %/g, '$1\u00a0%')}</p>
${report.alarm.map((collapse) => html`<p class="alarm"><strong>Alarm: </strong>${describe(collapse)}</p>`)}
<nav aria-label="Sections"><ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
</header>
<main>
<noscript><p class="note">The curves and the map are drawn by a script, which this browser does not run; their tables are below each of them.</p></noscript>
${sections.map(({ id, title, body }) => html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>\n${body}</section>\n`)}
</main>
<script type="application/json" id="data">${scriptJson(pageData(run))}</script>
<script>${inline(uplot('uPlot.iife.min.js'))}</script>
<script>${inline(read('report_page.js'))}</script>
</body>
</html>
`;
  return page.text;
}

// ---- the table of gauges ----

const symbols: Record<Encoder, string> = { raw: '□', untrained: '△', trained: '●' };

function gaugeSection(gauges: GaugeSet): Section {
  const rows = measuredRows(gauges);
  const key = encoders.map(
    (encoder) => html`<span class="${encoder}">${symbols[encoder]}</span> ${encoderNames[encoder]}  `,
  );
  const body = html`<figure>
<div class="scroll" tabindex="0" role="group" aria-label="Table of gauges"><table class="gauges">
<thead><tr><th scope="col">gauge</th>${encoders.map((name) => html`<th scope="col" class="${name}"><span aria-hidden="true">${symbols[name]}</span> ${encoderNames[name]}</th>`)}<th class="strip" aria-hidden="true">0 <span>to 100 %</span></th></tr></thead>
<tbody>${rows.map((row) => gaugeLine(gauges, row))}</tbody>
</table></div>
<figcaption>Compare each row from left to right: training is worth what the last number gains over <em>both</em> baselines. <b class="best">★</b> marks the best of a row, <b>≈</b> an accuracy within ${(100 * noise).toFixed(1)} points of it, which is noise. Rows without a mark have no better end of their own; the <a href="#glossary">glossary</a> says how to read them. <span class="key" aria-hidden="true">${key}</span></figcaption>
</figure>`;
  return { id: 'gauges', title: 'What training was worth', body };
}

function gaugeLine(gauges: GaugeSet, row: GaugeRow): Html {
  const mark = marks(gauges, row);
  const target = targetOf(gauges, row);
  const arrow =
    row.better && (row.better === 'higher' ? ['↑', 'higher is better'] : ['↓', 'lower is better']);
  const name = html`<abbr title="${row.text}"><a href="#gauge-${row.key}">${row.name}</a></abbr>${arrow && html` <span class="arrow" role="img" aria-label="${arrow[1]}" title="${arrow[1]}">${arrow[0]}</span>`}${target !== undefined && html` <small>${row.target!.name} ${formatGauge(target, row.kind)}</small>`}`;
  const cells = encoders.map((encoder) => {
    const spread = row.spread && gauges[encoder][row.spread];
    const value = formatGauge(gauges[encoder][row.key], row.kind);
    return html`<td class="${mark[encoder] || 'plain'}"><span class="cell">${value}${isNumber(spread) && html` <small>±${(100 * spread).toFixed(1)}</small>`}${markOf(mark[encoder])}</span></td>`;
  });
  return html`<tr><th scope="row">${name}</th>${cells}<td class="strip" aria-hidden="true">${row.kind === 'accuracy' && strip(gauges, row)}</td></tr>\n`;
}

function markOf(mark: Mark): Html {
  if (mark === 'best') return html` <b class="mark" title="best" role="img" aria-label="best">★</b>`;
  if (mark === 'near')
    return html` <b class="mark" title="as good as the best, within noise" role="img" aria-label="as good as the best, within noise">≈</b>`;
  return html` <b class="mark"></b>`;
}

/** The three accuracies of a row as marks on a line from 0 to 100 %. */
function strip(gauges: GaugeSet, row: GaugeRow): Html {
  const marked = encoders.flatMap((encoder) => {
    const value = gauges[encoder][row.key];
    if (!isNumber(value)) return [];
    const left = (100 * Math.min(1, Math.max(0, value))).toFixed(1);
    return [html`<i class="${encoder}" style="left:${left}%">${symbols[encoder]}</i>`];
  });
  return html`<div class="track">${marked}</div>`;
}

function glossarySection(gauges: GaugeSet): Section {
  const terms = measuredRows(gauges).map(
    ({ key, name, text }) => html`<div id="gauge-${key}"><dt>${name}</dt><dd>${text}</dd></div>\n`,
  );
  const body = html`<dl class="glossary">
<div><dt>raw pixels, untrained, trained</dt><dd>The image itself as its representation; the encoder as it was initialised; the encoder after training. A gain over raw pixels alone may be the architecture's merit, not the training's.</dd></div>
<div><dt>h, z, d</dt><dd>The encoder's representation h is what you keep. The projector turns it into the embedding z of d numbers, which the loss is about. Alignment, uniformity, std, rank and cosines take z at unit length; rows that say otherwise take it as it is.</dd></div>
${terms}</dl>`;
  return { id: 'glossary', title: 'Glossary', body };
}

// ---- training curves ----

const curves = [
  { key: 'loss', name: 'loss', digits: 4 },
  { key: 'alignment', name: 'alignment', digits: 3 },
  { key: 'uniformity', name: 'uniformity', digits: 3 },
  { key: 'rank', name: 'effective rank of z', digits: 1 },
  { key: 'std', name: 'std of z', digits: 3 },
  { key: 'knn', name: 'k-NN accuracy, augmented', digits: 3 },
  { key: 'probe', name: 'linear probe, augmented', digits: 3 },
] as const;

/** Steps in order, each once: after a resumed run the later entry of a step counts. */
const sorted = (metrics: Metric[]): Metric[] =>
  [...new Map(metrics.map((metric) => [metric.step, metric])).values()].sort((a, b) => a.step - b.step);

const shownCurves = (metrics: Metric[]) =>
  curves.filter(({ key }) => metrics.some((metric) => isNumber(metric[key])));

function curveSection(run: RunReport): Section | undefined {
  const metrics = sorted(run.metrics);
  const shown = shownCurves(metrics);
  if (!shown.length) return undefined;
  const d = run.spectrum.trained.length;
  const body = html`<figure>
<div class="curves">${shown.map(({ key, name }) => html`<div class="chart"><h3 id="curve-${key}-title">${name}</h3><p class="readout" id="curve-${key}-value" aria-hidden="true"></p><div class="plot" id="curve-${key}" role="img" aria-label="${describeCurve(metrics, key, name)}"></div></div>\n`)}</div>
<figcaption>Each curve is one number over the training steps (point at a step to read all of them): in a healthy run alignment ends low and uniformity comes close to its dashed optimum${d > 0 && html`, while the effective rank stays far above 1 (the most it can be is ${d})`}. The accuracies are of a few test images, by a part of the training images: the table’s are by all. The thick loss line is smoothed, the thin one is not.</figcaption>
${tableOf(
  'The curves as numbers',
  ['step', ...shown.map(({ name }) => name)],
  spaced(metrics, 9).map((metric) => [
    metric.step,
    ...shown.map(({ key, digits }) => fixed(metric[key], digits)),
  ]),
)}
</figure>`;
  return { id: 'training', title: 'Training', body };
}

function describeCurve(metrics: Metric[], key: (typeof curves)[number]['key'], name: string): string {
  const known = metrics.filter((metric) => isNumber(metric[key]));
  const at = (metric: Metric) => `${fixed(metric[key], 3)} at step ${metric.step}`;
  const values = known.map((metric) => metric[key]!);
  const extremes = `between ${fixed(least(values), 3)} and ${fixed(most(values), 3)}`;
  return `${name} over training: ${at(known[0])}, ${at(known.at(-1)!)}, ${extremes}`;
}

// ---- map ----

function mapSection({ map, classNames }: RunReport): Section | undefined {
  if (!map?.x.length) return undefined;
  const n = map.x.length;
  const labels = Array.from(map.label);
  const present = [...new Set(labels)].sort((a, b) => a - b);
  const name = (label: number) => classNames[label] ?? `class ${label}`;
  const rows = mapNeighbours(map).map(({ label, count, same, other }) => [
    name(label),
    count,
    formatGauge(same, 'accuracy'),
    other === undefined ? '–' : name(other),
  ]);
  const body = html`<figure>
<div class="map">
<div class="canvas" id="map-area"><canvas tabindex="0" role="application" aria-roledescription="scatter plot" aria-label="Map of ${n} test images. The arrow keys move from image to image, Escape leaves." aria-describedby="map-caption"></canvas><div class="card" hidden><span class="tile sheet-map"></span><span class="name"></span></div><p class="visually-hidden" id="map-status" role="status"></p></div>
<fieldset class="classes"><legend>Classes <small>(press to hide or show)</small></legend>${present.map((label) => html`<button type="button" aria-pressed="true" data-label="${label}"><svg viewBox="-8 -8 16 16" aria-hidden="true"></svg><span>${name(label)}</span></button>`)}<button type="button" class="all" id="map-all">show all</button></fieldset>
</div>
<figcaption id="map-caption">Each mark is a test image, placed by its embedding z on the plane of largest variance: classes that form their own clouds were told apart without labels, and clouds that overlap here may still be apart in the other dimensions. Point at a mark to see its image.</figcaption>
${tableOf('The map as numbers', ['class', 'images', 'same class among the 5 nearest marks', 'most often mixed with'], rows)}
</figure>`;
  return { id: 'map', title: 'Map of the test images', body };
}

/** For each class, what its five nearest marks on the map are: the map's text alternative. */
function mapNeighbours({ x, y, label }: EmbeddingMap) {
  const n = x.length;
  const k = Math.min(5, n - 1);
  const counts = new Map<number, { count: number; votes: Map<number, number> }>();
  const best = new Float64Array(k);
  const who = new Int32Array(k);
  for (let i = 0; i < n; i++) {
    const entry = counts.get(label[i]) ?? { count: 0, votes: new Map<number, number>() };
    counts.set(label[i], entry);
    entry.count++;
    best.fill(Number.POSITIVE_INFINITY);
    who.fill(-1);
    for (let j = 0; j < n; j++) {
      const distance = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2;
      if (j === i || !(distance < best[k - 1])) continue;
      let at = k - 1;
      for (; at > 0 && best[at - 1] > distance; at--) [best[at], who[at]] = [best[at - 1], who[at - 1]];
      [best[at], who[at]] = [distance, j];
    }
    for (const j of who) if (j >= 0) entry.votes.set(label[j], (entry.votes.get(label[j]) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([own, { count, votes }]) => {
      const total = [...votes.values()].reduce((a, b) => a + b, 0);
      const others = [...votes].filter(([other]) => other !== own).sort((a, b) => b[1] - a[1]);
      return { label: own, count, same: total ? (votes.get(own) ?? 0) / total : null, other: others[0]?.[0] };
    });
}

// ---- neighbours ----

function neighbourSection({ gallery, neighbours, classNames }: RunReport): Section | undefined {
  if (!gallery || !neighbours?.length) return undefined;
  const name = (i: number) => classNames[gallery.label[i]] ?? `class ${gallery.label[i]}`;
  const right = (encoder: 'trained' | 'raw') => {
    const all = neighbours.flatMap(({ query, [encoder]: found }) =>
      found.map((i) => gallery.label[i] === gallery.label[query]),
    );
    return `${all.filter(Boolean).length} of ${all.length}`;
  };
  const image = (i: number, query?: number) => {
    const wrong = query !== undefined && gallery.label[i] !== gallery.label[query];
    const text = `${name(i)}${wrong ? ', another class' : ''}`;
    return html`<span class="${wrong ? 'pick wrong' : 'pick'}" title="${text}"><span class="tile sheet-gallery" role="img" aria-label="${text}" style="${place(gallery, i)}"></span>${wrong && html`<b aria-hidden="true">✕</b>`}</span>`;
  };
  const body = html`<figure>
<div class="neighbours"><p class="head" aria-hidden="true"><span>query</span><span class="trained">nearest by the trained encoder</span><span class="raw">nearest by raw pixels</span></p>
<ul>${neighbours.map(
    ({ query, trained, raw }) => html`<li>
<div class="query">${image(query)}<span>${name(query)}</span></div>
<div class="picks" role="group" aria-label="nearest by the trained encoder"><span class="caption trained" aria-hidden="true">trained</span>${trained.map((i) => image(i, query))}</div>
<div class="picks" role="group" aria-label="nearest by raw pixels"><span class="caption raw" aria-hidden="true">raw pixels</span>${raw.map((i) => image(i, query))}</div></li>\n`,
  )}</ul></div>
<figcaption>Each line begins with a test image, followed by the training images nearest to it: an outline with <b class="cross">✕</b> is an image of another class. Of the right class are ${right('trained')} by the trained encoder, ${right('raw')} by raw pixels.</figcaption>
</figure>`;
  return { id: 'neighbours', title: 'Nearest neighbours', body };
}

/** Where a tile lies on its sheet, in percent, so that it can be shown at any size. */
function place(images: Images, i: number): string {
  const { columns, rows } = sheetOf(images);
  const percent = (at: number, of: number) => (of > 1 ? ((100 * at) / (of - 1)).toFixed(4) : '0');
  return `background-position:${percent(i % columns, columns)}% ${percent(Math.floor(i / columns), rows)}%`;
}

/** The style of the tiles of one sheet; the sheet is a PNG in a data URL. */
function sheetRule(name: string, images: Images | undefined): Html | undefined {
  if (!images?.data.length) return undefined;
  const { columns, rows } = sheetOf(images);
  return new Html(
    `.sheet-${name}{background-image:url(data:image/png;base64,${base64(spriteSheet(images))});background-size:${100 * columns}% ${100 * rows}%;aspect-ratio:${images.width}/${images.height}}`,
  );
}

export function base64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000)
    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

// ---- the run ----

function runSection(report: Report): Section {
  const minutes = isNumber(report.seconds)
    ? `${Math.floor(report.seconds / 60)} min ${Math.round(report.seconds % 60)} s`
    : '–';
  const facts: [string, string][] = [
    ['method', report.method],
    ['training time', minutes],
    ['steps', isNumber(report.steps) ? report.steps.toLocaleString('en') : '–'],
    ['last loss', fixed(report.loss, 4)],
    ['seed', String(report.seed)],
    ['GPU', report.adapter],
  ];
  const given = (value: unknown): string =>
    typeof value === 'string'
      ? value
      : isNumber(value)
        ? String(value)
        : value === null
          ? '–'
          : (JSON.stringify(value) ?? '–');
  const options = Object.entries(report.options).flatMap(([name, value]): [string, string][] =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.entries(value).map(([inner, number]) => [`${name}.${inner}`, given(number)])
      : [[name, given(value)]],
  );
  const list = (pairs: [string, string][]) =>
    html`<dl class="facts">${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
  const body = html`${list(facts)}${options.length > 0 && html`<h3>Options</h3>${list(options)}`}`;
  return { id: 'run', title: 'The run', body };
}

// ---- what the page's script draws ----

const short = (value: number | null | undefined) => (isNumber(value) ? Number(value.toPrecision(5)) : null);

function pageData(run: RunReport) {
  const metrics = sorted(run.metrics);
  const { uniformityOptimum, stdIsotropic } = run.report.gauges.trained;
  const targets: Record<string, { name: string; value: number | null }> = {
    uniformity: { name: 'optimum', value: short(uniformityOptimum) },
    std: { name: '1/√d', value: short(stdIsotropic) },
  };
  const shown = shownCurves(metrics);
  const list = (values: ArrayLike<number>) => Array.from(values, short);
  const { map } = run;
  return {
    steps: metrics.map(({ step }) => step),
    curves: shown.map(({ key, digits }) => ({
      key,
      digits,
      smooth: key === 'loss',
      values: metrics.map((metric) => short(metric[key])),
      target: targets[key]?.value === null ? undefined : targets[key],
    })),
    spectrum: { untrained: list(run.spectrum.untrained), trained: list(run.spectrum.trained) },
    classNames: run.classNames,
    map: map?.x.length
      ? { x: list(map.x), y: list(map.y), label: Array.from(map.label), sheet: sheetOf(map.thumbnails) }
      : null,
  };
}
