import { InputError } from '../gpu/errors.ts';

/** The most bytes that a file may expand to: more than a buffer of WebGPU holds. */
const MOST_EXPANDED = 2 ** 32;
/** DEFLATE expands a byte to at most 1032: a run of 258 bytes takes at least two bits. */
export const MOST_RATIO = 1032;
/** Size of the pieces that are expanded: some platforms expand a whole piece at once, here to at most 17 MB. */
const PIECE = 2 ** 14;
/** Bytes that are expanded before the total size must be known. */
const BEGINNING = 2 ** 16;
/** A member has a header of 10 bytes, at least 2 bytes of data, and 8 bytes of checksum and size. */
const SHORTEST_MEMBER = 20;
/** Number of wrong ends of members that are tried before a file counts as damaged. */
const MOST_WRONG_ENDS = 64;

/** Whether bytes start like a gzip file. */
export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** Whether a member of a gzip file may begin here (RFC 1952): its magic number, DEFLATE, no reserved flag. */
const mayBegin = (bytes: Uint8Array, at: number): boolean =>
  bytes[at] === 0x1f && bytes[at + 1] === 0x8b && bytes[at + 2] === 8 && (bytes[at + 3] & 0xe0) === 0;

/** Expanded parts, one after the other. */
class Output {
  readonly chunks: Uint8Array[] = [];
  length = 0;
  /** Largest total size; NaN until the beginning is expanded. */
  size = Number.NaN;
  push(chunk: Uint8Array): void {
    this.chunks.push(chunk);
    this.length += chunk.length;
  }
  /** All of it in one array. */
  join(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const chunk of this.chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
}

/**
 * Expands a gzip file: one member, or several as `cat`, pigz and bgzip make them, perhaps with zeros after the last.
 * `DecompressionStream` takes one member that ends where its input does, so the ends of several are found by trying the
 * places where the next may begin.
 * @param name for messages
 * @param sizeFrom given the first 65,536 bytes (or all), returns how many bytes the whole has; more is an error. It may throw.
 * @throws InputError for a file that is damaged or truncated, or expands to more than `sizeFrom` returned or
 * {@link MOST_EXPANDED} bytes
 */
export async function gunzip(
  bytes: Uint8Array,
  name: string,
  sizeFrom: (beginning: Uint8Array) => number,
): Promise<Uint8Array<ArrayBuffer>> {
  const damaged = () => new InputError(`${name}: a damaged or truncated gzip file; fetch it again`);
  const check = (output: Output, done: boolean): void => {
    if (Number.isNaN(output.size) && (done || output.length >= BEGINNING)) {
      output.size = sizeFrom(output.join().subarray(0, BEGINNING));
      if (output.size > MOST_EXPANDED)
        throw new InputError(
          `${name}: it announces ${output.size} bytes; at most ${MOST_EXPANDED} can be read`,
        );
      if (output.size > MOST_RATIO * bytes.length) throw damaged();
    }
    if (output.length > output.size)
      throw new InputError(
        `${name}: it expands to more than the ${output.size} bytes that its beginning announces`,
      );
  };
  /** Appends the expansion of bytes[from, to) if they are one whole member; otherwise changes nothing. */
  const member = async (output: Output, from: number, to: number): Promise<boolean> => {
    const before = { chunks: output.chunks.length, length: output.length };
    let at = from;
    const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        if (at >= to) return controller.close();
        controller.enqueue(bytes.subarray(at, Math.min(to, at + PIECE)) as Uint8Array<ArrayBuffer>);
        at += PIECE;
      },
    });
    const reader = source.pipeThrough(new DecompressionStream('gzip')).getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return true;
        output.push(value);
        check(output, false);
      }
    } catch (error) {
      reader.cancel().catch(() => {});
      if (error instanceof InputError) throw error;
      output.chunks.length = before.chunks;
      output.length = before.length;
      return false;
    }
  };

  let output = new Output();
  let from = 0;
  let end = bytes.length;
  if (!(await member(output, 0, end))) {
    output = new Output();
    // The last bytes of a member may be zeros too: its size, and all but the first of an empty one.
    while (end > 0 && bytes[end - 1] === 0) end--;
    let wrong = 0;
    for (let to = from + SHORTEST_MEMBER; from < end; to++) {
      const next = to < end && mayBegin(bytes, to);
      if (!next && to < end) continue;
      if (await member(output, from, to)) {
        from = to;
        to += SHORTEST_MEMBER - 1;
      } else if (++wrong > MOST_WRONG_ENDS || to >= Math.min(end + 10, bytes.length)) throw damaged();
    }
  }
  check(output, true);
  return output.join();
}
