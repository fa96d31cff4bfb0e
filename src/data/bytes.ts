import { oneLine, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';

/**
 * The bytes of an argument: a buffer, or any view of one. Shared memory is copied, since the decoders and queues of
 * browsers reject it.
 * @throws InputError: `parseNpy: expected an ArrayBuffer or a Uint8Array, got null`
 */
export function bytesFrom(where: string, source: unknown): Uint8Array<ArrayBuffer> {
  const view = ArrayBuffer.isView(source);
  const buffer = view ? source.buffer : source;
  const shared = typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer;
  if (!shared && !(buffer instanceof ArrayBuffer))
    throw new InputError(`${where}: expected an ArrayBuffer or a Uint8Array, got ${shown(source)}`);
  if ((buffer as ArrayBuffer).detached)
    throw new InputError(`${where}: expected bytes, got a buffer that was transferred away`);
  const bytes = view ? new Uint8Array(buffer, source.byteOffset, source.byteLength) : new Uint8Array(buffer);
  return (shared ? bytes.slice() : bytes) as Uint8Array<ArrayBuffer>;
}

/** A file name for messages, from any value. */
export const nameText = (name: unknown): string => (typeof name === 'string' ? oneLine(name) : shown(name));
