// The benchmark: npm run bench. build.mjs bundles this file for Node and runs it from the root of the project.
import { writeFileSync } from 'node:fs';
import { median } from 'simple-statistics';
import type { EngineName } from './engines/engine.ts';
import { pageOf } from './html.ts';
import { firstWorks, help, type Options, parse } from './options.ts';
import type { Adapter } from './protocol.ts';
import { emptyResult, type Growth, type Machine, type Result, type Results } from './results.ts';
import { chromium, chromiumOnGpu, coldCaches, deno, firefox, type Runtime } from './runtimes.ts';
import { exponent } from './statistics.ts';
import { formatMs, tableOf } from './table.ts';
import { bundleWorker, openTasks, type Tasks } from './tasks.ts';
import { HEADLINES, series, type Work, works } from './works.ts';

const ROOT = process.env.HYPERSPHERE_ROOT!;
const WORKER = `${ROOT}/node_modules/.cache/bench-worker.mjs`;
const say = (line: string) => console.error(line);

/** A runtime with an adapter, by the name that the results have. */
interface Target {
  name: string;
  runtime: Runtime;
  adapter: Adapter;
}

/** llvmpipe is what lavapipe's device calls itself. */
function nameOf({ prefix }: Runtime, { description }: Adapter): string {
  if (/swiftshader/i.test(description)) return 'swiftshader';
  return `${prefix}${/llvmpipe/i.test(description) ? 'lavapipe' : description}`;
}

/** How a reason begins that is no failure. */
const LEFT_OUT = 'left out, ';

/** Works of minutes. */
const LONG = ['ntxent-32768'];

/** Finds out which adapters there are; a runtime without one stays in the results with the reason. */
async function findTargets(tasks: Tasks, { adapters }: Options) {
  const { HYPERSPHERE_DENO, HYPERSPHERE_FIREFOX, PUPPETEER_EXECUTABLE_PATH } = process.env;
  const found: Target[] = [];
  const missing: { name: string; reason: string }[] = [];
  const look = async (runtime: Runtime, usual: string) => {
    const { reports, broken } = await tasks.run(runtime, { kind: 'adapter' });
    const report = reports.find((one) => one.type === 'adapter');
    if (!report) return missing.push({ name: usual, reason: broken?.reason ?? 'no adapter' });
    // Firefox does not name its adapter: it is Deno's, since both are wgpu on the same drivers.
    const adapter = report.adapter.description ? report.adapter : (found[0]?.adapter ?? report.adapter);
    found.push({ name: nameOf(runtime, adapter), runtime, adapter });
  };
  const wants = (name: string) => !adapters || adapters.includes(name) || adapters.includes('gpu');
  await look(deno(HYPERSPHERE_DENO!, WORKER), 'lavapipe');
  if (wants('swiftshader')) await look(chromium(PUPPETEER_EXECUTABLE_PATH!), 'swiftshader');
  // Chromium is asked for a GPU only if Deno has found one; otherwise it would take a software adapter.
  if (found[0] && !found[0].adapter.software && wants('gpu'))
    await look(chromiumOnGpu(PUPPETEER_EXECUTABLE_PATH!), 'chromium-gpu');
  if (wants('firefox-lavapipe')) {
    if (HYPERSPHERE_FIREFOX) await look(firefox(HYPERSPHERE_FIREFOX), 'firefox-lavapipe');
    else missing.push({ name: 'firefox-lavapipe', reason: `${LEFT_OUT}Firefox is not installed` });
  }
  const asked = ({ name, adapter }: Target) =>
    !adapters || adapters.includes(adapter.software ? name : 'gpu');
  return {
    found: found.filter(asked),
    missing: missing.filter(({ name }) => !adapters || adapters.includes(name)),
  };
}

/** Why a rival is skipped: a smaller work of the same kind was so slow that this one would exceed the time limit. */
function hopeless({ kind, flops }: Work, before: readonly Result[], limit: number): string | undefined {
  for (const { work, ms, reason } of before) {
    const smaller = works.find(({ name }) => name === work)!;
    if (smaller.kind !== kind || smaller.flops >= flops) continue;
    if (reason?.includes('time limit')) return `${work} took longer than the time limit already`;
    const seconds = ((ms ?? 0) * flops) / smaller.flops / 1000;
    if (seconds > limit) return `time limit of ${limit} s: by ${work} it would take ${seconds.toFixed(0)} s`;
  }
}

