import { type Call, type Kernel, kernelOf, type Op, type PlannedCall, type PlanTarget } from '../graph/op.ts';
import { addedCall, aliasesAny } from '../graph/plan/call.ts';
import { home, reshape, Tensor, type Variable, viewRoot } from '../graph/tensor.ts';
import type { Settings } from './settings.ts';
import { isEven, isTall, wholeRows } from './texels.ts';
import { writingTexture } from './texture_operands.ts';
import { MOST_COPIES, toTextures } from './to_textures.ts';

/** All calls with their kernels; a pack has none. */
type Kernels = Map<PlannedCall, Kernel | null>;

/** How a tensor is read: as textures with these numbers of rows, or as a buffer. */
interface Wanted {
  rows: Set<number>;
  buffer: boolean;
}

/**
 * Gives kernels the textures that they read (`Kernel.access`). A product may write its result as one.
 * All others are copied: what exists before the step, at its beginning; what the step makes, before its first reader, together where possible;
 * a copy serves until its variable changes.
 * @param buffers tensors that must lie in a buffer; `null` for all
 */
export function throughTextures(
  calls: PlannedCall[],
  target: PlanTarget,
  buffers: Set<Tensor> | null,
  settings: Settings,
): PlannedCall[] {
  const kernels: Kernels = new Map(
    calls.map((call) => [call, call.op ? kernelOf(call.op, call, target) : null]),
  );
  if (![...kernels.values()].some((kernel) => kernel?.access)) return calls;
  const wanted = wantedForms(kernels, buffers);
  /** The textures that exist at this point of the step, by their contents. */
  const textures = new Map<string, { source: Tensor; texture: Tensor }>();
  const copyAll = (xs: Tensor[], layer: string): PlannedCall[] =>
    groupsOf(xs, settings).map((sources) => {
      const copy = addedCall(toTextures.op, sources, layer, settings);
      for (const [i, x] of sources.entries()) textures.set(keyOf(x), { source: x, texture: copy.outputs[i] });
      return copy;
    });
  /** The call, which writes its output as a texture if it can. */
  const writing = (call: PlannedCall, kernel: Kernel): PlannedCall => {
    const y = call.outputs[0];
    const want = y && wanted.get(y);
    if (!want?.rows.has(y.shape[0]) || isTall(y, settings)) return call;
    const alone = !want.buffer && want.rows.size === 1;
    const made = writingTexture(kernel, call, alone ? 'texture' : 'both');
    if (!made) return call;
    const texture = alone ? y : new Tensor(y.node, call.outputs.length, y.shape, 'f32');
    textures.set(keyOf(y), { source: y, texture });
    return { ...call, kernel: made, outputs: alone ? call.outputs : [...call.outputs, texture] };
  };

  const start = copyAll(startsOf(kernels), '');
  const rest = [...kernels].flatMap(([call, kernel]) => {
    const mine = readsOf(call, kernel).filter(({ texture }) => texture);
    const missing = new Map(mine.map(({ x }) => [keyOf(x), x]));
    for (const key of textures.keys()) missing.delete(key);
    const copies = copyAll([...missing.values()], call.layer);
    const inputs = [...call.inputs];
    for (const { x, i } of mine) inputs[i] = reshape(textures.get(keyOf(x))!.texture, inputs[i]!.shape);
    const changed = new Set(call.state.map(home));
    for (const [key, { source }] of textures) if (aliasesAny(source, changed)) textures.delete(key);
    return [...copies, kernel ? writing({ ...call, inputs, kernel }, kernel) : { ...call, inputs }];
  });
  return [...start, ...rest];
}

/** A tensor as the rows of texels that a kernel reads. */
const keyOf = (x: Tensor) => `${viewRoot(x).node.id}.${viewRoot(x).index} ${x.shape[0]}`;

/** The inputs that a kernel reads, and which of them as textures. */
const readsOf = ({ inputs }: PlannedCall, kernel: Kernel | null) =>
  inputs.flatMap((x, i) =>
    x && !kernel?.unread?.includes(kernel.inputs![i])
      ? [{ x: kernel?.rowsOf?.(x) ?? x, i, texture: kernel?.access?.[kernel.inputs![i]] !== undefined }]
      : [],
  );

function wantedForms(kernels: Kernels, buffers: Set<Tensor> | null): Map<Tensor, Wanted> {
  const wanted = new Map<Tensor, Wanted>();
  for (const [call, kernel] of kernels) {
    for (const { x, texture } of readsOf(call, kernel)) {
      const root = viewRoot(x);
      const want = wanted.get(root) ?? { rows: new Set(), buffer: buffers?.has(root) ?? true };
      wanted.set(root, want);
      if (texture) want.rows.add(x.shape[0]);
      else want.buffer = true;
    }
  }
  return wanted;
}

/** Tensors that are read as textures with their value at the start of the step. */
function startsOf(kernels: Kernels): Tensor[] {
  const starts = new Map<string, Tensor>();
  const made = new Set<Tensor>();
  const changed = new Set<Variable>();
  const isStart = (x: Tensor) => !made.has(viewRoot(x)) && !aliasesAny(x, changed);
  for (const [call, kernel] of kernels) {
    for (const { x, texture } of readsOf(call, kernel)) if (texture && isStart(x)) starts.set(keyOf(x), x);
    for (const y of call.outputs) made.add(y);
    for (const v of call.state) changed.add(home(v));
  }
  return [...starts.values()];
}

/** Tensors that one dispatch copies. */
function groupsOf(xs: Tensor[], settings: Settings): Tensor[][] {
  const groups: Tensor[][] = [];
  for (const even of [true, false]) {
    const whole = xs.filter((x) => wholeRows(x) && isEven(x, settings) === even);
    for (let i = 0; i < whole.length; i += MOST_COPIES) groups.push(whole.slice(i, i + MOST_COPIES));
  }
  return [...groups, ...xs.filter((x) => !wholeRows(x)).map((x) => [x])];
}

/**
 * How many dispatches at the start are copies to textures that need no kernel (`copyBufferToTexture`).
 * @param external tensors whose buffers may not allow it
 */
export function movesOf(
  dispatches: readonly (Call & { op: Op })[],
  external: Set<Tensor>,
  settings: Settings,
): number {
  const needed = dispatches.findIndex(
    ({ op, inputs, outputs }) =>
      op !== toTextures.op ||
      inputs.some((x, i) => outputs[i].half || !isEven(x!, settings) || external.has(viewRoot(x!))),
  );
  return Math.max(0, needed);
}
