// gzip (RFC 1952) and DEFLATE (RFC 1951). DecompressionStream reads one member only, says nothing of where it ends or
// what is wrong with it, and goes on for as long as a hostile file makes it (docs/decisions.md).
import { InputError } from '../gpu/errors.ts';

/** The most bytes that a file may expand to: more than a buffer of WebGPU holds. */
export const MOST_EXPANDED = 2 ** 32;
/** DEFLATE expands a byte to 1032 at most: 258 bytes take two bits at least. */
const MOST_RATIO = 1032;
/** How much is expanded before the size of the whole has to be known: two parts that are stored as they are. */
const BEGINNING = 2 ** 17;

/** Whether bytes begin as a gzip file does. */
export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** Codes by their next bits: symbol << 4 | length; 0 where no code begins so. */
interface Codes {
  table: Uint16Array;
  mask: number;
}

interface State {
  readonly bytes: Uint8Array;
  /** The next byte to take. */
  at: number;
  /** Bits that were taken and not used yet, the next one lowest, and how many. */
  hold: number;
  bits: number;
  out: Uint8Array<ArrayBuffer>;
  /** How many bytes of `out` are filled, and where the member began. */
  length: number;
  from: number;
}

type Fail = (what: string) => never;

// Lengths and distances of matches: the least of each symbol, and how many bits are added (RFC 1951, 3.2.5).
const LENGTH_BITS = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCE_BITS = Array.from({ length: 30 }, (_, i) => Math.max(0, (i >> 1) - 1));
const least = (bits: readonly number[], first: number) => {
  let sum = first;
  return Uint16Array.from(bits, (n) => (sum += 2 ** n) - 2 ** n);
};
const LENGTHS = least(LENGTH_BITS, 3);
LENGTHS[28] = 258;
const DISTANCES = least(DISTANCE_BITS, 1);
/** The order in which the lengths of the code for code lengths are written. */
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** Canonical Huffman codes from their lengths. */
function codesOf(lengths: ArrayLike<number>, fail: Fail): Codes {
  const counts = new Uint16Array(16);
  for (let i = 0; i < lengths.length; i++) counts[lengths[i]]++;
  counts[0] = 0;
  let width = 15;
  while (width > 1 && !counts[width]) width--;
  const next = new Uint32Array(17);
  for (let n = 1; n <= 15; n++) next[n + 1] = (next[n] + counts[n]) << 1;
  const table = new Uint16Array(1 << width);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const n = lengths[symbol];
    if (!n) continue;
    const code = next[n]++;
    if (code >= 1 << n) fail('two symbols have one code');
    let reversed = 0;
    for (let i = 0; i < n; i++) reversed |= ((code >> i) & 1) << (n - 1 - i);
    for (let i = reversed; i < table.length; i += 1 << n) table[i] = (symbol << 4) | n;
  }
  return { table, mask: table.length - 1 };
}

let fixed: [literals: Codes, distances: Codes] | undefined;

/** The codes that blocks without codes of their own have (RFC 1951, 3.2.6). */
const fixedCodes = (fail: Fail) =>
  (fixed ??= [
    codesOf(
      Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)),
      fail,
    ),
    codesOf(new Uint8Array(30).fill(5), fail),
  ]);

/** The next `count` bits, 16 at most, as a number. */
function take(s: State, count: number, cut: () => never): number {
  while (s.bits < count) {
    if (s.at >= s.bytes.length) cut();
    s.hold |= s.bytes[s.at++] << s.bits;
    s.bits += 8;
  }
  const value = s.hold & ((1 << count) - 1);
  s.hold >>>= count;
  s.bits -= count;
  return value;
}

function symbol(s: State, { table, mask }: Codes, fail: Fail, cut: () => never): number {
  while (s.bits < 15 && s.at < s.bytes.length) {
    s.hold |= s.bytes[s.at++] << s.bits;
    s.bits += 8;
  }
  const entry = table[s.hold & mask];
  const n = entry & 15;
  if (n > s.bits) cut();
  if (!n) fail('it has a code without a meaning');
  s.hold >>>= n;
  s.bits -= n;
  return entry >> 4;
}

