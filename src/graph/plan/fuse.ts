import { type Instead, type Look, type Op, outputsOf } from '../op.ts';
import { home, Tensor, Variable } from '../tensor.ts';
import { type PlannedCall, rootsOf } from './call.ts';

/** Lets ops take over the making of their inputs (`Op.fuse`), then drops what nobody reads any more. */
export function fuse(calls: PlannedCall[], outputs: Set<Tensor>): PlannedCall[] {
  const uses = countUses(calls, outputs);
  const makers = new Map<Tensor, PlannedCall>();
  /** When each call is made and each variable last changed: what a call reads may not have changed since. */
  const madeAt = new Map<PlannedCall, number>();
  const changedAt = new Map<Variable, number>();
  const unchanged = (call: PlannedCall) =>
    rootsOf(call.inputs).every(
      (x) => !(x instanceof Variable) || (changedAt.get(home(x)) ?? -1) < madeAt.get(call)!,
    );
  const look: Look = {
    only(x) {
      const call = x && x.node.kind === 'op' && uses.get(x) === 1 ? makers.get(x) : undefined;
      const alone = call?.outputs.every((y) => y === x || !uses.get(y));
      return call?.op && !call.state.length && alone && unchanged(call)
        ? (call as PlannedCall & { op: Op })
        : null;
    },
  };
  const rewritten = calls.map((call, i) => {
    const better = call.op?.fuse?.(call, look);
    const result = better ? instead(call, better) : call;
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

/** The cheaper call in the place of another: its first output is that of the other, what else it makes nobody reads. */
function instead(call: PlannedCall, { op, inputs, options }: Instead): PlannedCall {
  const [y] = call.outputs;
  const outputs = outputsOf(op, op.shape(inputs, options)).map(({ shape, dtype }, i) =>
    i ? new Tensor(y.node, i, shape, dtype) : y,
  );
  return { ...call, op, inputs: [...inputs], options, outputs };
}

/** The calls without those that change nothing and make what nobody reads. */
function withoutUnread(calls: PlannedCall[], outputs: Set<Tensor>): PlannedCall[] {
  const uses = countUses(calls, outputs);
  // Latest first, so that a chain of unread makers falls in one sweep.
  const kept = calls.toReversed().filter((call) => {
    if (call.state.length || call.outputs.some((y) => uses.get(y))) return true;
    for (const x of rootsOf(call.inputs)) uses.set(x, uses.get(x)! - 1);
    return false;
  });
  return kept.reverse();
}
