// Runs the tests in headless Chromium: node test/browser.mjs [PATTERN...] [--quick]. npm test calls it.
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
    .filter((name) => !patterns.length || patterns.some((pattern) => name.includes(pattern)))
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

/** The page: the harness, and every file as something to import. */
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
runFiles([${files.join(',\n')}], {
  say: (line) => hostSay(line),
  progress: (state) => hostProgress(state),
  seed: query.get('HYPERSPHERE_TEST_SEED') ?? undefined,
  quick: query.has('quick'),
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
const browser = await puppeteer.launch({ executablePath, headless: true, args: flags });
const tab = await browser.newPage();

let state = { passed: 0, failed: 0, done: false };
let extra = 0; // failures that no test reported
let end = () => {};
const over = new Promise((resolve) => {
  end = resolve;
});

function record(news) {
  state = news;
  const result = process.env.HYPERSPHERE_TEST_RESULT;
  if (result) writeFileSync(result, JSON.stringify({ ...state, failed: state.failed + extra }));
  if (state.done) end();
}

function broke(what, where = state.running) {
  extra++;
  console.log(`FAIL ${where ?? 'the page'}: ${mapStack(what, outputs)}`);
}

await tab.exposeFunction('hostSay', (line) => console.log(mapStack(line, outputs)));
await tab.exposeFunction('hostProgress', record);
tab.on('console', (message) => {
  if (message.type() === 'error') broke(`console error: ${message.text()} ${message.location().url ?? ''}`);
  else if (message.type() === 'log') console.log(message.text());
});
tab.on('pageerror', (error) => broke(`page error: ${error.stack ?? error}`));
// A crashed page says nothing more: the run ends here, and its missing `done` counts as a failure.
tab.on('error', (error) => {
  console.log(`FAIL ${state.running ?? 'the page'}: ${error.message}`);
  end();
});
browser.on('disconnected', end);

console.log(`${await browser.version()}, ${names.length} test files`);
const query = new URLSearchParams();
if (process.env.HYPERSPHERE_TEST_SEED) query.set('HYPERSPHERE_TEST_SEED', process.env.HYPERSPHERE_TEST_SEED);
if (args.includes('--quick')) query.set('quick', '');
await tab.goto(`${url}?${query}`);
await over;
if (state.done) record(state);
browser.off('disconnected', end);
await browser.close();
server.closeAllConnections();
server.close();
process.exitCode = state.done && !state.failed && !extra ? 0 : 1;
