// Every export with hostile arguments: it gives something sound, or refuses in one line that names it.
import fc from 'fast-check';
import { addEffect, type Node, Tensor, trace, Variable } from '../../src/graph/tensor.ts';
import { compile } from '../../src/runtime/compile.ts';
import { freeVariables } from '../../src/runtime/variables.ts';
import { type Change, changed, changes, make, show } from './arguments.ts';
import { attempt, type Outcome, type Property, Wrong } from './engine.ts';
import { checkGpu, gpu, openGpu } from './gpu.ts';
import { type Entry, exported, functionOf, type Kind, OTHERS, prepareSteps, surface } from './surface.ts';

/** A message begins with what it is about: `matmul "encoder.1": `, `variable "w": `. */
const NAMES = /^(IDX )?[A-Za-z][\w.]*( "[^"]*")?: \S/;
/** These name the file as the caller called it, whatever that is, or the method by its title: `Proxy-Anchor: `. */
const OTHER_NAMES = /^(parse|npy|fromArrays|dataset|checkLabels|buildMethod)/;

interface Call {
  name: string;
  changes: Change[];
}

const argsOf = ({ name, changes }: Call) => changed(surface[name].args, changes);
const showCall = (call: Call) => `${call.name}(${argsOf(call).map(show).join(', ')})`.slice(0, 600);
const calls = (kinds: readonly Kind[]): fc.Arbitrary<Call> =>
  fc.record({
    name: fc.constantFrom(...Object.keys(surface).filter((name) => kinds.includes(surface[name].kind))),
    changes,
  });

/** All tensors in what a call gave, some levels deep. */
function tensorsIn(value: unknown, depth = 3): Tensor[] {
  // But for an object that only has the prototype of one.
  if (value instanceof Tensor) return value.node ? [value] : [];
  if (depth === 0 || value === null || (typeof value !== 'object' && typeof value !== 'function')) return [];
  if (ArrayBuffer.isView(value)) return [];
  return Object.values(value).flatMap((x) => tensorsIn(x, depth - 1));
}

/** Fails for a tensor that could not be. */
function checkTensors(tensors: readonly Tensor[]): void {
  for (const { shape, dtype } of tensors) {
    const sound = Array.isArray(shape) && shape.every((n) => Number.isInteger(n) && n > 0);
    if (!sound || !['f32', 'u32', 'u8'].includes(dtype))
      throw new Wrong('gives an impossible tensor', `${dtype} [${shape}]`);
  }
}

/** Runs a call, and names it in what goes wrong. */
async function named<T>(call: Call, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    throw new Wrong(`${call.name}: ${error.what}`, error.message.slice(error.what.length + 2));
  }
}

/** What was made for a call, so that it can be given back. */
interface Made {
  args: unknown[];
}

/** A result, or a refusal that names what refuses. */
function outcomeOf(call: Call, { kind }: Entry, made: Made = { args: [] }) {
  return attempt(
    () => {
      made.args = argsOf(call).map(make);
      const f = functionOf(call.name);
      return kind === 'build' ? trace(() => f(...made.args)).result : f(...made.args);
    },
    OTHER_NAMES.test(call.name) ? /./ : NAMES,
  );
}

const builds: Property<Call> = {
  name: 'exports: building a graph',
  share: 10,
  make: calls(['build', 'cpu']),
  key: ({ name }) => name,
  show: showCall,
  check: (call) =>
    named(call, async () => {
      const { value, refused } = await outcomeOf(call, surface[call.name]);
      if (refused) return 'refused';
      checkTensors(tensorsIn(value));
      return 'taken';
    }),
};

/** What is compiled: no more than a small machine computes at once. */
const FEW = 100_000;

