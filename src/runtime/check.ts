import { shown } from '../gpu/check.ts';
import { type Device, isDevice } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { shownTensor } from '../graph/check.ts';
import { Variable } from '../graph/tensor.ts';

/** Checks that something is a device, and others variables. @throws InputError */
export function checkOn(op: string, device: unknown, ...variables: unknown[]): asserts device is Device {
  if (!isDevice(device))
    throw new InputError(`${op}: expected a device of openDevice or adoptDevice, got ${shown(device)}`);
  for (const v of variables) {
    if (!(v instanceof Variable)) throw new InputError(`${op}: expected a variable, got ${shownTensor(v)}`);
  }
}
