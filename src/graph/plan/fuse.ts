import { type FusionContext, type Op, outputsOf, type Replacement } from '../op.ts';
import { home, Tensor, Variable } from '../tensor.ts';
import { type PlannedCall, rootsOf } from './call.ts';

/** Replaces two calls by one cheaper call where an op knows one (`Op.fuse`), then drops calls that are no longer read. */
export function fuse(calls: PlannedCall[], outputs: Set<Tensor>): PlannedCall[] {
  const uses = countUses(calls, outputs);
  const makers = new Map<Tensor, PlannedCall>();
  /** When each call is made and each variable last changed: the inputs of a call may not have changed since. */
  const madeAt = new Map<PlannedCall, number>();
  const changedAt = new Map<Variable, number>();
  const unchanged = (call: PlannedCall) =>
    rootsOf(call.inputs).every(
      (x) => !(x instanceof Variable) || (changedAt.get(home(x)) ?? -1) < madeAt.get(call)!,
    );
  const context: FusionContext = {
    only(x) {
      const call = x && x.node.kind === 'op' && uses.get(x) === 1 ? makers.get(x) : undefined;
      const alone = call?.outputs.every((y) => y === x || !uses.get(y));
      return call?.op && !call.state.length && alone && unchanged(call)
        ? (call as PlannedCall & { op: Op })
        : null;
    },
  };
  const rewritten = calls.map((call, i) => {
    const better = call.op?.fuse?.(call, context);
    const result = better ? replaced(call, better) : call;
    for (const y of result.outputs) makers.set(y, result);
    madeAt.set(result, i);
    for (const v of result.state) changedAt.set(home(v), i);
    return result;
  });
  return withoutUnread(rewritten, outputs);
}

/** How often each tensor is read. */
function countUses(calls: PlannedCall[], outputs: Set<Tensor>): Map<Tensor, number> {
  const uses = new Map<Tensor, number>();
  for (const x of [...calls.flatMap(({ inputs }) => rootsOf(inputs)), ...outputs])
    uses.set(x, (uses.get(x) ?? 0) + 1);
  return uses;
}

/** The cheaper call that replaces another: its first output is that of the other; its other outputs are not read. */
function replaced(call: PlannedCall, { op, inputs, options }: Replacement): PlannedCall {
  const [y] = call.outputs;
  const outputs = outputsOf(op, op.shape(inputs, options)).map(({ shape, dtype }, i) =>
    i ? new Tensor(y.node, i, shape, dtype) : y,
  );
  return { ...call, op, inputs: [...inputs], options, outputs };
}

/** The calls without those that change nothing and whose outputs are not read. */
function withoutUnread(calls: PlannedCall[], outputs: Set<Tensor>): PlannedCall[] {
  const uses = countUses(calls, outputs);
  // Latest first, so that one sweep removes a whole chain.
  const kept = calls.toReversed().filter((call) => {
    if (call.state.length || call.outputs.some((y) => uses.get(y))) return true;
    for (const x of rootsOf(call.inputs)) uses.set(x, uses.get(x)! - 1);
    return false;
  });
  return kept.reverse();
}
