#!/usr/bin/env node
// Sets the project up and runs its commands: node build.mjs COMMAND; without one it lists them.
// Plain Node, nothing imported from node_modules at the top: it runs before they exist.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const inRoot = (...parts) => join(root, ...parts);

const commands = {
  start: 'train, evaluate and export from the terminal: start -- --help',
  measure: 'metrics of embeddings of your own, NumPy files: measure -- --help',
  test: 'test [PATTERN...] [--deno] [--chromium] [--quick]: everything, or the test files that match',
  'test:methods': 'test:methods [PATTERN...]: the slow tests (test/slow), in Deno',
  'test:fuzz':
    'test:fuzz [PATTERN...] [--inputs N] [--seed N] [--minutes N]: 100,000 hostile inputs, half of them new',
  'test:demos': 'test:demos [PATTERN...]: the demos in Chromium and in Firefox',
  build: 'bundle the library and its types into dist/',
  demos:
    'demos [--build | --record]: build the gallery into dist/demos and serve it, or only build, or take its pictures',
  bench: 'compare with other engines in one run: bench -- --help',
  methods: 'every method by the small protocol into docs/results.md: methods -- --help',
  studies: 'measure and draw what the theory says: studies -- --help',
  check: 'types, format and lint, without running tests',
  format: 'format, and repair what the linter can repair',
};

/** Those that Deno runs, by their files under src. */
const programs = {
  start: ['cli', 'main.ts'],
  measure: ['cli', 'measure.ts'],
  methods: ['studies', 'methods.ts'],
  studies: ['studies', 'main.ts'],
};

/** Stops with a message that says what to do. */
function fail(message) {
  console.error(message);
  process.exit(1);
}

// ---- set-up: npm packages, a WebGPU adapter for Deno, a browser ----

/** True when node_modules does not hold what package-lock.json asks for. */
function packagesAreStale() {
  const installed = inRoot('node_modules', '.package-lock.json');
  if (!existsSync(installed)) return true;
  const have = JSON.parse(readFileSync(installed, 'utf8')).packages;
  const want = JSON.parse(readFileSync(inRoot('package-lock.json'), 'utf8')).packages;
  // Optional packages are the binaries of other platforms; '' is this project itself.
  return Object.entries(want).some(
    ([path, entry]) =>
      path !== '' && !(entry.optional && !have[path]) && have[path]?.version !== entry.version,
  );
}

function setUpPackages() {
  if (!packagesAreStale()) return;
  console.log('set-up: npm ci, because node_modules is missing or older than package-lock.json');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const options = { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' };
  const done = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], options);
  if (done.status !== 0) fail(`npm ci failed:\n${`${done.stderr}${done.error ?? ''}`.slice(0, 3000)}`);
}

/** Installs Debian packages, or ends with the line that does where this process may not. */
function installDebian(packages, why) {
  const problem = tryDebian(packages, why);
  if (problem) fail(problem);
}

