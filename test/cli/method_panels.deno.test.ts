import * as assert from 'uvu/assert';
import { drawPanels, numbersOf, panelSection, panelSheets } from '../../src/cli/method_panels.ts';
import { dataset } from '../../src/data/dataset.ts';
import { reshape } from '../../src/graph/tensor.ts';
import type { Panel } from '../../src/methods/panel.ts';
import { add } from '../../src/ops/binary.ts';
import { mean } from '../../src/ops/reduce.ts';
import { concatenate, slice } from '../../src/ops/shape.ts';
import { square } from '../../src/ops/unary.ts';
import { close, device, freshSeed, random, test } from '../harness.ts';

const [N, H, W, C] = [5, 2, 3, 3];
const pixels = Uint8Array.from(random(freshSeed()).integers(N * H * W * C, 0, 256));
const images = dataset({ pixels, count: N, height: H, width: W, channels: C, classes: 0 });

const about = { title: 'A <panel>', caption: 'What it is & shows.' };
const whole: Panel = {
  ...{ kind: 'pictures', ...about, rows: ['first', 'second'] },
  pictures: (x) => reshape(slice(x, { starts: [0, 0, 0, 0], sizes: [4, H, W, C] }), [2, 2, H, W, C]),
};
const table: Panel = {
  ...{
    kind: 'table',
    ...about,
    rows: ['all'],
    columns: ['red', 'green', 'blue'],
    corner: 'images',
    digits: 2,
  },
  cells: (x) => reshape(add(mean(reshape(x, [-1, C]), { axes: 0 }), 1), [1, C]),
};

test('pictures have the pixels of the images that they show', async () => {
  const { panels, failures } = await drawPanels(await device(), [whole], images);
  assert.equal(failures, []);
  const [panel] = panels;
  assert.is(panel.kind, 'pictures');
  if (panel.kind !== 'pictures') return;
  assert.equal(panel.images, { ...panel.images, height: H, width: W, channels: C, columns: 2 });
  assert.equal(panel.images.data, pixels.subarray(0, 4 * H * W * C));
});

test('a table has the numbers that its graph computes', async () => {
  const { panels } = await drawPanels(await device(), [table], images);
  // The mean of standardised pixels is 0, and 1 is added.
  const [{ red, green, blue }] = Object.values(numbersOf(panels)['A <panel>']);
  close([red, green, blue], [1, 1, 1], { abs: 1e-5 });
  assert.match(panelSection(panels)!.body.text, /(<td>1\.00<\/td>){3}/);
});

test('a table of numbers of each image has all images, in batches', async () => {
  const count = 700;
  const all = Uint8Array.from(random(freshSeed()).integers(count, 0, 256));
  const many = dataset(
    { pixels: all, count, height: 1, width: 1, channels: 1, classes: 0 },
    { mean: 0, std: 1 },
  );
  const batches: number[] = [];
  const panel: Panel = {
    ...{ ...table, rows: ['pixels'], columns: ['mean', 'mean square'] },
    perImage(x) {
      batches.push(x.shape[0]);
      const pixel = reshape(x, [-1, 1]);
      return concatenate([pixel, square(pixel)], { axis: 1 });
    },
    cells: (numbers) => mean(numbers, { axes: 0, keepDims: true }),
  };
  const { panels } = await drawPanels(await device(), [panel], many);
  assert.ok(batches.every((size) => size < count));
  const of = (power: number) => all.reduce((sum, value) => sum + (value / 255) ** power, 0) / count;
  assert.equal(Object.keys(numbersOf(panels)['A <panel>']), ['pixels']);
  const { mean: first, 'mean square': second } = numbersOf(panels)['A <panel>'].pixels;
  close([first, second], [of(1), of(2)], { rel: 1e-5 });
});

test('rows that a panel follows are above it; earlier rows of another size are refused', async () => {
  const followed = { ...whole, followed: 'second' };
  const data = new Uint8Array(2 * H * W * C).fill(9);
  const earlier = [3, 5].map((step) => ({
    ...{ step, panel: whole.title, images: { data, height: H, width: W, channels: C } },
  }));
  const other = { ...earlier[0], panel: 'Another' };
  const { panels } = await drawPanels(await device(), [followed], images, [other, ...earlier]);
  assert.equal(panels[0].rows, ['first', 'second at step 3', 'second at step 5', 'second']);
  const [panel] = panels;
  if (panel.kind !== 'pictures') return assert.unreachable();
  const row = 2 * H * W * C;
  assert.equal(panel.images.data.slice(0, row), pixels.slice(0, row));
  assert.ok(panel.images.data.slice(row, 3 * row).every((value) => value === 9));
  assert.equal(panel.images.data.slice(3 * row), pixels.slice(row, 2 * row));
  const wrong = { ...earlier[0], images: { ...earlier[0].images, data: data.slice(1) } };
  const { failures } = await drawPanels(await device(), [followed], images, [wrong]);
  assert.match(failures[0], /moments\.jsonl has pictures of another size/);
});

test('a panel of another shape is named and left out; the others are kept', async () => {
  const wrong: Panel = { ...table, title: 'Wrong', rows: ['one', 'two'] };
  const { panels, failures } = await drawPanels(await device(), [wrong, table], images);
  assert.is(panels.length, 1);
  assert.match(failures[0], /^Wrong: .*expected \[2, 3\], got \[1, 3\]/);
});

test('the section: titles are escaped, each picture is named', async () => {
  const { panels } = await drawPanels(await device(), [whole, table], images);
  const text = panelSection(panels)!.body.text;
  assert.match(text, /<h3>A &lt;panel&gt;<\/h3>/);
  assert.is(text.match(/sheet-panel-0/g)!.length, 4);
  assert.match(text, /aria-label="A &lt;panel&gt;, second"/);
  assert.match(text, /<th scope="row">all<\/th>/);
  assert.equal(
    panelSheets(panels).map((sheet) => sheet !== undefined),
    [true, false],
  );
  assert.is(panelSection([]), undefined);
});