/** All variables that tensors and effects are made of. */
function variablesOf(tensors: readonly Tensor[], effects: readonly Node[]): Variable[] {
  const found = new Set<Variable>();
  const seen = new Set<Node>();
  const nodes = [...tensors.map(({ node }) => node), ...effects];
  for (let node = nodes.pop(); node; node = nodes.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    for (const x of [...node.inputs, ...node.state, ...node.outputs]) {
      if (!(x instanceof Tensor)) continue;
      if (x instanceof Variable) found.add(x.home?.flat ?? x);
      nodes.push(x.node);
    }
  }
  return [...found];
}

const runs: Property<Call> = {
  name: 'exports: running the graph that was built',
  share: 1,
  most: 2000,
  make: calls(['build']),
  key: ({ name }) => name,
  show: showCall,
  check: (call) =>
    named(call, async () => {
      await openGpu();
      let variables: Variable[] = [];
      const { refused } = await attempt(async () => {
        const args = argsOf(call).map(make);
        const f = functionOf(call.name);
        const build = () => {
          const { result, effects } = trace(() => f(...args));
          const tensors = tensorsIn(result);
          variables = variablesOf(tensors, effects);
          const touched = [...tensors, ...tensorsIn(args), ...variables];
          if (touched.some(({ size }) => size > FEW)) return {};
          for (const effect of effects) addEffect(effect);
          return Object.fromEntries(tensors.map((x, i) => [`y${i}`, x]));
        };
        const step = await compile(gpu.device, build, { tune: false });
        try {
          await step.run();
          await gpu.device.gpu.queue.onSubmittedWorkDone();
        } finally {
          step.dispose();
        }
      });
      if (!gpu.device.error && !gpu.device.lost) freeVariables(gpu.device, variables);
      checkGpu('runs');
      return refused ? 'refused' : 'taken';
    }),
};

const onDevice = (kinds: Kind[], share: number, name: string, most: number): Property<Call> => ({
  name,
  share,
  most,
  make: calls(kinds),
  key: ({ name }) => name,
  show: showCall,
  check: (call) =>
    named(call, async (): Promise<Outcome> => {
      await openGpu();
      await prepareSteps();
      const made: Made = { args: [] };
      const { value, refused } = await outcomeOf(call, surface[call.name], made);
      release(value);
      release(made.args);
      checkGpu('runs');
      return refused ? 'refused' : 'taken';
    }),
});

/** Gives back what a call left on the device: the variables of its arguments and of its result, steps, devices. */
function release(value: unknown): void {
  const { dispose } = Object(value) as { dispose?: unknown };
  if (typeof dispose === 'function' && value !== gpu.device) dispose.call(value);
  if (gpu.device.error || gpu.device.lost) return;
  freeVariables(
    gpu.device,
    tensorsIn(value).filter((x) => x instanceof Variable),
  );
}

/** Checks that the surface has every export and nothing else. */
export function checkSurface(): void {
  const known = new Set([...Object.keys(surface), ...Object.values(OTHERS).flat()]);
  const missing = exported().filter((name) => !known.has(name));
  if (missing.length) throw new Error(`no test/fuzz/surface.ts entry for the exports ${missing.join(', ')}`);
  const names = new Set(exported());
  const gone = Object.keys(surface).filter((name) => !surface[name].of && !names.has(name));
  if (gone.length) throw new Error(`test/fuzz/surface.ts names what is not exported: ${gone.join(', ')}`);
}

/** The calls without a change: each must be taken. */
export async function checkValidCalls(kinds: readonly Kind[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const [name, entry] of Object.entries(surface)) {
    if (!kinds.includes(entry.kind)) continue;
    try {
      const { value, refused } = await outcomeOf({ name, changes: [] }, entry);
      if (refused) wrong.push(`${name}: ${refused.message}`);
      else release(value);
    } catch (error) {
      wrong.push(`${name}: ${(error as Error).message}`);
    }
  }
  return wrong;
}

export const exports: Property[] = [
  builds,
  runs,
  onDevice(['gpu'], 1, 'exports: on the device', 2000),
  onDevice(['slow'], 0.1, 'exports: on the device, long', 300),
];
