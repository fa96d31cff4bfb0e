// How pictures of a method looked at a few moments of training: the lines of moments.jsonl.
import { Buffer } from 'node:buffer';
import { checkNumber, LARGEST_U32, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';
import type { Images } from './png.ts';
import { base64 } from './report_images.ts';

/** The row that a panel follows, after `step` updates. */
export interface Followed {
  step: number;
  /** The title of the panel. */
  panel: string;
  images: Images;
}

/** Its line. */
export const lineOf = ({ step, panel, images: { data, height, width, channels } }: Followed) => ({
  ...{ step, panel, height, width, channels },
  pixels: base64(data),
});

const SIDE = { least: 1, most: 2 ** 16, whole: true };

/**
 * Reads a line of moments.jsonl.
 * @throws InputError for any other value
 */
export function followedOf(line: unknown, where: string): Followed {
  if (typeof line !== 'object' || line === null)
    throw new InputError(`${where}: expected an object with step, panel and pixels, got ${shown(line)}`);
  const { step, panel, height, width, channels, pixels } = line as Record<string, unknown>;
  checkNumber(where, 'step', step, { least: 0, most: LARGEST_U32, whole: true });
  for (const [name, side] of Object.entries({ height, width, channels }))
    checkNumber(where, name, side, SIDE);
  for (const [name, text] of Object.entries({ panel, pixels }))
    if (typeof text !== 'string')
      throw new InputError(`${where}: expected a text for "${name}", got ${shown(text)}`);
  const data = Uint8Array.from(Buffer.from(pixels as string, 'base64'));
  const sizes = [height, width, channels] as [number, number, number];
  const size = sizes.reduce((a, b) => a * b);
  if (!data.length || data.length % size)
    throw new InputError(
      `${where}: expected a whole number of [${sizes.join(', ')}] pictures for "pixels", got ${data.length} bytes`,
    );
  const images = { data, height: sizes[0], width: sizes[1], channels: sizes[2] };
  return { step: step as number, panel: panel as string, images };
}
