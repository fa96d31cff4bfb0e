// All properties by group, and how many inputs each gets.
import type { Property } from './engine.ts';
import { exports } from './exports.ts';
import { folders } from './folders.ts';
import { loaders } from './loaders.ts';
import { options } from './options.ts';
import { valuesOf } from './values.ts';

/** Shares of the inputs, in percent. */
const groups: Record<string, { share: number; properties: Property[] }> = {
  loaders: { share: 48, properties: loaders },
  options: { share: 8, properties: options },
  folders: { share: 8, properties: folders },
  values: { share: 8, properties: valuesOf },
  exports: { share: 28, properties: exports },
};

export const properties: Property[] = Object.values(groups).flatMap(({ properties }) => properties);
export const propertyOf = (name: string): Property => properties.find((each) => each.name === name)!;

/** How many inputs each property gets of `total`: what some cannot take goes to the others. */
export function shareOut(total: number): Map<string, number> {
  const weights = new Map<Property, number>();
  for (const { share, properties } of Object.values(groups)) {
    const sum = properties.reduce((n, each) => n + each.share, 0);
    for (const each of properties) weights.set(each, (share * each.share) / sum);
  }
  const counts = new Map<string, number>();
  let [left, weight] = [total, [...weights.values()].reduce((a, b) => a + b, 0)];
  // The narrowest first.
  const room = ([{ most = Number.POSITIVE_INFINITY }, share]: [Property, number]) => most / share;
  for (const [property, share] of [...weights].sort((a, b) => room(a) - room(b))) {
    const count = Math.min(
      property.most ?? Number.POSITIVE_INFINITY,
      Math.max(1, Math.round((left * share) / weight)),
    );
    counts.set(property.name, count);
    left -= count;
    weight -= share;
  }
  return counts;
}
