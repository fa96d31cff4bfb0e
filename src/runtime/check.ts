import { shown } from '../gpu/check.ts';
import { type Device, isDevice } from '../gpu/device.ts';
import { InputError, OutOfMemoryError } from '../gpu/errors.ts';
import { shownTensor } from '../graph/check.ts';
import { Variable } from '../graph/tensor.ts';

/** Checks a device and variables. @throws InputError */
export function checkOn(op: string, device: unknown, ...variables: unknown[]): asserts device is Device {
  if (!isDevice(device))
    throw new InputError(`${op}: expected a device of openDevice or adoptDevice, got ${shown(device)}`);
  for (const v of variables) {
    if (!(v instanceof Variable)) throw new InputError(`${op}: expected a variable, got ${shownTensor(v)}`);
  }
}

/** Checks that a kernel can bind a whole tensor. @throws OutOfMemoryError */
export function checkBindable({ gpu }: Device, what: string, bytes: number): void {
  const limit = gpu.limits.maxStorageBufferBindingSize;
  if (bytes > limit)
    throw new OutOfMemoryError(`${what} needs ${bytes} bytes; this device binds ${limit} at most`);
}
