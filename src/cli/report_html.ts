// The report of a run: one HTML file that needs no network and no other file.
import { type Collapse, describe } from '../measures/alarm.ts';
import type { SimilarityHistogram } from '../measures/similarity_histogram.ts';
import { type About, loadingCode } from './about.ts';
import { fixed, least, most, spaced } from './axes.ts';
import { Html, html, inline, type Section, scriptJson, tableOf } from './html.ts';
import type { ImageOptions } from './options.ts';
import { type Images, sheetOf, shownImages, spriteSheet } from './png.ts';
import { sphereSection } from './report_sphere.ts';
import {
  countOf,
  type Encoder,
  encoderNames,
  encoders,
  formatGauge,
  type GaugeRow,
  type GaugeSet,
  gaugeGroups,
  isNumber,
  type Mark,
  marks,
  measuredRows,
  noise,
  notesOf,
  targetOf,
} from './table.ts';

export type { Images } from './png.ts';
export { principalPlane } from './principal_plane.ts';
export type { Gauge, GaugeSet, Gauges } from './table.ts';

/** What report.json holds: `title`, `date`, `command` and `data` are of newer runs only. */
export interface Report extends Partial<About> {
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
  /** A few sentences: see verdict() in table.ts. */
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

/** Test images on a plane: image i at (x[i], y[i]), by its representation in some encoder. */
export interface MapLayout {
  encoder: Encoder;
  /** Near images are near (t-SNE), or the plane of largest variance. */
  kind: 'neighbours' | 'plane';
  x: ArrayLike<number>;
  y: ArrayLike<number>;
}

/** A choice of layouts of the same images, the first of which is shown at first; labels and thumbnails in their order. */
export interface EmbeddingMap {
  layouts: MapLayout[];
  label: ArrayLike<number>;
  /** Places of the images in the test set. Default: the first ones. */
  image?: ArrayLike<number>;
  thumbnails: Images;
}

/** A mean with its standard error. */
export interface Estimate {
  mean: number;
  error: number;
}

/** How often neighbours are of the class of their query, and a few queries to look at. */
export interface Neighbours {
  /** How many nearest images of each query are counted. */
  k: number;
  /** How many test images are asked for, among how many of the training images. */
  queries: number;
  gallery: number;
  of: number;
  /** Mean share of the k nearest that are of the query's class, over queries. */
  shares: Partial<Record<Encoder, Estimate>>;
  /** What the trained encoder has more than each baseline; the error is that of paired differences. */
  gains: Partial<Record<'raw' | 'untrained', Estimate>>;
  /** Indices into the gallery of pictures, nearest first. */
  shown: ({ query: number } & Partial<Record<Encoder, number[]>>)[];
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
  neighbours?: Neighbours;
  /** Pictures that could not be made, a line each. */
  failures?: readonly string[];
}

export const read = (path: string) => Deno.readTextFileSync(new URL(path, import.meta.url));
const uplot = (file: string) => read(`../../node_modules/uplot/dist/${file}`);

// Nothing may be loaded from anywhere: even text that slipped through the escaping could not call home.
export const policy =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

/** The whole page. Every string of the run is escaped; numbers that are missing or not finite show as a dash; a part that fails is left out and named. */
export function renderReport(run: RunReport): string {
  const { report } = run;
  const failures = [...(run.failures ?? [])];
  const attempt = <T>(what: string, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      failures.push(`${what}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
      return undefined;
    }
  };
  const mapSheet = attempt('map', () => sheetRule('map', run.map?.thumbnails));
  const gallerySheet = attempt('pictures of neighbours', () => sheetRule('gallery', run.gallery));
  // Without their pictures there is nothing to look at; the counts of neighbours stay.
  const shown: RunReport = {
    ...run,
    ...(!mapSheet && { map: undefined }),
    ...(!gallerySheet && { gallery: undefined }),
  };
  const data = attempt('curves and map', () => scriptJson(pageData(shown))) ?? scriptJson(NOTHING_DRAWN);
  const sections = [
    gaugeSection(report.gauges),
    attempt('curves', () => curveSection(shown)),
    attempt('pictures of the sphere', () => sphereSection(shown, sorted(shown.metrics))),
    attempt('map', () => mapSection(shown)),
    attempt('neighbours', () => neighbourSection(shown)),
    nextSection(report),
    runSection(report),
    glossarySection(report.gauges),
  ].filter((section) => section !== undefined);
  const title = report.title ?? report.method;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="Hypersphere">
<title>${title} – Hypersphere report</title>
<link rel="icon" href="data:,">
<style>${inline(uplot('uPlot.min.css'))}</style>
<style>${inline(read('report_page.css'))}</style>
<style>${mapSheet}${gallerySheet}</style>
</head>
<body>
<a class="skip" href="#${sections[0].id}">Skip to the results</a>
<header>
<p class="eyebrow">Hypersphere · self-supervised training report</p>
<h1>${title.replaceAll('-', '\u2011')}</h1>
${summaryLine(report)}
${report.alarm.map((collapse) => html`<p class="alarm" role="alert"><strong>Alarm: </strong>${describe(collapse)}</p>\n`)}
<p class="lead"><span class="visually-hidden">Verdict: </span>${report.verdict.replace(/(\d) %/g, '$1\u00a0%').replaceAll('k-NN', 'k\u2011NN')}</p>
${failures.length > 0 && html`<p class="note">Not in this report: ${failures.join('; ')}.</p>`}
<nav aria-label="Sections"><ul>${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
</header>
<main>
<noscript><p class="note">The curves and the map are drawn by a script, which this browser does not run; their tables are below each of them.</p></noscript>
${sections.map(({ id, title, body }) => html`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>\n${body}</section>\n`)}
</main>
<script type="application/json" id="data">${data}</script>
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
  const measured = measuredRows(gauges);
  const groups = Object.entries(gaugeGroups)
    .map(([group, name]) => ({ name, rows: measured.filter((row) => row.group === group) }))
    .filter(({ rows }) => rows.length > 0);
  const notes = notesOf(gauges);
  const key = encoders.map(
    (encoder) => html`<span class="${encoder}">${symbols[encoder]}</span> ${encoderNames[encoder]}  `,
  );
  const body = html`<figure>
<div class="scroll" tabindex="0" role="group" aria-label="Table of gauges"><table class="gauges">
<thead><tr><th scope="col">gauge</th>${encoders.map((name) => html`<th scope="col" class="${name}"><span aria-hidden="true">${symbols[name]}</span> ${encoderNames[name]}</th>`)}<th class="strip" aria-hidden="true">0 <span>to 100 %</span></th></tr></thead>
${groups.map(
  ({ name, rows }) => html`<tbody>
<tr class="group"><th scope="rowgroup" colspan="5">${name}</th></tr>
${rows.map((row) => gaugeLine(gauges, row))}</tbody>
`,
)}</table></div>
<figcaption>Compare each row from left to right: training is worth what the last number gains over <em>both</em> baselines. <b class="best">★</b> marks the best of a row, <b>≈</b> an accuracy within ${(100 * noise).toFixed(1)} points of it, which is noise. Rows without a mark have no better end of their own; the <a href="#glossary">glossary</a> says how to read them. <span class="key" aria-hidden="true">${key}</span></figcaption>${
    notes.length > 0 &&
    html`
<ul class="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>`
  }
</figure>`;
  return { id: 'gauges', title: 'What training was worth', body };
}

function gaugeLine(gauges: GaugeSet, row: GaugeRow): Html {
  const mark = marks(gauges, row);
  const target = targetOf(gauges, row);
  const count = countOf(gauges, row);
  const arrow =
    row.better && (row.better === 'higher' ? ['↑', 'higher is better'] : ['↓', 'lower is better']);
  const name = html`<abbr title="${row.text}"><a href="#gauge-${row.key}">${row.name}</a></abbr>${arrow && html` <span class="arrow" role="img" aria-label="${arrow[1]}" title="${arrow[1]}">${arrow[0]}</span>`}${target !== undefined && html` <small>${row.target!.name} ${formatGauge(target, row.kind)}</small>`}${count !== undefined && html` <small>${count}</small>`}`;
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
  { key: 'knn', name: 'quick k-NN, augmented', digits: 3 },
  { key: 'probe', name: 'quick linear probe, augmented', digits: 3 },
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
<figcaption>Each curve is one number over the training steps (point at a step to read all of them): in a healthy run alignment ends low and uniformity comes close to its dashed optimum${d > 0 && html`, while the effective rank stays far above 1 (the most it can be is ${d})`}. The two quick accuracies are of a few augmented test images, by a part of the training images: they show the course, and lie below the table’s, which are of all. The thick loss line is smoothed, the thin one is not.</figcaption>
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

const layoutName = ({ encoder, kind }: MapLayout) =>
  kind === 'plane' ? `${encoderNames[encoder]}, principal plane` : encoderNames[encoder];

function mapSection({ map, classNames }: RunReport): Section | undefined {
  const n = map?.layouts[0]?.x.length ?? 0;
  if (!map || !n) return undefined;
  const labels = Array.from(map.label);
  const present = [...new Set(labels)].sort((a, b) => a - b);
  const name = (label: number) => classNames[label] ?? `class ${label}`;
  const tallies = map.layouts.map((layout) => mapNeighbours(layout, map.label));
  const total = tallies.map((tally) => {
    const counted = tally.filter(({ same }) => same !== null);
    const all = counted.reduce((sum, { count }) => sum + count, 0);
    return all ? counted.reduce((sum, { count, same }) => sum + count * same!, 0) / all : null;
  });
  const rows = tallies[0].map(({ label, count, other }, row) => [
    name(label),
    count,
    ...tallies.map((tally) => formatGauge(tally[row].same, 'accuracy')),
    other === undefined ? '–' : name(other),
  ]);
  const choice = map.layouts.map(
    (layout, i) =>
      html`<button type="button" aria-pressed="${i === 0 ? 'true' : 'false'}" data-layout="${i}">${layoutName(layout)}</button>`,
  );
  const body = html`<figure>
${choice.length > 1 && html`<div class="choice" role="group" aria-label="Representation on the map">${choice}</div>`}
<div class="map">
<div class="canvas" id="map-area"><canvas tabindex="0" role="application" aria-roledescription="scatter plot" aria-label="Map of ${n} test images. The arrow keys move from image to image, Escape leaves." aria-describedby="map-caption"></canvas><div class="card" hidden><span class="tile sheet-map"></span><span class="name"></span></div><p class="visually-hidden" id="map-status" role="status"></p></div>
<fieldset class="classes"><legend>Classes <small>(press to hide or show)</small></legend>${present.map((label) => html`<button type="button" aria-pressed="true" data-label="${label}"><svg viewBox="-8 -8 16 16" aria-hidden="true"></svg><span>${name(label)}</span></button>`)}<button type="button" class="all" id="map-all">show all</button></fieldset>
</div>
<figcaption id="map-caption">Each mark is one of ${n} test images. ${mapWords(map.layouts)} Labels only colour the marks, they place none. Point at a mark to see its image.</figcaption>
${tableOf(
  'The map as numbers',
  [
    'class',
    'images',
    ...map.layouts.map((layout) => `same class among the 5 nearest marks: ${layoutName(layout)}`),
    `most often mixed with (${layoutName(map.layouts[0])})`,
  ],
  [...rows, ['all', n, ...total.map((share) => formatGauge(share, 'accuracy')), '']],
)}
</figure>`;
  return { id: 'map', title: 'Map of the test images', body };
}

function mapWords(layouts: MapLayout[]): string {
  const words: string[] = [];
  if (layouts.some(({ kind }) => kind === 'neighbours'))
    words.push(
      'A map of neighbours (t-SNE) puts images side by side whose representations h (or raw pixels) are alike: classes that form their own islands were told apart without labels. Sizes of islands, and distances between them, say nothing.',
    );
  if (layouts.some(({ kind }) => kind === 'plane'))
    words.push(
      'The principal plane shows the two directions of largest variance and nothing of the others: clouds that overlap there may be apart.',
    );
  return words.join(' ');
}

/** For each class, what its five nearest marks on the map are: the map's text alternative. */
function mapNeighbours({ x, y }: MapLayout, label: ArrayLike<number>) {
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

const percentOf = ({ mean, error }: Estimate): string =>
  `${formatGauge(mean, 'accuracy')}${isNumber(error) ? ` ± ${(100 * error).toFixed(1)}` : ''}`;

const baselineNames = { raw: 'raw pixels', untrained: 'the untrained encoder' };

/** "5.8 ± 0.5 points more than raw pixels"; what two standard errors explain is no difference. */
function gainWords(name: 'raw' | 'untrained', { mean, error }: Estimate): string {
  const [points, spread] = [Math.abs(100 * mean).toFixed(1), (100 * error).toFixed(1)];
  if (!isNumber(mean) || !isNumber(error)) return '';
  if (Math.abs(mean) <= 2 * error)
    return `no clear difference to ${baselineNames[name]} (${mean < 0 ? '−' : ''}${points} ± ${spread} points)`;
  return `${points} ± ${spread} points ${mean > 0 ? 'more' : 'fewer'} than ${baselineNames[name]}`;
}

function neighbourSection({ gallery, neighbours, classNames }: RunReport): Section | undefined {
  if (!neighbours) return undefined;
  const { k, queries, of, shares, gains, shown } = neighbours;
  const known = encoders.filter((encoder) => shares[encoder]);
  const among =
    neighbours.gallery < of ? `${thousands(neighbours.gallery)} of ${thousands(of)}` : thousands(of);
  const gained = (['raw', 'untrained'] as const).flatMap((name) =>
    gains[name] ? [gainWords(name, gains[name])] : [],
  );
  const counts =
    known.length > 0 &&
    html`<dl class="shares">${known.map((encoder) => html`<div><dt class="${encoder}"><span aria-hidden="true">${symbols[encoder]}</span> ${encoderNames[encoder]}</dt><dd>${percentOf(shares[encoder]!)}</dd></div>`)}</dl>
<p class="note">Share of the ${k} nearest of ${among} training images that are of the class of the test image, the mean over ${thousands(queries)} test images ± its standard error.${gained.filter(Boolean).length > 0 && ` The trained encoder: ${gained.filter(Boolean).join('; ')}.`}</p>`;
  const body = html`<figure>${counts}${gallery && neighbourLines(gallery, shown, classNames)}</figure>`;
  return { id: 'neighbours', title: 'Nearest neighbours', body };
}

const thousands = (count: number) => (isNumber(count) ? count.toLocaleString('en') : '–');

const nearestBy: Record<Encoder, string> = {
  raw: 'nearest by raw pixels',
  untrained: 'nearest by the untrained encoder',
  trained: 'nearest by the trained encoder',
};

/** A few queries with their nearest images, by each representation. */
function neighbourLines(
  gallery: NonNullable<RunReport['gallery']>,
  shown: Neighbours['shown'],
  classNames: string[],
): Html {
  const columns = encoders.filter((encoder) => shown.some((line) => line[encoder]));
  const name = (i: number) => classNames[gallery.label[i]] ?? `class ${gallery.label[i]}`;
  const image = (i: number, query?: number) => {
    const wrong = query !== undefined && gallery.label[i] !== gallery.label[query];
    const text = `${name(i)}${wrong ? ', another class' : ''}`;
    return html`<span class="${wrong ? 'pick wrong' : 'pick'}" title="${text}"><span class="tile sheet-gallery" role="img" aria-label="${text}" style="${place(gallery, i)}"></span>${wrong && html`<b aria-hidden="true">✕</b>`}</span>`;
  };
  return html`<div class="neighbours" style="--columns:${columns.length}"><p class="head" aria-hidden="true"><span>test image</span>${columns.map((encoder) => html`<span class="${encoder}">${nearestBy[encoder]}</span>`)}</p>
<ul>${shown.map(
    (line) => html`<li>
<div class="query">${image(line.query)}<span>${name(line.query)}</span></div>
${columns.map((encoder) => html`<div class="picks" role="group" aria-label="${nearestBy[encoder]}"><span class="caption ${encoder}" aria-hidden="true">${encoderNames[encoder]}</span>${(line[encoder] ?? []).map((i) => image(i, line.query))}</div>\n`)}</li>\n`,
  )}</ul></div>
<figcaption>A few of the test images, the first of each class, each followed by the training images nearest to it: an outline with <b class="cross">✕</b> is an image of another class. So few say little about an encoder; the shares above are of all.</figcaption>`;
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
  const { height, width } = shownImages(images);
  return new Html(
    `.sheet-${name}{background-image:url(data:image/png;base64,${base64(spriteSheet(images))});background-size:${100 * columns}% ${100 * rows}%;aspect-ratio:${width}/${height}}`,
  );
}

export function base64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 0x8000)
    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

// ---- the run ----

const counted = (n: number, thing: string) => `${thousands(n)} ${thing}${n === 1 ? '' : 's'}`;
const colours: Record<number, string> = { 1: 'gray', 3: 'RGB', 4: 'RGBA' };

/** "10,000 training and 2,000 test images of 28 × 28, gray, 10 classes; seed 0; 1 December 2026" */
function summaryLine({ data, date, seed, options }: Report): Html | undefined {
  const parts: string[] = [];
  if (data) {
    const { train, test, height, width, channels, classes } = data;
    parts.push(
      `${thousands(train)} training and ${counted(test, 'test image')}`,
      `${width}\u00a0×\u00a0${height}, ${colours[channels] ?? `${channels} channels`}`,
    );
    if (classes !== undefined) parts.push(classes === 1 ? '1 class' : `${classes} classes`);
  }
  if (isNumber(options.epochs)) parts.push(counted(options.epochs, 'epoch'));
  parts.push(`seed ${seed}`);
  const day = dateOf(date);
  if (day) parts.push(day);
  return html`<p class="summary">${parts.map((part) => html`<span>${part}</span>`)}</p>`;
}

/** "1 December 2026" */
const dateOf = (date: string | undefined): string | undefined => {
  const time = new Date(date ?? Number.NaN);
  if (Number.isNaN(time.getTime())) return undefined;
  return time.toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  });
};

/** Options in words, and in their order. */
const optionNames: Record<string, string> = {
  encoder: 'encoder',
  embedding: 'numbers in z',
  epochs: 'epochs',
  batch: 'batch',
  learningRate: 'learning rate',
  views: 'training views',
  viewNoise: 'noise of training views',
  precision: 'precision',
  tune: 'tuning of kernels, ms',
  data: 'data',
  test: 'test data',
  dataDigest: 'SHA-256 of the data',
};

function runSection(report: Report): Section {
  const minutes = isNumber(report.seconds)
    ? `${report.seconds >= 60 ? `${Math.floor(report.seconds / 60)} min ` : ''}${Math.floor(report.seconds % 60)} s`
    : '–';
  const given = (value: unknown): string =>
    typeof value === 'string'
      ? value
      : isNumber(value)
        ? String(value)
        : value === false
          ? 'off'
          : Array.isArray(value)
            ? value.map(given).join(', ')
            : (JSON.stringify(value) ?? '–');
  const { hyperparameters, ...others } = report.options;
  // What the facts say already, and what was not given, is left out.
  const said = ['method', 'seed', 'out', 'pixels'];
  const pairs = (of: Record<string, unknown>, names: Record<string, string> = {}) =>
    Object.entries(of)
      .filter(([name, value]) => value !== null && value !== undefined && !said.includes(name))
      .flatMap(([name, value]): [string, string][] =>
        value !== null && typeof value === 'object' && !Array.isArray(value)
          ? Object.entries(value).map(([inner, one]) => [`${name}, ${inner}`, given(one)])
          : [[names[name] ?? name, given(value)]],
      );
  const facts: [string, string][] = [
    ['method', report.method],
    ['seed', String(report.seed)],
    ['steps', thousands(report.steps)],
    ['training time', minutes],
    ['last loss', fixed(report.loss, 4)],
    // The driver's name, without the number of its vendor.
    ['GPU', report.adapter.replace(/^\d+ /, '')],
    ...(report.data ? ([['data set', report.data.name]] as [string, string][]) : []),
  ];
  const spaced = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const ofMethod = pairs(
    hyperparameters !== null && typeof hyperparameters === 'object' ? { ...hyperparameters } : {},
  ).map(([name, value]): [string, string] => [spaced(name), value]);
  const options = pairs(others, optionNames);
  const list = (pairs: [string, string][]) =>
    html`<dl class="facts">${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
  const body = html`${report.command !== undefined && html`<p>This repeats the run:</p>${code(report.command, 'Command line')}`}${list(facts)}${options.length > 0 && html`<h3>Options</h3>${list(options)}`}${ofMethod.length > 0 && html`<h3>Hyperparameters</h3>${list(ofMethod)}`}`;
  return { id: 'run', title: 'The run', body };
}

const code = (text: string, label: string) =>
  html`<pre class="code" tabindex="0" role="group" aria-label="${label}"><code>${text}</code></pre>`;

/** How to use what was trained. */
function nextSection({ data, options }: Report): Section | undefined {
  if (!data || typeof options.encoder !== 'string') return undefined;
  const program = loadingCode(options as Pick<ImageOptions, 'encoder'>, data);
  const body = html`<p class="prose"><code>encoder.safetensors</code> in the folder of this report holds the encoder; its metadata say how it is built and how pixels are scaled. This program for Deno loads it and turns images into vectors; a page fetches the file, all else is the same:</p>
${code(program, 'Program that loads the encoder')}`;
  return { id: 'next', title: 'Use the encoder', body };
}

// ---- what the page's script draws ----

const NOTHING_DRAWN = {
  steps: [],
  curves: [],
  spectrum: { untrained: [], trained: [] },
  classNames: [],
  map: null,
};

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
    map: map?.layouts[0]?.x.length
      ? {
          layouts: map.layouts.map(({ x, y }) => ({ x: list(x), y: list(y) })),
          label: Array.from(map.label),
          image: Array.from(map.image ?? map.label, (at, i) => (map.image ? at : i)),
          sheet: sheetOf(map.thumbnails),
        }
      : null,
  };
}
