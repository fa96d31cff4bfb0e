// Runs the tests in headless Chromium: node test/browser.mjs [PATTERN...] [--quick] [--trainings=none|only]. npm test calls it. A line on its standard input
// opens a second browser, which takes files from the same list: compiling kernels keeps one core busy for each.
import { readdirSync, writeFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import puppeteer from 'puppeteer';
import { minifiedShaders } from '../tools/bundle.mjs';
import { filesOf, serve } from '../tools/serve.mjs';

const root = normalize(fileURLToPath(new URL('../', import.meta.url)));
const args = process.argv.slice(2);
const patterns = args.filter((arg) => !arg.startsWith('--'));

// SwiftShader is Chromium's own software adapter: the same on every machine. The rest keeps the browser quiet.
const flags = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
  '--disable-dev-shm-usage',
];

function testFiles() {
  return readdirSync(join(root, 'test'), { recursive: true })
    .map((name) => `test/${name.split(sep).join('/')}`)
    .filter((name) => name.endsWith('.test.ts') && !name.endsWith('.deno.test.ts'))
    .filter((name) =>
      patterns.length ? patterns.some((pattern) => name.includes(pattern)) : !name.startsWith('test/slow/'),
    )
    .sort();
}

const options = {
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  sourcemap: 'external',
  outdir: join(root, 'bundle'),
  outbase: root,
  absWorkingDir: root,
  // The shaders as they are shipped; in Deno the tests run them as they are written.
  plugins: [minifiedShaders],
  write: false,
  logLevel: 'silent',
};

const build = (entryPoints) => esbuild.build({ ...options, entryPoints });

/** Bundles the test files, each as a module of its own; those that cannot be bundled come back as failures. */
async function bundle(names) {
  const failures = new Map();
  const everything = (good) => build(['test/harness.ts', ...good]);
  let result = await everything(names).catch(() => undefined);
  if (!result) {
    for (const name of names) {
      const failed = (error) => failures.set(name, error.errors?.[0]?.text ?? error.message);
      await build([name]).catch(failed);
    }
    result = await everything(names.filter((name) => !failures.has(name)));
  }
  const outputs = new Map(result.outputFiles.map((file) => [urlOf(file.path), file]));
  return { outputs, failures };
}

const urlOf = (path) => `/${relative(root, path).split(sep).join('/')}`;
const moduleOf = (name) => `/bundle/${name.replace(/\.ts$/, '.js')}`;

/** The page: the harness, and every file as something to import, taken when the ones before are done. */
function page(names, failures) {
  const load = (name) =>
    failures.has(name)
      ? `() => Promise.reject(new Error(${JSON.stringify(failures.get(name))}))`
      : `() => import(${JSON.stringify(moduleOf(name))})`;
  const files = names.map((name) => `{ name: ${JSON.stringify(name)}, load: ${load(name)} }`);
  return `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>tests</title>
<script type="module">
import { runFiles } from ${JSON.stringify(moduleOf('test/harness.ts'))};
const query = new URLSearchParams(location.search);
const files = [${files.join(',\n')}];
async function* taken() {
  for (let i = await hostNext(); i < files.length; i = await hostNext()) yield files[i];
}
runFiles(taken(), {
  say: (line) => hostSay(line),
  progress: (state) => hostProgress(state),
  built: (entry) => hostBuilt(entry),
  isBuilt: (entry) => hostIsBuilt(entry),
  seed: query.get('HYPERSPHERE_TEST_SEED') ?? undefined,
  quick: query.has('quick'),
  trainings: query.get('trainings') ?? undefined,
}).catch((error) => console.error(error.stack));
</script>`;
}

/** The page, the bundle (from memory) and the repository's files. */
function finder(html, outputs) {
  const files = filesOf(root);
  return (inside) => {
    const body = inside ? outputs.get(`/${inside}`)?.contents : html;
    return body === undefined ? files(inside) : { name: inside || 'index.html', body };
  };
}

