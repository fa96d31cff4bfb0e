import { checkFunction, checkNumber, checkOptions, shown } from '../gpu/check.ts';
import { assertAlive, type Device, reasonOf, type Tuning } from '../gpu/device.ts';
import { HypersphereError, InputError, ValidationError } from '../gpu/errors.ts';
import { shownTensor } from '../graph/check.ts';
import type { Precision } from '../graph/mixed.ts';
import { call, type PlanTarget } from '../graph/op.ts';
import type { Dispatch } from '../graph/plan/call.ts';
import { type Plan, plan } from '../graph/plan.ts';
import { input, settle, Tensor, trace } from '../graph/tensor.ts';
import { layUniforms } from '../graph/uniforms.ts';
import { allocate, type Given } from './allocate.ts';
import { bindDispatches, movesFor } from './bind.ts';
import { watchCaller } from './caller.ts';
import { checkBindable, checkOn } from './check.ts';
import { type Values, writeInputs } from './inputs.ts';
import { buildPipelines } from './pipelines.ts';
import { flatsOf, planVariables } from './plan_variables.ts';
import { replayOf } from './replay.ts';
import { targetOf } from './software.ts';
import { type Step, type StepStats, stepOf } from './step.ts';
import { runAndRestore } from './timing.ts';
import { type Trial, tuned } from './tune.ts';

/** Options of {@link compile}. */
export interface CompileOptions<I> {
  /** The inputs of every run, made with `input` and `scalar`. */
  inputs?: I;
  /** Buffers of the caller, by the name of an input (read from) or an output (written to, also by the warm-up); f32 or u32. */
  buffers?: Record<string, GPUBuffer>;
  /** Called after each pipeline is ready. */
  onProgress?: (done: number, total: number) => void;
  /**
   * Cuts a step into submits of about this many milliseconds, each made when the one before is done, so that a frame on the same
   * device waits for one submit only. (Firefox reports this late; there the measured time counts.) Default: one submit.
   */
  maxSubmitMs?: number;
  /** How many steps may wait on the GPU before `run()` makes its caller wait. Default 8. */
  stepsInFlight?: number;
  /** Run once at compile time, since some drivers compile at the first dispatch; variables are restored. Default true. */
  warmUp?: boolean;
  /** For finding a non-finite value: no memory is reused, and variables are restored after each run. Default false. */
  check?: boolean;
  /**
   * Tunes calls that have several kernels, and remembers the fastest for this adapter; `false`: the shipped defaults.
   * The results are equal bit by bit. Default: the setting of the device (see `TuningOptions`).
   */
  tune?: false | Tuning;
  /** `mixed`: activations are stored as f16. Default: everything is f32. */
  precision?: Precision;
}

/**
 * Traces `step` once, plans its memory, builds its pipelines and bind groups, and returns a {@link Step}. Each run of it
 * is one submit and one compute pass, and creates no object.
 *
 * @param step builds the graph from the inputs and returns the tensors that may be read afterwards.
 * @throws ShapeError while the graph is built; OutOfMemoryError with the largest tensors; ValidationError for a bad kernel
 */
export async function compile<I extends Record<string, Tensor>, O extends Record<string, Tensor>>(
  device: Device,
  step: (inputs: I) => O,
  options: CompileOptions<I> = {},
): Promise<Step<I, O>> {
  checkOn('compile', device);
  checkFunction('compile', 'step', step);
  checkCompile(options);
  try {
    return (await build(device, step, options)).step;
  } catch (error) {
    const ours = error instanceof HypersphereError && !(error instanceof ValidationError);
    throw ours ? error : await reasonOf(device, error);
  }
}

