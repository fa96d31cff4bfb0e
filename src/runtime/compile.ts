import { checkNumber, checkOptions, isFunction, shown } from '../gpu/check.ts';
import { assertAlive, type Device, reasonOf, type Tuning } from '../gpu/device.ts';
import {
  HypersphereError,
  InputError,
  OutOfMemoryError,
  ShapeError,
  ValidationError,
} from '../gpu/errors.ts';
import { grid, type Pipeline } from '../gpu/kernel.ts';
import { align } from '../gpu/memory.ts';
import { COPY_SRC, checkData, type Data, type Range, readRange, VALUE, writeBuffer } from '../gpu/values.ts';
import { checkGiven, shownTensor } from '../graph/check.ts';
import type { Precision } from '../graph/mixed.ts';
import { type Call, call, type Op, sourceOf, type Target } from '../graph/op.ts';
import type { Dispatch } from '../graph/plan/call.ts';
import type { Place } from '../graph/plan/slots.ts';
import { movesOf } from '../graph/plan/textures.ts';
import { type Plan, plan } from '../graph/plan.ts';
import { roundsOf } from '../graph/rounds.ts';
import {
  home,
  homes,
  input,
  labelOf,
  type Node,
  settle,
  Tensor,
  trace,
  Variable,
  viewRoot,
} from '../graph/tensor.ts';
import { layUniforms } from '../graph/uniforms.ts';
import { checkOn } from './check.ts';
import { checkAliases, externalSlots, makeLeaves } from './leaves.ts';
import { cut, dispatchTimes, timeDispatches, warm } from './timing.ts';
import { type Trial, tune } from './tune.ts';
import { bufferOf, gather, liesIn, variableRange } from './variables.ts';

/** Milliseconds of work that may be under way where submits are made by the clock. */
const MOST_AHEAD = 250;

/** Options of {@link compile}. */
export interface CompileOptions<I> {
  /** What every run is given: made with `input` and `scalar`. */
  inputs?: I;
  /** Buffers of the caller, by the name of an input (read from) or an output (written to, also by the warm-up); f32 or u32. */
  buffers?: Record<string, GPUBuffer>;
  /** Called after each pipeline is ready. */
  onProgress?: (done: number, total: number) => void;
  /**
   * Cuts a step into submits of about this many milliseconds, each made when the one before is done (where that is told
   * late, as in Firefox: when it should be): a frame of the same device waits for one. Default: one submit.
   */
  maxSubmitMs?: number;
  /** How many steps may wait on the GPU before `run()` makes its caller wait. Default 8. */
  stepsInFlight?: number;
  /** Run once at compile time, since some drivers compile at the first dispatch; variables are put back. Default true. */
  warmUp?: boolean;
  /** For finding a non-finite value: no memory is reused, and variables are put back after each run. Default false. */
  check?: boolean;
  /**
   * Measures the kernels of calls that have several, and remembers the fastest for this adapter; `false`: the shipped defaults.
   * The bits are the same. Default: as the device was opened (see `TuningOptions`).
   */
  tune?: false | Tuning;
  /** `mixed`: what layers make is stored as f16. Default: all is f32. */
  precision?: Precision;
}

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
   * Writes the inputs and submits, at once; the promise waits only while too many steps are in flight. With `maxSubmitMs`
   * it resolves when the last submit was made, and a run that is called meanwhile takes its inputs and begins then.
   * @throws InputError for a missing, unknown or misshaped input; DeviceLostError
   */
  run(values?: { [K in keyof I]?: number | Data }): Promise<void>;
  /**
   * The latest value of an output: a Float32Array, or what its type is, `read<Uint32Array>('labels')`. Steps that are run
   * meanwhile do not wait for it.
   * @throws InputError before the first run
   */
  read<D extends Data = Float32Array>(name: keyof O): Promise<D>;
  /** Where an output lies, for drawing or for another plan. It stays valid until `dispose`. */
  buffer(name: keyof O): Range;
  /** Runs once with one submit per dispatch and tells the milliseconds of each. Needs the timestamp-query feature. */
  profile(values?: { [K in keyof I]?: number | Data }): Promise<{ name: string; ms: number }[]>;
  /** In a plan compiled with `check`: runs, and describes the first op with a non-finite value; null if there is none. */
  firstNonFinite(values?: { [K in keyof I]?: number | Data }): Promise<string | null>;
  /** Frees the plan's buffers; variables stay. */
  dispose(): void;
}

