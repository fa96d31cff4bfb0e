// The tests of the demos in browsers: node test/demos/main.mjs [PATTERN...] [--short]. npm run test:demos calls it.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildDemos, readDemos, serveDemos } from '../../demos.mjs';
import { launch, openDemo, until } from './browser.mjs';

const short = process.argv.includes('--short');
const patterns = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const { PUPPETEER_EXECUTABLE_PATH: chromium, HYPERSPHERE_FIREFOX: firefox } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What each demo promises: presets by their place, and what is true after some steps. */
const PROMISES = {
  hypersphere: [
    {
      preset: 0,
      steps: 60,
      holds: (g, first) => g.loss < first.loss && g.alignment < 0.4 && g.knn > first.knn,
    },
    {
      preset: 3,
      steps: 60,
      holds: (g, first) => g.alignment < 0.6 * first.alignment && g.uniformity > first.uniformity + 0.15,
    },
    { preset: 4, steps: 30, holds: (g) => g.alignment > 0.5 && g.uniformity < -1.3 },
  ],
  collapse: [
    { preset: 0, steps: 60, holds: (g, first) => g.loss < first.loss && g.rank > 10, alarm: '' },
    { preset: 1, steps: 80, holds: (g) => g.loss < -0.95 && g.std < 0.06, alarm: 'complete collapse' },
    { preset: 7, steps: 60, holds: (g) => g.alignment < 0.05 && g.std < 0.05, alarm: 'complete collapse' },
  ],
};

