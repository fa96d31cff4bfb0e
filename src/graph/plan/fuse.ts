import { type Look, type Op, outputsOf } from '../op.ts';
import { home, Tensor, Variable, viewRoot } from '../tensor.ts';
import type { PlannedCall } from './call.ts';

/** Lets ops take over the making of their inputs (`Op.fuse`), then drops what nobody reads any more. */
export function fuse(calls: PlannedCall[], outputs: Set<Tensor>): PlannedCall[] {
  const makers = new Map<Tensor, PlannedCall>();
  const uses = new Map<Tensor, number>();
  const count = (list: PlannedCall[]) => {
    uses.clear();
    for (const call of list) {
      for (const x of call.inputs) if (x) uses.set(viewRoot(x), (uses.get(viewRoot(x)) ?? 0) + 1);
    }
    for (const x of outputs) uses.set(x, (uses.get(x) ?? 0) + 1);
  };
  count(calls);
  /** When each call is made and each variable last changed: what a call reads may not have changed since. */
  const madeAt = new Map<PlannedCall, number>();
  const changedAt = new Map<Variable, number>();
  const unchanged = (call: PlannedCall) =>
    call.inputs.every((x) => {
      const root = x && viewRoot(x);
      return !(root instanceof Variable) || (changedAt.get(home(root)) ?? -1) < madeAt.get(call)!;
    });
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
    const result: PlannedCall = better ? instead(call, better) : call;
    for (const y of result.outputs) makers.set(y, result);
    madeAt.set(result, i);
    for (const v of result.state) changedAt.set(home(v), i);
    return result;
  });
  // Latest first, so that a chain of unread makers falls in one sweep.
  const kept: PlannedCall[] = [];
  count(rewritten);
  for (const call of rewritten.reverse()) {
    if (!call.state.length && !call.outputs.some((y) => uses.get(y))) {
      for (const x of call.inputs) if (x) uses.set(viewRoot(x), uses.get(viewRoot(x))! - 1);
    } else kept.push(call);
  }
  return kept.reverse();
}

/** The cheaper call in the place of `call`: its first output is that of `call`, what else it makes nobody reads. */
function instead(
  call: PlannedCall,
  { op, inputs, options }: NonNullable<ReturnType<NonNullable<Op['fuse']>>>,
): PlannedCall {
  const shapes = outputsOf(op, op.shape(inputs, options));
  const others = shapes
    .slice(1)
    .map(({ shape, dtype }, i) => new Tensor(call.outputs[0].node, i + 1, shape, dtype));
  return { ...call, op, inputs: [...inputs], options, outputs: [call.outputs[0], ...others] };
}
