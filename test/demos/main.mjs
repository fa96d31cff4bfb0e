// The tests of the demos in browsers: node test/demos/main.mjs [PATTERN...] [--short]. npm run test:demos calls it.
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildDemos, readDemos, serveDemos } from '../../tools/demos.mjs';
import { launch, openDemo, until, wait } from './browser.mjs';
import { assert, ofEach, ofOne, ofPresets } from './tests.mjs';

const short = process.argv.includes('--short');
const patterns = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const { PUPPETEER_EXECUTABLE_PATH: chromium, HYPERSPHERE_FIREFOX: firefox } = process.env;

/** What `npm test` runs, with one demo. */
const SHORT = [
  'steps, resets and reseeds to the same numbers',
  'refuses files that are no encoder of its own, and goes on from where it was',
];

/** Sites where something stands before the demos' own workers, and what the page must then say. */
const PROBE = readFileSync(new URL('probe.js', import.meta.url), 'utf8');
/** The four files of images do not come at first. */
const FLAKY =
  'const load = fetch; let left = 4; self.fetch = (...all) => left-- > 0 ? Promise.resolve(new Response(null, { status: 503 })) : load(...all);';
const OBSTACLES = {
  noApi: {
    code: "Object.defineProperty(WorkerNavigator.prototype, 'gpu', { value: undefined });",
    says: 'This browser has no WebGPU',
  },
  noAdapter: { code: 'GPU.prototype.requestAdapter = async () => null;', says: 'offers no GPU' },
  blocked: {
    code: "GPUAdapter.prototype.requestDevice = () => Promise.reject(new DOMException('no', 'OperationError'));",
    says: 'refuses a WebGPU device',
  },
};

const folder = mkdtempSync(join(tmpdir(), 'hypersphere-demos-'));
const built = join(folder, 'site');
const result = { passed: 0, failed: 0, done: false };
function record(running) {
  const file = process.env.HYPERSPHERE_TEST_RESULT;
  if (file) writeFileSync(file, JSON.stringify({ ...result, running, until: Date.now() + 1_200_000 }));
}

const wanted = (title) => !patterns.length || patterns.some((pattern) => title.includes(pattern));

