import { TEXTURES, toTextures, wholeRows } from './basic.ts';
import { call, type Kernel, kernelOf, type Target } from './op.ts';
import type { Dispatch, Rec } from './plan.ts';
import { home, reshape, Tensor, trace, Variable, viewRoot } from './tensor.ts';
import { isEven, isTall } from './texels.ts';

/** A tensor as the rows of texels that a kernel reads. */
const keyOf = (x: Tensor) => `${viewRoot(x).node.id}.${viewRoot(x).index} ${x.shape[0]}`;

/**
 * Gives kernels the textures that they read (`Kernel.textures`). A product may write its result as one (`Kernel.toTexture`).
 * The rest is copied: what the step starts from at its beginning, else before the first reader, together where possible;
 * a copy serves until its variable changes.
 * @param buffers tensors that must lie in a buffer; `null` for all
 */
export function throughTextures(records: Rec[], target: Target, buffers: Set<Tensor> | null): Rec[] {
  const kernels = new Map(records.map((rec) => [rec, rec.op ? kernelOf(rec.op, rec, target) : null]));
  if (![...kernels.values()].some((kernel) => kernel?.textures)) return records;
  const reads = ({ inputs }: Rec, kernel: Kernel | null) =>
    inputs.flatMap((x, i) =>
      x && !kernel?.unread?.includes(kernel.inputs![i])
        ? [{ x, i, texture: kernel?.textures?.includes(kernel.inputs![i]) }]
        : [],
    );

  /** How each tensor is read: as textures of these numbers of rows, as a buffer. */
  const wanted = new Map<Tensor, { rows: Set<number>; buffer: boolean }>();
  for (const [rec, kernel] of kernels) {
    for (const { x, texture } of reads(rec, kernel)) {
      const root = viewRoot(x);
      const want = wanted.get(root) ?? { rows: new Set(), buffer: buffers?.has(root) ?? true };
      wanted.set(root, want);
      if (texture) want.rows.add(x.shape[0]);
      else want.buffer = true;
    }
  }

  const textures = new Map<string, { source: Tensor; texture: Tensor }>();
  const made = new Set<Tensor>();
  const changed = new Set<Variable>();
  const copyAll = (xs: Tensor[], layer: string): Rec[] => {
    const groups: Tensor[][] = [];
    for (const even of [true, false]) {
      const whole = xs.filter((x) => wholeRows(x) && isEven(x, target) === even);
      for (let i = 0; i < whole.length; i += TEXTURES) groups.push(whole.slice(i, i + TEXTURES));
    }
    groups.push(...xs.filter((x) => !wholeRows(x)).map((x) => [x]));
    return groups.map((sources) => {
      const node = trace(() => call(toTextures.op, sources, {})).result;
      for (const [i, x] of sources.entries()) textures.set(keyOf(x), { source: x, texture: node.outputs[i] });
      return { ...node, inputs: sources, outputs: node.outputs, layer };
    });
  };
  const atStart = new Map<string, Tensor>();
  const isStart = (x: Tensor) => {
    const root = viewRoot(x);
    return !made.has(root) && !(root instanceof Variable && changed.has(home(root)));
  };
  for (const [rec, kernel] of kernels) {
    for (const { x, texture } of reads(rec, kernel)) if (texture && isStart(x)) atStart.set(keyOf(x), x);
    for (const y of rec.outputs) made.add(y);
    for (const v of rec.state) changed.add(home(v));
  }
  const start = copyAll([...atStart.values()], '');

  const rest = [...kernels].flatMap(([rec, kernel]) => {
    const mine = reads(rec, kernel).filter(({ texture }) => texture);
    const missing = new Map(mine.map(({ x }) => [keyOf(x), x]));
    for (const key of textures.keys()) missing.delete(key);
    const copies = copyAll([...missing.values()], rec.layer);
    const inputs = [...rec.inputs];
    for (const { x, i } of mine) inputs[i] = reshape(textures.get(keyOf(x))!.texture, x.shape);
    for (const [key, { source }] of textures) {
      const root = viewRoot(source);
      if (root instanceof Variable && rec.state.some((v) => home(v) === home(root))) textures.delete(key);
    }
    return [...copies, kernel ? withTexture({ ...rec, inputs, kernel }, kernel) : { ...rec, inputs }];
  });
  return [...start, ...rest];

  /** A call that can write the texture itself does so. */
  function withTexture(rec: Rec, kernel: Kernel): Rec {
    const y = rec.outputs[0];
    const want = y && wanted.get(y);
    if (!kernel.toTexture || !want?.rows.has(y.shape[0]) || isTall(y, target)) return rec;
    const alone = !want.buffer && want.rows.size === 1;
    const writing = kernel.toTexture(alone ? 'texture' : 'both');
    if (!writing) return rec;
    const texture = alone ? y : new Tensor(y.node, rec.outputs.length, y.shape, 'f32');
    textures.set(keyOf(y), { source: y, texture });
    return { ...rec, kernel: writing, outputs: alone ? rec.outputs : [...rec.outputs, texture] };
  }
}

/** How many dispatches at the start are copies to textures that need no kernel: the GPU's own do. @param external tensors whose buffers may not allow it */
export function movesOf(dispatches: readonly Dispatch[], target: Target, external: Set<Tensor>): number {
  const needed = dispatches.findIndex(
    ({ op, inputs, outputs }) =>
      op !== toTextures.op ||
      inputs.some((x, i) => outputs[i].half || !isEven(x!, target) || external.has(viewRoot(x!))),
  );
  return Math.max(0, needed);
}
