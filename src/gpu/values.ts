import { shown } from './check.ts';
import { assertAlive, type Device } from './device.ts';
import { InputError } from './errors.ts';
import { readBuffer } from './read.ts';

export const STORAGE = 0x80;
export const COPY_SRC = 0x04;
/** Usage of every buffer that holds a value: storage, copy in, copy out. */
export const VALUE = STORAGE | 0x08 | COPY_SRC;

/** A range of a GPU buffer, in bytes. */
export interface Range {
  buffer: GPUBuffer;
  offset: number;
  size: number;
}

/** The array of each type of tensors. */
export const ARRAYS = { f32: Float32Array, u32: Uint32Array, u8: Uint8Array } as const;
/** An array that can be written to a buffer. */
export type Data = Float32Array | Uint32Array | Uint8Array;

/** Writes an array to a buffer; u8 arrays are padded to a multiple of 4 bytes. */
export function writeBuffer(device: Device, buffer: GPUBuffer, offset: number, given: Data): void {
  let data = given;
  assertAlive(device);
  // WebGPU does not accept shared memory: copy it.
  if (!(data.buffer instanceof ArrayBuffer)) data = data.slice();
  if (data.byteLength % 4) {
    data = new Uint8Array(Math.ceil(given.byteLength / 4) * 4);
    data.set(given);
  }
  device.gpu.queue.writeBuffer(buffer, offset, data as Uint8Array<ArrayBuffer>);
}

/** Reads a range as numbers of a type. @param count how many there are, for u8 arrays, which are padded to a multiple of 4 bytes */
export async function readRange(
  device: Device,
  { buffer, offset, size }: Range,
  dtype: keyof typeof ARRAYS,
  count?: number,
): Promise<Data> {
  const bytes = await readBuffer(device, buffer, offset, dtype === 'u8' ? (count ?? size) : size);
  return new ARRAYS[dtype](bytes);
}

/** Throws unless `data` has `size` elements of the type that `dtype` means. */
export function checkData(
  what: string,
  data: unknown,
  size: number,
  dtype: keyof typeof ARRAYS,
): asserts data is Data {
  const expected = ARRAYS[dtype];
  if (!(data instanceof expected)) {
    throw new InputError(`${what}: expected a ${expected.name}, got ${shown(data)}`);
  }
  if (data.length !== size) throw new InputError(`${what}: expected ${size} elements, got ${data.length}`);
}
