import * as assert from 'uvu/assert';
import { drawPanels, panelSection, panelSheets } from '../../src/cli/method_panels.ts';
import { dataset } from '../../src/data/dataset.ts';
import { reshape } from '../../src/graph/tensor.ts';
import type { Panel } from '../../src/methods/panel.ts';
import { add } from '../../src/ops/binary.ts';
import { mean } from '../../src/ops/reduce.ts';
import { slice } from '../../src/ops/shape.ts';
import { device, freshSeed, random, test } from '../harness.ts';

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
  assert.equal(panels, [{ ...panels[0], kind: 'table', cells: [['1.00', '1.00', '1.00']] }] as typeof panels);
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