interface Binding {
  pipeline: GPUComputePipeline;
  group: GPUBindGroup;
  x: number;
  y: number;
  name: string;
}

/**
 * Traces `step` once, plans its memory, builds its pipelines and bind groups, and returns what replays it:
 * one submit, one compute pass, no object created.
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
  if (!isFunction(step)) throw new InputError(`compile: expected a function, got ${shown(step)}`);
  checkCompile(options);
  try {
    return (await build(device, step, options)).step;
  } catch (error) {
    const ours = error instanceof HypersphereError && !(error instanceof ValidationError);
    throw ours ? error : await reasonOf(device, error);
  }
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

/** `variant`: the kernel that calls with several run with. */
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
  const { result: outputs, effects } = trace(() => step(inputs));
  checkOutputs(outputs);
  for (const name of Object.keys(buffers)) {
    if (!inputs[name] && !outputs[name])
      throw new InputError(`buffers: "${name}" is neither an input nor an output of this step`);
  }
  const apart = Object.keys(buffers).filter((name) => outputs[name]);
  const flats = flatsOf(outputs, effects);
  const planFor = (target: Target) => {
    for (const flat of flats) settle(flat);
    return plan(outputs, effects, { reuse: !check, target, apart, precision });
  };
  const made = variant
    ? planFor({ ...device.target, choice: () => variant })
    : await tuned(device, options.tune ?? device.tune, planFor);
  for (const flat of flats) settle(flat);
  const used = usedVariables(made);
  const parts = partsOf(used.tensors, flats);
  const moved = movesOf(
    made.dispatches,
    device.target,
    new Set(Object.keys(buffers).map((name) => inputs[name])),
  );
  const dispatches = made.dispatches.slice(moved);
  const pipelines = await buildPipelines(device, dispatches, options.onProgress);
  const owned: (GPUBuffer | GPUTexture)[] = [];
  const keep = <T extends GPUBuffer | GPUTexture>(resource: T): T => {
    owned.push(resource);
    return resource;
  };
  const { memory, gpu } = device;

  const limit = gpu.limits.maxStorageBufferBindingSize;
  const tooLarge = made.slots.find((slot) => slot.bytes > limit);
  if (tooLarge)
    throw new OutOfMemoryError(
      `${tooLarge.label} needs ${tooLarge.bytes} bytes; this device binds ${limit} at most`,
    );

  const uniforms = layUniforms(dispatches, inputs);
  let settled = -1;
  /** Where another step has moved parts of flat variables since: brings them back. */
  const gatherParts = () => {
    if (settled === homes.changes) return;
    for (const [flat, members] of parts) settle(flat, members);
    settled = homes.changes;
    for (const [flat, members] of parts) gather(device, flat, members);
  };
  const { slots, textures, leaves, uniformBuffer, zeros, bound } = await memory.scoped(
    () => {
      const bound = used.owners.map((v) => ({ v, buffer: bufferOf(device, v) }));
      gatherParts();
      const external = externalSlots(made, outputs, buffers);
      const leaves = makeLeaves(device, made, inputs, buffers, keep);
      checkAliases(made, external, leaves);
      return {
        slots: made.slots.map(
          ({ bytes, label }, i) => external.get(i) ?? keep(memory.create(label, bytes, VALUE)),
        ),
        textures: made.textures.map(({ width, height, half, label }) =>
          keep(memory.createTexture(label, width, height, half)),
        ),
        leaves,
        uniformBuffer: keep(memory.create('uniforms', uniforms.data.byteLength, VALUE | 0x40)),
        zeros: keep(memory.create('zeros', 256, VALUE)),
        bound,
      };
    },
    () =>
      `this plan needs ${plannedBytes(made)} bytes; its largest tensors are ${largest(made)}. Use a smaller batch or width.`,
  );
  gpu.queue.writeBuffer(uniformBuffer, 0, uniforms.data);

  const rangeOf = (x: Tensor): Range => {
    const place: Place = made.place(x);
    const size = viewRoot(x).bytes;
    if (place.in === 'variable') return { ...variableRange(device, viewRoot(x) as Variable), size };
    if (place.in === 'slot') return { buffer: slots[place.slot], offset: place.offset, size };
    if (place.in === 'texture') throw new Error('internal: a texture has no range');
    if (place.leaf.node.kind === 'scalar')
      return { buffer: uniformBuffer, offset: uniforms.scalars.get(place.leaf)!, size: 4 };
    return { buffer: leaves.get(place.leaf)!, offset: 0, size };
  };

  const resourceOf = (x: Tensor | null): GPUBindingResource => {
    if (!x) return { buffer: zeros, size: 16 };
    const place = made.place(x);
    if (place.in === 'texture') return textures[place.texture].createView();
    const { buffer, offset, size } = rangeOf(x);
    // Whole vec4s, so that a kernel may read four at a time; the buffer is padded to 256 bytes.
    return { buffer, offset, size: Math.min(Math.ceil(size / 16) * 16, buffer.size - offset) };
  };

  let failure: ValidationError | null = null;
  const theirs = Object.keys(buffers);
  /** What WebGPU said of an earlier run of this step, once. */
  const assertValid = () => {
    const error = failure;
    failure = null;
    if (error) throw error;
  };
  /** Does something whose failure is this step's own: a buffer of the caller's may be destroyed, or another device's. */
  const watched = <T>(body: () => T): T => {
    if (!theirs.length) return body();
    gpu.pushErrorScope('validation');
    try {
      return body();
    } finally {
      gpu.popErrorScope().then(
        (error) => {
          if (error)
            failure = new ValidationError(
              `WebGPU rejected the step of ${Object.keys(outputs)
                .map((name) => `"${name}"`)
                .join(', ')}, which has buffers of the caller's (${theirs.join(', ')}): ${error.message}`,
            );
        },
        () => {},
      );
    }
  };
  gatherParts();
  const bindings = watched(() =>
    dispatches.map((d, i): Binding => {
      const { pipeline, layout } = pipelines[i];
      const { inputs = [], unread } = d.kernel;
      const read = d.inputs.map((x, at) => (unread?.includes(inputs[at]) ? null : x));
      const tensors = [...read, ...d.state, ...(d.inPlace ? [] : d.outputs)];
      if (d.inPlace) tensors[0] = d.outputs[0];
      const entries = tensors.map((x, at) => ({ binding: at + 1, resource: resourceOf(x) }));
      const group = gpu.createBindGroup({
        layout,
        entries: [
          { binding: 0, resource: { buffer: uniformBuffer, offset: uniforms.offsets[i], size: 256 } },
          ...entries,
        ],
      });
      const workgroups = Math.max(1, Math.ceil(d.kernel.invocations(d) / (d.kernel.workgroupSize ?? 64)));
      const [x, y] = grid(workgroups, gpu.limits.maxComputeWorkgroupsPerDimension);
      return { pipeline, group, x, y, name: labelOf(d.op.name, d.layer) };
    }),
  );

  let chunks: [from: number, to: number, ms: number][] = [[0, bindings.length, 0]];
  const stats: StepStats = {
    dispatches: bindings.length,
    passes: 1,
    submits: 1,
    plannedBytes: owned.reduce((sum, resource) => sum + memory.sizeOf(resource), 0),
    variableBytes: used.owners.reduce((sum, v) => sum + align(v.bytes), 0),
    pipelines: new Set(pipelines).size,
    largestBuffer: Math.max(0, ...slots.map((slot) => slot.size)),
  };

  const record = (pass: GPUComputePassEncoder, from: number, to: number, times = 1) => {
    for (let i = 0; i < times * (to - from); i++) {
      const { pipeline, group, x, y } = bindings[from + (i % (to - from))];
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y);
    }
    pass.end();
  };
  const moves = made.dispatches.slice(0, moved).flatMap(({ inputs, outputs }) =>
    inputs.map((x, i) => {
      const { buffer, offset } = rangeOf(x!);
      const [rows] = x!.shape;
      const bytesPerRow = x!.bytes / rows;
      const texture = textures[(made.place(outputs[i]) as Place & { texture: number }).texture];
      return [{ buffer, offset, bytesPerRow }, { texture }, [bytesPerRow / 16, rows]] as const;
    }),
  );
  const begin = () => {
    const encoder = gpu.createCommandEncoder();
    for (const one of moves) encoder.copyBufferToTexture(...one);
    return encoder;
  };
  let late = false;
  let ahead = 0;
  /** The last submit is done, or should be after its milliseconds where that is told late. */
  const done = (ms: number) => {
    ahead += ms;
    const clear = () => (ahead -= ms);
    const told = gpu.queue.onSubmittedWorkDone().then(clear, clear);
    return late && ahead < MOST_AHEAD ? new Promise((resolve) => setTimeout(resolve, ms)) : told;
  };
  const submit = (i = 0): void | Promise<void> => {
    if (i) gatherParts();
    const encoder = i ? gpu.createCommandEncoder() : begin();
    const [from, to, ms] = chunks[i];
    record(encoder.beginComputePass(), from, to);
    gpu.queue.submit([encoder.finish()]);
    if (chunks[++i]) return done(ms).then(() => (disposed ? undefined : submit(i)));
  };
  let ran = false;
  const assertUsable = () => {
    assertAlive(device);
    assertValid();
    if (disposed) throw new InputError('this step was disposed');
  };
  const writeInputs = (values: { [K in keyof I]?: number | Data }) => {
    assertUsable();
    for (const { v, buffer } of bound) {
      if (!liesIn(device, v, buffer))
        throw new InputError(
          `variable "${v.name}" was freed or put into a flat one after this step was compiled; compile it again`,
        );
    }
    gatherParts();
    if (typeof values !== 'object' || values === null)
      throw new InputError(`run: expected an object of inputs, got ${shown(values)}`);
    for (const name of Object.keys(values))
      if (!Object.hasOwn(inputs, name)) throw new InputError(`run: no input is called "${name}"`);
    for (const [name, x] of Object.entries(inputs)) {
      const value = values[name];
      if (x.node.kind === 'scalar') {
        if (typeof value !== 'number')
          throw new InputError(`run: expected a number for "${name}", got ${shown(value)}`);
        if (x.dtype === 'u32' && !(Number.isInteger(value) && value >= 0 && value < 2 ** 32))
          throw new InputError(`run: expected a whole number of [0, 2^32) for "${name}", got ${value}`);
        checkGiven(name, x, value);
        uniforms.set(x, value);
      } else if (buffers[name]) {
        if (value !== undefined)
          throw new InputError(`run: "${name}" is read from the buffer given to compile`);
      } else {
        checkData(`run: input "${name}"`, value, x.size, x.dtype);
        const leaf = leaves.get(x);
        if (leaf) writeBuffer(device, leaf, 0, value);
      }
    }
    if (uniforms.dynamicBytes)
      gpu.queue.writeBuffer(uniformBuffer, 0, uniforms.data, 0, uniforms.dynamicBytes);
  };

  let disposed = false;
  const waiting: Promise<unknown>[] = [];
  // Asking whether work is done costs Deno 10 ms, so only every half of the steps that may wait.
  const stride = Math.floor(stepsInFlight / 2) || 1;
  let runs = 0;
  let turn = Promise.resolve();
  const self: Step<I, O> = {
    stats,
    run(values = {}) {
      const next = async () => {
        const rest = watched(() => {
          writeInputs(values);
          ran = true;
          return check ? warm(device, made, submit) : submit();
        });
        if (rest) await rest;
        if (++runs % stride) return;
        waiting.push(done(chunks.at(-1)![2]));
        if ((waiting.length + 1) * stride > stepsInFlight + 1) {
          await waiting.shift();
          assertAlive(device);
        }
      };
      // Of runs in several submits none begins in the middle of another.
      return (turn = chunks[1] ? turn.then(next, next) : next());
    },
    async read<D extends Data = Float32Array>(name: keyof O) {
      if (chunks[1]) await turn.catch(() => {});
      const range = self.buffer(name);
      if (!ran && !(viewRoot(made.outputs.get(name as string)!) instanceof Variable))
        throw new InputError(`read: this step has not run yet, so "${String(name)}" has no value`);
      if (!(range.buffer.usage & COPY_SRC))
        throw new InputError(`read: the buffer of "${String(name)}" lacks the usage COPY_SRC`);
      const { dtype, size } = outputs[name];
      const data = await readRange(device, range, dtype, size);
      assertValid();
      return data as D;
    },
    buffer(name) {
      assertUsable();
      const x = made.outputs.get(name as string);
      if (!x) throw new InputError(`buffer: no output is called ${shown(name)}`);
      return rangeOf(x);
    },
    async profile(values = {}) {
      if (!gpu.features.has('timestamp-query'))
        throw new InputError('profile: this device has no timestamp-query feature');
      await turn.catch(() => {});
      writeInputs(values);
      ran = true;
      let times: number[] = [];
      const time = async () => {
        gpu.queue.submit([begin().finish()]);
        times = await timeDispatches(device, bindings.length, record);
      };
      if (check) await warm(device, made, time);
      else await time();
      return bindings.map(({ name }, i) => ({ name, ms: times[i] }));
    },
    async firstNonFinite(values = {}) {
      if (!check) throw new InputError('firstNonFinite: compile this step with { check: true }');
      await self.run(values);
      for (const d of made.dispatches) {
        for (const y of d.outputs) {
          if (y.dtype !== 'f32' || made.place(y).in === 'texture') continue;
          const data = await readRange(device, rangeOf(y), y.half ? 'u32' : 'f32');
          // Two f16 a word: all ones in an exponent.
          const at = data.findIndex((value) =>
            y.half
              ? (value & 0x7c00) === 0x7c00 || (value & 0x7c000000) === 0x7c000000
              : !Number.isFinite(value),
          );
          if (at >= 0)
            return `${labelOf(d.op.name, d.layer)} [${y.shape.join(', ')}]: ${y.half ? 'beyond f16' : data[at]} at element ${y.half ? 2 * at : at}`;
        }
      }
      return null;
    },
    dispose() {
      if (disposed) return;
      disposed = true;
      for (const resource of owned) memory.free(resource);
    },
  };

  try {
    if (warmUp && bindings.length) await watched(() => warm(device, made, submit));
    // A scope tells what happened before it, and so in order.
    if (theirs.length) await gpu.queue.onSubmittedWorkDone().catch(() => {});
    assertValid();
    if (options.maxSubmitMs && bindings.length > 1) {
      gatherParts();
      const times = await dispatchTimes(device, made, bindings.length, record);
      chunks = cut(times, options.maxSubmitMs);
      // Someone may draw just now: three times late is late.
      late = true;
      for (let i = 0; late && i < 3; i++) {
        const asked = performance.now();
        await done(MOST_AHEAD);
        late = performance.now() - asked > options.maxSubmitMs;
      }
      stats.submits = stats.passes = chunks.length;
    }
  } catch (error) {
    self.dispose();
    throw error;
  }
  const time = async (runs: number) => {
    const all = (pass: GPUComputePassEncoder, from: number, to: number) =>
      record(pass, 0, to > from ? bindings.length : 0, runs);
    return (await dispatchTimes(device, made, 1, all))[0];
  };
  return { step: self, time };
}

