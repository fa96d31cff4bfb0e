// Charts: ranges, ticks and scales of axes, the frame around what is drawn, and colours that stand for numbers.
import { formatNumber, isNumber } from '../metrics/format.ts';
import { html } from './html.ts';

export const least = (values: number[]) => values.reduce((a, b) => Math.min(a, b));
export const most = (values: number[]) => values.reduce((a, b) => Math.max(a, b));

/** A range that begins and ends on a tick, with about five of them. */
export function niceRange(values: number[]): { low: number; high: number; step: number; ticks: number[] } {
  const finite = values.filter(isNumber);
  let [low, high] = finite.length ? [least(finite), most(finite)] : [0, 1];
  // One value only: some room on both sides.
  if (high - low < 1e-9 * Math.max(1, Math.abs(low))) [low, high] = [low - 0.5, high + 0.5];
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const [from, to] = [Math.floor(low / step + 1e-9), Math.ceil(high / step - 1e-9)];
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => (from + i) * step);
  return { low: from * step, high: to * step, step, ticks };
}

/** The number at a tick, with as many digits as the step needs. */
export const tick = (value: number, { step }: { step: number }) =>
  formatNumber(Math.abs(value) < step / 2 ? 0 : value, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)));

/** About `count` of a list, evenly spaced, with its first and last. */
export function spaced<T>(list: T[], count: number): T[] {
  if (list.length <= count) return list;
  return Array.from({ length: count }, (_, i) => list[Math.round((i * (list.length - 1)) / (count - 1))]);
}

/** The linear map that takes the ends of a range to two places. */
export const scale =
  ({ low, high }: { low: number; high: number }, atLow: number, atHigh: number) =>
  (value: number): number =>
    atLow + ((value - low) / (high - low)) * (atHigh - atLow);

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
  const [low, high] = [Math.floor(least(logarithms)), Math.ceil(most(logarithms))];
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const text = (power: number) => (power >= 0 && power < 3 ? String(10 ** power) : `10${superscript(power)}`);
  return { name, low, high, ticks: ticks.map((at) => ({ at, text: text(at) })) };
}

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

/** Viridis (van der Walt & Smith): even steps of lightness, read in any colour blindness. */
const VIRIDIS = [
  [68, 1, 84],
  [71, 45, 123],
  [59, 82, 139],
  [44, 114, 142],
  [33, 145, 140],
  [40, 174, 128],
  [94, 201, 98],
  [173, 220, 48],
  [253, 231, 37],
];

/** Red, green and blue, 0 to 255, of a share from 0 (dark) to 1 (bright). */
export function viridis(share: number): number[] {
  const at = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1);
  const [from, to] = [VIRIDIS[Math.floor(at)], VIRIDIS[Math.ceil(at)]];
  return from.map((value, i) => Math.round(value + (at % 1) * (to[i] - value)));
}
