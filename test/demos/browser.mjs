// A browser on a demo's page, as the tests and the screenshots use it.
import puppeteer from 'puppeteer';

const CHROMIUM = [
  ...['--no-sandbox', '--no-first-run', '--disable-background-networking', '--disable-component-update'],
  ...['--disable-sync', '--disable-quic'],
  // A name that is no localhost, for a page that is no secure context.
  '--host-resolver-rules=MAP insecure.test localhost',
];
const WITH_GPU = [
  ...['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
  // With these a canvas drawn with WebGPU shows in screenshots.
  ...['--enable-features=Vulkan', '--use-vulkan=swiftshader', '--use-angle=swiftshader'],
];
const FIREFOX = {
  'dom.webgpu.enabled': true,
  'gfx.webgpu.ignore-blocklist': true,
  'gfx.webgpu.force-enabled': true,
};

/**
 * @param {'chromium' | 'firefox'} kind
 * @param {string} executablePath
 * @param {{ gpu?: boolean, calm?: boolean }} options gpu false: without WebGPU; calm: who uses it prefers reduced motion
 */
export const launch = (kind, executablePath, { gpu = true, calm = false } = {}) =>
  puppeteer.launch({
    browser: kind === 'firefox' ? 'firefox' : 'chrome',
    executablePath,
    headless: true,
    protocolTimeout: 120_000,
    ...(kind === 'firefox'
      ? {
          extraPrefsFirefox: {
            ...(gpu ? FIREFOX : { 'dom.webgpu.enabled': false }),
            'ui.prefersReducedMotion': Number(calm),
          },
        }
      : {
          // A list of its own: puppeteer takes --enable-features out of the one it is given, and without Vulkan a second Chromium
          // could not show a WebGPU canvas: its device was lost ("Device was destroyed").
          args: [
            ...CHROMIUM,
            ...(gpu ? WITH_GPU : ['--disable-gpu']),
            ...(calm ? ['--force-prefers-reduced-motion'] : []),
          ],
        }),
  });

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `read` gives something true, and gives it back. */
export async function until(read, what, seconds = 60) {
  const end = Date.now() + 1000 * seconds;
  for (;;) {
    const value = await read();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await wait(50);
  }
}

/** A demo's page, with what the tests ask it. */
export async function openDemo(browser, url, { width = 1280, height = 900 } = {}) {
  const page = await browser.newPage();
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(String(error)));
  const { origin } = new URL(url);
  page.on('request', (request) => {
    const { protocol, origin: asked } = new URL(request.url());
    if (protocol.startsWith('http') && asked !== origin) errors.push(`a request of ${request.url()}`);
  });
  await page.setViewport({ width, height });
  await page.goto(url);
  // What is offered for download is kept.
  await page.evaluate(() => {
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => {
      self.kept = blob;
      return make(blob);
    };
    HTMLAnchorElement.prototype.click = () => {};
  });
  const self = {
    page,
    errors,
    press: (id) => page.$eval(`#${id}`, (element) => element.click()),
    /** What stands on the page for tests and style sheets. */
    data: () => page.$eval('body', ({ dataset }) => ({ ...dataset })),
    step: async () => Number((await self.data()).step ?? -1),
    metrics: () =>
      page.$$eval('#numbers data', (all) =>
        Object.fromEntries(
          all.map(({ id, value }) => [id.slice('metric-'.length), value === '' ? null : Number(value)]),
        ),
      ),
    text: (id) => page.$eval(`#${id}`, ({ textContent, hidden }) => (hidden ? '' : textContent)),
    /** Waits until a model was built `times` times, and its first metrics are there. */
    async built(times = 1) {
      const ready = async () => Number((await self.data()).built) >= times && (await self.data()).look;
      try {
        await until(ready, 'the model is built', 120);
      } catch (error) {
        const said = [
          await self.text('status'),
          await self.text('notice'),
          JSON.stringify(await self.data()),
        ];
        throw new Error(`${error.message}; the page says ${said.join(' | ')}`);
      }
    },
    reach: (step) => until(async () => Number((await self.data()).look) >= step, `step ${step}`, 300),
    /** Stops, and waits until it has. */
    async pause() {
      if ((await self.data()).running === 'true') await self.press('start');
      await until(async () => (await self.data()).running === 'false', 'the pause');
    },
    /** One step, and its metrics. */
    async one() {
      const before = Number((await self.data()).look);
      await self.press('step');
      await until(async () => Number((await self.data()).look) === before + 1, 'one step');
      return self.metrics();
    },
    /** In the folder "probed": what the GPU holds, and which pipelines were asked for. */
    probe: () =>
      page.evaluate(
        () =>
          new Promise((resolve) => {
            const channel = new BroadcastChannel('probe');
            channel.onmessage = ({ data }) => resolve(data);
            channel.postMessage({});
          }),
      ),
    /** The last metrics, and where the points are. */
    moment: () =>
      page.evaluate(
        () =>
          new Promise((resolve) => {
            const take = ({ detail: { metrics, positions, labels } }) =>
              resolve({ metrics, positions: [...positions], labels: [...labels] });
            addEventListener('moment', take, { once: true });
            dispatchEvent(new Event('ask-moment'));
          }),
      ),
    /** The bytes that a button offers for download. */
    async download(id) {
      await page.evaluate(() => delete self.kept);
      await self.press(id);
      const read = () =>
        page.evaluate(async () => self.kept && [...new Uint8Array(await self.kept.arrayBuffer())]);
      return Buffer.from(await until(read, `what "${id}" offers`));
    },
    /** Sets a control as a visitor does. */
    set: (name, value) =>
      page.$eval(
        `#set-${name}`,
        (element, value) => {
          if (element.type === 'checkbox') element.checked = value === 1;
          else element.value = value;
          element.dispatchEvent(new Event(element.type === 'range' ? 'input' : 'change', { bubbles: true }));
        },
        value,
      ),
  };
  return self;
}
