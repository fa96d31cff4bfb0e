// Pictures that stand alone: an SVG file that brings its own background, so that it reads on light and dark pages.
import { niceRange, tick } from '../cli/axes.ts';
import { type Html, html, inline } from '../cli/html.ts';

const STYLE = `
svg { --page: #fcfcfb; --text: #1b2024; --muted: #59636d; --grid: #e4e8ec; --c0: #0072b2; --c1: #b85a00; --c2: #00785a; --c3: #a0447c }
@media (prefers-color-scheme: dark) {
  svg { --page: #13171a; --text: #e7eaec; --muted: #a3adb6; --grid: #2a3238; --c0: #6db1f0; --c1: #f0a254; --c2: #45c9a0; --c3: #e48cc0 }
}
text { fill: var(--muted); font: 12px system-ui, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif }
.heading { fill: var(--text); font-size: 16px; font-weight: 600 }
.strong { fill: var(--text) }
.label { fill: var(--text); paint-order: stroke; stroke: var(--page); stroke-width: 4px; stroke-linejoin: round }
.page { fill: var(--page) }
.grid { stroke: var(--grid); fill: none }
.guide { stroke: var(--muted); stroke-dasharray: 5 4; fill: none }
`;

/** Colours of series in the order of their use; told apart in common colour blindness, and by shapes besides. */
export const colours = ['var(--c0)', 'var(--c1)', 'var(--c2)', 'var(--c3)'];

export interface Figure {
  title: string;
  /** What a reader who cannot see it should know. */
  description: string;
  width: number;
  height: number;
}

/** The whole file. */
export function figure({ title, description, width, height }: Figure, body: Html[]): string {
  const page = html`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title description">
<title id="title">${title}</title>
<desc id="description">${description}</desc>
<style>${inline(STYLE)}</style>
<rect class="page" width="${width}" height="${height}" rx="6"/>
<text class="heading" x="20" y="28">${title}</text>
${body}
</svg>
`;
  return page.text;
}

/** One direction of a chart. */
export interface Axis {
  name: string;
  low: number;
  high: number;
  ticks: { at: number; text: string }[];
}

/** An axis that shows all of `values`. */
export function linear(name: string, values: number[]): Axis {
  const range = niceRange(values);
  const ticks = range.ticks.map((at) => ({ at, text: tick(at, range) }));
  return { name, low: range.low, high: range.high, ticks };
}

const superscript = (n: number) =>
  [...String(n)].map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹⁻'['0123456789-'.indexOf(c)]).join('');

/** An axis of powers of ten; what is drawn on it are decimal logarithms. */
export function decades(name: string, logarithms: number[]): Axis {
  const [low, high] = [Math.floor(Math.min(...logarithms)), Math.ceil(Math.max(...logarithms))];
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const text = (power: number) => (power >= 0 && power < 3 ? String(10 ** power) : `10${superscript(power)}`);
  return { name, low, high, ticks: ticks.map((at) => ({ at, text: text(at) })) };
}

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Pixels with one decimal: files stay small. */
export const px = (value: number): string => value.toFixed(1);

/** The grid and names of a chart, and where a point lies on it. */
export function chart({ left, top, width, height }: Box, x: Axis, y: Axis) {
  const atX = (value: number) => left + ((value - x.low) / (x.high - x.low)) * width;
  const atY = (value: number) => top + height - ((value - y.low) / (y.high - y.low)) * height;
  const grid = html`${x.ticks.map(({ at, text }) => html`<path class="grid" d="M${px(atX(at))} ${top}v${height}"/><text x="${px(atX(at))}" y="${top + height + 18}" text-anchor="middle">${text}</text>`)}
${y.ticks.map(({ at, text }) => html`<path class="grid" d="M${left} ${px(atY(at))}h${width}"/><text x="${left - 8}" y="${px(atY(at) + 4)}" text-anchor="end">${text}</text>`)}
<text class="strong" x="${left + width / 2}" y="${top + height + 38}" text-anchor="middle">${x.name}</text>
<text class="strong" transform="translate(${left - 46} ${top + height / 2}) rotate(-90)" text-anchor="middle">${y.name}</text>`;
  return { atX, atY, grid };
}

/** Shapes of series, centred at 0 with a radius of 1. */
export const shapes = {
  circle: 'M-1 0A1 1 0 1 1 1 0A1 1 0 1 1 -1 0Z',
  diamond: 'M0 -1.25L1.25 0L0 1.25L-1.25 0Z',
  up: 'M0 -1.3L1.15 .8H-1.15Z',
  down: 'M0 1.3L1.15 -.8H-1.15Z',
};
export type Shape = keyof typeof shapes;

export const mark = (
  shape: Shape,
  [x, y]: readonly [number, number],
  radius: number,
  fill: string,
  stroke = 'var(--text)',
): Html =>
  html`<path d="${shapes[shape]}" transform="translate(${px(x)} ${px(y)}) scale(${radius})" style="fill:${fill};stroke:${stroke};stroke-width:${(1 / radius).toFixed(3)}"/>`;

/** A line through points. */
export const path = (points: readonly (readonly [number, number])[]): string =>
  points.map(([x, y], i) => `${i ? 'L' : 'M'}${px(x)} ${px(y)}`).join('');
