// What is tested of a demo's page. Each test opens pages of its own: `open(query, { site, calm })`.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { until, wait } from './browser.mjs';
import { PROMISES, SETTING } from './promises.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const assert = (ok, what) => {
  if (!ok) throw new Error(what);
};
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
/** Seconds from a click to moving points: promised on this machine when idle, and the most that a busy one may take. */
const [PROMISED, MOST] = [5, 20];

/** Of every demo. */
export const ofEach = {
  async 'moves its points soon after a click'({ open, kind }) {
    const asked = Date.now();
    const demo = await open('', { site: 'probed' });
    const clicked = Date.now();
    await demo.press('start');
    await until(async () => Number((await demo.data()).drawn) > 0, 'moved points');
    const now = Date.now();
    const [click, address] = [clicked, asked].map((since) => (now - since) / 1000);
    console.log(
      `     points move ${click.toFixed(1)} s after a click at once, ${address.toFixed(1)} s after the address was entered; in Chromium ${PROMISED} s are promised`,
    );
    assert(kind === 'firefox' || click < MOST, `${click} s`);
    // The kernels of the metrics are not asked for before that.
    const { atFirst } = await demo.probe();
    assert(atFirst.asked === atFirst.ready, `${atFirst.ready} of ${atFirst.asked} kernels were compiled`);
    await demo.reach(1);
    const { pipelines } = await demo.probe();
    assert(pipelines.asked > atFirst.asked, 'no kernels of metrics');
    await demo.pause();
  },

  async 'compiles nothing after a click'({ open }) {
    const demo = await open('', { site: 'probed', calm: true });
    await demo.built();
    const { positions } = await demo.moment();
    const { pipelines } = await demo.probe();
    assert(pipelines.asked > 0 && pipelines.ready === pipelines.asked, JSON.stringify(pipelines));
    await demo.press('start');
    await demo.reach(10);
    await demo.pause();
    assert(same((await demo.probe()).pipelines, pipelines), 'kernels were compiled after the click');
    const moved = (await demo.moment()).positions;
    const far = moved.filter((x, i) => Math.abs(x - positions[i]) > 0.01).length;
    assert(far > moved.length / 10, `${far} of ${moved.length} coordinates moved`);
  },

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
    await until(() => /seed=\d+/.test(demo.page.url()), 'a seed in the address');
    assert(!same(first[0], await demo.one()), 'another seed, the same numbers');
  },

  async 'starts and pauses'({ open }) {
    const demo = await open();
    await demo.built();
    await demo.press('start');
    await demo.reach(20);
    await demo.pause();
    const step = await demo.step();
    await wait(500);
    assert((await demo.step()) === step, 'it trains while it is paused');
    assert((await demo.text('status')).includes(`${step}`), await demo.text('status'));
  },

  async 'restores settings and seed from the address'({ open, name }) {
    const demo = await open('?seed=7');
    await demo.built();
    const [setting, value] = SETTING[name];
    await demo.set(setting, value);
    const search = () => new URL(demo.page.url()).searchParams;
    await until(() => search().get(setting) === `${value}` && search().get('seed') === '7', 'the address');
    const metrics = await demo.one();
    await demo.page.reload();
    await demo.built();
    assert(same(metrics, await demo.one()), 'the same address, other numbers');
    const shown = await demo.page.$eval(`#set-${setting}`, (e) =>
      e.type === 'checkbox' ? Number(e.checked) : e.value,
    );
    assert(String(shown) === String(value), `shows ${shown}`);
  },

  async 'takes settings as soon as they are set'({ open, name }) {
    const demo = await open();
    await demo.built();
    const [setting, value] = SETTING[name];
    // A model is being built anew meanwhile, and another waits.
    await demo.page.$$eval('#presets button', ([first]) => [first, first].map((button) => button.click()));
    await demo.set(setting, value);
    await demo.built(3);
    await demo.pause();
    await demo.press('reset');
    await until(async () => (await demo.data()).look === '0', 'the reset');
    const metrics = await demo.one();
    // Far more often than browsers let an address change.
    for (let i = 0; i < 250; i++) await demo.set(setting, value);
    await until(() => demo.page.url().endsWith(`?${setting}=${value}`), 'the address');
    await demo.page.reload();
    await demo.built();
    assert(same(metrics, await demo.one()), 'it trained with another setting than it showed');
  },

  async 'saves and loads the encoder'({ open, folder }) {
    const demo = await open();
    await demo.built();
    const embeddings = ({ loss, ...metrics }) => metrics;
    const before = embeddings(await demo.one());
    const file = join(folder, 'encoder.safetensors');
    writeFileSync(file, await demo.download('save'));
    assert(!same(embeddings(await demo.one()), before), 'a step changes nothing');
    await (await demo.page.$('#load')).uploadFile(file);
    await until(async () => same(embeddings(await demo.metrics()), before), 'the loaded embeddings');
    writeFileSync(file, 'no safetensors at all');
    await (await demo.page.$('#load')).uploadFile(file);
    await until(async () => (await demo.text('notice')).includes('safetensors'), 'a clear error');
    await demo.page.click('#notice button');
    await demo.one();
  },

  async 'refuses files that are no encoder of its own, and goes on from where it was'({ open, folder }) {
    // Its address is too long, so it begins with its own settings.
    const demo = await open(`?seed=3&alignWeight=0&rest=${'x'.repeat(12_000)}`);
    await demo.built();
    assert((await demo.text('notice')).includes('too long'), await demo.text('notice'));
    assert((await demo.text('facts')).includes('seed 0'), await demo.text('facts'));
    await until(() => !demo.page.url().includes('?'), 'a short address');
    await demo.page.click('#notice button');
    const states = [await demo.one(), await demo.one()];
    await demo.press('reset');
    await until(async () => (await demo.data()).look === '0', 'the reset');
    await demo.one();

    const saved = await demo.download('save');
    const file = join(folder, 'hostile.safetensors');
    const refused = async (what, bytes) => {
      writeFileSync(file, bytes);
      await (await demo.page.$('#load')).uploadFile(file);
      const said = await until(() => demo.text('notice'), `a message about ${what}`);
      await demo.page.click('#notice button');
      assert(said.length < 1000, `${said.length} characters about ${what}`);
      assert(!(await demo.text('status')).includes('Stopped'), `${what} stops the page: ${said}`);
    };
    const hostile = Object.entries(hostileFiles(saved));
    for (const [what, bytes] of hostile) await refused(what, bytes);
    assert((await demo.step()) === 1, `step ${await demo.step()}`);
    const next = await demo.one();
    assert(same(next, states[1]), `goes on with ${JSON.stringify(next)}, not ${JSON.stringify(states[1])}`);
    // A refused file does not stop a run.
    await demo.press('start');
    await demo.reach(10);
    await refused(...hostile[0]);
    const at = await demo.step();
    await until(async () => (await demo.step()) > at, 'steps after a refused file');
    await demo.pause();
    writeFileSync(file, saved);
    await (await demo.page.$('#load')).uploadFile(file);
    const embeddings = ({ loss, ...metrics }) => metrics;
    await until(async () => same(embeddings(await demo.metrics()), embeddings(states[0])), 'the good file');
    assert((await demo.text('notice')) === '', await demo.text('notice'));
  },

  async 'shows an image and its neighbours'({ open }) {
    const demo = await open('', { calm: true });
    await demo.built();
    const card = (count) =>
      demo.page.$eval('#card', (e, n) => (e.hidden ? 0 : e.children.length) === n, count);
    await demo.page.focus('#canvas-box');
    await demo.page.keyboard.press('ArrowRight');
    await until(() => card(6), 'the card');
    assert((await demo.text('told')).includes('Nearest by cosine'), await demo.text('told'));
    await demo.page.keyboard.press('Escape');
    await until(() => card(0), 'no card');
    const { positions } = await demo.moment();
    const { x, y, width, height } = await (await demo.page.$('#canvas')).boundingBox();
    const unit = Math.min(width, height) / 2 / (await reachOf(demo));
    const at = [x + width / 2 + positions[0] * unit, y + height / 2 - positions[1] * unit];
    await demo.page.mouse.move(...at);
    await until(() => card(6), 'the card of the image under the pointer');
    await demo.page.mouse.move(x + 2, y + 2);
    await until(() => card(0), 'no card');
    await demo.page.touchscreen.tap(...at);
    await until(() => card(6), 'the card of the image that was tapped');
    await wait(300);
    assert(await card(6), 'the card went with the finger');
  },

  async 'survives the loss of the device'({ open }) {
    const demo = await open();
    await demo.built();
    await demo.press('start');
    await demo.reach(10);
    await demo.page.$eval('#lose', (e) => e.scrollIntoView());
    await demo.press('lose');
    const lost = () => until(async () => (await demo.text('notice')).includes('lost'), 'the message');
    await lost();
    const top = await demo.page.$eval('#notice', (e) => e.getBoundingClientRect().top);
    assert(top >= 0 && top < 800, `the message is ${top} pixels down the window`);
    await demo.page.click('#notice button');
    // It goes on as it was: training, from its last checkpoint.
    await demo.built(2);
    await demo.reach(10);
    await demo.pause();
    await demo.one();
    // Lost while a model is built.
    let built = 0;
    for (const ms of [0, 200, 800]) {
      await demo.page.$$eval('#presets button', (all) => all.at(-1).click());
      await wait(ms);
      await demo.press('lose');
      await lost();
      built = Number((await demo.data()).built) + 1;
      await demo.page.click('#notice button');
      await demo.built(built);
      await demo.pause();
      await demo.one();
    }
    // Another model makes a device of its own.
    await demo.press('lose');
    await lost();
    await demo.page.$$eval('#presets button', ([first]) => first.click());
    await demo.built(built + 1);
    await demo.reach(10);
    assert((await demo.text('notice')) === '', await demo.text('notice'));
  },

  async 'is usable with a keyboard and a screen reader'({ open }) {
    const demo = await open();
    await demo.built();
    const { page } = demo;
    await demo.one();
    const told = await page.$$eval('#charts figure', (all) =>
      all.map((figure) => figure.querySelector('[aria-label]')?.ariaLabel ?? figure.lastChild.textContent),
    );
    const numbers = await demo.metrics();
    const loss = numbers.loss.toFixed(4).replace('-', '−');
    assert(told[0].includes(`${loss} at step 1`), `the chart of the loss says ${told[0]}`);
    assert(
      told.every((text) => /\d/.test(text)),
      `charts say ${told.join(' | ')}`,
    );

    await page.evaluate(() => {
      self.reached = new Set();
      addEventListener('focusin', ({ target }) => reached.add(target));
    });
    const missed = () =>
      page.$$eval('a[href], button, input, select, summary, [tabindex]', (all) =>
        all.filter((e) => e.checkVisibility() && !e.disabled && !reached.has(e)).map((e) => e.outerHTML),
      );
    // Not further than needed: behind the last element Firefox goes on in its own tool bars.
    for (let i = (await missed()).length + 5; i > 0 && (await missed()).length; i--)
      await page.keyboard.press('Tab');
    assert(!(await missed()).length, `the Tab key does not reach ${(await missed()).join(' ')}`);
    await page.focus('#start');
    await page.keyboard.press('Enter');
    await until(async () => (await demo.data()).running === 'true', 'a start by keyboard');
    await demo.pause();

    for (const theme of ['light', 'dark']) {
      await page.evaluate((theme) => (document.documentElement.dataset.theme = theme), theme);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => self.axe.run());
      const bad = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      const lines = bad.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      assert(!bad.length, `${theme}: ${lines.join('\n')}`);
    }
  },

  async 'has a promise for each preset'({ open, name }) {
    const demo = await open();
    const presets = await demo.page.$$eval('#presets button', (all) => all.map((e) => e.textContent));
    assert(same(presets, Object.keys(PROMISES[name])), `the presets are ${presets.join(', ')}`);
  },
};