/** The work of {@link compile}. @param variant only for tuning: the kernel to use instead of the tuned one */
async function build<I extends Record<string, Tensor>, O extends Record<string, Tensor>>(
  device: Device,
  step: (inputs: I) => O,
  options: CompileOptions<I>,
  variant?: string,
): Promise<{ step: Step<I, O>; time: Trial['time'] }> {
  assertAlive(device);
  const { buffers = {}, check = false, stepsInFlight = 8, warmUp = true, precision } = options;
  precision?.check(device.gpu.features);
  const inputs = options.inputs ?? ({} as I);
  // The graph.
  const { result: outputs, effects } = trace(() => step(inputs));
  checkOutputs(outputs);
  const given = { inputs, outputs, buffers };
  checkBuffers(given);

  // The plan. An optimiser keeps its parameters in one buffer, a flat variable. While kernels are measured another step may move
  // parameters into its own, so `settle` moves them back before and after.
  const flats = flatsOf(outputs, effects);
  const apart = Object.keys(buffers).filter((name) => outputs[name]);
  const plain = await targetOf(device);
  const planFor = (target: PlanTarget): Plan => {
    for (const flat of flats) settle(flat);
    return plan(outputs, effects, { reuse: !check, target, apart, precision });
  };
  const made = variant
    ? planFor({ ...plain, choice: () => variant })
    : await tuned(device, plain, options.tune ?? device.tune, planFor, (call, name) =>
        alone(device, call, name),
      );
  for (const flat of flats) settle(flat);
  const variables = planVariables(device, made, flats);

  // Pipelines, memory and bindings.
  const theirs = new Set(Object.keys(buffers).map((name) => inputs[name]));
  const copied = plain.software?.movesOf(made.dispatches, theirs) ?? 0; // by copyBufferToTexture
  const dispatches = made.dispatches.slice(copied);
  const pipelines = await buildPipelines(device, dispatches, options.onProgress);
  for (const { label, bytes } of made.slots) checkBindable(device, label, bytes);
  const uniforms = layUniforms(dispatches, inputs);
  const allocation = await allocate(device, made, uniforms, variables, given);
  const caller = watchCaller(device.gpu, Object.keys(buffers), Object.keys(outputs));
  variables.gather();
  const bindings = caller.watch(() => bindDispatches(device, dispatches, pipelines, uniforms, allocation));
  const moves = movesFor(made.dispatches.slice(0, copied), allocation);
  const replay = replayOf(device, made, bindings, moves, allocation, variables);

  // The step.
  const stats: StepStats = {
    dispatches: bindings.length,
    passes: 1,
    submits: 1,
    plannedBytes: allocation.bytes,
    variableBytes: variables.bytes,
    pipelines: new Set(pipelines).size,
    largestBuffer: allocation.largestBuffer,
  };
  const write = (values: Values) => {
    variables.check();
    variables.gather();
    writeInputs(device, given, uniforms, allocation, values);
  };
  try {
    if (warmUp && bindings.length) await caller.watch(() => runAndRestore(device, made, replay.submit));
    await caller.settled();
    if (options.maxSubmitMs && bindings.length > 1) {
      await replay.cut(options.maxSubmitMs);
      stats.submits = stats.passes = replay.chunks.length;
    }
  } catch (error) {
    allocation.free();
    throw error;
  }
  const ready = { device, made, stats, allocation, caller, replay, writeInputs: write, check, stepsInFlight };
  return { step: stepOf(ready), time: replay.time };
}

/** For tuning: builds a step of one call alone with one of its kernels, on new inputs, with 1 for each scalar input. It includes the copies that the kernel needs. */
async function alone(device: Device, c: Dispatch, variant: string): Promise<Trial> {
  const own = c.inputs.map((x) => x && input(x.shape, x.dtype));
  const options = Object.fromEntries(
    Object.entries(c.options).map(([name, value]) => [name, value instanceof Tensor ? 1 : value]),
  );
  const outputs = () => Object.fromEntries(call(c.op, own, options).outputs.entries());
  const inputs = Object.fromEntries(
    Object.entries(own).filter((entry): entry is [string, Tensor] => !!entry[1]),
  );
  const { step, time } = await build(device, outputs, { inputs }, variant);
  return { time, dispose: step.dispose };
}

function checkCompile<I>(options: CompileOptions<I>): void {
  checkOptions(
    'compile',
    options,
    'inputs buffers onProgress maxSubmitMs stepsInFlight warmUp check tune precision'.split(' '),
  );
  const { inputs = {}, buffers = {}, precision, maxSubmitMs = 1, stepsInFlight = 1 } = options;
  for (const [name, record] of Object.entries({ inputs, buffers } as Record<string, unknown>))
    if (typeof record !== 'object' || record === null)
      throw new InputError(`compile: expected an object for "${name}", got ${shown(record)}`);
  for (const [name, x] of Object.entries(inputs as Record<string, unknown>))
    if (!(x instanceof Tensor) || (x.node.kind !== 'input' && x.node.kind !== 'scalar'))
      throw new InputError(
        `compile: input "${name}": expected a tensor made by input() or scalar(), got ${shownTensor(x)}`,
      );
  if (precision !== undefined && typeof (precision as Partial<Precision> | null)?.store !== 'function')
    throw new InputError(`compile: expected \`mixed\` itself for "precision", got ${shown(precision)}`);
  checkNumber('compile', 'maxSubmitMs', maxSubmitMs, { above: 0 });
  checkNumber('compile', 'stepsInFlight', stepsInFlight, { least: 0, whole: true });
}

function checkOutputs(outputs: unknown): void {
  if (typeof outputs !== 'object' || outputs === null || outputs instanceof Promise)
    throw new InputError('compile: expected a record of tensors from the step, which may not be async');
  for (const [name, x] of Object.entries(outputs)) {
    if (!(x instanceof Tensor))
      throw new InputError(`compile: output "${name}": expected a tensor, got ${shown(x)}`);
  }
}

function checkBuffers({ inputs, outputs, buffers }: Given): void {
  for (const name of Object.keys(buffers)) {
    if (!inputs[name] && !outputs[name])
      throw new InputError(`buffers: "${name}" is neither an input nor an output of this step`);
  }
}
