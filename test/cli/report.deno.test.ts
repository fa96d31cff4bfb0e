import { commandOf } from '../../src/cli/about.ts';
import { niceRange } from '../../src/cli/chart.ts';
import { html, inline, scriptJson } from '../../src/cli/html.ts';
import { neighbourMap } from '../../src/cli/neighbour_map.ts';
import { type ImageOptions, parse } from '../../src/cli/options.ts';
import { shrunk, spriteSheet } from '../../src/cli/png.ts';
import { principalPlane } from '../../src/cli/principal_plane.ts';
import type { ReportedLayers, RunReport } from '../../src/cli/report.ts';
import { renderReport } from '../../src/cli/report_html.ts';
import { freshSeed, random, test, throws } from '../harness.ts';
import { lacks } from './metric_set.ts';

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
      ...{ title: text, date: '2026-12-01T12:31:07Z', command: `npm start -- ${text}` },
      data: {
        ...{ name: text, train: 10_000, test: 2000, height: 28, width: 28, channels: 1, classes: 10 },
        ...{ mean: [0.25], std: [0.5] },
      },
      options: { encoder: 'cnn', name: text, nested: { [text]: text }, list: [text], nothing: null },
      verdict: text,
      alarm: [],
      metrics: { raw: measured, untrained: { ...measured, ...sphere }, trained: { ...measured, ...sphere } },
    },
    curves: [1, 2, 3].map((step) => ({
      step,
      loss: number * step,
      alignment: number / step,
      uniformity: -number * step,
      rank: number,
      std: number,
    })),
    spectrum: { untrained: [number, number / 2, 0], trained: [number, number, number] },
    similarities: { untrained: hills(0, 0), trained: hills(0.8, 0.1) },
    map: {
      layouts: [
        { encoder: 'trained', kind: 'neighbours', x: [0, number, 2], y: [1, 0, number] },
        { encoder: 'raw', kind: 'neighbours', x: [2, 0, number], y: [number, 1, 0] },
        { encoder: 'trained', kind: 'plane', x: [1, 0, 2], y: [1, 0, 2] },
      ],
      label: [0, 1, 7],
      thumbnails: images,
    },
    classNames: [text, `b${text}`],
    gallery: { ...images, label: [0, 1, 1] },
    neighbours: {
      ...{ k: 2, queries: 1000, gallery: 3, of: 3 },
      shares: { raw: { mean: number, error: 0.01 }, trained: { mean: number, error: number } },
      gains: { raw: { mean: number, error: 0.01 } },
      shown: [{ query: 0, trained: [1, 2], raw: [2, 0] }],
    },
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

test('what longer runs gain is said of a method that knows, and of no other', () => {
  const { report, ...run } = mock();
  const pageOf = (method: string) => markup(renderReport({ ...run, report: { ...report, method } }));
  if (!pageOf('ddpm').includes('<h3>Longer runs</h3>')) throw new Error('ddpm says nothing of longer runs');
  for (const method of ['simclr', 'toString'])
    if (pageOf(method).includes('Longer runs')) throw new Error(`${method} speaks of longer runs`);
});

test('only of a method that trains with views it is said that alignment should fall', () => {
  const { report, ...run } = mock();
  const pageOf = (method: string) => markup(renderReport({ ...run, report: { ...report, method } }));
  const falls = 'alignment ends low';
  const no = 'does not train for them';
  for (const [method, said, unsaid] of [
    ['simclr', falls, no],
    ['vae', no, falls],
  ])
    if (!pageOf(method).includes(said) || pageOf(method).includes(unsaid)) throw new Error(method);
});

test('the curves of a method without z are said to be of h', () => {
  const { report, ...run } = mock();
  const page = markup(renderReport({ ...run, report: { ...report, method: 'vae' } }));
  for (const part of ['std of z</h3>', 'std are of z'])
    if (!page.includes(part)) throw new Error(`${part} is not on the page`);
  const metrics = { raw: { knn: 0.5 }, untrained: { effectiveRankH: 3 }, trained: { effectiveRankH: 2 } };
  const ofH = markup(renderReport({ ...run, report: { ...report, method: 'mae', metrics } }));
  for (const part of ['std of h</h3>', 'std are of h', 'alignment and uniformity of h'])
    if (!ofH.includes(part)) throw new Error(`${part} is not on the page`);
  for (const part of ['std of z', 'std are of z'])
    if (ofH.includes(part)) throw new Error(`${part} is on the page`);
});

