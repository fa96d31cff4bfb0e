// A call of an op on its way through the passes of a plan, and what it becomes.
import { type Call, call, type Kernel, type Op, type PlannedCall } from '../op.ts';
import { home, type Node, type Tensor, trace, Variable, viewRoot } from '../tensor.ts';

export type { PlannedCall };

/** One dispatch of a plan. */
export interface Dispatch extends Call {
  op: Op;
  kernel: Kernel;
  layer: string;
  /** Runs the kernel's `inPlace` entry: the first input and the output share a slot. */
  inPlace: boolean;
}

/** The call that a node of the graph stands for, on these inputs. */
export const plannedCall = (node: Node, inputs: (Tensor | null)[]): PlannedCall => ({
  ...node,
  // Nodes with an op are made by `call` alone.
  op: node.op as Op | null,
  inputs,
});

/** The tensors that hold the elements of these: the roots of views. */
export const rootsOf = (tensors: readonly (Tensor | null)[]): Tensor[] =>
  tensors.flatMap((x) => (x ? [viewRoot(x)] : []));

/** Whether a tensor shows what lies in the buffer of one of these variables. */
export function aliasesAny(x: Tensor, owners: Set<Variable>): boolean {
  const root = viewRoot(x);
  return root instanceof Variable && owners.has(home(root));
}

/** A call that the plan adds for a layer. */
export function addedCall(op: Op, inputs: Tensor[], layer: string, options: unknown = {}): PlannedCall {
  const node = trace(() => call(op, inputs, options)).result;
  return { ...plannedCall(node, inputs), layer };
}
