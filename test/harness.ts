// What every test file imports, and the runner behind it: the same code in Deno and in a browser page.
import type { Device } from '../src/gpu/device.ts';

export interface TestOptions {
  /** Milliseconds; a test that takes longer fails. */
  timeout?: number;
  /** Run in this runtime only. */
  only?: 'deno' | 'chromium';
  /** Run where this holds only, as on devices with a feature; `false` leaves the test out. */
  where?: boolean;
  /** Left out of a `--quick` run; its default timeout is 5 minutes. */
  slow?: boolean;
  /**
   * For a test of a method (test/methods) that trains or samples for many steps, of ops that have tests of their own:
   * in a browser, where that takes longest, it is left to `npm run test:methods`.
   */
  training?: boolean;
}

/** A test file: `load` imports it, which registers its tests. */
export interface TestFile {
  name: string;
  load: () => Promise<unknown>;
}

export interface Counts {
  passed: number;
  failed: number;
}

/** What the host of a run gets: counts so far, the test that runs now, and when it should be over. */
export interface Progress extends Counts {
  done: boolean;
  running?: string;
  until?: number;
}

export interface Host {
  say: (line: string) => void;
  progress: (state: Progress) => void;
  /** Notes an entry point whose pipeline a test has built, and says whether any has; tests of one runtime may run in several pages. */
  built?: (entry: string) => void;
  isBuilt?: (entry: string) => Promise<boolean>;
  /** HYPERSPHERE_TEST_SEED, where given. */
  seed?: string;
  quick?: boolean;
  /** Of the tests with `training`: none of them, or nothing else. Default: they are tests like others. */
  trainings?: 'none' | 'only';
}

type UvuRun = () => Promise<[string | true, number, number, number]>;
const shared = globalThis as typeof globalThis & {
  UVU_DEFER?: boolean;
  UVU_QUEUE?: UvuRun[][];
  process?: { stdout?: { write: (text: string) => boolean } };
};

const runtime = 'Deno' in globalThis ? 'deno' : 'chromium';
const now = () => performance.now();

// uvu runs by itself and prints its own marks by default; it takes its writer when it loads.
shared.UVU_DEFER = true;
shared.UVU_QUEUE = [[]];
const { log } = console;
console.log = () => {};
if (shared.process?.stdout) shared.process.stdout.write = () => true;
const uvu = await import('uvu');
console.log = log;

// ---- the state of a run ----

let suite = uvu.suite();
let host: Host = { say: log, progress: () => {} };
let file = '';
let current = ''; // file > test
let seedsAsked = 0;
let baseSeed = 0;
let listing = false; // test files are loaded for what they export
let left = 0; // tests left out: of another runtime or device, slow, or trainings
const strays: unknown[] = []; // errors that no test could catch
const counts: Counts = { passed: 0, failed: 0 };

/** Registers a test. It fails when it throws, takes too long, or the shared device reports an error meanwhile. */
export function test(name: string, body: () => unknown, options: TestOptions = {}): void {
  if (listing) return;
  const { only, where = true, slow = false, training = false, timeout = slow ? 300_000 : 60_000 } = options;
  const asked = host.trainings === undefined || training === (host.trainings === 'only');
  if ((only && only !== runtime) || !where || (slow && host.quick) || !asked) {
    left++;
    return;
  }
  suite(name, async () => {
    current = `${file} > ${name}`;
    seedsAsked = 0;
    host.progress({ ...counts, done: false, running: current, until: Date.now() + timeout });
    try {
      await guarded(body, timeout);
    } catch (error) {
      host.say(describe(error));
      throw new Error('already reported'); // uvu only has to count it; it formats whole arrays otherwise
    }
  });
}

/** Loads test files for what they export: none of their tests is registered. */
export async function withoutTests<T>(load: () => Promise<T>): Promise<T> {
  listing = true;
  try {
    return await load();
  } finally {
    listing = false;
  }
}

/** Runs a test body under its timeout and the device's error scopes. */
async function guarded(body: () => unknown, timeout: number): Promise<void> {
  strays.length = 0;
  openScopes();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimedOut(`took longer than ${timeout / 1000} s`)), timeout);
  });
  let failure: unknown;
  try {
    await Promise.race([Promise.resolve().then(body), late]);
  } catch (error) {
    failure = error;
  } finally {
    clearTimeout(timer);
  }
  // A body that timed out is still busy: it keeps its device, and the next test gets a new one.
  if (failure instanceof TimedOut) forgetDevice();
  const errors = await closeScopes();
  if (failure) throw withNote(failure, errors);
  if (errors.length) throw new Plain(errors.join('\n'));
  if (strays.length) throw strays[0];
}

