import { copy } from './basic.ts';
import type { Precision } from './mixed.ts';
import { type Call, call, type Kernel, kernelOf, type Look, type Op, outputsOf, type Target } from './op.ts';
import { checkRounds } from './rounds.ts';
import { home, layout, type Node, Tensor, trace, Variable, viewRoot } from './tensor.ts';
import { texelsOf } from './texels.ts';
import { throughTextures } from './textures.ts';

/** One dispatch of a plan. */
export interface Dispatch extends Call {
  op: Op;
  kernel: Kernel;
  layer: string;
  /** Runs the kernel's `inPlace` entry: the first input and the output share a slot. */
  inPlace: boolean;
}

/** Where a tensor lies: in a slot or texture that the plan owns, in a variable's buffer, or in a leaf (input or constant). */
export type Place =
  | { in: 'slot'; slot: number; offset: number }
  | { in: 'texture'; texture: number; offset: 0 }
  | { in: 'variable'; variable: Variable; offset: number }
  | { in: 'leaf'; leaf: Tensor; offset: 0 };

export interface Plan {
  dispatches: Dispatch[];
  place(x: Tensor): Place;
  /** The slots in bytes, each with the largest tensor that it holds. */
  slots: { bytes: number; label: string }[];
  /** The textures, in texels of a vec4. */
  textures: { width: number; height: number; half: boolean; label: string }[];
  /** The tensors that a step returns, by name. */
  outputs: Map<string, Tensor>;
}

/** A call on its way to a dispatch. */
export interface Rec extends Call {
  op: Op | null;
  /** The kernel that it runs with, once that is decided. */
  kernel?: Kernel;
  inputs: (Tensor | null)[];
  outputs: Tensor[];
  layer: string;
}

/** `reuse: false` gives every tensor a slot of its own. */
export interface PlanOptions {
  reuse?: boolean;
  target?: Target;
  /** Outputs that share their slot with nothing: a caller's buffer takes its place. */
  apart?: readonly string[];
  precision?: Precision;
}

/**
 * From a traced step to dispatches in order and a place for every tensor. No GPU here.
 * @throws ShapeError for sizes whose loops the device would end early
 */
export function plan(
  outputs: Record<string, Tensor>,
  effects: readonly Node[],
  options: PlanOptions = {},
): Plan {
  const { reuse = true, target = { largeTiles: Number.POSITIVE_INFINITY }, apart = [] } = options;
  const wanted = new Map(Object.entries(outputs));
  const live = reachable([...wanted.values()], effects);
  const { records, canon } = shareCommon(live);
  for (const [name, x] of wanted) wanted.set(name, canon(x));
  const fused = fuse(records, new Set([...wanted.values()].map(viewRoot)));
  const roots = new Set([...wanted.values()].map(viewRoot));
  const copied = throughTextures(separateHazards(fused), target, reuse ? roots : null);
  const stored = options.precision?.store(copied, roots, target) ?? copied;
  const { ordered, parts } = placeParts(stored, roots);
  const alone = new Set(apart.map((name) => viewRoot(wanted.get(name)!)));
  const made = assignSlots(ordered, parts, wanted, alone, reuse, target);
  for (const dispatch of made.dispatches) checkRounds(target, dispatch);
  return made;
}