/** A plan with the kernels that measuring chose, now or earlier. */
async function tuned(
  device: Device,
  tuning: false | Tuning,
  planFor: (target: Target) => Plan,
): Promise<Plan> {
  if (!tuning) return planFor(device.target);
  const choices = await device.choices.load();
  const target = { ...device.target, choice: (key: string) => choices[key] };
  const made = planFor(target);
  const attempt = (call: Dispatch, variant: string) => alone(device, call, variant);
  if (!(await tune(made.dispatches, device.target, choices, tuning.budgetMs, attempt))) return made;
  assertAlive(device);
  await device.choices.save();
  return planFor(target);
}

/** Compiles a call with one of its kernels, on inputs of its own, 1 for numbers of the step; copies that the kernel wants are part of it. */
async function alone(device: Device, c: Call & { op: Op }, variant: string): Promise<Trial> {
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

function checkOutputs(outputs: unknown): void {
  if (typeof outputs !== 'object' || outputs === null || outputs instanceof Promise)
    throw new InputError('compile: expected a record of tensors from the step, which may not be async');
  for (const [name, x] of Object.entries(outputs)) {
    if (!(x instanceof Tensor))
      throw new InputError(`compile: output "${name}": expected a tensor, got ${shown(x)}`);
  }
}

const plannedBytes = (made: Plan) =>
  made.slots.reduce((sum, slot) => sum + align(slot.bytes), 0) +
  made.textures.reduce((sum, { width, height, half }) => sum + (half ? 8 : 16) * width * height, 0);
const largest = (made: Plan) =>
  [...made.slots]
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, 5)
    .map(({ label, bytes }) => `${label} (${bytes} bytes)`)
    .join(', ');

