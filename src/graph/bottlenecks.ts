import type { Node, Tensor } from './tensor.ts';

/**
 * The tensors through which everything passes that y gets from x, in order, x and y included: every path of the graph from x to y leads
 * through each of them (the dominators of y). The branches of a residual block are none, what it adds up is one. Empty if y does not
 * depend on x.
 */
export function bottlenecks(x: Tensor, y: Tensor): Tensor[] {
  // Nodes are numbered in the order in which they are made, so that inputs come before what is computed from them.
  const before = new Set<Node>([y.node]);
  for (const node of before)
    for (const input of node.inputs) if (input && input.node.id >= x.node.id) before.add(input.node);
  const nodes = [...before].sort((a, b) => a.id - b.id);
  /** The outputs of the nodes between x and y that are read on the way. */
  const read = new Map<Node, Set<Tensor>>([[x.node, new Set()]]);
  const lastReader = new Map<Node, number>();
  for (const node of nodes)
    for (const input of node.inputs) {
      const outputs = input && read.get(input.node);
      if (!outputs) continue;
      outputs.add(input);
      lastReader.set(input.node, node.id);
      if (!read.has(node)) read.set(node, new Set());
    }
  read.get(y.node)?.add(y);
  if (!read.has(y.node)) return [];
  const found: Tensor[] = [];
  // A node is a bottleneck unless a later one reads an earlier one.
  let furthest = 0;
  for (const node of nodes) {
    const outputs = read.get(node);
    if (!outputs) continue;
    if (furthest <= node.id && outputs.size === 1) found.push(...outputs);
    furthest = Math.max(furthest, lastReader.get(node) ?? 0);
  }
  return found;
}
