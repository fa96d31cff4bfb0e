import { shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { checkData, type Data, writeBuffer } from '../gpu/values.ts';
import { checkGiven } from '../graph/check.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Uniforms } from '../graph/uniforms.ts';
import type { Allocation, Given } from './allocate.ts';

/** The values of the inputs of a run, by name. */
export type Values = Record<string, number | Data | undefined>;

/**
 * Writes the values of a run to the buffers of the inputs and to the uniform blocks.
 * @throws InputError for a missing, unknown or misshaped input
 */
export function writeInputs(
  device: Device,
  { inputs, buffers }: Given,
  uniforms: Uniforms,
  { leaves, uniformBuffer }: Allocation,
  values: Values,
): void {
  if (typeof values !== 'object' || values === null)
    throw new InputError(`run: expected an object of inputs, got ${shown(values)}`);
  for (const name of Object.keys(values))
    if (!Object.hasOwn(inputs, name)) throw new InputError(`run: no input is called "${name}"`);
  for (const [name, x] of Object.entries(inputs)) {
    const value = values[name];
    if (x.node.kind === 'scalar') {
      checkNumberFor(name, x, value);
      uniforms.set(x, value);
    } else if (buffers[name]) {
      if (value !== undefined)
        throw new InputError(`run: "${name}" is read from the buffer given to compile`);
    } else {
      checkData(`run: input "${name}"`, value, x.size, x.dtype);
      const leaf = leaves.get(x);
      if (leaf) writeBuffer(device, leaf, 0, value);
    }
  }
  const { data, dynamicBytes } = uniforms;
  if (dynamicBytes) device.gpu.queue.writeBuffer(uniformBuffer, 0, data, 0, dynamicBytes);
}

function checkNumberFor(name: string, x: Tensor, value: unknown): asserts value is number {
  if (typeof value !== 'number')
    throw new InputError(`run: expected a number for "${name}", got ${shown(value)}`);
  if (x.dtype === 'u32' && !(Number.isInteger(value) && value >= 0 && value < 2 ** 32))
    throw new InputError(`run: expected a whole number of [0, 2^32) for "${name}", got ${value}`);
  checkGiven(name, x, value);
}
