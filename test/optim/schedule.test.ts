import { cosineSchedule } from '../../src/optim/schedule.ts';
import { close, test, throws } from '../harness.ts';
import * as reference from '../reference.ts';

test('cosineSchedule is the reference', () => {
  for (const options of [
    { steps: 10, base: 2 },
    { steps: 585, base: 2e-3, warmup: 20 },
    { steps: 7, base: 0.5, warmup: 7, final: 0.1 },
    { steps: 1, base: 3, final: 1 },
  ]) {
    const rate = cosineSchedule(options);
    const { steps, ...rest } = options;
    const at = Array.from({ length: steps + 3 }, (_, i) => i);
    const expected = at.map((i) =>
      i >= steps ? (options.final ?? 0) : reference.cosineSchedule(i, { ...rest, total: steps }),
    );
    close(at.map(rate), expected, { rel: 1e-12, abs: 0 });
  }
});

test('cosineSchedule: errors', () => {
  throws(() => cosineSchedule({ steps: 0, base: 1 }), /at least 1.*"steps", got 0/);
  throws(() => cosineSchedule({ steps: 3, base: 1, warmup: 4 }), /of 0 to 3 for "warmup", got 4/);
});
