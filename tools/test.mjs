// The commands that test.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { biome, runDeno, tsc } from './run.mjs';
import {
  denoBinary,
  denoEnvironment,
  denoFlags,
  fail,
  inRoot,
  root,
  setUpAdapter,
  setUpBrowser,
  setUpDigits,
  setUpFirefox,
} from './setup.mjs';

/**
 * Runs one runtime's tests. It keeps its counts, and what it is busy with and until when, in a small file: so a
 * crash loses no counts, and a test that blocks its thread (no timer fires there) is ended from here.
 * @param {string} label before each line, where several run at once
 * @param {Promise<void>} [more] from when on the program may use a second core: it is sent a line
 */
function runTests(program, args, extra, label, more) {
  const folder = mkdtempSync(join(tmpdir(), 'hypersphere-test-'));
  const file = join(folder, 'result.json');
  const env = { ...denoEnvironment(), NO_COLOR: '1', ...extra, HYPERSPHERE_TEST_RESULT: file };
  const result = () => {
    try {
      return JSON.parse(readFileSync(file, 'utf8'));
    } catch {
      return undefined;
    }
  };
  const child = spawn(program, args, { cwd: root, stdio: [more ? 'pipe' : 'ignore', 'pipe', 'pipe'], env });
  child.stdin?.on('error', () => {}); // It may have ended before.
  more?.then(() => child.stdin.end('\n'));
  for (const input of [child.stdout, child.stderr])
    createInterface({ input }).on('line', (line) => console.log(label.padEnd(10) + line));
  const watchdog = setInterval(() => {
    const { running, until } = result() ?? {};
    if (!until || Date.now() < until + 30_000) return;
    console.log(`FAIL ${running}: blocks its thread past its timeout; the run is ended`);
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 5000).unref();
  }, 2000);
  return new Promise((resolve) => {
    child.on('error', (error) => fail(`cannot run ${program}: ${error.message}`));
    child.on('close', (code, signal) => {
      clearInterval(watchdog);
      const { passed = 0, failed = 0, done = false, running } = result() ?? {};
      rmSync(folder, { recursive: true, force: true });
      const broke = !done || (code !== 0 && failed === 0);
      if (broke)
        console.log(`FAIL the run broke off (${signal ?? `exit ${code}`})${running ? ` in ${running}` : ''}`);
      resolve({ passed, failed: failed + (broke ? 1 : 0) });
    });
  });
}

const denoTests = (args, env) =>
  runTests(denoBinary(), [...denoFlags, inRoot('test', 'run.ts'), ...args], env, 'Deno');
const browserTests = (args, browser, more) => {
  const env = { PUPPETEER_EXECUTABLE_PATH: browser };
  return runTests(process.execPath, [inRoot('test', 'browser.mjs'), ...args], env, 'Chromium', more);
};

/** Prints the counts and returns the exit code: a run that found nothing to run is no success. */
function finish({ passed, failed }) {
  console.log(`${passed} passed, ${failed} failed`);
  return failed || !passed ? 1 : 0;
}

/** Everything, or with patterns the test files that match. */
export async function test(args) {
  const one = args.includes('--deno') !== args.includes('--chromium');
  const inDeno = !one || args.includes('--deno');
  const inChromium = !one || args.includes('--chromium');
  const patterns = args.filter((arg) => arg !== '--deno' && arg !== '--chromium');
  if (inDeno) setUpAdapter();
  const browser = inChromium ? setUpBrowser() : '';
  if (args.length) console.log('a part of the tests only, without types and lint');
  const checks = args.length ? [] : [tsc('--noEmit'), biome('check', '.')];
  const all = patterns.every((pattern) => pattern.startsWith('--'));
  const inBrowser = all ? [...patterns, '--trainings=none'] : patterns;
  // Both at once: what takes longest, compiling kernels, keeps one core busy. The runtime that ends first leaves its core to the other one.
  const folder = mkdtempSync(join(tmpdir(), 'hypersphere-files-'));
  const runDeno = () => denoTests(patterns, { HYPERSPHERE_TEST_SHARED: folder });
  const deno = inDeno ? runDeno() : undefined;
  const chromium = inChromium ? browserTests(inBrowser, browser, deno ?? Promise.resolve()) : undefined;
  const demos = args.length ? undefined : chromium.then(() => demoTests(['--short']));
  const { passed, failed } = total(await Promise.all([deno, chromium, demos, demos?.then(runDeno)]));
  rmSync(folder, { recursive: true, force: true });
  return finish({ passed, failed: failed + checks.filter((ok) => !ok).length });
}

/** The sums of the counts of runs; a run that was left out counts nothing. */
function total(counts) {
  const sum = (name) => counts.reduce((all, one) => all + (one ? one[name] : 0), 0);
  return { passed: sum('passed'), failed: sum('failed') };
}

const TRAININGS = 'trainings';

/** The tests that take minutes: those of test/slow in Deno, and trainings in Chromium. */
export async function testMethods(args) {
  const names = args.filter((arg) => arg !== TRAININGS);
  const counts = [];
  if (!args.length || names.length) counts.push(await slowTests(names));
  if (!args.length || args.includes(TRAININGS)) counts.push(await trainings());
  return finish(total(counts));
}

function slowTests(names) {
  setUpAdapter();
  const env = { HYPERSPHERE_DIGITS: setUpDigits() };
  return denoTests(names.length ? names.map((name) => `test/slow/${name}`) : ['test/slow/'], env);
}

const trainings = () => browserTests(['test/methods/', 'test/slow/', '--trainings=only'], setUpBrowser());

/** Hostile inputs, in processes that may hang or crash. */
export function testFuzz(args) {
  setUpAdapter();
  return runDeno('test/fuzz/main.ts', args);
}

/** The demos in browsers. */
const demoTests = (args, extra) => {
  const env = { PUPPETEER_EXECUTABLE_PATH: setUpBrowser(), ...extra };
  return runTests(process.execPath, [inRoot('test', 'demos', 'main.mjs'), ...args], env, 'Demos');
};

export const testDemos = async (args) =>
  finish(await demoTests(args, { HYPERSPHERE_FIREFOX: setUpFirefox() }));
