import type { Device } from '../gpu/device.ts';
import { submit } from '../gpu/submit.ts';
import type { Plan } from '../graph/plan.ts';
import type { Allocation } from './allocate.ts';
import { type Binding, type Move, record } from './bind.ts';
import type { PlanVariables } from './plan_variables.ts';
import { completionOf } from './poll.ts';
import { cut, dispatchTimes, type Recorder, runAndRestore, timeDispatches } from './timing.ts';

/** A plan on its device as submits that can be repeated; only command encoders are created. */
export interface Replay {
  /** The dispatches of each submit, and its milliseconds if they are known. */
  readonly chunks: readonly [from: number, to: number, ms: number][];
  /** Makes the submits, each when the one before is done; the promise is for those after the first. */
  submit(): void | Promise<void>;
  /** Resolves when the last submit is done. */
  done(): Promise<unknown>;
  /** Measures the dispatches, and cuts them into submits of about this many milliseconds. */
  cut(ms: number): Promise<void>;
  /** Runs once and returns the milliseconds of each dispatch. @param restore restores variables afterwards */
  profile(restore: boolean): Promise<{ name: string; ms: number }[]>;
  /** Milliseconds of `runs` runs in one submit. */
  time(runs: number): Promise<number>;
}

/** @param moves the copies to textures at the start of the step */
export function replayOf(
  device: Device,
  made: Plan,
  bindings: readonly Binding[],
  moves: readonly Move[],
  allocation: Allocation,
  variables: PlanVariables,
): Replay {
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
    get chunks() {
      return chunks;
    },
    submit: () => submitFrom(0),
    done: () => completion.done(chunks.at(-1)![2]),
    async cut(ms) {
      variables.gather();
      chunks = cut(await dispatchTimes(device, made, count, recorder), ms);
      await completion.check(ms);
    },
    async profile(restore) {
      let times: number[] = [];
      const run = async () => {
        submit(gpu, move);
        times = await timeDispatches(device, count, recorder);
      };
      await (restore ? runAndRestore(device, made, run) : run());
      return bindings.map(({ name }, i) => ({ name, ms: times[i] }));
    },
    async time(runs) {
      const all: Recorder = (pass, from, to) => record(bindings, pass, 0, to > from ? count : 0, runs);
      return (await dispatchTimes(device, made, 1, all))[0];
    },
  };
}