/** The page without its data and its own scripts and styles: what the browser takes as markup. */
const markup = (page: string) => page.replace(/(<(script|style)\b[^>]*>)[\s\S]*?<\/\2>/g, '$1</$2>');

function dataOf(page: string) {
  return JSON.parse(/<script type="application\/json" id="data">([\s\S]*?)<\/script>/.exec(page)![1]);
}

/** A layer curve of four layers, the third of them h. */
function layersOf(text = 'encoder', number: number | null = 0.5): ReportedLayers {
  const row = (name: string, shape: number[], width: number, accuracy: number | null) => ({
    ...{ name, op: 'conv2d', shape, width },
    ...{ knn: accuracy, augKnn: accuracy, linearProbe: accuracy, invariance: number, effectiveRank: number },
  });
  return {
    rows: [
      { ...row('pixels', [28, 28, 1], 784, number), op: 'input' },
      row(text, [14, 14, 16], 784, number && number + 0.3),
      { ...row(`${text}.h`, [256], 256, number && number + 0.2), role: 'h' },
      { ...row(`${text}.z`, [64], 64, number), role: 'z' },
    ],
    ...{ train: 2000, test: 1000, notes: [text] },
  };
}

test('layers: which of h and z is better, the best layer, all numbers', () => {
  const { report, ...run } = mock();
  const section = (layers: ReportedLayers | undefined) => {
    const page = renderReport({ ...run, report: { ...report, layers } });
    return markup(/<section id="layers"[\s\S]*?<\/section>/.exec(page)?.[0] ?? '');
  };
  const said = section(layersOf()).replaceAll('\u00a0', ' ');
  for (const part of [
    'By a linear probe, h has 70.0 % and z 50.0 %: keep h; encoder is the best layer with 80.0 %, 10.0 points above h.',
    'By augmented k-NN, h has 70.0 % and z 50.0 %: keep h;',
    '2,000 training and 1,000 test images',
    '<td>14 × 14 × 16, as 784</td>',
    '<td>256</td><td class="plain">70.0 %</td>',
    '<td class="best">80.0 %</td>',
    '<small>convolution</small>',
    'k-NN from 50.0 % at the pixels to 50.0 % at the last layer',
  ])
    has(said, part);
  const close = layersOf();
  const near = close.rows.map((row) => ({ ...row, knn: 0.8, augKnn: 0.8, linearProbe: 0.8 }));
  has(
    section({ ...close, rows: near }).replaceAll('\u00a0', ' '),
    'h has 80.0 % and z 80.0 %, no clear difference on so few images; no layer is clearly better than h.',
  );
  // Without labels, without z, of one layer, of none.
  const plain = close.rows.map(({ knn: _, augKnn: __, linearProbe: ___, ...row }) => row);
  const unlabelled = section({ ...close, rows: plain });
  has(unlabelled, 'Without labels, only invariance and effective rank are measured.');
  lacks(unlabelled, 'k-NN');
  has(section({ ...close, rows: close.rows.slice(0, 3) }), 'to the representation h');
  for (const rows of [close.rows.slice(0, 1), layersOf('x', null).rows, layersOf('x', Number.NaN).rows])
    for (const word of ['NaN', 'undefined', 'Infinity', 'null']) lacks(section({ ...close, rows }), word);
  if (section({ ...close, rows: [] }) || section(undefined)) throw new Error('a section without layers');
  lacks(section(layersOf('<img src=x>')), '<img');
});

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
  const page = renderReport({
    report: { ...run.report, metrics: { raw: {}, untrained: {}, trained: {} } },
    curves: [],
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
});

test('the share of right neighbours is of all queries, and a gain within two standard errors is no evidence', () => {
  const page = (mean: number) => {
    const run = mock();
    run.neighbours!.shares = {
      raw: { mean: 0.7467, error: 0.0068 },
      untrained: { mean: 0.7157, error: 0.0069 },
      trained: { mean: 0.7741, error: 0.0064 },
    };
    run.neighbours!.gains = { raw: { mean, error: 0.0042 }, untrained: { mean: 0.0584, error: 0.0043 } };
    return markup(renderReport(run));
  };
  has(
    page(0.0275),
    '77.4 % ± 0.6',
    '74.7 % ± 0.7',
    '71.6 % ± 0.7',
    '2.8 ± 0.4 points more than raw pixels',
    'over 1,000 test images',
  );
  has(
    page(-0.0275),
    '2.8 ± 0.4 points fewer than raw pixels; 5.8 ± 0.4 points more than the untrained encoder',
  );
  has(page(-0.008), 'no clear difference from raw pixels (−0.8 ± 0.4 points)');
});

