// What of the benchmark can be tested without timing anything.
import * as assert from 'uvu/assert';
import { test, throws } from '../harness.ts';
import { pageOf } from './html.ts';
import { firstWorks, parse } from './options.ts';
import { emptyResult, type Results } from './results.ts';
import { exponent } from './statistics.ts';
import { tableOf } from './table.ts';
import { ddimSteps, inputsOf, series, works } from './works.ts';

const near = (actual: number, expected: number) =>
  assert.ok(Math.abs(actual / expected - 1) < 1e-9, `expected ${expected}, got ${actual}`);
const work = (name: string) => works.find((one) => one.name === name)!;

test('the fitted exponent is that of a power, whatever its factor', () => {
  const x = [64, 128, 256, 1024];
  for (const p of [0, 1, 1.5, 2])
    assert.ok(Math.abs(exponent(x.map((one) => [one, 3 * one ** p])) - p) < 1e-12);
});

test('operations: products count two a multiply-add, layers three products, the first layer two', () => {
  near(work('matmul-512').flops, 2 * 512 ** 3);
  near(work('ntxent-2048').flops, 6 * 2048 * 2048 * 128);
  const layers = 512 * (3 * (784 * 512 + 512 * 256 + 256 * 128) - 784 * 512);
  near(work('mlp').flops, 2 * layers + 6 * 512 * 512 * 128);
  const [c1, c2, c3] = [14 * 14 * 9 * 32, 7 * 7 * 9 * 32 * 64, 4 * 4 * 9 * 64 * 128];
  near(work('cnn').flops, 2 * 256 * (2 * c1 + 3 * (c2 + c3 + 128 * 64)) + 6 * 256 * 256 * 64);
  near(work('conv-forward').flops, 2 * 256 * 20 ** 2 * 32 * 64);
  near(work('knn').flops, 2 * 2000 * 10000 * 128);
  // The scores, their use, both again backward, and three more.
  near(work('attention-49').flops, 7 * 2 * 256 * 4 * 49 * 49 * 16);
  // Four blocks: four products of 64 x 64 and two of 64 x 128 for each of 49 tokens.
  const rows = 256 * 49;
  const vit = 2 * rows * (2 * 16 * 64 + 3 * 4 * (4 * 64 ** 2 + 2 * 64 * 128));
  near(work('vit').flops, vit + 4 * work('attention-49').flops + 6 * 256 * 256 * 64);
  // A step trains with three products for each of sampling's one; its first layer with two.
  near(work('unet').flops, 32 * ((3 * work('ddpm-sampling').flops) / 64 / 4 - 2 * 28 * 28 * 9 * 32));
});

test('every work has its inputs, the same each time', () => {
  const { x, w0, w2 } = inputsOf(work('mlp'));
  assert.is(x.length, 512 * 784);
  assert.is(w0.length, 784 * 512);
  assert.is(w2.length, 256 * 128);
  assert.equal(inputsOf(work('mlp')).w2.subarray(0, 8), w2.subarray(0, 8));
  assert.is(new Set(works.map(({ name }) => name)).size, 19);
  for (const { sizes, work } of series) for (const size of sizes) assert.ok(work(size).flops > 0);
});

test('DDIM: the steps lead from the noise of the last time to images without any', () => {
  const steps = ddimSteps([999, 749, 499, 249]);
  assert.is(steps.length, 4);
  // Predicted exactly, x = signal image + noise epsilon ends in the image itself.
  const noise = (t: number) =>
    Math.sqrt(
      1 - Array.from({ length: t + 1 }, (_, s) => 1 - 1e-4 - (0.0199 * s) / 999).reduce((a, b) => a * b, 1),
    );
  const [image, epsilon] = [0.7, -1.3];
  let x = Math.sqrt(1 - noise(999) ** 2) * image + noise(999) * epsilon;
  for (const { a, b } of steps) x = a * x + b * epsilon;
  near(x, image);
});

