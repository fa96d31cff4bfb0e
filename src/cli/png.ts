import { deflateSync } from 'node:zlib';

/** Equal images, one after the other. */
export interface Images {
  /** [count, height, width, channels], 0 to 255. */
  data: Uint8Array;
  height: number;
  width: number;
  /** 1 (gray) or 3 (RGB). */
  channels: number;
  /** Images in one row of the sheet. Default: about a square. */
  columns?: number;
}

/** How many images there are, and how they lie on their sheet. */
export function sheetOf({ data, height, width, channels, columns }: Images) {
  if (channels !== 1 && channels !== 3) throw new Error(`images: expected 1 or 3 channels, got ${channels}`);
  const count = data.length / (height * width * channels);
  if (!Number.isInteger(count))
    throw new Error(
      `images: ${data.length} bytes are no whole number of [${height}, ${width}, ${channels}] images`,
    );
  const across = Math.max(1, Math.min(count, columns ?? Math.ceil(Math.sqrt(count))));
  return { count, columns: across, rows: Math.max(1, Math.ceil(count / across)) };
}

/** All images on one sheet, as a PNG file (ISO/IEC 15948: 8 bits, gray or RGB, no filter). */
export function spriteSheet(images: Images): Uint8Array {
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
  return join([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', new Uint8Array(deflateSync(lines, { level: 9 }))),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

/** Length, name, data, and the checksum of name and data. */
function chunk(name: string, data: Uint8Array): Uint8Array {
  const result = new Uint8Array(data.length + 12);
  const view = new DataView(result.buffer);
  view.setUint32(0, data.length);
  result.set(
    [...name].map((letter) => letter.charCodeAt(0)),
    4,
  );
  result.set(data, 8);
  view.setUint32(data.length + 8, crc32(result.subarray(4, data.length + 8)));
  return result;
}

/** The remainders of all single bytes, for the polynomial of ISO 3309. */
const remainders = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++)
    remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder;
});

function crc32(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ remainders[(crc ^ byte) & 255];
  return ~crc >>> 0;
}

function join(parts: Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
