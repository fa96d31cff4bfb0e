// The panels of a method in a report: computed after training, and drawn.
import { type Dataset, rows as imagesAt } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { constant, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import type { Panel } from '../methods/panel.ts';
import { compute, spacedRows } from '../metrics/compute.ts';
import { formatNumber } from '../metrics/format.ts';
import { add, mul } from '../ops/binary.ts';
import { reason } from './files.ts';
import { type Html, html, type Section } from './html.ts';
import { type Images, shrunk } from './png.ts';
import { place, sheetRule } from './report_images.ts';

/** Held-out images that panels are drawn from, and the longest side of a picture. */
const [SAMPLES, TILE] = [256, 96];

/** A panel with its numbers or pictures. */
export type DrawnPanel = Pick<Panel, 'title' | 'caption' | 'rows'> &
  (
    | { kind: 'pictures'; images: Images }
    | { kind: 'table'; corner: string; columns: readonly string[]; cells: string[][] }
  );

/** Draws the panels of a method. One that fails is left out and named in `failures`; nothing is thrown. */
export async function drawPanels(
  device: Device,
  panels: readonly Panel[],
  images: Dataset,
): Promise<{ panels: DrawnPanel[]; failures: string[] }> {
  const drawn: DrawnPanel[] = [];
  const failures: string[] = [];
  for (const panel of panels) {
    try {
      drawn.push(await draw(device, panel, images));
    } catch (error) {
      failures.push(`${panel.title}: ${reason(error)}`);
    }
  }
  return { panels: drawn, failures };
}

async function draw(device: Device, panel: Panel, images: Dataset): Promise<DrawnPanel> {
  const { title, caption, rows } = panel;
  const ids = spacedRows(images.count, Math.min(SAMPLES, images.count));
  const x = () => imagesAt(images, constant(ids, [ids.length], 'u32'));
  if (panel.kind === 'table') {
    const { corner, columns, digits } = panel;
    const numbers = await read(device, title, [rows.length, columns.length], () => panel.cells(x()));
    const cells = rows.map((_, i) =>
      columns.map((_, j) => formatNumber(numbers[i * columns.length + j], digits)),
    );
    return { kind: 'table', title, caption, rows, corner, columns, cells };
  }
  let shape: readonly number[] = [];
  const numbers = await read(device, title, [rows.length, null, null, null, images.channels], () => {
    const pictures = panel.pictures(x());
    ({ shape } = pictures);
    const [mean, std] = [images.mean, images.std].map((of) => constant(Float32Array.from(of), [of.length]));
    return add(mul(pictures, std), mean);
  });
  const [, columns, height, width, channels] = shape;
  const data = Uint8Array.from(numbers, (value) => Math.round(255 * Math.min(1, Math.max(0, value))));
  return {
    ...{ kind: 'pictures', title, caption, rows },
    images: shrunk({ data, height, width, channels, columns }, TILE),
  };
}

/** Computes a tensor of a shape, in which `null` is any size. */
async function read(
  device: Device,
  title: string,
  expected: readonly (number | null)[],
  build: () => Tensor,
): Promise<Float32Array> {
  const { y } = await compute(device, () => {
    const y = build();
    if (y.shape.length !== expected.length || expected.some((n, i) => n !== null && n !== y.shape[i]))
      throwShapeError(title, `expected [${expected.map((n) => n ?? '…').join(', ')}], got ${show(y.shape)}`);
    return { y };
  });
  return y;
}

/** The style of the pictures of panels. */
export const panelSheets = (panels: readonly DrawnPanel[]): (Html | undefined)[] =>
  panels.map((panel, i) => (panel.kind === 'pictures' ? sheetRule(`panel-${i}`, panel.images) : undefined));

/** The section of a method's panels. */
export function panelSection(panels: readonly DrawnPanel[]): Section | undefined {
  if (!panels.length) return undefined;
  const body = html`${panels.map(
    (panel, i) => html`<figure><h3>${panel.title}</h3>
${panel.kind === 'pictures' ? pictures(panel, i) : table(panel)}
<figcaption>${panel.caption}</figcaption></figure>
`,
  )}`;
  return { id: 'method', title: 'Inside the method', body };
}

function pictures({ title, rows, images }: DrawnPanel & { kind: 'pictures' }, panel: number): Html {
  const { columns = 1 } = images;
  return html`<div class="panel-pictures" style="--columns:${columns}">${rows.map(
    (row, i) =>
      html`<div role="img" aria-label="${title}, ${row}"><span>${row}</span>${Array.from({ length: columns }, (_, j) => html`<span class="tile sheet-panel-${panel}" style="${place(images, i * columns + j)}"></span>`)}</div>
`,
  )}</div>`;
}

function table({ corner, columns, rows, cells }: DrawnPanel & { kind: 'table' }): Html {
  return html`<div class="scroll" tabindex="0" role="group" aria-label="${corner}"><table class="numbers"><thead><tr><th scope="col">${corner}</th>${columns.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>${rows.map((row, i) => html`<tr><th scope="row">${row}</th>${cells[i].map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>`;
}
