// Takes the pictures of the demos, and records the run that is shown without WebGPU: npm run demos -- --record.
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, openDemo, until } from './browser.mjs';

/** Steps of a recorded run, and points of its frames. */
const STEPS = 300;
const POINTS = 250;
const SIZES = [
  [1440, 1000],
  [390, 844],
];

/**
 * @param {string} root of the repository
 * @param {{ name: string, change?: { step: number, set: Record<string, number> } }[]} demos
 * @param {string} url where they are served
 * @param {string} browserPath of Chromium
 */
export async function takePictures(root, demos, url, browserPath) {
  const browser = await launch('chromium', browserPath);
  const folder = join(root, 'docs', 'demos');
  mkdirSync(folder, { recursive: true });
  const say = (file) => console.log(`${file}: ${(statSync(file).size / 1000).toFixed(0)} kB`);
  try {
    for (const { name, change } of demos) {
      const demo = await openDemo(browser, `${url}${name}/`, { width: 1440, height: 1000 });
      const { page } = demo;
      await demo.built();
      const recording = await record(demo, change);
      const file = join(root, 'demos', name, 'recording.json');
      writeFileSync(file, JSON.stringify(recording));
      say(file);
      for (const theme of ['light', 'dark']) {
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }]);
        for (const [width, height] of SIZES) {
          await page.setViewport({ width, height });
          await settle(page);
          say(await shoot(page, folder, `${name}-${theme}-${width}`, '#charts'));
        }
        await page.setViewport({ width: 1440, height: 1000 });
        await page.$eval('#canvas', ({ style }) => (style.aspectRatio = '16 / 10'));
        await settle(page);
        const canvas = await page.$('#canvas');
        const path = join(root, 'demos', name, `picture-${theme}.webp`);
        await canvas.screenshot({ path, type: 'webp', quality: 80 });
        say(path);
        await page.$eval('#canvas', ({ style }) => (style.aspectRatio = ''));
      }
      await page.close();
    }
  } finally {
    await browser.close();
  }
}

/** The gallery's own page, once the pictures on its cards are there. */
export async function takeGallery(root, url, browserPath) {
  const browser = await launch('chromium', browserPath);
  const page = await browser.newPage();
  for (const theme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }]);
    for (const [width, height] of SIZES) {
      await page.setViewport({ width, height });
      await page.goto(url);
      await shoot(page, join(root, 'docs', 'demos'), `gallery-${theme}-${width}`, 'main');
    }
  }
  await browser.close();
}

/** Shows the page down to the end of an element. */
async function shoot(page, folder, name, last) {
  const path = join(folder, `${name}.webp`);
  const { width } = page.viewport();
  const end = await page.$eval(last, (element) => element.getBoundingClientRect().bottom + scrollY);
  const clip = { x: 0, y: 0, width, height: Math.ceil(end) + 24 };
  await page.screenshot({ path, type: 'webp', quality: 90, clip });
  return path;
}

/** Layout, colours and the picture follow within a few frames; a software adapter takes a while for each. */
const settle = (page) => page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1500)));

async function record(demo, change) {
  const frames = [];
  let changed = !change;
  await demo.press('start');
  for (let step = 10; step <= STEPS; step += 10) {
    await demo.reach(step);
    if (!changed && step >= change.step) {
      for (const [name, value] of Object.entries(change.set)) await demo.set(name, value);
      changed = true;
    }
    const { metrics, positions, labels } = await demo.moment();
    if (metrics.step === frames.at(-1)?.metrics.step) continue;
    const bytes = Int8Array.from(positions.slice(0, 3 * POINTS), (x) => Math.round(100 * x));
    const short = JSON.parse(
      JSON.stringify(metrics, (_, x) => (typeof x === 'number' ? Number(x.toPrecision(4)) : x)),
    );
    frames.push({ metrics: short, points: Buffer.from(bytes.buffer).toString('base64') });
    if (step === 10) frames.labels = labels.slice(0, POINTS);
  }
  await demo.pause();
  await until(async () => (await demo.text('status')).startsWith('Paused'), 'the pause');
  return { labels: frames.labels, frames: [...frames] };
}
