// Bytes: files as other programs write them, ways to damage them, and independent readers as references. Nothing from src/.

import { deflateRawSync, gunzipSync } from 'node:zlib';
import fc from 'fast-check';

export type Bytes = Uint8Array<ArrayBuffer>;

export function join(...parts: readonly (ArrayLike<number> | ArrayBufferView)[]): Bytes {
  const all = parts.map((part) =>
    ArrayBuffer.isView(part)
      ? new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
      : Uint8Array.from(part),
  );
  const file = new Uint8Array(all.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of all) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

export const utf8 = (text: string): Bytes => new TextEncoder().encode(text);
export const littleEndian = (value: number | bigint, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n));
export const bigEndian = (value: number | bigint, bytes: number): number[] =>
  littleEndian(value, bytes).reverse();

/** Bytes for a report. */
export function hex(bytes: ArrayLike<number>): string {
  const most = 160;
  const shown = Array.from({ length: Math.min(bytes.length, most) }, (_, i) => bytes[i])
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
  return `${bytes.length} bytes ${shown}${bytes.length > most ? '…' : ''}`;
}

/** A size that decodes from a file without a loop over more than memory holds. */
export const product = (shape: readonly number[]): bigint => shape.reduce((n, size) => n * BigInt(size), 1n);

// ---- gzip ----

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crcTable[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** One member of a gzip file (RFC 1952), by zlib or in stored blocks, with the requested parts of a header. */
export function gzipMember(
  bytes: Uint8Array,
  { name = '', comment = '', extra = 0, headerCrc = false, level = null as number | null, strategy = 0 } = {},
): Bytes {
  const flags = (headerCrc ? 2 : 0) | (extra ? 4 : 0) | (name ? 8 : 0) | (comment ? 16 : 0);
  const before = join(
    [0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255],
    extra ? [...littleEndian(extra, 2), ...new Array<number>(extra).fill(7)] : [],
    name ? join(utf8(name), [0]) : [],
    comment ? join(utf8(comment), [0]) : [],
  );
  const header = headerCrc ? join(before, littleEndian(crc32(before) & 0xffff, 2)) : before;
  const body = level === null ? stored(bytes) : deflateRawSync(bytes, { level, strategy });
  return join(header, body, littleEndian(crc32(bytes), 4), littleEndian(bytes.length % 2 ** 32, 4));
}

/** Blocks that are not compressed. */
function stored(bytes: Uint8Array): Bytes {
  const blocks: Bytes[] = [];
  const size = 65_535;
  for (let at = 0; at === 0 || at < bytes.length; at += size) {
    const block = bytes.subarray(at, at + size);
    const last = at + size >= bytes.length ? 1 : 0;
    blocks.push(
      join([last, ...littleEndian(block.length, 2), ...littleEndian(block.length ^ 0xffff, 2)], block),
    );
  }
  return join(...blocks);
}

/**
 * A gzip file of `bytes`, then of zeros: 258 of them for 13 bits (a fixed Huffman block of the longest match), so
 * that a small file expands to a large one. `claimed` is the CRC's and size's word, right or wrong.
 */
export function gzipBomb(bytes: Uint8Array, zeros: number): Bytes {
  const matches = Math.floor(zeros / 258);
  const bits = 3 + 8 + matches * 13 + 7; // one zero to copy, then matches, then the end
  const block = new Uint8Array(Math.ceil(bits / 8));
  let at = 0;
  const put = (value: number, count: number) => {
    for (let i = 0; i < count; i++, at++) block[at >> 3] |= ((value >> i) & 1) << (at & 7);
  };
  put(1, 1);
  put(1, 2);
  put(0b00001100, 8); // the literal 0: 0x30, from the most significant bit
  // Length 258 is code 285 = 11000101, distance 1 is code 0 = 00000.
  for (let i = 0; i < matches; i++) put(0b0000010100011, 13);
  put(0, 7);
  const stored = join(
    [0, ...littleEndian(bytes.length, 2), ...littleEndian(bytes.length ^ 0xffff, 2)],
    bytes,
  );
  return join([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], stored, block, [0, 0, 0, 0, 0, 0, 0, 0]);
}

/** What gzip holds, by zlib; null for a damaged file. */
export function gunzip(bytes: Uint8Array): Uint8Array | null {
  try {
    return Uint8Array.from(gunzipSync(bytes, { maxOutputLength: 2 ** 26 }));
  } catch {
    return null;
  }
}

// ---- ways to spoil bytes ----

export type Change =
  | { set: number; to: number }
  | { word: number; to: number; big: boolean }
  | { cut: number }
  | { insert: number; bytes: number[] }
  | { drop: number; count: number }
  | { append: number[] }
  | { twice: number; count: number };

const place = fc.oneof({ weight: 3, arbitrary: fc.nat(24) }, { weight: 2, arbitrary: fc.nat(2000) });
const few = fc.array(fc.nat(255), { minLength: 1, maxLength: 12 });
const words = fc.constantFrom(0, 1, 255, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 65_536, 2 ** 30);

export const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ set: place, to: fc.nat(255) }),
  fc.record({ word: place, to: words, big: fc.boolean() }),
  fc.record({ cut: fc.oneof(place, fc.nat(2000)) }),
  fc.record({ insert: place, bytes: few }),
  fc.record({ drop: place, count: fc.integer({ min: 1, max: 20 }) }),
  fc.record({ append: few }),
  fc.record({ twice: place, count: fc.integer({ min: 1, max: 40 }) }),
);
export const changes = fc.oneof(
  fc.array(change, { minLength: 1, maxLength: 1 }),
  fc.array(change, { minLength: 1, maxLength: 4 }),
);

/** Spoils bytes; places count from the beginning, and again from there past the end. */
export function spoil(bytes: Bytes, list: readonly Change[]): Bytes {
  return list.reduce((file, each) => {
    const at = (n: number) => n % Math.max(1, file.length);
    if ('set' in each) return replaced(file, at(each.set), [each.to]);
    if ('word' in each)
      return replaced(file, at(each.word), (each.big ? bigEndian : littleEndian)(each.to, 4));
    if ('cut' in each) return file.slice(0, at(each.cut));
    if ('insert' in each)
      return join(file.subarray(0, at(each.insert)), each.bytes, file.subarray(at(each.insert)));
    if ('drop' in each)
      return join(file.subarray(0, at(each.drop)), file.subarray(at(each.drop) + each.count));
    if ('append' in each) return join(file, each.append);
    const from = at(each.twice);
    return join(file.subarray(0, from + each.count), file.subarray(from));
  }, bytes);
}

function replaced(file: Bytes, at: number, bytes: readonly number[]): Bytes {
  const copy = file.slice();
  for (const [i, byte] of bytes.entries()) if (at + i < copy.length) copy[at + i] = byte;
  return copy;
}
