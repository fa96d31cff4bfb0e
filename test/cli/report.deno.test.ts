import { niceRange } from '../../src/cli/axes.ts';
import { html, inline, scriptJson } from '../../src/cli/html.ts';
import { spriteSheet } from '../../src/cli/png.ts';
import { principalPlane, type RunReport, renderReport } from '../../src/cli/report_html.ts';
import { freshSeed, random, test, throws } from '../harness.ts';

const evil = `</script><script>alert(1)</script><img src=x onerror=alert(2)>"'&\u2028 https://evil.example/x.png`;

function mock(text = 'simclr', number = 0.5): RunReport {
  const measured = {
    knn: number,
    augKnn: number,
    linearProbe: number,
    linearProbe1000: number,
    linearProbe100: number,
    linearProbe1000Std: number / 10,
  };
  const sphere = {
    alignment: number,
    uniformity: -number,
    uniformityOptimum: -3.8,
    stdZ: number,
    stdIsotropic: 0.125,
    effectiveRankZ: number,
  };
  const images = { data: new Uint8Array(3 * 16).map((_, i) => 5 * i), height: 4, width: 4, channels: 1 };
  return {
    report: {
      method: text,
      seed: 1,
      steps: 10,
      seconds: number,
      adapter: text,
      loss: number,
      options: { name: text, nested: { [text]: text }, list: [text], nothing: null },
      verdict: text,
      alarm: [],
      gauges: { raw: measured, untrained: { ...measured, ...sphere }, trained: { ...measured, ...sphere } },
    },
    metrics: [1, 2, 3].map((step) => ({
      step,
      loss: number * step,
      alignment: number / step,
      uniformity: -number * step,
      rank: number,
      std: number,
    })),
    spectrum: { untrained: [number, number / 2, 0], trained: [number, number, number] },
    similarities: { untrained: hills(0, 0), trained: hills(0.8, 0.1) },
    map: { x: [0, number, 2], y: [1, 0, number], label: [0, 1, 7], thumbnails: images },
    classNames: [text, `b${text}`],
    gallery: { ...images, label: [0, 1, 1] },
    neighbours: [{ query: 0, trained: [1, 2], raw: [2, 0] }],
  };
}

/** All cosines of views in the bin of one number, those of two images in that of another. */
function hills(positive: number, negative: number) {
  const bins = new Float64Array(50);
  const one = (cosine: number) => bins.with(Math.floor(25 * (cosine + 1)), 1);
  const edges = Float64Array.from({ length: 51 }, (_, i) => i / 25 - 1);
  return { edges, positive: one(positive), negative: one(negative) };
}

test('cosines of pairs: their means in words, the shares as numbers', () => {
  const text = markup(renderReport(mock()));
  for (const part of [
    'trained: mean cosine of views of one image 0.82, of two images 0.10',
    '<th scope="row">0.8</th><td>0.0 %</td><td>0.0 %</td><td>100.0 %</td><td>0.0 %</td>',
  ])
    if (!text.includes(part)) throw new Error(`${part} is not on the page`);
  // No pairs at all, as of embeddings that are not finite.
  const none = new Float64Array(50);
  const empty = { edges: hills(0, 0).edges, positive: none, negative: none };
  if (renderReport({ ...mock(), similarities: { trained: empty } }).includes('NaN')) throw new Error('NaN');
});

/** The page without its data and its own scripts and styles: what the browser takes as markup. */
const markup = (page: string) => page.replace(/(<(script|style)\b[^>]*>)[\s\S]*?<\/\2>/g, '$1</$2>');

function dataOf(page: string) {
  return JSON.parse(/<script type="application\/json" id="data">([\s\S]*?)<\/script>/.exec(page)![1]);
}

test('every string of a run is escaped', () => {
  const page = renderReport(mock(evil));
  // Scripts: the data, uPlot and our own; the text made none.
  if (page.match(/<script/g)!.length !== 3 || page.match(/<\/script/g)!.length !== 3)
    throw new Error('a string made a script');
  const text = markup(page);
  if (/<img|onerror=(?!alert\(2\)&gt;)/.test(text)) throw new Error('a string made an element');
  if (text.split('alert(1)&lt;/script&gt;').length < 10) throw new Error('the strings are not on the page');
  if (dataOf(page).classNames[0] !== evil) throw new Error('the data changed on the way');
});

