import { Buffer } from 'node:buffer';
import { crc32, deflateSync } from 'node:zlib';

/** Images of one size, one after the other. */
export interface Images {
  /** [count, height, width, channels], 0 to 255. */
  data: Uint8Array;
  height: number;
  width: number;
  /** 1 is gray, 3 RGB, 4 RGBA, which is shown over a checkerboard; any others are shown as gray tiles side by side. */
  channels: number;
  /** Images in one row of the sheet. Default: about a square. */
  columns?: number;
}

/**
 * How many images there are, and how they lie on their sheet.
 * @throws Error when the bytes are no whole number of images
 */
export function sheetOf({ data, height, width, channels, columns }: Images) {
  const count = data.length / (height * width * channels);
  if (!Number.isInteger(count))
    throw new Error(
      `images: ${data.length} bytes are no whole number of [${height}, ${width}, ${channels}] images`,
    );
  const across = Math.max(1, Math.min(count, columns ?? Math.ceil(Math.sqrt(count))));
  return { count, columns: across, rows: Math.max(1, Math.ceil(count / across)) };
}

/** The sides of a square of the checkerboard behind transparent pixels, and its two grays. */
const CHECKER = 4;
const CHECKER_GRAYS = [255, 204];

/** Images of any number of channels as gray or RGB ones, which a PNG here can hold. */
export function shownImages(images: Images): Images {
  const { data, height, width, channels } = images;
  if (channels === 1 || channels === 3) return images;
  const pixels = data.length / channels;
  if (channels === 4) {
    const rgb = new Uint8Array(3 * pixels);
    for (let i = 0; i < pixels; i++) {
      const [x, y] = [i % width, Math.floor(i / width) % height];
      const behind = CHECKER_GRAYS[(Math.floor(x / CHECKER) + Math.floor(y / CHECKER)) % 2];
      const alpha = data[4 * i + 3] / 255;
      for (let c = 0; c < 3; c++) rgb[3 * i + c] = Math.round(alpha * data[4 * i + c] + (1 - alpha) * behind);
    }
    return { ...images, data: rgb, channels: 3 };
  }
  const tiles = new Uint8Array(data.length);
  for (let i = 0; i < pixels; i++) {
    const line = Math.floor(i / width) * width * channels;
    for (let c = 0; c < channels; c++) tiles[line + c * width + (i % width)] = data[i * channels + c];
  }
  return { ...images, data: tiles, width: width * channels, channels: 1 };
}

/** The same images, no side longer than `most` pixels, each pixel a mean; images that are small enough as they are. */
export function shrunk(images: Images, most: number): Images {
  const { data, height, width, channels } = images;
  const scale = most / Math.max(height, width);
  if (scale >= 1) return images;
  const [newHeight, newWidth] = [height, width].map((side) => Math.max(1, Math.floor(side * scale)));
  const { count } = sheetOf(images);
  const result = new Uint8Array(count * newHeight * newWidth * channels);
  const bounds = (i: number, old: number, now: number) => [
    Math.floor((i * old) / now),
    Math.max(Math.floor((i * old) / now) + 1, Math.floor(((i + 1) * old) / now)),
  ];
  let at = 0;
  for (let i = 0; i < count; i++)
    for (let y = 0; y < newHeight; y++) {
      const [top, bottom] = bounds(y, height, newHeight);
      for (let x = 0; x < newWidth; x++) {
        const [left, right] = bounds(x, width, newWidth);
        for (let c = 0; c < channels; c++) {
          let sum = 0;
          for (let v = top; v < bottom; v++)
            for (let u = left; u < right; u++) sum += data[((i * height + v) * width + u) * channels + c];
          result[at++] = Math.round(sum / ((bottom - top) * (right - left)));
        }
      }
    }
  return { ...images, data: result, height: newHeight, width: newWidth };
}

/**
 * All images on one sheet, as a PNG file (ISO/IEC 15948: 8 bits, gray or RGB, no filter).
 * @throws Error when the bytes are no whole number of images
 */
export function spriteSheet(given: Images): Uint8Array {
  const images = shownImages(given);
  const { data, height, width, channels } = images;
  const { count, columns, rows } = sheetOf(images);
  const [sheetWidth, sheetHeight, row] = [columns * width, rows * height, width * channels];
  const stride = sheetWidth * channels + 1; // a filter byte leads every line
  const lines = new Uint8Array(stride * sheetHeight);
  for (let i = 0; i < count; i++) {
    const [left, top] = [1 + (i % columns) * row, Math.floor(i / columns) * height];
    for (let y = 0; y < height; y++) {
      const from = (i * height + y) * row;
      lines.set(data.subarray(from, from + row), (top + y) * stride + left);
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, sheetWidth);
  view.setUint32(4, sheetHeight);
  header[8] = 8;
  header[9] = channels === 1 ? 0 : 2;
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const parts = [
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(lines, { level: 9 })),
    chunk('IEND', new Uint8Array(0)),
  ];
  return Uint8Array.from(Buffer.concat(parts));
}

/** Length, name, data, and the checksum of name and data. */
function chunk(name: string, data: Uint8Array): Uint8Array {
  const named = Buffer.concat([Buffer.from(name), data]);
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32BE(data.length);
  numbers.writeUInt32BE(crc32(named), 4);
  return Buffer.concat([numbers.subarray(0, 4), named, numbers.subarray(4)]);
}