test('options: defaults, lists, and a clear word on what is wrong', () => {
  assert.is(parse([]).works.length, works.length);
  assert.equal(
    parse([]).series,
    series.map(({ name }) => name),
  );
  assert.ok(parse(['--only', 'odd']).series.every((name) => name.startsWith('odd-')));
  assert.is(parse([]).minutes, 36);
  assert.is(parse(['--minutes', '2']).minutes, 2);
  throws(() => parse(['--minutes', '0']), /--minutes: expected a number above 0/);
  const quick = parse(['--quick', '--json', 'a.json']);
  assert.is(quick.json, 'a.json');
  assert.equal(quick.series, []);
  assert.equal(firstWorks(quick), ['mlp', 'cnn']);
  const some = parse(['--only', 'knn,mlp', '--engine', 'tfjs', '--adapter', 'gpu', '--repeats', '7']);
  assert.equal(some.works, ['mlp', 'knn']);
  assert.equal(some.engines, ['tfjs']);
  assert.equal(some.adapters, ['gpu']);
  assert.is(some.effort.repeats, 7);
  assert.equal(some.series, []);
  throws(() => parse(['--wrong']), /'--wrong'.*--help/);
  throws(() => parse(['--only', 'mlp,what']), /--only: "what" is unknown; expected matmul-256/);
  throws(() => parse(['--engine', 'torch']), /--engine: "torch" is unknown; expected hypersphere/);
  throws(() => parse(['--repeats', '0']), /--repeats: expected a whole number/);
});

const results = (): Results => ({
  date: '2026-01-01T00:00:00.000Z',
  quick: true,
  adapters: [{ name: 'lavapipe', description: 'llvmpipe', runtime: 'Deno' }],
  results: [
    {
      ...emptyResult('mlp', 'hypersphere', 'lavapipe'),
      ...{ ms: 80, runs: [70, 80, 90], firstMs: 12000, dispatches: 24, submits: 1, objects: 0 },
      ...{
        peakBytes: 2 ** 21,
        fractionOfPeak: 0.42,
        jsMs: 0.4,
        callsMs: 0.3,
        gflops: 19,
        rate: 6400,
        unit: 'images/s',
      },
    },
    { ...emptyResult('mlp', 'jax-js', 'lavapipe'), ms: 320, runs: [320] },
    emptyResult('mlp', 'tfjs', 'lavapipe', 'no <script> & no "device"'),
  ],
  scaling: [
    {
      ...{ series: 'batch', title: 'MLP step, rows', adapter: 'lavapipe', exponent: 1.5 },
      tail: { from: 2048, exponent: 2 },
      points: [
        { size: 64, ms: 10 },
        { size: 4096, ms: 900 },
      ],
    },
  ],
});

test('the table: a row for each engine, reasons in place of numbers', () => {
  const text = tableOf(results());
  for (const part of [
    'lavapipe: llvmpipe in Deno',
    'training step of an MLP',
    '80.0 ms',
    '70.0-90.0 ms',
    'x 4.00',
    '42 %',
    '6,400 images/s',
    '12.0 s',
    'tfjs         did not run: no <script>',
    'size^1.50, from 2,048 on as size^2.00',
  ])
    assert.ok(text.includes(part), `no "${part}" in\n${text}`);
});

test('the page: one real table for each adapter, everything escaped, nothing loaded', () => {
  const page = pageOf(results());
  assert.match(page, /<th scope="row">jax-js<\/th>/);
  assert.match(page, /no &lt;script&gt; &amp; no &quot;device&quot;/);
  assert.match(page, /prefers-color-scheme: dark/);
  assert.match(page, /tabindex="0" role="region" aria-label="Results on lavapipe"/);
  assert.match(page, /width:25\.0%/); // 80 of 320 ms
  assert.not.match(page, /(src|href)=|https?:/);
  assert.not.match(page, /undefined|NaN/);
});
