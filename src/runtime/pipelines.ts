import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import type { Pipeline } from '../gpu/kernel.ts';
import { sourceOf } from '../graph/op.ts';
import type { Dispatch } from '../graph/plan/call.ts';
import { roundsOf } from '../graph/rounds.ts';
import { type Tensor, viewRoot } from '../graph/tensor.ts';

/** The pipeline of each dispatch; equal ones are built once. */
export async function buildPipelines(
  device: Device,
  dispatches: Dispatch[],
  onProgress?: (done: number, total: number) => void,
): Promise<Pipeline[]> {
  const most = device.gpu.limits.maxStorageBuffersPerShaderStage;
  const pending = dispatches.map((d) => {
    const { kernel, inPlace, op } = d;
    const access = accessOf(d);
    const buffers = access.replace(/[^rw]/g, '').length;
    if (buffers > most)
      throw new InputError(`${op.name}: needs ${buffers} buffers in one kernel, this device allows ${most}`);
    return device.pipelines.get({
      source: sourceOf(kernel),
      entry: inPlace ? kernel.inPlace! : kernel.entry,
      constants: kernel.constants?.(d),
      access,
      rounds: roundsOf(kernel, d),
    });
  });
  const unique = new Set(pending);
  let done = 0;
  // An error that `onProgress` throws is thrown here.
  await Promise.all([...unique].map((each) => each.then(() => onProgress?.(++done, unique.size))));
  return Promise.all(pending);
}

/** One letter for each binding of a dispatch after the first: see `PipelineKey.access`. */
function accessOf({ kernel, inPlace, inputs, state, outputs }: Dispatch): string {
  if (inPlace) return `w${'r'.repeat(inputs.length - 1)}`;
  const letters = (
    names: readonly string[] | undefined,
    tensors: readonly (Tensor | null)[],
    buffer: string,
  ) =>
    tensors.map((x, i) => {
      const other = kernel.access?.[names?.[i] ?? ''];
      if (!other) return buffer;
      return viewRoot(x!).half ? other.toUpperCase() : other;
    });
  return [
    ...letters(kernel.inputs, inputs, 'r'),
    ...letters(kernel.state, state, 'w'),
    ...letters(kernel.outputs, outputs, 'w'),
  ].join('');
}
