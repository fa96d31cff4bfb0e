import type { Device } from '../gpu/device.ts';
import { align } from '../gpu/memory.ts';
import { type Range, VALUE } from '../gpu/values.ts';
import { heldBy } from '../graph/plan/slots.ts';
import type { Plan } from '../graph/plan.ts';
import { type Tensor, type Variable, viewRoot } from '../graph/tensor.ts';
import type { Uniforms } from '../graph/uniforms.ts';
import { checkAliases, externalSlots, makeLeaves } from './leaves.ts';
import type { PlanVariables } from './plan_variables.ts';
import { variableRange } from './variables.ts';

/** The memory of a plan on its device. */
export type Allocation = Awaited<ReturnType<typeof allocate>>;

/** The inputs, outputs and buffers of a `compile`, by name. */
export interface Given {
  inputs: Record<string, Tensor>;
  outputs: Record<string, Tensor>;
  /** Buffers of the caller, by the name of an input or an output. */
  buffers: Record<string, GPUBuffer>;
}

/**
 * Makes the buffers and textures of a plan.
 * @throws OutOfMemoryError with the largest tensors; InputError for a buffer of the caller that does not fit
 */
export async function allocate(
  device: Device,
  made: Plan,
  uniforms: Uniforms,
  variables: PlanVariables,
  given: Given,
) {
  const { memory, gpu } = device;
  const owned: Resource[] = [];
  const { leaves, slots, textures, uniformBuffer, zeros } = await memory.scoped(
    () => {
      variables.bind();
      variables.gather();
      return resourcesOf(device, made, uniforms.data.byteLength, given, owned);
    },
    () => needs(made),
  );
  gpu.queue.writeBuffer(uniformBuffer, 0, uniforms.data);

  /** The range of a buffer that holds a tensor. */
  const range = (x: Tensor): Range => {
    const place = made.place(x);
    const size = viewRoot(x).bytes;
    if (place.in === 'variable') return { ...variableRange(device, viewRoot(x) as Variable), size };
    if (place.in === 'slot') return { buffer: slots[place.slot], offset: place.offset, size };
    if (place.in === 'texture') throw new Error('internal: a texture has no range');
    const scalar = uniforms.scalars.get(place.leaf);
    if (scalar !== undefined) return { buffer: uniformBuffer, offset: scalar, size: 4 };
    return { buffer: leaves.get(place.leaf)!, offset: 0, size };
  };
  /** The texture that holds a tensor, if one does. */
  const texture = (x: Tensor) => {
    const place = made.place(x);
    return place.in === 'texture' ? textures[place.texture] : null;
  };
  let freed = false;
  return {
    /** Bytes of all resources that the plan owns. */
    bytes: owned.reduce((sum, resource) => sum + memory.sizeOf(resource), 0),
    /** The largest buffer of a slot, in bytes. */
    largestBuffer: Math.max(0, ...slots.map(({ size }) => size)),
    uniformBuffer,
    /** The buffers of inputs and constants. */
    leaves,
    range,
    texture,
    /** The resource that a kernel binds for a tensor; zeros for null. */
    resource(x: Tensor | null): GPUBufferBinding | GPUTextureView {
      if (!x) return { buffer: zeros, size: 16 };
      const found = texture(x);
      if (found) return found.createView();
      const { buffer, offset, size } = range(x);
      // Whole vec4s, so that a kernel may read four at a time; the buffer is padded to 256 bytes.
      return { buffer, offset, size: Math.min(Math.ceil(size / 16) * 16, buffer.size - offset) };
    },
    get freed() {
      return freed;
    },
    free() {
      if (freed) return;
      freed = true;
      for (const resource of owned) memory.free(resource);
    },
  };
}

type Resource = GPUBuffer | GPUTexture;

/** The resources that hold a plan's tensors. @param owned takes those that are created here, not those of the caller */
function resourcesOf(
  device: Device,
  made: Plan,
  uniformBytes: number,
  { inputs, outputs, buffers }: Given,
  owned: Resource[],
) {
  const { memory } = device;
  const keep = <T extends Resource>(resource: T): T => {
    owned.push(resource);
    return resource;
  };
  const theirs = externalSlots(made, outputs, buffers);
  const leaves = makeLeaves(device, made, inputs, buffers, keep);
  checkAliases(made, theirs, leaves);
  return {
    leaves,
    slots: made.slots.map(({ bytes, label }, i) => theirs.get(i) ?? keep(memory.create(label, bytes, VALUE))),
    textures: made.textures.map(({ width, height, half, label }) =>
      keep(memory.createTexture(label, width, height, half)),
    ),
    uniformBuffer: keep(memory.create('uniforms', uniformBytes, VALUE | 0x40)),
    zeros: keep(memory.create('zeros', 256, VALUE)),
  };
}

/** The memory that a plan needs, for a message. */
function needs(made: Plan): string {
  const bytes = heldBy(made).reduce((sum, one) => sum + align(one.bytes), 0);
  const largest = [...made.slots]
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, 5)
    .map((slot) => `${slot.label} (${slot.bytes} bytes)`)
    .join(', ');
  return `this plan needs ${bytes} bytes; its largest tensors are ${largest}. Use a smaller batch or width.`;
}
