import { type Augmentation, colorViews, noisyViews, plainViews } from '../data/augment.ts';
import { InputError } from '../gpu/errors.ts';
import { defaultViewsOf } from '../train/images.ts';

/** The training views of `--views`, by name. */
export const VIEWS: ReadonlyMap<string, Augmentation> = new Map<string, Augmentation>([
  ['noisy', noisyViews],
  ['plain', plainViews],
  ['color', colorViews],
]);

/** The name of the default training views: noisy, or color for images of 3 channels. */
export const defaultViews = (channels: number): string => {
  const views = defaultViewsOf(channels);
  return [...VIEWS.keys()].find((name) => VIEWS.get(name) === views)!;
};

/** Views by name. @throws InputError for color views of images without 3 channels */
export function viewsFor(name: string, channels: number): Augmentation {
  if (name === 'color' && channels !== 3)
    throw new InputError(`--views: color is for images of 3 channels, got ${channels}; use noisy or plain`);
  return VIEWS.get(name)!;
}