/** An error without a useful stack. */
class Plain extends Error {}
class TimedOut extends Plain {}

function withNote(error: unknown, notes: string[]): unknown {
  if (error instanceof Error && notes.length) error.message += `\n(and ${notes.join('\n')})`;
  return error;
}

/** One block for one failure, with the lines of the stack that are in the tests or the engine. */
function describe(error: unknown): string {
  const { message, details, stack } = (
    error instanceof Error ? error : { message: String(error) }
  ) as Error & {
    details?: string;
  };
  const lines = [`FAIL ${current}`, ...clip(message).split('\n')];
  // uvu's assertions bring a comparison of the two values.
  if (details) lines.push(...clip(details).split('\n'));
  const frames =
    error instanceof Plain ? [] : (stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  lines.push(...frames.map((line) => line.trim()).filter((line) => !ours.test(line)));
  if (seedsAsked) lines.push(`fresh inputs: HYPERSPHERE_TEST_SEED=${baseSeed} repeats them`);
  return lines.join('\n     ');
}

/** Stack lines of this runner; a browser's are known only once the host has mapped them. */
const ours = /test\/(harness|run)\.ts|node_modules\/uvu/;
const colours = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g');

function clip(text: string): string {
  const plain = text.replace(colours, '').trimEnd();
  return plain.length > 4000 ? `${plain.slice(0, 4000)} ...` : plain;
}

/** Loads and runs the files one after the other, as they come; an error while loading one fails that one. */
export async function runFiles(
  files: Iterable<TestFile> | AsyncIterable<TestFile>,
  by: Host,
): Promise<Counts> {
  host = by;
  baseSeed = host.seed ? Number(host.seed) >>> 0 : Date.now() >>> 0;
  listenForStrays();
  for await (const each of files) await runFile(each);
  host.progress({ ...counts, done: true });
  return counts;
}

async function runFile({ name, load }: TestFile): Promise<void> {
  const start = now();
  file = name;
  current = name;
  seedsAsked = 0;
  left = 0;
  suite = uvu.suite();
  let [total, passed] = [1, 0];
  try {
    host.progress({ ...counts, done: false, running: name, until: Date.now() + 120_000 });
    await load();
    suite.run();
    const [run] = shared.UVU_QUEUE![0].splice(0);
    [, passed, , total] = await run();
  } catch (error) {
    host.say(describe(error));
  }
  counts.passed += passed;
  counts.failed += total - passed;
  const time = `${Math.round(now() - start)} ms`;
  const note = left ? `, ${left} not run here` : '';
  host.say(`${passed === total ? 'ok  ' : 'FAIL'} ${name.padEnd(40)} ${passed} of ${total}${note}, ${time}`);
  host.progress({ ...counts, done: false });
}

/** An uncaught error fails the test that runs at the time, not the whole run. */
function listenForStrays(): void {
  const take = (event: Event, error: unknown) => {
    event.preventDefault();
    strays.push(error);
  };
  globalThis.addEventListener('unhandledrejection', (event) => take(event, event.reason));
  globalThis.addEventListener('error', (event) => take(event, event.error ?? event.message));
}

// ---- the device ----

const FILTERS = ['validation', 'internal', 'out-of-memory'] as const;
let opening: Promise<Device> | undefined;
let opened: Device | undefined;
let scoped: GPUDevice | undefined; // the device that has this test's scopes on it

/** The device that the tests share. */
export function device(): Promise<Device> {
  opening ??= openShared();
  return opening;
}

const built = new Set<string>();
const noteBuilt = (entry: string) => void built.add(entry);

/** Whether a test of this run has built a pipeline of an entry point of the library on this runtime's device. */
export const isBuilt = async (entry: string): Promise<boolean> =>
  host.isBuilt ? host.isBuilt(entry) : built.has(entry);

async function openShared(): Promise<Device> {
  const { openDevice } = await import('../src/gpu/device.ts');
  const { targetOf } = await import('../src/runtime/software.ts');
  const made = await openDevice();
  // Plans that tests make by themselves are those of `compile`.
  await targetOf(made);
  const { get } = made.pipelines;
  made.pipelines.get = async (key) => {
    const pipeline = await get(key);
    (host.built ?? noteBuilt)(key.entry);
    return pipeline;
  };
  opened = made;
  made.gpu.lost.then(({ reason, message }) => {
    if (opened === made) forgetDevice();
    if (reason !== 'destroyed') strays.push(new Error(`the shared device was lost: ${message}`));
  });
  openScopes();
  return made;
}

function forgetDevice(): void {
  opening = undefined;
  opened = undefined;
}

function openScopes(): void {
  if (scoped && scoped === opened?.gpu) return; // Opened while the file was loaded.
  scoped = opened?.gpu;
  for (const filter of FILTERS) scoped?.pushErrorScope(filter);
}

/** What the device had to complain about since openScopes. */
async function closeScopes(): Promise<string[]> {
  const gpu = scoped;
  scoped = undefined;
  if (!gpu) return [];
  const pop = () => gpu.popErrorScope().catch((error: unknown) => error as Error);
  const found = await Promise.all(FILTERS.map(pop));
  return found.flatMap((error) => (error ? [`${error.constructor.name}: ${error.message}`] : []));
}

// ---- comparing ----

export interface Tolerance {
  rel?: number;
  abs?: number;
  what?: string;
}

/** |actual - expected| <= abs + rel * max |expected|, for every number; NaN and infinities must agree exactly. */
export function close(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance = {},
): void {
  const { rel = 1e-4, abs = 1e-6, what = 'values' } = tolerance;
  if (actual.length !== expected.length)
    throw new Error(`${what}: expected ${expected.length} numbers, got ${actual.length}`);
  const limit = abs + rel * largest(expected);
  const wrong: number[] = [];
  let worst = -1;
  for (let i = 0; i < expected.length; i++) {
    const distance = apart(actual[i], expected[i]);
    if (distance <= limit) continue;
    wrong.push(i);
    if (worst < 0 || distance > apart(actual[worst], expected[worst])) worst = i;
  }
  if (!wrong.length) return;
  const at = (i: number) => `[${i}] is ${actual[i]}, expected ${expected[i]}`;
  const places =
    worst === wrong[0] ? `first and worst ${at(worst)}` : `first ${at(wrong[0])}; worst ${at(worst)}`;
  throw new Error(
    `${what}: ${wrong.length} of ${expected.length} differ by more than ${limit.toPrecision(3)}; ` +
      `${places}, off by ${apart(actual[worst], expected[worst]).toPrecision(3)}`,
  );
}

function largest(values: ArrayLike<number>): number {
  let found = 0;
  for (let i = 0; i < values.length; i++)
    if (Number.isFinite(values[i])) found = Math.max(found, Math.abs(values[i]));
  return found;
}

function apart(a: number, e: number): number {
  if (Object.is(a, e) || a === e) return 0;
  return Number.isFinite(a) && Number.isFinite(e) ? Math.abs(a - e) : Infinity;
}

/** Expects an error whose message matches; returns a promise where `body` does. */
export function throws(body: () => Promise<unknown>, pattern: RegExp): Promise<void>;
export function throws(body: () => unknown, pattern: RegExp): void;
export function throws(body: () => unknown, pattern: RegExp): Promise<void> | void {
  const accept = (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    if (!pattern.test(message)) throw new Error(`expected an error like ${pattern}, got: ${message}`);
  };
  const refuse = () => {
    throw new Error(`expected an error like ${pattern}, got none`);
  };
  let result: unknown;
  try {
    result = body();
  } catch (error) {
    accept(error);
    return;
  }
  if (result instanceof Promise) return result.then(refuse, accept);
  refuse();
}

// ---- inputs ----

/** A seed from the clock, another one at each call; HYPERSPHERE_TEST_SEED fixes it. Printed when the test fails. */
export function freshSeed(): number {
  const text = `${current} ${seedsAsked++}`;
  let hash = baseSeed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

/** Seeded random arrays (mulberry32). */
export function random(seed: number) {
  let state = seed >>> 0;
  /** In [0, 1). */
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const gauss = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return {
    next,
    uniform: (n: number, lo = 0, hi = 1) => new Float32Array(n).map(() => lo + (hi - lo) * next()),
    normal: (n: number) => new Float32Array(n).map(gauss),
    /** lo <= i < hi */
    integers: (n: number, lo: number, hi: number) =>
      new Uint32Array(n).map(() => lo + Math.floor((hi - lo) * next())),
  };
}

/** A file of the repository, by its path from the root. */
export async function readAsset(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const base = runtime === 'deno' ? new URL('../', import.meta.url) : new URL('/', globalThis.location.href);
  const response = await fetch(new URL(path, base));
  if (!response.ok) throw new Error(`cannot read ${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
