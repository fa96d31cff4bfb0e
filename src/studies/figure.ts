// Pictures that stand alone: an SVG file that brings its own background, so that it reads on light and dark pages.
import { px } from '../cli/chart.ts';
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