async function buildPipelines(
  device: Device,
  dispatches: Dispatch[],
  onProgress?: (done: number, total: number) => void,
): Promise<Pipeline[]> {
  let done = 0;
  const pending = dispatches.map((d) => {
    const { kernel: k, inPlace } = d;
    const read = k.sampled ? 'rl' : 'rt';
    const letters = (
      names: readonly string[] | undefined,
      tensors: readonly (Tensor | null)[],
      [buffer, texture]: string,
    ) =>
      tensors.map((x, i) => {
        if (!names || !k.textures?.includes(names[i])) return buffer;
        return viewRoot(x!).half ? texture.toUpperCase() : texture;
      });
    const access = inPlace
      ? `w${'r'.repeat(d.inputs.length - 1)}`
      : [
          ...letters(k.inputs, d.inputs, read),
          ...letters(k.state, d.state, 'w'),
          ...letters(k.outputs, d.outputs, 'ws'),
        ].join('');
    const most = device.gpu.limits.maxStorageBuffersPerShaderStage;
    const buffers = access.replace(/[tls]/gi, '').length;
    if (buffers > most)
      throw new InputError(
        `${d.op.name}: needs ${buffers} buffers in one kernel, this device allows ${most}`,
      );
    const entry = inPlace ? k.inPlace! : k.entry;
    const rounds = roundsOf(k, d);
    return device.pipelines.get({ source: sourceOf(k), entry, constants: k.constants?.(d), access, rounds });
  });
  const unique = new Set(pending);
  // What the caller throws is thrown by all of it.
  await Promise.all([...unique].map((each) => each.then(() => onProgress?.(++done, unique.size))));
  return Promise.all(pending);
}

