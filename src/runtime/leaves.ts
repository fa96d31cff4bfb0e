import { shown } from '../gpu/check.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { type Data, STORAGE, VALUE, writeBuffer } from '../gpu/values.ts';
import type { Plan } from '../graph/plan.ts';
import type { Tensor } from '../graph/tensor.ts';
import { checkBindable } from './check.ts';
import { filled } from './variables.ts';

/** The buffers of the caller that receive outputs, by slot. */
export function externalSlots(
  made: Plan,
  outputs: Record<string, Tensor>,
  buffers: Record<string, GPUBuffer>,
): Map<number, GPUBuffer> {
  const external = new Map<number, GPUBuffer>();
  for (const [name, buffer] of Object.entries(buffers)) {
    if (!outputs[name]) continue;
    const x = made.outputs.get(name)!;
    const place = made.place(x);
    if (place.in !== 'slot' || place.offset !== 0) {
      throw new InputError(
        `buffers: output "${name}" is not computed by this step, so it has no buffer to replace`,
      );
    }
    checkExternal(name, buffer, x.bytes);
    if (external.has(place.slot)) throw new InputError(`buffers: "${name}" is the same output as another`);
    external.set(place.slot, buffer);
  }
  return external;
}

/** Checks that no dispatch both reads and writes a buffer of the caller. */
export function checkAliases(
  made: Plan,
  external: Map<number, GPUBuffer>,
  leaves: Map<Tensor, GPUBuffer>,
): void {
  const bufferOf = (x: Tensor) => {
    const place = made.place(x);
    return place.in === 'slot' ? external.get(place.slot) : place.in === 'leaf' && leaves.get(place.leaf);
  };
  for (const d of made.dispatches) {
    const written = new Set(d.outputs.map(bufferOf).filter(Boolean));
    if (written.size && d.inputs.some((x) => x && written.has(bufferOf(x))))
      throw new InputError(
        `buffers: ${d.op.name} would read and write one buffer; give its input and output a buffer each`,
      );
  }
}

/** Checks a buffer of the caller. Kernels access whole vec4s, so its size is rounded up to whole ones. */
function checkExternal(name: string, buffer: GPUBuffer, bytes: number): void {
  if (!(buffer instanceof GPUBuffer))
    throw new InputError(`buffers: expected a GPUBuffer for "${name}", got ${shown(buffer)}`);
  const needed = Math.ceil(bytes / 16) * 16;
  if (buffer.size < needed)
    throw new InputError(
      `buffers: "${name}" needs ${needed} bytes (whole vec4s), its buffer has ${buffer.size}`,
    );
  if (!(buffer.usage & STORAGE))
    throw new InputError(`buffers: "${name}" lacks the usage STORAGE (0x${buffer.usage.toString(16)})`);
}

/** The buffers of inputs and constants that a plan reads. @param keep is called with those that are created here */
export function makeLeaves(
  device: Device,
  made: Plan,
  inputs: Record<string, Tensor>,
  buffers: Record<string, GPUBuffer>,
  keep: (buffer: GPUBuffer) => GPUBuffer,
): Map<Tensor, GPUBuffer> {
  const names = new Map(Object.entries(inputs).map(([name, x]) => [x, name]));
  const leaves = new Map<Tensor, GPUBuffer>();
  /** Constants with one number for all elements: equal ones share a buffer. */
  const shared = new Map<string, GPUBuffer>();
  const create = (leaf: Tensor, label: string, value?: number | Data): GPUBuffer => {
    const key = typeof value === 'number' && `${value} ${leaf.dtype} ${leaf.size}`;
    const found = key && shared.get(key);
    if (found) return found;
    const buffer = keep(device.memory.create(label, leaf.bytes, VALUE));
    const data = typeof value === 'number' ? filled(value, leaf.size, leaf.dtype) : value;
    if (data) writeBuffer(device, buffer, 0, data);
    if (key) shared.set(key, buffer);
    return buffer;
  };
  for (const x of [...made.dispatches.flatMap((d) => d.inputs), ...made.outputs.values()]) {
    const place = x && made.place(x);
    if (place?.in !== 'leaf' || leaves.has(place.leaf)) continue;
    const { leaf } = place;
    const { kind, options } = leaf.node;
    const name = names.get(leaf) ?? '';
    if (kind !== 'constant' && !names.has(leaf))
      throw new InputError('an input tensor of this step is not in the `inputs` given to compile');
    if (kind === 'scalar') continue;
    const label = `${kind} ${name && `"${name}" `}[${leaf.shape.join(', ')}]`;
    checkBindable(device, label, leaf.bytes);
    const external = kind === 'input' && buffers[name];
    if (external) checkExternal(name, external, leaf.bytes);
    leaves.set(leaf, external || create(leaf, label, options.value));
  }
  return leaves;
}
