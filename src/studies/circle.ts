// Where encoders with a 2-D embedding put the test images on the circle: Figure 3 of Wang & Isola 2020, arXiv 2005.10242.

import { px } from '../cli/chart.ts';
import { FASHION_CLASSES } from '../cli/files.ts';
import { html } from '../cli/html.ts';
import { evaluate } from '../metrics/evaluate.ts';
import { formatMetric, formatNumber, significant } from '../metrics/format.ts';
import { freeVariables, readVariable } from '../runtime/variables.ts';
import { type ImageModel, represent, untrainedModel } from '../train/images.ts';
import { colours, figure } from './figure.ts';
import { type Lab, readZ, runOf, type Study, trained } from './study.ts';

interface Row {
  encoder: string;
  args: string;
  alignment: number;
  uniformity: number;
  uniformityOptimum: number;
  knnZ: number;
  /** The angles of the test images of each class, in radians. */
  angles: number[][];
}

const COMMON = '--embedding 2 --encoder mlp-small --batch 256 --epochs 6 --seed 0';
const encoders: Record<string, string> = {
  untrained: '--method simclr',
  'supervised (SupCon)': '--method supCon',
  'NT-Xent': '--method simclr --temperature 0.2',
  'align + uniform': '--method alignUniform',
};

async function* measure(lab: Lab, rows: readonly Row[]) {
  for (const [encoder, method] of Object.entries(encoders)) {
    if (rows.some((row) => row.encoder === encoder)) continue;
    lab.say(`  ${encoder}`);
    const args = `${method} ${COMMON}`;
    const model = await (encoder === 'untrained'
      ? untrainedModel(lab.device, runOf(lab, args))
      : trained(lab, args));
    yield { encoder, args, ...(await look(lab, model)) };
    freeVariables(lab.device, model.variables);
  }
}

async function look({ device, data }: Lab, model: ImageModel): Promise<Omit<Row, 'encoder' | 'args'>> {
  const found = await evaluate(device, data, (x) => represent(model, x), { probes: false });
  const [z, labels] = [await readZ(device, data.test, model), await readVariable(device, data.test.labels!)];
  const angles = Array.from({ length: data.test.classes }, (): number[] => []);
  for (const [i, label] of labels.entries())
    angles[label].push(Number(Math.atan2(z[2 * i + 1], z[2 * i]).toFixed(3)));
  const { alignment, uniformity, uniformityOptimum, knnZ } = found as Required<typeof found>;
  return {
    alignment: significant(alignment),
    uniformity: significant(uniformity),
    uniformityOptimum: significant(uniformityOptimum),
    ...{ knnZ, angles },
  };
}

function summary(rows: readonly Row[]): string {
  return rows
    .map(
      (row) =>
        `${row.encoder}: alignment ${formatNumber(row.alignment, 3)}, uniformity ${formatNumber(row.uniformity, 3)} (optimum ${formatNumber(row.uniformityOptimum, 3)}), k-NN on z ${formatMetric(row.knnZ, 'accuracy')}`,
    )
    .join('\n');
}

// ---- the picture ----

/** The classes with a separate column: one that is unlike the others, and two that look alike. */
const SHOWN = [1, 7, 9];
/** Concentration of the von Mises kernel: about 6 degrees. */
const KAPPA = 90;
const PARTS = 180;
const RADIUS = 40;

/** Density of angles around the circle, relative to the uniform density: `PARTS` values. */
export function density(angles: readonly number[]): number[] {
  const at = Array.from({ length: PARTS }, (_, i) => (2 * Math.PI * i) / PARTS);
  const kernel = (turn: number) => Math.exp(KAPPA * (Math.cos(turn) - 1));
  const sums = at.map((place) => angles.reduce((sum, angle) => sum + kernel(angle - place), 0));
  const total = sums.reduce((a, b) => a + b, 0);
  return sums.map((sum) => (sum * PARTS) / total);
}

