import { InputError } from '../gpu/errors.ts';
import { type Kernel, kernelOf, type PlanTarget, sourceOf } from './op.ts';
import type { PlannedCall } from './plan/call.ts';
import { reshape, Tensor, viewRoot } from './tensor.ts';

/** How a plan stores the results of its ops: `compile(device, step, { precision: mixed })`. */
export interface Precision {
  /** @throws InputError on a device that cannot */
  check(features: { has(name: string): boolean }): void;
  /** The same calls on tensors that say how they are stored; `wanted` stay as they are. */
  store(records: PlannedCall[], wanted: Set<Tensor>, target: PlanTarget): PlannedCall[];
}

/**
 * Mixed precision: activations are stored as f16, which halves their memory and the bytes read. All sums are computed
 * in f32; parameters, gradients, statistics and losses stay f32. Values beyond 65,504 become infinite.
 * Needs the feature shader-f16.
 */
export const mixed: Precision = {
  check(features) {
    if (!features.has('shader-f16'))
      throw new InputError(
        'precision: mixed precision needs the feature shader-f16, which this device lacks',
      );
  },
  store(records, wanted, target) {
    const kernels = new Map(
      records.map((rec) => [rec, rec.op && (rec.kernel ?? kernelOf(rec.op, rec, target))]),
    );
    const halves = new Map<Tensor, Tensor>();
    for (const [rec, kernel] of kernels) {
      for (const [i, y] of rec.outputs.entries()) {
        const tolerant = rec.op?.copies
          ? halves.has(viewRoot(rec.inputs[i]!))
          : rec.op?.half && (i === 0 || kernel!.outputs![i] === 'beside');
        if (tolerant && y.dtype === 'f32' && !wanted.has(y))
          halves.set(y, new Tensor(y.node, y.index, y.shape, 'f32', true));
      }
    }
    const halved = (rec: PlannedCall) =>
      bound(rec, kernels.get(rec)).filter(([x]) => halves.has(viewRoot(x)));
    // A tensor stays f32 if its writer, a reader, or a reader of its copy cannot be rewritten for f16.
    for (let before = -1; before !== halves.size; ) {
      before = halves.size;
      for (const [rec, kernel] of kernels) {
        for (const [x, name] of halved(rec)) {
          const copied =
            !rec.op?.copies || rec.outputs.includes(x) || halves.has(rec.outputs[rec.inputs.indexOf(x)]);
          if (!kernel || !copied || !narrow(kernel, [name])) halves.delete(viewRoot(x));
        }
      }
    }
    return records.map((rec) => {
      const kernel = kernels.get(rec);
      const names = halved(rec).map(([, name]) => name);
      if (!kernel) return rec;
      const inputs = rec.inputs.map((x) => {
        const half = x && halves.get(viewRoot(x));
        return half ? reshape(half, x.shape) : x;
      });
      return {
        ...rec,
        inputs,
        outputs: rec.outputs.map((y) => halves.get(y) ?? y),
        kernel: names.length ? narrow(kernel, names)! : kernel,
      };
    });
  },
};

/** The tensors of the plan that a call reads and writes, each with its name in the kernel. */
function bound({ inputs, outputs }: PlannedCall, kernel: Kernel | null | undefined): [Tensor, string][] {
  const reads = inputs.map((x, i) => [x, kernel?.inputs?.[i] ?? ''] as const);
  const writes = outputs.map((y, i) => [y, kernel?.outputs?.[i] ?? ''] as const);
  return [...reads, ...writes].filter(([x, name]) => x && !kernel?.unread?.includes(name)) as [
    Tensor,
    string,
  ][];
}

const HALVES: Record<string, string> = { f32: 'f16', vec4f: 'vec4<f16>' };

/** A variable with a binding: its attributes, name and type. */
const BOUND = /((?:@\w+\s*\([^)]*\)\s*)+)var\s*(?:<[^>]*>)?\s*(\w+)\s*:\s*([^;]+);/g;

/**
 * The kernel with the bindings of these names in f16: loads widen and stores round, all else is unchanged. Null where its entry
 * point uses them in another way, or where its text cannot be parsed.
 */
