// Parts of a report that any method may have: curves over the steps, and maps of a number over a plane.

import { formatNumber } from '../metrics/format.ts';
import { chart, linear, path, px, viridis } from './chart.ts';
import { type Html, html } from './html.ts';
import { spriteSheet } from './png.ts';
import { base64 } from './report_images.ts';

/** Curves over the steps of a run. */
export interface Curves {
  title: string;
  steps: readonly number[];
  series: { name: string; style: 'line' | 'dashed' | 'dotted'; values: readonly number[] }[];
  caption: string;
}

/** Numbers over a square, row by row from below, as colours from 0 (dark) to `top` (bright). */
export interface HeatMap {
  name: string;
  side: number;
  values: ArrayLike<number>;
  top: number;
}

const CLASSES = { line: 'path', dashed: 'optimum', dotted: 'truth' };
const BOX = { left: 52, top: 14, width: 394, height: 240 };
const SQUARE = { ...BOX, height: BOX.width };

/** A chart of curves, with its caption. */
export function curvesPanel({ title, steps, series, caption }: Curves): Html {
  const y = series.flatMap(({ values }) => [...values]);
  const { atX, atY, grid } = chart(BOX, linear('step', [0, ...steps]), linear('', y));
  const line = (values: readonly number[]) =>
    path(values.map((value, i) => [atX(steps[i]), atY(value)] as const));
  const ends = series.map(({ name, values }) => `${name} ${formatNumber(values.at(-1), 3)}`).join(', ');
  return html`<figure><h3>${title}</h3>
<svg class="plane" viewBox="0 0 460 300" role="img" aria-label="${title}; at the end: ${ends}">
${grid}
${series.map(({ style, values }) => html`<path class="${CLASSES[style]}" fill="none" d="${line(values)}"${style === 'dotted' && html` stroke="currentColor" stroke-dasharray="1 4"`}/>`)}
</svg>
<figcaption>${caption} At the end: ${ends}.</figcaption></figure>`;
}

/** Ways of points over the plane, each a list of places; a dot marks its end. */
export interface Paths {
  title: string;
  paths: readonly (readonly (readonly [x: number, y: number])[])[];
  caption: string;
}

/** A chart of the ways of points, with its caption. */
export function pathsPanel({ title, paths, caption }: Paths): Html {
  // One scale for both axes: a circle is drawn as one.
  const axis = linear('', paths.flat(2));
  const { atX, atY, grid } = chart(SQUARE, axis, axis);
  const places = paths.map((all) => all.map(([x, y]) => [atX(x), atY(y)] as const));
  return html`<figure><h3>${title}</h3>
<svg class="plane" viewBox="0 0 460 460" role="img" aria-label="${title}">
${grid}
${places.map((all) => html`<path class="way" fill="none" stroke="currentColor" stroke-opacity=".25" d="${path(all)}"/>`)}
${places.map((all) => html`<circle class="end" fill="currentColor" r="2" cx="${px(all.at(-1)![0])}" cy="${px(all.at(-1)![1])}"/>`)}
</svg>
<figcaption>${caption}</figcaption></figure>`;
}

/** Heat maps side by side, with one caption. */
export function heatMapsPanel(maps: readonly HeatMap[], caption: string): Html {
  const picture = ({ name, side, values, top }: HeatMap) => {
    const data = new Uint8Array(3 * side * side);
    for (let i = 0; i < side * side; i++) {
      const row = side - 1 - Math.floor(i / side);
      data.set(viridis(values[row * side + (i % side)] / top), 3 * i);
    }
    const image = base64(spriteSheet({ data, height: side, width: side, channels: 3 }));
    return html`<div><h3>${name}</h3><img alt="${name}" src="data:image/png;base64,${image}"></div>`;
  };
  return html`<figure><div class="heat-maps">
${maps.map(picture)}
</div><figcaption>${caption}</figcaption></figure>`;
}
