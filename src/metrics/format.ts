import { checkNumber } from '../gpu/check.ts';
import type { Metric } from './metric.ts';

export const isNumber = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value);

/** A number's text with a true minus sign. */
export const withMinus = (text: string): string => text.replaceAll('-', '−');

/**
 * A number with so many decimals; a dash for what is missing or not finite.
 * @throws InputError for other digits than 0 to 100
 */
export function formatNumber(value: number | null | undefined, digits: number): string {
  checkNumber('formatNumber', 'digits', digits, { least: 0, most: 100, whole: true });
  return isNumber(value) ? withMinus(value.toFixed(digits)) : '–';
}

/** A number rounded to so many significant digits: a measured one is worth about five. */
export const significant = (value: number, digits = 5): number => Number(value.toPrecision(digits));

/** A metric in its unit: accuracies in percent, ranks with one decimal. */
export function formatMetric(value: number | null | undefined, kind: Metric['kind']): string {
  if (!isNumber(value)) return '–';
  if (kind === 'accuracy') return `${(100 * value).toFixed(1)} %`;
  // Small spreads would all be 0.000, and the quotients of a collapse would fill the line.
  const size = Math.abs(value);
  const plain = size < 1e5 && (kind === 'rank' || size === 0 || size >= 0.001);
  return withMinus(plain ? value.toFixed(kind === 'rank' ? 1 : 3) : value.toExponential(1));
}
