// Parts of a report that any method may have: curves over the steps, and maps of a number over a plane.
import { formatNumber } from '../metrics/format.ts';
import { niceRange, tick } from './axes.ts';
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
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [460, 300, 52, 46, 14, 14];

/** A chart of curves, with its caption. */
export function curvesPanel({ title, steps, series, caption }: Curves): Html {
  const xs = niceRange([0, ...steps]);
  const ys = niceRange(series.flatMap(({ values }) => [...values]));
  const px = (x: number) => (LEFT + ((x - xs.low) / (xs.high - xs.low)) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const py = (y: number) =>
    (HEIGHT - BOTTOM - ((y - ys.low) / (ys.high - ys.low)) * (HEIGHT - BOTTOM - TOP)).toFixed(1);
  const path = (values: readonly number[]) =>
    values.map((y, i) => `${i ? 'L' : 'M'}${px(steps[i])} ${py(y)}`).join('');
  const ends = series.map(({ name, values }) => `${name} ${formatNumber(values.at(-1), 3)}`).join(', ');
  return html`<figure><h3>${title}</h3>
<svg class="plane" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}; at the end: ${ends}">
${xs.ticks.map((x) => html`<path class="grid" d="M${px(x)} ${TOP}V${HEIGHT - BOTTOM}"/><text x="${px(x)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${tick(x, xs)}</text>`)}
${ys.ticks.map((y) => html`<path class="grid" d="M${LEFT} ${py(y)}H${WIDTH - RIGHT}"/><text x="${LEFT - 8}" y="${Number(py(y)) + 4}" text-anchor="end">${tick(y, ys)}</text>`)}
<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 8}" text-anchor="middle">step</text>
${series.map(({ style, values }) => html`<path class="${CLASSES[style]}" fill="none" d="${path(values)}"${style === 'dotted' && html` stroke="currentColor" stroke-dasharray="1 4"`}/>`)}
</svg>
<figcaption>${caption} At the end: ${ends}.</figcaption></figure>`;
}

/** Heat maps side by side, with one caption. */
export function heatMapsPanel(maps: readonly HeatMap[], caption: string): Html {
  const picture = ({ name, side, values, top }: HeatMap) => {
    const data = new Uint8Array(3 * side * side);
    for (let i = 0; i < side * side; i++) {
      const row = side - 1 - Math.floor(i / side);
      data.set(colour(values[row * side + (i % side)] / top), 3 * i);
    }
    const image = base64(spriteSheet({ data, height: side, width: side, channels: 3 }));
    return html`<div><h3>${name}</h3><img alt="${name}" src="data:image/png;base64,${image}"></div>`;
  };
  return html`<figure><div class="heat-maps">
${maps.map(picture)}
</div><figcaption>${caption}</figcaption></figure>`;
}

/** Dark to bright in even steps of lightness (the stops of matplotlib's viridis). */
const RAMP = [
  [68, 1, 84],
  [59, 82, 139],
  [33, 145, 140],
  [94, 201, 98],
  [253, 231, 37],
];

function colour(share: number): number[] {
  const place = Math.min(1, Math.max(0, share)) * (RAMP.length - 1);
  const i = Math.min(RAMP.length - 2, Math.floor(place));
  return RAMP[i].map((from, c) => Math.round(from + (place - i) * (RAMP[i + 1][c] - from)));
}
