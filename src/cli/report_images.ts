// Pictures in a report: sheets of tiles as PNG in data URLs.
import { Buffer } from 'node:buffer';
import { Html } from './html.ts';
import { type Images, sheetOf, shownImages, spriteSheet } from './png.ts';

/** The position of a tile on its sheet, in percent, so that it can be shown at any size. */
export function place(images: Images, i: number): string {
  const { columns, rows } = sheetOf(images);
  const percent = (at: number, of: number) => (of > 1 ? ((100 * at) / (of - 1)).toFixed(4) : '0');
  return `background-position:${percent(i % columns, columns)}% ${percent(Math.floor(i / columns), rows)}%`;
}

/** The style of the tiles of one sheet; the sheet is a PNG in a data URL. */
export function sheetRule(name: string, images: Images | undefined): Html | undefined {
  if (!images?.data.length) return undefined;
  const { columns, rows } = sheetOf(images);
  const { height, width } = shownImages(images);
  return new Html(
    `.sheet-${name}{background-image:url(data:image/png;base64,${base64(spriteSheet(images))});background-size:${100 * columns}% ${100 * rows}%;aspect-ratio:${width}/${height}}`,
  );
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
