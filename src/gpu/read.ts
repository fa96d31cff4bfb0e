import type { Device } from './device.ts';
import { assertAlive } from './device.ts';
import { align } from './memory.ts';

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
  let pool = idle.get(device);
  if (!pool) {
    pool = new Map();
    idle.set(device, pool);
  }
  // Powers of two, so that few sizes serve all reads.
  const size = align(2 ** Math.ceil(Math.log2(Math.max(bytes, 256))));
  const staging = pool.get(size)?.pop() ?? device.memory.create('staging', size, COPY_DST_MAP_READ);
  const whole = Math.ceil(bytes / 4) * 4;
  const encoder = device.gpu.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, offset, staging, 0, whole);
  device.gpu.queue.submit([encoder.finish()]);
  let copy: ArrayBuffer;
  try {
    await staging.mapAsync(1, 0, whole);
    copy = staging.getMappedRange(0, whole).slice(0, bytes);
    staging.unmap();
  } catch (error) {
    // A lost device says so soon; there are other reasons, such as a buffer destroyed meanwhile.
    await Promise.race([device.gpu.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
    await Promise.resolve();
    device.memory.free(staging);
    assertAlive(device);
    throw error;
  }
  if (size <= 1 << 20) pool.set(size, [...(pool.get(size) ?? []), staging]);
  else device.memory.free(staging);
  return copy;
}
