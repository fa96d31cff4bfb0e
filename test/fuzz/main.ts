// npm run test:fuzz -- [PATTERN...] [--inputs N] [--seed N] [--minutes N] [--jobs N]: the fuzz suite at its full length.
import { parseArgs } from 'node:util';
import type { Answer, Held, Job } from './child.ts';
import { emptyTally, type Failure, type Tally } from './engine.ts';
import { checkSurface } from './exports.ts';
import { properties, shareOut } from './groups.ts';

/** The seed of every run; the other half of the inputs has one from the clock. */
const FIXED_SEED = 16;
/** Seconds that one input may take, and megabytes that the process may hold meanwhile. */
const [MOST_SECONDS, MOST_MEGABYTES] = [10, 3000];
/** Seconds until a process must be ready. */
const START_SECONDS = 120;
/** So many hangs or crashes of one function, and the rest of its inputs is left out. */
const ENOUGH = 2;
/**
 * What may be held more at the end than after a third of the inputs: bytes of heap and of the process; buffers on the
 * device and their bytes, since those that are read through are kept for the next time.
 */
const [HEAP_GROWTH, RSS_GROWTH, BUFFER_GROWTH, DEVICE_GROWTH] = [16e6, 200e6, 16, 1e6];

const flags = [
  'run',
  '-A',
  '--no-lock',
  '--node-modules-dir=manual',
  '--v8-flags=--expose-gc,--max-old-space-size=1500',
];

