// The map of the test images in a report.
import { formatMetric } from '../metrics/format.ts';
import { type Html, html, type Section, tableOf } from './html.ts';
import { sheetOf } from './png.ts';
import type { MapLayout, RunReport } from './report.ts';
import { short } from './report_curves.ts';
import { encoderNames } from './table.ts';

const layoutName = ({ encoder, kind }: MapLayout) =>
  kind === 'plane' ? `${encoderNames[encoder]}, principal plane` : encoderNames[encoder];

/** A polygon of n corners, or a star whose inner corners have a smaller radius. */
function polygon(n: number, turn = 0, inner = 1): string {
  const corners = inner < 1 ? 2 * n : n;
  const at = (i: number): [number, number] => {
    const angle = (2 * Math.PI * i) / corners - Math.PI / 2 + turn;
    const r = inner < 1 && i % 2 ? inner : 1;
    return [r * Math.cos(angle), r * Math.sin(angle)];
  };
  const lines = Array.from({ length: corners }, (_, i) =>
    at(i)
      .map((value) => value.toFixed(3))
      .join(' '),
  );
  return `M${lines.join('L')}Z`;
}

const circle = 'M-.85 0A.85 .85 0 1 1 .85 0A.85 .85 0 1 1 -.85 0Z';
const filled = (outline: string) => ({ outline, filled: true });
const stroked = (outline: string) => ({ outline, filled: false });

/** The marks of ten classes, within a radius of one. */
const SHAPES = [
  ...[filled(circle), filled('M-.78 -.78H.78V.78H-.78Z'), filled(polygon(3))],
  ...[stroked('M-.75 -.75L.75 .75M.75 -.75L-.75 .75'), filled(polygon(4)), filled(polygon(3, Math.PI))],
  ...[filled(polygon(5, 0, 0.42)), stroked('M0 -.95V.95M-.95 0H.95'), stroked(circle)],
  stroked('M-.72 -.72H.72V.72H-.72Z'),
];

function markOf(label: number): Html {
  const { outline, filled } = SHAPES[label % SHAPES.length];
  const ink = `var(--c${label % 10})`;
  const style = filled ? `fill:${ink}` : `fill:none;stroke:${ink};stroke-width:.42`;
  return html`<svg viewBox="-8 -8 16 16" aria-hidden="true"><path d="${outline}" transform="scale(6.5)" style="${style}"/></svg>`;
}

export function mapSection({ map, classNames }: RunReport): Section | undefined {
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
    ...tallies.map((tally) => formatMetric(tally[row].same, 'accuracy')),
    other === undefined ? '–' : name(other),
  ]);
  const choice = map.layouts.map(
    (layout, i) =>
      html`<button type="button" aria-pressed="${i === 0 ? 'true' : 'false'}" data-layout="${i}">${layoutName(layout)}</button>`,
  );
  const thing = map.texts ? 'text' : 'image';
  const body = html`<figure>
${choice.length > 1 && html`<div class="choice" role="group" aria-label="Representation on the map">${choice}</div>`}
<div class="map">
<div class="canvas" id="map-area"><canvas tabindex="0" role="application" aria-roledescription="scatter plot" aria-label="Map of ${n} test ${thing}s. The arrow keys move from ${thing} to ${thing}, Escape leaves." aria-describedby="map-caption"></canvas><div class="card" hidden>${!map.texts && html`<span class="tile sheet-map"></span>`}<span class="name"></span></div><p class="visually-hidden" id="map-status" role="status"></p></div>
<fieldset class="classes"><legend>Classes <small>(press to hide or show)</small></legend>${present.map((label) => html`<button type="button" aria-pressed="true" data-label="${label}">${markOf(label)}<span>${name(label)}</span></button>`)}<button type="button" class="all" id="map-all">show all</button></fieldset>
</div>
<figcaption id="map-caption">Each mark is one of ${n} test ${thing}s. ${mapWords(map.layouts, thing)} Labels only colour the marks; they do not move them. Point at a mark to see its ${thing}.</figcaption>
${tableOf(
  'The map as numbers',
  [
    'class',
    `${thing}s`,
    ...map.layouts.map((layout) => `same class among the 5 nearest marks: ${layoutName(layout)}`),
    `most often mixed with (${layoutName(map.layouts[0])})`,
  ],
  [...rows, ['all', n, ...total.map((share) => formatMetric(share, 'accuracy')), '']],
)}
</figure>`;
  return { id: 'map', title: `Map of the test ${thing}s`, body };
}

function mapWords(layouts: MapLayout[], thing: string): string {
  const words: string[] = [];
  if (layouts.some(({ kind }) => kind === 'neighbours'))
    words.push(
      `A map of neighbours (t-SNE) places ${thing}s next to each other if their representations h${thing === 'image' ? ' (or raw pixels)' : ''} are similar: classes that form separate islands are separable without labels. The sizes of islands and the distances between them mean nothing.`,
    );
  if (layouts.some(({ kind }) => kind === 'plane'))
    words.push(
      'The principal plane shows the two directions of largest variance and no others: clouds that overlap there may be separate in another direction.',
    );
  return words.join(' ');
}

/** The classes of the five nearest marks on the map, for each class: the text alternative of the map. */
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

/** The map as the page's script draws it. */
export function mapData({ map }: RunReport) {
  if (!map?.layouts[0]?.x.length) return null;
  const list = (values: ArrayLike<number>) => Array.from(values, short);
  return {
    layouts: map.layouts.map(({ x, y }) => ({ x: list(x), y: list(y) })),
    label: Array.from(map.label),
    image: Array.from(map.image ?? map.label, (at, i) => (map.image ? at : i)),
    ...(map.thumbnails && { sheet: sheetOf(map.thumbnails) }),
    ...(map.texts && { texts: map.texts }),
    shapes: SHAPES,
  };
}