/** Dead-code elimination: the nodes that outputs and effects need, in the order they were made. */
function reachable(outputs: Tensor[], effects: readonly Node[]): Node[] {
  const seen = new Set<Node>(effects);
  const stack = [...effects, ...outputs.map((x) => x.node)];
  for (let node = stack.pop(); node; node = stack.pop()) {
    seen.add(node);
    for (const x of node.inputs) if (x && !seen.has(x.node)) stack.push(x.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/** Common-subexpression elimination. A variable that was changed in between is another value. */
function shareCommon(nodes: Node[]): { records: Rec[]; canon: (x: Tensor) => Tensor } {
  const same = new Map<Tensor, Tensor>();
  const canon = (x: Tensor) => {
    let y = x;
    for (let next = same.get(y); next; next = same.get(y)) y = next;
    return y;
  };
  const versions = new Map<Variable, number>();
  const made = new Map<string, Rec>();
  const records: Rec[] = [];
  const name = (x: Tensor | null) => {
    if (!x) return '-';
    const root = viewRoot(x);
    const version = root instanceof Variable ? `v${versions.get(home(root)) ?? 0}` : '';
    return `${x.node.id}.${x.index}${version}`;
  };
  for (const node of nodes) {
    if (
      node.kind === 'input' ||
      node.kind === 'scalar' ||
      node.kind === 'constant' ||
      node.kind === 'variable'
    )
      continue;
    const rec: Rec = { ...node, inputs: node.inputs.map((x) => x && canon(x)), outputs: node.outputs };
    if (node.state.length) {
      for (const v of node.state) versions.set(home(v), (versions.get(home(v)) ?? 0) + 1);
      records.push(rec);
      continue;
    }
    const options = JSON.stringify(node.options, distinct);
    const shape = node.outputs.map((y) => y.shape).join('|');
    const key = `${node.op ? opId(node.op) : node.kind}(${rec.inputs.map(name)})${options}${shape}`;
    const twin = made.get(key);
    if (twin) {
      for (const [i, y] of node.outputs.entries()) same.set(y, twin.outputs[i]);
      continue;
    }
    made.set(key, rec);
    if (node.kind === 'view') {
      // A view is no work: from here on it only knows its (shared) source.
      const source = rec.inputs[0]!;
      if (source !== node.inputs[0]) {
        const view = { ...node, inputs: [source], outputs: [] as Tensor[] };
        const y = new Tensor(view, 0, node.outputs[0].shape, node.outputs[0].dtype);
        view.outputs.push(y);
        same.set(node.outputs[0], y);
      }
      continue;
    }
    records.push(rec);
  }
  return { records, canon };
}

/** JSON knows neither tensors nor non-finite numbers. */
const distinct = (_: string, value: unknown) =>
  value instanceof Tensor
    ? `#${value.node.id}`
    : typeof value === 'number' && !Number.isFinite(value)
      ? `${value}`
      : value;

const opIds = new WeakMap<Op, number>();
let ops = 0;
function opId(op: Op): string {
  if (!opIds.has(op)) opIds.set(op, ops++);
  return `${op.name}#${opIds.get(op)}`;
}

/** Lets ops take over the making of their inputs (`Op.fuse`), then drops what nobody reads any more. */
function fuse(records: Rec[], outputs: Set<Tensor>): Rec[] {
  const makers = new Map<Tensor, Rec>();
  const uses = new Map<Tensor, number>();
  const count = (recs: Rec[]) => {
    uses.clear();
    for (const rec of recs) {
      for (const x of rec.inputs) if (x) uses.set(viewRoot(x), (uses.get(viewRoot(x)) ?? 0) + 1);
    }
    for (const x of outputs) uses.set(x, (uses.get(x) ?? 0) + 1);
  };
  count(records);
  /** When each call is made and each variable last changed: what a call reads may not have changed since. */
  const madeAt = new Map<Rec, number>();
  const changedAt = new Map<Variable, number>();
  const unchanged = (rec: Rec) =>
    rec.inputs.every((x) => {
      const root = x && viewRoot(x);
      return !(root instanceof Variable) || (changedAt.get(home(root)) ?? -1) < madeAt.get(rec)!;
    });
  const look: Look = {
    only(x) {
      const rec = x && x.node.kind === 'op' && uses.get(x) === 1 ? makers.get(x) : undefined;
      const alone = rec?.outputs.every((y) => y === x || !uses.get(y));
      return rec?.op && !rec.state.length && alone && unchanged(rec) ? (rec as Rec & { op: Op }) : null;
    },
  };
  const rewritten = records.map((rec, i) => {
    const better = rec.op?.fuse?.(rec, look);
    const result: Rec = better ? instead(rec, better) : rec;
    for (const y of result.outputs) makers.set(y, result);
    madeAt.set(result, i);
    for (const v of result.state) changedAt.set(home(v), i);
    return result;
  });
  // Latest first, so that a chain of unread makers falls in one sweep.
  const kept: Rec[] = [];
  count(rewritten);
  for (const rec of rewritten.reverse()) {
    if (!rec.state.length && !rec.outputs.some((y) => uses.get(y))) {
      for (const x of rec.inputs) if (x) uses.set(viewRoot(x), uses.get(viewRoot(x))! - 1);
    } else kept.push(rec);
  }
  return kept.reverse();
}

/** The cheaper call in the place of `rec`: its first output is that of `rec`, what else it makes nobody reads. */
function instead(rec: Rec, { op, inputs, options }: NonNullable<ReturnType<NonNullable<Op['fuse']>>>): Rec {
  const shapes = outputsOf(op, op.shape(inputs, options));
  const others = shapes
    .slice(1)
    .map(({ shape, dtype }, i) => new Tensor(rec.outputs[0].node, i + 1, shape, dtype));
  return { ...rec, op, inputs: [...inputs], options, outputs: [rec.outputs[0], ...others] };
}

/** No dispatch may read a buffer that it also changes: such an input is copied first. */
function separateHazards(records: Rec[]): Rec[] {
  return records.flatMap((rec) => {
    const changed = new Set(rec.state.map(home));
    const copies: Rec[] = [];
    const inputs = rec.inputs.map((x) => {
      const root = x && viewRoot(x);
      if (!x || !(root instanceof Variable) || !changed.has(home(root))) return x;
      copies.push(copyOf(x, rec.layer));
      return copies.at(-1)!.outputs[0];
    });
    return [...copies, { ...rec, inputs }];
  });
}

const copyOf = (x: Tensor, layer: string): Rec => {
  const node = trace(() => call(copy.op, [x], {})).result;
  return { ...node, inputs: [x], outputs: node.outputs, layer };
};

interface Part {
  pack: Tensor;
  offset: number;
}

/** Gives the parts of each pack their places in it; copies those that cannot be made there. */
function placeParts(records: Rec[], outputs: Set<Tensor>): { ordered: Rec[]; parts: Map<Tensor, Part> } {
  const parts = new Map<Tensor, Part>();
  const makers = new Map<Tensor, Rec>();
  for (const rec of records) for (const y of rec.outputs) if (rec.op) makers.set(y, rec);
  const ordered = records.flatMap((rec) => {
    if (rec.op) return [rec];
    const pack = rec.outputs[0];
    const { offsets } = layout(rec.inputs.map((x) => x!.size));
    const roots = rec.inputs.map((x) => viewRoot(x!));
    const mine = new Set(roots.filter((root) => makers.has(root)));
    const copies: Rec[] = [];
    for (const [i, root] of roots.entries()) {
      const maker = makers.get(root);
      const free = maker && !parts.has(root) && !outputs.has(root);
      // Reading one part while writing another would bind one buffer both ways.
      const apart = maker?.inputs.every((x) => !x || !mine.has(viewRoot(x)));
      if (free && apart) parts.set(root, { pack, offset: offsets[i] * 4 });
      else {
        const rec2 = copyOf(rec.inputs[i]!, rec.layer);
        copies.push(rec2);
        parts.set(rec2.outputs[0], { pack, offset: offsets[i] * 4 });
      }
    }
    return copies;
  });
  // A copy of one part out of a pack that it is itself placed in reads and writes that pack: it needs two steps.
  return {
    ordered: ordered.flatMap((rec) => {
      const target = rec.outputs[0] && parts.get(rec.outputs[0]);
      const source = rec.op === copy.op && rec.inputs[0] && parts.get(viewRoot(rec.inputs[0]));
      if (!target || !source || target.pack !== source.pack) return [rec];
      const detour = copyOf(rec.inputs[0]!, rec.layer);
      return [detour, { ...rec, inputs: [detour.outputs[0]] }];
    }),
    parts,
  };
}

/** Memory by liveness: a tensor's slot is free again after its last reader. */
function assignSlots(
  records: Rec[],
  parts: Map<Tensor, Part>,
  outputs: Map<string, Tensor>,
  alone: Set<Tensor>,
  reuse: boolean,
  target: Target,
): Plan {
  const root = (x: Tensor) => {
    const r = viewRoot(x);
    return parts.get(r)?.pack ?? r;
  };
  const lastUse = new Map<Tensor, number>();
  for (const [i, rec] of records.entries()) {
    for (const x of [...rec.outputs, ...rec.inputs]) if (x) lastUse.set(root(x), i);
  }
  for (const x of outputs.values()) lastUse.set(root(x), Number.POSITIVE_INFINITY);

  const slots: Plan['slots'] = [];
  /** Slots in use now, and every slot ever given. */
  const slotOf = new Map<Tensor, number>();
  const placed = new Map<Tensor, number>();
  const packs = new Set([...parts.values()].map((part) => part.pack));
  const free = new Set<number>();
  const take = (bytes: number, label: string): number => {
    let best = -1;
    for (const slot of free) {
      // The smallest that fits; else the largest, which grows.
      const [a, b] = [slots[slot].bytes, best < 0 ? -1 : slots[best].bytes];
      if (best < 0 || (a >= bytes ? b < bytes || a < b : b < bytes && a > b)) best = slot;
    }
    if (best < 0) {
      slots.push({ bytes, label });
      return slots.length - 1;
    }
    free.delete(best);
    if (slots[best].bytes < bytes) slots[best] = { bytes, label };
    return best;
  };

  const textures: Plan['textures'] = [];
  const textureOf = new Map<Tensor, number>();
  const freeTextures = new Set<number>();
  const takeTexture = (x: Tensor, label: string): number => {
    const [width, height] = texelsOf(x, target);
    for (const i of freeTextures) {
      const { width: w, height: h, half } = textures[i];
      if (w !== width || h !== height || half !== x.half) continue;
      freeTextures.delete(i);
      return i;
    }
    return textures.push({ width, height, half: x.half, label }) - 1;
  };

  const dispatches = records.map((rec, i): Dispatch => {
    const op = rec.op!;
    const kernel = rec.kernel ?? kernelOf(op, rec, target);
    let inPlace = false;
    for (const [o, y] of rec.outputs.entries()) {
      const r = root(y);
      if (slotOf.has(r)) continue;
      if (kernel.textures?.includes(kernel.outputs![o])) {
        textureOf.set(y, takeTexture(y, `texture of [${y.shape.join(', ')}]`));
        continue;
      }
      const label = `${op.name}${rec.layer ? ` "${rec.layer}"` : ''} [${r.shape.join(', ')}]`;
      const x = rec.inputs[0] && viewRoot(rec.inputs[0]);
      const dies =
        x &&
        x === root(x) &&
        slotOf.has(x) &&
        !packs.has(x) &&
        lastUse.get(x) === i &&
        rec.inputs.filter((z) => z && root(z) === x).length === 1;
      if (
        reuse &&
        kernel.inPlace &&
        rec.outputs.length === 1 &&
        !packs.has(r) &&
        !alone.has(r) &&
        dies &&
        x.bytes === y.bytes
      ) {
        slotOf.set(r, slotOf.get(x)!);
        // It lives on under its new name.
        slotOf.delete(x);
        placed.set(x, slotOf.get(r)!);
        inPlace = true;
      } else if (packs.has(r) || alone.has(r) || !reuse) {
        // The gaps of a pack must stay zero, so nothing else may use its slot.
        slots.push({ bytes: packs.has(r) ? r.node.options.length * 4 : r.bytes, label });
        slotOf.set(r, slots.length - 1);
      } else slotOf.set(r, take(r.bytes, label));
    }
    if (reuse) {
      for (const x of [...rec.inputs, ...rec.outputs]) {
        const r = x && root(x);
        if (r && textureOf.has(r) && lastUse.get(r) === i) freeTextures.add(textureOf.get(r)!);
        if (r && slotOf.has(r) && lastUse.get(r) === i && !packs.has(r)) {
          free.add(slotOf.get(r)!);
          placed.set(r, slotOf.get(r)!);
          slotOf.delete(r);
        }
      }
    }
    return { ...rec, op, kernel, inPlace };
  });
  for (const [x, slot] of slotOf) placed.set(x, slot);
  return {
    dispatches,
    slots,
    textures,
    outputs,
    place(x) {
      const r = viewRoot(x);
      if (r instanceof Variable)
        return { in: 'variable', variable: home(r), offset: (r.home?.offset ?? 0) * 4 };
      const texture = textureOf.get(r);
      if (texture !== undefined) return { in: 'texture', texture, offset: 0 };
      const part = parts.get(r);
      const slot = placed.get(part?.pack ?? r);
      if (slot !== undefined) return { in: 'slot', slot, offset: part?.offset ?? 0 };
      return { in: 'leaf', leaf: r, offset: 0 };
    },
  };
}