/** A process that does one job after the other. */
class Worker {
  #process = new Deno.Command(Deno.execPath(), {
    args: [...flags, new URL('./child.ts', import.meta.url).pathname],
    ...{ stdin: 'piped', stdout: 'piped', stderr: 'piped' },
  }).spawn();
  #writer = this.#process.stdin.getWriter();
  #lines = linesOf(this.#process.stdout);
  /** The input that it is busy with, and since when. */
  at = -1;
  since = performance.now();
  errors = '';
  ended = false;

  constructor() {
    this.#process.status.then(() => (this.ended = true));
    (async () => {
      for await (const line of linesOf(this.#process.stderr))
        this.errors = `${this.errors}${line}\n`.slice(-2000);
    })();
  }

  /** The next answer; null when the process ended, was too slow or too large. `said` then has the reason. */
  async next(seconds = MOST_SECONDS): Promise<Answer | null> {
    for (;;) {
      const line = await Promise.race([this.#lines.next(), this.#tooMuch(seconds)]);
      if (typeof line === 'string') {
        this.errors = line;
        return null;
      }
      if (line.done) {
        const { code, signal } = await this.#process.status;
        this.errors = `the process ended (${signal ?? `exit ${code}`}): ${this.errors.trim().split('\n').slice(-3).join(' | ')}`;
        return null;
      }
      if (!line.value.startsWith('i ')) {
        this.since = performance.now();
        return JSON.parse(line.value);
      }
      this.since = performance.now();
      this.at = Number(line.value.slice(2));
    }
  }

  /** Looks twice a second; ends with the reason when it finds one. */
  #tooMuch(seconds: number): Promise<string> {
    clearInterval(this.#watch);
    return new Promise((resolve) => {
      this.#watch = setInterval(() => {
        if (performance.now() - this.since > 1000 * seconds) resolve(`takes longer than ${seconds} s`);
        const megabytes = residentMegabytes(this.#process.pid);
        if (megabytes > MOST_MEGABYTES) resolve(`takes ${Math.round(megabytes)} MB`);
      }, 500);
    });
  }
  #watch: ReturnType<typeof setInterval> | undefined;

  send(job: Job): void {
    this.at = -1;
    this.since = performance.now();
    this.#writer.write(new TextEncoder().encode(`${JSON.stringify(job)}\n`)).catch(() => {});
  }

  end(): void {
    clearInterval(this.#watch);
    if (!this.ended) this.#process.kill('SIGKILL');
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop()!;
    yield* lines;
  }
}

/** The memory of a process, if the system reports it. */
function residentMegabytes(pid: number): number {
  try {
    return (Number(Deno.readTextFileSync(`/proc/${pid}/statm`).split(' ')[1]) * 4096) / 1e6;
  } catch {
    return 0;
  }
}

async function startWorker(): Promise<Worker> {
  const worker = new Worker();
  if (await worker.next(START_SECONDS)) return worker;
  throw new Error(`a test process does not start: ${worker.errors}`);
}

/** The result of one property with one seed. */
interface Result extends Tally {
  property: string;
  seed: number;
  asked: number;
  left: string[];
}

let idle: Worker | null = null;

async function runOne(property: string, seed: number, count: number, seconds: number): Promise<Result> {
  const until = performance.now() + 1000 * seconds;
  const result: Result = { ...emptyTally(), property, seed, asked: count, left: [] };
  const found = new Map<string, Failure>();
  const add = (failure: Failure) => {
    const known = found.get(failure.what);
    found.set(failure.what, { ...(known ?? failure), times: (known?.times ?? 0) + failure.times });
  };
  const troubles = new Map<string, number>();
  const skip: string[] = [];
  const job = (from: number, to: number): Job => ({
    ...{ property, seed, from, count: to, skip },
    seconds: Math.max(1, (until - performance.now()) / 1000),
  });
  let from = 0;
  while (from < count && performance.now() < until) {
    const worker = idle ?? (await startWorker());
    idle = null;
    worker.send(job(from, count));
    const partial: Failure[] = [];
    let answer = await worker.next();
    while (answer && 'failure' in answer) {
      partial.push(answer.failure);
      answer = await worker.next();
    }
    if (answer && 'tally' in answer) {
      const { tally, before, after } = answer;
      for (const name of ['inputs', 'taken', 'refused', 'seconds'] as const) result[name] += tally[name];
      result.slowest = Math.max(result.slowest, tally.slowest);
      const failures = new Map(tally.failures.map((failure) => [failure.what, failure]));
      let smaller = await worker.next();
      for (; smaller && 'smaller' in smaller; smaller = await worker.next())
        failures.set(smaller.smaller.what, smaller.smaller);
      for (const failure of failures.values()) add(failure);
      const growth = before && grown(before, after);
      if (growth)
        add({ ...failureAt(property, seed, count - 1), what: 'grows', detail: growth, input: 'all of them' });
      if (smaller) idle = worker;
      else worker.end();
      break;
    }
    // The process is stuck, too large or gone, with an input: is it that alone?
    const { at, errors } = worker;
    worker.end();
    for (const failure of partial) add(failure);
    if (at < 0) throw new Error(`${property}: a test process is lost: ${errors}`);
    result.inputs += at - from + 1;
    const second = await startWorker();
    second.send({ ...job(at, at + 1), describe: true });
    const described = (await second.next()) as { input: string; key: string } | null;
    const { input, key } = described ?? { input: '?', key: property };
    second.send(job(at, at + 1));
    let again = await second.next();
    while (again && !('done' in again)) again = await second.next();
    if (again) {
      result.left.push(`${input}: ${errors} among the others, not alone`);
      idle = second;
    } else {
      add({
        ...failureAt(property, seed, at),
        what: `${key}: ${kindOf(second.errors)}`,
        detail: second.errors,
        input,
      });
      second.end();
    }
    troubles.set(key, (troubles.get(key) ?? 0) + 1);
    if (troubles.get(key) === ENOUGH) {
      skip.push(key);
      result.left.push(`the other inputs of ${key} after ${ENOUGH} hangs or crashes`);
    }
    from = at + 1;
  }
  result.failures = [...found.values()];
  return result;
}

const kindOf = (errors: string) =>
  /longer/.test(errors) ? 'hangs' : / MB$/.test(errors) ? 'takes all memory' : 'crashes';
const failureAt = (property: string, seed: number, at: number) => ({
  property,
  seed,
  block: Math.floor(at / 50),
  index: at % 50,
  times: 1,
});

const line = (text: string, most: number) =>
  (text.length > most ? `${text.slice(0, most)}…` : text).replaceAll('\n', ' ');

/** What grew, in words. */
function grown(before: Held, after: Held): string {
  const grows = [
    ['heap', after.heap - before.heap, HEAP_GROWTH],
    ['process', after.rss - before.rss, RSS_GROWTH],
    ['device buffers', after.buffers - before.buffers, BUFFER_GROWTH],
    ['device bytes', after.deviceBytes - before.deviceBytes, DEVICE_GROWTH],
  ] as const;
  return grows
    .filter(([, by, most]) => by > most)
    .map(([what, by]) => `${what} by ${by.toLocaleString('en')}`)
    .join(', ');
}

/** Writes all failures to a file of their own, so that none is lost with the terminal. @returns its path */
function keep(results: readonly Result[]): string {
  const path = Deno.makeTempFileSync({ prefix: 'hypersphere-fuzz-failures-', suffix: '.json' });
  const failures = results.flatMap(({ failures }) => failures);
  Deno.writeTextFileSync(path, `${JSON.stringify(failures, null, 2)}\n`);
  return path;
}

async function main(args: string[]): Promise<number> {
  const text = { type: 'string' as const };
  const { values, positionals } = parseArgs({
    args,
    options: { inputs: text, seed: text, minutes: text },
    allowPositionals: true,
  });
  const number = (name: keyof typeof values, fallback: number) => {
    const given = values[name] === undefined ? fallback : Number(values[name]);
    if (!Number.isFinite(given) || given < 0)
      throw new Error(`--${name}: expected a number, got "${values[name]}"`);
    return given;
  };
  const total = number('inputs', 100_000);
  const deadline = performance.now() + 60_000 * number('minutes', 20);
  const fresh = crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
  const seeds = values.seed === undefined ? [FIXED_SEED, fresh] : [number('seed', 0)];
  checkSurface();
  const wanted = properties.filter(
    ({ name }) => !positionals.length || positionals.some((pattern) => name.includes(pattern)),
  );
  if (!wanted.length) throw new Error(`no property is called like ${positionals.join(', ')}`);
  const counts = shareOut(total / seeds.length);
  if (values.seed === undefined)
    console.log(`seeds ${FIXED_SEED} and ${fresh}: --seed ${fresh} repeats the second`);
  const started = performance.now();
  const results: Result[] = [];
  const jobs = wanted.flatMap(({ name }) => seeds.map((seed) => ({ name, seed })));
  console.log(`${'inputs'.padStart(58)}   taken  refused  seconds  slowest ms  failures`);
  for (const [i, { name, seed }] of jobs.entries()) {
    // A slow one leaves time for the others.
    const seconds = Math.max(5, (4 * (deadline - performance.now())) / 1000 / (jobs.length - i + 3));
    const result = await runOne(name, seed, counts.get(name)!, seconds);
    results.push(result);
    const { inputs, taken, refused, seconds: took, slowest, failures } = result;
    const times = failures.reduce((n, failure) => n + failure.times, 0);
    const cells = [inputs, taken, refused, took.toFixed(1), slowest.toFixed(0), times].map(String);
    const widths = [8, 8, 9, 9, 12, 10];
    console.log(name.padEnd(50) + cells.map((cell, i) => cell.padStart(widths[i])).join(''));
    for (const { what, detail, input, times } of failures)
      console.log(`  FAIL ${times} x ${what}\n       ${line(detail, 240)}\n       input ${line(input, 400)}`);
    if (failures.length)
      console.log(
        `       repeat: npm run test:fuzz -- "${name}" --seed ${seed} --inputs ${values.seed === undefined ? total / 2 : total}`,
      );
    for (const line of result.left) console.log(`  left out: ${line}`);
    if (inputs < result.asked && !result.left.length)
      console.log(`  stopped by the clock: ${inputs} of ${result.asked}`);
  }
  idle?.end();
  const sum = (of: (result: Result) => number) => results.reduce((n, each) => n + of(each), 0);
  const failed = sum(({ failures }) => failures.length);
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  if (failed) console.log(`failures, whole: ${keep(results)}`);
  console.log(
    `${sum(({ inputs }) => inputs).toLocaleString('en')} inputs in ${seconds} s, ${sum(({ failures }) => failures.reduce((n, { times }) => n + times, 0))} failures of ${failed} kinds`,
  );
  return failed ? 1 : 0;
}

try {
  Deno.exit(await main(Deno.args));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
