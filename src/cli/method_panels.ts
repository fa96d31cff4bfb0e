// The panels of a method in a report: computed after training, some rows of pictures at moments of it too, and drawn.
import { Buffer } from 'node:buffer';
import { type Dataset, rows as imagesAt } from '../data/dataset.ts';
import type { Device } from '../gpu/device.ts';
import { InputError } from '../gpu/errors.ts';
import { constant, show, type Tensor, throwShapeError } from '../graph/tensor.ts';
import type { Panel, PicturePanel, TablePanel } from '../methods/panel.ts';
import { compute, spacedRows } from '../metrics/compute.ts';
import { embed } from '../metrics/embed.ts';
import { formatNumber } from '../metrics/format.ts';
import { add, mul } from '../ops/binary.ts';
import { freeVariables } from '../runtime/variables.ts';
import { reason } from './files.ts';
import { type Html, html, type Section } from './html.ts';
import type { Followed } from './moments.ts';
import { type Images, shrunk } from './png.ts';
import { place, sheetRule } from './report_images.ts';

/** Held-out images that panels are drawn from, and the longest side of a picture. */
const [SAMPLES, TILE] = [256, 96];

/** A panel with its numbers or pictures. */
export type DrawnPanel = Pick<Panel, 'title' | 'caption' | 'rows'> & (DrawnPictures | DrawnTable);
interface DrawnPictures {
  kind: 'pictures';
  images: Images;
}
interface DrawnTable extends Pick<TablePanel, 'corner' | 'columns' | 'digits'> {
  kind: 'table';
  cells: number[][];
}

/**
 * Draws the panels of a method. One that fails is left out and named in `failures`; nothing is thrown.
 * @param followed the rows that panels follow, at earlier steps
 */
export async function drawPanels(
  device: Device,
  panels: readonly Panel[],
  images: Dataset,
  followed: readonly Followed[] = [],
): Promise<{ panels: DrawnPanel[]; failures: string[] }> {
  const { made, failures } = await each(panels, async (panel): Promise<DrawnPanel> => {
    if (panel.kind === 'table') return tableOf(device, panel, images);
    const now = await picturesOf(device, panel, images);
    return withEarlier(panel, now, followed);
  });
  return { panels: made, failures };
}

/** Draws the rows that panels follow. One that fails is left out and named in `failures`; nothing is thrown. */
export async function drawFollowed(
  device: Device,
  panels: readonly Panel[],
  images: Dataset,
  step: number,
): Promise<{ followed: Followed[]; failures: string[] }> {
  const some = panels.filter((panel) => panel.kind === 'pictures' && panel.followed !== undefined);
  const { made, failures } = await each(some as PicturePanel[], async (panel) => {
    const { followed, rows, title } = panel;
    const { columns: _, ...now } = await picturesOf(device, panel, images);
    return { step, panel: title, images: { ...now, data: rowOf(now, rows.length, rows.indexOf(followed!)) } };
  });
  return { followed: made, failures };
}

async function each<P extends Panel, T>(panels: readonly P[], make: (panel: P) => Promise<T>) {
  const made: T[] = [];
  const failures: string[] = [];
  for (const panel of panels) {
    try {
      made.push(await make(panel));
    } catch (error) {
      failures.push(`${panel.title}: ${reason(error)}`);
    }
  }
  return { made, failures };
}

/** The same held-out images each time, as a tensor of the graph. */
function someOf(images: Dataset): Tensor {
  const ids = spacedRows(images.count, Math.min(SAMPLES, images.count));
  return imagesAt(images, constant(ids, [ids.length], 'u32'));
}

async function tableOf(device: Device, panel: TablePanel, images: Dataset): Promise<DrawnPanel> {
  const { title, caption, rows, corner, columns, digits, perImage } = panel;
  const all = perImage && (await embed(device, images, (x) => ({ numbers: perImage(x) }))).numbers;
  try {
    const shape = [rows.length, columns.length];
    const numbers = await read(device, title, shape, () => panel.cells(all ?? someOf(images)));
    const cells = rows.map((_, i) => columns.map((_, j) => numbers[i * columns.length + j]));
    return { kind: 'table', title, caption, rows, corner, columns, digits, cells };
  } finally {
    if (all) freeVariables(device, [all]);
  }
}

async function picturesOf(device: Device, panel: PicturePanel, images: Dataset): Promise<Images> {
  let shape: readonly number[] = [];
  const expected = [panel.rows.length, null, null, null, images.channels];
  const numbers = await read(device, panel.title, expected, () => {
    const pictures = panel.pictures(someOf(images));
    ({ shape } = pictures);
    const [mean, std] = [images.mean, images.std].map((of) => constant(Float32Array.from(of), [of.length]));
    return add(mul(pictures, std), mean);
  });
  const [, columns, height, width, channels] = shape;
  const data = Uint8Array.from(numbers, (value) => Math.round(255 * Math.min(1, Math.max(0, value))));
  return shrunk({ data, height, width, channels, columns }, TILE);
}

/** The bytes of one of so many rows of pictures. */
function rowOf({ data }: Images, rows: number, row: number): Uint8Array {
  const size = data.length / rows;
  return data.slice(row * size, (row + 1) * size);
}

/** Pictures with the row that they follow at earlier steps above it. @throws InputError for earlier rows of other pictures */
function withEarlier(
  { title, caption, rows, followed }: PicturePanel,
  now: Images,
  all: readonly Followed[],
): DrawnPanel {
  const earlier = all.filter(({ panel }) => panel === title);
  const shown = rows.flatMap((row, i) => {
    const pixels = rowOf(now, rows.length, i);
    const before = row === followed ? earlier : [];
    if (before.some(({ images: { data, width } }) => data.length !== pixels.length || width !== now.width))
      throw new InputError('moments.jsonl has pictures of another size');
    const drawn = before.map(({ step, images: { data } }) => ({
      name: `${row} at step ${step}`,
      pixels: data,
    }));
    return [...drawn, { name: row, pixels }];
  });
  return {
    ...{ kind: 'pictures', title, rows: shown.map(({ name }) => name) },
    caption: earlier.length
      ? `${caption} Rows with a step show how it was at that step of training.`
      : caption,
    images: { ...now, data: Uint8Array.from(Buffer.concat(shown.map(({ pixels }) => pixels))) },
  };
}

/** The numbers of tables by title, row and column. */
export type Tables = Record<string, Record<string, Record<string, number>>>;

/** The numbers of the panels that are tables. */
export const numbersOf = (panels: readonly DrawnPanel[]): Tables =>
  Object.fromEntries(
    panels.flatMap((panel) => (panel.kind === 'table' ? [[panel.title, byName(panel)]] : [])),
  );
const byName = ({ rows, columns, cells }: Pick<Panel, 'rows'> & DrawnTable) =>
  Object.fromEntries(
    rows.map((row, i) => [row, Object.fromEntries(columns.map((column, j) => [column, cells[i][j]]))]),
  );

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

function table({ corner, columns, rows, digits, cells }: DrawnPanel & { kind: 'table' }): Html {
  return html`<div class="scroll" tabindex="0" role="group" aria-label="${corner}"><table class="numbers"><thead><tr><th scope="col">${corner}</th>${columns.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead><tbody>${rows.map((row, i) => html`<tr><th scope="row">${row}</th>${cells[i].map((cell) => html`<td>${formatNumber(cell, digits)}</td>`)}</tr>`)}</tbody></table></div>`;
}
