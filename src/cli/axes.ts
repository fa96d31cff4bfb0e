// Ranges, ticks and scales of pictures.
import { formatNumber, isNumber } from '../metrics/format.ts';

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
