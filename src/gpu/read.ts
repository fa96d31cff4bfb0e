import type { Device } from './device.ts';
import { assertAlive, reasonOf } from './device.ts';
import { memo } from './memo.ts';
import { align } from './memory.ts';
import { submit } from './submit.ts';

/** Staging buffers that wait for their next read; one list per size. */
const idle = new WeakMap<Device, Map<number, GPUBuffer[]>>();

const COPY_DST_MAP_READ = 0x0008 | 0x0001;

/**
 * Copies a range of a buffer to the CPU. Work submitted later does not wait for it.
 * @throws DeviceLostError
 */
export async function readBuffer(
  device: Device,
  buffer: GPUBuffer,
  offset: number,
  bytes: number,
): Promise<ArrayBuffer> {
  assertAlive(device);
  const pool = memo(idle, device, () => new Map<number, GPUBuffer[]>());
  // Powers of two, so that a few sizes are enough for all reads.
  const size = align(2 ** Math.ceil(Math.log2(Math.max(bytes, 256))));
  const staging = pool.get(size)?.pop() ?? device.memory.create('staging', size, COPY_DST_MAP_READ);
  const whole = Math.ceil(bytes / 4) * 4;
  submit(device.gpu, (encoder) => encoder.copyBufferToBuffer(buffer, offset, staging, 0, whole));
  let copy: ArrayBuffer;
  try {
    await staging.mapAsync(1, 0, whole);
    copy = staging.getMappedRange(0, whole).slice(0, bytes);
    staging.unmap();
  } catch (error) {
    // Not only a lost device: a buffer may have been destroyed meanwhile.
    device.memory.free(staging);
    throw await reasonOf(device, error);
  }
  if (size <= 1 << 20) pool.set(size, [...(pool.get(size) ?? []), staging]);
  else device.memory.free(staging);
  return copy;
}