/** Of a demo's presets, one test for each: after a reset and one step, after some more, and after its cure, its metrics are as promised. */
export const ofPresets = (name) =>
  Object.fromEntries(
    Object.entries(PROMISES[name]).map(([preset, { steps, holds, alarm, cure }], i) => [
      `keeps what its preset promises: ${preset}`,
      async ({ open }) => {
        const demo = await open();
        await demo.built();
        await demo.page.$$eval('#presets button', (all, i) => all[i].click(), i);
        await demo.built(2);
        await demo.pause();
        await demo.press('reset');
        await until(async () => (await demo.data()).look === '0', 'the reset');
        const first = await demo.one();
        await demo.press('start');
        await demo.reach(steps);
        await demo.pause();
        const last = await demo.metrics();
        const said = await demo.text('alarm');
        const short = (metrics) =>
          JSON.stringify(metrics, (_, x) => (x?.toPrecision ? +x.toPrecision(3) : x));
        const words = `${short(last)}, after one step ${short(first)}, ${said || 'no alarm'}`;
        assert(holds(last, first) && (alarm ? said.includes(alarm) : !said), words);
        if (!cure) return;
        await demo.set(...cure.set);
        await demo.press('start'); // Where a model is built anew, behind that.
        await demo.reach(steps + cure.steps);
        await demo.pause();
        const healed = await demo.metrics();
        const still = await demo.text('alarm');
        assert(cure.holds(healed, last) && !still, `${short(healed)}, before the cure ${words}; ${still}`);
      },
    ]),
  );

