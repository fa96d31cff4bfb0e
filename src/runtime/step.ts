import { shown } from '../gpu/check.ts';
import { assertAlive, type Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { COPY_SRC, type Data, type Range, readRange } from '../gpu/values.ts';
import type { Plan } from '../graph/plan.ts';
import { labelOf, type Tensor, Variable, viewRoot } from '../graph/tensor.ts';
import type { Allocation } from './allocate.ts';
import type { CallerWatch } from './caller.ts';
import type { Values } from './inputs.ts';
import type { Replay } from './replay.ts';
import { runAndRestore } from './timing.ts';

/** Exact counts of one run of a step. */
export interface StepStats {
  dispatches: number;
  passes: number;
  submits: number;
  /** Bytes of intermediate tensors, constants and uniforms that this plan holds. */
  plannedBytes: number;
  /** Bytes of the variables it uses. */
  variableBytes: number;
  /** Pipelines it needs, each compiled once per device. */
  pipelines: number;
  /** The largest single buffer, in bytes. */
  largestBuffer: number;
}

/** A compiled step. */
export interface Step<I = Record<string, Tensor>, O = Record<string, Tensor>> {
  readonly stats: StepStats;
  /**
   * Writes the inputs and submits immediately; the promise waits only while too many steps are in flight. With `maxSubmitMs`
   * it resolves after the last submit, and a run that is called before that takes its inputs and starts then.
   * @throws InputError for a missing, unknown or misshaped input; DeviceLostError
   */
  run(values?: { [K in keyof I]?: number | Data }): Promise<void>;
  /**
   * The latest value of an output: a Float32Array, or an array of its type, `read<Uint32Array>('labels')`. Later runs do not
   * wait for it.
   * @throws InputError before the first run
   */
  read<D extends Data = Float32Array>(name: keyof O): Promise<D>;
  /** The buffer range of an output, for drawing or for another plan. It stays valid until `dispose`. */
  buffer(name: keyof O): Range;
  /** Runs once with one submit per dispatch and returns the milliseconds of each. Needs the timestamp-query feature. */
  profile(values?: { [K in keyof I]?: number | Data }): Promise<{ name: string; ms: number }[]>;
  /** In a plan compiled with `check`: runs, and describes the first op with a non-finite value; null if there is none. */
  firstNonFinite(values?: { [K in keyof I]?: number | Data }): Promise<string | null>;
  /** Frees the plan's buffers; variables stay. */
  dispose(): void;
}

/** A plan on its device, ready to run. */
export interface Ready {
  device: Device;
  made: Plan;
  stats: StepStats;
  allocation: Allocation;
  caller: CallerWatch;
  replay: Replay;
  writeInputs: (values: Values) => void;
  /** Variables are restored after each run. */
  check: boolean;
  stepsInFlight: number;
}

/** Makes the {@link Step} that runs and reads a plan. */
export function stepOf<I, O>(ready: Ready): Step<I, O> {
  const { device, made, stats, allocation, caller, replay, check } = ready;
  const waitForEarlier = inFlight(ready);
  let ran = false;
  let turn = Promise.resolve();
  const assertUsable = () => {
    assertAlive(device);
    caller.assertValid();
    if (allocation.freed) throw new InputError('this step was disposed');
  };
  const write = (values: Values) => {
    assertUsable();
    ready.writeInputs(values);
    ran = true;
  };
  const outputOf = (name: keyof O) => {
    assertUsable();
    const x = made.outputs.get(name as string);
    if (!x) throw new InputError(`buffer: no output is called ${shown(name)}`);
    return x;
  };
  const self: Step<I, O> = {
    stats,
    run(values = {}) {
      const next = async () => {
        const rest = caller.watch(() => {
          write(values);
          return check ? runAndRestore(device, made, replay.submit) : replay.submit();
        });
        if (rest) await rest;
        await waitForEarlier();
      };
      // A run in several submits does not start in the middle of another one.
      return (turn = replay.chunks[1] ? turn.then(next, next) : next());
    },
    async read<D extends Data = Float32Array>(name: keyof O) {
      if (replay.chunks[1]) await turn.catch(() => {});
      const x = outputOf(name);
      if (!ran && !(viewRoot(x) instanceof Variable))
        throw new InputError(`read: this step has not run yet, so "${String(name)}" has no value`);
      const range = allocation.range(x);
      if (!(range.buffer.usage & COPY_SRC))
        throw new InputError(`read: the buffer of "${String(name)}" lacks the usage COPY_SRC`);
      const data = await readRange(device, range, x.dtype, x.size);
      caller.assertValid();
      return data as D;
    },
    buffer: (name) => allocation.range(outputOf(name)),
    async profile(values = {}) {
      if (!device.gpu.features.has('timestamp-query'))
        throw new InputError('profile: this device has no timestamp-query feature');
      await turn.catch(() => {});
      write(values);
      return replay.profile(check);
    },
    async firstNonFinite(values = {}) {
      if (!check) throw new InputError('firstNonFinite: compile this step with { check: true }');
      await self.run(values);
      return findNonFinite(device, made, allocation);
    },
    dispose: allocation.free,
  };
  return self;
}

/** Makes a function that waits after a run while too many are in flight. */
function inFlight({ device, replay, stepsInFlight }: Ready): () => Promise<void> {
  const waiting: Promise<unknown>[] = [];
  // Asking whether work is done costs 10 ms in Deno, so only one in `stride` steps asks.
  const stride = Math.floor(stepsInFlight / 2) || 1;
  let runs = 0;
  return async () => {
    if (++runs % stride) return;
    waiting.push(replay.done());
    if ((waiting.length + 1) * stride <= stepsInFlight + 1) return;
    await waiting.shift();
    assertAlive(device);
  };
}

/** Whether one of the two f16 in a 32-bit word is not finite: all bits of its exponent are ones. */
const isBeyondHalf = (word: number) => (word & 0x7c00) === 0x7c00 || (word & 0x7c000000) === 0x7c000000;

/** Describes the first op of a plan whose output has a non-finite value after the last run; null if there is none. */
async function findNonFinite(device: Device, made: Plan, { range }: Allocation): Promise<string | null> {
  for (const { op, layer, outputs } of made.dispatches) {
    for (const y of outputs) {
      if (y.dtype !== 'f32' || made.place(y).in !== 'slot') continue;
      const data = await readRange(device, range(y), y.half ? 'u32' : 'f32');
      const at = data.findIndex((value) => (y.half ? isBeyondHalf(value) : !Number.isFinite(value)));
      if (at < 0) continue;
      const what = y.half ? `beyond f16 at element ${2 * at}` : `${data[at]} at element ${at}`;
      return `${labelOf(op.name, layer)} [${y.shape.join(', ')}]: ${what}`;
    }
  }
  return null;
}
