import type { Device } from '../gpu/device.ts';
import type { PlanTarget } from '../graph/op.ts';

/**
 * What plans on a device may know of it. Where a processor plays GPU, loads what only these run: bundlers that split make a file of
 * it that others never load.
 */
export async function targetOf(device: Device): Promise<PlanTarget> {
  const target: PlanTarget = device.target;
  const { processor } = target;
  if (processor && !target.software) {
    const { softwareOn } = await import('../software/index.ts');
    target.software ??= softwareOn(processor, device.gpu);
  }
  return target;
}
