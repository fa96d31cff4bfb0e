// Memory by liveness: what holds a tensor is free again after the last call that reads it.

import { type Kernel, kernelOf, type PlanTarget, type Texture } from '../op.ts';
import { home, labelOf, type Tensor, Variable, viewRoot } from '../tensor.ts';
import type { Dispatch, PlannedCall } from './call.ts';
import type { Part } from './parts.ts';

/** Where a tensor lies: in a slot or texture that the plan owns, in a variable's buffer, or in a leaf (input or constant). */
export type Place =
  | { in: 'slot'; slot: number; offset: number }
  | { in: 'texture'; texture: number; offset: 0 }
  | { in: 'variable'; variable: Variable; offset: number }
  | { in: 'leaf'; leaf: Tensor; offset: 0 };

/** A slot in bytes, with the largest tensor that it holds. */
export interface Slot {
  bytes: number;
  label: string;
}

/** Dispatches in order, and where their tensors lie. */
export interface Placement {
  dispatches: Dispatch[];
  place(x: Tensor): Place;
  slots: Slot[];
  textures: Texture[];
}

/** All that a plan holds. */
export const heldBy = ({ slots, textures }: Placement): Slot[] => [...slots, ...textures];

export interface PlacementOptions {
  parts: Map<Tensor, Part>;
  /** What is read after the step. */
  outputs: Iterable<Tensor>;
  /** Tensors that share their slot with nothing. */
  apart: Set<Tensor>;
  /** Whether a slot serves several tensors, one after the other. */
  reuse: boolean;
  target: PlanTarget;
}

/** Gives each tensor a slot or a texture, and each call its kernel. */
export function assignSlots(calls: PlannedCall[], options: PlacementOptions): Placement {
  const { parts, apart, reuse, target } = options;
  const packs = new Set([...parts.values()].map(({ pack }) => pack));
  /** The tensor whose memory holds x: the pack of a part, the root of a view. */
  const holderOf = (x: Tensor) => parts.get(viewRoot(x))?.pack ?? viewRoot(x);
  const lastUse = lastUses(calls, options.outputs, holderOf);
  const slots = slotPool();
  const pool = target.software?.pool();
  const slotOf = new Map<Tensor, number>();
  const textureOf = new Map<Tensor, number>();
  /** What lies in a slot now. */
  const live = new Set<Tensor>();

  /** The first input of call `i`, if the output may be written over it: it is read here for the last time, and once. */
  const overwritten = ({ inputs, outputs: [y, ...others] }: PlannedCall, kernel: Kernel, i: number) => {
    const x = inputs[0] && viewRoot(inputs[0]);
    const shared = packs.has(holderOf(y)) || apart.has(holderOf(y)) || others.length > 0;
    if (!reuse || !kernel.inPlace || shared || !x || packs.has(x) || x.bytes !== y.bytes) return null;
    const once = inputs.filter((z) => z && holderOf(z) === x).length === 1;
    return live.has(x) && lastUse.get(x) === i && once ? x : null;
  };
  /** A slot for a tensor that gets none by being written over another. */
  const slotFor = (x: Tensor, label: string) => {
    // The gaps of a pack must stay zero, so nothing else may use its slot.
    if (packs.has(x)) return slots.add(x.node.options.length * 4, label);
    return reuse && !apart.has(x) ? slots.take(x.bytes, label) : slots.add(x.bytes, label);
  };
  const release = (x: Tensor) => {
    if (textureOf.has(x)) pool!.release(textureOf.get(x)!);
    if (!live.has(x) || packs.has(x)) return;
    slots.release(slotOf.get(x)!);
    live.delete(x);
  };

  const dispatches = calls.map((call, i): Dispatch => {
    const op = call.op!;
    const kernel = call.kernel ?? kernelOf(op, call, target);
    let inPlace = false;
    for (const [o, y] of call.outputs.entries()) {
      const holder = holderOf(y);
      if (live.has(holder)) continue;
      if (kernel.access?.[kernel.outputs![o]]) {
        textureOf.set(y, pool!.take(y));
        continue;
      }
      const x = overwritten(call, kernel, i);
      const label = `${labelOf(op.name, call.layer)} [${holder.shape.join(', ')}]`;
      slotOf.set(holder, x ? slotOf.get(x)! : slotFor(holder, label));
      live.add(holder);
      if (x) live.delete(x);
      inPlace = x !== null;
    }
    const used = [...call.inputs, ...call.outputs].flatMap((x) => (x ? [holderOf(x)] : []));
    if (reuse) for (const x of used) if (lastUse.get(x) === i) release(x);
    return { ...call, op, kernel, inPlace };
  });
  const place = (x: Tensor): Place => {
    const root = viewRoot(x);
    if (root instanceof Variable)
      return { in: 'variable', variable: home(root), offset: (root.home?.offset ?? 0) * 4 };
    const texture = textureOf.get(root);
    if (texture !== undefined) return { in: 'texture', texture, offset: 0 };
    const slot = slotOf.get(holderOf(root));
    if (slot !== undefined) return { in: 'slot', slot, offset: parts.get(root)?.offset ?? 0 };
    return { in: 'leaf', leaf: root, offset: 0 };
  };
  return { dispatches, place, slots: slots.slots, textures: pool?.textures ?? [] };
}

/** The place of the last call that uses each tensor's memory; infinity for outputs. */
function lastUses(calls: PlannedCall[], outputs: Iterable<Tensor>, holderOf: (x: Tensor) => Tensor) {
  const lastUse = new Map<Tensor, number>();
  for (const [i, call] of calls.entries())
    for (const x of [...call.outputs, ...call.inputs]) if (x) lastUse.set(holderOf(x), i);
  for (const x of outputs) lastUse.set(holderOf(x), Number.POSITIVE_INFINITY);
  return lastUse;
}

function slotPool() {
  const slots: Slot[] = [];
  const free = new Set<number>();
  const add = (bytes: number, label: string) => slots.push({ bytes, label }) - 1;
  return {
    slots,
    /** A slot that nothing else uses. */
    add,
    /** A free slot, the smallest that fits; else the largest, which grows. */
    take(bytes: number, label: string): number {
      let best = -1;
      for (const slot of free) {
        const [a, b] = [slots[slot].bytes, best < 0 ? -1 : slots[best].bytes];
        if (best < 0 || (a >= bytes ? b < bytes || a < b : b < bytes && a > b)) best = slot;
      }
      if (best < 0) return add(bytes, label);
      free.delete(best);
      if (slots[best].bytes < bytes) slots[best] = { bytes, label };
      return best;
    },
    release(slot: number) {
      free.add(slot);
    },
  };
}
