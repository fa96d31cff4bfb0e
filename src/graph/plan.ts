import type { Precision } from './mixed.ts';
import type { PlanTarget } from './op.ts';
import { fuse } from './plan/fuse.ts';
import { separateHazards } from './plan/hazards.ts';
import { placeParts } from './plan/parts.ts';
import { reachable, shareCommon } from './plan/share.ts';
import { assignSlots, type Placement } from './plan/slots.ts';
import { checkRounds } from './rounds.ts';
import { type Node, type Tensor, viewRoot } from './tensor.ts';

/** Dispatches in order, a place for every tensor, and the tensors that the step returns. */
export interface Plan extends Placement {
  outputs: Map<string, Tensor>;
}

export interface PlanOptions {
  /** `false`: each tensor has its own slot. Default true. */
  reuse?: boolean;
  target?: PlanTarget;
  /** Outputs that share their slot with nothing: a caller's buffer takes its place. */
  apart?: readonly string[];
  precision?: Precision;
}

/**
 * Turns a traced step into a plan, in passes. It uses no GPU.
 * @throws ShapeError for sizes whose loops the device would end too early
 */
export function plan(
  outputs: Record<string, Tensor>,
  effects: readonly Node[],
  options: PlanOptions = {},
): Plan {
  const { reuse = true, target = {}, apart = [], precision } = options;
  // Only what outputs and effects need, equal calls once.
  const shared = shareCommon(reachable(Object.values(outputs), effects));
  const wanted = new Map(Object.entries(outputs).map(([name, x]) => [name, shared.canon(x)]));
  const roots = new Set([...wanted.values()].map(viewRoot));
  const fused = fuse(shared.calls, roots);
  // Copies where a dispatch would read a buffer that it writes.
  const safe = separateHazards(fused);
  // Textures, on software adapters. Without reuse every tensor stays in a buffer, so that it can be read.
  const rewritten = target.software?.rewrite(safe, target, reuse ? roots : null) ?? safe;
  // f16, with mixed precision.
  const stored = precision?.store(rewritten, roots, target) ?? rewritten;
  // Parts of packs are written in place; every other tensor gets a slot, and slots are used again.
  const { calls, parts } = placeParts(stored, roots);
  const placement = assignSlots(calls, {
    parts,
    outputs: wanted.values(),
    apart: new Set(apart.map((name) => viewRoot(wanted.get(name)!))),
    reuse,
    target,
  });
  for (const dispatch of placement.dispatches) checkRounds(target, dispatch);
  return { ...placement, outputs: wanted };
}