const assert = (ok, what) => {
  if (!ok) throw new Error(what);
};
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** The tests of a demo: each gets a page of its own. */
const tests = {
  async 'steps, resets and reseeds to the same numbers'({ open }) {
    const demo = await open();
    await demo.built();
    const run = async () => [await demo.one(), await demo.one(), await demo.one()];
    const first = await run();
    assert(first[2].loss !== first[0].loss, 'the loss does not move');
    await demo.press('reset');
    await until(async () => (await demo.data()).look === '0', 'the reset');
    const again = await run();
    assert(same(first, again), `after a reset ${JSON.stringify(again)}, at first ${JSON.stringify(first)}`);
    await demo.press('reseed');
    await demo.built(2);
    assert(/seed=\d+/.test(demo.page.url()), `no seed in ${demo.page.url()}`);
    assert(!same(first[0], await demo.one()), 'another seed, the same numbers');
  },

  async 'starts and pauses'({ open }) {
    const demo = await open();
    const clicked = Date.now();
    await demo.press('start');
    await until(async () => (await demo.step()) > 0, 'the first steps');
    console.log(`     first steps ${Date.now() - clicked} ms after a click at once`);
    await demo.reach(20);
    await demo.pause();
    const step = await demo.step();
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert((await demo.step()) === step, 'it trains while it is paused');
    assert((await demo.text('status')).includes(`${step}`), await demo.text('status'));
  },

  async 'restores settings and seed from the address'({ open, page: settingsOf }) {
    const demo = await open('?seed=7');
    await demo.built();
    const [name, value] = settingsOf;
    await demo.set(name, value);
    const { search } = new URL(demo.page.url());
    assert(search.includes('seed=7') && search.includes(`${name}=${value}`), search);
    const gauges = await demo.one();
    await demo.page.reload();
    await demo.built();
    assert(same(gauges, await demo.one()), 'the same address, other numbers');
    const shown = await demo.page.$eval(`#set-${name}`, (e) =>
      e.type === 'checkbox' ? Number(e.checked) : e.value,
    );
    assert(String(shown) === String(value), `shows ${shown}`);
  },

  async 'saves and loads the encoder'({ open, folder }) {
    const demo = await open();
    await demo.built();
    const embeddings = ({ loss, ...gauges }) => gauges;
    const before = embeddings(await demo.one());
    await demo.press('save');
    const bytes = await until(
      () => demo.page.evaluate(async () => self.kept && [...new Uint8Array(await self.kept.arrayBuffer())]),
      'the file',
    );
    const file = join(folder, 'encoder.safetensors');
    writeFileSync(file, Buffer.from(bytes));
    assert(!same(embeddings(await demo.one()), before), 'a step changes nothing');
    await (await demo.page.$('#load')).uploadFile(file);
    await until(async () => same(embeddings(await demo.gauges()), before), 'the loaded embeddings');
    writeFileSync(file, 'no safetensors at all');
    await (await demo.page.$('#load')).uploadFile(file);
    await until(async () => (await demo.text('notice')).includes('safetensors'), 'a clear error');
  },

  async 'shows an image and its neighbours'({ open }) {
    const demo = await open();
    await demo.built();
    await demo.page.focus('#canvas');
    await demo.page.keyboard.press('ArrowRight');
    await until(
      () => demo.page.$eval('#card', (card) => !card.hidden && card.children.length === 6),
      'the card',
    );
    assert((await demo.text('stage-text')).includes('Nearest by cosine'), await demo.text('stage-text'));
    await demo.page.keyboard.press('Escape');
    await until(() => demo.page.$eval('#card', (card) => card.hidden), 'no card');
  },

  async 'survives the loss of the device'({ open }) {
    const demo = await open();
    await demo.built();
    await demo.press('start');
    await demo.reach(10);
    await demo.press('lose');
    await until(async () => (await demo.text('notice')).includes('lost'), 'the message');
    await demo.page.click('#notice button');
    await demo.built(2);
    await until(async () => (await demo.step()) === 0, 'the step of the last checkpoint');
    await demo.one();
  },

  async 'has no serious accessibility violation'({ open }) {
    const demo = await open();
    await demo.built();
    await demo.one();
    for (const theme of ['light', 'dark']) {
      await demo.page.evaluate((theme) => (document.documentElement.dataset.theme = theme), theme);
      await demo.page.evaluate(axe);
      const { violations } = await demo.page.evaluate(() => axe.run());
      const bad = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      const lines = bad.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      assert(!bad.length, `${theme}: ${lines.join('\n')}`);
    }
  },

  async 'keeps what its presets promise'({ open, name }) {
    const demo = await open();
    await demo.built();
    let times = 1;
    for (const { preset, steps, holds, alarm } of PROMISES[name] ?? []) {
      await demo.page.$$eval('#presets button', (all, i) => all[i].click(), preset);
      await demo.built(++times);
      await demo.reach(10);
      const first = await demo.gauges();
      await demo.reach(steps);
      const gauges = await demo.gauges();
      assert(
        holds(gauges, first),
        `preset ${preset}: ${JSON.stringify(gauges)}, at step 10 ${JSON.stringify(first)}`,
      );
      const said = await demo.text('alarm');
      if (alarm !== undefined)
        assert(alarm ? said.includes(alarm) : !said, `preset ${preset}: ${said || 'no alarm'}`);
      await demo.pause();
    }
  },

  async 'uses no more memory after 1,000 steps'({ open }) {
    const demo = await open();
    await demo.built();
    const [worker] = demo.page.workers();
    const heap = async () => {
      await worker.client.send('HeapProfiler.collectGarbage');
      return (await worker.client.send('Runtime.getHeapUsage')).usedSize;
    };
    await worker.evaluate(() => {
      self.held = 0;
      for (const [Type, make] of [
        [GPUDevice, 'createBuffer'],
        [GPUDevice, 'createTexture'],
      ]) {
        const made = Type.prototype[make];
        Type.prototype[make] = function (...args) {
          self.held++;
          return made.apply(this, args);
        };
      }
      for (const Type of [GPUBuffer, GPUTexture]) {
        const { destroy } = Type.prototype;
        Type.prototype.destroy = function () {
          self.held--;
          return destroy.apply(this);
        };
      }
    });
    await demo.press('start');
    await demo.reach(100);
    const [before, held] = [await heap(), await worker.evaluate(() => self.held)];
    await until(async () => Number((await demo.data()).look) >= 1100, '1,000 steps', 900);
    const grown = (await heap()) - before;
    const more = (await worker.evaluate(() => self.held)) - held;
    assert(more <= 0, `${more} more GPU objects`);
    assert(grown < 1e6, `${grown} bytes more of JavaScript`);
  },
};

