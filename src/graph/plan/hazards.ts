import { copy } from '../basic.ts';
import { home } from '../tensor.ts';
import { addedCall, aliasesAny, type PlannedCall } from './call.ts';

/** No dispatch may read a buffer that it also changes: such an input is copied first. */
export function separateHazards(calls: PlannedCall[]): PlannedCall[] {
  return calls.flatMap((call) => {
    const changed = new Set(call.state.map(home));
    const copies: PlannedCall[] = [];
    const inputs = call.inputs.map((x) => {
      if (!x || !aliasesAny(x, changed)) return x;
      copies.push(addedCall(copy.op, [x], call.layer));
      return copies.at(-1)!.outputs[0];
    });
    return [...copies, { ...call, inputs }];
  });
}
