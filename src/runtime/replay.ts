import type { Device } from '../gpu/device.ts';
import { submit } from '../gpu/submit.ts';
import type { Plan } from '../graph/plan.ts';
import type { Allocation } from './allocate.ts';
import { type Binding, type Move, record } from './bind.ts';
import type { PlanVariables } from './plan_variables.ts';
import { completionOf } from './poll.ts';
import { cut, dispatchTimes, type Recorder, runAndRestore, timeDispatches } from './timing.ts';

export type Replay = ReturnType<typeof replayOf>;

/**
 * A plan on its device as submits that can be repeated; only command encoders are created.
 * @param moves the copies to textures at the start of the step
 */
export function replayOf(
  device: Device,
  made: Plan,
  bindings: readonly Binding[],
  moves: readonly Move[],
  allocation: Allocation,
  variables: PlanVariables,
) {
  const { gpu } = device;
  const count = bindings.length;
  const recorder: Recorder = (pass, from, to) => record(bindings, pass, from, to);
  const completion = completionOf(gpu.queue);
  let chunks: [from: number, to: number, ms: number][] = [[0, count, 0]];
  const move = (encoder: GPUCommandEncoder) => {
    for (const each of moves) each(encoder);
  };
  const submitFrom = (i: number): void | Promise<void> => {
    if (i) variables.gather();
    const [from, to, ms] = chunks[i];
    submit(gpu, (encoder) => {
      if (!i) move(encoder);
      recorder(encoder.beginComputePass(), from, to);
    });
    if (!chunks[i + 1]) return;
    return completion.done(ms).then(() => (allocation.freed ? undefined : submitFrom(i + 1)));
  };
  return {
    /** The dispatches of each submit, and its milliseconds if they are known. */
    get chunks(): readonly [from: number, to: number, ms: number][] {
      return chunks;
    },
    /** Makes the submits, each when the one before is done; the promise is for those after the first. */
    submit: () => submitFrom(0),
    /** Resolves when the last submit is done. */
    done: () => completion.done(chunks.at(-1)![2]),
    /** Measures the dispatches, and cuts them into submits of about this many milliseconds. */
    async cut(ms: number) {
      variables.gather();
      chunks = cut(await dispatchTimes(device, made, count, recorder), ms);
      await completion.check(ms);
    },
    /** Runs once and returns the milliseconds of each dispatch. @param restore restores variables afterwards */
    async profile(restore: boolean) {
      let times: number[] = [];
      const run = async () => {
        submit(gpu, move);
        times = await timeDispatches(device, count, recorder);
      };
      await (restore ? runAndRestore(device, made, run) : run());
      return bindings.map(({ name }, i) => ({ name, ms: times[i] }));
    },
    /** Milliseconds of `runs` runs in one submit. */
    async time(runs: number) {
      const all: Recorder = (pass, from, to) => record(bindings, pass, 0, to > from ? count : 0, runs);
      return (await dispatchTimes(device, made, 1, all))[0];
    },
  };
}
