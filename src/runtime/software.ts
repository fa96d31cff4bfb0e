import type { Device } from '../gpu/device.ts';
import type { PlanTarget } from '../graph/op.ts';

/**
 * The target of plans for a device. On a software adapter this loads the kernels that only such adapters run: bundlers that
 * split code put them into a file that other devices never load.
 */
export async function targetOf(device: Device): Promise<PlanTarget> {
  const target: PlanTarget = device.target;
  const { softwareAdapter } = target;
  if (softwareAdapter && !target.software) {
    const { softwareOn } = await import('../software/index.ts');
    target.software = await softwareOn(softwareAdapter, device.gpu);
  }
  return target;
}
