import type { Device } from '../gpu/device.ts';
import { InputError, ShapeError } from '../gpu/errors.ts';
import { align } from '../gpu/memory.ts';
import { rootsOf } from '../graph/plan/call.ts';
import { reachable } from '../graph/plan/share.ts';
import type { Plan } from '../graph/plan.ts';
import { home, homes, type Node, settle, type Tensor, Variable } from '../graph/tensor.ts';
import { bufferOf, gather, liesIn } from './variables.ts';

export type PlanVariables = ReturnType<typeof planVariables>;

/**
 * The variables that a plan reads and changes, on its device.
 * @param flats the flat variables that the step uses directly
 */
export function planVariables(device: Device, made: Plan, flats: Set<Variable>) {
  const tensors = [...made.dispatches.flatMap((d) => [...d.inputs, ...d.state]), ...made.outputs.values()];
  const variables = [...new Set(rootsOf(tensors))].filter((x) => x instanceof Variable);
  /** The variables whose buffers the plan binds. */
  const owners = [...new Set(variables.map(home))];
  const parts = partsOf(variables, flats);
  let held: { v: Variable; buffer: GPUBuffer }[] = [];
  let settled = -1;
  return {
    /** Bytes of their buffers. */
    bytes: owners.reduce((sum, v) => sum + align(v.bytes), 0),
    /** Creates the buffers that do not exist yet. */
    bind() {
      held = owners.map((v) => ({ v, buffer: bufferOf(device, v) }));
    },
    /** Brings back the parts of flat variables that another step has moved since. */
    gather() {
      if (settled === homes.changes) return;
      for (const [flat, members] of parts) settle(flat, members);
      settled = homes.changes;
      for (const [flat, members] of parts) gather(device, flat, members);
    },
    /** Throws an InputError unless the variables are still in the bound buffers. */
    check() {
      for (const { v, buffer } of held) {
        if (!liesIn(device, v, buffer))
          throw new InputError(
            `variable "${v.name}" was freed or put into a flat one after this step was compiled; compile it again`,
          );
      }
    },
  };
}

/**
 * The flat variables that a traced step uses directly: those of optimisers and moving averages.
 * @throws ShapeError if two of them have a part in common
 */
export function flatsOf(outputs: Record<string, Tensor>, effects: readonly Node[]): Set<Variable> {
  const nodes = reachable(Object.values(outputs), effects);
  const tensors = nodes.flatMap((node) => [...node.inputs, ...node.state, ...node.outputs]);
  const flats = new Set(tensors.filter((x) => x instanceof Variable && x.members.length > 0) as Variable[]);
  const owners = new Map<Variable, Variable>();
  for (const flat of flats) {
    for (const member of flat.members) {
      const other = owners.get(member);
      if (other)
        throw new ShapeError(
          `compile: variable "${member.name}" is changed by two optimisers in one step ("${other.name}" and "${flat.name}"); each needs its own step`,
        );
      owners.set(member, flat);
    }
  }
  return flats;
}

/** The parts of each flat variable that a step uses: all of those in `flats`. */
function partsOf(used: readonly Variable[], flats: Set<Variable>): Map<Variable, Set<Variable>> {
  const parts = new Map<Variable, Set<Variable>>();
  for (const flat of flats) parts.set(flat, new Set(flat.members));
  for (const v of used) if (v.home) parts.set(v.home.flat, (parts.get(v.home.flat) ?? new Set()).add(v));
  return parts;
}
