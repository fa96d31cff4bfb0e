// Arguments as trees that can be shown, changed in one place, and created again for each call.
import fc from 'fast-check';
import { constant, input, scalar, variable } from '../../src/graph/tensor.ts';
import { random } from '../harness.ts';
import { CallersOwn } from './engine.ts';

/** An argument: something made for each call, or a list or an object of arguments. */
export type Arg =
  | { kind: 'leaf'; text: string; make: () => unknown }
  | { kind: 'list'; items: readonly Arg[] }
  | { kind: 'object'; fields: Readonly<Record<string, Arg>> };

export const leaf = (text: string, make: () => unknown): Arg => ({ kind: 'leaf', text, make });
/** A literal value. */
export const value = (x: unknown): Arg => {
  if (Array.isArray(x)) return { kind: 'list', items: x.map(value) };
  const text = typeof x === 'string' ? JSON.stringify(x) : Object.is(x, -0) ? '-0' : String(x);
  return leaf(text, () => x);
};
export const list = (...items: Arg[]): Arg => ({ kind: 'list', items });
export const object = (
  fields: Record<string, Arg | number | string | boolean | null | readonly unknown[]>,
): Arg => ({
  kind: 'object',
  fields: Object.fromEntries(Object.entries(fields).map(([name, x]) => [name, isArg(x) ? x : value(x)])),
});
const isArg = (x: unknown): x is Arg => typeof x === 'object' && x !== null && 'kind' in x;

/** Of random numbers, or of labels 0 to 2 for whole numbers. */
export function tensor(shape: number[], dtype: 'f32' | 'u32' | 'u8' = 'f32'): Arg {
  return leaf(`${dtype} [${shape.join(', ')}]`, () => constant(elementsOf(shape, dtype), shape, dtype));
}
export function elementsOf(shape: readonly number[], dtype: 'f32' | 'u32' | 'u8' = 'f32') {
  const size = shape.reduce((a, b) => a * b, 1);
  const r = random(size + shape.length);
  if (dtype === 'f32') return r.normal(size);
  return dtype === 'u32' ? r.integers(size, 0, 3) : Uint8Array.from(r.integers(size, 0, 256));
}
export const aVariable = (shape: number[], dtype: 'f32' | 'u32' | 'u8' = 'f32'): Arg =>
  leaf(`${dtype} variable [${shape.join(', ')}]`, () =>
    variable(shape, { name: 'v', dtype, initial: elementsOf(shape, dtype) }),
  );
/** Rows to measure: { data, shape }. */
export const rows = (N: number, D: number, seed = 0): Arg =>
  object({ data: leaf(`Float32Array(${N * D})`, () => random(seed + N * D).normal(N * D)), shape: [N, D] });
export const labels = (N: number, classes = 3): Arg =>
  leaf(`Uint32Array(${N})`, () => Uint32Array.from({ length: N }, (_, i) => i % classes));
export const fn = (text: string, f: (...args: never[]) => unknown): Arg => leaf(text, () => f);

/** In one line. */
export function show(arg: Arg): string {
  if (arg.kind === 'leaf') return arg.text;
  if (arg.kind === 'list') return `[${arg.items.map(show).join(', ')}]`;
  return `{ ${Object.entries(arg.fields)
    .map(([name, x]) => `${/^\w+$/.test(name) ? name : JSON.stringify(name)}: ${show(x)}`)
    .join(', ')} }`;
}

export function make(arg: Arg): unknown {
  if (arg.kind === 'leaf') return arg.make();
  if (arg.kind === 'list') return arg.items.map(make);
  return Object.fromEntries(Object.entries(arg.fields).map(([name, x]) => [name, make(x)]));
}

/** How many places there are to change: itself, and all in it. */
const places = (arg: Arg): number =>
  1 +
  (arg.kind === 'leaf'
    ? 0
    : (arg.kind === 'list' ? arg.items : Object.values(arg.fields)).reduce((n, x) => n + places(x), 0));

/** With something else in one place, counted from the outermost. */
function replaced(arg: Arg, at: number, by: Arg): Arg {
  if (at === 0) return by;
  let left = at - 1;
  const within = (x: Arg): Arg => {
    const size = places(x);
    const here = left >= 0 && left < size;
    const changed = here ? replaced(x, left, by) : x;
    left -= size;
    return changed;
  };
  if (arg.kind === 'list') return { ...arg, items: arg.items.map(within) };
  if (arg.kind === 'object')
    return {
      ...arg,
      fields: Object.fromEntries(Object.entries(arg.fields).map(([name, x]) => [name, within(x)])),
    };
  return arg;
}

/** A change to a call: a place, and which of the hostile values to put there. */
export interface Change {
  at: number;
  by: number;
}

/** A call with hostile values in some places; one past the last place is an argument more, two past it one less. */
export function changed(args: readonly Arg[], changes: readonly Change[]): readonly Arg[] {
  let call = args;
  for (const { at, by } of changes) call = withChange(call, at, HOSTILE[by % HOSTILE.length]);
  return call;
}

function withChange(call: readonly Arg[], at: number, hostile: Arg): readonly Arg[] {
  const count = call.reduce((n, arg) => n + places(arg), 0);
  let place = at % (count + 3);
  if (place === count) return [...call, hostile];
  if (place === count + 1) return call.slice(0, -1);
  if (place === count + 2) return withOdd(call, hostile);
  return call.map((arg) => {
    const size = places(arg);
    const here = place >= 0 && place < size;
    const result = here ? replaced(arg, place, hostile) : arg;
    place -= size;
    return result;
  });
}

