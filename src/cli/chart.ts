// The frame of a chart: grid, ticks and names of its axes, and where a point lies on it.
import { type Axis, scale } from './axes.ts';
import { html } from './html.ts';

/** The area inside of the axes, in pixels. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Pixels with one decimal: files stay small. */
export const px = (value: number): string => value.toFixed(1);

/**
 * The grid and names of a chart, and where a point lies on it.
 * @param aside how far to the left of the area the vertical axis has its name
 */
export function chart({ left, top, width, height }: Box, x: Axis, y: Axis, aside = 46) {
  const atX = scale(x, left, left + width);
  const atY = scale(y, top + height, top);
  const grid = html`${x.ticks.map(({ at, text }) => html`<path class="grid" d="M${px(atX(at))} ${top}v${height}"/><text x="${px(atX(at))}" y="${top + height + 18}" text-anchor="middle">${text}</text>`)}
${y.ticks.map(({ at, text }) => html`<path class="grid" d="M${left} ${px(atY(at))}h${width}"/><text x="${left - 8}" y="${px(atY(at) + 4)}" text-anchor="end">${text}</text>`)}
<text class="strong" x="${left + width / 2}" y="${top + height + 38}" text-anchor="middle">${x.name}</text>
${y.name && html`<text class="strong" transform="translate(${left - aside} ${top + height / 2}) rotate(-90)" text-anchor="middle">${y.name}</text>`}`;
  return { atX, atY, grid };
}

/** A line through points. */
export const path = (points: readonly (readonly [number, number])[]): string =>
  points.map(([x, y], i) => `${i ? 'L' : 'M'}${px(x)} ${px(y)}`).join('');