/** All engines at one work. Whoever brings the process down is left out, and the others run again. */
async function compareAt(
  tasks: Tasks,
  target: Target,
  name: string,
  options: Options,
  before: readonly Result[],
): Promise<Result[]> {
  const work = works.find((one) => one.name === name)!;
  const reasons = new Map<EngineName, string>();
  const asked = options.engines ?? target.runtime.engines;
  const result = (engine: EngineName) => emptyResult(name, engine, target.name, reasons.get(engine));
  for (const engine of asked.filter((engine) => engine !== 'hypersphere')) {
    const own = before.filter((one) => one.engine === engine && one.adapter === target.name);
    const reason = hopeless(work, own, options.effort.limit);
    if (reason) reasons.set(engine, reason);
  }
  for (;;) {
    const engines = asked.filter((engine) => !reasons.has(engine));
    if (!engines.length) return asked.map(result);
    const { effort } = options;
    const { reports, broken } = await tasks.run(target.runtime, {
      kind: 'compare',
      work: name,
      engines,
      effort,
    });
    for (const report of reports) if (report.type === 'failed') reasons.set(report.engine, report.reason);
    if (broken) {
      for (const engine of broken.engine ? [broken.engine] : engines)
        if (!reasons.has(engine)) reasons.set(engine, broken.reason);
      continue;
    }
    const report = reports.find((one) => one.type === 'measured');
    return asked.map((engine) => {
      const one = report?.measured.find((measured) => measured.engine === engine);
      if (!one || !report) return result(engine);
      const { counts, runs, steps, jsMs, callsMs, peakBytes, fractionOfPeak, loss } = one;
      const ms = median(runs);
      return {
        ...emptyResult(name, engine, target.name),
        ...{ ms, ...counts, peakBytes, fractionOfPeak, jsMs, callsMs, loss, runs, steps },
        gflops: work.flops ? work.flops / ms / 1e6 : null,
        rate: work.items ? (1000 * work.items.count) / ms : null,
        unit: work.items?.unit ?? null,
        peakGflops: report.peak / 1e9,
        latencyMs: report.latency,
      };
    });
  }
}

async function firstStep(
  tasks: Tasks,
  { runtime }: Target,
  { work, engine }: Result,
  { effort }: Options,
): Promise<Pick<Result, 'firstMs' | 'firstReason'>> {
  const cold = coldCaches();
  const { reports, broken } = await tasks.run(runtime, { kind: 'first', work, engine, effort }, cold.env);
  cold.remove();
  const first = reports.find((one) => one.type === 'first');
  return first ? { firstMs: first.ms } : { firstMs: null, firstReason: broken?.reason ?? 'it ended' };
}

async function growth(tasks: Tasks, target: Target, name: string, { effort }: Options): Promise<Growth> {
  const { title, odd } = series.find((one) => one.name === name)!;
  const { reports, broken } = await tasks.run(target.runtime, { kind: 'scaling', series: name, effort });
  const points = reports
    .flatMap((one) => (one.type === 'point' ? [one] : []))
    .map(({ size, ms, nextMs }) => ({ size, ms, ...(nextMs !== undefined && { nextMs }) }));
  const fit = (some: typeof points) => exponent(some.map(({ size, ms }) => [size, ms]));
  const least = Math.min(...points.map((p) => p.ms));
  const late = points.filter((p) => p.ms >= 10 * least);
  return {
    ...{ series: name, title, adapter: target.name, points },
    exponent: points.length > 1 && !odd ? fit(points) : null,
    ...(late.length > 2 && !odd ? { tail: { from: late[0].size, exponent: fit(late) } } : {}),
    ...(broken ? { reason: broken.reason } : {}),
  };
}

const summary = (results: Result[]) =>
  results.map(
    ({ engine, ms, reason }) => `${engine} ${ms === null ? `did not run: ${reason}` : formatMs(ms)}`,
  );