/** Of what all demos share: once. */
export const ofOne = {
  async 'offers its image and its numbers'({ open }) {
    const demo = await open();
    await demo.built();
    await demo.one();
    const lines = (await demo.download('metrics')).toString().trim().split('\n').map(JSON.parse);
    assert(
      same(
        lines.map(({ step }) => step),
        [0, 1],
      ),
      `steps ${lines.map(({ step }) => step)}`,
    );
    assert(lines[1].loss === (await demo.metrics()).loss, 'another loss than on the page');
    const { colors, width } = await pixelsOf(demo);
    assert(width > 300 && colors > 20, `an image ${width} wide with ${colors} colours`);
  },

  async 'tries again to load its images'({ open }) {
    const demo = await open('', { site: 'flaky' });
    await until(async () => (await demo.text('notice')).includes('HTTP 503'), 'the message');
    assert((await demo.text('status')) === 'Stopped.', await demo.text('status'));
    await demo.page.click('#notice button');
    await demo.built();
    await demo.one();
  },

  async 'is not drawn while it has no size'({ open }) {
    const demo = await open();
    await demo.built();
    await demo.one();
    const colors = () => demo.page.evaluate(colorsOf);
    await until(async () => (await colors()) > 20, 'the first picture');
    await demo.page.$eval('#canvas', ({ style }) => (style.display = 'none'));
    await demo.one();
    await wait(1000);
    assert((await colors()) > 20, `a picture of ${await colors()} colours`);
  },

  async 'turns by itself, by drag and by keys'({ open }) {
    const places = async (demo) => (await demo.moment()).positions;
    const turns = async (demo, act) => {
      const before = await places(demo);
      await act();
      await wait(300);
      return !same(before, await places(demo));
    };
    // Nothing is learned there, so points hardly move but for turning.
    const drift = async (demo) => {
      await demo.built();
      assert(!(await turns(demo, () => wait(300))), 'turns before it was started');
      await demo.press('start');
      await demo.reach(30);
      const before = await places(demo);
      await wait(3000);
      const after = await places(demo);
      await demo.pause();
      return after.reduce((sum, x, i) => sum + Math.abs(x - before[i]), 0) / after.length;
    };
    const still = '?width=3&alignWeight=0&uniformWeight=0';
    const [lively, calm] = [await drift(await open(still)), await drift(await open(still, { calm: true }))];
    assert(lively > 2 * calm, `points move by ${lively}, by ${calm} where nothing should turn`);

    const demo = await open('?width=3', { calm: true });
    await demo.built();
    const { mouse, touchscreen, keyboard } = demo.page;
    assert(!(await turns(demo, () => wait(300))), 'turns by itself although that is not wanted');
    const canvas = await demo.page.$('#canvas-box');
    const { x, y, width, height } = await canvas.boundingBox();
    const [left, top] = [x + width / 2, y + height / 2];
    const dragged = async () => {
      await mouse.move(left, top);
      await mouse.down();
      await mouse.move(left + 40, top + 30);
      await mouse.up();
    };
    assert(await turns(demo, dragged), 'a mouse does not turn it');
    assert(!(await turns(demo, () => mouse.move(left, top))), 'a mouse without a button turns it');
    const swiped = async () => {
      await touchscreen.touchStart(left, top);
      for (let by = 10; by <= 60; by += 10) await touchscreen.touchMove(left + by, top);
      await touchscreen.touchEnd();
    };
    assert(await turns(demo, swiped), 'a finger does not turn it');
    await canvas.focus();
    const pressed = async () => {
      await keyboard.down('Shift');
      await keyboard.press('ArrowLeft');
      await keyboard.up('Shift');
    };
    assert(await turns(demo, pressed), 'keys do not turn it');
    const positions = await places(demo);
    const lengths = positions.flatMap((x, i) =>
      i % 3 ? [] : [Math.hypot(x, positions[i + 1], positions[i + 2])],
    );
    assert(
      lengths.every((length) => Math.abs(length - 1) < 1e-3),
      'turned points left the sphere',
    );
  },

  async 'is light or dark as chosen'({ open }) {
    const demo = await open();
    await demo.built();
    const brightness = async () => {
      const page = await demo.page.$eval('body', (e) => getComputedStyle(e).backgroundColor.match(/\d+/g)[0]);
      return [Number(page), (await pixelsOf(demo)).corner];
    };
    for (const [theme, right] of [
      ['light', (x) => x > 200],
      ['dark', (x) => x < 60],
    ]) {
      await demo.press('theme');
      assert((await demo.text('theme')) === `Theme: ${theme}`, await demo.text('theme'));
      const seen = await brightness();
      assert(seen.every(right), `${theme}: page and picture are as bright as ${seen}`);
    }
    await demo.page.reload();
    assert((await demo.text('theme')) === 'Theme: dark', 'the choice is forgotten');
    await demo.press('theme');
    assert((await demo.text('theme')) === 'Theme: auto', await demo.text('theme'));
  },

  async 'goes on training in a hidden tab'({ open }) {
    const demo = await open();
    await demo.built();
    await demo.press('start');
    const other = await demo.page.browser().newPage();
    await other.bringToFront();
    await until(() => demo.page.evaluate(() => document.hidden), 'a hidden tab');
    const step = await demo.step();
    await until(async () => (await demo.step()) >= step + 30, 'steps in the background');
    await other.close();
  },

  async 'goes on after it ran out of memory'({ open }) {
    const demo = await open('?seed=3', { site: 'probed' });
    await demo.built();
    await demo.one();
    const before = await demo.one();
    const tell = (exhausted) =>
      demo.page.evaluate((exhausted) => new BroadcastChannel('probe').postMessage({ exhausted }), exhausted);
    await tell(true);
    await demo.page.$$eval('#presets button', (all) => all.at(-1).click());
    await until(async () => (await demo.text('notice')).includes('out of GPU memory'), 'the message');
    assert((await demo.text('notice')).includes('Go on from step 2'), await demo.text('notice'));
    await tell(false);
    await demo.page.click('#notice button');
    await demo.built(2);
    const { loss, ...metrics } = await demo.metrics();
    const { loss: _, ...wanted } = before;
    assert(
      same(metrics, wanted),
      `went on with ${JSON.stringify(metrics)}, before ${JSON.stringify(wanted)}`,
    );
    await until(() => demo.page.url().endsWith('?seed=3'), 'the address');
    assert((await demo.step()) === 2, `step ${await demo.step()}`);
    await demo.one();
  },

  async 'uses no more memory after 1,000 steps'({ open, kind }) {
    const demo = await open('', { site: 'probed' });
    await demo.built();
    const [worker] = demo.page.workers();
    const heap = async () => {
      const clients = [worker.client, await demo.page.createCDPSession()];
      let used = 0;
      for (const client of clients) {
        await client.send('HeapProfiler.collectGarbage');
        used += (await client.send('Runtime.getHeapUsage')).usedSize;
      }
      return used;
    };
    await demo.press('start');
    await demo.reach(200);
    // Firefox does not tell how much JavaScript holds.
    const tells = kind === 'chromium';
    const [before, first] = [tells && (await heap()), await demo.probe()];
    await until(async () => Number((await demo.data()).look) >= 1200, '1,000 steps', 900);
    const last = await demo.probe();
    console.log(`     ${last.objects} GPU objects, ${(last.bytes / 1e6).toFixed(1)} MB`);
    assert(first.bytes > 1e6, `${first.bytes} bytes are seen on the GPU`);
    assert(last.bytes <= first.bytes, `${last.bytes} bytes on the GPU, ${first.bytes} after 200 steps`);
    assert(last.objects <= first.objects, `${last.objects} objects, ${first.objects} after 200 steps`);
    if (!tells) return;
    const grown = (await heap()) - before;
    console.log(`     JavaScript of page and worker grew by ${(grown / 1e3).toFixed(0)} kB`);
    assert(grown < 1e6, `${grown} bytes more of JavaScript`);
  },
};

