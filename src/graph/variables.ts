import { assertAlive, type Device } from '../gpu/device.ts';
import { OutOfMemoryError } from '../gpu/errors.ts';
import { checkData, type Data, type Range, readRange, VALUE, writeBuffer } from '../gpu/values.ts';
import { initialOf, type Tensor, type TypedArray, type Variable } from './tensor.ts';

/** The buffers of variables, per device. */
const stores = new WeakMap<Device, Map<Variable, GPUBuffer>>();
const storeOf = (device: Device) => stores.get(device) ?? stores.set(device, new Map()).get(device)!;

/** Where a variable lies on a device; it is made there, with what it starts from, when it is not there yet. */
export function variableRange(device: Device, v: Variable): Range {
  const owner = v.home?.flat ?? v;
  const store = storeOf(device);
  let buffer = store.get(owner);
  // A plan that ran out of memory takes back what it made.
  if (!buffer || !device.memory.sizeOf(buffer)) {
    assertAlive(device);
    const limit = device.gpu.limits.maxStorageBufferBindingSize;
    if (owner.bytes > limit) {
      throw new OutOfMemoryError(
        `variable "${owner.name}" needs ${owner.bytes} bytes; this device binds ${limit} at most`,
      );
    }
    const start = initialOf(owner);
    buffer = device.memory.create(owner.name, owner.bytes, VALUE);
    const data = typeof start === 'number' ? filled(start, owner.size, owner.dtype) : start;
    if (data) writeBuffer(device, buffer, 0, data);
    store.set(owner, buffer);
    moveIn(device, owner, buffer);
  }
  return { buffer, offset: (v.home?.offset ?? 0) * 4, size: v.bytes };
}

/** Variables that had buffers of their own before they became parts of a flat one keep their values. */
function moveIn(device: Device, flat: Variable, buffer: GPUBuffer): void {
  const store = storeOf(device);
  for (const member of flat.members) {
    const old = store.get(member);
    if (!old || !device.memory.sizeOf(old)) continue;
    const encoder = device.gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(old, 0, buffer, member.home!.offset * 4, member.bytes);
    device.gpu.queue.submit([encoder.finish()]);
    device.memory.free(old);
    store.delete(member);
  }
}

/** The elements of a value that is one number everywhere; null for zeros, which buffers start with. */
export function filled(value: number, size: number, dtype: Tensor['dtype']): TypedArray | null {
  if (value === 0) return null;
  return new { f32: Float32Array, u32: Uint32Array, u8: Uint8Array }[dtype](size).fill(value);
}

/** Whether a variable still lies in this buffer. */
export const liesIn = (device: Device, v: Variable, buffer: GPUBuffer): boolean =>
  storeOf(device).get(v) === buffer && device.memory.sizeOf(buffer) > 0;

/** The value of a variable on a device. */
export const readVariable = (device: Device, v: Variable): Promise<Data> =>
  readRange(device, variableRange(device, v), v.dtype, v.size);

/** Sets a variable on a device. */
export function writeVariable(device: Device, v: Variable, data: Data): void {
  checkData(`variable "${v.name}"`, data, v.size, v.dtype);
  const { buffer, offset } = variableRange(device, v);
  writeBuffer(device, buffer, offset, data);
}

/** Frees variables on a device; a later use starts them anew. */
export function freeVariables(device: Device, variables: readonly Variable[]): void {
  const store = storeOf(device);
  for (const v of variables) {
    const owner = v.home?.flat ?? v;
    const buffer = store.get(owner);
    if (buffer) device.memory.free(buffer);
    store.delete(owner);
  }
}