function has(text: string, ...parts: string[]): void {
  for (const part of parts) if (!text.includes(part)) throw new Error(`${part} is not in ${text}`);
}

test('what fails is named, and the rest of the page is there', () => {
  const run = mock('shoe');
  run.map!.thumbnails = { ...run.map!.thumbnails!, width: 5 };
  run.failures = ['neighbours by raw pixels: out of memory'];
  const page = renderReport(run);
  has(
    page,
    'Not in this report: neighbours by raw pixels: out of memory; map: images: 48 bytes are no whole number',
  );
  has(page, 'id="neighbours"', 'id="metrics"', 'id="run"');
  if (page.includes('id="map"') || dataOf(page).map !== null) throw new Error('half a map');
});

test('a report says what was run on what, how to repeat it, and how to go on', () => {
  const text = markup(renderReport(mock('SimCLR on shoes')));
  has(text, '<h1>SimCLR on shoes</h1>', '<title>SimCLR on shoes – Hypersphere report</title>');
  has(
    text,
    '<span>10,000 training and 2,000 test images</span><span>28\u00a0×\u00a028, gray</span><span>10 classes</span><span>seed 1</span><span>1 December 2026</span>',
  );
  has(
    text,
    '<code>npm start -- SimCLR on shoes</code>',
    'nn.cnnEncoder({ height: 28, width: 28, channels: 1 })',
    'mean: [0.25]',
  );
  // What is null was not given.
  if (text.includes('<dt>nothing</dt>')) throw new Error('an option without a value is listed');
});

test('the rows of the table stand in groups, and a missing number has its reason', () => {
  const run = mock();
  const { trained } = run.report.metrics;
  run.report.metrics.trained = {
    ...trained,
    invariance: Number.NaN,
    notes: ['linear probe, 100 labels: 96, 12 of each of 8 classes'],
    k: 12,
    linearProbe100Labels: 96,
  };
  const text = markup(renderReport(run));
  has(text, '>Accuracy on h</th>', '>Spread over the sphere, and collapse</th>');
  has(
    text,
    '<li>invariance of h: undefined',
    '<li>linear probe, 100 labels: 96, 12 of each of 8 classes (trained)</li>',
    '<small>k = 12</small>',
    '<small>96 labels</small>',
  );
  if (text.includes('>Spectrum</th>')) throw new Error('a group without rows');
});

test('an alarm is marked as one', () => {
  const run = mock();
  run.report.alarm = [{ kind: 'complete', since: 20, evidence: ['<all>'], remedy: 'negatives' }];
  has(
    renderReport(run),
    '<p class="alarm" role="alert"><strong>Alarm: </strong>complete collapse since step 20: &lt;all&gt;',
  );
});

test('the command of a run has what is not a default, quoted for a shell', () => {
  const options = parse([]).options as ImageOptions;
  const got = commandOf({
    ...options,
    seed: 3,
    data: ["it's here.gz", 'labels.gz'],
    learningRate: 1e-3,
    tune: false,
  });
  const want = `npm start -- --method simclr --data 'it'\\''s here.gz,labels.gz' --learning-rate 0.001 --seed 3 --no-tune`;
  if (got !== want) throw new Error(got);
  const byol = parse(['--method', 'byol', '--momentum', '0.9']).options;
  if (commandOf(byol) !== 'npm start -- --method byol --momentum 0.9') throw new Error(commandOf(byol));
  // It is read back to the same options.
  const again = parse(
    commandOf({ ...byol, epochs: 3 })
      .split(' ')
      .slice(3),
  ).options;
  if (JSON.stringify(again) !== JSON.stringify({ ...byol, epochs: 3 }))
    throw new Error(JSON.stringify(again));
});

test('steps are in order and once, the later entry counts', () => {
  const run = mock();
  run.curves.push({ ...run.curves[0], step: 2, loss: 9 });
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
});

