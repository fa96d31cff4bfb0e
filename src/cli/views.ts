import { type Augmentation, NOISY, S1, simclrRgb } from '../data/augment.ts';
import { InputError } from '../gpu/errors.ts';
import { defaultViewsOf } from '../train/images.ts';

/** The training views that `--views` knows, by name. */
export const VIEWS: ReadonlyMap<string, Augmentation> = new Map<string, Augmentation>([
  ['noisy', NOISY],
  ['S1', S1],
  ['simclrRgb', simclrRgb],
]);

/** The training views of a run that names none: S1 with noise, and SimCLR's for colour images, which have 3 channels. */
export const defaultViews = (channels: number): string => {
  const views = defaultViewsOf(channels);
  return [...VIEWS.keys()].find((name) => VIEWS.get(name) === views)!;
};

/** Views by name. @throws InputError for views of colour where there is none */
export function viewsFor(name: string, channels: number): Augmentation {
  if (name === 'simclrRgb' && channels !== 3)
    throw new InputError(`--views: simclrRgb is for images of 3 channels, got ${channels}; use noisy or S1`);
  return VIEWS.get(name)!;
}
