import { type Augmentation, colorViews, noisyViews, plainViews, shiftedViews } from '../data/augment.ts';
import { InputError } from '../gpu/errors.ts';
import { defaultPairsOf, defaultViewsOf, type ImageRun } from '../train/images.ts';

/** The training views of `--views`, by name. */
export const VIEWS: ReadonlyMap<string, Augmentation> = new Map<string, Augmentation>([
  ['noisy', noisyViews],
  ['plain', plainViews],
  ['color', colorViews],
  ['shifted', shiftedViews],
]);

/** The name of the default training views: shifted for pairs of drawings, else noisy, or color for images of 3 channels. */
export const defaultViews = (channels: number, pairs?: ImageRun['pairs']): string => {
  const views = defaultViewsOf(channels, pairs);
  return [...VIEWS.keys()].find((name) => VIEWS.get(name) === views)!;
};

/** Pairs and views of a run, by name: those asked for, else the defaults for its images. */
export function pairingOf(
  options: { pairs?: ImageRun['pairs']; views?: string },
  images: { channels: number; partners?: unknown },
) {
  const { pairs = defaultPairsOf(images) } = options;
  const { views = defaultViews(images.channels, pairs) } = options;
  return { pairs, views };
}

/** Views by name. @throws InputError for color views of images without 3 channels */
export function viewsFor(name: string, channels: number): Augmentation {
  if (name === 'color' && channels !== 3)
    throw new InputError(
      `--views: color is for images of 3 channels, got ${channels}; use noisy, plain or shifted`,
    );
  return VIEWS.get(name)!;
}
