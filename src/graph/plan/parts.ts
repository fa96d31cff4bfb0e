import { copy } from '../basic.ts';
import { layout, type Tensor, viewRoot } from '../tensor.ts';
import { addedCall, type PlannedCall } from './call.ts';

/** Where a part of a pack lies in it, in bytes. */
export interface Part {
  pack: Tensor;
  offset: number;
}

/** Gives the parts of each pack their places in it; copies those that cannot be made there. Packs are then no calls any more. */
export function placeParts(
  calls: PlannedCall[],
  outputs: Set<Tensor>,
): { calls: PlannedCall[]; parts: Map<Tensor, Part> } {
  const parts = new Map<Tensor, Part>();
  const makers = new Map<Tensor, PlannedCall>();
  for (const call of calls) for (const y of call.outputs) if (call.op) makers.set(y, call);
  const placed = calls.flatMap((call) => {
    if (call.op) return [call];
    const pack = call.outputs[0];
    const { offsets } = layout(call.inputs.map((x) => x!.size));
    const roots = call.inputs.map((x) => viewRoot(x!));
    const mine = new Set(roots.filter((root) => makers.has(root)));
    const copies: PlannedCall[] = [];
    for (const [i, root] of roots.entries()) {
      const part = { pack, offset: offsets[i] * 4 };
      const maker = makers.get(root);
      const free = maker && !parts.has(root) && !outputs.has(root);
      // Reading one part while writing another would bind one buffer both ways.
      const apart = maker?.inputs.every((x) => !x || !mine.has(viewRoot(x)));
      if (free && apart) {
        parts.set(root, part);
        continue;
      }
      const made = addedCall(copy.op, [call.inputs[i]!], call.layer);
      copies.push(made);
      parts.set(made.outputs[0], part);
    }
    return copies;
  });
  return { calls: placed.flatMap((call) => copyViaTemporary(call, parts)), parts };
}

/** A copy of one part out of a pack that it is itself placed in reads and writes that pack: it needs two steps. */
function copyViaTemporary(call: PlannedCall, parts: Map<Tensor, Part>): PlannedCall[] {
  const target = call.outputs[0] && parts.get(call.outputs[0]);
  const source = call.op === copy.op && call.inputs[0] && parts.get(viewRoot(call.inputs[0]));
  if (!target || !source || target.pack !== source.pack) return [call];
  const detour = addedCall(copy.op, [call.inputs[0]!], call.layer);
  return [detour, { ...call, inputs: [detour.outputs[0]] }];
}