/** The codes of a block with codes of its own. */
function ownCodes(s: State, fail: Fail, cut: () => never): [literals: Codes, distances: Codes] {
  const literals = take(s, 5, cut) + 257;
  const distances = take(s, 5, cut) + 1;
  const written = take(s, 4, cut) + 4;
  if (literals > 286 || distances > 30) fail('it has too many codes');
  const first = new Uint8Array(19);
  for (let i = 0; i < written; i++) first[ORDER[i]] = take(s, 3, cut);
  const codes = codesOf(first, fail);
  const lengths = new Uint8Array(literals + distances);
  for (let i = 0; i < lengths.length; ) {
    const sign = symbol(s, codes, fail, cut);
    if (sign < 16) {
      lengths[i++] = sign;
      continue;
    }
    if (sign === 16 && i === 0) fail('it repeats a length before the first');
    const value = sign === 16 ? lengths[i - 1] : 0;
    const times =
      sign === 16 ? 3 + take(s, 2, cut) : sign === 17 ? 3 + take(s, 3, cut) : 11 + take(s, 7, cut);
    if (i + times > lengths.length) fail('it has too many lengths');
    lengths.fill(value, i, i + times);
    i += times;
  }
  return [codesOf(lengths.subarray(0, literals), fail), codesOf(lengths.subarray(literals), fail)];
}

/** A block of literals and matches. What is hot here lies in locals. */
function compressed(
  s: State,
  [literals, distances]: [Codes, Codes],
  grow: (more: number) => void,
  fail: Fail,
  cut: () => never,
): void {
  const { bytes, from } = s;
  let { at, hold, bits, out, length } = s;
  const end = bytes.length;
  for (;;) {
    // A file that is whole never gets there, since a trailer of eight bytes follows.
    if (at >= end) cut();
    // Two bytes at once leave 16 to 31 bits: enough for a code (15), or what is added to it (13).
    if (bits < 16) {
      hold |= (bytes[at] | (bytes[at + 1] << 8)) << bits;
      at += 2;
      bits += 16;
    }
    const entry = literals.table[hold & literals.mask];
    const n = entry & 15;
    if (!n) fail('it has a code without a meaning');
    hold >>>= n;
    bits -= n;
    const sign = entry >> 4;
    if (sign < 256) {
      if (length === out.length) {
        s.length = length;
        grow(1);
        out = s.out;
      }
      out[length++] = sign;
      continue;
    }
    if (sign === 256) break;
    if (sign > 285) fail('it has a length without a meaning');
    if (bits < 16) {
      hold |= (bytes[at] | (bytes[at + 1] << 8)) << bits;
      at += 2;
      bits += 16;
    }
    const moreLength = LENGTH_BITS[sign - 257];
    const count = LENGTHS[sign - 257] + (hold & ((1 << moreLength) - 1));
    hold >>>= moreLength;
    bits -= moreLength;
    if (bits < 16) {
      hold |= (bytes[at] | (bytes[at + 1] << 8)) << bits;
      at += 2;
      bits += 16;
    }
    const place = distances.table[hold & distances.mask];
    const m = place & 15;
    if (!m) fail('it has a code without a meaning');
    hold >>>= m;
    bits -= m;
    if (bits < 16) {
      hold |= (bytes[at] | (bytes[at + 1] << 8)) << bits;
      at += 2;
      bits += 16;
    }
    const moreDistance = DISTANCE_BITS[place >> 4];
    const distance = DISTANCES[place >> 4] + (hold & ((1 << moreDistance) - 1));
    hold >>>= moreDistance;
    bits -= moreDistance;
    if (distance > length - from) fail('it repeats what lies before its beginning');
    if (length + count > out.length) {
      s.length = length;
      grow(count);
      out = s.out;
    }
    for (const stop = length + count; length < stop; length++) out[length] = out[length - distance];
  }
  if (at - (bits >> 3) > bytes.length) cut();
  s.at = at;
  s.hold = hold;
  s.bits = bits;
  s.length = length;
}

let crcTable: Uint32Array | undefined;

/** CRC-32 of bytes, as gzip has it. */
function crc32(bytes: Uint8Array): number {
  crcTable ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let c = byte;
    for (let i = 0; i < 8; i++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    return c;
  });
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ crcTable[(crc ^ bytes[i]) & 255];
  return ~crc >>> 0;
}