/** Of every demo: a setting to change for the test of the address. */
const SETTING = { hypersphere: ['alignWeight', 2], collapse: ['stopGradient', 0] };
/** Minutes long, so in one demo only; and Firefox tells of neither heap nor worker. */
const MEMORY = 'uses no more memory after 1,000 steps';
/** What `npm test` runs, with one demo. */
const SHORT = ['steps, resets and reseeds to the same numbers'];

const folder = mkdtempSync(join(tmpdir(), 'hypersphere-demos-'));
const built = join(folder, 'site');
const result = { passed: 0, failed: 0, done: false };
function record(running) {
  const file = process.env.HYPERSPHERE_TEST_RESULT;
  if (file) writeFileSync(file, JSON.stringify({ ...result, running, until: Date.now() + 1_200_000 }));
}

async function run(name, body) {
  if (patterns.length && !patterns.some((pattern) => name.includes(pattern))) return;
  record(name);
  const start = performance.now();
  try {
    await body();
    result.passed++;
    console.log(`ok   ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    result.failed++;
    console.log(`FAIL ${name}: ${error.message}`);
  }
}

/** Runs tests of demos in a browser. */
async function inBrowser(kind, path, demos, names) {
  const wanted = demos.flatMap(({ name }) =>
    names.map((test) => ({ name, test, title: `${kind}: ${name} ${test}` })),
  );
  const mine = wanted.filter(
    ({ title }) => !patterns.length || patterns.some((pattern) => title.includes(pattern)),
  );
  if (!mine.length) return;
  // One for all: in a second Chromium the device was lost while it compiled. Firefox may crash: each test has its own.
  const shared = kind === 'chromium' ? await launch(kind, path) : null;
  for (const { name, test, title } of mine) {
    await run(title, async () => {
      const browser = shared ?? (await launch(kind, path));
      let demo;
      const open = async (query = '') => {
        demo = await openDemo(browser, `${url}${name}/${query}`);
        // Keeps what is offered for download.
        await demo.page.evaluate(() => {
          const make = URL.createObjectURL;
          URL.createObjectURL = (blob) => {
            self.kept = blob;
            return make(blob);
          };
        });
        return demo;
      };
      try {
        await tests[test]({ open, name, kind, folder, page: SETTING[name] });
        assert(!demo?.errors.length, `console errors: ${demo?.errors.join('; ')}`);
      } finally {
        await (shared ? demo?.page.close() : browser.close());
      }
    });
  }
  await shared?.close();
}

await buildDemos(built);
// Not at the root of its server: every address in it is relative.
const { server, url } = await serveDemos(built, { path: '/some/where/' });
const demos = readDemos();

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

if (short) await inBrowser('chromium', chromium, demos.slice(0, 1), SHORT);
else {
  const names = Object.keys(tests).filter((name) => name !== MEMORY);
  await inBrowser('chromium', chromium, demos, names);
  await inBrowser('chromium', chromium, demos.slice(0, 1), [MEMORY]);
  if (firefox) await inBrowser('firefox', firefox, demos, names);
  for (const { name } of demos)
    await run(`chromium: ${name} without WebGPU says so and plays a recording`, async () => {
      const browser = await launch('chromium', chromium, { gpu: false });
      try {
        const demo = await openDemo(browser, `${url}${name}/`);
        await until(async () => (await demo.data()).obstacle, 'the obstacle');
        await until(async () => (await demo.text('status')).startsWith('A recorded run'), 'the recording');
        assert((await demo.text('notice')).includes('WebGPU'), await demo.text('notice'));
        const look = (await demo.data()).look;
        await until(async () => (await demo.data()).look !== look, 'a recorded run that goes on');
        assert(!demo.errors.length, `console errors: ${demo.errors.join('; ')}`);
      } finally {
        await browser.close();
      }
    });
}

server.closeAllConnections();
server.close();
rmSync(folder, { recursive: true, force: true });
result.done = true;
record();
process.exitCode = result.failed || !result.passed ? 1 : 0;