/** The variables that a plan reads and changes, and those whose buffers it binds. */
function usedVariables(made: Plan): { tensors: Variable[]; owners: Variable[] } {
  const tensors = [...made.dispatches.flatMap((d) => [...d.inputs, ...d.state]), ...made.outputs.values()];
  const found = new Set(tensors.flatMap((x) => (x ? [viewRoot(x)] : [])));
  const variables = [...found].filter((x) => x instanceof Variable);
  return { tensors: variables, owners: [...new Set(variables.map(home))] };
}

/**
 * The flat variables that a traced step names itself: those of optimisers and moving averages.
 * @throws ShapeError where two of them have a part in common
 */
function flatsOf(outputs: Record<string, Tensor>, effects: readonly Node[]): Set<Variable> {
  const flats = new Set<Variable>();
  const seen = new Set<Node>();
  const stack = [...effects, ...Object.values(outputs).map((x) => x.node)];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const x of [...node.inputs, ...node.state, ...node.outputs]) {
      if (!x) continue;
      if (x instanceof Variable && x.members.length) flats.add(x);
      stack.push(x.node);
    }
  }
  const owners = new Map<Variable, Variable>();
  for (const flat of flats) {
    for (const member of flat.members) {
      const other = owners.get(member);
      if (other)
        throw new ShapeError(
          `compile: variable "${member.name}" is changed by two optimisers in one step ("${other.name}" and "${flat.name}"); give each a step of its own`,
        );
      owners.set(member, flat);
    }
  }
  return flats;
}

/** The parts of each flat variable that a step uses: all of those in `flats`. */
function partsOf(used: readonly Variable[], flats: Set<Variable>): Map<Variable, Set<Variable>> {
  const parts = new Map<Variable, Set<Variable>>();
  for (const flat of flats) parts.set(flat, new Set(flat.members));
  for (const v of used) if (v.home) parts.set(v.home.flat, (parts.get(v.home.flat) ?? new Set()).add(v));
  return parts;
}
