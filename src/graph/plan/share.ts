import type { Op } from '../op.ts';
import { home, type Node, Tensor, Variable, viewRoot } from '../tensor.ts';
import { type PlannedCall, plannedCall } from './call.ts';

/** Dead-code elimination: the nodes that outputs and effects need, in the order they were made. */
export function reachable(outputs: Tensor[], effects: readonly Node[]): Node[] {
  const seen = new Set<Node>(effects);
  const stack = [...effects, ...outputs.map((x) => x.node)];
  for (let node = stack.pop(); node; node = stack.pop()) {
    seen.add(node);
    for (const x of node.inputs) if (x && !seen.has(x.node)) stack.push(x.node);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/** Common-subexpression elimination. A variable that was changed in between is another value. */
export function shareCommon(nodes: Node[]): { calls: PlannedCall[]; canon: (x: Tensor) => Tensor } {
  const same = new Map<Tensor, Tensor>();
  const canon = (x: Tensor) => {
    let y = x;
    for (let next = same.get(y); next; next = same.get(y)) y = next;
    return y;
  };
  const versions = new Map<Variable, number>();
  const made = new Map<string, PlannedCall>();
  const calls: PlannedCall[] = [];
  const name = (x: Tensor | null) => {
    if (!x) return '-';
    const root = viewRoot(x);
    const version = root instanceof Variable ? `v${versions.get(home(root)) ?? 0}` : '';
    return `${x.node.id}.${x.index}${version}`;
  };
  for (const node of nodes) {
    if (!['op', 'view', 'pack'].includes(node.kind)) continue;
    const call = plannedCall(
      node,
      node.inputs.map((x) => x && canon(x)),
    );
    if (node.state.length) {
      for (const v of node.state) versions.set(home(v), (versions.get(home(v)) ?? 0) + 1);
      calls.push(call);
      continue;
    }
    const options = JSON.stringify(node.options, distinct);
    const shape = node.outputs.map((y) => y.shape).join('|');
    const key = `${call.op ? opId(call.op) : node.kind}(${call.inputs.map(name)})${options}${shape}`;
    const twin = made.get(key);
    if (twin) {
      for (const [i, y] of node.outputs.entries()) same.set(y, twin.outputs[i]);
      continue;
    }
    made.set(key, call);
    if (node.kind === 'view') {
      // A view is no work: from here on it only knows its (shared) source.
      const source = call.inputs[0]!;
      if (source !== node.inputs[0]) {
        const view = { ...node, inputs: [source], outputs: [] as Tensor[] };
        const y = new Tensor(view, 0, node.outputs[0].shape, node.outputs[0].dtype);
        view.outputs.push(y);
        same.set(node.outputs[0], y);
      }
      continue;
    }
    calls.push(call);
  }
  return { calls, canon };
}

/** JSON has neither tensors nor non-finite numbers nor 64-bit integers. */
const distinct = (_: string, value: unknown) =>
  value instanceof Tensor
    ? `#${value.node.id}`
    : typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))
      ? `${value}`
      : value;

const opIds = new WeakMap<Op, number>();
let ops = 0;
function opId(op: Op): string {
  if (!opIds.has(op)) opIds.set(op, ops++);
  return `${op.name}#${opIds.get(op)}`;
}