/** Turns bundle positions in a stack into those of the sources, and leaves the runner's own lines out. */
function mapStack(text, outputs) {
  const place = (all, path, line, column) => {
    const map = outputs.get(`${path}.map`);
    const entry = map ? new SourceMap(JSON.parse(map.text)).findEntry(line - 1, column - 1) : {};
    if (!entry.originalSource) return all;
    const file = fileURLToPath(new URL(entry.originalSource, `file://${root}${path.slice(1)}`));
    return `${relative(root, file)}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
  };
  const mapped = text.replace(/http:\/\/localhost:\d+(\/bundle\/[^\s:)]+):(\d+):(\d+)/g, place);
  const ours = /^\s+at .*(test\/harness\.ts|node_modules\/uvu|localhost:\d+\/\?)/;
  return mapped
    .split('\n')
    .filter((line) => !ours.test(line))
    .join('\n');
}

const executablePath = process.env.PUPPETEER_EXECUTABLE_PATH || '/usr/bin/chromium';
const names = testFiles();
const { outputs, failures } = await bundle(names);
const { server, url } = await serve(finder(page(names, failures), outputs), {
  headers: { 'cache-control': 'no-store' },
});

/** What each page has counted, and what it is busy with. */
const states = [];
let extra = 0; // failures that no test reported
let taken = 0;
const built = new Set();

function record() {
  const result = process.env.HYPERSPHERE_TEST_RESULT;
  if (!result) return;
  const sum = (key) => states.reduce((total, state) => total + state[key], 0);
  const done = states.every((state) => state.done);
  const [{ running, until } = {}] = states.filter((one) => one.until).sort((a, b) => a.until - b.until);
  writeFileSync(
    result,
    JSON.stringify({ passed: sum('passed'), failed: sum('failed') + extra, done, running, until }),
  );
}

/** Runs files in a browser of its own until none is left. */
async function runPage() {
  const place = states.push({ passed: 0, failed: 0, done: false }) - 1;
  let end = () => {};
  const over = new Promise((resolve) => {
    end = resolve;
  });
  const broke = (what) => {
    extra++;
    console.log(`FAIL ${states[place].running ?? 'the page'}: ${mapStack(what, outputs)}`);
  };
  const browser = await puppeteer.launch({ executablePath, headless: true, args: flags });
  if (!place) console.log(`${await browser.version()}, ${names.length} test files`);
  const tab = await browser.newPage();
  await tab.exposeFunction('hostSay', (line) => console.log(mapStack(line, outputs)));
  await tab.exposeFunction('hostNext', () => taken++);
  await tab.exposeFunction('hostBuilt', (entry) => void built.add(entry));
  await tab.exposeFunction('hostIsBuilt', (entry) => built.has(entry));
  await tab.exposeFunction('hostProgress', (state) => {
    states[place] = state;
    record();
    if (state.done) end();
  });
  tab.on('console', (message) => {
    if (message.type() === 'error') broke(`console error: ${message.text()} ${message.location().url ?? ''}`);
    else if (message.type() === 'log') console.log(message.text());
  });
  tab.on('pageerror', (error) => broke(`page error: ${error.stack ?? error}`));
  // A crashed page says nothing more: its run ends here, and its missing `done` counts as a failure.
  tab.on('error', (error) => {
    console.log(`FAIL ${states[place].running ?? 'the page'}: ${error.message}`);
    end();
  });
  browser.on('disconnected', end);
  const query = new URLSearchParams();
  if (process.env.HYPERSPHERE_TEST_SEED)
    query.set('HYPERSPHERE_TEST_SEED', process.env.HYPERSPHERE_TEST_SEED);
  if (args.includes('--quick')) query.set('quick', '');
  const trainings = args.find((arg) => arg.startsWith('--trainings='));
  if (trainings) query.set('trainings', trainings.split('=')[1]);
  await tab.goto(`${url}?${query}`);
  await over;
  browser.off('disconnected', end);
  await browser.close();
}

const running = [runPage()];
process.stdin.once('data', () => {
  if (taken < names.length) running.push(runPage());
});
// The second may be opened while the first runs.
for (let i = 0; i < running.length; i++) await running[i];
process.stdin.destroy();
record();
server.closeAllConnections();
server.close();
const good = states.every(({ done, failed }) => done && !failed) && !extra;
process.exitCode = good ? 0 : 1;
