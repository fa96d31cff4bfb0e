// A model in training on one device. The caller decides when each update runs: a session has no loop of its own.
import { decodeSafetensors, loadVariables, saveVariables } from '../data/safetensors.ts';
import type { Device } from '../gpu/device.ts';
import { HypersphereError } from '../gpu/errors.ts';
import type { Data } from '../gpu/values.ts';
import { scalar, type Tensor, type Variable } from '../graph/tensor.ts';
import { type Optimizer, optimizerStatus } from '../optim/index.ts';
import { type CompileOptions, compile } from '../runtime/compile.ts';
import type { StepStats } from '../runtime/step.ts';

/** Metrics of the current state of a model. */
export interface Watch<M> {
  /**
   * Submits its work at once: the metrics are of the state at the call.
   * @throws NonFiniteError where a metric that must be finite is not
   */
  look(): Promise<M>;
  dispose(): void;
}

/** A checkpoint on the CPU, which survives a lost device. */
export interface Saved {
  step: number;
  /** A safetensors file. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** The loss, a gradient or a parameter is not finite: training cannot go on from this state. */
export class NonFiniteError extends HypersphereError {
  override name = 'NonFiniteError';
}

/** The options of `compile` that a training step may have. */
export type StepOptions = Pick<
  CompileOptions<never>,
  'precision' | 'stepsInFlight' | 'maxSubmitMs' | 'onProgress'
>;

/** What a session trains. */
export interface SessionOptions<M> extends StepOptions {
  /** The scalar inputs that `advance` takes values of. */
  inputs: Record<string, Tensor>;
  /** Traced once: one update. It returns the loss, and what else each look reads. `inputs` also hold the number of the step, `step`, u32. */
  build: (inputs: Record<string, Tensor>) => { loss: Tensor };
  /** All that the update has: one that skips an update ends the run. */
  optimizers: readonly Optimizer[];
  /** All that changes. */
  variables: readonly Variable[];
  /** Compiles what is measured between updates. */
  watch: () => Promise<Watch<M>>;
  /** The state to begin with. Default: that of the variables, at step 0. */
  from?: Saved | null;
}

/** The result of a look: the metrics at a step. */
export interface Seen<M> {
  step: number;
  /** The outputs of the last update, `loss` among them; empty until the first update after a start or a `restore`. */
  outputs: Record<string, Data>;
  metrics: M;
}

/** A model in training. Each call does its work between two updates, in the order of the calls. */
export interface Session<M> {
  /** Updates that are done. */
  readonly step: number;
  readonly stats: StepStats;
  /** Runs one update. @throws InputError for wrong values */
  advance(values: Record<string, number>): Promise<void>;
  /** Compiles the metrics now; the first look does so otherwise. */
  compileWatch(): Promise<void>;
  /**
   * The metrics after the updates so far; later updates need not wait for the answer.
   * @throws NonFiniteError that names the first op with a non-finite value
   */
  look(): Promise<Seen<M>>;
  /** The metrics of another state. */
  lookAt(saved: Saved): Promise<M>;
  /** The whole state. @throws NonFiniteError where no training could go on from it */
  save(metadata?: Record<string, string>): Promise<Saved>;
  /** Sets the step and all variables, or only some of them. @throws InputError for a file of another model */
  restore(saved: Saved, only?: readonly Variable[]): Promise<void>;
  /** Queues `act`, during which no update runs. */
  between<T>(act: () => T | Promise<T>): Promise<T>;
  /** Frees what was compiled; variables stay. */
  dispose(): void;
}

/** Compiles the update of a model. */
export async function openSession<M>(device: Device, options: SessionOptions<M>): Promise<Session<M>> {
  const { optimizers, variables, from } = options;
  if (from) loadVariables(device, from.bytes, variables);
  const update = await compileUpdate(device, options);
  const watch = lazily(options.watch);
  const between = makeQueue();
  const skipped = () => anySkipped(device, optimizers);
  let step = from?.step ?? 0;
  let lastSaved = step; // or the step of the last state that was restored
  let failure: Promise<never> | null = null;

  const nonFinite = (what: string, at: number, where = '') =>
    new NonFiniteError(
      `${what} is not finite at step ${at}${where}. The state of step ${lastSaved} is kept.`,
    );
  const failNonFinite = (at: number): Promise<never> =>
    (failure ??= between(() => update.firstNonFinite(at)).then((first) => {
      throw nonFinite('The loss or its gradient', at, `: first ${first}`);
    }));
  return {
    ...{ stats: update.stats, between },
    get step() {
      return step;
    },
    advance: (values) =>
      between(async () => {
        await update.run(step, values);
        step++;
      }),
    compileWatch: async () => void (await watch.compiled()),
    async look() {
      // No await where the metrics are compiled: the look is queued when it is called.
      const { look } = watch.ready ?? (await watch.compiled());
      const { at, reading } = await between(() => ({
        at: step,
        // All at once: the next update may be submitted meanwhile.
        reading: [update.read(), skipped(), look()] as const,
      }));
      const [outputs, bad, metrics] = await Promise.all(reading);
      if (bad || outputs.loss?.some((value) => !Number.isFinite(value))) await failNonFinite(at);
      update.forget(at);
      return { step: at, outputs, metrics };
    },
    async lookAt({ bytes }) {
      const { look } = watch.ready ?? (await watch.compiled());
      return between(async () => {
        const now = await saveVariables(device, variables);
        // No await in between, so that no frame shows the other state.
        loadVariables(device, bytes, variables);
        const looking = look();
        loadVariables(device, now, variables);
        return looking;
      });
    },
    async save(metadata = {}) {
      const { at, bad, bytes } = await between(async () => {
        const saving = saveVariables(device, variables, { ...metadata, step: String(step) });
        const [bad, bytes] = await Promise.all([skipped(), saving]);
        return { at: step, bad, bytes };
      });
      // The optimiser skipped an update since the last look.
      if (bad) await failNonFinite(at);
      if (at > 0 && !allFinite(bytes)) throw nonFinite('A parameter', at);
      lastSaved = at;
      return { step: at, bytes };
    },
    restore: (saved, only = variables) =>
      between(() => {
        loadVariables(device, saved.bytes, only);
        step = lastSaved = saved.step;
        update.reset();
        failure = null;
      }),
    dispose() {
      update.dispose();
      watch.dispose();
    },
  };
}

/** Whether any optimiser has skipped an update, whose gradient was not finite. All are read at once. */
async function anySkipped(device: Device, optimizers: readonly Optimizer[]): Promise<boolean> {
  const statuses = await Promise.all(optimizers.map((one) => optimizerStatus(device, one)));
  return statuses.some(({ skipped }) => skipped > 0);
}

/** A queue of actions: an update may take several submits, and no other action may read or change variables meanwhile. */
function makeQueue() {
  let turn: Promise<unknown> = Promise.resolve();
  return <T>(act: () => T | Promise<T>): Promise<T> => {
    const done = turn.then(act);
    turn = done.catch(() => {});
    return done;
  };
}

/** A watch that is compiled when it is first needed. */
function lazily<M>(compileWatch: () => Promise<Watch<M>>) {
  let ready: Watch<M> | null = null;
  let compiling: Promise<Watch<M>> | null = null;
  return {
    get ready() {
      return ready;
    },
    async compiled(): Promise<Watch<M>> {
      ready = await (compiling ??= compileWatch());
      return ready;
    },
    dispose() {
      compiling?.then(
        (watch) => watch.dispose(),
        () => {},
      );
    },
  };
}

/** Updates since the last look whose inputs are remembered, to find the first non-finite value. */
const REMEMBERED = 10_000;

async function compileUpdate<M>(device: Device, options: SessionOptions<M>) {
  const { precision, stepsInFlight, maxSubmitMs, onProgress } = options;
  const inputs = { ...options.inputs, step: scalar('u32') };
  let names: string[] = [];
  const build = (all: typeof inputs) => {
    const outputs = options.build(all);
    names = Object.keys(outputs);
    return outputs as Record<string, Tensor>;
  };
  const compiling = { inputs, precision, stepsInFlight, maxSubmitMs, onProgress };
  const compiled = await compile(device, build, compiling);
  let ran = false;
  let recent: { step: number; values: Record<string, number> }[] = [];
  return {
    ...{ stats: compiled.stats, dispose: compiled.dispose },
    async run(step: number, values: Record<string, number>): Promise<void> {
      await compiled.run({ ...values, step });
      ran = true;
      recent.push({ step, values });
      if (recent.length > REMEMBERED) recent = recent.slice(REMEMBERED / 2);
    },
    /** The outputs of the last run; none after a reset. */
    async read(): Promise<Record<string, Data>> {
      if (!ran) return {};
      const all = names.map(async (name) => [name, await compiled.read<Data>(name)] as const);
      return Object.fromEntries(await Promise.all(all));
    },
    /** Forgets the runs before a step. */
    forget(until: number): void {
      recent = recent.filter(({ step }) => step >= until);
    },
    reset(): void {
      ran = false;
      recent = [];
    },
    /**
     * Names the first non-finite value: repeats the inputs of the runs before a step, the latest first, in a plan that keeps every
     * tensor. The optimiser skipped the updates that were not finite, so the current state still shows where they come from.
     */
    async firstNonFinite(until: number): Promise<string> {
      const check = await compile(device, build, { inputs, precision, check: true, warmUp: false });
      try {
        for (const { step, values } of recent.filter((one) => one.step < until).reverse()) {
          const found = await check.firstNonFinite({ ...values, step });
          if (found) return found;
        }
        return 'in an update whose inputs are gone';
      } finally {
        check.dispose();
      }
    },
  };
}

const allFinite = (bytes: Uint8Array): boolean =>
  [...decodeSafetensors(bytes).tensors.values()].every(({ data }) => data.every(Number.isFinite));