/** Files like a saved one, each with one fault. */
function hostileFiles(saved) {
  const start = 8 + Number(saved.readBigUInt64LE());
  const header = JSON.parse(saved.subarray(8, start));
  const [name, weight] = Object.entries(header).find(([, { shape }]) => shape?.length === 2);
  const variance = Object.keys(header).find((key) => key.endsWith('runningVariance'));
  const written = (json, data = saved.subarray(start)) => {
    const text = Buffer.from(typeof json === 'string' ? json : JSON.stringify(json));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    return Buffer.concat([length, text, data]);
  };
  const typed = (json) => written({ ...header, [name]: { ...weight, dtype: json } });
  /** Every value of some tensors becomes one number. */
  const valued = (value, of = Object.keys(header)) => {
    const data = Buffer.from(saved.subarray(start));
    for (const key of of.filter((key) => key !== '__metadata__'))
      for (let [at, end] = header[key].data_offsets; at < end; at += 4) data.writeFloatLE(value, at);
    return written(header, data);
  };
  const deep = `${'['.repeat(3000)}${']'.repeat(3000)}`;
  const { [name]: _, ...others } = header;
  const text = JSON.stringify(header);
  return {
    'an object as type': typed({ toString: 1 }),
    'a deep list as type': written(text.replace(/"dtype":"F32"/, `"dtype":${deep}`)),
    'a tensor called __proto__': written(text.replace(JSON.stringify(name), '"__proto__"')),
    'a long name': written({ ...others, ['x'.repeat(1e5)]: weight }),
    'another shape': written({ ...header, [name]: { ...weight, shape: weight.shape.toReversed() } }),
    'a file that is cut off': saved.subarray(0, saved.length - 100),
    'no number': valued(Number.NaN, [name]),
    'an infinite number': valued(Number.POSITIVE_INFINITY, [name]),
    'huge numbers': valued(1e30),
    'zeros only': valued(0),
    ...(variance && { 'a negative variance': valued(-1, [variance]) }),
    nothing: Buffer.alloc(0),
    'a picture': Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB', 'base64'),
  };
}

/** How far the picture reaches, in radii of the sphere, as the painter has it. */
const reachOf = async (demo) => ((await demo.page.$('#set-width')) ? 1.38 : 1.12);

/** How many colours the page's canvas shows. */
async function colorsOf() {
  const bitmap = await createImageBitmap(document.querySelector('#canvas'));
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  return new Set(new Uint32Array(context.getImageData(0, 0, bitmap.width, bitmap.height).data.buffer)).size;
}

/** What the downloaded image is like. */
async function pixelsOf(demo) {
  const bytes = await demo.download('image');
  assert(bytes.subarray(1, 4).toString() === 'PNG', 'no PNG');
  return demo.page.evaluate(async () => {
    const bitmap = await createImageBitmap(self.kept);
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext('2d');
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const colors = new Set(new Uint32Array(data.buffer));
    return { width, colors: colors.size, corner: data[0] };
  });
}