/** Installs Debian packages; returns what went wrong, if anything. */
function tryDebian(packages, why) {
  const line = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  const mayInstall =
    process.getuid?.() === 0 && existsSync('/usr/bin/apt-get') && existsSync('/etc/debian_version');
  if (!mayInstall) {
    const where = process.platform === 'linux' ? 'On Debian or Ubuntu run:' : 'On Debian it would be:';
    return `${why}, and it cannot be installed from here (no root, or no apt-get). ${where}\n  sudo sh -c '${line}'`;
  }
  console.log(`set-up: apt-get install ${packages.join(' ')}, because ${why}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const done = spawnSync('sh', ['-c', line], { env, encoding: 'utf8', maxBuffer: 1 << 28 });
  return done.status === 0 ? undefined : `apt-get failed:\n${(done.stdout + done.stderr).slice(-4000)}`;
}

/** The binary itself, not the wrapper of the npm package: signals and exit codes then need no second hop. */
function denoBinary() {
  const { runInstall } = require(inRoot('node_modules', 'deno', 'install_api.cjs'));
  return runInstall();
}

/**
 * wgpu asks for XDG_RUNTIME_DIR and complains on stderr without it. llvmpipe deals a dispatch out to its threads evenly and
 * waits for the last: with four a core, one that is held up holds up less.
 */
function denoEnvironment() {
  return {
    XDG_RUNTIME_DIR: tmpdir(),
    LP_NUM_THREADS: String(4 * availableParallelism()),
    ...process.env,
    DENO_NO_UPDATE_CHECK: '1',
  };
}

const denoFlags = ['run', '-A', '--no-lock', '--node-modules-dir=manual'];

/** What Deno finds: 'hardware', 'software' or nothing. */
function adapterKind(backend = {}) {
  const code = `const a = await navigator.gpu?.requestAdapter();
    console.log(!a ? '' : a.info.isFallbackAdapter ? 'software' : 'hardware')`;
  const env = { ...denoEnvironment(), ...backend };
  const done = spawnSync(denoBinary(), ['eval', '--no-lock', code], { env, encoding: 'utf8' });
  return done.status === 0 ? done.stdout.trim() : '';
}

/**
 * Software Vulkan is installed only where there is no GPU to use, so it never displaces one. Mesa's software OpenGL,
 * which Deno falls back to without Vulkan, does not do: it has fewer features and limits than the tests need.
 */
function setUpAdapter() {
  const found = adapterKind();
  if (found === 'hardware') return;
  if (process.platform !== 'linux') {
    if (!found) fail('Deno finds no WebGPU adapter: it needs a GPU with a Metal, DX12 or Vulkan driver');
    return;
  }
  const hasVulkan = () => adapterKind({ DENO_WEBGPU_BACKEND: 'vulkan' }) !== '';
  if (hasVulkan()) return;
  const why = 'Deno finds no GPU and no Vulkan driver for WebGPU';
  installDebian(['libvulkan1', 'mesa-vulkan-drivers'], why);
  if (!hasVulkan()) fail(`${why}, even with Mesa's software driver installed`);
}

function findBrowser() {
  const asked = process.env.PUPPETEER_EXECUTABLE_PATH;
  if (asked && !existsSync(asked)) fail(`PUPPETEER_EXECUTABLE_PATH names ${asked}, which does not exist`);
  const linux = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const places = [
    ...linux.map((name) => `/usr/bin/${name}`),
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    'C:/Program Files/Google/Chrome/Application/chrome.exe',
  ];
  return asked || places.find((path) => existsSync(path));
}

function setUpBrowser() {
  if (!findBrowser()) installDebian(['chromium'], 'the tests run in Chromium too, and none was found');
  return findBrowser() ?? fail('no Chromium was found after installing it');
}

/** Firefox 140 was still built without WebGPU on Linux, whatever its preferences say. */
const FIREFOX_WITHOUT_WEBGPU = 140;

/** Firefox, or '' where there is none to be had: benchmark and demos do without it. */
function setUpFirefox() {
  const places = [
    '/usr/bin/firefox-esr',
    '/usr/bin/firefox',
    '/Applications/Firefox.app/Contents/MacOS/firefox',
  ];
  const find = () => places.find((path) => existsSync(path)) ?? '';
  const version = () => {
    const { stdout = '' } = spawnSync(find(), ['--version'], { encoding: 'utf8' });
    return Number(/\d+/.exec(stdout)?.[0] ?? Number.POSITIVE_INFINITY);
  };
  const why = !find()
    ? 'Firefox is one of the browsers, and none was found'
    : version() <= FIREFOX_WITHOUT_WEBGPU
      ? `Firefox is one of the browsers, and version ${version()} has no WebGPU`
      : '';
  const problem = why && tryDebian(['firefox-esr'], why);
  if (problem) console.error(`${problem}\nIt goes on without.`);
  return find();
}

/**
 * The 8 x 8 digits (UCI optdigits, CC-BY-4.0), one file of Debian's python3-sklearn. Nothing is installed: the
 * package would bring SciPy.
 */
function setUpDigits() {
  const file = 'usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz';
  const cache = inRoot('node_modules', '.cache', 'digits');
  const find = () => [join('/', file), join(cache, file)].find((path) => existsSync(path));
  if (find()) return find();
  mkdirSync(cache, { recursive: true });
  const shell = (line) =>
    spawnSync('sh', ['-c', line], { cwd: cache, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  console.log('set-up: apt-get download python3-sklearn, because tests read its digits');
  const download = 'apt-get download python3-sklearn';
  const done = shell(`${download} || { apt-get update && ${download}; }`);
  const [deb] = readdirSync(cache).filter((name) => name.endsWith('.deb'));
  const unpacked = deb && shell(`dpkg-deb --fsys-tarfile '${deb}' | tar x './${file}' && rm '${deb}'`);
  return (
    find() ??
    fail(
      `the digits were not found after downloading them; on Debian: apt-get install python3-sklearn\n${done.stderr}${unpacked?.stderr ?? ''}`,
    )
  );
}

// ---- running things ----

/**
 * The folder that the user called npm from, which relative paths are meant from: npm itself runs scripts in the project's
 * root. Without npm, or with another command's variables about, it is the current folder.
 */
function callersFolder(command) {
  const { INIT_CWD, npm_lifecycle_event, npm_package_json } = process.env;
  const ours = npm_lifecycle_event === command && npm_package_json === inRoot('package.json');
  return ours && INIT_CWD && existsSync(INIT_CWD) ? INIT_CWD : process.cwd();
}

/**
 * Runs a program to its end and gives its exit code. It gets its own process group: a Ctrl-C at the terminal
 * then arrives here (often twice, once from the terminal and once from npm) and goes on to it exactly once. So do SIGTERM, and
 * SIGHUP when the terminal is closed.
 */
function runInteractive(program, args, env, cwd = process.cwd()) {
  const detached = process.platform !== 'win32';
  const child = spawn(program, args, { stdio: 'inherit', env, cwd, detached });
  const last = {};
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      const now = performance.now();
      if (now - (last[signal] ?? -Infinity) > 500) child.kill(signal);
      last[signal] = now;
    });
  }
  return new Promise((resolve) => {
    child.on('error', (error) => fail(`cannot run ${program}: ${error.message}`));
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

/** Runs a tool of node_modules and says whether it was content. */
function tool(name, args) {
  const start = performance.now();
  const done = spawnSync(process.execPath, [inRoot('node_modules', ...name), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${done.status === 0 ? 'ok  ' : 'FAIL'} ${name.at(-1)} ${args.join(' ')} (${seconds} s)`);
  return done.status === 0;
}

const tsc = (...args) => tool(['typescript', 'bin', 'tsc'], args);
const biome = (...args) => tool(['@biomejs', 'biome', 'bin', 'biome'], args);

/**
 * Runs one runtime's tests. It keeps its counts, and what it is busy with and until when, in a small file: so a
 * crash loses no counts, and a test that blocks its thread (no timer fires there) is ended from here.
 * @param {string} label before each line, where several run at once
 */
function runTests(program, args, extra, label) {
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
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], env });
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
const browserTests = (args, browser) => {
  const env = { PUPPETEER_EXECUTABLE_PATH: browser };
  return runTests(process.execPath, [inRoot('test', 'browser.mjs'), ...args], env, 'Chromium');
};

/** Types and lint: each one that fails counts as one failed. */
const checkEverything = () => [tsc('--noEmit'), biome('check', '.')].filter((ok) => !ok).length;

async function test(args) {
  const one = args.includes('--deno') !== args.includes('--chromium');
  const inDeno = !one || args.includes('--deno');
  const inChromium = !one || args.includes('--chromium');
  const patterns = args.filter((arg) => arg !== '--deno' && arg !== '--chromium');
  if (inDeno) setUpAdapter();
  const browser = inChromium ? setUpBrowser() : '';
  if (args.length) console.log('a part of the tests only, without types and lint');
  const broken = args.length ? 0 : checkEverything();
  // Both at once: what takes longest, compiling kernels, keeps one core busy.
  const counts = await Promise.all([
    inDeno && denoTests(patterns),
    inChromium && browserTests(patterns, browser),
  ]);
  if (!args.length) counts.push(await demoTests(['--short']));
  const sum = (name) => counts.reduce((total, one) => total + (one ? one[name] : 0), 0);
  const [passed, failed] = [sum('passed'), sum('failed') + broken];
  console.log(`${passed} passed, ${failed} failed`);
  // A run that found nothing to run is no success.
  return failed || !passed ? 1 : 0;
}

/** The tests that take minutes. */
async function testMethods(args) {
  setUpAdapter();
  const env = { HYPERSPHERE_DIGITS: setUpDigits() };
  const patterns = args.length ? args.map((arg) => `test/slow/${arg}`) : ['test/slow/'];
  const { passed, failed } = await denoTests(patterns, env);
  console.log(`${passed} passed, ${failed} failed`);
  return failed || !passed ? 1 : 0;
}

/** Hostile inputs, in processes that may hang or crash. */
const fuzz = (args) =>
  runInteractive(denoBinary(), [...denoFlags, inRoot('test', 'fuzz', 'main.ts'), ...args], denoEnvironment());

/** The demos in browsers. */
const demoTests = (args, extra) => {
  const env = { PUPPETEER_EXECUTABLE_PATH: setUpBrowser(), ...extra };
  return runTests(process.execPath, [inRoot('test', 'demos', 'main.mjs'), ...args], env, 'Demos');
};

async function testDemos(args) {
  const { passed, failed } = await demoTests(args, { HYPERSPHERE_FIREFOX: setUpFirefox() });
  console.log(`${passed} passed, ${failed} failed`);
  return failed || !passed ? 1 : 0;
}

async function build() {
  const parts = ['hypersphere.js', 'src', 'shaders', 'types']; // The demos are built by themselves.
  for (const part of parts) rmSync(inRoot('dist', part), { recursive: true, force: true });
  const { buildLibrary, bundlePages, finishTypes } = await import('./bundle.mjs'); // now that esbuild is there
  await buildLibrary(inRoot('dist'));
  console.log('gzipped, in the bundle of a page that imports');
  for (const [page, { gzipped, software }] of Object.entries(await bundlePages(root)))
    console.log(
      `  ${page.padEnd(20)}${(gzipped / 1000).toFixed(1)} kB, without a GPU ${(software / 1000).toFixed(1)} kB more`,
    );
  if (!tsc('--project', 'tsconfig.build.json')) return 1;
  finishTypes(inRoot('dist', 'types'));
  return 0;
}

const DEMOS_PORT = 8080;

async function demos(args) {
  const { buildDemos, readDemos, serveDemos } = await import('./demos.mjs');
  const folder = inRoot('dist', 'demos');
  await buildDemos(folder);
  if (args.includes('--build')) return 0;
  if (args.includes('--record')) {
    const { takeGallery, takePictures } = await import('./test/demos/pictures.mjs');
    const { server, url } = await serveDemos(folder);
    await takePictures(root, readDemos(), url, setUpBrowser());
    await buildDemos(folder);
    await takeGallery(root, url, setUpBrowser());
    server.close();
    return 0;
  }
  // Where another program has the port, any other does.
  const { url } = await serveDemos(folder, { port: DEMOS_PORT }).catch(() => serveDemos(folder));
  console.log(`The gallery is at ${url} (Ctrl-C ends it).`);
  return 0;
}

/** The orchestrator is TypeScript: it is bundled for Node, beside the packages that it imports. */
async function bench(args) {
  const env = {
    ...denoEnvironment(),
    HYPERSPHERE_ROOT: root,
    HYPERSPHERE_DENO: denoBinary(),
    PUPPETEER_EXECUTABLE_PATH: setUpBrowser(),
    HYPERSPHERE_FIREFOX: setUpFirefox(),
  };
  const esbuild = await import('esbuild');
  const outfile = inRoot('node_modules', '.cache', 'bench.mjs');
  const options = {
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'warning',
  };
  await esbuild.build({ ...options, entryPoints: [inRoot('test', 'bench', 'main.ts')], outfile });
  return runInteractive(process.execPath, [outfile, ...args], env);
}

async function main([command, ...args]) {
  if (!Object.hasOwn(commands, command ?? '')) {
    const lines = Object.entries(commands).map(([name, text]) => `  ${name.padEnd(14)}${text}`);
    console.log(['node build.mjs COMMAND', ...lines].join('\n'));
    return command === undefined || command === 'help' ? 0 : 1;
  }
  setUpPackages();
  if (command === 'test') return test(args);
  if (command === 'test:methods') return testMethods(args);
  if (command === 'test:demos') return testDemos(args);
  if (command === 'build') return build();
  if (command === 'demos') return demos(args);
  if (command === 'check') return tsc('--noEmit') & biome('check', '.') ? 0 : 1;
  if (command === 'format') return biome('check', '--write', '.') ? 0 : 1;
  setUpAdapter();
  if (command === 'bench') return bench(args);
  if (command === 'test:fuzz') return fuzz(args);
  const program = inRoot('src', ...programs[command]);
  const env = denoEnvironment();
  return runInteractive(denoBinary(), [...denoFlags, program, ...args], env, callersFolder(command));
}

process.exitCode = await main(process.argv.slice(2));