test('nothing is loaded from the network', () => {
  const page = renderReport(mock(evil));
  const loads = /(?:\b(?:src|href|srcset|action|data|poster)\s*=|url\(|@import)\s*(?!["']?(?:#|data:))/i;
  const tags = markup(page)
    .match(/<[a-z][^>]*>/gi)!
    .map((tag) => tag.replace(/(title|content|aria-label)="[^"]*"/g, ''));
  for (const tag of tags) if (loads.test(tag)) throw new Error(tag);
  const styles = [...page.matchAll(/<style>([\s\S]*?)<\/style>/g)].map(([, style]) => style).join();
  if (loads.test(styles)) throw new Error(loads.exec(styles)![0]);
  if (!page.includes(`content="default-src &#39;none&#39;;`)) throw new Error('no content security policy');
  if (/\b(fetch|XMLHttpRequest|import|WebSocket)\s*\(/.test(page))
    throw new Error('a script asks for the network');
});

test('numbers that are missing or not finite are dashes', () => {
  for (const number of [Number.NaN, Number.POSITIVE_INFINITY, null as unknown as number]) {
    const page = renderReport(mock('simclr', number));
    const text = markup(page);
    for (const word of ['NaN', 'Infinity', 'undefined', '>null<', 'null%'])
      if (text.includes(word)) throw new Error(`${word} in the page for ${number}`);
    dataOf(page);
  }
});

test('a run with nothing measured still has a page', () => {
  const run = mock();
  const nothing = { knn: null, augKnn: null, linearProbe: null, linearProbe1000: null, linearProbe100: null };
  const page = renderReport({
    report: { ...run.report, gauges: { raw: nothing, untrained: nothing, trained: nothing } },
    metrics: [],
    spectrum: { untrained: [], trained: [] },
    classNames: [],
  });
  if (dataOf(page).map !== null || !page.endsWith('</html>\n')) throw new Error(page.slice(-200));
});

test('the page is well formed: unique ids, links that lead somewhere, every figure with a caption', () => {
  const text = markup(renderReport(mock()));
  const ids = [...text.matchAll(/\sid="([^"]*)"/g)].map(([, id]) => id);
  if (new Set(ids).size !== ids.length) throw new Error(`an id is there twice: ${ids}`);
  for (const [, target] of text.matchAll(/(?:href="#|aria-labelledby="|aria-describedby=")([^"]*)"/g))
    if (!ids.includes(target)) throw new Error(`nothing has the id ${target}`);
  const count = (tag: string) => text.split(tag).length - 1;
  if (count('<figure>') !== count('<figcaption') || count('<figure>') < 5)
    throw new Error('a figure has no caption');
  const open: string[] = [];
  const empty = ['meta', 'link', 'br', 'path', 'circle', 'rect', '!doctype'];
  for (const [, slash, tag] of text.matchAll(/<(\/?)([a-z!][a-z0-9]*)[^>]*>/gi)) {
    if (empty.includes(tag.toLowerCase())) continue;
    if (!slash) open.push(tag);
    else if (open.pop() !== tag) throw new Error(`</${tag}> closes another element`);
  }
  if (open.length) throw new Error(`open: ${open}`);
});

test('neighbours of another class have a symbol and words', () => {
  const text = markup(renderReport(mock('shoe')));
  // Of trained [1, 2] and raw [2, 0] three are of another class.
  if (text.split('class="pick wrong"').length !== 4 || text.split('✕</b></span>').length !== 4)
    throw new Error(text);
  if (!text.includes('aria-label="bshoe, another class"')) throw new Error('no words for a wrong neighbour');
  if (!text.includes('0 of 2') || !text.includes('1 of 2')) throw new Error('wrong counts');
});

test('steps are in order and once, the later entry counts', () => {
  const run = mock();
  run.metrics.push({ ...run.metrics[0], step: 2, loss: 9 });
  const { steps, curves } = dataOf(renderReport(run));
  if (String(steps) !== '1,2,3' || curves[0].values[1] !== 9)
    throw new Error(JSON.stringify({ steps, curves }));
});

test('html escapes what did not come from html', () => {
  const got = html`<p title="${`"'`}">${['<', html`<b>${'&'}</b>`, null, false, 0]}</p>`.text;
  if (got !== '<p title="&quot;&#39;">&lt;<b>&amp;</b>0</p>') throw new Error(got);
  if (
    scriptJson({ a: '</script>\u2028', b: Number.NaN }).text !==
    '{"a":"\\u003c/script\\u003e\\u2028","b":null}'
  )
    throw new Error(scriptJson({ a: '</script>\u2028' }).text);
  throws(() => inline('a</SCRIPT>'), /ends its own element/);
});

test('a sprite sheet is a PNG of the images', async () => {
  // 3 images of [2, 3, 1] in 2 columns.
  const data = Uint8Array.from({ length: 18 }, (_, i) => i + 1);
  const png = spriteSheet({ data, height: 2, width: 3, channels: 1, columns: 2 });
  const view = new DataView(png.buffer);
  if (view.getUint32(16) !== 6 || view.getUint32(20) !== 4) throw new Error('wrong size');
  const length = view.getUint32(33);
  const packed = png.slice(41, 41 + length);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  const lines = new Uint8Array(await new Response(stream).arrayBuffer());
  const want = [0, 1, 2, 3, 7, 8, 9, 0, 4, 5, 6, 10, 11, 12, 0, 13, 14, 15, 0, 0, 0, 0, 16, 17, 18, 0, 0, 0];
  if (String([...lines]) !== String(want)) throw new Error(String([...lines]));
  throws(() => spriteSheet({ data, height: 4, width: 3, channels: 1 }), /no whole number/);
  throws(() => spriteSheet({ data, height: 3, width: 3, channels: 2 }), /expected 1 or 3 channels/);
});

test('the principal plane finds the two directions with the largest variance', () => {
  const values = random(freshSeed());
  const [n, d] = [300, 7];
  const noise = values.normal(n * d);
  // Axis 4 has the largest spread, axis 1 the second; everything is shifted.
  const scale = [0.1, 2, 0.1, 0.2, 6, 0.1, 0.1];
  const data = Float32Array.from(noise, (value, i) => value * scale[i % d] + 3);
  const { x, y } = principalPlane(data, n, d);
  const column = (j: number) => {
    const values = Array.from({ length: n }, (_, i) => data[i * d + j]);
    const mean = values.reduce((a, b) => a + b) / n;
    return values.map((value) => value - mean);
  };
  const correlation = (a: number[], b: number[]) => {
    const dot = (p: number[], q: number[]) => p.reduce((sum, value, i) => sum + value * q[i], 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };
  if (correlation(x, column(4)) < 0.99 || correlation(y, column(1)) < 0.95)
    throw new Error(`${correlation(x, column(4))} ${correlation(y, column(1))}`);
  if (Math.abs(correlation(x, y)) > 1e-3) throw new Error('the axes are correlated');
  const again = principalPlane(data, n, d);
  if (String(again.x) !== String(x) || String(again.y) !== String(y)) throw new Error('not deterministic');
});

test('the plane of points that do not vary is a point', () => {
  for (const d of [1, 2, 5]) {
    const { x, y } = principalPlane(new Float32Array(4 * d).fill(0.5), 4, d);
    if ([...x, ...y].some((value) => value !== 0)) throw new Error(String([x, y]));
  }
  throws(() => principalPlane(new Float32Array(7), 2, 4), /expected 8 numbers, got 7/);
});

test('axes begin and end on a tick', () => {
  for (const values of [[0, 1], [-3.91, -0.7], [0.0012, 0.0013], [5], [], [Number.NaN, 2], [0, 1e6]]) {
    const { low, high, ticks } = niceRange(values);
    const finite = values.filter(Number.isFinite);
    if (!finite.every((value) => value >= low - 1e-9 && value <= high + 1e-9))
      throw new Error(`${values}: ${low} to ${high}`);
    if (ticks.length < 2 || ticks.length > 9 || ticks[0] !== low || ticks.at(-1) !== high)
      throw new Error(`${values}: ${ticks}`);
  }
});
