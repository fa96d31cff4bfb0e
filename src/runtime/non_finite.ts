import type { Device } from '../gpu/device.ts';
import { readRange } from '../gpu/values.ts';
import type { Plan } from '../graph/plan.ts';
import { labelOf } from '../graph/tensor.ts';
import type { Allocation } from './allocate.ts';

/** Whether one of the two f16 in a 32-bit word is not finite: all bits of its exponent are ones. */
const isBeyondHalf = (word: number) => (word & 0x7c00) === 0x7c00 || (word & 0x7c000000) === 0x7c000000;

/** Describes the first op of a plan whose output has a non-finite value after the last run; null if there is none. */
export async function findNonFinite(
  device: Device,
  made: Plan,
  { range }: Allocation,
): Promise<string | null> {
  for (const { op, layer, outputs } of made.dispatches) {
    for (const y of outputs) {
      if (y.dtype !== 'f32' || made.place(y).in !== 'slot') continue;
      const data = await readRange(device, range(y), y.half ? 'u32' : 'f32');
      const at = data.findIndex((value) => (y.half ? isBeyondHalf(value) : !Number.isFinite(value)));
      if (at < 0) continue;
      const what = y.half ? `beyond f16 at element ${2 * at}` : `${data[at]} at element ${at}`;
      return `${labelOf(op.name, layer)} [${y.shape.join(', ')}]: ${what}`;
    }
  }
  return null;
}