export function narrow(kernel: Kernel, names: readonly string[]): Kernel | null {
  let text = sourceOf(kernel).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const { inputs = [], state = [], outputs = [] } = kernel;
  const all = [...inputs, ...state, ...outputs];
  const known = new Map(
    [...text.matchAll(/\b(?:alias|const)\s+(\w+)\s*(?::\s*\w+\s*)?=\s*(\w+?)u?\s*;/g)].map(([, a, b]) => [
      a,
      b,
    ]),
  );
  const used = wordsOf(text, [kernel.entry, kernel.inPlace ?? '']);
  const variables = [...text.matchAll(BOUND)].map(([whole, attributes, name, type]) => {
    const place = /@binding\s*\(\s*(\w+?)u?\s*\)/.exec(attributes)?.[1] ?? '';
    return { whole, name, type: type.trim(), binding: Number(known.get(place) ?? place) };
  });
  const wanted = names.map((name) => all.indexOf(name) + 1);
  const told = wanted.every((n) => n > 0 && variables.some(({ binding }) => binding === n));
  if (!told || variables.length !== text.match(/@binding/g)!.length) return null;
  for (const { whole, name, type, binding } of variables) {
    if (Number.isNaN(binding)) return null;
    if (!used.has(name) || !wanted.includes(binding)) continue;
    if (type.startsWith('texture')) text = text.replace(whole, whole.replace('rgba32float', 'rgba16float'));
    else {
      const element = /^array<\s*(\w+)\s*>$/.exec(type)?.[1] ?? '';
      const plain = known.get(element) ?? element;
      const half = HALVES[plain];
      const changed = half
        ? throughHalf(text.replace(whole, whole.replace(type, `array<${half}>`)), name, plain)
        : null;
      if (changed === null) return null;
      text = changed;
    }
  }
  return { ...kernel, source: `enable f16;${text}`, prelude: undefined };
}

/** The identifiers in functions and in all functions that they call. */
function wordsOf(text: string, entries: string[]): Set<string> {
  const bodies = new Map<string, string[]>();
  for (const { 1: name, index } of text.matchAll(/\bfn\s+(\w+)/g)) {
    const start = text.indexOf('{', index) + 1;
    bodies.set(name, text.slice(start, closing(text, start)).match(/\w+/g) ?? []);
  }
  const found = new Set(entries);
  for (const word of found) for (const next of bodies.get(word) ?? []) found.add(next);
  return found;
}

/** The text with all loads and stores of an array's elements converted; null if there is another use. */
function throughHalf(text: string, name: string, type: string): string | null {
  if (new RegExp(`&\\s*${name}\\b`).test(text)) return null;
  const use = new RegExp(`(?<![\\w.])${name}\\s*\\[`, 'g');
  let out = '';
  let from = 0;
  for (let match = use.exec(text); match; match = use.exec(text)) {
    const end = closing(text, use.lastIndex);
    const index = throughHalf(text.slice(use.lastIndex, end), name, type);
    const last = partsAfter(text, end + 1);
    const change = /^\s*(=(?!=)|[-+*/%&|^]=|<<=|>>=|\+\+|--)/.exec(text.slice(last))?.[1];
    if (index === null || (change && (change !== '=' || last > end + 1))) return null;
    out += text.slice(from, match.index);
    const element = `${name}[${index}]`;
    if (change) {
      const start = text.indexOf('=', end) + 1;
      const stop = text.indexOf(';', start);
      const value = throughHalf(text.slice(start, stop), name, type);
      if (value === null) return null;
      out += `${element} = ${HALVES[type]}(${value})`;
      from = stop;
    } else {
      out += `${type}(${element})`;
      from = end + 1;
    }
    use.lastIndex = from;
  }
  return out + text.slice(from);
}

/** The end of the accessors, `.x` or `[i]`, that follow an expression which ends at `from`. */
function partsAfter(text: string, from: number): number {
  const part = /^\s*(\.\s*\w+|\[)/.exec(text.slice(from));
  if (!part) return from;
  const end = from + part[0].length;
  return partsAfter(text, part[1] === '[' ? closing(text, end) + 1 : end);
}

/** The position of the bracket that closes the one before `from`. */
function closing(text: string, from: number): number {
  let depth = 1;
  for (let i = from; i < text.length; i++) {
    if (/[[{(]/.test(text[i])) depth++;
    if (/[\]})]/.test(text[i]) && --depth === 0) return i;
  }
  return text.length;
}
