import type { Call, Kernel } from '../graph/op.ts';
import type { Settings } from './settings.ts';
import { onOperands } from './texture_operands.ts';

/** A product of the logistic probe, for 12 lanes, its operands read as textures where that is worth it. */
export const probeProduct = (own: Kernel[], call: Call, settings: Settings): Kernel[] => [
  onOperands(own[0], call, 12 * call.inputs[0]!.size, settings).kernel,
];