/** Points on the circle, and their density as the height of an area around it; the peak always has the same height. */
function ring([cx, cy]: readonly [number, number], angles: readonly number[], colour: string) {
  const dense = density(angles);
  const height = 26 / Math.max(...dense);
  const at = (radius: number, i: number) => {
    const angle = (2 * Math.PI * i) / PARTS;
    return `${px(cx + radius * Math.cos(angle))} ${px(cy - radius * Math.sin(angle))}`;
  };
  const around = (radius: (i: number) => number) =>
    `M${Array.from({ length: PARTS }, (_, i) => at(radius(i), i)).join('L')}Z`;
  // Dots are spread a little inwards, so that many in one place are visible as many.
  const dots = angles
    .slice(0, 600)
    .map((angle, i) => {
      const radius = RADIUS - 3 - 7 * ((i * 0.618) % 1);
      return `M${px(cx + radius * Math.cos(angle))} ${px(cy - radius * Math.sin(angle))}h0`;
    })
    .join('');
  return html`<path d="${around((i) => RADIUS + height * dense[i])}${around(() => RADIUS)}" style="fill:${colour};fill-rule:evenodd;opacity:.85"/>
<circle class="guide" cx="${px(cx)}" cy="${px(cy)}" r="${px(RADIUS + height)}"/>
<path d="${dots}" style="stroke:${colour};stroke-width:2.2;stroke-linecap:round;opacity:.5"/>`;
}

function draw(rows: readonly Row[]): string {
  const [first, width, height] = [210, 150, 152];
  const columns = [
    { name: 'all classes', of: (row: Row) => interleaved(row.angles), colour: 'var(--muted)' },
    ...SHOWN.map((c, i) => ({
      name: FASHION_CLASSES[c],
      of: (row: Row) => row.angles[c],
      colour: colours[i],
    })),
  ];
  const centre = (row: number, column: number) =>
    [first + width * column + width / 2, 78 + height * row + height / 2] as const;
  const words = (row: Row) => [
    `alignment ${formatNumber(row.alignment, 3)}`,
    `uniformity ${formatNumber(row.uniformity, 3)}`,
    `(at best ${formatNumber(row.uniformityOptimum, 3)})`,
    `k-NN on z ${formatMetric(row.knnZ, 'accuracy')}`,
  ];
  return figure(
    {
      title: 'Test images on the circle: encoders with a 2-D embedding',
      description: `After Figure 3 of Wang and Isola: for each encoder the directions of the embeddings of 2,000 test images, as dots and as a density around the circle, of all classes and of ${SHOWN.map((c) => FASHION_CLASSES[c]).join(', ')}; the dashed circle marks the uniform density. ${rows.map((row) => `${row.encoder}: ${words(row).join(', ')}`).join('. ')}.`,
      width: first + width * columns.length + 10,
      height: 78 + height * rows.length + 14,
    },
    [
      html`<text x="20" y="50">dots: images; area: their density; dashed: the uniform density</text>`,
      html`${columns.map(({ name }, column) => html`<text class="strong" x="${px(centre(0, column)[0])}" y="76" text-anchor="middle">${name}</text>`)}`,
      html`${rows.map((row, r) => {
        const top = centre(r, 0)[1] - 30;
        const lines = words(row).map(
          (text, i) => html`<text x="20" y="${px(top + 20 + 17 * i)}">${text}</text>`,
        );
        return html`<text class="strong" x="20" y="${px(top)}" style="font-weight:600">${row.encoder}</text>${lines}
${columns.map(({ of, colour }, column) => ring(centre(r, column), of(row), colour))}`;
      })}`,
    ],
  );
}

/** The classes interleaved, so that the first few hundred angles are of all classes. */
const interleaved = (angles: readonly number[][]): number[] =>
  Array.from({ length: Math.max(...angles.map(({ length }) => length)) }, (_, i) =>
    angles.flatMap((some) => (i < some.length ? [some[i]] : [])),
  ).flat();

export const circle: Study<Row> = { measure, draw, summary };
