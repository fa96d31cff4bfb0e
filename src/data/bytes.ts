import { oneLine, shown } from '../gpu/check.ts';
import { InputError } from '../gpu/errors.ts';

/**
 * The bytes that a caller gives: a buffer, or any view of one. Shared memory is copied, since the decoders and queues of
 * browsers refuse it.
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

/** The name of a file for messages, whatever a caller gave. */
export const nameText = (name: unknown): string => (typeof name === 'string' ? oneLine(name) : shown(name));