async function run(title, body) {
  if (!wanted(title)) return;
  record(title);
  const start = performance.now();
  try {
    await body();
    result.passed++;
    console.log(`ok   ${title} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    result.failed++;
    console.log(`FAIL ${title}: ${error.message}`);
  }
}

/** A copy of the site in which code stands before that of each worker. */
function makeSite(name, code) {
  const site = join(folder, name);
  for (const demo of demos) {
    cpSync(join(built, demo.name), join(site, demo.name), { recursive: true });
    const file = join(site, demo.name, 'model.js');
    writeFileSync(file, `${code}\n${readFileSync(file, 'utf8')}`);
  }
  for (const shared of ['data', 'shared']) symlinkSync(join(built, shared), join(site, shared));
}

/** Runs a test with what it opens pages with: each in a browser of its own, of which there is one at a time. */
async function inBrowser(kind, path, { name }, body) {
  let browser;
  const pages = [];
  const close = async () => {
    await browser?.close();
    browser = undefined;
  };
  const open = async (query = '', { site = 'site', calm = false, gpu = true, host = 'localhost' } = {}) => {
    await close();
    browser = await launch(kind, path, { gpu, calm });
    const address = `${url}${site}/${name}/${query}`.replace('localhost', host);
    const demo = await openDemo(browser, address);
    pages.push(demo);
    return demo;
  };
  try {
    await body({ open, name, kind, folder });
    const errors = pages.flatMap((page) => page.errors);
    assert(!errors.length, `console errors: ${errors.join('; ')}`);
  } finally {
    await close().catch(() => {});
  }
}

const demos = readDemos();
await buildDemos(built);
makeSite('probed', PROBE);
makeSite('flaky', FLAKY);
for (const [name, { code }] of Object.entries(OBSTACLES)) makeSite(name, code);
// Not at the root of its server: every address in it is relative.
const { server, url } = await serveDemos(folder, { path: '/some/where/' });

await run('gallery: the first load is under 400 kB gzipped, without data', () => {
  const size = (path) =>
    statSync(path).isDirectory()
      ? readdirSync(path)
          .map((name) => size(join(path, name)))
          .reduce((a, b) => a + b, 0)
      : gzipSync(readFileSync(path)).length;
  const all =
    size(built) -
    size(join(built, 'data')) -
    demos.map(({ name }) => size(join(built, name, 'recording.json'))).reduce((a, b) => a + b, 0);
  assert(all < 400_000, `${all} bytes`);
  console.log(`     the whole gallery: ${(all / 1000).toFixed(0)} kB`);
});

await run('gallery: pictures are under 250 kB, and a demo has about 200 lines', () => {
  const root = new URL('../../', import.meta.url).pathname;
  const pictures = readdirSync(join(root, 'docs', 'demos'));
  const large = pictures.filter((name) => statSync(join(root, 'docs', 'demos', name)).size >= 250_000);
  assert(pictures.length === 4 * (demos.length + 1) && !large.length, `${pictures.length}, large: ${large}`);
  for (const { name } of demos) {
    const sources = readdirSync(join(root, 'demos', name)).filter((file) => /\.(ts|wgsl)$/.test(file));
    const lines = sources.flatMap((file) =>
      readFileSync(join(root, 'demos', name, file), 'utf8')
        .trimEnd()
        .split('\n'),
    );
    assert(lines.length < 220, `${name}: ${lines.length} lines`);
  }
});

await run('gallery: its server answers any address, and goes on', async () => {
  const answers = [
    ['site/', 200],
    [`site/?${'x'.repeat(100_000)}`, 200],
    ['site/%', 400],
    ['site/%00', 404],
    ['site/nothing', 404],
    ['site/index.html', 200],
  ];
  for (const [path, status] of answers) {
    const response = await fetch(url + path);
    assert(response.status === status, `${response.status} for ${path.slice(0, 40)}`);
  }
});

/** A page that cannot compute says why, and plays a recording. */
const obstacle =
  (says, options) =>
  async ({ open }) => {
    const demo = await open('', options);
    await until(async () => (await demo.data()).obstacle, 'the obstacle');
    await until(async () => (await demo.text('status')).startsWith('A recorded run'), 'the recording');
    assert((await demo.text('notice')).includes(says), await demo.text('notice'));
    const { look } = await demo.data();
    await until(async () => (await demo.data()).look !== look, 'a recorded run that goes on');
    await demo.press('start');
    const paused = (await demo.data()).look;
    await wait(1000);
    assert((await demo.data()).look === paused, 'a paused recording goes on');
    assert((await demo.text('status')).endsWith('paused.'), await demo.text('status'));
  };

const browsers = { chromium, ...(firefox && !short && { firefox }) };
for (const [kind, path] of Object.entries(browsers)) {
  for (const demo of demos) {
    const first = demo === demos[0];
    const all = { ...ofEach, ...ofPresets(demo.name), ...(first && ofOne) };
    const tests = !short ? all : first ? Object.fromEntries(SHORT.map((title) => [title, all[title]])) : {};
    for (const [title, body] of Object.entries(tests))
      await run(`${kind}: ${demo.name} ${title}`, () => inBrowser(kind, path, demo, body));
  }
  if (short) break;
  for (const [site, { says }] of Object.entries(OBSTACLES))
    await run(`${kind}: says what to do, and plays a recording: ${site}`, () =>
      inBrowser(kind, path, demos[0], obstacle(says, { site })),
    );
  for (const demo of demos)
    await run(`${kind}: ${demo.name} without WebGPU says so and plays its recording`, () =>
      inBrowser(kind, path, demo, obstacle('WebGPU', { gpu: false })),
    );
}
// Firefox has no such switch.
if (!short)
  await run('chromium: says what to do, and plays a recording: insecure', () =>
    inBrowser('chromium', chromium, demos[0], obstacle('not a secure context', { host: 'insecure.test' })),
  );

server.closeAllConnections();
server.close();
rmSync(folder, { recursive: true, force: true });
result.done = true;
record();
process.exitCode = result.failed || !result.passed ? 1 : 0;