/** Adds an unknown option to the last object, or to a new object if there is none. */
function withOdd(call: readonly Arg[], hostile: Arg): readonly Arg[] {
  const last = call.at(-1);
  if (last?.kind !== 'object') return [...call, object({ oddOption: hostile })];
  return [...call.slice(0, -1), { ...last, fields: { ...last.fields, oddOption: hostile } }];
}

const literals: unknown[] = [
  ...[null, undefined, true, false, -1, 0, -0, 0.5, 1.5, 3, 7, Number.NaN, Infinity, -Infinity],
  ...[2 ** 31, 2 ** 32, 2 ** 53, 1e15, 1e300, 5e-324, -1e9],
  ...['', 'abc', '0', '3', '__proto__', 'constructor', 'toString', 'same', 'relu', 'none', 'two\nlines'],
  ...[
    [],
    [0],
    [-1, 5],
    [5, 0],
    [2, 3],
    [1.5, 2],
    [Number.NaN],
    [null],
    ['2', 3],
    [[2, 3]],
    [2 ** 31, 2 ** 31],
    [1e308, 1e308],
  ],
  ...[
    [-1, -1],
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  ],
];
const never = (what: string) => {
  throw new CallersOwn(what);
};

/**
 * Values that a caller should not give, or not there. Not among them, since nobody has them by mistake and a check would
 * cost every user: arrays whose buffer was sent away, and objects with the prototype of a class and nothing in them.
 */
export const HOSTILE: readonly Arg[] = [
  ...literals.map(value),
  leaf('10n', () => 10n),
  leaf('Symbol()', () => Symbol('s')),
  leaf('[Symbol()]', () => [Symbol('s')]),
  leaf('a string of 5,000', () => 'x'.repeat(5000)),
  leaf('new Array(5)', () => new Array(5)),
  leaf('1,000 ones', () => new Array(1000).fill(1)),
  leaf('{}', () => ({})),
  leaf('Object.create(null)', () => Object.create(null)),
  leaf('[Object.create(null)]', () => [Object.create(null)]),
  leaf('{ length: 5 }', () => ({ length: 5 })),
  leaf('{ length: -1 }', () => ({ length: -1 })),
  leaf('{ length: 1e15 }', () => ({ length: 1e15 })),
  leaf('{ shape: [2, 2] }', () => ({ shape: [2, 2] })),
  leaf('{ shape: [2, 2], data: null }', () => ({ shape: [2, 2], data: null })),
  leaf('{ shape: [2, 2], data: Float32Array(3) }', () => ({ shape: [2, 2], data: new Float32Array(3) })),
  leaf('{ shape: [-1, 5], data: Float32Array(5) }', () => ({ shape: [-1, 5], data: new Float32Array(5) })),
  leaf('{ shape: [2, 2], dtype: "f32" }', () => ({ shape: [2, 2], dtype: 'f32' })),
  leaf('Object.create({ shape: [2, 2] })', () => Object.create({ shape: [2, 2], data: new Float32Array(4) })),
  leaf('JSON with __proto__', () => JSON.parse('{"__proto__": {"k": 1}}')),
  leaf('() => 1', () => () => 1),
  leaf('() => null', () => () => null),
  leaf('async () => 1', () => async () => 1),
  leaf('() => { throw }', () => () => never('thrown by the caller')),
  leaf('(x) => x', () => (x: unknown) => x),
  leaf('class {}', () => class {}),
  leaf('new Date()', () => new Date(0)),
  leaf('/x/', () => /x/),
  leaf('new Map()', () => new Map()),
  leaf('new Set([1])', () => new Set([1])),
  leaf('a rejected promise', () => {
    const promise = Promise.reject(new CallersOwn('rejected by the caller'));
    promise.catch(() => {});
    return promise;
  }),
  leaf('Float32Array(0)', () => new Float32Array(0)),
  leaf('Float32Array(6)', () => new Float32Array(6)),
  leaf('Float32Array of NaN', () => new Float32Array(6).fill(Number.NaN)),
  leaf('Uint8Array(6)', () => new Uint8Array(6)),
  leaf('Uint32Array of 2^32 - 1', () => new Uint32Array(6).fill(2 ** 32 - 1)),
  leaf('Float64Array(6)', () => new Float64Array(6)),
  leaf('BigInt64Array(6)', () => new BigInt64Array(6)),
  leaf('a shared Float32Array(6)', () => new Float32Array(new SharedArrayBuffer(24))),
  leaf('new ArrayBuffer(8)', () => new ArrayBuffer(8)),
  leaf('new DataView', () => new DataView(new ArrayBuffer(8))),
  tensor([]),
  tensor([1]),
  tensor([7]),
  tensor([2, 3]),
  tensor([5, 1]),
  tensor([2, 3, 4]),
  tensor([2, 3, 2, 2]),
  tensor([3], 'u32'),
  tensor([2, 3], 'u32'),
  tensor([4], 'u8'),
  leaf('f32 of NaN [2, 3]', () => constant(Number.NaN, [2, 3])),
  leaf('f32 [65536, 65536]', () => constant(1, [65_536, 65_536])),
  leaf('scalar()', () => scalar()),
  leaf("scalar('u32')", () => scalar('u32')),
  leaf('input([2, 3])', () => input([2, 3])),
  aVariable([2, 3]),
  aVariable([4]),
  rows(4, 3),
];

/** One change, or a few. */
export const changes: fc.Arbitrary<Change[]> = fc.oneof(
  { weight: 3, arbitrary: fc.array(change(), { minLength: 1, maxLength: 1 }) },
  { weight: 1, arbitrary: fc.array(change(), { minLength: 2, maxLength: 4 }) },
);
function change(): fc.Arbitrary<Change> {
  return fc.record({ at: fc.nat(63), by: fc.nat(HOSTILE.length - 1) });
}