async function run(options: Options): Promise<Results> {
  const started = Date.now();
  const clock = () => `${((Date.now() - started) / 60_000).toFixed(1)} min`;
  const tty = process.stderr.isTTY;
  await bundleWorker(`${ROOT}/test/bench/worker.ts`, WORKER);
  const tasks = await openTasks(WORKER, (what) => tty && process.stderr.write(`\r\x1b[K    ${what} `));
  const step = (line: string) => say(`${tty ? '\r\x1b[K' : ''}${clock()}  ${line}`);
  step('looking for adapters');
  const { found, missing } = await findTargets(tasks, options);
  const machine = ({ name, runtime, adapter }: Target): Machine => ({
    ...{ name, description: adapter.description, runtime: runtime.name },
  });
  const all: Results = {
    date: new Date().toISOString(),
    quick: options.quick,
    adapters: found.map(machine),
    results: [],
    scaling: [],
  };
  const firsts = firstWorks(options);
  // What takes minutes is run on the first adapter only.
  const worksOn = (target: Target) =>
    options.works.filter((name) => target === found[0] || !LONG.includes(name));
  // Once is enough for how cost grows: it is about shapes, not adapters. A GPU, where there is one, else what Deno has.
  const steady = found.find(({ adapter }) => !adapter.software) ?? found[0];
  const jobs = [
    ...found.flatMap((target) => worksOn(target).map((name) => ({ target, name, grows: false }))),
    ...(steady ? options.series.map((name) => ({ target: steady, name, grows: true })) : []),
  ];
  // The works whose figures the documentation uses come first; those for which no time is left are skipped.
  const rank = ({ name, grows }: (typeof jobs)[number]) =>
    grows || LONG.includes(name) ? 1 : HEADLINES.includes(name) ? 0 : 2;
  jobs.sort((a, b) => rank(a) - rank(b));
  const late = () => Date.now() - started > 60_000 * options.minutes;
  const out = `${LEFT_OUT}the ${options.minutes} minutes of the run were over (--minutes)`;
  const leave = (target: Target, name: string, reason: string) =>
    all.results.push(
      ...(options.engines ?? target.runtime.engines).map((engine) =>
        emptyResult(name, engine, target.name, reason),
      ),
    );
  for (const target of found.slice(1))
    for (const name of options.works.filter((name) => LONG.includes(name)))
      leave(target, name, `${LEFT_OUT}it takes minutes, so it runs on ${found[0].name} only`);
  for (const { adapter, name, runtime } of found) step(`${name}: ${adapter.description} in ${runtime.name}`);
  for (const [i, { target, name, grows }] of jobs.entries()) {
    if (late()) {
      if (!grows) leave(target, name, out);
      continue;
    }
    const what = grows ? `our cost along ${name}` : name;
    step(`${target.name}: ${what} (${i + 1} of ${jobs.length})`);
    if (grows) {
      all.scaling.push(await growth(tasks, target, name, options));
      continue;
    }
    const results = await compareAt(tasks, target, name, options, all.results);
    all.results.push(...results);
    step(`  ${summary(results).join(', ')}`);
    if (!firsts.includes(name) || late()) continue;
    for (const result of results.filter(({ ms }) => ms !== null))
      Object.assign(result, await firstStep(tasks, target, result, options));
    step(
      `  first step: ${results.map(({ engine, firstMs, firstReason }) => `${engine} ${firstReason ?? formatMs(firstMs)}`).join(', ')}`,
    );
  }
  const place = ({ adapter, work }: Result) =>
    found.findIndex(({ name }) => name === adapter) * works.length +
    works.findIndex(({ name }) => name === work);
  all.results.sort((a, b) => place(a) - place(b));
  for (const { name, reason } of missing)
    for (const work of options.works) all.results.push(emptyResult(work, 'hypersphere', name, reason));
  tasks.close();
  step('done');
  return all;
}

async function main(args: string[]): Promise<number> {
  const options = (() => {
    try {
      return parse(args);
    } catch (error) {
      say((error as Error).message);
    }
  })();
  if (!options) return 1;
  if (options.help) {
    console.log(help);
    return 0;
  }
  const results = await run(options);
  console.log(tableOf(results));
  if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 1)}\n`);
  if (options.html) writeFileSync(options.html, pageOf(results));
  const ours = results.results.filter(({ engine }) => engine === 'hypersphere');
  const nothing = !results.results.length && !results.scaling.length;
  return nothing || ours.some(({ ms, reason }) => ms === null && !reason?.startsWith(LEFT_OUT)) ? 1 : 0;
}

process.exit(await main(process.argv.slice(2)));
