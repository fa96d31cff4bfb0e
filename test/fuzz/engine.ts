// What a fuzz run is made of: properties, what counts as a failure, and how a property is run on many inputs.
import fc from 'fast-check';
import { HypersphereError } from '../../src/gpu/errors.ts';

/** Something that must hold for every input of a kind. */
// biome-ignore lint/suspicious/noExplicitAny: each property knows its own inputs
export interface Property<T = any> {
  name: string;
  /** Its share of the inputs of its group. */
  share: number;
  make: fc.Arbitrary<T>;
  /** Throws `Wrong` for a failure; says whether the input was taken or refused, where that is a question. */
  check: (input: T) => Outcome | Promise<Outcome>;
  /** An input in one line, for a report. */
  show: (input: T) => string;
  /** What an input is about, where a run should leave the rest of it alone once it hung. */
  key?: (input: T) => string;
  /** At most this many inputs, where each takes long. */
  most?: number;
}

export type Outcome = 'taken' | 'refused';

/** A failure. Two with the same `what` are one and the same. */
export class Wrong extends Error {
  readonly what: string;
  constructor(what: string, detail = '') {
    super(detail ? `${what}: ${detail}` : what);
    this.what = what;
  }
}

/** Thrown by functions that a test hands in: a caller's own error may pass through. */
export class CallersOwn extends Error {}

/** A message without what differs from input to input. */
const general = (message: string) =>
  message
    .split('\n')[0]
    .replace(/"(?:[^"\\]|\\.)*"/g, '"…"')
    .replace(/-?\d[\d,.]*(e[+-]?\d+)?/g, '#')
    .replace(/(#, )+#/g, '#')
    .slice(0, 120);

/** The first line of a stack that is in the library, but for what only throws. */
const placeOf = ({ stack = '' }: Error) => {
  const places = stack.match(/src\/[\w/]+\.ts:\d+/g) ?? [];
  return places.find((place) => !/(graph\/tensor|check)\.ts/.test(place)) ?? places[0] ?? '';
};

/**
 * Runs what may refuse its input, and fails for every error but a typed one of one clear line.
 * @param names the message must match it
 */
export async function attempt<T>(
  body: () => T | Promise<T>,
  names = /./,
): Promise<{ value: T; refused?: undefined } | { value?: undefined; refused: Error }> {
  let value: T | Promise<T>;
  try {
    value = body();
    if (value instanceof Promise) value = await value;
  } catch (error) {
    return { refused: checkError(error, names) };
  }
  return { value };
}

/** Fails for every error but a typed one of one clear line. */
export function checkError(error: unknown, names = /./): Error {
  if (error instanceof CallersOwn) return error;
  if (error instanceof Wrong) throw error;
  if (!(error instanceof Error)) throw new Wrong(`throws ${typeof error}`, String(error).slice(0, 200));
  const { message } = error;
  if (!(error instanceof HypersphereError))
    throw new Wrong(
      `${error.constructor.name}: ${general(message)} [${placeOf(error)}]`,
      message.slice(0, 300),
    );
  if (/[\n\r]/.test(message))
    throw new Wrong(`a message of several lines [${placeOf(error)}]`, JSON.stringify(message).slice(0, 300));
  if (message.length > 2000)
    throw new Wrong(`a message of more than 2,000 characters [${placeOf(error)}]`, message.slice(0, 300));
  if (/internal|\[object |reading '|is not a function|is not iterable/.test(message))
    throw new Wrong(`an unclear message [${placeOf(error)}]`, message.slice(0, 300));
  if (!names.test(message))
    throw new Wrong(`a message that names nothing [${placeOf(error)}]`, message.slice(0, 300));
  return error;
}

/** Inputs are made in blocks of this many, each with a seed of its own: any one of them can be made again. */
export const BLOCK = 50;

/** The seed of a block. */
export function seedOf(seed: number, name: string, block: number): number {
  let hash = seed ^ Math.imul(block + 1, 0x9e3779b1);
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) | 0;
}

/** The inputs of a block. */
export const inputsOf = <T>({ make, name }: Property<T>, seed: number, block: number): T[] =>
  fc.sample(make, { seed: seedOf(seed, name, block), numRuns: BLOCK });

/** A failure, and the first input that showed it. */
export interface Failure {
  property: string;
  what: string;
  detail: string;
  input: string;
  seed: number;
  block: number;
  index: number;
  times: number;
}

export interface Tally {
  inputs: number;
  taken: number;
  refused: number;
  seconds: number;
  /** The longest that one input took. */
  slowest: number;
  failures: Failure[];
}

export const emptyTally = (): Tally => ({
  inputs: 0,
  taken: 0,
  refused: 0,
  seconds: 0,
  slowest: 0,
  failures: [],
});

/** Where a run of a property starts, what it skips, and its callbacks. */
export interface RunOptions {
  seed: number;
  count: number;
  /** The first input, counted over all blocks. Default 0. */
  from?: number;
  /** Keys of inputs that are left out. */
  skip?: ReadonlySet<string>;
  /** Told before each input. */
  onInput?: (at: number) => void;
  /** Told after each input. */
  onDone?: (at: number) => void | Promise<void>;
  /** Told of each failure of a new kind. */
  onFailure?: (failure: Failure) => void;
  /** Milliseconds of performance.now() at which it stops. */
  until?: number;
}

/** Runs a property on `count` inputs, and continues after failures. */
export async function runProperty<T>(
  property: Property<T>,
  { seed, count, from = 0, skip, onInput, onDone, onFailure, until = Number.POSITIVE_INFINITY }: RunOptions,
): Promise<Tally> {
  const tally = emptyTally();
  const found = new Map<string, Failure>();
  const begun = performance.now();
  let inputs: T[] = [];
  for (let at = from; at < count; at++) {
    if (performance.now() > until) break;
    const [block, index] = [Math.floor(at / BLOCK), at % BLOCK];
    if (!index || !inputs.length) inputs = inputsOf(property, seed, block);
    const input = inputs[index];
    if (skip?.has(property.key?.(input) ?? property.name)) continue;
    onInput?.(at);
    const started = performance.now();
    try {
      tally[await property.check(input)]++;
    } catch (error) {
      const { what, message } = error instanceof Wrong ? error : wrongOf(error);
      const known = found.get(what);
      if (known) known.times++;
      else {
        const where = { property: property.name, seed, block, index };
        const failure = { ...where, what, detail: message, input: property.show(input), times: 1 };
        found.set(what, failure);
        onFailure?.(failure);
      }
    }
    tally.slowest = Math.max(tally.slowest, performance.now() - started);
    tally.inputs++;
    await onDone?.(at);
  }
  tally.seconds = (performance.now() - begun) / 1000;
  tally.failures = [...found.values()];
  return tally;
}

/** An error of the test itself. */
const wrongOf = (error: unknown) =>
  new Wrong(`the test fails: ${general(String(error))}`, (error as Error)?.stack?.slice(0, 1000));

/** Looks for a smaller input that fails in the same way. */
export async function shrink<T>(property: Property<T>, failure: Failure): Promise<Failure> {
  const same = async (input: T) => {
    try {
      await property.check(input);
    } catch (error) {
      return (error instanceof Wrong ? error : wrongOf(error)).what !== failure.what;
    }
    return true;
  };
  const { counterexample } = await fc.check(fc.asyncProperty(property.make, same), {
    seed: seedOf(failure.seed, property.name, failure.block),
    path: String(failure.index),
    numRuns: 1,
    interruptAfterTimeLimit: 2000,
    maxSkipsPerRun: 0,
  });
  return counterexample ? { ...failure, input: property.show(counterexample[0]) } : failure;
}