/** The pixels of a PNG that spriteSheet made, its lines one after the other. */
async function pixelsOf(
  png: Uint8Array<ArrayBuffer>,
): Promise<{ width: number; height: number; channels: number; pixels: number[] }> {
  const view = new DataView(png.buffer);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const packed = png.slice(41, 41 + view.getUint32(33));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const stride = bytes.length / height;
  const pixels = [...bytes].filter((_, i) => i % stride !== 0);
  return { width, height, channels: (stride - 1) / width, pixels };
}

test('images of any number of channels have a picture: two side by side, RGBA over a checkerboard', async () => {
  const sheet = async (channels: number, data: number[], width: number) => {
    const { pixels, ...size } = await pixelsOf(
      spriteSheet({ data: Uint8Array.from(data), height: 1, width, channels }) as Uint8Array<ArrayBuffer>,
    );
    return JSON.stringify([size.width, size.height, size.channels, pixels]);
  };
  const expect = (got: string, want: unknown) => {
    if (got !== JSON.stringify(want)) throw new Error(`${got}, expected ${JSON.stringify(want)}`);
  };
  expect(await sheet(2, [1, 11, 2, 12, 3, 13], 3), [6, 1, 1, [1, 2, 3, 11, 12, 13]]);
  expect(await sheet(5, [1, 2, 3, 4, 5], 1), [5, 1, 1, [1, 2, 3, 4, 5]]);
  // Opaque, transparent, half transparent; the checkerboard begins with white.
  expect(await sheet(4, [9, 8, 7, 255, 9, 8, 7, 0, 0, 0, 0, 51], 3), [
    ...[3, 1, 3],
    [9, 8, 7, 255, 255, 255, 204, 204, 204],
  ]);
});

test('large images are shrunk to means, small ones stay', () => {
  const data = Uint8Array.from([0, 10, 20, 30, 40, 50, 60, 70]);
  const small = shrunk({ data, height: 2, width: 4, channels: 1 }, 2);
  if (small.height !== 1 || small.width !== 2 || String(small.data) !== '25,45')
    throw new Error(JSON.stringify(small));
  const same = { data, height: 2, width: 4, channels: 1 };
  if (shrunk(same, 4) !== same) throw new Error('a small image was changed');
  // A line of 1 x 8 keeps at least a pixel of height.
  if (shrunk({ data, height: 1, width: 8, channels: 1 }, 3).height !== 1) throw new Error('no pixel is left');
});

test('the map of neighbours keeps clusters together that a plane mixes, the same each time', () => {
  const values = random(freshSeed());
  const [n, d, clusters] = [160, 24, 8];
  const centres = values.normal(clusters * d);
  const rows = Float32Array.from(values.normal(n * d), (value, i) => {
    const cluster = Math.floor(i / d) % clusters;
    return 0.4 * value + centres[cluster * d + (i % d)];
  });
  const purity = ({ x, y }: { x: number[]; y: number[] }) => {
    let right = 0;
    for (let i = 0; i < n; i++) {
      const near = Array.from({ length: n }, (_, j) => [(x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2, j])
        .filter(([, j]) => j !== i)
        .sort((a, b) => a[0] - b[0]);
      right += near.slice(0, 5).filter(([, j]) => j % clusters === i % clusters).length;
    }
    return right / (5 * n);
  };
  const map = neighbourMap(rows, n, d, { perplexity: 10 });
  const [found, plane] = [purity(map), purity(principalPlane(rows, n, d))];
  if (found < 0.9 || found < plane) throw new Error(`map ${found}, plane ${plane}`);
  if (JSON.stringify(neighbourMap(rows, n, d, { perplexity: 10 })) !== JSON.stringify(map))
    throw new Error('another map of the same rows');
});

test('a map of few, equal or huge rows is finite; of numbers that are not it is refused', () => {
  for (const [rows, n, d] of [
    [[1, 2], 1, 2],
    [[1, 2, 3], 3, 1],
    [new Array(40).fill(0.5), 20, 2],
    [[0, 0, 0, 0, 0, 1], 6, 1],
    [Array.from({ length: 30 }, (_, i) => 1e15 * Math.sin(i)), 10, 3],
  ] as const) {
    const { x, y } = neighbourMap(rows as number[], n, d, { iterations: 50 });
    if (x.length !== n || ![...x, ...y].every(Number.isFinite)) throw new Error(`${n} rows: ${x} ${y}`);
  }
  throws(() => neighbourMap([1, Number.NaN, 3, 4, 5], 5, 1), /expected finite numbers/);
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
