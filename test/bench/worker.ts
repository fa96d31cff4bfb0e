// Runs one task in this process or page, and reports to the server that gave it.
// Deno: deno run -A test/bench/worker.ts URL. A page imports the bundle.
import { median } from 'simple-statistics';
import { compare } from './compare.ts';
import { open as openOurs, type Tuning } from './engines/hypersphere.ts';
import { open } from './engines/open.ts';
import type { Report, Task } from './protocol.ts';
import { installWatch } from './watch.ts';
import { inputsOf, nextEven, type Series, series, works } from './works.ts';

const base = 'Deno' in globalThis ? Deno.args[0] : globalThis.location.href;
const report = async (message: Report): Promise<void> => {
  await fetch(new URL('/report', base), { method: 'POST', body: JSON.stringify(message) });
};

async function describeAdapter(): Promise<void> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error(navigator.gpu ? 'no WebGPU adapter' : 'no WebGPU');
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const words = [vendor, architecture, device, description].filter((word) => word && word !== '0');
  const name = [...new Set(words)].join(' ');
  const software = isFallbackAdapter === true || /llvmpipe|swiftshader/i.test(name);
  await report({ type: 'adapter', adapter: { description: name, software } });
}

/** From the call that compiles to the first loss; the library is loaded, its device open, its inputs uploaded. */
async function first({ work: name, engine, effort }: Extract<Task, { kind: 'first' }>): Promise<void> {
  const work = works.find((one) => one.name === name)!;
  const inputs = inputsOf(work);
  await report({ type: 'busy', what: 'first step', engine, limit: effort.limit });
  const untuned: Tuning = { tune: false };
  const opened = engine === 'hypersphere' ? await openOurs(untuned) : await open[engine]();
  const contender = await opened.contender(work, inputs);
  const start = performance.now();
  await contender.steps(1);
  await report({ type: 'first', ms: performance.now() - start });
}

/** Milliseconds of a step from which on one is enough. */
const LONG = 10_000;

async function scaling({ series: name, effort }: Extract<Task, { kind: 'scaling' }>): Promise<void> {
  const one = series.find((one) => one.name === name)!;
  if (one.odd) return odd(one, effort.limit);
  const { sizes, work: workOf } = one;
  const engine = 'hypersphere' as const;
  const opened = await openOurs();
  for (const size of sizes) {
    await report({ type: 'busy', what: `${name} ${size}`, engine, limit: 2 * effort.limit });
    const work = workOf(size);
    const contender = await opened.contender(work, inputsOf(work));
    const time = async (steps: number) => {
      const start = performance.now();
      await contender.steps(steps);
      return (performance.now() - start) / steps;
    };
    // The first step compiles, which is a small part of a minute.
    const first = await time(1);
    const once = first > 4 * LONG ? first : await time(1);
    // Enough steps that the wait at their end counts little.
    const steps = Math.min(64, Math.ceil(300 / once));
    const runs: number[] = [];
    while (once <= LONG && runs.length < 3) runs.push(await time(steps));
    await report({ type: 'point', size, ms: runs.length ? median(runs) : once });
  }
}

/** Odd sizes and the next multiples of 32, interleaved: the least sample of each. */
async function odd({ name, sizes, work }: Series, limit: number): Promise<void> {
  const engine = 'hypersphere' as const;
  const opened = await openOurs();
  for (const size of sizes) {
    await report({ type: 'busy', what: `${name} ${size}`, engine, limit: 2 * limit });
    const both: Awaited<ReturnType<typeof opened.contender>>[] = [];
    for (const one of [size, nextEven(size)].map(work)) {
      const contender = await opened.contender(one, inputsOf(one));
      for (let i = 0; i < 3; i++) await contender.steps(1);
      both.push(contender);
    }
    const time = async (i: number, steps: number) => {
      const start = performance.now();
      await both[i].steps(steps);
      return (performance.now() - start) / steps;
    };
    const steps = Math.min(256, Math.ceil(100 / (await time(1, 4))));
    const least = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let round = 0; round < 7; round++)
      for (const i of [0, 1]) least[i] = Math.min(least[i], await time(i, steps));
    await report({ type: 'point', size, ms: least[0], nextMs: least[1] });
  }
}

async function main(): Promise<void> {
  const task: Task = await (await fetch(new URL('/task', base))).json();
  try {
    if (task.kind === 'adapter') await describeAdapter();
    else {
      installWatch();
      if (task.kind === 'compare') await compare(task, report);
      else if (task.kind === 'first') await first(task);
      else await scaling(task);
    }
    await report({ type: 'done' });
  } catch (error) {
    await report({ type: 'broken', reason: error instanceof Error ? error.message : String(error) });
  }
  if ('Deno' in globalThis) Deno.exit(0);
}

await main();
