import { assertAlive, type Device } from '../gpu/device.ts';
import { memo } from '../gpu/memo.ts';
import { submit } from '../gpu/submit.ts';
import { ARRAYS, checkData, type Data, type Range, readRange, VALUE, writeBuffer } from '../gpu/values.ts';
import { checkVariables } from '../graph/check.ts';
import { home, initialOf, settle, type Tensor, type Variable } from '../graph/tensor.ts';
import { checkBindable, checkOn } from './check.ts';

/** For each device: the buffers of variables, and the flat variables that each part has been in, the latest last. */
interface Store {
  buffers: Map<Variable, GPUBuffer>;
  places: Map<Variable, Variable[]>;
}
const stores = new WeakMap<Device, Store>();
const storeOf = (device: Device): Store =>
  memo(stores, device, () => ({ buffers: new Map(), places: new Map() }));

/** The buffer of a variable, unless it was freed: a plan that runs out of memory frees what it created. */
function aliveIn(device: Device, owner: Variable): GPUBuffer | undefined {
  const buffer = storeOf(device).buffers.get(owner);
  return buffer && device.memory.sizeOf(buffer) ? buffer : undefined;
}

/** The variable whose buffer has the latest value of a part of a flat variable on a device. */
const placeOf = (device: Device, member: Variable): Variable | undefined =>
  [member, ...(storeOf(device).places.get(member) ?? [])].findLast((owner) => aliveIn(device, owner));

/** The buffer of a variable that is not part of another one; created with the initial value if it does not exist yet. */
export function bufferOf(device: Device, owner: Variable): GPUBuffer {
  const { buffers, places } = storeOf(device);
  const found = aliveIn(device, owner);
  if (found) return found;
  assertAlive(device);
  checkBindable(device, `variable "${owner.name}"`, owner.bytes);
  const start = initialOf(owner);
  const buffer = device.memory.create(owner.name, owner.bytes, VALUE);
  const data = typeof start === 'number' ? filled(start, owner.size, owner.dtype) : start;
  if (data) writeBuffer(device, buffer, 0, data);
  buffers.set(owner, buffer);
  for (const member of owner.members) if (!placeOf(device, member)) places.set(member, [owner]);
  return buffer;
}

/** The buffer range of a variable on a device; created with the initial value if it does not exist yet. */
export function variableRange(device: Device, v: Variable): Range {
  checkOn('variableRange', device, v);
  settle(v);
  const owner = home(v);
  const buffer = bufferOf(device, owner);
  gather(device, owner, v.members.length ? v.members : [v]);
  return { buffer, offset: (v.home?.offset ?? 0) * 4, size: v.bytes };
}

/** Copies the latest values of parts into a flat variable, from another flat variable or a separate buffer on this device. */
export function gather(device: Device, flat: Variable, members: Iterable<Variable>): void {
  const { buffers, places } = storeOf(device);
  const to = bufferOf(device, flat);
  for (const member of members) {
    const from = placeOf(device, member);
    if (member === flat || from === flat) continue;
    places.set(member, [...(places.get(member) ?? []).filter((owner) => owner !== flat), flat]);
    if (!from) {
      const start = initialOf(member);
      const data = typeof start === 'number' ? new Float32Array(member.size).fill(start) : start;
      writeBuffer(device, to, flat.offsets.get(member)! * 4, data);
      continue;
    }
    const old = buffers.get(from)!;
    const [source, target] = [from, flat].map((each) => (each.offsets.get(member) ?? 0) * 4);
    submit(device.gpu, (encoder) => encoder.copyBufferToBuffer(old, source, to, target, member.bytes));
    if (from !== member) continue;
    device.memory.free(old);
    buffers.delete(member);
  }
}

/** An array with one number for all elements; null for zero, with which buffers start. */
export function filled(value: number, size: number, dtype: Tensor['dtype']): Data | null {
  if (value === 0) return null;
  return new ARRAYS[dtype](size).fill(value);
}

/** Whether a variable is still in this buffer. */
export const liesIn = (device: Device, v: Variable, buffer: GPUBuffer): boolean =>
  storeOf(device).buffers.get(v) === buffer && device.memory.sizeOf(buffer) > 0;

/** The value of a variable on a device. */
export async function readVariable(device: Device, v: Variable): Promise<Data> {
  checkOn('readVariable', device, v);
  return readRange(device, variableRange(device, v), v.dtype, v.size);
}

/** Sets a variable on a device. */
export function writeVariable(device: Device, v: Variable, data: Data): void {
  checkOn('writeVariable', device, v);
  checkData(`writeVariable: variable "${v.name}"`, data, v.size, v.dtype);
  const { buffer, offset } = variableRange(device, v);
  writeBuffer(device, buffer, offset, data);
}

/** Frees variables on a device; a later use starts from the initial value. */
export function freeVariables(device: Device, variables: readonly Variable[]): void {
  checkOn('freeVariables', device);
  checkVariables('freeVariables', 'variables', variables);
  const { buffers, places } = storeOf(device);
  for (const v of variables) {
    const owner = home(v);
    const buffer = buffers.get(owner);
    if (buffer) device.memory.free(buffer);
    buffers.delete(owner);
    for (const member of owner.members) if (home(member) === owner) places.delete(member);
  }
}
