import type { Device } from '../gpu/device.ts';
import { grid, type Pipeline } from '../gpu/kernel.ts';
import type { Dispatch } from '../graph/plan/call.ts';
import { labelOf } from '../graph/tensor.ts';
import type { Uniforms } from '../graph/uniforms.ts';
import type { Allocation } from './allocate.ts';

/** A dispatch, ready to be recorded. */
export interface Binding {
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
  x: number;
  y: number;
  name: string;
}

/** Binds each dispatch to its pipeline, its uniform block and its tensors. */
export function bindDispatches(
  device: Device,
  dispatches: readonly Dispatch[],
  pipelines: readonly Pipeline[],
  uniforms: Uniforms,
  { uniformBuffer, resource }: Allocation,
): Binding[] {
  const { gpu } = device;
  return dispatches.map((d, i) => {
    const { pipeline, layout } = pipelines[i];
    const { inputs = [], unread, invocations, workgroupSize = 64 } = d.kernel;
    const read = d.inputs.map((x, at) => (unread?.includes(inputs[at]) ? null : x));
    const tensors = [...read, ...d.state, ...(d.inPlace ? [] : d.outputs)];
    if (d.inPlace) tensors[0] = d.outputs[0];
    const entries = tensors.map((x, at) => ({ binding: at + 1, resource: resource(x) }));
    const block = { buffer: uniformBuffer, offset: uniforms.offsets[i], size: 256 };
    const group = gpu.createBindGroup({ layout, entries: [{ binding: 0, resource: block }, ...entries] });
    const workgroups = Math.max(1, Math.ceil(invocations(d) / workgroupSize));
    const [x, y] = grid(workgroups, gpu.limits.maxComputeWorkgroupsPerDimension);
    return { pipeline, group, x, y, name: labelOf(d.op.name, d.layer) };
  });
}

/** Records the dispatches [from, to) into a pass, `times` times, and ends the pass. */
export function record(
  bindings: readonly Binding[],
  pass: GPUComputePassEncoder,
  from: number,
  to: number,
  times = 1,
): void {
  for (let i = 0; i < times * (to - from); i++) {
    const { pipeline, group, x, y } = bindings[from + (i % (to - from))];
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y);
  }
  pass.end();
}

/** Copies a tensor without a kernel. */
export type Move = (encoder: GPUCommandEncoder) => void;

/** The copies without a kernel that take the place of dispatches which copy tensors to textures. */
export const movesFor = (dispatches: readonly Dispatch[], { range, texture }: Allocation): Move[] =>
  dispatches.flatMap(({ inputs, outputs }) =>
    inputs.map((x, i): Move => {
      const { buffer, offset } = range(x!);
      const [rows] = x!.shape;
      const bytesPerRow = x!.bytes / rows;
      const [source, destination] = [{ buffer, offset, bytesPerRow }, { texture: texture(outputs[i])! }];
      return (encoder) => encoder.copyBufferToTexture(source, destination, [bytesPerRow / 16, rows]);
    }),
  );