/** Where the data of a member begins: after its header. */
function afterHeader(bytes: Uint8Array, start: number, fail: Fail, cut: () => never): number {
  if (start + 10 > bytes.length) cut();
  const flags = bytes[start + 3];
  if (bytes[start + 2] !== 8 || flags & 0xe0) fail('its header is of no known kind');
  let at = start + 10;
  if (flags & 4) {
    if (at + 2 > bytes.length) cut();
    at += 2 + bytes[at] + 256 * bytes[at + 1];
  }
  for (const text of [8, 16])
    if (flags & text) {
      const end = bytes.indexOf(0, at);
      if (end < 0) cut();
      at = end + 1;
    }
  if (flags & 2) at += 2;
  if (at > bytes.length) cut();
  return at;
}

/**
 * Expands a gzip file: one member, or several as `cat`, pigz and bgzip make them, perhaps with zeros after the last.
 * @param name for messages
 * @param sizeFrom told the first bytes, 65,536 at least,, returns how many the whole has; more is an error. It may throw.
 * @throws InputError for a file that is damaged, cut off, goes on after its end, or expands to more than `sizeFrom`
 * returned or {@link MOST_EXPANDED} bytes
 */
export function gunzip(
  bytes: Uint8Array,
  name: string,
  sizeFrom: (beginning: Uint8Array) => number,
): Uint8Array<ArrayBuffer> {
  const fail = (what: string): never => {
    throw new InputError(`${name}: a damaged gzip file: ${what}; fetch it again`);
  };
  const cut = (): never => {
    throw new InputError(`${name}: a truncated gzip file; fetch it again`);
  };
  const s: State = { bytes, at: 0, hold: 0, bits: 0, out: new Uint8Array(BEGINNING), length: 0, from: 0 };
  let size = -1;
  /** Makes room for more bytes: once, as many as the beginning announces. */
  const grow = (more: number): void => {
    if (size < 0) {
      size = sizeFrom(s.out.subarray(0, s.length));
      if (size > MOST_EXPANDED)
        throw new InputError(`${name}: it announces ${size} bytes; at most ${MOST_EXPANDED} can be read`);
      if (size > MOST_RATIO * bytes.length) cut();
      const out = new Uint8Array(Math.max(size, s.length));
      out.set(s.out.subarray(0, s.length));
      s.out = out;
    }
    if (s.length + more > s.out.length)
      throw new InputError(`${name}: it expands to more than the ${size} bytes that its beginning announces`);
  };
  while (s.at < bytes.length) {
    s.at = afterHeader(bytes, s.at, fail, cut);
    [s.hold, s.bits, s.from] = [0, 0, s.length];
    for (let last = 0; !last; ) {
      last = take(s, 1, cut);
      const kind = take(s, 2, cut);
      if (kind === 0) {
        s.at -= s.bits >> 3;
        [s.hold, s.bits] = [0, 0];
        const count = take(s, 16, cut);
        if (take(s, 16, cut) !== (count ^ 0xffff)) fail('the length of a part is not what it should be');
        if (s.at + count > bytes.length) cut();
        if (s.length + count > s.out.length) grow(count);
        s.out.set(bytes.subarray(s.at, s.at + count), s.length);
        s.at += count;
        s.length += count;
      } else if (kind === 1) compressed(s, fixedCodes(fail), grow, fail, cut);
      else if (kind === 2) compressed(s, ownCodes(s, fail, cut), grow, fail, cut);
      else fail('it has a part of no known kind');
    }
    s.at -= s.bits >> 3;
    if (s.at + 8 > bytes.length) cut();
    const trailer = new DataView(bytes.buffer, bytes.byteOffset + s.at, 8);
    const member = s.out.subarray(s.from, s.length);
    if (
      trailer.getUint32(4, true) !== member.length % 2 ** 32 ||
      trailer.getUint32(0, true) !== crc32(member)
    )
      fail('its checksum does not match');
    s.at += 8;
    const rest = bytes.subarray(s.at);
    if (!isGzip(rest)) {
      if (rest.some((byte) => byte !== 0))
        throw new InputError(`${name}: a gzip file with ${rest.length} bytes after its end; fetch it again`);
      break;
    }
  }
  return s.out.subarray(0, s.length);
}
